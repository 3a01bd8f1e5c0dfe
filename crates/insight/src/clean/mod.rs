//! What is wrong with the data: probabilities of models that did not see an item, embeddings and given labels in; scores,
//! suspicions and their evidence out. Pure functions on plain data, in double precision.
//!
//! * [`label_scores`], [`ConfidentJoint`], [`find_label_issues`], [`LabelInspector`]: cleanlab's numbers, to the last digits.

mod confident_joint;
mod label_filter;
mod label_inspector;
mod label_scores;
mod out_of_sample;

pub use confident_joint::{ConfidentJoint, class_thresholds};
pub use label_filter::{FilterOptions, LabelFilter, find_label_issues, ranked_issues};
pub use label_inspector::LabelInspector;
pub use label_scores::{LabelScore, label_scores, threshold_adjusted};
pub use out_of_sample::OutOfSample;
