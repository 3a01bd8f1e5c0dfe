//! Bytes as the body of a request to `sciurus serve`, in all forms that it reads: as many photos as are allowed, or a reason.
#![no_main]

use std::cell::LazyCell;

use libfuzzer_sys::fuzz_target;
use sciurus_serve::{ServeSettings, fuzzing};
use tokio::runtime::{Builder, Runtime};

const MOST: usize = 8;

thread_local! {
    static RUNTIME: LazyCell<Runtime> =
        LazyCell::new(|| Builder::new_current_thread().enable_time().build().unwrap());
}

// The first byte says how the rest is read; where a part of it is JSON, two more say how much.
fuzz_target!(|bytes: &[u8]| {
    let [way, rest @ ..] = bytes else { return };
    let settings = ServeSettings { largest_request: 64 << 10, most_photos: MOST, ..ServeSettings::default() };
    let read = async {
        match (way % 5, rest) {
            (0, body) => fuzzing::predict(b"application/json", body.to_vec(), &settings).await,
            (1, body) => fuzzing::predict(b"multipart/form-data; boundary=X", body.to_vec(), &settings).await,
            (2, body) => fuzzing::infer(None, body.to_vec(), &settings).await,
            (3, [low, high, body @ ..]) => {
                let json = u16::from_le_bytes([*low, *high]);
                fuzzing::infer(Some(json.into()), body.to_vec(), &settings).await
            }
            // The type of the content itself, which names a form's boundary.
            (_, [length, kind @ ..]) => {
                let (kind, body) = kind.split_at((*length as usize).min(kind.len()));
                fuzzing::predict(kind, body.to_vec(), &settings).await
            }
            _ => return,
        }
        .map_or_else(
            |fault| {
                assert!(fault.status().is_client_error() && !fault.to_string().is_empty(), "{fault:?}");
            },
            |photos| assert!(photos <= MOST, "{photos} photos"),
        );
    };
    RUNTIME.with(|runtime| runtime.block_on(read));
});
