//! A memory pool. Every training step needs buffers of the same sizes, and fresh memory from the system costs page faults.
//!
//! A [`Buffer`] goes back to the process-wide pool when it is dropped, even after it has become a tensor's [`Bytes`].

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::fmt;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cubecl_environment::bytes::{AccessError, AccessPolicy, AllocationController, AllocationProperty, Bytes};
use half::bf16;

use crate::size::checked_len;

/// Alignment of every block: a cache line.
const ALIGN: usize = 64;

/// Blocks that are not in use.
static IDLE: Mutex<Vec<Block>> = Mutex::new(Vec::new());

/// Memory from the pool. All of it is initialised: at first with zeros, later with what its last user left.
struct Block {
    start: NonNull<u8>,
    /// The layout it was allocated with: a size of at least 1, in whole cache lines.
    layout: Layout,
}

// SAFETY: a block owns its memory, which is bound to no thread.
unsafe impl Send for Block {}
// SAFETY: a shared block only gives access to its address. Reading or writing there needs a shared or exclusive reference to the
// `Buffer` that owns it.
unsafe impl Sync for Block {}

impl Block {
    /// A block of at least `bytes`: the smallest idle one that is at most a quarter too large, else a new one.
    ///
    /// # Panics
    /// When that is more than memory can hold, or more than the system has.
    fn new(bytes: usize) -> Self {
        let layout = Self::layout(bytes);
        let capacity = layout.size();
        let mut idle = idle();
        let fitting = idle
            .iter()
            .enumerate()
            .map(|(index, block)| (index, block.layout.size()))
            .filter(|&(_, size)| size >= capacity && size - capacity <= capacity / 4);
        if let Some((index, _)) = fitting.min_by_key(|&(_, size)| size) {
            return idle.swap_remove(index);
        }
        drop(idle);
        // SAFETY: the layout's size is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        // Lengths may come from untrusted files, so a failed allocation must panic rather than abort the process.
        assert!(!start.is_null(), "the system has no {capacity} bytes to give");
        // SAFETY: it is not null, as was just checked.
        Self { start: unsafe { NonNull::new_unchecked(start) }, layout }
    }

    /// The layout of `bytes` bytes: at least 1, rounded up to whole cache lines.
    fn layout(bytes: usize) -> Layout {
        let most = isize::MAX as usize - (ALIGN - 1);
        assert!(bytes <= most, "{bytes} bytes are more than memory can hold");
        let capacity = bytes.max(1).next_multiple_of(ALIGN);
        // SAFETY: the alignment is a power of two, and the size rounded up to it is at most `isize::MAX`, as was just checked.
        unsafe { Layout::from_size_align_unchecked(capacity, ALIGN) }
    }

    /// Gives the memory back to the pool.
    fn release(&mut self) {
        let block = Block { start: self.start, layout: self.layout };
        idle().push(block);
    }

    /// Gives the memory back to the system.
    fn free(self) {
        // SAFETY: `new` allocated it with this layout, and nobody else has it: a block is either in use or idle, and this one was
        // taken out of the idle list.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

fn idle() -> MutexGuard<'static, Vec<Block>> {
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives all idle memory back to the system. Call it after training, when something else may need the memory.
pub fn trim() {
    let blocks = std::mem::take(&mut *idle());
    blocks.into_iter().for_each(Block::free);
}

/// Types for which all bit patterns are valid, so that memory can be reused without initialising it.
///
/// # Safety
/// Every bit pattern is a valid value, and there is no padding.
pub unsafe trait Plain: Copy + Send + Sync + 'static {}

// SAFETY: any 32 bits are a number, infinity or NaN.
unsafe impl Plain for f32 {}
// SAFETY: it is represented as a `u16`, and any 16 bits are a number, infinity or NaN.
unsafe impl Plain for bf16 {}
// SAFETY: any 32 bits are a number.
unsafe impl Plain for u32 {}
// SAFETY: any 8 bits are a number.
unsafe impl Plain for u8 {}

/// A slice of numbers in pooled memory.
pub struct Buffer<T> {
    /// Room for at least `len` values, with every byte initialised.
    block: Block,
    len: usize,
    kind: PhantomData<T>,
}

impl<T: Plain> Buffer<T> {
    /// `len` values with arbitrary content, for results that are completely overwritten.
    ///
    /// # Panics
    /// When they are more than memory can hold, or more than the system has.
    pub fn stale(len: usize) -> Self {
        const { assert!(align_of::<T>() <= ALIGN, "a block is aligned to a cache line only") };
        Self { block: Block::new(checked_len(&[len, size_of::<T>()])), len, kind: PhantomData }
    }

    /// `len` values whose bits are all 0.
    ///
    /// # Panics
    /// As [`stale`](Self::stale).
    pub fn zeroed(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        // SAFETY: the pointer is that of `len` values, and zero bits are a valid value, by the trait.
        unsafe { buffer.as_mut_ptr().write_bytes(0, len) };
        buffer
    }

    /// A copy of these values.
    ///
    /// # Panics
    /// When the system has no memory for them.
    pub fn copied(values: &[T]) -> Self {
        let mut buffer = Self::stale(values.len());
        buffer.copy_from_slice(values);
        buffer
    }

    /// The memory as a tensor's bytes, without a copy.
    pub fn into_bytes(self) -> Bytes {
        let bytes = self.len * size_of::<T>();
        // SAFETY: `Pooled` gives memory of exactly so many bytes, all of them initialised, for as long as it lives.
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
        // SAFETY: the block holds `len` initialised values, aligned to a cache line and so for `T`, as `stale` asserts. Any
        // bits are a valid `T`. It lives as long as the buffer, and is written through `deref_mut` alone.
        unsafe { std::slice::from_raw_parts(self.block.start.as_ptr().cast(), self.len) }
    }
}

impl<T: Plain> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and the buffer, which alone has the block, is borrowed mutably.
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
        // The real alignment is larger, but copies are allocated with the one reported here, and `Bytes` refuses a larger one for
        // its own allocations.
        align_of::<u128>()
    }

    fn property(&self) -> AllocationProperty {
        AllocationProperty::Other
    }

    unsafe fn memory_mut(&mut self, _policy: AccessPolicy) -> Result<&mut [MaybeUninit<u8>], AccessError> {
        // SAFETY: the block has that many bytes, and the buffer, its only owner, is borrowed mutably. What is written stays
        // initialised, as the trait demands of its caller.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.0.block.start.as_ptr().cast(), self.bytes()) })
    }

    fn memory(&self, _policy: AccessPolicy) -> Result<&[MaybeUninit<u8>], AccessError> {
        // SAFETY: the block has that many bytes, and nobody writes while the buffer is borrowed.
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
