//! lzip with a bound on memory, which the crate offers for its push decoder only.

use std::io::{self, BufRead, Read};

use lzma_rust2::{Action, LzipStream, Status};

/// Reads what `file` holds, all members of it.
pub(super) struct Lzip<R> {
    file: R,
    stream: LzipStream,
}

impl<R: BufRead> Lzip<R> {
    /// A member that wants more than `memory` bytes is refused.
    pub(super) fn new(file: R, memory: u64) -> Self {
        let kib = u32::try_from(memory >> 10).unwrap_or(u32::MAX);
        Self { file, stream: LzipStream::new_mem_limit(true, kib) }
    }
}

impl<R: BufRead> Read for Lzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if buffer.is_empty() || self.stream.is_finished() {
                return Ok(0);
            }
            let input = self.file.fill_buf()?;
            let action = if input.is_empty() { Action::Finish } else { Action::Run };
            let done = self.stream.process(input, buffer, action)?;
            self.file.consume(done.bytes_consumed);
            if done.status == Status::StreamEnd && !self.stream.unused_input().is_empty() {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "data follows the last member",
                ));
            }
            if done.bytes_produced > 0 {
                return Ok(done.bytes_produced);
            }
        }
    }
}
