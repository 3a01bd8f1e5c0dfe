//! Slices that several threads use at once, each its own part.

use std::marker::PhantomData;

/// A slice that is read.
#[derive(Debug)]
pub(crate) struct Shared<E> {
    start: *const E,
    /// Values from one pixel to the next.
    pub(crate) spacing: usize,
}

// SAFETY: it is only read from.
unsafe impl<E: Sync> Sync for Shared<E> {}

impl<E> Shared<E> {
    pub(crate) fn new(values: &[E], spacing: usize) -> Self {
        Self { start: values.as_ptr(), spacing }
    }

    pub(crate) fn pointer(&self) -> *const E {
        self.start
    }
}

/// A slice whose parts are written by different threads.
#[derive(Debug)]
pub(crate) struct SharedMut<'a, E> {
    start: *mut E,
    len: usize,
    slice: PhantomData<&'a mut [E]>,
}

// SAFETY: `at` asks its callers that threads write to different parts.
unsafe impl<E: Send> Sync for SharedMut<'_, E> {}

impl<'a, E> SharedMut<'a, E> {
    pub(crate) fn new(values: &'a mut [E]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), slice: PhantomData }
    }

    /// The part that begins at `index`.
    ///
    /// # Safety
    /// No two threads use the same values at a time, and none goes beyond the slice.
    pub(crate) unsafe fn at(&self, index: usize) -> *mut E {
        debug_assert!(index <= self.len, "{index} of {}", self.len);
        // SAFETY: it is within the slice, by the caller's promise.
        unsafe { self.start.add(index) }
    }

    /// The part of `len` values that begins at `index`.
    ///
    /// # Safety
    /// No two threads use the same values at a time.
    pub(crate) unsafe fn part(&self, index: usize, len: usize) -> &'a mut [E] {
        assert!(index + len <= self.len, "{index} + {len} of {}", self.len);
        // SAFETY: it is within the slice, and nobody else uses it, by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(index), len) }
    }
}
