//! Reads the settings of earlier versions. In: the options of a `config.toml` or `run.json`. Out: the same options under this
//! version's names.

use sciurus_data::{DataSettings, Labeler, Splitter};
use serde_json::{Map, Value};

/// Options renamed in 0.2.0: old name, new name.
const RENAMED: [(&str, &str); 4] = [
    ("group_pattern", "group"),
    ("resize_method", "resize"),
    ("augmentation", "augment"),
    ("budget_seconds", "time_budget"),
];

/// Gives options of 0.1.0 their present names. Invalid values stay in place; the caller will refuse them.
pub(super) fn upgrade(options: &mut Map<String, Value>) {
    for (old, new) in RENAMED {
        if let Some(value) = options.remove(old) {
            options.entry(new).or_insert(value);
        }
    }
    if let Some(network) = options.remove("network") {
        options.insert("offline".to_owned(), Value::Bool(network == "forbidden"));
    }
    let mut data = DataSettings::default();
    if let Some(labeler) = take::<Labeler>(options, "labels") {
        data.set_labeler(labeler);
    }
    if let Some(splitter) = take::<Option<Splitter>>(options, "splitter").flatten() {
        data.set_splitter(splitter);
    }
    if let (Ok(Value::Object(named)), Ok(Value::Object(defaults))) =
        (serde_json::to_value(&data), serde_json::to_value(DataSettings::default()))
    {
        options.extend(named.into_iter().filter(|(name, value)| defaults.get(name) != Some(value)));
    }
}

/// Removes and returns an option, if its value has this type.
fn take<T: serde::de::DeserializeOwned>(options: &mut Map<String, Value>, name: &str) -> Option<T> {
    let value = T::deserialize(options.get(name)?).ok()?;
    options.remove(name);
    Some(value)
}
