//! Store directories, store paths and their base names.

use proptest::prelude::*;
use schema::store_path::{BaseName, HashPart, StoreDir, StorePath};

use super::arbitrary::{base_name, store_dir, store_path};
use super::mutation::mutation;

proptest! {
    #[test]
    fn parts_lead_back(path in store_path(), dir in store_dir(), base in base_name()) {
        prop_assert_eq!(path.to_string().parse(), Ok(path.clone()));
        prop_assert_eq!(StorePath::parse_in(path.dir(), &path.to_string()), Ok(path.clone()));
        prop_assert_eq!(dir.to_string().parse(), Ok(dir));
        prop_assert_eq!(base.to_string().parse(), Ok(base.clone()));
        prop_assert_eq!(format!("{}-{}", base.hash_part(), base.name()), base.to_string());
        prop_assert_eq!(base.hash_part().to_string().parse::<HashPart>(), Ok(base.hash_part()));
        let json = serde_json::to_string(&path).unwrap();
        prop_assert_eq!(serde_json::from_str::<StorePath>(&json).unwrap(), path);
    }

    #[test]
    fn a_damaged_path_is_another_one_or_none(path in store_path(), mutation in mutation()) {
        let text = path.to_string();
        let damaged = mutation.of(text.as_bytes());
        let Ok(damaged) = String::from_utf8(damaged) else { return Ok(()) };
        if let Ok(read) = damaged.parse::<StorePath>() {
            prop_assert_eq!(read.to_string(), damaged.clone());
            prop_assert_eq!(read == path, damaged == text);
        }
    }

    #[test]
    fn what_reads_can_do_no_harm_in_a_file_name_a_url_or_a_line(text in "(/nix/store/)?[ -~\\n\\x00é]{30,60}") {
        if let Ok(base) = text.parse::<BaseName>() {
            prop_assert!(base.as_str().bytes().all(|byte| byte.is_ascii_graphic() && !b"/%#&;,:\\\"'".contains(&byte)));
            prop_assert!(!base.name().starts_with('.'));
        }
        if let Ok(dir) = text.parse::<StoreDir>() {
            prop_assert!(dir.as_str().starts_with('/') && !dir.as_str().ends_with('/'));
            prop_assert!(dir.as_str().split('/').skip(1).all(|part| !["", ".", ".."].contains(&part)));
        }
    }

    #[test]
    fn a_path_of_another_store_is_told_apart(path in store_path(), dir in store_dir()) {
        let read = StorePath::parse_in(&dir, &path.to_string());
        prop_assert_eq!(read.is_ok(), *path.dir() == dir);
    }
}
