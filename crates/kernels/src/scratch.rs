//! Working memory of a thread, kept between calls so that no kernel asks the system for memory in its loop.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<Vec<u32>> = const { Cell::new(Vec::new()) };
}

/// Lends this thread's buffer of `words` 32-bit words. What they hold is left from before.
pub(crate) fn with<R>(words: usize, work: impl FnOnce(&mut [u32]) -> R) -> R {
    KEPT.with(|kept| {
        // Taken out while in use: a nested call would find an empty buffer, and make its own.
        let mut buffer = kept.take();
        if buffer.len() < words {
            buffer.resize(words, 0);
        }
        let result = work(&mut buffer[..words]);
        kept.set(buffer);
        result
    })
}
