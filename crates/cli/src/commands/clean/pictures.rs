//! Photos in a terminal: real pictures where it can show them (kitty, iTerm, sixel), else coloured half blocks.

use std::io::IsTerminal;
use std::path::Path;

use sciurus::data::{DecodeLimits, decode_file};
use sciurus::insight::plan::PlanItem;

/// Columns of a picture.
const COLUMNS: u32 = 24;
/// Lines of a picture.
const LINES: u32 = 12;

/// Shows photos, one below the other; nothing where standard output is no terminal or colours are not wanted.
pub(super) fn row(items: &[PlanItem], folder: &Path) -> anyhow::Result<()> {
    if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some() {
        return Ok(());
    }
    items.iter().try_for_each(|item| photo(&folder.join(&item.path)))
}

/// Shows a photo; one that cannot be read is passed over.
pub(super) fn photo(path: &Path) -> anyhow::Result<()> {
    let Ok(photo) = decode_file(path, &DecodeLimits::default()) else { return Ok(()) };
    let wide = u64::from(photo.width()) * u64::from(LINES) * 2 > u64::from(photo.height()) * u64::from(COLUMNS);
    let config = viuer::Config {
        absolute_offset: false,
        x: 2,
        width: wide.then_some(COLUMNS),
        height: (!wide).then_some(LINES),
        ..viuer::Config::default()
    };
    viuer::print(&photo.into(), &config)?;
    Ok(())
}
