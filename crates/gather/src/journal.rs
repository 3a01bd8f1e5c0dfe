//! What a run has asked and decided so far, so that it can be broken off anywhere. In: pages of sources, rejections. Out:
//! `.gather.jsonl` in the folder, and what it tells the next run. What is kept stands in the ledger.
//!
//! A run that was broken off goes on with the pages and rejections that it had, so it decides as if nothing had happened.
//! A run that ended, but short of what was wanted, is another matter: the next one asks again what failed.

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
    LineFormat { name: "gather", what: "journal of `sciurus gather`", doing: "gathering photos" };

/// One line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
enum Record {
    /// A run began.
    Started {
        /// All that was asked for.
        run: String,
        /// What decides whether a photo is rejected.
        rules: String,
        /// Entries that the ledger had.
        ledger: usize,
    },
    /// A source gave a page.
    Page { question: String, page: Page },
    /// A source gave none.
    Down { question: String, reason: SourceDown },
    /// A photo was rejected.
    Rejected { photo: String, reason: Rejection },
    /// The run came to its end.
    Ended,
}

/// What is known from earlier, and the way to add to it.
#[derive(Debug)]
pub(crate) struct Journal {
    lines: Lines,
    pages: HashMap<String, Result<Page, SourceDown>>,
    rejected: HashMap<String, Rejection>,
    /// Entries of the ledger that are from before this run.
    pub(crate) before: usize,
}

impl Journal {
    /// Opens the journal of a folder that is locked, for a run; the folder's ledger has so many entries.
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

    /// The answer that a question had.
    pub(crate) fn page(&self, question: &str) -> Option<&Result<Page, SourceDown>> {
        self.pages.get(question)
    }

    /// Why a photo was rejected.
    pub(crate) fn rejection(&self, photo: &str) -> Option<&Rejection> {
        self.rejected.get(photo)
    }

    /// Notes an answer.
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

    /// Notes a rejection.
    pub(crate) fn rejected(&mut self, photo: String, reason: &Rejection) -> Result<(), GatherError> {
        Ok(self.lines.append_lightly(&Record::Rejected { photo, reason: reason.clone() })?)
    }

    /// Notes that there is nothing left to do.
    pub(crate) fn ended(&mut self) -> Result<(), GatherError> {
        Ok(self.lines.append_lightly(&Record::Ended)?)
    }
}

/// Believes the journal that a folder brought: what its sources said and which photos were rejected. Says how many entries it has
/// that were not this user's.
///
/// # Errors
/// It is damaged, or is something else.
pub fn trust_journal(folder: impl AsRef<Path>) -> Result<usize, GatherError> {
    Ok(Lines::adopt::<Record>(&Root::open(folder)?, &InsidePath::ours(JOURNAL_FILE), FORMAT)?)
}

/// The journal while it is read.
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

    /// A new run asks again what failed; under new rules it decides anew. What a source said holds, unless it lies on this
    /// machine and may have changed.
    fn forget(&mut self, rules: &str) {
        if self.rules.as_deref() != Some(rules) {
            self.rejected.clear();
            self.pages.clear();
        }
        self.rejected.retain(|_, reason| !reason.is_passing());
        self.pages.retain(|question, page| page.is_ok() && !question.starts_with(LOCAL));
    }
}

/// How questions to what lies on this machine begin.
pub(crate) const LOCAL: &str = "local ";
