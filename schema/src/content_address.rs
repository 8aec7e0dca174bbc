//! Content addresses: the `CA:` line of a narinfo, believed only when the store path follows from it.
//!
//! Source: Nix `src/libstore/content-address.cc` and `store-dir-config.cc`, `makeFixedOutputPath`.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::base32;
use crate::claim::Claim;
use crate::hash::{NarHash, hex};
use crate::store_path::{BaseName, HashPart, StoreDir, StorePath, StorePathError, check_name};

/// Why a text is not a content address.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ContentAddressError {
    /// Neither `text:` nor `fixed:`, or a method that is not known here.
    #[error("not text:<hash>, fixed:<hash> or fixed:r:<hash>")]
    Method,
    /// Not `md5`, `sha1`, `sha256` or `sha512`.
    #[error("unknown hash algorithm")]
    Algorithm,
    /// The digits are not those of the algorithm.
    #[error(transparent)]
    Digits(#[from] base32::Base32Error),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Method {
    Text,
    Flat,
    Nar,
}

/// How a store path's contents fix its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ContentAddress {
    method: Method,
    algorithm: &'static str,
    digest: Box<[u8]>,
}

impl ContentAddress {
    /// Whether the path of `claim` is the one that this address and the claim's references give.
    #[must_use]
    pub fn gives_path_of(&self, claim: &Claim) -> bool {
        let path = claim.path();
        let to_self = claim.references().iter().any(|reference| reference == path.base());
        let others: Vec<String> = claim
            .references()
            .iter()
            .filter(|reference| *reference != path.base())
            .map(|reference| format!("{}/{reference}", path.dir()))
            .collect();
        let hash_part = match self.method {
            Method::Text if self.algorithm == "sha256" && !to_self => {
                fingerprint_hash(claim, &path_type("text", &others, false), &hex(&self.digest))
            }
            Method::Nar if self.algorithm == "sha256" => {
                fingerprint_hash(claim, &path_type("source", &others, to_self), &hex(&self.digest))
            }
            Method::Flat | Method::Nar if claim.references().is_empty() => {
                let recursive = if self.method == Method::Nar { "r:" } else { "" };
                let inner =
                    format!("fixed:out:{recursive}{}:{}:", self.algorithm, hex(&self.digest));
                fingerprint_hash(claim, "output:out", &hex(&Sha256::digest(inner)))
            }
            _ => return false,
        };
        hash_part == *path.base().hash_part().as_bytes()
    }

    /// The path called `name` of the file that has this SHA-256 hash: what `guix hash FILE` or
    /// `sha256sum` says of a source, and a fixed-output derivation that fetches it is sure of.
    ///
    /// # Errors
    /// A name that no path has.
    pub fn path_of_file(
        dir: &StoreDir,
        name: &str,
        hash: &[u8; 32],
    ) -> Result<StorePath, StorePathError> {
        check_name(name.as_bytes())?;
        let inner = Sha256::digest(format!("fixed:out:sha256:{}:", hex(hash)));
        let hash_part = HashPart::from_bytes(fold(dir, name, "output:out", &hex(&inner)));
        let base: BaseName = format!("{hash_part}-{name}").parse()?;
        Ok(StorePath::new(dir.clone(), base))
    }

    /// The NAR that every path with this address and without a reference to itself has, where the
    /// address says so: `fixed:r:sha256`.
    #[must_use]
    pub fn nar_hash(&self) -> Option<NarHash> {
        let of_nar = self.method == Method::Nar && self.algorithm == "sha256";
        let digest = <[u8; 32]>::try_from(&*self.digest).ok().filter(|_| of_nar)?;
        Some(NarHash::from_bytes(digest))
    }
}

fn path_type(kind: &str, references: &[String], to_self: bool) -> String {
    let mut out = kind.to_owned();
    for reference in references {
        out.push(':');
        out.push_str(reference);
    }
    if to_self {
        out.push_str(":self");
    }
    out
}

/// The hash part of the path with this type, inner hash and the claim's store and name.
fn fingerprint_hash(claim: &Claim, path_type: &str, inner_hex: &str) -> [u8; 20] {
    fold(claim.path().dir(), claim.path().base().name(), path_type, inner_hex)
}

