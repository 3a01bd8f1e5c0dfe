//! Downloads a file over HTTPS: resumes where it broke off, retries, and keeps the file only if its hash is right.

use std::fmt::Display;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use ureq::http::{Response, StatusCode, header};
use ureq::{Agent, Body};

use crate::Error;

/// The progress of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes received so far, in this call and in earlier ones.
    pub received: u64,
    /// Bytes in total, if the server says so.
    pub total: Option<u64>,
}

/// After an attempt that brought at least this much, the retries are counted from the start again.
const HEADWAY: u64 = 1 << 20;
/// Longest pause that a server may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often a process that waits for another process's download checks it.
const LOOK: Duration = Duration::from_millis(200);

/// A file to fetch.
///
/// What arrives is kept beside the target as `.NAME.part`; a later call continues where it ends. Two processes that want the
/// same file wait for each other.
///
/// | Name | Default | Meaning |
/// |---|---|---|
/// | `mirrors` | none | other addresses of the same file, tried first, in order |
/// | `pauses` | 1, 2 and 4 s | pauses between attempts at an address; their number is the number of retries |
/// | `max_bytes` | 2 GiB | a larger file cannot be the right one, and the download stops |
/// | `silence` | 60 s | a connection that brings nothing for so long counts as broken |
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    url: String,
    sha256: String,
    target: PathBuf,
    mirrors: Vec<String>,
    pauses: Vec<Duration>,
    max_bytes: u64,
    connecting: Duration,
    answering: Duration,
    silence: Duration,
}

impl Download {
    /// The file at `url` whose SHA-256 (lower-case hex) is `sha256`, as `target`.
    pub fn new(url: impl Into<String>, sha256: impl Into<String>, target: impl Into<PathBuf>) -> Self {
        let (url, sha256, target) = (url.into(), sha256.into(), target.into());
        Self {
            url,
            sha256,
            target,
            mirrors: Vec::new(),
            pauses: [1, 2, 4].map(Duration::from_secs).to_vec(),
            max_bytes: 2 << 30,
            connecting: Duration::from_secs(20),
            answering: Duration::from_secs(60),
            silence: Duration::from_secs(60),
        }
    }

    /// Other addresses of the same file, tried first, in order.
    #[must_use]
    pub fn mirrors(mut self, urls: Vec<String>) -> Self {
        self.mirrors = urls;
        self
    }

    /// Pauses between attempts at an address.
    #[must_use]
    pub fn pauses(mut self, pauses: Vec<Duration>) -> Self {
        self.pauses = pauses;
        self
    }

    /// The largest file that is accepted.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long a connection may bring nothing.
    #[must_use]
    pub fn silence(mut self, longest: Duration) -> Self {
        self.silence = longest;
        self
    }

    /// Tries each address once, and gives up on one that isn't there within seconds: for those who can do without the file.
    #[must_use]
    pub(super) fn quick(mut self) -> Self {
        self.pauses = Vec::new();
        self.connecting = Duration::from_secs(3);
        self.answering = Duration::from_secs(5);
        self.silence = Duration::from_secs(10);
        self
    }

    /// Downloads the file. It appears under its name only when complete and right; a wrong file is removed. While another
    /// process downloads it, `progress` receives that process's progress.
    ///
    /// # Errors
    /// All addresses fail, the disk fails, or the hash is wrong.
    pub fn run(&self, progress: &mut dyn FnMut(DownloadProgress)) -> Result<(), Error> {
        let folder = self.target.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
        let lock = self.lock(progress)?;
        // Some network drives don't support locks. Two processes then download the file twice, each under its own name.
        let part = match lock {
            Some(_) => self.beside("part"),
            None => self.beside(&format!("{}.part", std::process::id())),
        };
        // Another process may have downloaded it while this one waited.
        if self.target.is_file() && sha256(&self.target)? == self.sha256 {
            return Ok(());
        }
        let mut last = None;
        for url in self.mirrors.iter().chain([&self.url]) {
            match self.from(url, &part, progress) {
                Ok(()) => return Ok(()),
                // Another address does not help against a full disk.
                Err(error @ Error::Io { .. }) => return Err(error),
                Err(error) => last = Some(error),
            }
        }
        last.map_or(Ok(()), Err)
    }

