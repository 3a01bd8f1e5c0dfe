//! Views of pixels in memory. A view may have only some of the channels, so that two convolutions can read or write halves of one
//! tensor.

use crate::size::checked_len;

/// Pixels to read: the channels of pixel `i` begin at `offset + i * spacing`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a, E> {
    pub(crate) values: &'a [E],
    pub(crate) offset: usize,
    pub(crate) spacing: usize,
}

/// Pixels to write: the channels of pixel `i` begin at `offset + i * spacing`.
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

    /// The channels from `offset` on, of pixels with `spacing` channels.
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

    /// The channels from `offset` on, of pixels with `spacing` channels.
    pub fn part(values: &'a mut [E], offset: usize, spacing: usize) -> Self {
        Self { values, offset, spacing }
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent { len: self.values.len(), offset: self.offset, spacing: self.spacing }
    }
}

/// The length and layout of a view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    len: usize,
    offset: usize,
    spacing: usize,
}

impl Extent {
    /// A view of whole pixels.
    pub(crate) fn whole(len: usize, channels: usize) -> Self {
        Self { len, offset: 0, spacing: channels }
    }

    /// Checks that the view has `pixels` pixels with `channels` channels each. Channel `c` of pixel `i` is then value
    /// `offset + i * spacing + c`, and within the slice.
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
