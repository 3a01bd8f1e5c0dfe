//! The text of a table. In: a file's bytes. Out: UTF-8, or the first line that isn't, with what it probably is.

use super::CsvProblem;

/// The text of a table in UTF-8, or in UTF-16 with a byte order mark, as spreadsheets save "Unicode text". The error is the line,
/// counted from 1, and what is wrong with it.
///
/// UTF-8 is not copied: a table may be as large as the memory has room for once.
pub(super) fn text(mut bytes: Vec<u8>) -> Result<String, (u64, CsvProblem)> {
    let utf16 = |of: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes[2..].as_chunks();
        let units: Vec<u16> = pairs.iter().copied().map(of).collect();
        match String::from_utf16(&units) {
            Ok(text) if rest.is_empty() => Ok(text),
            _ => {
                Err((1, CsvProblem::Encoding { detail: "it begins like UTF-16, but is damaged".to_owned() }))
            }
        }
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => return utf16(u16::from_le_bytes),
        [0xfe, 0xff, ..] => return utf16(u16::from_be_bytes),
        _ => {}
    }
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    String::from_utf8(bytes).map_err(|error| {
        let (at, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count() as u64;
        (line, CsvProblem::Encoding { detail: guess(bytes[at]) })
    })
}

/// What a byte probably is that is not UTF-8. Spreadsheets on Windows save tables in Windows-1252, whose letters from 0xA0 on are
/// those of Latin-1 and so of Unicode.
fn guess(byte: u8) -> String {
    match char::from(byte) {
        letter @ '\u{a0}'.. if letter.is_alphabetic() => {
            format!("its byte {byte:02X} would be `{letter}` in Windows-1252 (Latin-1)")
        }
        _ => format!("its byte {byte:02X} is not of that encoding"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_in_utf8_and_utf16_and_other_encodings_are_named() {
        assert_eq!(text("päth".into()).unwrap(), "päth");
        assert_eq!(text(b"\xef\xbb\xbfpath".to_vec()).unwrap(), "path");
        for (mark, of) in
            [([0xff, 0xfe], u16::to_le_bytes as fn(u16) -> [u8; 2]), ([0xfe, 0xff], u16::to_be_bytes)]
        {
            let units = "é,😀".encode_utf16().flat_map(of);
            let bytes: Vec<u8> = mark.into_iter().chain(units).collect();
            assert!(text(bytes[..bytes.len() - 1].to_vec()).is_err());
            assert_eq!(text(bytes).unwrap(), "é,😀");
        }
        let (line, problem) = text(b"path,label\na.jpg,caf\xe9\n".to_vec()).unwrap_err();
        assert_eq!(line, 2);
        assert!(problem.to_string().contains("byte E9 would be `é` in Windows-1252 (Latin-1)"), "{problem}");
    }
}
