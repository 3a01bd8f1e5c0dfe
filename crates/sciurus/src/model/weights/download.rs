//! One file over HTTPS into a folder, kept only if its hash is the expected one.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::Error;

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes received so far.
    pub received: u64,
    /// Bytes in all, where the server says so.
    pub total: Option<u64>,
}

/// A weight file larger than this is not one of ours.
const MAX_BYTES: u64 = 2 << 30;

/// Downloads `url` to `target` and checks its SHA-256. The file appears under its name only when complete and right;
/// a wrong one is removed.
///
/// # Errors
/// The network or the disk fails, or the hash is not `sha256`.
pub fn download(
    url: &str,
    sha256: &str,
    target: &Path,
    progress: &mut dyn FnMut(DownloadProgress),
) -> Result<(), Error> {
    let folder = target.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| Error::io(folder, source))?;
    let part = Part(target.with_extension(format!("part-{}", std::process::id())));
    let found = fetch(url, &part.0, progress)?;
    if found != sha256 {
        return Err(Error::WrongHash { url: url.to_owned(), expected: sha256.to_owned(), found });
    }
    std::fs::rename(&part.0, target).map_err(|source| Error::io(target, source))
}

/// SHA-256 of a file, lower-case hex.
///
/// # Errors
/// The file cannot be read.
pub(super) fn sha256(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|source| Error::io(path, source))?;
    Ok(hex(Sha256::new_with_prefix(bytes)))
}

/// A partial file, removed when the download ends in any way but a rename.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // After a successful rename there is nothing left to remove, which is the usual case.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Streams `url` into `path` and returns the SHA-256 of what came.
fn fetch(url: &str, path: &Path, progress: &mut dyn FnMut(DownloadProgress)) -> Result<String, Error> {
    let failed = |error: ureq::Error| Error::Download { url: url.to_owned(), reason: error.to_string() };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_recv_body(Some(Duration::from_secs(3600)))
        .build()
        .into();
    let mut response = agent.get(url).call().map_err(failed)?;
    let total = response.body().content_length();
    let mut body = response.body_mut().with_config().limit(MAX_BYTES).reader();
    let mut file = File::create(path).map_err(|source| Error::io(path, source))?;
    let mut hash = Sha256::new();
    let (mut block, mut received) = (vec![0; 1 << 16], 0);
    loop {
        let count = body
            .read(&mut block)
            .map_err(|error| Error::Download { url: url.to_owned(), reason: error.to_string() })?;
        if count == 0 {
            break;
        }
        file.write_all(&block[..count]).map_err(|source| Error::io(path, source))?;
        hash.update(&block[..count]);
        received += count as u64;
        progress(DownloadProgress { received, total });
    }
    file.sync_all().map_err(|source| Error::io(path, source))?;
    Ok(hex(hash))
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