/// The hash part of the path called `name` with this type and inner hash.
fn fold(dir: &StoreDir, name: &str, path_type: &str, inner_hex: &str) -> [u8; 20] {
    let digest = Sha256::digest(format!("{path_type}:sha256:{inner_hex}:{dir}:{name}"));
    let mut folded = [0; 20];
    for (at, byte) in digest.iter().enumerate() {
        folded[at % 20] ^= byte;
    }
    folded
}

impl FromStr for ContentAddress {
    type Err = ContentAddressError;

    fn from_str(text: &str) -> Result<Self, ContentAddressError> {
        let (method, hash) = if let Some(hash) = text.strip_prefix("text:") {
            (Method::Text, hash)
        } else if let Some(hash) = text.strip_prefix("fixed:r:") {
            (Method::Nar, hash)
        } else if let Some(hash) = text.strip_prefix("fixed:") {
            (Method::Flat, hash)
        } else {
            return Err(ContentAddressError::Method);
        };
        let (algorithm, digits) = hash.split_once(':').ok_or(ContentAddressError::Method)?;
        let (algorithm, len) = match algorithm {
            "md5" => ("md5", 16),
            "sha1" => ("sha1", 20),
            "sha256" => ("sha256", 32),
            "sha512" => ("sha512", 64),
            _ => return Err(ContentAddressError::Algorithm),
        };
        let mut digest = vec![0; len].into_boxed_slice();
        base32::decode_into(digits.as_bytes(), &mut digest)?;
        Ok(Self { method, algorithm, digest })
    }
}

impl fmt::Display for ContentAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = match self.method {
            Method::Text => "text",
            Method::Flat => "fixed",
            Method::Nar => "fixed:r",
        };
        write!(f, "{method}:{}:{}", self.algorithm, base32::encode(&self.digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(path: &str, references: &[&str]) -> Claim {
        let references = references.iter().map(|reference| reference.parse().unwrap()).collect();
        Claim::new(path.parse().unwrap(), NarHash::of(b""), 112, references).unwrap()
    }

    #[test]
    fn it_reads_what_it_prints() {
        for text in [
            "text:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
            "fixed:md5:3y8bwfr609h3lh9ch0izcqq7fl",
        ] {
            assert_eq!(text.parse::<ContentAddress>().unwrap().to_string(), text);
        }
        for text in ["", "text", "git:sha1:00", "fixed:sha256:00", "fixed:crc:00"] {
            assert!(text.parse::<ContentAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_files_path_follows_from_its_hash() {
        let hash = Sha256::digest(b"hello\n").into();
        let path = ContentAddress::path_of_file(&StoreDir::nix(), "f", &hash).unwrap();
        let address = format!("fixed:sha256:{}", base32::encode(&hash));
        let address: ContentAddress = address.parse().unwrap();
        assert!(address.gives_path_of(&claim(&path.to_string(), &[])));
        assert!(ContentAddress::path_of_file(&StoreDir::nix(), "../f", &hash).is_err());
    }

    /// Paths and `CA:` lines that Nix 2.8 made with `builtins.toFile`, `--add` and `--add-fixed`.
    #[test]
    fn paths_made_by_nix_follow_from_their_addresses_and_others_do_not() {
        let made = [
            (
                "/nix/store/i4f75pn3bxkxdk2kld86k5qazq4cqj8i-hello",
                "text:sha256:094qif9n4cq4fdg459qzbhg1c6wywawwaaivx0k0x8xhbyx4vwic",
            ),
            (
                "/nix/store/ab3li50xq0nl4q5lxdyinb8w8y13my9s-f",
                "fixed:r:sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h",
            ),
            (
                "/nix/store/hrbblgbxbvz8al5a8l85i8giajyajiwj-f",
                "fixed:sha256:1r3v22qkypccqifzbww5lrn6hf1chi23m6zzkyvb8bvg457nxslq",
            ),
        ];
        for (path, address) in made {
            let address: ContentAddress = address.parse().unwrap();
            assert!(address.gives_path_of(&claim(path, &[])), "{path}");
            for (other, _) in made.iter().filter(|(other, _)| *other != path) {
                assert!(!address.gives_path_of(&claim(other, &[])), "{other}");
            }
            let reference = "3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8";
            assert!(!address.gives_path_of(&claim(path, &[reference])), "{path} with a reference");
        }
    }
}
