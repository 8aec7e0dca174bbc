//! Writing a stream.

use std::io::{self, Read, Write};

use schema::export::{END, ITEM, Trailer, print_seal};
use schema::guix::ecdsa::EcdsaSecret;
use schema::guix::signature::GuixSignature;
use sha2::{Digest, Sha256};

/// Bytes that are passed on at a time.
const PIECE: usize = 64 << 10;

/// A stream that is being written.
pub(crate) struct Writer<W> {
    out: W,
    key: Option<EcdsaSecret>,
}

impl<W: Write> Writer<W> {
    /// Begins to write. For Guix, every item is signed with `key`; Nix knows of no signatures there.
    pub(crate) fn new(out: W, key: Option<EcdsaSecret>) -> Self {
        Self { out, key }
    }

    /// Writes an item, whose NAR must be whole and right. What it refers to has to come before it.
    pub(crate) fn item(&mut self, nar: &mut dyn Read, trailer: &Trailer) -> io::Result<()> {
        self.out.write_all(&ITEM)?;
        let mut signed = Sha256::new();
        let mut piece = vec![0; PIECE];
        loop {
            let len = match nar.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            signed.update(&piece[..len]);
            self.out.write_all(&piece[..len])?;
        }
        let trailer = trailer.print();
        let hash = signed.chain_update(&trailer).finalize().into();
        let signature = self.key.as_ref().map(|key| GuixSignature::sign(key, hash));
        self.out.write_all(&trailer)?;
        self.out.write_all(&print_seal(signature.as_ref()))
    }

    /// Ends the stream. Without this it is none.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&END)?;
        self.out.flush()?;
        Ok(self.out)
    }
}
