//! Many small NARs in one body.

use proptest::prelude::*;
use schema::compression::Compression;
use schema::hash::NarHash;
use schema::nar_batch::Record;

use super::arbitrary::{compression, nar_hash};
use super::mutation::mutation;

type Part = (NarHash, Compression, Vec<u8>);

fn parts(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Part>> {
    let file = prop::collection::vec(any::<u8>(), 0..80);
    prop::collection::vec((nar_hash(), compression(), file), count)
}

fn records(parts: &[Part]) -> Vec<Record<'_>> {
    let mut records = Vec::new();
    for (nar_hash, compression, file) in parts {
        records.push(Record { nar_hash: *nar_hash, compression: *compression, file });
    }
    records
}

fn body(records: &[Record<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for record in records {
        record.encode_to(&mut body).expect("the body is short");
    }
    body
}

proptest! {
    #[test]
    fn a_body_leads_back(parts in parts(0..6)) {
        let records = records(&parts);
        let body = body(&records);
        prop_assert_eq!(body.len(), parts.iter().map(|(.., file)| Record::encoded_len(file.len())).sum::<usize>());
        prop_assert_eq!(Record::parse_all(&body), Ok(records));
    }

    #[test]
    fn a_damaged_body_is_another_batch_or_none(parts in parts(1..6), mutation in mutation()) {
        let whole = body(&records(&parts));
        let damaged = mutation.of(&whole);
        if let Ok(read) = Record::parse_all(&damaged) {
            prop_assert_eq!(body(&read), damaged);
        }
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(read) = Record::parse_all(&bytes) {
            prop_assert_eq!(body(&read), bytes);
        }
    }
}
