//! A plan in numbers.

use std::collections::BTreeMap;

use sciurus_clean::plan::{CleanAction, CleanPlan, PlanItem};
use serde::Serialize;

/// How often an issue was found, with the worst examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IssueCount {
    /// The issue's name.
    pub issue: String,
    /// Images that have it.
    pub images: usize,
    /// The worst of these images.
    pub worst: Vec<PlanItem>,
}

/// A plan in numbers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CleanSummary {
    /// Images and unreadable files in the plan.
    pub images: usize,
    /// Those with at least one issue.
    pub with_issues: usize,
    /// Images to relabel.
    pub relabel: usize,
    /// Images to set aside.
    pub set_aside: usize,
    /// Counts by issue, the most frequent first.
    pub issues: Vec<IssueCount>,
}

impl CleanSummary {
    /// Counts a plan's issues and actions, with at most `worst` example images for each issue.
    pub fn of(plan: &CleanPlan, worst: usize) -> Self {
        let mut by_issue: BTreeMap<&str, IssueCount> = BTreeMap::new();
        for item in &plan.items {
            for issue in &item.issues {
                let new = || IssueCount { issue: issue.name.clone(), images: 0, worst: Vec::new() };
                let count = by_issue.entry(&issue.name).or_insert_with(new);
                count.images += 1;
                if count.worst.len() < worst {
                    count.worst.push(item.clone());
                }
            }
        }
        let mut issues: Vec<IssueCount> = by_issue.into_values().collect();
        issues.sort_by(|a, b| b.images.cmp(&a.images).then(a.issue.cmp(&b.issue)));
        let count = |action| plan.items.iter().filter(|item| item.action == action).count();
        Self {
            images: plan.items.len(),
            with_issues: plan.items.iter().filter(|item| !item.issues.is_empty()).count(),
            relabel: count(CleanAction::Relabel),
            set_aside: count(CleanAction::SetAside),
            issues,
        }
    }
}
