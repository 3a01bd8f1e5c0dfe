//! Photos in a terminal: real pictures where it can show them (kitty, iTerm, sixel), else coloured half blocks, else nothing.
//!
//! Which it can is told by its environment variables; `SCIURUS_PICTURES` (kitty, iterm, sixel, blocks, none) says otherwise.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::Path;

use base64::prelude::{BASE64_STANDARD, Engine};
use icy_sixel::{DiffusionMethod, MethodForLargest, MethodForRep, PixelFormat, Quality, sixel_string};
use image::RgbImage;
use image::codecs::png::PngEncoder;
use image::imageops::thumbnail;
use sciurus::clean::plan::PlanItem;
use sciurus::data::{DecodeLimits, decode_file};

/// Columns and lines of a picture at most.
const CELLS: [u32; 2] = [24, 12];
/// Pixels of a column and of a line, where pictures have pixels of their own.
const CELL: [u32; 2] = [10, 20];
/// Characters of base64 that kitty takes at a time.
const CHUNK: usize = 4096;

/// How a terminal takes pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Kitty,
    Iterm,
    Sixel,
    /// Upper half blocks in 24-bit colours: two pixels a character.
    Blocks,
}

/// Shows photos, one below the other; nothing where standard output is no terminal that shows pictures, or colours are not
/// wanted.
pub(super) fn row(items: &[PlanItem], folder: &Path) -> anyhow::Result<()> {
    items.iter().try_for_each(|item| photo(&folder.join(&item.path)))
}

/// Shows a photo; one that cannot be read is passed over.
pub(super) fn photo(path: &Path) -> anyhow::Result<()> {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let protocol = wanted.then(|| Protocol::of(|name| std::env::var(name).ok())).flatten();
    let Some(protocol) = protocol else { return Ok(()) };
    let Ok(photo) = decode_file(path, &DecodeLimits::default()) else { return Ok(()) };
    // Past the stream that takes colours out: there are none for it to judge.
    Ok(writeln!(std::io::stdout(), "  {}", picture(&photo, protocol))?)
}

impl Protocol {
    /// What the terminal says about itself.
    fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let [asked, term, program, colours] = ["SCIURUS_PICTURES", "TERM", "TERM_PROGRAM", "COLORTERM"]
            .map(|name| variable(name).unwrap_or_default());
        match asked.as_str() {
            "kitty" => return Some(Self::Kitty),
            "iterm" => return Some(Self::Iterm),
            "sixel" => return Some(Self::Sixel),
            "blocks" => return Some(Self::Blocks),
            "none" => return None,
            _ => {}
        }
        let is_sixel = ["foot", "mlterm", "yaft", "contour"].iter().any(|name| term.starts_with(name));
        match program.as_str() {
            _ if term.contains("kitty") || program == "ghostty" => Some(Self::Kitty),
            "iTerm.app" | "WezTerm" | "mintty" => Some(Self::Iterm),
            _ if is_sixel => Some(Self::Sixel),
            _ if colours == "truecolor" || colours == "24bit" => Some(Self::Blocks),
            _ => None,
        }
    }
}

/// The characters that show a photo.
fn picture(photo: &RgbImage, protocol: Protocol) -> String {
    match protocol {
        Protocol::Kitty => kitty(&fitted(photo, CELL)),
        Protocol::Iterm => iterm(&fitted(photo, CELL)),
        Protocol::Sixel => sixel(&fitted(photo, CELL)),
        Protocol::Blocks => blocks(&fitted(photo, [1, 2])),
    }
}

/// The photo as large as fits into the cells, of so many pixels each.
fn fitted(photo: &RgbImage, cell: [u32; 2]) -> RgbImage {
    let room = [0, 1].map(|axis| f64::from(CELLS[axis] * cell[axis]));
    // Cells are twice as high as wide, whatever the pixels that are given to them.
    let shape =
        [f64::from(photo.width()), f64::from(photo.height()) * f64::from(cell[1]) / f64::from(2 * cell[0])];
    let scale = (room[0] / shape[0]).min(room[1] / shape[1]);
    let [width, height] = shape.map(|side| (side * scale).round().max(1.0) as u32);
    thumbnail(photo, width, height)
}

