//! What a host lets programs download. In: its robots.txt. Out: whether an address may be downloaded, and how often.
//!
//! Source: RFC 9309, with what most crawlers add: `Crawl-delay`, and keys misspelt in the usual ways. Every line that
//! can be read counts, whatever is around it. The file is untrusted, so matching a rule takes time proportional to its
//! length only.

use super::fault::FetchFault;
use std::time::Duration;
use url::{Position, Url};

/// The name under which a robots.txt may address this program.
pub(crate) const NAME: &str = "sciurus-gather";

/// Most bytes of a robots.txt that are read: the least that RFC 9309 requires. The rest is ignored.
pub(crate) const MAX_BYTES: usize = 500 << 10;

/// Longest crawl delay that is obeyed by waiting; a host that asks for more isn't used.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// The rules of one host.
#[derive(Debug)]
pub(crate) enum Robots {
    /// There is no robots.txt, or it says nothing.
    Everything,
    /// What it says about this program.
    Rules(Rules),
    /// It could not be read because the host fails; RFC 9309 then forbids everything.
    Nothing(FetchFault),
}

/// The rules for one program.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: Vec<Rule>,
    delay: Option<Duration>,
}

#[derive(Debug)]
struct Rule {
    pattern: Vec<u8>,
    allows: bool,
}

impl Robots {
    /// Parses a text; lines that can't be understood are ignored.
    pub(crate) fn read(text: &[u8]) -> Self {
        Self::Rules(rules(whole_lines(text)))
    }

    /// Whether an address may be downloaded.
    pub(crate) fn allow(&self, url: &Url) -> bool {
        match self {
            Self::Everything => true,
            Self::Rules(rules) => {
                rules.delay <= Some(LONGEST_DELAY) && rules.allow(&url[Position::BeforePath..])
            }
            Self::Nothing(_) => false,
        }
    }

    /// The time between two requests that it asks for, if that is short enough to wait.
    pub(crate) fn delay(&self) -> Option<Duration> {
        let Self::Rules(rules) = self else { return None };
        rules.delay.filter(|&delay| delay <= LONGEST_DELAY)
    }
}

impl Rules {
    /// The longest matching rule decides; of two equally long ones, the one that allows.
    fn allow(&self, path: &str) -> bool {
        let path = path.split('#').next().unwrap_or_default();
        let path = canonical(path.as_bytes(), In::Address);
        let fitting = self.rules.iter().filter(|rule| rule.fits(&path));
        let longest = fitting.max_by_key(|rule| (rule.pattern.len(), rule.allows));
        path == b"/robots.txt" || longest.is_none_or(|rule| rule.allows)
    }
}

impl Rule {
    /// `*` matches anything, and `$` at the end matches the end.
    fn fits(&self, path: &[u8]) -> bool {
        let (pattern, ends) = match self.pattern.strip_suffix(b"$") {
            Some(pattern) => (pattern, true),
            None => (self.pattern.as_slice(), false),
        };
        let mut parts = pattern.split(|&byte| byte == b'*');
        let Some(mut rest) = path.strip_prefix(parts.next().unwrap_or_default()) else { return false };
        let parts: Vec<&[u8]> = parts.collect();
        let Some((last, amid)) = parts.split_last() else { return !ends || rest.is_empty() };
        for part in amid {
            let Some(place) = find(rest, part) else { return false };
            rest = &rest[place + part.len()..];
        }
        if ends { rest.ends_with(last) } else { find(rest, last).is_some() }
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    if part.is_empty() { Some(0) } else { text.windows(part.len()).position(|window| window == part) }
}

/// The part of a long text that counts: its lines up to the limit.
fn whole_lines(text: &[u8]) -> &[u8] {
    let Some(read) = text.get(..MAX_BYTES).filter(|read| read.len() < text.len()) else { return text };
    let end = read.iter().rposition(|&byte| is_line_end(byte)).unwrap_or(0);
    &read[..end]
}

/// Some hosts have NUL bytes between their lines.
fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r' | 0)
}

