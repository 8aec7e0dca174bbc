//! The Nix dialect.
//!
//! Source: Nix `src/libstore/nar-info.cc`, read more strictly than there: no field twice (but
//! `Sig`), no carriage returns or NULs, and a final newline.

use std::fmt::Write;
use std::str::FromStr;

use thiserror::Error;

use super::{Delivery, MAX_NARINFO_LEN, MAX_SIGNATURES, NarInfo};
use crate::claim::{Claim, ClaimError, parse_size};
use crate::compression::Compression;
use crate::content_address::ContentAddress;
use crate::key::KeyName;
use crate::signature::{NamedSignature, Signature};
use crate::store_path::{BaseName, StorePath};

/// Why a text is not a narinfo.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NarInfoError {
    /// Longer than [`MAX_NARINFO_LEN`].
    #[error("{0} bytes; a narinfo has at most {MAX_NARINFO_LEN}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// A control character, which no field may hold.
    #[error("line {line} holds the control character {byte:#04x}")]
    Control {
        /// The line, from 1.
        line: usize,
        /// The character.
        byte: u8,
    },
    /// The last line does not end, or a line has no `: `.
    #[error("line {0} is not of the form Key: value, ended by a newline")]
    Line(usize),
    /// A field that may stand once stands twice.
    #[error("line {line} repeats {key}")]
    Duplicate {
        /// The line, from 1.
        line: usize,
        /// The field.
        key: &'static str,
    },
    /// More than [`MAX_SIGNATURES`] signatures.
    #[error("more than {MAX_SIGNATURES} signatures")]
    TooManySignatures,
    /// A field that must be there is not.
    #[error("no {0} line")]
    Missing(&'static str),
    /// A field's value is malformed.
    #[error("{key}: {why}")]
    Field {
        /// The field.
        key: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The fields do not make a claim.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}

impl NarInfo {
    /// Reads a narinfo. Unknown fields are passed over, as Nix does.
    ///
    /// # Errors
    /// Anything that a client could read in two ways, and any malformed field.
    pub fn parse_nix(bytes: &[u8]) -> Result<Self, NarInfoError> {
        Fields::read(bytes)?.into_narinfo()
    }

    /// The text, byte for byte as Nix writes it.
    #[must_use]
    pub fn print_nix(&self) -> String {
        let signatures = self.signatures.iter().map(|line| (line.name(), line.signature()));
        let unsigned = (self.deriver.as_ref(), self.content_address.as_ref());
        print(&self.claim, &self.delivery, unsigned, signatures)
    }
}

/// Prints a narinfo from its parts: the claim, where its NAR is, the unsigned deriver and content
/// address, and the signatures. The lines stand as Nix orders them.
#[must_use]
pub fn print<'s>(
    claim: &Claim,
    delivery: &Delivery,
    (deriver, content_address): (Option<&BaseName>, Option<&ContentAddress>),
    signatures: impl Iterator<Item = (&'s KeyName, &'s Signature)>,
) -> String {
    let mut out = String::with_capacity(1024);
    let _ = writeln!(out, "StorePath: {}", claim.path());
    print_delivery(&mut out, delivery);
    let _ = writeln!(out, "NarHash: {}\nNarSize: {}", claim.nar_hash(), claim.nar_size());
    print_references(&mut out, claim.references());
    if let Some(deriver) = deriver {
        let _ = writeln!(out, "Deriver: {deriver}");
    }
    for (name, signature) in signatures {
        out.push_str("Sig: ");
        out.push_str(name.as_str());
        out.push(':');
        signature.encode_to(&mut out);
        out.push('\n');
    }
    if let Some(address) = content_address {
        let _ = writeln!(out, "CA: {address}");
    }
    out
}

fn print_delivery(out: &mut String, delivery: &Delivery) {
    let _ = writeln!(out, "URL: {}\nCompression: {}", delivery.url, delivery.compression);
    if let Some(hash) = delivery.file_hash {
        let _ = writeln!(out, "FileHash: {hash}");
    }
    if let Some(size) = delivery.file_size {
        let _ = writeln!(out, "FileSize: {size}");
    }
}

/// The space after the colon stays when there are none: without it Nix swallows the next line.
fn print_references(out: &mut String, references: &[BaseName]) {
    out.push_str("References: ");
    for (at, reference) in references.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        out.push_str(reference.as_str());
    }
    out.push('\n');
}

#[derive(Default)]
struct Fields<'a> {
    single: [Option<&'a str>; SINGLE.len()],
    signatures: Vec<&'a str>,
}

const SINGLE: [&str; 10] = [
    "StorePath",
    "URL",
    "Compression",
    "FileHash",
    "FileSize",
    "NarHash",
    "NarSize",
    "References",
    "Deriver",
    "CA",
];

