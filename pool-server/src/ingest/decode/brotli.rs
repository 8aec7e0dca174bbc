//! Brotli, with what the crate's own reader leaves out: a window of at most 16 MiB, as RFC 7932
//! has it, and no bytes after the stream.

use std::io::{self, BufRead, Read};

use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};

/// Reads what `file` holds.
pub(super) struct Brotli<R> {
    file: R,
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    ended: bool,
}

impl<R: BufRead> Brotli<R> {
    pub(super) fn new(file: R) -> Self {
        let alloc = StandardAlloc::default;
        Self { file, state: BrotliState::new_strict(alloc(), alloc(), alloc()), ended: false }
    }

    /// One step: how the decoder feels, and how many bytes it gave.
    fn step(&mut self, buffer: &mut [u8]) -> io::Result<(BrotliResult, usize, bool)> {
        let input = self.file.fill_buf()?;
        let (mut available_in, mut consumed) = (input.len(), 0);
        let (mut available_out, mut produced, mut total) = (buffer.len(), 0, 0);
        let at_end = input.is_empty();
        let result = BrotliDecompressStream(
            &mut available_in,
            &mut consumed,
            input,
            &mut available_out,
            &mut produced,
            buffer,
            &mut total,
            &mut self.state,
        );
        self.file.consume(consumed);
        Ok((result, produced, at_end))
    }
}

impl<R: BufRead> Read for Brotli<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !buffer.is_empty() {
            let (result, produced, at_end) = self.step(buffer)?;
            match result {
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::ResultFailure => return Err(invalid("not a brotli stream")),
                BrotliResult::NeedsMoreInput if at_end && produced == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if produced > 0 {
                return Ok(produced);
            }
        }
        if self.ended && !self.file.fill_buf()?.is_empty() {
            return Err(invalid("data follows the stream"));
        }
        Ok(0)
    }
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
