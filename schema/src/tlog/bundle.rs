//! Entry bundles: up to 256 entries of a log in one file.
//!
//! Source: c2sp.org/tlog-tiles@v1.0.0, "Log entries".

use thiserror::Error;

use super::tile::FULL_WIDTH;

/// Why entries are not a bundle, or bytes are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BundleError {
    /// None, or more than 256.
    #[error("a bundle has 1 to {FULL_WIDTH} entries")]
    Count,
    /// An entry whose length two bytes cannot say.
    #[error("an entry of {0} bytes; it has at most 65535")]
    TooLong(usize),
    /// The bytes end within an entry.
    #[error("the bundle ends within an entry")]
    Truncated,
}

/// The bundle with these entries: the length of each in two bytes, big-endian, then the entry.
///
/// # Errors
/// [`BundleError::Count`] and [`BundleError::TooLong`].
pub fn encode<T: AsRef<[u8]>>(entries: &[T]) -> Result<Vec<u8>, BundleError> {
    if !(1..=usize::from(FULL_WIDTH)).contains(&entries.len()) {
        return Err(BundleError::Count);
    }
    let mut bundle = Vec::new();
    for entry in entries.iter().map(AsRef::as_ref) {
        let len = u16::try_from(entry.len()).map_err(|_| BundleError::TooLong(entry.len()))?;
        bundle.extend_from_slice(&len.to_be_bytes());
        bundle.extend_from_slice(entry);
    }
    Ok(bundle)
}

/// The entries of a bundle.
///
/// # Errors
/// [`BundleError::Count`] and [`BundleError::Truncated`].
pub fn parse(bundle: &[u8]) -> Result<Vec<&[u8]>, BundleError> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk().ok_or(BundleError::Truncated)?;
        let len = usize::from(u16::from_be_bytes(*len));
        let (entry, after) = after.split_at_checked(len).ok_or(BundleError::Truncated)?;
        if entries.len() == usize::from(FULL_WIDTH) {
            return Err(BundleError::Count);
        }
        entries.push(entry);
        rest = after;
    }
    if entries.is_empty() { Err(BundleError::Count) } else { Ok(entries) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_stand_before_entries() {
        let entries: [&[u8]; 3] = [b"one", b"", b"three"];
        let bundle = encode(&entries).unwrap();
        assert_eq!(bundle, b"\0\x03one\0\0\0\x05three");
        assert_eq!(parse(&bundle), Ok(entries.to_vec()));
    }

    #[test]
    fn cut_and_overlong_bundles_are_refused() {
        let bundle = encode(&[b"one", b"two"]).unwrap();
        for cut in [1, 4, 6, 9] {
            assert_eq!(parse(&bundle[..cut]), Err(BundleError::Truncated), "{cut}");
        }
        assert_eq!(parse(b""), Err(BundleError::Count));
        assert_eq!(parse(&[0; 512]).unwrap().len(), 256);
        assert_eq!(parse(&[0; 514]), Err(BundleError::Count));
        assert_eq!(encode(&[b""; 257]), Err(BundleError::Count));
        assert_eq!(encode::<&[u8]>(&[]), Err(BundleError::Count));
        assert_eq!(encode(&[vec![0; 65536]]), Err(BundleError::TooLong(65536)));
        assert_eq!(parse(&encode(&[vec![7; 65535]]).unwrap()).unwrap(), [&[7; 65535]]);
    }
}
