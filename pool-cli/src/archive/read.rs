//! Reading a stream, item by item, with no more of it in memory than a piece.

use std::io::{self, ErrorKind, Read};

use anyhow::{Context, Result};
use schema::claim::Claim;
use schema::export::{ExportError, NUMBER_LEN, Trailer, TrailerReader, is_item};
use schema::guix::ecdsa::EcdsaKey;
use schema::hash::NarHash;
use schema::store_path::{BaseName, StorePath};
use sha2::{Digest, Sha256};

use crate::exit::Failure;
use crate::nar::{cut_off, embedded};

/// A stream that is being read.
pub(crate) struct Reader<R> {
    stream: Stream<R>,
    /// Items that were read or begun.
    number: usize,
    last: Option<StorePath>,
}

/// What a stream says of a path, whose NAR has passed.
#[derive(Debug)]
pub(crate) struct Item {
    /// What there is to sign.
    pub(crate) claim: Claim,
    /// The derivation it was built from.
    pub(crate) deriver: Option<BaseName>,
    /// Who signed it, where anybody did. The signature was verified.
    pub(crate) signer: Option<EcdsaKey>,
    /// Its number in the stream, from 1.
    pub(crate) number: usize,
}

impl<R: Read> Reader<R> {
    /// Begins to read. `stream` is read in small pieces.
    pub(crate) fn new(stream: R) -> Self {
        Self { stream: Stream { stream, at: 0, ahead: None }, number: 0, last: None }
    }

    /// Reads the next item, and hands its NAR to `nar`, whose errors are passed on; none at the end,
    /// after which nothing may follow. What `nar` got is right only if there is an item.
    pub(crate) fn next(
        &mut self,
        nar: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<Option<Item>> {
        match self.read(nar) {
            Ok(Some(item)) => {
                self.last = Some(item.claim.path().clone());
                Ok(Some(item))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error.context(self.place())),
        }
    }

    fn read(&mut self, nar: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<Option<Item>> {
        let what = if self.number == 0 { "the archive" } else { "the next item, or the end" };
        let mark = self.stream.exactly(NUMBER_LEN, what)?;
        let mark = <[u8; NUMBER_LEN]>::try_from(mark.as_slice())?;
        self.number += 1;
        if !is_item(mark).map_err(|error| self.no_archive(&error))? {
            return self.stream.ended().map(|()| None);
        }
        let mut signed = Sha256::new();
        let mut nar_size = 0;
        let follows = embedded(&mut self.stream, &mut |bytes| {
            signed.update(bytes);
            nar_size += bytes.len() as u64;
            nar(bytes)
        })?;
        self.stream.put_back(follows);
        let nar_hash = NarHash::from_bytes(signed.clone().finalize().into());
        let mut reader = TrailerReader::default();
        while reader.wants() > 0 {
            let bytes = self.stream.exactly(reader.wants(), "what follows the NAR")?;
            reader.take(&bytes).map_err(wrong)?;
        }
        let (trailer, signature) = reader.finish().map_err(wrong)?;
        let signed = signed.chain_update(trailer.print()).finalize().into();
        if signature.as_ref().is_some_and(|signature| !signature.holds(&signed)) {
            return Err(forged(&trailer).into());
        }
        let about = || trailer.path().to_string();
        let claim = trailer.claim(nar_hash, nar_size).with_context(about)?;
        let signer = signature.map(|signature| signature.key().clone());
        let deriver = trailer.deriver().cloned();
        Ok(Some(Item { claim, deriver, signer, number: self.number }))
    }

    /// Where it is in the stream.
    fn place(&self) -> String {
        let (number, at) = (self.number.max(1), self.stream.at);
        match &self.last {
            None => format!("item {number}, up to byte {at}"),
            Some(path) => format!("item {number}, after {path}, up to byte {at}"),
        }
    }

    /// What begins with something else is no archive at all, perhaps.
    fn no_archive(&self, error: &ExportError) -> Failure {
        let failure = Failure::no(error.to_string()).lasting();
        match self.number {
            1 => failure.hint("`guix archive --export` and `nix-store --export` make archives"),
            _ => failure,
        }
    }
}

fn wrong(error: ExportError) -> Failure {
    Failure::no(error.to_string()).lasting()
}

fn forged(trailer: &Trailer) -> Failure {
    Failure::no(format!("{}: its signature does not hold", trailer.path()))
        .lasting()
        .hint("the archive was changed after it was signed; export it anew")
}

/// Counts what is read. One byte can be put back.
struct Stream<R> {
    stream: R,
    at: u64,
    ahead: Option<u8>,
}

impl<R: Read> Stream<R> {
    /// The next bytes, so many.
    fn exactly(&mut self, len: usize, what: &str) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        match self.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(cut_off(what).into()),
            Err(error) => Err(error).with_context(|| format!("reading {what}")),
        }
    }

    fn put_back(&mut self, byte: u8) {
        self.ahead = Some(byte);
        self.at -= 1;
    }

    /// That nothing follows: a second archive would be passed over in silence.
    fn ended(&mut self) -> Result<()> {
        let mut rest = [0];
        loop {
            match self.read(&mut rest) {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    let message = "something follows the end of the archive";
                    let hint = "of archives that are joined, each is to be imported by itself";
                    return Err(Failure::no(message).lasting().hint(hint).into());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("reading the end"),
            }
        }
    }
}

impl<R: Read> Read for Stream<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = match (self.ahead, buffer.first_mut()) {
            (Some(byte), Some(first)) => {
                *first = byte;
                self.ahead = None;
                1
            }
            _ => self.stream.read(buffer)?,
        };
        self.at += len as u64;
        Ok(len)
    }
}
