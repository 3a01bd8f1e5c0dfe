//! What a reviewer asks for: keys of a terminal, or characters of standard input where that is no terminal.

use std::collections::VecDeque;
use std::io::{BufRead, IsTerminal, Write};

use console::{Key, Term};
use sciurus::clean::plan::PlanItem;
use sciurus::data::one_line;
use sciurus::{Card, Choice};

use crate::output::text;

/// This many classes have a key of their own.
const DIGITS: usize = 9;

/// What a key asks for.
pub(super) enum Asked {
    Decide(Choice),
    Open,
    Undo,
    Stop,
}

/// The reviewer's keys, and the labels they stand for.
pub(super) struct Keys {
    term: Option<Term>,
    typed: VecDeque<char>,
    labels: Vec<String>,
}

impl Keys {
    pub(super) fn new(labels: &[String]) -> Self {
        let term = std::io::stdin().is_terminal().then(Term::stdout);
        Self { term, typed: VecDeque::new(), labels: labels.to_vec() }
    }

    /// What the keys do.
    pub(super) fn help(&self) -> String {
        let label = match self.labels.len() {
            0 | 1 => String::new(),
            few @ 2..=DIGITS => format!("1-{few} label, "),
            _ => "l label, ".to_owned(),
        };
        format!("enter accept, k keep, x set aside, {label}o open, u undo, q quit")
    }

    /// The labels with their numbers.
    pub(super) fn labels(&self) -> String {
        let numbered =
            self.labels.iter().zip(1..).map(|(label, number)| format!("{number} {}", one_line(label)));
        numbered.collect::<Vec<_>>().join("   ")
    }

    /// What the next key that means something asks for; nothing at the end of the input.
    pub(super) fn next(&mut self, card: &Card) -> anyhow::Result<Option<Asked>> {
        loop {
            let Some(key) = self.key()? else { return Ok(None) };
            let asked = match key {
                Key::Enter => Some(Asked::Decide(Choice::AsProposed)),
                Key::Char('k') => Some(Asked::Decide(Choice::Keep)),
                Key::Char('x') => self.which(&card.items)?.map(Asked::Decide),
                Key::Char('l') => self.typed_label()?.map(Asked::Decide),
                Key::Char('o') => Some(Asked::Open),
                Key::Char('u') => Some(Asked::Undo),
                Key::Char('q') | Key::Escape | Key::CtrlC => Some(Asked::Stop),
                Key::Char(digit) => self.label_of(digit).map(Asked::Decide),
                _ => None,
            };
            match asked {
                Some(asked) => return Ok(Some(asked)),
                None => text(self.help())?,
            }
        }
    }

    /// The next key; nothing at the end of the input. Of standard input that is no terminal, a line's end stands for enter only
    /// in an empty line.
    pub(super) fn key(&mut self) -> anyhow::Result<Option<Key>> {
        if let Some(term) = &self.term {
            std::io::stdout().flush()?;
            return Ok(Some(term.read_key()?));
        }
        if self.typed.is_empty() {
            let Some(line) = read_line()? else { return Ok(None) };
            self.typed = if line.is_empty() { ['\n'].into() } else { line.chars().collect() };
        }
        Ok(self.typed.pop_front().map(|c| if c == '\n' { Key::Enter } else { Key::Char(c) }))
    }

    /// The rest of the line.
    fn line(&mut self) -> anyhow::Result<String> {
        if let Some(term) = &self.term {
            return Ok(term.read_line()?);
        }
        match self.typed.is_empty() {
            true => Ok(read_line()?.unwrap_or_default()),
            false => Ok(self.typed.drain(..).collect()),
        }
    }

    /// The label of a digit, where few enough labels are there for each to have one.
    fn label_of(&self, digit: char) -> Option<Choice> {
        let place = (digit.to_digit(10)? as usize).checked_sub(1)?;
        let label = self.labels.get(place).filter(|_| self.labels.len() <= DIGITS);
        label.map(|label| Choice::Relabel(label.clone()))
    }

    /// A label by its number or by how it begins; nothing if none was meant.
    fn typed_label(&mut self) -> anyhow::Result<Option<Choice>> {
        text("which label? its number or how it begins, then enter")?;
        loop {
            let typed = self.line()?;
            if typed.trim().is_empty() {
                return Ok(None);
            }
            match &named(&self.labels, typed.trim())[..] {
                [label] => return Ok(Some(Choice::Relabel((*label).clone()))),
                [] => text(format!("no label begins with {}: {}", one_line(typed.trim()), self.labels()))?,
                several => {
                    let several: Vec<String> = several.iter().map(|label| one_line(label)).collect();
                    text(format!("{}: which one? type more of it", several.join(", ")))?;
                }
            }
        }
    }

    /// Which images of a card are to be set aside; nothing if none was meant.
    fn which(&mut self, items: &[PlanItem]) -> anyhow::Result<Option<Choice>> {
        let typed = match items.len() {
            0 | 1 => return Ok(Some(Choice::SetAside)),
            2 => {
                text("set aside which? 1, 2, or a: both")?;
                match self.key()? {
                    Some(Key::Char(key)) => key.to_string(),
                    _ => return Ok(None),
                }
            }
            count => {
                text(format!("set aside which? numbers of 1 to {count}, or a: all; then enter"))?;
                self.line()?
            }
        };
        Ok(places(&typed, items.len()))
    }
}

/// A line of standard input without its end; nothing at the end of the input.
fn read_line() -> std::io::Result<Option<String>> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line)?;
    Ok((read > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The labels that may be meant: the one with this number or name, else those that begin like this.
fn named<'l>(labels: &'l [String], typed: &str) -> Vec<&'l String> {
    let number = typed.parse::<usize>().ok().and_then(|number| labels.get(number.checked_sub(1)?));
    // A label may be a number itself.
    let exact = labels.iter().find(|label| *label == typed).or(number);
    let small = typed.to_lowercase();
    match exact {
        Some(label) => vec![label],
        None => labels.iter().filter(|label| label.to_lowercase().starts_with(&small)).collect(),
    }
}

/// The choice that was typed: numbers from 1, or `a`; nothing if it's something else.
fn places(typed: &str, items: usize) -> Option<Choice> {
    if typed.trim() == "a" {
        return Some(Choice::SetAside);
    }
    let numbers = typed.split([' ', ',']).filter(|number| !number.is_empty());
    let place = |number: &str| number.parse::<usize>().ok().filter(|number| (1..=items).contains(number));
    let places: Option<Vec<usize>> = numbers.map(|number| place(number).map(|number| number - 1)).collect();
    places.filter(|places| !places.is_empty()).map(Choice::SetAsideOnly)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_meant_by_its_name_its_number_or_how_it_begins() {
        let labels = ["Bear", "beaver", "12", "be"].map(String::from);
        let meant = |typed| named(&labels, typed).into_iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(meant("be"), ["be"]);
        assert_eq!(meant("12"), ["12"]);
        assert_eq!(meant("1"), ["Bear"]);
        assert_eq!(meant("BEA"), ["Bear", "beaver"]);
        assert!(meant("0").is_empty() && meant("99").is_empty());
    }

    #[test]
    fn numbers_choose_images_of_a_card() {
        assert_eq!(places("a", 3), Some(Choice::SetAside));
        assert_eq!(places("3, 1", 3), Some(Choice::SetAsideOnly(vec![2, 0])));
        for nothing in ["", "0", "4", "1 x", "-1"] {
            assert_eq!(places(nothing, 3), None, "{nothing}");
        }
    }
}
