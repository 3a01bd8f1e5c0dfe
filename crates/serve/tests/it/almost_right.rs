//! Requests that are almost right: bytes changed, left out, doubled and mixed. Each is read within limits, or refused with a reason.
//! The fuzz target `request` looks further; this runs each time.

use sciurus_serve::{Fault, ServeSettings, fuzzing};

/// Requests of each kind.
const TIMES: usize = 40_000;
const MOST: usize = 4;

/// Numbers that are the same each time (xorshift, Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end.max(1) as u64) as usize
    }

    /// One to eight changes.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(8) {
            let at = self.below(bytes.len());
            let end = (at + 1 + self.below(12)).min(bytes.len());
            match self.below(5) {
                0 => bytes[at] = self.below(256) as u8,
                1 => drop(bytes.drain(at..end)),
                2 => {
                    let again = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, again);
                }
                3 => bytes[at..end].fill(b"0[{\"\xff9-"[self.below(7)]),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                bytes.push(b'{');
            }
        }
    }
}

fn check(read: Result<usize, Fault>, bytes: &[u8]) {
    match read {
        Ok(photos) => assert!(photos <= MOST, "{photos} photos"),
        Err(fault) => {
            assert!(fault.status().is_client_error(), "{fault:?}: {}", String::from_utf8_lossy(bytes));
            assert!(!fault.to_string().is_empty());
        }
    }
}

#[tokio::test]
async fn requests_that_are_almost_right_are_read_or_refused() {
    let settings = ServeSettings { largest_request: 1 << 16, most_photos: MOST, ..ServeSettings::default() };
    let form = b"--X\r\ncontent-disposition: form-data; name=\"photo\"; filename=\"a\"\r\ncontent-type: image/png\r\n\r\nbytes\r\n--X\r\ncontent-disposition: form-data; name=\"top\"\r\n\r\n2\r\n--X--\r\n";
    let predict: [(&[u8], &[u8]); 3] = [
        (
            b"application/json",
            br#"{"image": "AAAA", "images": ["data:image/png;base64,AAAA", ""], "model": "a", "top": 3}"#,
        ),
        (b"multipart/form-data; boundary=X", form),
        (b"multipart/form-data; boundary=\"X\"", form),
    ];
    let infer: [(&[u8], &[u8]); 3] = [
        (br#"{"id": "7", "inputs": [{"name": "image", "datatype": "BYTES", "shape": [2, 1], "data": ["AAAA", "AAAA"]}], "outputs": [{"name": "label", "parameters": {"binary_data": true}}]}"#, b""),
        (br#"{"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 1, 2, 3], "data": [[[[1, 2, 3], [4, 5, 255]]]]}]}"#, b""),
        (br#"{"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "parameters": {"binary_data_size": 8}}]}"#, b"\x04\0\0\0abcd"),
    ];
    let mut dice = Dice(7);
    let mut understood = 0;
    for round in 0..TIMES * 3 {
        let (kind, body) = predict[round % 3];
        let mut bytes = body.to_vec();
        dice.spoil(&mut bytes);
        let read = fuzzing::predict(kind, bytes.clone(), &settings).await;
        understood += usize::from(read.is_ok());
        check(read, &bytes);

        let (json, tensors) = infer[round % 3];
        let (mut json, mut tensors) = (json.to_vec(), tensors.to_vec());
        match dice.below(3) {
            0 if !tensors.is_empty() => dice.spoil(&mut tensors),
            _ => dice.spoil(&mut json),
        }
        let length = (json.len() + dice.below(40) / 39).try_into().ok().filter(|_| !tensors.is_empty());
        let bytes = [json, tensors].concat();
        let read = fuzzing::infer(length, bytes.clone(), &settings).await;
        understood += usize::from(read.is_ok());
        check(read, &bytes);
    }
    // Were all of them refused, nothing behind the first check would have been tried.
    assert!(understood > TIMES / 10, "{understood} were understood");
}
