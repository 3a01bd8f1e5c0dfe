//! What went wrong, in the words of the command line. In: an error of the library, which calls an option by its field. Out: its
//! text, with the flag in its place.

use sciurus::TrainSettings;

/// Options that are not settings of a training run.
const OTHERS: [&str; 11] = [
    "no_pretrained",
    "trust_state",
    "force",
    "into",
    "classes",
    "per_class",
    "min_size",
    "source",
    "page",
    "steps",
    "tta",
];

/// The text of an error. Options are flags here: `clip_norm` is `--clip-norm`.
pub(crate) fn told(error: &anyhow::Error) -> String {
    with_flags(format!("{error:#}"))
}

/// A text of the library with flags for the names of options.
pub(crate) fn with_flags(mut text: String) -> String {
    let options = TrainSettings::default().options().unwrap_or_default();
    let names = options.keys().map(String::as_str).chain(OTHERS);
    for name in names {
        let flag = flag(name);
        text = text.replace(&format!("`{name}`"), &flag);
        // An option out of its range stands at the beginning.
        if let Some(rest) = text.strip_prefix(name).filter(|rest| rest.starts_with(" is ")) {
            text = format!("{flag}{rest}");
        }
    }
    text
}

/// The flag of an option.
pub(crate) fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use sciurus::data::BadOption;

    use super::*;

    #[test]
    fn options_are_flags() {
        let bad = BadOption::new("clip_norm", -1, "choose a number above 0; see `learning_rate` too");
        let told = told(&sciurus::Error::from(bad).into());
        assert_eq!(told, "--clip-norm is -1; choose a number above 0; see --learning-rate too");
    }
}
