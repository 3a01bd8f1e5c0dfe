//! Fields of JSON that somebody else writes. In: a value in which anything may be missing or of another type. Out: texts
//! and numbers where there are some.

use serde_json::Value;
use url::Url;

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

    /// A text that is not empty; numbers become texts.
    pub(crate) fn text(self, path: &str) -> Option<String> {
        let text = match self.at(path)? {
            Value::String(text) => text.trim().to_owned(),
            Value::Number(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some(text)
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

    /// An address with a host.
    pub(crate) fn url(self, path: &str) -> Option<Url> {
        let text = self.text(path)?;
        // Some services leave the scheme out.
        let text = if text.starts_with("//") { format!("https:{text}") } else { text };
        Url::parse(&text).ok().filter(Url::has_host)
    }

    /// The members of a list; none if there is no list.
    pub(crate) fn list(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        self.at(path).and_then(Value::as_array).into_iter().flatten().map(Fields)
    }

    /// The values of an object; none if there is no object.
    pub(crate) fn values(self, path: &str) -> impl Iterator<Item = Fields<'v>> + use<'v> {
        self.at(path).and_then(Value::as_object).into_iter().flat_map(|object| object.values()).map(Fields)
    }
}
