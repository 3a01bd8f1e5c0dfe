//! Numbers as people type them.

/// A number that is one: `nan` and `inf` are not.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let number = text.trim().parse::<f64>().map_err(|error| error.to_string())?;
    if number.is_finite() { Ok(number) } else { Err("give a finite number".to_owned()) }
}

/// Seconds of a time such as `90`, `60s`, `2m` or `1.5h`.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3600.0),
        _ => (text, 1.0),
    };
    number(digits).map(|number| number * unit).map_err(|_| "give a time such as 60s, 2m or 1h".to_owned())
}

/// Bytes of a number of GiB such as `0.5`.
pub(crate) fn gibibytes(text: &str) -> Result<u64, String> {
    match number(text)? {
        gib if (0.0..1e6).contains(&gib) => Ok((gib * f64::from(1 << 30)) as u64),
        _ => Err("give a number of GiB from 0 up".to_owned()),
    }
}