/// kitty's graphics protocol: pixels in base64, some thousand characters at a time.
fn kitty(photo: &RgbImage) -> String {
    let data = BASE64_STANDARD.encode(photo.as_raw());
    let mut text = String::new();
    let mut rest = data.as_str();
    let mut head = format!("a=T,f=24,s={},v={},", photo.width(), photo.height());
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        let more = u8::from(!after.is_empty());
        let _ = write!(text, "\x1b_G{head}m={more};{chunk}\x1b\\");
        (rest, head) = (after, String::new());
    }
    text
}

/// iTerm's inline images: a file in base64.
fn iterm(photo: &RgbImage) -> String {
    let mut file = std::io::Cursor::new(Vec::new());
    match photo.write_with_encoder(PngEncoder::new(&mut file)) {
        Ok(()) => format!("\x1b]1337;File=inline=1:{}\x07", BASE64_STANDARD.encode(file.get_ref())),
        Err(_) => String::new(),
    }
}

fn sixel(photo: &RgbImage) -> String {
    let [width, height] = [photo.width(), photo.height()].map(|side| side as i32);
    let (diffusion, largest, representative) =
        (DiffusionMethod::Auto, MethodForLargest::Auto, MethodForRep::Auto);
    let pixels = photo.as_raw();
    sixel_string(
        pixels,
        width,
        height,
        PixelFormat::RGB888,
        diffusion,
        largest,
        representative,
        Quality::AUTO,
    )
    .unwrap_or_default()
}

fn blocks(photo: &RgbImage) -> String {
    let mut lines = Vec::new();
    for y in (0..photo.height()).step_by(2) {
        let mut line = String::new();
        for x in 0..photo.width() {
            let [r, g, b] = photo.get_pixel(x, y).0;
            let _ = write!(line, "\x1b[38;2;{r};{g};{b}m");
            if y + 1 < photo.height() {
                let [r, g, b] = photo.get_pixel(x, y + 1).0;
                let _ = write!(line, "\x1b[48;2;{r};{g};{b}m");
            }
            line.push('▀');
        }
        lines.push(line + "\x1b[0m");
    }
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Option<Protocol> {
        Protocol::of(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_environment_tells_how_pictures_are_shown() {
        assert_eq!(of(&[("TERM", "xterm-kitty")]), Some(Protocol::Kitty));
        assert_eq!(of(&[("TERM_PROGRAM", "WezTerm"), ("COLORTERM", "truecolor")]), Some(Protocol::Iterm));
        assert_eq!(of(&[("TERM", "foot-extra")]), Some(Protocol::Sixel));
        assert_eq!(of(&[("TERM", "xterm-256color"), ("COLORTERM", "24bit")]), Some(Protocol::Blocks));
        assert_eq!(of(&[("TERM", "xterm")]), None);
        assert_eq!(of(&[("SCIURUS_PICTURES", "sixel"), ("TERM", "xterm-kitty")]), Some(Protocol::Sixel));
        assert_eq!(of(&[("SCIURUS_PICTURES", "none"), ("TERM", "xterm-kitty")]), None);
    }

    #[test]
    fn a_picture_keeps_its_shape_and_fits() {
        let wide = RgbImage::new(480, 120);
        assert_eq!(fitted(&wide, [1, 2]).dimensions(), (24, 6));
        assert_eq!(fitted(&wide, CELL).dimensions(), (240, 60));
        assert_eq!(fitted(&RgbImage::new(10, 4000), [1, 2]).dimensions(), (1, 24));
    }

    #[test]
    fn every_protocol_ends_what_it_begins() {
        let photo = RgbImage::from_fn(640, 480, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        let text = picture(&photo, Protocol::Kitty);
        assert!(text.starts_with("\x1b_Ga=T,f=24,s=240,v=180,m=1;") && text.ends_with("\x1b\\"));
        assert_eq!(text.matches("\x1b_G").count(), text.matches("\x1b\\").count());
        assert_eq!(text.matches("m=0;").count(), 1);
        let text = picture(&photo, Protocol::Iterm);
        assert!(text.starts_with("\x1b]1337;File=inline=1:iVBOR") && text.ends_with('\x07'));
        let text = picture(&photo, Protocol::Sixel);
        assert!(text.starts_with("\x1bP") && text.ends_with("\x1b\\"));
        let text = picture(&photo, Protocol::Blocks);
        assert_eq!(text.lines().count(), 9);
        assert_eq!(text.matches('▀').count(), 24 * 9);
    }
}
