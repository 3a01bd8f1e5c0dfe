//! Pixels in memory, of which a kernel may use some channels: how two convolutions read and write halves of one tensor.

/// Pixels that are read: pixel `i` has its channels at `offset + i * spacing`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, E> {
    pub(crate) values: &'a [E],
    pub(crate) offset: usize,
    pub(crate) spacing: usize,
}

/// Pixels that are written: pixel `i` has its channels at `offset + i * spacing`.
#[derive(Debug)]
pub struct ViewMut<'a, E> {
    pub(crate) values: &'a mut [E],
    pub(crate) offset: usize,
    pub(crate) spacing: usize,
}

impl<'a, E> View<'a, E> {
    /// All `channels` of each pixel.
    pub fn new(values: &'a [E], channels: usize) -> Self {
        Self { values, offset: 0, spacing: channels }
    }

    /// Channels from `offset` on, of pixels that have `spacing`.
    pub fn part(values: &'a [E], offset: usize, spacing: usize) -> Self {
        Self { values, offset, spacing }
    }

    /// # Panics
    /// When there are not `pixels` with `channels` each.
    pub(crate) fn check(&self, pixels: usize, channels: usize) {
        check(self.values.len(), self.offset, self.spacing, pixels, channels);
    }
}

impl<'a, E> ViewMut<'a, E> {
    /// All `channels` of each pixel.
    pub fn new(values: &'a mut [E], channels: usize) -> Self {
        Self { values, offset: 0, spacing: channels }
    }

    /// Channels from `offset` on, of pixels that have `spacing`.
    pub fn part(values: &'a mut [E], offset: usize, spacing: usize) -> Self {
        Self { values, offset, spacing }
    }

    /// # Panics
    /// When there are not `pixels` with `channels` each.
    pub(crate) fn check(&self, pixels: usize, channels: usize) {
        check(self.values.len(), self.offset, self.spacing, pixels, channels);
    }
}

fn check(len: usize, offset: usize, spacing: usize, pixels: usize, channels: usize) {
    assert!(offset + channels <= spacing, "{channels} channels from {offset} on in pixels of {spacing}");
    assert_eq!(len, pixels * spacing, "{pixels} pixels of {spacing} values");
}
