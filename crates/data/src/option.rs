//! The one error for an option with a value that can't be used.

/// An option with a value that can't be used. The library names it by its field, which is also its key in a settings
/// file; the command line shows the flag instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} is {value}; {advice}")]
pub struct BadOption {
    /// The option, by the name of its field.
    pub option: &'static str,
    /// The value it was given.
    pub value: String,
    /// What to do instead, as an instruction: "choose 1 or more".
    pub advice: &'static str,
}

impl BadOption {
    /// An option with a value that can't be used.
    #[allow(clippy::needless_pass_by_value, reason = "numbers and texts are given as they are")]
    pub fn new(option: &'static str, value: impl ToString, advice: &'static str) -> Self {
        Self { option, value: value.to_string(), advice }
    }

    /// Fails unless the value can be used.
    ///
    /// # Errors
    /// `is_valid` is false.
    #[allow(clippy::fn_params_excessive_bools, reason = "a fact about the value, not a way to behave")]
    pub fn check(
        option: &'static str,
        value: impl ToString,
        is_valid: bool,
        advice: &'static str,
    ) -> Result<(), Self> {
        if is_valid { Ok(()) } else { Err(Self::new(option, value, advice)) }
    }

    /// Fails if the option is given and its value can't be used.
    ///
    /// # Errors
    /// There is a value, and `is_valid` says no to it.
    pub fn check_given<T: ToString + Copy>(
        option: &'static str,
        value: Option<T>,
        is_valid: impl FnOnce(T) -> bool,
        advice: &'static str,
    ) -> Result<(), Self> {
        value.map_or(Ok(()), |value| Self::check(option, value, is_valid(value), advice))
    }

    /// Refuses the first part of an option that is wrong: its name, its value, and whether it's right.
    ///
    /// # Errors
    /// If a part is wrong.
    pub fn check_parts(
        option: &'static str,
        parts: &[(&str, f64, bool)],
        advice: &'static str,
    ) -> Result<(), Self> {
        let wrong = parts.iter().find(|(.., is_right)| !is_right);
        wrong
            .map_or(Ok(()), |(name, value, _)| Err(Self::new(option, format_args!("{name} {value}"), advice)))
    }
}
