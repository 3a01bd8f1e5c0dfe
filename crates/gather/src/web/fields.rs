//! Fields of JSON that somebody else writes. In: a value in which anything may be missing or of another type. Out: texts
//! and numbers where there are some.

use sciurus_photos::text::{DETAIL, WORDS, plain, web_address};
use serde_json::Value;
use url::Url;

/// Members of a list that are looked at; no service gives more than 500 photos on a page.
const LONGEST_LIST: usize = 10_000;

/// A JSON value, asked by paths such as `user/name`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'v>(pub(crate) &'v Value);

impl<'v> Fields<'v> {
    fn at(self, path: &str) -> Option<&'v Value> {
        path.split('/').try_fold(self.0, |value, part| match value {
            Value::Array(values) => values.get(part.parse::<usize>().ok()?),
            value => value.get(part),
        })
    }

    /// A text that is not empty, in which nothing is hidden; numbers become texts.
    pub(crate) fn text(self, path: &str) -> Option<String> {
        let text = match self.at(path)? {
            Value::String(text) => plain(text.trim(), WORDS),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// What an error says.
    pub(crate) fn detail(self, path: &str) -> Option<String> {
        self.text(path).map(|text| plain(&text, DETAIL))
    }

    /// A number from a number or a text.
    pub(crate) fn number(self, path: &str) -> Option<u64> {
        let value = self.at(path)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// A width or height.
    pub(crate) fn pixels(self, path: &str) -> Option<u32> {
        self.number(path).and_then(|pixels| u32::try_from(pixels).ok()).filter(|&pixels| pixels > 0)
    }

    /// An address on the web.
    pub(crate) fn url(self, path: &str) -> Option<Url> {
        web_address(self.at(path)?.as_str()?)
    }

    /// The members of a list; none if there is no list.
    pub(crate) fn list(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        let list = self.at(path).and_then(Value::as_array);
        list.into_iter().flatten().take(LONGEST_LIST).map(Fields)
    }

    /// The values of an object; none if there is no object.
    pub(crate) fn values(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        let object = self.at(path).and_then(Value::as_object);
        object.into_iter().flat_map(|object| object.values()).take(LONGEST_LIST).map(Fields)
    }
}
