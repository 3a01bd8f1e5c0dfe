//! Photos in a terminal: real pictures where it can show them (kitty, iTerm, sixel), else coloured half blocks, else nothing.
//!
//! Which it can is told by its environment variables; `SCIURUS_PICTURES` (kitty, iterm, sixel, blocks, none) says otherwise.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use icy_sixel::{DiffusionMethod, MethodForLargest, MethodForRep, PixelFormat, Quality, sixel_string};
use image::codecs::png::PngEncoder;
use image::imageops::{crop_imm, replace, thumbnail};
use image::{DynamicImage, RgbImage, RgbaImage};
use sciurus::clean::plan::PlanItem;
use sciurus::data::{DecodeLimits, decode_file};

/// Lines of a row of pictures beside a table.
const LINES: u32 = 12;
/// Pictures of a sheet at most.
const MOST: usize = 12;
/// Pixels of a column where pictures have pixels of their own; a line has twice as many.
const COLUMN: u32 = 10;
/// What stands before a picture's lines.
const INDENT: &str = "  ";
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

/// Shows photos in one low row, as far as it's wide enough.
pub(super) fn row(items: &[PlanItem], folder: &Path) -> anyhow::Result<()> {
    show(items.iter().map(|item| folder.join(&item.path)), |_| LINES)
}

/// Shows photos side by side, as large as the terminal's height allows if so many lines of it are needed for something else.
pub(super) fn sheet(photos: impl Iterator<Item = PathBuf>, taken: usize) -> anyhow::Result<()> {
    show(photos, |lines| lines.saturating_sub(u32::try_from(taken).unwrap_or(u32::MAX)))
}

/// Shows photos, given how many of the terminal's lines there are to be. Nothing where standard output is no terminal that
/// shows pictures, or colours are not wanted; a photo that can't be read is passed over.
fn show(photos: impl Iterator<Item = PathBuf>, lines: impl Fn(u32) -> u32) -> anyhow::Result<()> {
    let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let protocol = wanted.then(|| Protocol::of(|name| std::env::var(name).ok())).flatten();
    let Some(protocol) = protocol else { return Ok(()) };
    let read = |path| decode_file(path, &DecodeLimits::default()).ok();
    let photos: Vec<RgbImage> = photos.take(MOST).filter_map(read).collect();
    let (height, width) = console::Term::stdout().size();
    let room = [u32::from(width).saturating_sub(INDENT.len() as u32), lines(u32::from(height))];
    let Some(text) = picture(&photos, room, protocol) else { return Ok(()) };
    // Past the stream that takes colours out: there are none for it to judge.
    Ok(writeln!(std::io::stdout(), "{INDENT}{text}")?)
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

/// The characters that show photos in so many columns and lines; nothing if there are no photos or no room.
fn picture(photos: &[RgbImage], [columns, lines]: [u32; 2], protocol: Protocol) -> Option<String> {
    let column = if protocol == Protocol::Blocks { 1 } else { COLUMN };
    let sheet = arranged(photos, [columns * column, 2 * lines * column], column)?;
    Some(match protocol {
        Protocol::Kitty => kitty(&sheet)?,
        Protocol::Iterm => iterm(&sheet)?,
        Protocol::Sixel => sixel(&sheet),
        Protocol::Blocks => blocks(&sheet),
    })
}

/// Photos of equal height side by side, in as many rows as make them largest, with transparent gaps.
fn arranged(photos: &[RgbImage], [width, height]: [u32; 2], gap: u32) -> Option<RgbaImage> {
    let shape = |photo: &RgbImage| f64::from(photo.width()) / f64::from(photo.height());
    let room = |pixels: u32, parts: usize| f64::from(pixels.saturating_sub(gap * (parts as u32 - 1)));
    let tallest = |rows: usize| {
        let widest = photos.chunks(photos.len().div_ceil(rows)).map(|row| {
            let shapes: f64 = row.iter().map(shape).sum();
            room(width, row.len()) / shapes
        });
        widest.fold(room(height, rows) / rows as f64, f64::min)
    };
    let rows = (1..=photos.len()).max_by(|&a, &b| tallest(a).total_cmp(&tallest(b)).then(b.cmp(&a)))?;
    let side = tallest(rows).floor();
    if side < 1.0 {
        return None;
    }
    let mut sheet = RgbaImage::new(width, rows as u32 * (side as u32 + gap) - gap);
    let mut right = 0;
    for (row, photos) in (0_u32..).zip(photos.chunks(photos.len().div_ceil(rows))) {
        let mut left = 0;
        for photo in photos {
            let small = thumbnail(photo, (shape(photo) * side).floor().max(1.0) as u32, side as u32);
            let small = DynamicImage::from(small).into_rgba8();
            replace(&mut sheet, &small, i64::from(left), i64::from(row * (side as u32 + gap)));
            left += small.width() + gap;
            right = right.max(left - gap);
        }
    }
    Some(crop_imm(&sheet, 0, 0, right, sheet.height()).to_image())
}

/// A file, as kitty and iTerm take them.
fn png(sheet: &RgbaImage) -> Option<String> {
    let mut file = std::io::Cursor::new(Vec::new());
    sheet.write_with_encoder(PngEncoder::new(&mut file)).ok()?;
    Some(BASE64_STANDARD.encode(file.get_ref()))
}

/// kitty's graphics protocol: a file in base64, some thousand characters at a time.
fn kitty(sheet: &RgbaImage) -> Option<String> {
    let data = png(sheet)?;
    let mut text = String::new();
    let mut rest = data.as_str();
    let mut head = "a=T,f=100,";
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rest.len().min(CHUNK));
        let more = u8::from(!after.is_empty());
        let _ = write!(text, "\x1b_G{head}m={more};{chunk}\x1b\\");
        (rest, head) = (after, "");
    }
    Some(text)
}

