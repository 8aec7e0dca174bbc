//! What every text of a log spells in one way: numbers, and proofs above a checkpoint.

use crate::hash::{HashError, TreeHash};

/// Reads a decimal number in its only spelling: digits, and no zero in front of others.
pub(super) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    if canonical { text.parse().ok() } else { None }
}

/// The lines above the first empty one, of which there is one at least, and what stands below it.
pub(super) fn above_checkpoint(text: &str) -> Option<(std::str::Split<'_, char>, &str)> {
    let (lines, checkpoint) = text.split_once("\n\n")?;
    Some((lines.split('\n'), checkpoint))
}

/// Reads a proof, one hash in each line, and none of more than `most`.
pub(super) fn proof_lines<'t>(
    lines: impl Iterator<Item = &'t str>,
    most: usize,
) -> Result<Vec<TreeHash>, HashError> {
    // One more than can be, so that whoever counts them notices.
    lines.take(most + 1).map(TreeHash::from_base64).collect()
}

/// A line for each hash.
pub(super) fn print_proof(hashes: &[TreeHash]) -> String {
    hashes.iter().flat_map(|hash| [hash.to_base64(), "\n".to_owned()]).collect()
}

#[test]
fn a_number_has_one_spelling() {
    for (text, number) in
        [("0", Some(0)), ("10", Some(10)), ("18446744073709551615", Some(u64::MAX))]
    {
        assert_eq!(decimal(text), number);
    }
    for text in ["", "00", "01", "+1", "-0", " 1", "1 ", "1_0", "18446744073709551616", "１"] {
        assert_eq!(decimal(text), None, "{text}");
    }
}
