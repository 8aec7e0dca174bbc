//! Narinfos in Nix's dialect.

use proptest::prelude::*;
use schema::narinfo::NarInfo;

use super::arbitrary::narinfo;
use super::mutation::mutation;

const KEYS: [&str; 11] = [
    "StorePath: ",
    "URL: ",
    "Compression: ",
    "FileHash: ",
    "FileSize: ",
    "NarHash: ",
    "NarSize: ",
    "References: ",
    "Deriver: ",
    "Sig: ",
    "CA: ",
];

proptest! {
    #[test]
    fn text_leads_back(narinfo in narinfo()) {
        let text = narinfo.print_nix();
        prop_assert_eq!(NarInfo::parse_nix(text.as_bytes()), Ok(narinfo));
    }

    #[test]
    fn unknown_lines_are_passed_over(narinfo in narinfo(), line in "[A-Z]{3,9}x: [ -~]{0,30}") {
        let text = narinfo.print_nix();
        prop_assert_eq!(NarInfo::parse_nix(format!("{line}\n{text}").as_bytes()), Ok(narinfo.clone()));
        prop_assert_eq!(NarInfo::parse_nix(format!("{text}{line}\n").as_bytes()), Ok(narinfo));
    }

    /// What is printed of something read is a narinfo, whatever was sent: no line of its own
    /// comes in, and no second reading is possible.
    #[test]
    fn damaged_text_is_read_in_one_way_or_not_at_all(
        narinfo in narinfo(),
        damage in prop::collection::vec(mutation(), 1..4),
    ) {
        let text = damage.iter().fold(narinfo.print_nix().into_bytes(), |text, it| it.of(&text));
        if let Ok(read) = NarInfo::parse_nix(&text) {
            let printed = read.print_nix();
            prop_assert_eq!(NarInfo::parse_nix(printed.as_bytes()), Ok(read.clone()));
            let lines = printed.split_inclusive('\n');
            let ranks: Option<Vec<_>> =
                lines.map(|line| KEYS.iter().position(|key| line.starts_with(key))).collect();
            let ranks = ranks.expect("each line has a key of its own");
            prop_assert!(ranks.is_sorted(), "{}", printed);
            let repeated = ranks.windows(2).filter(|pair| pair[0] == pair[1]).count();
            prop_assert_eq!(repeated, read.signatures.len().saturating_sub(1));
            prop_assert!(printed.bytes().all(|byte| byte == b'\n' || !byte.is_ascii_control()));
        }
    }

    #[test]
    fn a_line_twice_is_refused(narinfo in narinfo(), line in any::<prop::sample::Index>()) {
        let text = narinfo.print_nix();
        let lines: Vec<_> = text.split_inclusive('\n').filter(|line| !line.starts_with("Sig: ")).collect();
        let twice = format!("{text}{}", line.get(&lines));
        prop_assert!(NarInfo::parse_nix(twice.as_bytes()).is_err(), "{}", twice);
    }
}