/// iTerm's inline images: a file in base64.
fn iterm(sheet: &RgbaImage) -> Option<String> {
    Some(format!("\x1b]1337;File=inline=1:{}\x07", png(sheet)?))
}

fn sixel(sheet: &RgbaImage) -> String {
    let [width, height] = [sheet.width(), sheet.height()].map(|side| side as i32);
    let (diffusion, largest, representative) =
        (DiffusionMethod::Auto, MethodForLargest::Auto, MethodForRep::Auto);
    // It would dither gaps, so they are black.
    let pixels = DynamicImage::from(sheet.clone()).into_rgb8();
    sixel_string(
        pixels.as_raw(),
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

fn blocks(sheet: &RgbaImage) -> String {
    let mut lines = Vec::new();
    for y in (0..sheet.height()).step_by(2) {
        let mut line = String::new();
        for x in 0..sheet.width() {
            let upper = sheet.get_pixel(x, y).0;
            let lower = sheet.get_pixel_checked(x, y + 1).map_or([0; 4], |pixel| pixel.0);
            match (upper, lower) {
                ([.., 0], [.., 0]) => line.push_str("\x1b[0m "),
                ([.., 0], [r, g, b, _]) => {
                    let _ = write!(line, "\x1b[0;38;2;{r};{g};{b}m▄");
                }
                ([r, g, b, _], [.., 0]) => {
                    let _ = write!(line, "\x1b[0;38;2;{r};{g};{b}m▀");
                }
                ([r, g, b, _], [red, green, blue, _]) => {
                    let _ = write!(line, "\x1b[38;2;{r};{g};{b};48;2;{red};{green};{blue}m▀");
                }
            }
        }
        lines.push(line + "\x1b[0m");
    }
    lines.join(&format!("\n{INDENT}"))
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

    /// The pictures' sizes on a sheet: its colours tell them apart.
    fn sizes(photos: &[(u32, u32)], room: [u32; 2]) -> Vec<(u32, u32)> {
        let coloured = |(place, &(w, h)): (usize, &(u32, u32))| {
            RgbImage::from_pixel(w, h, image::Rgb([place as u8, 200, 0]))
        };
        let photos: Vec<RgbImage> = photos.iter().enumerate().map(coloured).collect();
        let sheet = arranged(&photos, room, 2).unwrap();
        assert!(sheet.width() <= room[0] && sheet.height() <= room[1], "{:?}", sheet.dimensions());
        let of = |place: u8| {
            let pixels =
                || sheet.enumerate_pixels().filter(move |(.., pixel)| pixel.0 == [place, 200, 0, 255]);
            let span = |values: Vec<u32>| values.iter().max().unwrap() - values.iter().min().unwrap() + 1;
            (span(pixels().map(|(x, ..)| x).collect()), span(pixels().map(|(_, y, _)| y).collect()))
        };
        (0..photos.len() as u8).map(of).collect()
    }

    #[test]
    fn pictures_keep_their_shape_and_fill_the_room() {
        assert_eq!(sizes(&[(480, 120)], [100, 400]), [(100, 25)]);
        assert_eq!(sizes(&[(10, 4000)], [100, 400]), [(1, 400)]);
        // Side by side where there is room for it, else one below the other.
        assert_eq!(sizes(&[(40, 40), (80, 80)], [202, 100]), [(100, 100), (100, 100)]);
        assert_eq!(sizes(&[(40, 40), (80, 80)], [100, 202]), [(100, 100), (100, 100)]);
        assert_eq!(sizes(&[(30, 30); 6], [154, 102]), [(50, 50); 6]);
        assert!(arranged(&[], [100, 100], 2).is_none());
        assert!(arranged(&[RgbImage::new(9, 9)], [100, 0], 2).is_none());
    }

    #[test]
    fn every_protocol_ends_what_it_begins() {
        let photo = RgbImage::from_fn(640, 480, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
        let shown = |protocol| picture(std::slice::from_ref(&photo), [24, 12], protocol).unwrap();
        let text = shown(Protocol::Kitty);
        assert!(text.starts_with("\x1b_Ga=T,f=100,m=1;iVBOR") && text.ends_with("\x1b\\"));
        assert_eq!(text.matches("\x1b_G").count(), text.matches("\x1b\\").count());
        assert_eq!(text.matches("m=0;").count(), 1);
        let text = shown(Protocol::Iterm);
        assert!(text.starts_with("\x1b]1337;File=inline=1:iVBOR") && text.ends_with('\x07'));
        let text = shown(Protocol::Sixel);
        assert!(text.starts_with("\x1bP") && text.ends_with("\x1b\\"));
        let text = shown(Protocol::Blocks);
        assert_eq!(text.lines().count(), 9);
        assert_eq!(text.matches('▀').count(), 24 * 9);
    }
}
