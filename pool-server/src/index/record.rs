//! How records are laid out in the database: big-endian, lengths before what they measure.

mod side_documents;

use schema::claim::Claim;
use schema::compression::Compression;
use schema::hash::{FileHash, KeyId, NarHash};
use schema::signature::Signature;
use schema::store_path::HashPart;

use super::{
    AttestationRecord, BlobRecord, Candidates, ClaimRecord, ElsewhereRecord, FileRecord, LedgerId,
    PathRecord,
};
use crate::rejected::Error;

pub(super) use side_documents::{
    read_debug_info, read_realisation, write_debug_info, write_realisation,
};

/// The first byte of each record. Another layout takes another number.
const LAYOUT: u8 = 1;
/// Of a path's record. Before there were mirrors it was [`LAYOUT`], and words had no ledger.
const PATH_LAYOUT: u8 = 2;

pub(super) fn write_path(record: &PathRecord) -> Vec<u8> {
    let mut out = vec![PATH_LAYOUT];
    put_len(&mut out, record.claims.len());
    for claim in &record.claims {
        write_claim(&mut out, claim);
    }
    out
}

fn write_claim(out: &mut Vec<u8>, record: &ClaimRecord) {
    put_text(out, &record.claim.signed_bytes());
    put_text(out, record.deriver.as_ref().map_or("", |deriver| deriver.as_str()));
    let address = record.content_address.as_ref().map(ToString::to_string);
    put_text(out, address.as_deref().unwrap_or_default());
    out.push(u8::from(record.file.is_some()));
    if let Some(file) = &record.file {
        write_file(out, file);
    }
    put_len(out, record.attestations.len());
    for attestation in &record.attestations {
        out.extend_from_slice(&attestation.ledger.number().to_be_bytes());
        out.extend_from_slice(attestation.key_id.as_bytes());
        out.extend_from_slice(&attestation.index.to_be_bytes());
        out.extend_from_slice(&attestation.logged_at.to_be_bytes());
        out.extend_from_slice(attestation.signature.as_bytes());
    }
}

fn write_file(out: &mut Vec<u8>, file: &FileRecord) {
    out.push(file.compression.number());
    out.extend_from_slice(file.file_hash.as_bytes());
    out.extend_from_slice(&file.file_size.to_be_bytes());
}

pub(super) fn write_blob(record: &BlobRecord) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    out.extend_from_slice(&record.nar_size.to_be_bytes());
    write_file(&mut out, &record.file);
    out.extend_from_slice(&record.stored_at.to_be_bytes());
    out.push(u8::from(record.candidates.truncated));
    put_len(&mut out, record.candidates.hash_parts.len());
    for hash_part in &record.candidates.hash_parts {
        out.extend_from_slice(hash_part.as_bytes());
    }
    out
}

// Lengths are bounded where the records are made, far below 4 GiB.
fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_len(out, text.len());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn read_path(bytes: &[u8]) -> Result<PathRecord, Error> {
    let layout = bytes.first().copied().filter(|layout| [LAYOUT, PATH_LAYOUT].contains(layout));
    let claims = layout.and_then(|layout| {
        let claim = |reader: &mut Reader<'_>| reader.claim(layout == PATH_LAYOUT);
        Reader::read_all(&bytes[1..], |reader| reader.list(claim))
    });
    claims
        .map(|claims| PathRecord { claims })
        .ok_or_else(|| Error::Damaged("a path's record in the index does not read".to_owned()))
}

pub(super) fn read_blob(bytes: &[u8]) -> Result<BlobRecord, Error> {
    Reader::read_whole(bytes, |reader| {
        Some(BlobRecord {
            nar_size: reader.number()?,
            file: reader.file()?,
            stored_at: reader.number()?,
            candidates: Candidates {
                truncated: reader.flag()?,
                hash_parts: reader.list(|reader| Some(HashPart::from_bytes(reader.bytes()?)))?,
            },
        })
    })
    .ok_or_else(|| Error::Damaged("a NAR's record in the index does not read".to_owned()))
}

pub(super) fn write_elsewhere(record: &ElsewhereRecord) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    put_text(&mut out, &record.source);
    out.push(u8::from(record.file.is_some()));
    if let Some(file) = &record.file {
        write_file(&mut out, file);
    }
    out
}

pub(super) fn read_elsewhere(bytes: &[u8], wanted: bool) -> Result<ElsewhereRecord, Error> {
    Reader::read_whole(bytes, |reader| {
        let source = reader.text()?.to_owned();
        let file = if reader.flag()? { Some(reader.file()?) } else { None };
        Some(ElsewhereRecord { source, file, wanted })
    })
    .ok_or_else(|| Error::Damaged("where a NAR is, in the index, does not read".to_owned()))
}

pub(super) fn read_hash(bytes: &[u8]) -> Result<NarHash, Error> {
    let hash = bytes
        .try_into()
        .map_err(|_| Error::Damaged("an alias in the index does not read".to_owned()))?;
    Ok(NarHash::from_bytes(hash))
}

