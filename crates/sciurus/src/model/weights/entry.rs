//! A tensor in a weight file: its shape, its type, and where its numbers are. In: an open file. Out: its values.

use flate2::Crc;

use crate::nn::StoredTensor;
use crate::storage::float_type::FloatType;
use crate::storage::regular::RegularFile;

/// Bytes read at a time: a multiple of the size of every number type.
const BLOCK: u64 = 4 << 20;

/// A tensor of floating-point numbers in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its shape.
    pub(super) shape: Vec<usize>,
    /// The type of its numbers.
    pub(super) number: FloatType,
    /// Where they begin in the file.
    pub(super) start: u64,
    /// How many numbers it spans from there.
    pub(super) extent: u64,
    /// Stride along each dimension, in numbers; `None` if the values are contiguous and row-major.
    pub(super) stride: Option<Vec<usize>>,
    /// CRC-32 of what it spans, if known.
    pub(super) crc: Option<u32>,
}

impl Entry {
    /// How many values it has.
    pub(super) fn values(&self) -> u64 {
        self.shape.iter().map(|size| *size as u64).product()
    }

    /// Bytes of memory needed to read it: for its values, and for the bytes they are gathered from.
    pub(super) fn cost(&self) -> u64 {
        let values = self.values().saturating_mul(size_of::<f32>() as u64);
        match self.stride {
            None => values,
            Some(_) => values.saturating_add(self.bytes()),
        }
    }

    /// Bytes of the file that it spans.
    fn bytes(&self) -> u64 {
        self.extent.saturating_mul(self.number.size() as u64)
    }

    /// Reads its values.
    ///
    /// # Errors
    /// They cannot be read, or are damaged.
    pub(super) fn read(&self, file: &mut RegularFile) -> Result<StoredTensor, String> {
        let block = if self.stride.is_some() { self.bytes() } else { BLOCK };
        let (mut values, mut crc) = (Vec::new(), Crc::new());
        let mut done = 0;
        while done < self.bytes() {
            let count = block.min(self.bytes() - done);
            let bytes = file.read_at(self.start + done, count).map_err(|error| error.to_string())?;
            crc.update(&bytes);
            match &self.stride {
                None => values.extend(self.number.decode(&bytes)),
                Some(stride) => values = self.gathered(&bytes, stride),
            }
            done += count;
        }
        match self.crc.is_some_and(|known| known != crc.sum()) {
            true => Err("is damaged: its checksum is wrong".to_owned()),
            false => Ok(StoredTensor { shape: self.shape.clone(), values }),
        }
    }

    /// The values in row-major order, gathered by stride.
    fn gathered(&self, bytes: &[u8], stride: &[usize]) -> Vec<f32> {
        let size = self.number.size();
        let place = |index: u64| {
            let mut rest = index as usize;
            let mut place = 0;
            for (side, step) in self.shape.iter().zip(stride).rev() {
                place += rest % side * step;
                rest /= side;
            }
            place * size
        };
        (0..self.values()).flat_map(|index| self.number.decode(&bytes[place(index)..][..size])).collect()
    }
}

/// Whether values of this shape are contiguous and row-major. The stride of a dimension of size 1 does not matter.
pub(super) fn is_row_by_row(shape: &[u64], stride: &[u64]) -> bool {
    let mut expected = 1_u64;
    shape.iter().zip(stride).rev().all(|(size, step)| {
        let fits = *size <= 1 || *step == expected;
        expected = expected.saturating_mul(*size);
        fits
    })
}
