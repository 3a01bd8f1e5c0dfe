//! Where a studio is, and the secret of who may use it. In: a folder and a port. Out: a listener, an address to open, and answers
//! to whether a host, a secret or a cookie is the right one.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, header};
use sciurus::data::fs::{forget_private, keep_private, read_private};
use serde::{Deserialize, Serialize};

/// Bytes of the secret.
const SECRET: usize = 24;

/// Where the studio is, and who may use it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Access {
    port: u16,
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
        Ok(Self { port, token: random()?, secret: random()?, cookie, once: Arc::default() })
    }

    /// Listens for this folder on a port of this machine, 0 for any that is free.
    ///
    /// A studio that was killed leaves its port and its secret behind, in the user's own data folder. The next one on the same
    /// folder takes them up, so that pages which are still open go on. One that ends as it should [forgets](Self::forget) them.
    ///
    /// # Errors
    /// The port is taken, or the system has no random numbers.
    pub fn listen(folder: &Path, port: u16) -> std::io::Result<(TcpListener, Self)> {
        let name = kept_name(folder);
        let kept = read_private(&name).and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let kept = kept.filter(|kept| port == 0 || kept.port == port);
        if let Some(again) = kept.and_then(|kept| Some((at(kept.port).ok()?, kept))) {
            return Ok(again);
        }
        let listener = at(port)?;
        let access = Self::local(listener.local_addr()?.port())?;
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

    /// Whether a request's host is this studio.
    pub(crate) fn is_host(&self, host: &str) -> bool {
        let known = |name: &str| host.strip_prefix(name).and_then(|rest| rest.strip_prefix(':'));
        let port = ["127.0.0.1", "localhost", "[::1]"].into_iter().find_map(known);
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