impl<'a> Fields<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, NarInfoError> {
        if bytes.len() > MAX_NARINFO_LEN {
            return Err(NarInfoError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| NarInfoError::Encoding)?;
        let mut fields = Self::default();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            fields.read_line(at + 1, line)?;
        }
        Ok(fields)
    }

    fn read_line(&mut self, at: usize, line: &'a str) -> Result<(), NarInfoError> {
        let line = line.strip_suffix('\n').ok_or(NarInfoError::Line(at))?;
        if let Some(byte) = line.bytes().find(u8::is_ascii_control) {
            return Err(NarInfoError::Control { line: at, byte });
        }
        let (key, value) = line.split_once(": ").ok_or(NarInfoError::Line(at))?;
        if key == "Sig" {
            if self.signatures.len() == MAX_SIGNATURES {
                return Err(NarInfoError::TooManySignatures);
            }
            self.signatures.push(value);
        } else if let Some(slot) = SINGLE.iter().position(|single| *single == key)
            && self.single[slot].replace(value).is_some()
        {
            return Err(NarInfoError::Duplicate { line: at, key: SINGLE[slot] });
        }
        Ok(())
    }

    fn value(&self, key: &'static str) -> Option<&'a str> {
        SINGLE.iter().position(|single| *single == key).and_then(|slot| self.single[slot])
    }

    fn required(&self, key: &'static str) -> Result<&'a str, NarInfoError> {
        self.value(key).ok_or(NarInfoError::Missing(key))
    }

    fn parsed<T: FromStr<Err: ToString>>(
        &self,
        key: &'static str,
    ) -> Result<Option<T>, NarInfoError> {
        self.value(key).map(|value| parse_field(key, value)).transpose()
    }

    fn into_narinfo(self) -> Result<NarInfo, NarInfoError> {
        let path: StorePath = parse_field("StorePath", self.required("StorePath")?)?;
        let references = parse_references(self.required("References")?)?;
        let nar_hash = parse_field("NarHash", self.required("NarHash")?)?;
        let nar_size = parse_size(self.required("NarSize")?)?;
        let signatures = self
            .signatures
            .iter()
            .map(|line| parse_field("Sig", line))
            .collect::<Result<Vec<NamedSignature>, _>>()?;
        Ok(NarInfo {
            claim: Claim::new(path, nar_hash, nar_size, references)?,
            delivery: self.delivery()?,
            deriver: self.deriver()?,
            content_address: self.parsed("CA").ok().flatten(),
            signatures,
        })
    }

    fn delivery(&self) -> Result<Delivery, NarInfoError> {
        let file_size =
            self.value("FileSize").filter(|size| *size != "0").map(parse_size).transpose()?;
        Ok(Delivery {
            url: parse_url(self.required("URL")?)?,
            // Nix's own default, from before there was such a line.
            compression: self.parsed("Compression")?.unwrap_or(Compression::Bzip2),
            file_hash: self.parsed("FileHash")?,
            file_size,
        })
    }

    /// Nix writes `unknown-deriver` for none.
    fn deriver(&self) -> Result<Option<BaseName>, NarInfoError> {
        match self.value("Deriver") {
            None | Some("" | "unknown-deriver") => Ok(None),
            Some(deriver) => parse_field("Deriver", deriver).map(Some),
        }
    }
}

fn parse_references(text: &str) -> Result<Vec<BaseName>, NarInfoError> {
    let references = text.split(' ').filter(|reference| !reference.is_empty());
    references.map(|reference| parse_field("References", reference)).collect()
}

fn parse_url(text: &str) -> Result<String, NarInfoError> {
    if text.is_empty() || text.contains(' ') {
        return Err(NarInfoError::Field { key: "URL", why: "empty, or holds a space".to_owned() });
    }
    Ok(text.to_owned())
}

fn parse_field<T: FromStr<Err: ToString>>(
    key: &'static str,
    value: &str,
) -> Result<T, NarInfoError> {
    value.parse().map_err(|error: T::Err| NarInfoError::Field { key, why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
StorePath: /nix/store/7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12
URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.zst
Compression: zstd
FileHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
FileSize: 50184
NarHash: sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73
NarSize: 226560
References: 3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8 7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12
Deriver: 10sgw6gzy1gkmp22jkxs8z1pnvrd2b0k-hello-2.12.drv
Sig: a-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw==
";

    #[test]
    fn it_prints_what_it_read() {
        assert_eq!(NarInfo::parse_nix(TEXT.as_bytes()).unwrap().print_nix(), TEXT);
        let alone = TEXT.lines().filter(|line| !line.starts_with("Deriver"));
        let alone: String = alone
            .map(|line| {
                if line.starts_with("References") {
                    "References: \n".into()
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        assert_eq!(NarInfo::parse_nix(alone.as_bytes()).unwrap().print_nix(), alone);
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        let url = "URL: nar/0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73.nar.zst\n";
        for (bad, why) in [
            (TEXT.replace(url, ""), "no URL"),
            (TEXT.replace(url, &format!("{url}{url}")), "repeats URL"),
            (TEXT.replace(".zst\n", ".zst\r\n"), "control character 0x0d"),
            (TEXT.replace("hello-2.12\nURL", "hello\0-2.12\nURL"), "control character 0x00"),
            (TEXT.trim_end().to_owned(), "ended by a newline"),
            (TEXT.replace("References: ", "References:\nX: "), "form Key: value"),
            (TEXT.replace("NarSize: 226560", "NarSize: 0"), "above 0"),
            (TEXT.replace("NarSize: 226560", "NarSize: -1"), "above 0"),
            (TEXT.replace("Compression: zstd", "Compression: zst"), "unknown compression"),
            (TEXT.replace("Sig: a-1:AA", "Sig: a-1:"), "base 64 of 64"),
            (TEXT.replace("Deriver: 10sg", "Deriver: ../10sg"), "Deriver"),
            (TEXT.replace("/nix/store/", "/nix/store/../store/"), "StorePath"),
            (format!("{TEXT}\n"), "form Key: value"),
        ] {
            let error = NarInfo::parse_nix(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{error} does not say {why}");
        }
        let huge = vec![b'a'; MAX_NARINFO_LEN + 1];
        assert_eq!(NarInfo::parse_nix(&huge), Err(NarInfoError::TooLong(huge.len())));
    }
}
