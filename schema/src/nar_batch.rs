//! Many small NARs in one request body, so that ten thousand tiny paths do not cost ten thousand
//! requests.
//!
//! A body is any number of records, each
//! `NarHash (32 bytes) ‖ compression (1, [`Compression::number`]) ‖ length (u32, big-endian) ‖ file`.

use thiserror::Error;

use crate::compression::Compression;
use crate::hash::NarHash;

/// The media type of such a body.
pub const MEDIA_TYPE: &str = "application/x-narpool-nars";
/// The longest body, in bytes.
pub const MAX_BATCH_LEN: usize = 8 << 20;
/// The most records in one body.
pub const MAX_RECORDS: usize = 1024;

const HEADER_LEN: usize = 37;

/// Why a body is not a batch: none of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BatchError {
    /// Longer than [`MAX_BATCH_LEN`].
    #[error("{0} bytes; a batch has at most {MAX_BATCH_LEN}")]
    TooLong(usize),
    /// More than [`MAX_RECORDS`] records.
    #[error("more than {MAX_RECORDS} records")]
    TooMany,
    /// The body ends within a record.
    #[error("record {0} is cut off")]
    Truncated(usize),
    /// The compression's number is not known.
    #[error("record {record}: no compression has the number {number}")]
    Compression {
        /// The record, from 0.
        record: usize,
        /// The number found.
        number: u8,
    },
}

/// One compressed NAR and what it is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The NAR it claims to be.
    pub nar_hash: NarHash,
    /// How `file` is compressed.
    pub compression: Compression,
    /// The compressed NAR.
    pub file: &'a [u8],
}

impl<'a> Record<'a> {
    /// Bytes that a record with a file of `file_len` bytes takes in a body.
    #[must_use]
    pub const fn encoded_len(file_len: usize) -> usize {
        HEADER_LEN + file_len
    }

    /// Appends the record to `body`.
    ///
    /// # Errors
    /// [`BatchError::TooLong`] when the body would be too long; it is left as it was.
    pub fn encode_to(&self, body: &mut Vec<u8>) -> Result<(), BatchError> {
        let len = body.len() + Self::encoded_len(self.file.len());
        let file_len = u32::try_from(self.file.len()).map_err(|_| BatchError::TooLong(len))?;
        if len > MAX_BATCH_LEN {
            return Err(BatchError::TooLong(len));
        }
        body.extend_from_slice(self.nar_hash.as_bytes());
        body.push(self.compression.number());
        body.extend_from_slice(&file_len.to_be_bytes());
        body.extend_from_slice(self.file);
        Ok(())
    }

    /// Reads a whole body.
    ///
    /// # Errors
    /// A body that is too long, is cut off, or names an unknown compression.
    pub fn parse_all(body: &'a [u8]) -> Result<Vec<Self>, BatchError> {
        if body.len() > MAX_BATCH_LEN {
            return Err(BatchError::TooLong(body.len()));
        }
        let mut records = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            if records.len() == MAX_RECORDS {
                return Err(BatchError::TooMany);
            }
            let (record, after) = Self::parse(rest, records.len())?;
            records.push(record);
            rest = after;
        }
        Ok(records)
    }

    fn parse(bytes: &'a [u8], record: usize) -> Result<(Self, &'a [u8]), BatchError> {
        let cut = BatchError::Truncated(record);
        let (hash, rest) = bytes.split_first_chunk::<32>().ok_or(cut.clone())?;
        let (&[number], rest) = rest.split_first_chunk::<1>().ok_or(cut.clone())?;
        let (len, rest) = rest.split_first_chunk::<4>().ok_or(cut.clone())?;
        let len = u32::from_be_bytes(*len) as usize;
        let (file, after) = rest.split_at_checked(len).ok_or(cut)?;
        let compression =
            Compression::from_number(number).ok_or(BatchError::Compression { record, number })?;
        Ok((Self { nar_hash: NarHash::from_bytes(*hash), compression, file }, after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(file: &[u8]) -> Record<'_> {
        Record { nar_hash: NarHash::of(file), compression: Compression::Zstd, file }
    }

    #[test]
    fn it_reads_what_it_wrote_and_nothing_shorter() {
        let mut body = Vec::new();
        for file in [&b"one"[..], b"", b"three"] {
            record(file).encode_to(&mut body).unwrap();
        }
        let read = Record::parse_all(&body).unwrap();
        assert_eq!(read, [record(b"one"), record(b""), record(b"three")]);
        let ends = [0, 40, 77, 119];
        for len in (0..body.len()).filter(|len| !ends.contains(len)) {
            assert!(
                matches!(Record::parse_all(&body[..len]), Err(BatchError::Truncated(_))),
                "{len}"
            );
        }
    }

    #[test]
    fn bounds_hold() {
        let mut body = Vec::new();
        let big = vec![0; MAX_BATCH_LEN - HEADER_LEN + 1];
        assert!(record(&big).encode_to(&mut body).is_err());
        assert!(body.is_empty());
        record(&big[1..]).encode_to(&mut body).unwrap();
        assert_eq!(Record::parse_all(&body).unwrap().len(), 1);
        let many: Vec<u8> = (0..=MAX_RECORDS).flat_map(|_| [0; HEADER_LEN]).collect();
        assert_eq!(Record::parse_all(&many), Err(BatchError::TooMany));
        let mut unknown = [0; HEADER_LEN];
        unknown[32] = 9;
        assert_eq!(
            Record::parse_all(&unknown),
            Err(BatchError::Compression { record: 0, number: 9 })
        );
    }
}
