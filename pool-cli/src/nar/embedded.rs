//! A NAR within a longer stream: nothing says how long it is, so it is read to find its end.

use std::io::{self, Read};

use anyhow::{Context, Result};
use nix_archive::nar::{Error, decode_events_reader};

use super::walk::PIECE;
use crate::exit::Failure;

/// Hands the bytes of one NAR to `take`, in pieces, and returns the byte of `stream` that follows it.
/// Errors of `take` are passed on.
///
/// # Errors
/// Anything but a NAR, and a stream that ends with it.
pub(crate) fn embedded(
    stream: &mut dyn Read,
    take: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u8> {
    let mut tap = Tap { stream, take, untaken: Vec::with_capacity(PIECE), refused: None };
    // The reader takes a NAR for a whole file. It sees that another byte follows by reading that one.
    let read = decode_events_reader(&mut tap, |_| Ok(()));
    if let Some(refused) = tap.refused {
        return Err(refused);
    }
    match read {
        Err(Error::TrailingBytes) => {
            let follows = tap.untaken.pop().context("a byte follows that nobody has read")?;
            (tap.take)(&tap.untaken)?;
            Ok(follows)
        }
        Err(Error::Io(error)) => Err(error).context("reading the NAR"),
        Ok(()) | Err(Error::UnexpectedEof) => Err(cut_off("the NAR").into()),
        Err(error) => Err(Failure::no(format!("the NAR: {error}")).lasting().into()),
    }
}

/// The stream ends too early.
pub(crate) fn cut_off(what: &str) -> Failure {
    Failure::no(format!("{what}: it breaks off")).lasting().hint("was the archive copied whole?")
}

/// Passes on what is read through it, but for the last byte.
struct Tap<'a> {
    stream: &'a mut dyn Read,
    take: &'a mut dyn FnMut(&[u8]) -> Result<()>,
    untaken: Vec<u8>,
    refused: Option<anyhow::Error>,
}

impl Read for Tap<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.stream.read(buffer)?;
        if self.untaken.len() + len > PIECE
            && let Some(last) = self.untaken.pop()
        {
            if let Err(error) = (self.take)(&self.untaken) {
                self.refused = Some(error);
                return Err(io::Error::other("nobody wants more of it"));
            }
            self.untaken.clear();
            self.untaken.push(last);
        }
        self.untaken.extend_from_slice(&buffer[..len]);
        Ok(len)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use anyhow::bail;

    use super::*;

    const STREAM: &[u8] = include_bytes!("../../../tests/vectors/guix/closure.export");

    /// A NAR of one file.
    fn file(len: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let contents = vec![7; len];
        for token in
            [&b"nix-archive-1"[..], b"(", b"type", b"regular", b"contents", &contents, b")"]
        {
            out.extend((token.len() as u64).to_le_bytes());
            out.extend(token);
            out.resize(out.len().next_multiple_of(8), 0);
        }
        out
    }

    #[test]
    fn it_takes_the_nar_and_not_a_byte_more() {
        let sizes = [0, 1, 7, 8, PIECE - 113, PIECE - 112, PIECE, 3 * PIECE + 1, 1 << 20];
        for nar in sizes.map(file) {
            let mut stream = Cursor::new([&nar[..], b"NIXE and more"].concat());
            let mut taken = Vec::new();
            let follows = embedded(&mut stream, &mut |bytes| {
                assert!(bytes.len() <= PIECE);
                taken.extend_from_slice(bytes);
                Ok(())
            });
            assert_eq!(follows.unwrap(), b'N');
            assert!(taken == nar, "{}", nar.len());
            assert_eq!(stream.position(), nar.len() as u64 + 1);
        }
    }

    #[test]
    fn a_real_one_ends_where_the_trailer_begins() {
        let mut taken = Vec::new();
        let mut stream = &STREAM[8..];
        let follows = embedded(&mut stream, &mut |bytes| {
            taken.extend_from_slice(bytes);
            Ok(())
        });
        assert_eq!(follows.unwrap(), b'N');
        assert_eq!(taken, STREAM[8..8 + 136]);
        assert!(stream.starts_with(b"IXE\0"));
    }

    #[test]
    fn anything_else_is_refused() {
        let nar = file(3);
        for len in 0..=nar.len() {
            let error = embedded(&mut &nar[..len], &mut |_| Ok(())).unwrap_err();
            assert!(len < 24 || error.to_string().contains("breaks off"), "{len}: {error:#}");
        }
        let error = embedded(&mut &b"an RPM"[..], &mut |_| Ok(())).unwrap_err();
        assert_eq!(crate::exit::of(&error), crate::exit::Exit::No);
        let many = [&file(1 << 20)[..], b"x"].concat();
        let error = embedded(&mut &many[..], &mut |_| bail!("the disk is full")).unwrap_err();
        assert_eq!(error.to_string(), "the disk is full");
    }
}
