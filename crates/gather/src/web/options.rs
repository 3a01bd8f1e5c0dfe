//! How the network may be used. In: the user's settings. Out: [`WebOptions`], with polite defaults.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the network may be used.
///
/// | Name | Default | Meaning | Range |
/// |---|---|---|---|
/// | `contact` | none | an address or page where a service's operators can reach you; part of the User-Agent, where Wikimedia requires one | any |
/// | `connect_timeout` | 10 s | to establish a connection | above 0 |
/// | `search_timeout` | 30 s | for one request to a source | above 0 |
/// | `file_timeout` | 30 s | for one photo, including redirects | above 0 |
/// | `file_bytes` | 32 MiB | largest photo; downloading stops there | above 0 |
/// | `page_bytes` | 16 MiB | largest response of a source | above 0 |
/// | `redirects` | 5 | most redirects of one photo | any |
/// | `attempts` | 3 | how often a source is asked for one page | 1 or more |
/// | `pause` | 1 s | before the second attempt; doubles with each further one, and is drawn between half and all of that | any |
/// | `longest_wait` | 30 s | a source or host that asks to wait longer is given up | any |
/// | `per_host` | 6 | photos downloaded from one host at a time | 1 or more |
/// | `per_second` | 20 | photos downloaded from one host per second, unless its robots.txt asks for fewer | 1 or more |
/// | `at_a_time` | 32 | photos on their way from all hosts | 1 or more |
/// | `allow_private_hosts` | none | names or IP addresses of hosts that photos may come from although they aren't on the public internet | any |
/// | `proxy` | none | address of a proxy for all requests, which then also resolves the names of photos' hosts | a URL |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the table says it")]
pub struct WebOptions {
    pub contact: Option<String>,
    pub connect_timeout: Duration,
    pub search_timeout: Duration,
    pub file_timeout: Duration,
    pub file_bytes: u64,
    pub page_bytes: u64,
    pub redirects: u32,
    pub attempts: u32,
    pub pause: Duration,
    pub longest_wait: Duration,
    pub per_host: usize,
    pub per_second: u32,
    pub at_a_time: usize,
    pub allow_private_hosts: Vec<String>,
    pub proxy: Option<String>,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            contact: None,
            connect_timeout: Duration::from_secs(10),
            search_timeout: Duration::from_secs(30),
            file_timeout: Duration::from_secs(30),
            file_bytes: 32 << 20,
            page_bytes: 16 << 20,
            redirects: 5,
            attempts: 3,
            pause: Duration::from_secs(1),
            longest_wait: Duration::from_secs(30),
            per_host: 6,
            per_second: 20,
            at_a_time: 32,
            allow_private_hosts: Vec::new(),
            proxy: None,
        }
    }
}

impl WebOptions {
    /// `sciurus-gather/VERSION (contact)`.
    pub(crate) fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact given");
        // Control characters aren't allowed in a header.
        let contact: String = contact.chars().filter(|c| matches!(c, ' '..='~')).collect();
        format!("sciurus-gather/{} ({contact})", env!("CARGO_PKG_VERSION"))
    }
}
