//! What a run has asked and decided so far, so that it can be interrupted at any point. In: pages of sources,
//! rejections. Out: `.gather.jsonl` in the folder, and what it tells the next run. Photos that are kept are in the
//! ledger.
//!
//! A run that was interrupted continues with the pages and rejections it had, so it decides as if nothing had happened.
//! If a run ended but fell short, the next one asks again wherever something failed.

use crate::error::GatherError;
use crate::rejection::Rejection;
use crate::source::{Page, SourceDown};
use sciurus_data::fs::{InsidePath, LineFormat, Lines, Root};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The journal's name in its folder.
const JOURNAL_FILE: &str = ".gather.jsonl";

const FORMAT: LineFormat =
    LineFormat { name: "gather", what: "gathering journal", doing: "gathering photos" };

/// One line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    /// A run started.
    Started {
        /// Hash of everything that was asked for.
        run: String,
        /// Hash of what decides whether a photo is rejected.
        rules: String,
        /// How many entries the ledger had.
        ledger: usize,
    },
    /// A source returned a page.
    Page { question: String, page: Page },
    /// A source returned none.
    Down { question: String, reason: SourceDown },
    /// A photo was rejected.
    Rejected { photo: String, reason: Rejection },
    /// The run came to its end.
    Ended,
}

/// What is known from earlier runs, and the file to add to.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Lines,
    pages: HashMap<String, Result<Page, SourceDown>>,
    rejected: HashMap<String, Rejection>,
    /// How many entries of the ledger are older than this run.
    pub(crate) before: usize,
}

impl Journal {
    /// Opens the journal of a locked folder for a run. `ledger` is the number of entries in the folder's ledger.
    pub(crate) fn open(root: &Root, run: &str, rules: &str, ledger: usize) -> Result<Self, GatherError> {
        let (mut lines, records) = Lines::open(root, &InsidePath::ours(JOURNAL_FILE), FORMAT)?;
        let mut past = Past::default();
        records.into_iter().for_each(|record| past.take(record));
        let goes_on = past.run.as_deref() == Some(run) && !past.ended && past.before <= ledger;
        if !goes_on {
            let started = Record::Started { run: run.to_owned(), rules: rules.to_owned(), ledger };
            lines.append_lightly(&started)?;
            past.take(started);
        }
        Ok(Self { lines, pages: past.pages, rejected: past.rejected, before: past.before })
    }

    /// The response to a question.
    pub(crate) fn page(&self, question: &str) -> Option<&Result<Page, SourceDown>> {
        self.pages.get(question)
    }

    /// Why a photo was rejected.
    pub(crate) fn rejection(&self, photo: &str) -> Option<&Rejection> {
        self.rejected.get(photo)
    }

    /// Records a response.
    pub(crate) fn answered(
        &mut self,
        question: String,
        answer: Result<Page, SourceDown>,
    ) -> Result<(), GatherError> {
        let (copy, name) = (answer.clone(), question.clone());
        let record = match answer {
            Ok(page) => Record::Page { question, page },
            Err(reason) => Record::Down { question, reason },
        };
        self.pages.insert(name, copy);
        Ok(self.lines.append_lightly(&record)?)
    }

    /// Records a rejection.
    pub(crate) fn rejected(&mut self, photo: String, reason: &Rejection) -> Result<(), GatherError> {
        Ok(self.lines.append_lightly(&Record::Rejected { photo, reason: reason.clone() })?)
    }

    /// Records that there is nothing left to do.
    pub(crate) fn ended(&mut self) -> Result<(), GatherError> {
        Ok(self.lines.append_lightly(&Record::Ended)?)
    }
}

/// Trusts the journal that came with a folder: what its sources returned, and which photos were rejected. Returns how
/// many entries were not this user's.
///
/// # Errors
/// It's damaged, or is something else.
pub fn trust_journal(folder: impl AsRef<Path>) -> Result<usize, GatherError> {
    Ok(Lines::adopt::<Record>(&Root::open(folder)?, &InsidePath::ours(JOURNAL_FILE), FORMAT)?)
}

/// The journal while it's being read.
#[derive(Debug, Default)]
struct Past {
    run: Option<String>,
    rules: Option<String>,
    before: usize,
    ended: bool,
    pages: HashMap<String, Result<Page, SourceDown>>,
    rejected: HashMap<String, Rejection>,
}

impl Past {
    fn take(&mut self, record: Record) {
        match record {
            Record::Started { run, rules, ledger } => {
                self.forget(&rules);
                (self.run, self.rules, self.before, self.ended) = (Some(run), Some(rules), ledger, false);
            }
            Record::Page { question, page } => {
                self.pages.insert(question, Ok(page));
            }
            Record::Down { question, reason } => {
                self.pages.insert(question, Err(reason));
            }
            Record::Rejected { photo, reason } => {
                self.rejected.insert(photo, reason);
            }
            Record::Ended => self.ended = true,
        }
    }

    /// A new run asks again wherever something failed, and under new rules decides again. What a source returned stays
    /// valid, unless the source is on this machine and may have changed.
    fn forget(&mut self, rules: &str) {
        if self.rules.as_deref() != Some(rules) {
            self.rejected.clear();
            self.pages.clear();
        }
        self.rejected.retain(|_, reason| !reason.is_passing());
        self.pages.retain(|question, page| page.is_ok() && !question.starts_with(LOCAL));
    }
}

/// How questions to sources on this machine begin.
pub(crate) const LOCAL: &str = "local ";
