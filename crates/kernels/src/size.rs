//! Multiplies sizes without wrapping around. Every length that bounds a memory access or an allocation is computed here.
//!
//! In release builds, `a * b` wraps around. A wrapped product can be small, so a length check would pass, and the kernel would
//! then run over the true sizes, beyond the slices.

/// The product of sizes: the number of values that they span.
///
/// A size of 0 makes the product 0, but counts as 1 in the check. The product of *any* of these sizes then fits as well, and
/// kernels may multiply them freely afterwards.
///
/// # Panics
/// When the product is more than memory can hold, `isize::MAX`.
#[track_caller]
pub(crate) fn checked_len(sizes: &[usize]) -> usize {
    let most = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size.max(1)));
    assert!(most.is_some_and(can_be_held), "sizes of more values than memory can hold: {sizes:?}");
    sizes.iter().product()
}

/// The total number of values of several parts.
///
/// # Panics
/// When they are more than memory can hold, `isize::MAX`.
#[track_caller]
pub(crate) fn checked_sum(parts: &[usize]) -> usize {
    let sum = parts.iter().try_fold(0_usize, |sum, &part| sum.checked_add(part));
    assert!(sum.is_some_and(can_be_held), "parts of more values than memory can hold: {parts:?}");
    parts.iter().sum()
}

/// Checks that values are whole pixels.
///
/// # Panics
/// When values are not whole pixels of `channels` values each, or pixels have no channels.
#[track_caller]
pub(crate) fn check_pixels(values: usize, channels: usize) {
    assert!(
        channels > 0 && values.is_multiple_of(channels),
        "whole pixels of {channels} channels, not {values} values"
    );
}

/// A Rust allocation has at most `isize::MAX` bytes.
fn can_be_held(len: usize) -> bool {
    isize::try_from(len).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_that_fits_is_the_product() {
        assert_eq!(checked_len(&[2, 3, 7]), 42);
        assert_eq!(checked_len(&[5, 0]), 0);
        assert_eq!(checked_len(&[isize::MAX as usize]), isize::MAX as usize);
        assert_eq!(checked_sum(&[2, 3, 7]), 12);
    }

    #[test]
    #[should_panic(expected = "more values than memory can hold: [4611686018427387904, 4]")]
    #[cfg(target_pointer_width = "64")]
    fn a_product_that_wraps_to_nothing_is_refused() {
        checked_len(&[1 << 62, 4]);
    }

    #[test]
    #[should_panic(expected = "more values than memory can hold")]
    fn a_zero_hides_no_product_that_wraps() {
        checked_len(&[usize::MAX, 0, 2]);
    }

    #[test]
    #[should_panic(expected = "more values than memory can hold")]
    fn a_sum_that_wraps_is_refused() {
        checked_sum(&[usize::MAX, 2]);
    }
}
