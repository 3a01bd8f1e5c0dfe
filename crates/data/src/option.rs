//! The one error for an option whose value cannot be used.

/// An option whose value cannot be used. The library calls it by the name of its field, which is also its key in a file of
/// settings; the command line shows the flag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} is {value}; {advice}")]
pub struct BadOption {
    /// The option, as its field is called.
    pub option: &'static str,
    /// The value that was given.
    pub value: String,
    /// What to choose instead, as a command: "choose 1 or more".
    pub advice: &'static str,
}

impl BadOption {
    /// An option with a value that cannot be used.
    pub fn new(option: &'static str, value: impl ToString, advice: &'static str) -> Self {
        Self { option, value: value.to_string(), advice }
    }

    /// An error unless the value can be used.
    ///
    /// # Errors
    ///
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
}
