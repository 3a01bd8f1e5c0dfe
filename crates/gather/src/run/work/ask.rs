//! Questions to sources. In: where a class's sources continue. Out: their pages, from the journal if they were asked
//! before.

use super::super::class::{Class, Next};
use super::Work;
use crate::error::GatherError;
use crate::event::GatherEvent;
use crate::source::{Cursor, Page, SourceDown};
use std::sync::Arc;

/// Questions with their responses.
pub(super) type Answers = Vec<(String, Result<Page, SourceDown>)>;

impl Work<'_> {
    /// Starts one task per source, so that a slow one doesn't hold up the others. Each asks for one class after the
    /// other.
    pub(super) fn ask_all(&mut self) {
        for feed in 0..self.sources.len() {
            let open = self.classes.iter().filter(|class| !class.is_full());
            let questions = open.map(|class| (self.question(class, feed, None), class.query.clone()));
            let questions: Vec<_> = questions.collect();
            let answer = |question: &str| self.journal.page(question);
            // A source that was down when the run was interrupted stays down, as it would have without the
            // interruption.
            if questions.iter().any(|(question, _)| answer(question).is_some_and(Result::is_err)) {
                continue;
            }
            let unknown: Vec<_> =
                questions.into_iter().filter(|(question, _)| answer(question).is_none()).collect();
            let source = Arc::clone(&self.sources[feed].source);
            let asking = async move {
                let mut answers = Vec::new();
                for (question, query) in unknown {
                    let answer = source.search(&query, None).await;
                    let failed = answer.is_err();
                    answers.push((question, answer));
                    if failed {
                        break;
                    }
                }
                answers
            };
            self.first.insert(feed, tokio::spawn(asking));
        }
    }

    /// A question, as text that is unique in this folder.
    fn question(&self, class: &Class, feed: usize, cursor: Option<&Cursor>) -> String {
        let query = &class.query;
        let place = cursor.map_or("", |cursor| &cursor.0);
        format!("{} | {} | {} | {place}", self.sources[feed].name, query.class, query.terms)
    }

    /// Takes the next page of a source, from the journal if it was asked before.
    pub(super) async fn ask(&mut self, class: usize, feed: usize) -> Result<(), GatherError> {
        let cursor = match &self.classes[class].feeds[feed].next {
            Next::At(cursor) => Some(cursor.clone()),
            _ => None,
        };
        let question = self.question(&self.classes[class], feed, cursor.as_ref());
        self.take_first(feed).await?;
        let answer = match self.journal.page(&question) {
            Some(answer) => answer.clone(),
            None => {
                let answer = match self.down.get(&feed) {
                    Some(reason) => Err(reason.clone()),
                    None => {
                        self.sources[feed].source.search(&self.classes[class].query, cursor.as_ref()).await
                    }
                };
                self.journal.answered(question, answer.clone())?;
                answer
            }
        };
        self.take(class, feed, answer);
        Ok(())
    }

    /// Records the first pages that a source has returned so far.
    async fn take_first(&mut self, feed: usize) -> Result<(), GatherError> {
        let Some(asking) = self.first.remove(&feed) else { return Ok(()) };
        // An aborted task has no responses; its questions are asked again.
        for (question, answer) in asking.await.unwrap_or_default() {
            self.journal.answered(question, answer)?;
        }
        Ok(())
    }

    fn take(&mut self, class: usize, feed: usize, answer: Result<Page, SourceDown>) {
        let (name, source) =
            (self.classes[class].query.class.clone(), self.classes[class].feeds[feed].source);
        match answer {
            Ok(page) => {
                let found = self.classes[class].take(feed, page);
                self.events.send(&GatherEvent::Searched { class: name, source, found });
            }
            Err(reason) => {
                self.down.entry(feed).or_insert_with(|| reason.clone());
                self.classes[class].give_up(feed, reason.clone());
                self.events.send(&GatherEvent::SourceDown { class: name, source, reason });
            }
        }
    }
}