/// One line that means something.
enum Line<'t> {
    Agent(&'t [u8]),
    Rule { pattern: &'t [u8], allows: bool },
    Delay(Duration),
}

/// The rules for this program: those of the groups that name it, else of the groups for all.
fn rules(text: &[u8]) -> Rules {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines: Vec<Line<'_>> = text.split(|&byte| is_line_end(byte)).filter_map(line).collect();
    let is_agent =
        |line: &Line<'_>, wanted: Agent| matches!(line, Line::Agent(name) if agent(name) == wanted);
    let wanted = if lines.iter().any(|line| is_agent(line, Agent::Us)) { Agent::Us } else { Agent::All };
    let mut rules = Rules::default();
    // If there are no groups, the rules apply to all. A delay before the first group does too.
    let mut in_group = !lines.iter().any(|line| matches!(line, Line::Agent(_)));
    let (mut in_names, mut above, mut above_delay) = (false, true, None);
    for line in lines {
        match line {
            Line::Agent(name) => {
                in_group = (in_names && in_group) || agent(name) == wanted;
                (in_names, above) = (true, false);
                continue;
            }
            Line::Rule { pattern, allows } if in_group => {
                rules.rules.push(Rule { pattern: canonical(pattern, In::Rule), allows });
            }
            Line::Delay(delay) if in_group => rules.delay = rules.delay.or(Some(delay)),
            Line::Delay(delay) if above => above_delay = Some(delay),
            _ => {}
        }
        in_names = false;
    }
    rules.delay = rules.delay.or(above_delay);
    rules
}

/// Who a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agent {
    Us,
    All,
    Another,
}

/// A name counts up to the first character that can't be part of one, such as before a version.
fn agent(name: &[u8]) -> Agent {
    let is_part = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    let end = name.iter().position(|byte| !is_part(byte)).unwrap_or(name.len());
    match name {
        [b'*'] | [b'*', b' ' | b'\t', ..] => Agent::All,
        _ if name[..end].eq_ignore_ascii_case(NAME.as_bytes()) => Agent::Us,
        _ => Agent::Another,
    }
}

/// A key, a colon or white space, and a value; the rest is a comment.
fn line(line: &[u8]) -> Option<Line<'_>> {
    let line = line.split(|&byte| byte == b'#').next()?.trim_ascii();
    let colon = line.iter().position(|&byte| byte == b':');
    let blank = line.iter().position(u8::is_ascii_whitespace);
    // `User agent: x` has a space in its key, `Disallow /x: y` a colon in its value.
    let ends = [colon, blank].into_iter().flatten();
    ends.into_iter().find_map(|end| said(&line[..end], line[end + 1..].trim_ascii()))
}

/// What a key means with its value.
fn said<'t>(key: &[u8], value: &'t [u8]) -> Option<Line<'t>> {
    let key: Vec<u8> =
        key.iter().filter(|byte| byte.is_ascii_alphabetic()).map(u8::to_ascii_lowercase).collect();
    let allows = match key.as_slice() {
        b"useragent" => return Some(Line::Agent(value)),
        b"crawldelay" => {
            let seconds = str::from_utf8(value).ok()?.parse().ok().filter(|&seconds: &f32| seconds >= 0.0)?;
            // A delay that is too long for a `Duration` is too long to wait for.
            return Some(Line::Delay(Duration::try_from_secs_f32(seconds).unwrap_or(Duration::MAX)));
        }
        b"allow" => true,
        b"disallow" | b"dissallow" | b"dissalow" | b"disalow" | b"diasllow" | b"disallaw" => false,
        _ => return None,
    };
    // A rule without a value says nothing.
    (!value.is_empty()).then_some(Line::Rule { pattern: value, allows })
}

/// Whether a path is from a rule or an address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Rule,
    Address,
}

