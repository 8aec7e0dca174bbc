//! Where debug information lies.

use proptest::prelude::*;
use schema::debug_info::{Archive, BuildId, DebugInfo, MAX_DEBUG_INFO_LEN, MAX_MEMBER_LEN, Member};
use schema::hash::FileHash;

use super::arbitrary::{compression, nar_hash};
use super::mutation::mutation;

fn debug_info() -> impl Strategy<Value = DebugInfo> {
    let member = "[^/.\\pC]{1,20}(/[^/.\\pC]{1,20}){0,5}";
    (nar_hash(), compression(), member).prop_map(|(nar_hash, compression, member)| DebugInfo {
        archive: Archive::of_nar(&nar_hash, compression),
        member: member.parse().expect("what was generated is well formed"),
    })
}

proptest! {
    #[test]
    fn json_leads_back(debug_info in debug_info()) {
        let json = serde_json::to_string(&debug_info).unwrap();
        prop_assert_eq!(serde_json::from_str::<DebugInfo>(&json).unwrap(), debug_info);
    }

    #[test]
    fn damaged_json_is_another_document_or_none(debug_info in debug_info(), mutation in mutation()) {
        let json = serde_json::to_vec(&debug_info).unwrap();
        let damaged = mutation.of(&json);
        if let Ok(read) = serde_json::from_slice::<DebugInfo>(&damaged) {
            let again = serde_json::to_vec(&read).unwrap();
            prop_assert_eq!(serde_json::from_slice::<DebugInfo>(&again).unwrap(), read.clone());
            prop_assert_eq!(read == debug_info, again == json);
        }
    }

    #[test]
    fn no_member_leads_out_of_its_nar(text in "[./a]{0,12}") {
        if let Ok(member) = text.parse::<Member>() {
            prop_assert_eq!(member.as_str(), &text);
            prop_assert!(text.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
        }
    }

    #[test]
    fn a_build_id_is_read_as_it_stands(text in "[0-9a-f]{10,140}") {
        let read = text.parse::<BuildId>().map(|id| id.to_string());
        prop_assert_eq!(read.is_ok(), (16..=128).contains(&text.len()));
        prop_assert!(read.is_err() || read == Ok(text));
    }
}

#[test]
fn nothing_but_the_two_fields_is_read() {
    let json =
        format!(r#"{{"archive":"../nar/{}.nar.xz","member":"a"}}"#, FileHash::of(b"").to_nix32());
    assert!(serde_json::from_str::<DebugInfo>(&json).is_ok());
    for bad in [
        json.replace("}", r#","x":1}"#),
        json.replace("}", r#","member":"b"}"#),
        json.replace(r#","member":"a""#, ""),
        json.replace(r#""a""#, "1"),
        json.replace("../nar", "/nar"),
    ] {
        assert!(serde_json::from_str::<DebugInfo>(&bad).is_err(), "{bad}");
    }
}

#[test]
fn the_longest_member_fits_into_a_document() {
    let member: Member = "\"".repeat(MAX_MEMBER_LEN).parse().unwrap();
    let archive = Archive::of_file(&FileHash::of(b""), schema::compression::Compression::Zstd);
    let json = serde_json::to_string(&DebugInfo { archive, member }).unwrap();
    assert!(json.len() < MAX_DEBUG_INFO_LEN);
}
