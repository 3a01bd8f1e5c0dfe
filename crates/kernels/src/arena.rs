//! Memory that is used again: a training step asks for the same sizes every time, and fresh memory costs page faults.
//!
//! A [`Buffer`] goes back to the process-wide pool when it is dropped, also after it has become a tensor's [`Bytes`].

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cubecl_environment::bytes::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use half::bf16;

/// Every block begins at a cache line.
const ALIGN: usize = 64;

/// Blocks that nobody uses.
static IDLE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Memory from the pool: all of it initialised, at first with zeros, later with what its last user left.
struct Block {
    start: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a block owns its memory, and its users borrow it.
unsafe impl Send for Block {}
// SAFETY: shared references only read.
unsafe impl Sync for Block {}

impl Block {
    /// A block of at least `bytes`: the smallest idle one that is not more than a quarter too large, else a new one.
    fn new(bytes: usize) -> Self {
        let capacity = bytes.max(1).next_multiple_of(ALIGN);
        let mut idle = idle();
        let fitting = idle
            .iter()
            .enumerate()
            .filter(|(_, block)| block.capacity >= capacity && block.capacity - capacity <= capacity / 4);
        if let Some((index, _)) = fitting.min_by_key(|(_, block)| block.capacity) {
            return idle.swap_remove(index);
        }
        drop(idle);
        let layout = Self::layout(capacity);
        // SAFETY: the capacity is not 0.
        let start =
            NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        Self { start, capacity }
    }

    fn layout(capacity: usize) -> Layout {
        // The alignment is a power of two, and capacities come from lengths of slices that exist.
        Layout::from_size_align(capacity, ALIGN).unwrap_or_else(|_| handle_alloc_error(Layout::new::<u8>()))
    }

    /// Gives the memory back to the pool.
    fn release(&mut self) {
        let block = Block { start: self.start, capacity: self.capacity };
        idle().push(block);
    }

    /// Gives the memory back to the system.
    fn free(self) {
        // SAFETY: it was allocated with this layout, and nobody else has it.
        unsafe { dealloc(self.start.as_ptr(), Self::layout(self.capacity)) }
    }
}

fn idle() -> MutexGuard<'static, Vec<Block>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives all idle memory back to the system: after training, before something else needs it.
pub fn trim() {
    let blocks = std::mem::take(&mut *idle());
    blocks.into_iter().for_each(Block::free);
}

/// Values that any bits make valid, so that memory can be used again as it is.
///
/// # Safety
/// Every bit pattern is a valid value, and there is no padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: as the trait asks.
unsafe impl Plain for f32 {}
// SAFETY: as the trait asks.
unsafe impl Plain for bf16 {}
// SAFETY: as the trait asks.
unsafe impl Plain for u32 {}
// SAFETY: as the trait asks.
unsafe impl Plain for u8 {}

/// A slice of numbers in pooled memory.
pub struct Buffer<T> {
    block: Block,
    len: usize,
    kind: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    /// `len` values that are whatever the memory holds: for results that are written whole.
    pub fn stale(len: usize) -> Self {
        Self { block: Block::new(len * size_of::<T>()), len, kind: PhantomData }
    }

    /// `len` values whose bits are all 0.
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        // SAFETY: zero bits are a valid value, by the trait.
        unsafe { buffer.as_mut_ptr().write_bytes(0, len) };
        buffer
    }

    /// A copy of these values.
    pub fn copied(values: &[T]) -> Self {
        let mut buffer = Self::stale(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// The memory as a tensor's bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        let bytes = self.len * size_of::<T>();
        // SAFETY: the block holds at least so many bytes, all of them initialised.
        unsafe { Bytes::from_controller(Box::new(Pooled(self)), bytes) }
    }
}

impl<T> Drop for Buffer<T> {
    fn drop(&mut self) {
        self.block.release();
    }
}

impl<T: Plain> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the block holds `len` initialised values at the alignment of a cache line.
        unsafe { std::slice::from_raw_parts(self.block.start.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and it is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.block.start.as_ptr().cast(), self.len) }
    }
}

impl<T> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("len", &self.len).finish_non_exhaustive()
    }
}

/// A buffer as a tensor holds it.
struct Pooled<T>(Buffer<T>);

impl<T: Plain> Pooled<T> {
    fn bytes(&self) -> usize {
        self.0.len * size_of::<T>()
    }
}

impl<T: Plain> AllocationController for Pooled<T> {
    fn alloc_align(&self) -> usize {
        // Less than it has: a copy is allocated with what is said here, and `Bytes` refuses more than this for its own.
        align_of::<u128>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _policy: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        // SAFETY: the block holds so many bytes and is borrowed mutably.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.block.start.as_ptr().cast(), self.bytes()) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: the block holds so many bytes.
        Ok(unsafe { std::slice::from_raw_parts(self.0.block.start.as_ptr().cast(), self.bytes()) })
    }

    fn capacity(&self) -> usize {
        self.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_and_a_zeroed_buffer_is_zero() {
        let mut first = Buffer::<f32>::stale(123_457);
        first.fill(7.0);
        let place = first.as_ptr();
        drop(first.into_bytes());
        let again = Buffer::<f32>::zeroed(123_457);
        assert_eq!(again.as_ptr(), place);
        assert!(again.iter().all(|&value| value == 0.0));
    }

    #[test]
    fn bytes_hold_the_values() {
        let bytes = Buffer::copied(&[1.5_f32, -2.0]).into_bytes();
        assert_eq!(&bytes[..], [1.5_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat());
        let copy = bytes.clone();
        drop(bytes);
        assert_eq!(&copy[..4], 1.5_f32.to_le_bytes());
    }
}