/// A path in its canonical form, in which paths are compared. Percent-encodes everything that isn't a letter, a digit
/// or a mark of addresses, and the marks of rules where they stand for themselves.
fn canonical(path: &[u8], place: In) -> Vec<u8> {
    let mut written = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        let encoded = match after {
            [high, low, ..] if *byte == b'%' => hex(*high).zip(hex(*low)).map(|(high, low)| 16 * high + low),
            _ => None,
        };
        if encoded.is_some() {
            rest = &after[2..];
        }
        let is_mark = *byte == b'*' || (*byte == b'$' && rest.is_empty());
        let stays = match encoded {
            Some(byte) => is_unreserved(byte),
            None if place == In::Rule && is_mark => true,
            None => byte.is_ascii_graphic() && !b"\"<>`{}^|\\*$".contains(byte),
        };
        match (stays, encoded.unwrap_or(*byte)) {
            (true, byte) => written.push(byte),
            (false, byte) => written.extend(format!("%{byte:02X}").bytes()),
        }
    }
    written
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(robots: &str, path: &str) -> bool {
        Robots::read(robots.as_bytes()).allow(&Url::parse(&format!("https://a.example{path}")).unwrap())
    }

    #[test]
    fn rules_for_all_and_for_us_are_obeyed() {
        let rules = "User-agent: *\nDisallow: /private/\nCrawl-delay: 2\n\nUser-agent: sciurus-gather\nDisallow: /ours/\n";
        assert!(!allows(rules, "/ours/a.jpg") && allows(rules, "/private/a.jpg"));
        let robots = "User-agent: *\nDisallow: /private/\nCrawl-delay: 2\n";
        assert!(!allows(robots, "/private/a.jpg") && allows(robots, "/a.jpg?private=/private/"));
        assert_eq!(Robots::read(robots.as_bytes()).delay(), Some(Duration::from_secs(2)));
        assert!(allows("<html>not found</html>", "/a.jpg"));
        for delay in ["3600", "1e30", "inf"] {
            let robots = format!("User-agent: *\nCrawl-delay: {delay}\n");
            assert!(!allows(&robots, "/a.jpg"), "{delay}");
            assert_eq!(Robots::read(robots.as_bytes()).delay(), None, "{delay}");
        }
        assert!(allows("User-agent: *\nCrawl-delay: soon\nCrawl-delay: -1\nCrawl-delay: nan", "/a.jpg"));
    }

    #[test]
    fn groups_and_names_are_told_apart() {
        let two =
            "User-agent: a\nUser-agent: SCIURUS-GATHER/2.0\nDisallow: /x\n\nUser-agent: b\nDisallow: /y\n";
        assert!(!allows(two, "/x") && allows(two, "/y"));
        let again = "User-agent: sciurus-gather\nDisallow: /x\nUser-agent: *\nDisallow: /y\nUseragent: sciurus-gather\nDisallow: /z";
        assert!(!allows(again, "/x") && allows(again, "/y") && !allows(again, "/z"));
        assert!(allows("User-agent: sciurus\nDisallow: /\nUser-agent: sciurus-gatherer\nDisallow: /", "/x"));
        assert!(!allows("\u{feff}user agent : *\r\nDISALLOW /x # comment\r\n", "/x"));
        assert!(!allows("Disallow: /x", "/x") && allows("User-agent: b\nDisallow: /\n", "/x"));
        assert_eq!(
            Robots::read(b"Crawl-delay: 3\nUser-agent: b\nAllow: /").delay(),
            Some(Duration::from_secs(3))
        );
        assert!(!allows("User-agent: *\nSitemap: https://a.example/s.xml\nDisallow: /x\n", "/x"));
    }

    #[test]
    fn the_longest_rule_that_fits_decides() {
        let rules = |rules: &str, path: &str| allows(&format!("User-agent: *\n{rules}"), path);
        assert!(
            rules("Disallow: /a\nAllow: /a/b\n", "/a/b/c") && !rules("Disallow: /a\nAllow: /a/b\n", "/a/c")
        );
        assert!(rules("Disallow: /a\nAllow: /a\n", "/a"));
        assert!(rules("Disallow:\n", "/a") && !rules("Disallow:\nDisallow: /\n", "/a"));
        assert!(!rules("Disallow: /*.gif$\n", "/a.gif") && rules("Disallow: /*.gif$\n", "/a.gif?b"));
        assert!(!rules("Disallow: *a*b*c\n", "/xaybzc/d") && rules("Disallow: *a*b*c\n", "/xaycb"));
        assert!(rules("Disallow: /a*a$\n", "/a") && !rules("Disallow: /a*a$\n", "/aa"));
        assert!(!rules("Disallow: /fish*.php\n", "/fishheads/catfish.php?id=1"));
        assert!(rules("Disallow: /\n", "/robots.txt") && rules("Disallow: a\n", "/a"));
    }

    #[test]
    fn however_a_letter_is_written_it_is_the_same() {
        for (rule, path) in [
            ("/ö", "/%C3%B6"),
            ("/%c3%b6", "/ö"),
            ("/%7Ejoe", "/~joe"),
            ("/a b", "/a%20b"),
            ("/a%2fb", "/a%2Fb"),
            ("/a{b}", "/a{b}"),
            ("/a%2Ab", "/a*b"),
            ("/a$b", "/a$b"),
        ] {
            assert!(!allows(&format!("User-agent: *\nDisallow: {rule}"), path), "{rule} {path}");
        }
        assert!(allows("User-agent: *\nDisallow: /a%2fb", "/a/b"));
        assert!(allows("User-agent: *\nDisallow: /a%2Ab", "/axb"));
    }

    #[test]
    fn of_a_long_text_the_beginning_counts() {
        let long = format!("User-agent: *\nDisallow: /x\n{}Disallow: /y\n", "# more\n".repeat(MAX_BYTES / 7));
        assert!(!allows(&long, "/x") && allows(&long, "/y"));
        // A rule that is cut short would mean something else.
        let head = "User-agent: *\nDisallow: /x\n";
        let cut = format!("{head}#{}\nDisallow: /public/private\n", "-".repeat(MAX_BYTES - head.len() - 20));
        assert!(!allows(&cut, "/x") && allows(&cut, "/public/a.jpg"));
        let whole = format!("User-agent: *\n#{}\nDisallow: /x", "-".repeat(MAX_BYTES - 28));
        assert_eq!(whole.len(), MAX_BYTES);
        assert!(!allows(&whole, "/x"));
    }
}
