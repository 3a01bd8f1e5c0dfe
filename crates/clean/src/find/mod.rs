//! Finds what is wrong with the data. In: out-of-sample probabilities, embeddings and given labels. Out: scores, suspects and
//! their evidence. Pure functions on plain data, in double precision.
//!
//! * [`label_quality`] scores every label from frozen embeddings; it builds on [`out_of_fold`] and [`LogisticHead`];
//! * [`label_scores`], [`ConfidentJoint`], [`find_label_issues`], [`LabelInspector`]: cleanlab's numbers, to the last digits;
//! * [`NeighbourGraph`] is the input of [`neighbour_vote`], [`same_label_nearness`], [`outliers`] and [`near_copies`];
//! * [`off_topic`] finds photos of none of the classes, [`odd_kinds`] drawings among photos;
//! * [`TrainingDynamics`] uses the logits of every epoch of a training run, [`OnlineDynamics`] does so during training;
//! * [`queue`] turns all [`Finding`]s into one plan;
//! * [`principal_plane`] and [`similarity_plane`] lay items out on a map, like beside like;
//! * [`rank_average`] combines several rankings; [`StopRule`] and [`ErrorsLeft`] say when a review is done.

mod confident_joint;
mod drawings;
mod folds;
mod label_filter;
mod label_inspector;
mod label_quality;
mod label_scores;
mod lbfgs;
mod logistic;
mod near_copies;
mod neighbour_scores;
mod neighbours;
mod odds;
mod off_topic;
mod out_of_fold;
mod out_of_sample;
mod plane;
mod principal;
mod queue;
mod ranking;
mod small_world;
mod stop_rule;
mod training_dynamics;

pub use confident_joint::{ConfidentJoint, class_thresholds};
pub use drawings::{OddKind, odd_kinds};
pub use label_filter::{FilterOptions, LabelFilter, find_label_issues, ranked_issues};
pub use label_inspector::LabelInspector;
pub use label_quality::{GivenLabels, LabelQuality, QualityOptions, best_penalties, label_quality};
pub use label_scores::{LabelScore, label_scores, threshold_adjusted};
pub use logistic::{LabelledItems, LogisticHead, LogisticOptions};
pub use near_copies::{NearCopies, NearCopyOptions, near_copies};
pub use neighbour_scores::{NeighbourVote, Outliers, neighbour_vote, outliers, same_label_nearness};
pub use neighbours::NeighbourGraph;
pub use off_topic::{DistanceScale, Judge, OffTopic, off_topic};
pub use out_of_fold::{FoldItems, FoldOptions, OutOfFold, out_of_fold};
pub use out_of_sample::OutOfSample;
pub use plane::{principal_plane, similarity_plane};
pub use principal::PrincipalComponents;
pub use queue::{
    Finding, QueueItem, drawing_findings, duplicate_findings, label_findings, learnt_findings,
    off_topic_findings, pixel_findings, queue, unreadable, with_junk,
};
pub use ranking::{member_weights, rank_average, sharpened};
pub use stop_rule::{ErrorsLeft, Reviewed, StopRule, audit_sample, expected_left};
pub use training_dynamics::{LearntLabel, OnlineDynamics, TrainingDynamics};