    /// Downloads the file from one address.
    fn from(&self, url: &str, part: &Path, progress: &mut dyn FnMut(DownloadProgress)) -> Result<(), Error> {
        let goes_on = length(part) > 0;
        let found = self.complete(url, part, progress).and_then(|()| sha256(part));
        let found = match found {
            // The part from an earlier call may belong to another version of the file, so start again without it.
            Ok(found) if found != self.sha256 && goes_on => {
                remove(part)?;
                self.complete(url, part, progress).and_then(|()| sha256(part))
            }
            found => found,
        };
        if length(part) == 0 {
            // An empty part is useless for a later call.
            let _ = std::fs::remove_file(part);
        }
        let found = found?;
        if found != self.sha256 {
            remove(part)?;
            return Err(Error::WrongHash { url: url.to_owned(), expected: self.sha256.clone(), found });
        }
        std::fs::rename(part, &self.target).map_err(|source| Error::io(&self.target, source))
    }

    /// Tries until the part is complete, or all retries are used up without progress.
    fn complete(
        &self,
        url: &str,
        part: &Path,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<(), Error> {
        let mut pauses = self.pauses.iter();
        loop {
            let before = length(part);
            let (reason, asked) = match self.attempt(url, part, progress) {
                Ok(()) => return Ok(()),
                Err(Failure::Disk(error)) => return Err(error),
                Err(Failure::Final(reason)) => return Err(failed(url, reason)),
                Err(Failure::Passing { reason, pause }) => (reason, pause),
            };
            if length(part) >= before + HEADWAY {
                pauses = self.pauses.iter();
            }
            let Some(pause) = pauses.next() else {
                let tried = match self.pauses.len() {
                    0 => String::new(),
                    pauses => format!(" (tried {} times)", pauses + 1),
                };
                return Err(failed(url, format!("{reason}{tried}")));
            };
            std::thread::sleep(asked.map_or(*pause, |asked| asked.min(LONGEST_PAUSE)));
        }
    }

    /// Waits until no other process downloads the file; returns `None` if the drive does not support locks.
    fn lock(&self, progress: &mut dyn FnMut(DownloadProgress)) -> Result<Option<File>, Error> {
        let path = self.beside("lock");
        let failed = |source| Error::io(&path, source);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Some(file)),
                Err(TryLockError::WouldBlock) => {
                    progress(DownloadProgress { received: length(&self.beside("part")), total: None });
                    std::thread::sleep(LOOK);
                }
                Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
    }

