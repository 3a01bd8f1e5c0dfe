//! What is wrong with the data: probabilities of models that did not see an item, embeddings and given labels in; scores,
//! suspicions and their evidence out. Pure functions on plain data, in double precision.
//!
//! * [`out_of_fold`]: probabilities of frozen embeddings, every item judged by heads that did not see it;
//! * [`label_scores`], [`ConfidentJoint`], [`find_label_issues`], [`LabelInspector`]: cleanlab's numbers, to the last digits.

mod confident_joint;
mod folds;
mod label_filter;
mod label_inspector;
mod label_scores;
mod lbfgs;
mod logistic;
mod out_of_fold;
mod out_of_sample;

pub use confident_joint::{ConfidentJoint, class_thresholds};
pub use label_filter::{FilterOptions, LabelFilter, find_label_issues, ranked_issues};
pub use label_inspector::LabelInspector;
pub use label_scores::{LabelScore, label_scores, threshold_adjusted};
pub use logistic::{LabelledItems, LogisticHead, LogisticOptions};
pub use out_of_fold::{FoldItems, FoldOptions, OutOfFold, out_of_fold};
pub use out_of_sample::OutOfSample;
