//! Working memory of a thread, kept between calls so that no kernel asks the system for memory in its loop.

use std::cell::Cell;

thread_local! {
    static KEPT: Cell<[Vec<u32>; 2]> = const { Cell::new([Vec::new(), Vec::new()]) };
}

/// Lends this thread's two buffers of at least `words` 32-bit words each. What they hold is left from before.
pub(crate) fn with<R>(words: [usize; 2], work: impl FnOnce(&mut [u32], &mut [u32]) -> R) -> R {
    KEPT.with(|kept| {
        // Taken out while in use: a nested call would find empty buffers, and make its own.
        let mut buffers = kept.take();
        for (buffer, words) in buffers.iter_mut().zip(words) {
            if buffer.len() < words {
                buffer.resize(words, 0);
            }
        }
        let [first, second] = &mut buffers;
        let result = work(&mut first[..words[0]], &mut second[..words[1]]);
        kept.set(buffers);
        result
    })
}