pub(super) fn read_index(bytes: &[u8]) -> Result<u64, Error> {
    let index =
        bytes.try_into().map_err(|_| Error::Damaged("a ledger index does not read".to_owned()))?;
    Ok(u64::from_be_bytes(index))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn read_whole<T>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let (&layout, rest) = bytes.split_first()?;
        if layout == LAYOUT { Self::read_all(rest, read) } else { None }
    }

    fn read_all<T>(bytes: &'a [u8], read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let mut reader = Self(bytes);
        let value = read(&mut reader)?;
        reader.0.is_empty().then_some(value)
    }

    fn bytes<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    fn number(&mut self) -> Option<u64> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        self.bytes::<1>().map(|[byte]| byte != 0)
    }

    fn len(&mut self) -> Option<usize> {
        self.bytes().map(|len| u32::from_be_bytes(len) as usize)
    }

    fn text(&mut self) -> Option<&'a str> {
        let len = self.len()?;
        let (text, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        std::str::from_utf8(text).ok()
    }

    fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let len = self.len()?;
        // Each item takes at least a byte, so a damaged length cannot ask for much memory.
        let mut items = Vec::with_capacity(len.min(self.0.len()).min(4096));
        for _ in 0..len {
            items.push(item(self)?);
        }
        Some(items)
    }

    fn claim(&mut self, with_ledgers: bool) -> Option<ClaimRecord> {
        let claim = Claim::parse(self.text()?.as_bytes()).ok()?;
        let deriver = self.text()?;
        let address = self.text()?;
        Some(ClaimRecord {
            claim,
            deriver: if deriver.is_empty() { None } else { Some(deriver.parse().ok()?) },
            content_address: if address.is_empty() { None } else { Some(address.parse().ok()?) },
            file: if self.flag()? { Some(self.file()?) } else { None },
            attestations: self.list(|reader| reader.attestation(with_ledgers))?,
        })
    }

    fn file(&mut self) -> Option<FileRecord> {
        let [compression] = self.bytes()?;
        Some(FileRecord {
            compression: Compression::from_number(compression)?,
            file_hash: FileHash::from_bytes(self.bytes()?),
            file_size: self.number()?,
        })
    }

    fn attestation(&mut self, with_ledger: bool) -> Option<AttestationRecord> {
        let ledger = if with_ledger { u32::from_be_bytes(self.bytes()?) } else { 0 };
        Some(AttestationRecord {
            ledger: LedgerId::from_number(ledger),
            key_id: KeyId::from_bytes(self.bytes()?),
            index: self.number()?,
            logged_at: self.number()?,
            signature: Signature::from_bytes(self.bytes()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> FileRecord {
        FileRecord { compression: Compression::Xz, file_hash: FileHash::of(b"f"), file_size: 7 }
    }

    fn path() -> PathRecord {
        let text = "1;/nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12;\
            sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73;112;\
            /nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8";
        let mut full = ClaimRecord::new(Claim::parse(text.as_bytes()).unwrap());
        let bare = full.clone();
        full.deriver = Some("10sgw6gzy1gkmp22jkxs8z1pnvrd2b0k-hello-2.12.drv".parse().unwrap());
        full.content_address = Some(
            "text:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic".parse().unwrap(),
        );
        full.file = Some(file());
        full.attestations.push(AttestationRecord {
            ledger: LedgerId::from_number(7),
            key_id: KeyId::of(b"k"),
            index: 3,
            logged_at: 4,
            signature: Signature::from_bytes([5; 64]),
        });
        PathRecord { claims: vec![full, bare] }
    }

    #[test]
    fn records_read_as_they_were_written() {
        assert_eq!(read_path(&write_path(&path())).unwrap(), path());
        let candidates =
            Candidates { hash_parts: vec![HashPart::from_bytes([9; 20])], truncated: true };
        let blob = BlobRecord { nar_size: 1, file: file(), stored_at: 2, candidates };
        assert_eq!(read_blob(&write_blob(&blob)).unwrap(), blob);
        for file in [Some(file()), None] {
            let source = "https://a.example".to_owned();
            let elsewhere = ElsewhereRecord { source, file, wanted: true };
            assert_eq!(read_elsewhere(&write_elsewhere(&elsewhere), true).unwrap(), elsewhere);
        }
    }

    #[test]
    fn a_path_from_before_there_were_mirrors_reads() {
        let mut path = path();
        path.claims[0].attestations[0].ledger = LedgerId::OWN;
        let bytes = write_path(&path);
        let ledger = [0; 4];
        let key_id = KeyId::of(b"k");
        let at = bytes.windows(32).position(|it| it == key_id.as_bytes()).unwrap();
        assert_eq!(bytes[at - 4..at], ledger);
        let old = [&[LAYOUT], &bytes[1..at - 4], &bytes[at..]].concat();
        assert_eq!(read_path(&old).unwrap(), path);
    }

    #[test]
    fn a_cut_or_longer_record_is_reported_not_guessed() {
        let mut bytes = write_path(&path());
        for len in 0..bytes.len() {
            assert!(read_path(&bytes[..len]).is_err(), "{len}");
        }
        bytes.push(0);
        assert!(read_path(&bytes).is_err());
    }
}