    /// Requests what the part lacks once, and appends it.
    fn attempt(
        &self,
        url: &str,
        part: &Path,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<(), Failure> {
        let mut request = self.agent().get(url);
        let have = length(part);
        if have > 0 {
            request = request.header(header::RANGE, format!("bytes={have}-"));
        }
        let mut response = request.call().map_err(|error| refused(&error))?;
        let (start, total) = match response.status() {
            StatusCode::OK => (0, response.body().content_length()),
            StatusCode::PARTIAL_CONTENT => match content_range(&response) {
                Some((Some(start), total)) if start == have => (start, total),
                _ => return start_again(part, "the server sent a different part than the one requested"),
            },
            StatusCode::RANGE_NOT_SATISFIABLE if content_range(&response) == Some((None, Some(have))) => {
                return Ok(());
            }
            StatusCode::RANGE_NOT_SATISFIABLE => return start_again(part, "the server has a shorter file"),
            status => return Err(refusal(status, &response)),
        };
        self.append(&mut response, part, DownloadProgress { received: start, total }, progress)
    }

    /// Appends a response's body to the first `place.received` bytes of the part.
    fn append(
        &self,
        response: &mut Response<Body>,
        part: &Path,
        mut place: DownloadProgress,
        progress: &mut dyn FnMut(DownloadProgress),
    ) -> Result<(), Failure> {
        let disk = |source| Failure::Disk(Error::io(part, source));
        let mut options = OpenOptions::new();
        let mut file = match place.received {
            0 => options.write(true).create(true).truncate(true).open(part),
            _ => options.append(true).open(part),
        }
        .map_err(disk)?;
        // ureq's own limit is off: the one below also counts what earlier requests brought.
        let mut body = response.body_mut().with_config().limit(u64::MAX).reader();
        let mut block = vec![0; 1 << 16];
        loop {
            if place.total.unwrap_or(0).max(place.received) > self.max_bytes {
                remove(part).map_err(Failure::Disk)?;
                return Err(Failure::Final(format!(
                    "it cannot be the weight file, because it is above {} bytes",
                    self.max_bytes
                )));
            }
            let count = body.read(&mut block).map_err(|error| Failure::passing(&error))?;
            if count == 0 {
                break;
            }
            file.write_all(&block[..count]).map_err(disk)?;
            place.received += count as u64;
            progress(place);
        }
        file.sync_all().map_err(disk)?;
        match place.total {
            Some(total) if place.received < total => Err(Failure::passing(&format_args!(
                "the connection ended after {} of {total} bytes",
                place.received
            ))),
            _ => Ok(()),
        }
    }

    fn agent(&self) -> Agent {
        Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(self.connecting))
            .timeout_recv_response(Some(self.answering))
            .timeout_per_read(Some(self.silence))
            .build()
            .into()
    }

    /// `.NAME.extension` beside the target.
    fn beside(&self, extension: &str) -> PathBuf {
        let name = self.target.file_name().unwrap_or_default().to_string_lossy();
        self.target.with_file_name(format!(".{name}.{extension}"))
    }
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// The file cannot be read.
pub(super) fn sha256(path: &Path) -> Result<String, Error> {
    File::open(path).and_then(hash).map_err(|source| Error::io(path, source))
}

/// SHA-256 of everything a reader gives, lower-case hex.
pub(super) fn hash(mut from: impl Read) -> std::io::Result<String> {
    let (mut hash, mut block) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match from.read(&mut block)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            count => hash.update(&block[..count]),
        }
    }
}

/// Why an attempt failed.
enum Failure {
    /// It may work a little later; the server may have said when.
    Passing { reason: String, pause: Option<Duration> },
    /// It will not work at this address.
    Final(String),
    /// It will not work on this disk.
    Disk(Error),
}

impl Failure {
    fn passing(reason: &dyn Display) -> Self {
        Self::Passing { reason: reason.to_string(), pause: None }
    }
}

fn failed(url: &str, reason: String) -> Error {
    Error::Download { url: url.to_owned(), reason }
}

/// A request without a response: because of the network, which may come back, or because of an invalid address.
fn refused(error: &ureq::Error) -> Failure {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::TooManyRedirects | ureq::Error::RedirectFailed => {
            Failure::Final(error.to_string())
        }
        _ => Failure::passing(error),
    }
}

/// A response that is not the file.
fn refusal(status: StatusCode, response: &Response<Body>) -> Failure {
    let reason = format!("the server answered {status}");
    let is_passing = status.is_server_error()
        || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    let seconds =
        response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    match is_passing {
        true => Failure::Passing { reason, pause: seconds.map(Duration::from_secs) },
        false => Failure::Final(reason),
    }
}

fn start_again(part: &Path, reason: &str) -> Result<(), Failure> {
    remove(part).map_err(Failure::Disk)?;
    Err(Failure::passing(&reason))
}

/// First byte and total of `Content-Range: bytes FIRST-LAST/TOTAL`; no first byte in `bytes */TOTAL`.
fn content_range(response: &Response<Body>) -> Option<(Option<u64>, Option<u64>)> {
    let value = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-').and_then(|(first, _)| first.parse().ok()), total.parse().ok()))
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn remove(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => Err(Error::io(path, source)),
        _ => Ok(()),
    }
}
