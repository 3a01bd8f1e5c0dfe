//! Slices that several threads use at the same time, each its own part.

use std::marker::PhantomData;

/// A slice that is read.
#[derive(Debug)]
pub(crate) struct Shared<'a, E> {
    start: *const E,
    /// Distance (values) from one pixel to the next.
    pub(crate) spacing: usize,
    slice: PhantomData<&'a [E]>,
}

// SAFETY: it represents the shared slice that it borrows, which threads may share if `E` is `Sync`.
unsafe impl<E: Sync> Sync for Shared<'_, E> {}

impl<'a, E> Shared<'a, E> {
    pub(crate) fn new(values: &'a [E], spacing: usize) -> Self {
        Self { start: values.as_ptr(), spacing, slice: PhantomData }
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

// SAFETY: callers of `at` and `part` promise that no value is used by two threads at a time. Each value is then lent to one
// thread, which `E: Send` allows.
unsafe impl<E: Send> Sync for SharedMut<'_, E> {}

impl<'a, E> SharedMut<'a, E> {
    pub(crate) fn new(values: &'a mut [E]) -> Self {
        Self { start: values.as_mut_ptr(), len: values.len(), slice: PhantomData }
    }

    /// The part that begins at `index`.
    ///
    /// # Safety
    /// No two threads use the same values at the same time, and none goes beyond the slice.
    pub(crate) unsafe fn at(&self, index: usize) -> *mut E {
        debug_assert!(index <= self.len, "{index} of {}", self.len);
        // SAFETY: it is within the slice, or at its end, by the caller's promise.
        unsafe { self.start.add(index) }
    }

    /// The part of `len` values that begins at `index`.
    ///
    /// # Safety
    /// Nobody else uses the same values while the part exists.
    pub(crate) unsafe fn part(&self, index: usize, len: usize) -> &'a mut [E] {
        assert!(index <= self.len && len <= self.len - index, "{len} values from {index} on of {}", self.len);
        // SAFETY: it is within the slice, which is borrowed for `'a`, and nobody else uses it, by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(index), len) }
    }
}
