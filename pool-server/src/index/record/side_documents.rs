//! The layout of what is kept beside narinfos.

use schema::hash::{FileHash, KeyId};
use schema::realisation::{Realisation, SignedRealisation};
use schema::signature::Signature;

use super::{LAYOUT, Reader, put_len, put_text};
use crate::index::{DebugInfoRecord, RealisationRecord, SignatureRecord, VariantRecord};
use crate::rejected::Error;

pub(in crate::index) fn write_debug_info(record: &DebugInfoRecord) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    out.extend_from_slice(record.archive.as_bytes());
    put_text(&mut out, record.member.as_str());
    out
}

pub(in crate::index) fn read_debug_info(bytes: &[u8]) -> Result<DebugInfoRecord, Error> {
    Reader::read_whole(bytes, |reader| {
        let archive = FileHash::from_bytes(reader.bytes()?);
        Some(DebugInfoRecord { archive, member: reader.text()?.parse().ok()? })
    })
    .ok_or_else(|| Error::Damaged("the record of a build id does not read".to_owned()))
}

pub(in crate::index) fn write_realisation(record: &RealisationRecord) -> Vec<u8> {
    let mut out = vec![LAYOUT];
    put_len(&mut out, record.variants.len());
    for variant in &record.variants {
        put_text(&mut out, &variant.realisation.fingerprint());
        put_len(&mut out, variant.signatures.len());
        for signature in &variant.signatures {
            out.extend_from_slice(signature.key_id.as_bytes());
            out.extend_from_slice(&signature.number.to_be_bytes());
            out.extend_from_slice(signature.signature.as_bytes());
        }
    }
    out
}

pub(in crate::index) fn read_realisation(bytes: &[u8]) -> Result<RealisationRecord, Error> {
    Reader::read_whole(bytes, |reader| {
        Some(RealisationRecord { variants: reader.list(Reader::variant)? })
    })
    .ok_or_else(|| Error::Damaged("a realisation's record in the index does not read".to_owned()))
}

impl Reader<'_> {
    fn variant(&mut self) -> Option<VariantRecord> {
        let realisation = parse_fingerprint(self.text()?)?;
        Some(VariantRecord { realisation, signatures: self.list(Self::signature)? })
    }

    fn signature(&mut self) -> Option<SignatureRecord> {
        Some(SignatureRecord {
            key_id: KeyId::from_bytes(self.bytes()?),
            number: self.number()?,
            signature: Signature::from_bytes(self.bytes()?),
        })
    }
}

fn parse_fingerprint(text: &str) -> Option<Realisation> {
    let read: SignedRealisation = serde_json::from_str(text).ok()?;
    (read.realisation.fingerprint() == text).then_some(read.realisation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realisation() -> RealisationRecord {
        let id = |digit: &str| format!("sha256:{}!out", digit.repeat(64)).parse().unwrap();
        let path = |name: &str| format!("7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-{name}").parse().unwrap();
        let dependencies = [(id("1"), path("inner"))].into();
        let full = Realisation { id: id("0"), out_path: path("outer"), dependencies };
        let bare = Realisation { dependencies: [].into(), ..full.clone() };
        let signature = SignatureRecord {
            key_id: KeyId::of(b"k"),
            number: 3,
            signature: Signature::from_bytes([5; 64]),
        };
        let variants = [(full, vec![signature]), (bare, Vec::new())];
        let variants =
            variants.map(|(realisation, signatures)| VariantRecord { realisation, signatures });
        RealisationRecord { variants: variants.into() }
    }

    #[test]
    fn records_read_as_they_were_written() {
        assert_eq!(read_realisation(&write_realisation(&realisation())).unwrap(), realisation());
        let member = "lib/debug/.build-id/ab/cd.debug".parse().unwrap();
        let record = DebugInfoRecord { archive: FileHash::of(b"f"), member };
        assert_eq!(read_debug_info(&write_debug_info(&record)).unwrap(), record);
    }

    #[test]
    fn a_cut_or_longer_record_is_reported_not_guessed() {
        let mut bytes = write_realisation(&realisation());
        for len in 0..bytes.len() {
            assert!(read_realisation(&bytes[..len]).is_err(), "{len}");
        }
        bytes.push(0);
        assert!(read_realisation(&bytes).is_err());
    }
}
