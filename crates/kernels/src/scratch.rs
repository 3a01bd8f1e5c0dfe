//! Working memory of a thread. It is kept between calls, so that kernels do not allocate in their loops.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's buffer of `words` 32-bit words. Their content is arbitrary.
pub(crate) fn with<R>(words: usize, work: impl FnOnce(&mut [u32]) -> R) -> R {
    KEPT.with(|kept| {
        // The buffer is taken out while it is in use, so a nested call makes its own.
        let mut buffer = kept.take();
        if buffer.len() < words {
            buffer.resize(words, 0);
        }
        let result = work(&mut buffer[..words]);
        kept.set(buffer);
        result
    })
}
