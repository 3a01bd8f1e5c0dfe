//! Pooled memory: whatever it was used for before, a new user finds what it asked for.
//!
//! All tests share the pool, so none relies on which block it gets.

use half::bf16;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use sciurus_kernels::{Buffer, Plain, trim};

use crate::values::config;

/// What is done with a buffer that lives on for a while.
#[derive(Debug, Clone, Copy)]
enum Use {
    Stale,
    Zeroed,
    Copied,
    IntoBytes,
    Trim,
}

fn uses() -> impl Strategy<Value = Vec<(Use, usize)>> {
    let kinds = prop_oneof![
        Just(Use::Stale),
        Just(Use::Zeroed),
        Just(Use::Copied),
        Just(Use::IntoBytes),
        Just(Use::Trim)
    ];
    prop::collection::vec((kinds, 0..3000_usize), 1..20)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn buffers_do_not_meet(uses in uses()) {
        buffers_hold_their_values(&uses, |number| number as f32)?;
        buffers_hold_their_values(&uses, |number| bf16::from_f32((number % 200) as f32))?;
        buffers_hold_their_values(&uses, |number| number as u32)?;
        buffers_hold_their_values(&uses, |number| number as u8)?;
    }
}

/// Fills every buffer with its own number, lets go of every third, and looks at all of them at the end.
fn buffers_hold_their_values<T: Plain + PartialEq + std::fmt::Debug>(
    uses: &[(Use, usize)],
    value: impl Fn(usize) -> T,
) -> TestCaseResult {
    let mut alive = Vec::new();
    for (number, &(kind, len)) in uses.iter().enumerate() {
        let value = value(number + 1);
        let mut buffer = taken(kind, len, value)?;
        prop_assert_eq!(buffer.len(), len, "{:?}", kind);
        prop_assert_eq!(buffer.as_ptr() as usize % 64, 0, "{:?} begins at a cache line", kind);
        buffer.fill(value);
        if !number.is_multiple_of(3) {
            alive.push((value, buffer));
        }
    }
    for (value, buffer) in alive {
        prop_assert!(buffer.iter().all(|kept| *kept == value), "a buffer of {value:?} was overwritten");
    }
    Ok(())
}

fn taken<T: Plain + PartialEq + std::fmt::Debug>(
    kind: Use,
    len: usize,
    value: T,
) -> Result<Buffer<T>, TestCaseError> {
    match kind {
        Use::Stale => {}
        Use::Trim => trim(),
        Use::Zeroed => {
            let bytes = Buffer::<T>::zeroed(len).into_bytes();
            prop_assert!(bytes.iter().all(|&byte| byte == 0), "zeroed");
        }
        Use::Copied => {
            let buffer = Buffer::copied(&vec![value; len]);
            prop_assert!(buffer.iter().all(|kept| *kept == value), "copied");
            return Ok(buffer);
        }
        Use::IntoBytes => {
            let bytes = Buffer::copied(&vec![value; len]).into_bytes();
            prop_assert_eq!(bytes.len(), len * size_of::<T>());
            let copy = bytes.clone();
            drop(bytes);
            // The copy owns its memory; a new buffer may well get the memory of the first.
            let mut next = Buffer::<T>::zeroed(len);
            let one = Buffer::copied(&[value]).into_bytes();
            prop_assert!(copy.chunks_exact(size_of::<T>()).all(|bytes| bytes == &one[..]), "a copy of bytes");
            next.fill(value);
            return Ok(next);
        }
    }
    Ok(Buffer::stale(len))
}
