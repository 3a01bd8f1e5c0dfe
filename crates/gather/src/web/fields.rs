//! Fields of somebody else's JSON. In: a value in which anything may be missing or of another type. Out: the texts and
//! numbers that are there.

use sciurus_photos::text::{DETAIL, WORDS, plain, web_address};
use serde_json::Value;
use url::Url;

/// Most members of a list that are read; no service has more than 500 photos per page.
const LONGEST_LIST: usize = 10_000;

/// A JSON value, read by paths such as `user/name`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'v>(pub(crate) &'v Value);

impl<'v> Fields<'v> {
    fn at(self, path: &str) -> Option<&'v Value> {
        path.split('/').try_fold(self.0, |value, part| match value {
            Value::Array(values) => values.get(part.parse::<usize>().ok()?),
            value => value.get(part),
        })
    }

    /// A non-empty text with nothing hidden in it; numbers become texts.
    pub(crate) fn text(self, path: &str) -> Option<String> {
        let text = match self.at(path)? {
            Value::String(text) => plain(text.trim(), WORDS),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
    }

    /// An error message.
    pub(crate) fn detail(self, path: &str) -> Option<String> {
        self.text(path).map(|text| plain(&text, DETAIL))
    }

    /// A number, also from a text.
    pub(crate) fn number(self, path: &str) -> Option<u64> {
        let value = self.at(path)?;
        value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
    }

    /// A width or height.
    pub(crate) fn pixels(self, path: &str) -> Option<u32> {
        self.number(path).and_then(|pixels| u32::try_from(pixels).ok()).filter(|&pixels| pixels > 0)
    }

    /// A web address.
    pub(crate) fn url(self, path: &str) -> Option<Url> {
        web_address(self.at(path)?.as_str()?)
    }

    /// The members of a list; empty if there is no list.
    pub(crate) fn list(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        let list = self.at(path).and_then(Value::as_array);
        list.into_iter().flatten().take(LONGEST_LIST).map(Fields)
    }

    /// The values of an object; empty if there is no object.
    pub(crate) fn values(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        let object = self.at(path).and_then(Value::as_object);
        object.into_iter().flat_map(|object| object.values()).take(LONGEST_LIST).map(Fields)
    }
}
