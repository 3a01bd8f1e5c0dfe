//! Entry points for the fuzz targets: where bytes of unknown origin are read. In: bytes, or a file with them. Out: what
//! was made of them, as plain values. Not part of the public interface: it may change with any version.

use crate::sources::{Opened, images};
use crate::web::Robots;
use std::path::Path;
use url::Url;

/// Photos by name, each with its bytes unless they can't be read.
pub type Photos = Vec<(String, Option<Vec<u8>>)>;

/// The photos of an archive of any kind.
///
/// # Errors
/// The file is not an archive, or one that is refused.
pub fn archive(path: &Path, file_bytes: u64) -> Result<Photos, String> {
    let opened = Opened::new(path, file_bytes)?;
    let photo = |name: &str| (name.to_owned(), opened.bytes(name, file_bytes).ok());
    Ok(opened.names().into_iter().map(photo).collect())
}

/// The addresses of a page's images.
///
/// # Errors
/// There are too many.
pub fn page(html: &[u8]) -> Result<Vec<Url>, String> {
    let found = images(&String::from_utf8_lossy(html))?;
    Ok(found.into_iter().map(|image| image.image_url).collect())
}

/// Whether a robots.txt allows an address, and the seconds it asks to wait between two requests.
#[must_use]
pub fn robots(text: &[u8], url: &Url) -> (bool, Option<f64>) {
    let robots = Robots::read(text);
    (robots.allow(url), robots.delay().map(|delay| delay.as_secs_f64()))
}
