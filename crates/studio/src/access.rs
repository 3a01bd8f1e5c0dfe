//! Where a studio is, and the secret of who may use it. In: a folder and a port. Out: a listener, an address to open, and answers
//! to whether a host, a secret or a cookie is the right one.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use sciurus::data::fs::{forget_private, keep_private, read_private};
use serde::{Deserialize, Serialize};

/// Bytes of the secret.
const SECRET: usize = 24;

/// From where the studio can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// From this machine only.
    Machine,
    /// From every machine of its network. What is sent is not encrypted, so it is for networks whose users are trusted.
    Network,
}

/// Where the studio is, and who may use it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    port: u16,
    /// Addresses of this machine in its network, if it can be reached from there.
    #[serde(skip)]
    network: Vec<IpAddr>,
    /// In the address that is printed.
    token: String,
    /// In the cookie.
    secret: String,
    cookie: String,
    /// In an address that counts once.
    #[serde(skip)]
    once: Arc<Mutex<Option<String>>>,
}

impl Access {
    /// A new secret for an app at this port of this machine.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn local(port: u16) -> std::io::Result<Self> {
        // Cookies know no ports, so each studio of a machine has a name of its own for its cookie.
        let cookie = format!("sciurus-{}", &random()?[..8]);
        let (token, secret) = (random()?, random()?);
        Ok(Self { port, network: Vec::new(), token, secret, cookie, once: Arc::default() })
    }

    /// Listens for this folder on a port, 0 for any that is free.
    ///
    /// A studio that was killed leaves its port and its secret behind, in the user's own data folder. The next one on the same
    /// folder takes them up, so that pages which are still open go on. One that ends as it should [forgets](Self::forget) them.
    ///
    /// # Errors
    /// The port is taken, or the system has no random numbers.
    pub fn listen(folder: &Path, port: u16, reach: Reach) -> std::io::Result<(TcpListener, Self)> {
        let name = kept_name(folder);
        let kept = read_private(&name).and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let from = if reach == Reach::Machine { Ipv4Addr::LOCALHOST } else { Ipv4Addr::UNSPECIFIED };
        let at = |port| TcpListener::bind((from, port));
        let network = if reach == Reach::Machine { Vec::new() } else { addresses() };
        let kept = kept.filter(|kept| port == 0 || kept.port == port);
        if let Some(again) =
            kept.and_then(|kept| Some((at(kept.port).ok()?, Self { network: network.clone(), ..kept })))
        {
            return Ok(again);
        }
        let listener = at(port)?;
        let access = Self { network, ..Self::local(listener.local_addr()?.port())? };
        // Without it, pages have to be opened anew after a crash.
        let _ = serde_json::to_vec(&access).map(|bytes| keep_private(&name, &bytes));
        Ok((listener, access))
    }

    /// Leaves nothing behind for the next studio on a folder.
    pub fn forget(folder: &Path) {
        forget_private(&kept_name(folder));
    }

    /// The address to open in a browser.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}/?token={}", self.port, self.token)
    }

    /// The port that it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Addresses to open on other machines of the network; none if it can be reached from this machine only.
    #[must_use]
    pub fn network_addresses(&self) -> Vec<String> {
        let address = |ip: &IpAddr| format!("http://{ip}:{}/?token={}", self.port, self.token);
        self.network.iter().map(address).collect()
    }

    /// An address that opens the studio once. The program that starts a browser is given this one: everybody on the machine can
    /// read what a program was given.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub fn address_once(&self) -> std::io::Result<String> {
        let token = random()?;
        *self.once.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.clone());
        Ok(format!("http://127.0.0.1:{}/?token={token}", self.port))
    }

    /// Tells this studio from others, and from one before it.
    pub(crate) fn instance(&self) -> &str {
        &self.cookie
    }

    /// Whether a request's host is this studio: this machine, or an address of it in its network. Never another name, because
    /// anybody can point a name at an address.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        let known = |name: &str| host.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        let network = self.network.iter().map(ToString::to_string);
        let names = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned).into_iter().chain(network);
        let port = names.into_iter().find_map(|name| known(&name));
        port == Some(&*self.port.to_string())
    }

    /// Whether this lets somebody in. What counts once no longer does afterwards.
    pub(crate) fn is_token(&self, given: &str) -> bool {
        let mut once = self.once.lock().unwrap_or_else(PoisonError::into_inner);
        let is_once = once.as_deref().is_some_and(|token| same(given, token));
        if is_once {
            *once = None;
        }
        is_once || same(given, &self.token)
    }

    /// The cookie that holds the secret.
    pub(crate) fn cookie(&self) -> String {
        format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.secret)
    }

    /// Whether the secret is in a request's cookies.
    pub(crate) fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            all.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.any(|(name, value)| name == self.cookie && same(value, &self.secret))
    }
}

/// The addresses of this machine that others may reach, those of private networks first.
fn addresses() -> Vec<IpAddr> {
    let all = if_addrs::get_if_addrs().unwrap_or_default().into_iter().map(|interface| interface.ip());
    let mut all: Vec<Ipv4Addr> = all
        .filter_map(|ip| match ip {
            IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local() => Some(ip),
            _ => None,
        })
        .collect();
    all.sort_by_key(|ip| (!ip.is_private(), *ip));
    all.into_iter().map(IpAddr::V4).collect()
}

fn random() -> std::io::Result<String> {
    let mut bytes = [0; SECRET];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Comparing hashes takes the same time wherever the first difference is.
fn same(given: &str, secret: &str) -> bool {
    blake3::hash(given.as_bytes()) == blake3::hash(secret.as_bytes())
}

/// Where the port and the secret for a folder are kept.
fn kept_name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    format!("studio-{}.json", &blake3::hash(folder.as_os_str().as_encoded_bytes()).to_hex()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_a_host_unless_its_network_is_let_in() {
        let access = Access::local(8080).unwrap();
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080"] {
            assert!(access.is_host(host), "{host}");
        }
        let network = "192.168.1.20".parse().unwrap();
        for host in
            ["127.0.0.1", "127.0.0.1:8081", "192.168.1.20:8080", "evil.example:8080", "127.0.0.1:8080:80"]
        {
            assert!(!access.is_host(host), "{host}");
        }
        let open = Access { network: vec![network], ..access };
        assert!(open.is_host("192.168.1.20:8080") && open.is_host("localhost:8080"));
        assert!(!open.is_host("192.168.1.21:8080") && !open.is_host("evil.example:8080"));
        assert!(open.network_addresses()[0].starts_with("http://192.168.1.20:8080/?token="));
    }
}
