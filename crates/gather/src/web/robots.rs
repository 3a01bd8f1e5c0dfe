//! What a host lets programs fetch. In: its robots.txt. Out: whether an address may be fetched, and how often.

use super::fetch::FetchFault;
use std::fmt;
use std::time::Duration;
use texting_robots::Robot;
use url::Url;

/// The name under which a robots.txt may speak to this program.
pub(crate) const NAME: &str = "sciurus-gather";

/// Bytes of a robots.txt that are read, as RFC 9309 demands at least.
pub(crate) const MAX_BYTES: u64 = 500 << 10;

/// Longest crawl delay that is obeyed by waiting; a host that wants a longer one is left alone.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The rules of one host.
pub(crate) enum Robots {
    /// There is no robots.txt, or it says nothing.
    Everything,
    /// What it says.
    Rules(Box<Robot>),
    /// It could not be read because the host fails; RFC 9309 forbids everything then.
    Nothing(FetchFault),
}

impl Robots {
    /// What a text says; one that cannot be understood forbids nothing.
    pub(crate) fn read(text: &[u8]) -> Self {
        Robot::new(NAME, text).map_or(Self::Everything, |robot| Self::Rules(Box::new(robot)))
    }

    /// Whether an address may be fetched.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Rules(robot) => robot.allowed(url.as_str()) && self.delay() <= Some(LONGEST_DELAY),
            Self::Nothing(_) => false,
        }
    }

    /// The time between two requests that it asks for.
    pub(crate) fn delay(&self) -> Option<Duration> {
        let Self::Rules(robot) = self else { return None };
        robot.delay.and_then(|seconds| Duration::try_from_secs_f32(seconds).ok())
    }
}

impl fmt::Debug for Robots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everything => "Everything",
            Self::Rules(_) => "Rules",
            Self::Nothing(_) => "Nothing",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_all_and_for_us_are_obeyed() {
        let rules = "User-agent: *\nDisallow: /private/\nCrawl-delay: 2\n\nUser-agent: sciurus-gather\nDisallow: /ours/\n";
        let robots = Robots::read(rules.as_bytes());
        let url = |path: &str| Url::parse(&format!("https://a.example{path}")).unwrap();
        assert!(!robots.allow(&url("/ours/a.jpg")) && robots.allow(&url("/private/a.jpg")));
        let robots = Robots::read(b"User-agent: *\nDisallow: /private/\nCrawl-delay: 2\n");
        assert!(!robots.allow(&url("/private/a.jpg")) && robots.allow(&url("/a.jpg?private=/private/")));
        assert_eq!(robots.delay(), Some(Duration::from_secs(2)));
        assert!(!Robots::read(b"User-agent: *\nCrawl-delay: 3600\n").allow(&url("/a.jpg")));
        assert!(Robots::read(b"<html>not found</html>").allow(&url("/a.jpg")));
    }
}
