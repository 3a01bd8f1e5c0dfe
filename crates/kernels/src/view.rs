//! Pixels in memory, of which a kernel may use some channels: how two convolutions read and write halves of one tensor.

use crate::size::checked_len;

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

    pub(crate) fn extent(&self) -> Extent {
        Extent { len: self.values.len(), offset: self.offset, spacing: self.spacing }
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

    pub(crate) fn extent(&self) -> Extent {
        Extent { len: self.values.len(), offset: self.offset, spacing: self.spacing }
    }
}

/// How many values a view has, and which of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    len: usize,
    offset: usize,
    spacing: usize,
}

impl Extent {
    /// Values that are all channels of their pixels.
    pub(crate) fn whole(len: usize, channels: usize) -> Self {
        Self { len, offset: 0, spacing: channels }
    }

    /// Whether the view holds `pixels` with `channels` each: then pixel `i`, channel `c` is value
    /// `offset + i * spacing + c`, and lies within the slice.
    ///
    /// # Panics
    /// When it does not.
    pub(crate) fn check(self, pixels: usize, channels: usize) {
        let Self { len, offset, spacing } = self;
        assert!(
            channels <= spacing && offset <= spacing - channels,
            "{channels} channels from {offset} on in pixels of {spacing}"
        );
        assert_eq!(len, checked_len(&[pixels, spacing]), "{pixels} pixels of {spacing} values");
    }
}
