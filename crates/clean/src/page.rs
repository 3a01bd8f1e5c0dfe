//! A clean plan as one HTML page: what was found, worst first, with pictures.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use crate::plan::{CleanAction, CleanPlan, PlanItem, question};
use sciurus_insight::page::{document, header};

/// A page about a plan.
///
/// ```
/// use sciurus_clean::CleanReport;
/// use sciurus_clean::plan::CleanPlan;
///
/// let page = CleanReport::new(CleanPlan::new("squirrels", "resnet18", Vec::new())).render();
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Nothing was found"));
/// ```
#[derive(Debug, Clone)]
pub struct CleanReport {
    plan: CleanPlan,
    facts: Vec<(String, String)>,
    pictures: HashMap<PathBuf, Vec<u8>>,
}

impl CleanReport {
    /// A page about this plan, without pictures so far.
    #[must_use]
    pub fn new(plan: CleanPlan) -> Self {
        Self { plan, facts: Vec::new(), pictures: HashMap::new() }
    }

    /// Adds a name and a value below the title; may be called again.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.facts.push((name.into(), value.into()));
        self
    }

    /// Adds small pictures (bytes of JPEG files, about 200 pixels), by the path of the item they show.
    #[must_use]
    pub fn pictures(mut self, pictures: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Self {
        self.pictures.extend(pictures);
        self
    }

    /// The HTML document. Every text is escaped, because labels and paths may contain anything.
    #[must_use]
    pub fn render(&self) -> String {
        let title = format!("What to clean in {}", self.plan.folder.display());
        let found: Vec<&PlanItem> = self.plan.items.iter().filter(|item| !item.issues.is_empty()).collect();
        let body = html! {
            main {
                (header(&title, &self.facts))
                @if found.is_empty() {
                    section { p { "Nothing was found." } }
                } @else {
                    (counts(&found))
                    (self.cards(&found))
                }
            }
        };
        document(&title, &body).into_string()
    }

    /// Items, worst first; those of one card share a frame. Only items with a picture, and unreadable files, are shown.
    fn cards(&self, found: &[&PlanItem]) -> Markup {
        let is_shown = |item: &&PlanItem| {
            self.pictures.contains_key(&item.path)
                || item.issues.iter().any(|issue| issue.name == "unreadable")
        };
        let shown: Vec<&PlanItem> = found.iter().copied().filter(is_shown).collect();
        let groups = shown.chunk_by(|a, b| a.card.is_some() && a.card == b.card);
        html! {
            section {
                h2 { "Worst first" }
                @if shown.len() < found.len() {
                    p class="note" {
                        "The worst " (shown.len()) " of " (found.len()) "; the plan file lists them all."
                    }
                }
                div class="cards" {
                    @for group in groups {
                        @if group.len() > 1 {
                            div class="together" {
                                p class="question" { (question(group)) }
                                @for item in group { (self.card(item)) }
                            }
                        } @else {
                            (self.card(group[0]))
                        }
                    }
                }
            }
        }
    }

    fn card(&self, item: &PlanItem) -> Markup {
        let picture = self.pictures.get(&item.path);
        html! {
            figure class="card" {
                div class="picture" {
                    @match picture {
                        Some(jpeg) => img loading="lazy" alt=(format!("labelled {}", item.label))
                            src=(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)));,
                        None => span class="none" { "no picture" },
                    }
                }
                figcaption {
                    p class="verdict" { (item.label) " " (verdict(item)) }
                    p class="note" { (item.reason) }
                    p class="note" { (shown_path(&item.path)) }
                }
            }
        }
    }
}

/// The proposal, shown after the label.
fn verdict(item: &PlanItem) -> String {
    match (item.action, &item.to) {
        (CleanAction::Relabel, Some(label)) => format!("\u{2192} {label}"),
        (CleanAction::SetAside, _) => "\u{2192} set aside".to_owned(),
        _ => "(keep)".to_owned(),
    }
}

fn shown_path(path: &Path) -> String {
    path.display().to_string()
}

fn counts(found: &[&PlanItem]) -> Markup {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let names = found.iter().flat_map(|item| &item.issues).map(|issue| &*issue.name);
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    html! {
        section {
            h2 { "What was found" }
            div class="scroll" {
                table class="numbers" {
                    thead { tr { th { "issue" } th class="right" { "photos" } } }
                    tbody {
                        @for (name, count) in counts {
                            tr { td { (name.replace('_', " ")) } td class="right" { (count) } }
                        }
                    }
                }
            }
        }
    }
}
