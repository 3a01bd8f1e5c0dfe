//! When to try again. In: the headers of a response, and how often it was tried. Out: pauses.

use rand::RngExt;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use sciurus_data::Rng;
use std::time::{Duration, SystemTime};

/// How long a response asks to wait: `Retry-After` in seconds or as a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// How long to wait because the request limit is used up: a header such as `X-RateLimit-Remaining: 0` or Openverse's
/// `X-RateLimit-Available-anon_burst: 0`, until the reset that another header states.
pub(crate) fn used_up(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let named = |marks: &'static [&'static str]| {
        headers.iter().filter(move |(name, _)| {
            let name = name.as_str();
            name.contains("ratelimit") && marks.iter().any(|mark| name.contains(mark))
        })
    };
    let number = |value: &reqwest::header::HeaderValue| value.to_str().ok()?.trim().parse::<f64>().ok();
    let empty = named(&["remaining", "available"]).any(|(_, value)| number(value) == Some(0.0));
    if !empty {
        return None;
    }
    let reset = named(&["reset"]).find_map(|(_, value)| number(value));
    Some(reset.map_or(PERIOD, |reset| until(reset, now)))
}

/// How long to wait if no header says: most limits are per minute.
const PERIOD: Duration = Duration::from_secs(60);

/// A reset is given in seconds from now or, if the number is large, in seconds since 1970.
fn until(reset: f64, now: SystemTime) -> Duration {
    let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let seconds = if reset > 1e9 { reset - since } else { reset };
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(PERIOD).min(LONGEST)
}

/// A wait that outlasts every run; a longer one could overflow when added to a time.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// The pause before attempt 1, 2, … after the first: doubled each time, and drawn between half and all of that, so that
/// programs that failed together don't come back together.
pub(crate) fn back_off(pause: Duration, attempt: u32, rng: &mut Rng) -> Duration {
    let longest = pause.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    longest.mul_f64(rng.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sciurus_data::Seed;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|&(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn waits_are_read_as_seconds_and_as_dates() {
        let now = httpdate::parse_http_date("Tue, 24 Nov 2026 12:00:00 GMT").unwrap();
        let read = |value| retry_after(&headers(&[("retry-after", value)]), now);
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("Tue, 24 Nov 2026 12:01:30 GMT"), Some(Duration::from_secs(90)));
        assert_eq!(read("Tue, 24 Nov 2026 11:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
        assert_eq!(read("18446744073709551615"), Some(LONGEST));
    }

    #[test]
    fn used_up_limits_are_waited_for() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let wait = |pairs: &[(&'static str, &str)]| used_up(&headers(pairs), now).map(|wait| wait.as_secs());
        assert_eq!(wait(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-reset", "9")]), None);
        assert_eq!(wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9")]), Some(9));
        assert_eq!(wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1800000030")]), Some(30));
        assert_eq!(wait(&[("x-ratelimit-available-anon_burst", "0")]), Some(60));
        assert_eq!(wait(&[("x-ratelimit-limit", "0")]), None);
        for reset in ["18000000000000000000", "1e19", "inf", "nan", "-1"] {
            let rest = wait(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", reset)]).unwrap();
            assert!(rest <= LONGEST.as_secs(), "{reset}: {rest}");
        }
    }

    #[test]
    fn pauses_grow_and_are_not_the_same_for_all() {
        let (mut one, mut other) = (Seed(1).rng(&[0]), Seed(2).rng(&[0]));
        let second = Duration::from_secs(1);
        for attempt in 1..6 {
            let (a, b) = (back_off(second, attempt, &mut one), back_off(second, attempt, &mut other));
            let longest = second * 2_u32.pow(attempt - 1);
            assert!(a != b && a >= longest / 2 && a <= longest, "{attempt}: {a:?}");
        }
    }
}
