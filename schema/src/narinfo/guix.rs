//! The Guix dialect.
//!
//! What is signed is every byte before the first `Signature:`; whatever follows that line is not. Such a
//! part is kept and shown byte for byte. Sources: Guix `guix/narinfo.scm`, `guix/scripts/publish.scm`.

use std::fmt::Write;

use thiserror::Error;

use super::{Delivery, MAX_NARINFO_LEN};
use crate::claim::{Claim, ClaimError, Dialect, GuixText, GuixTextError, parse_size};
use crate::compression::Compression;
use crate::guix::ecdsa::{EcdsaKey, EcdsaSignature};
use crate::guix::signature::{GuixSignature, GuixSignatureError};
use crate::key::KeyName;
use crate::signature::Signature;
use crate::store_path::BaseName;

const SIGNATURE: &str = "Signature: ";

/// Why a text is no narinfo of Guix's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuixNarInfoError {
    /// Longer than [`MAX_NARINFO_LEN`].
    #[error("{0} bytes; a narinfo has at most {MAX_NARINFO_LEN}")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("not UTF-8")]
    Encoding,
    /// `Signature:` stands within a line, or without a value.
    #[error("the first Signature: is not a line of its own")]
    Signature,
    /// A line after the signature of another form.
    #[error("the part after what is signed has a line that is not of the form Key: value: {0:?}")]
    Line(String),
    /// What stands before the signature, or would.
    #[error("what is claimed: {0}")]
    Claim(#[from] ClaimError),
    /// The signature does not read.
    #[error("the signature: {0}")]
    Value(#[from] GuixSignatureError),
    /// A field after the signature has a value that it cannot have.
    #[error("{0} is malformed")]
    Field(&'static str),
}

impl From<GuixTextError> for GuixNarInfoError {
    fn from(error: GuixTextError) -> Self {
        Self::Claim(error.into())
    }
}

/// What stands in a `Signature:` line. Nothing of it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignatureLine {
    /// By a key whose signatures can be verified.
    Ecdsa(Box<GuixSignature>),
    /// By a key of RSA: it is carried as it came, and counts for nothing.
    Rsa(String),
}

/// A narinfo of Guix's as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuixNarInfo {
    /// What is claimed: in Guix's words, if it is signed.
    pub claim: Claim,
    /// The derivation it was built from, if it is named.
    pub deriver: Option<BaseName>,
    /// By whom, if by anybody.
    pub signature: Option<SignatureLine>,
    /// Where the NAR is to be had, in one compression each.
    pub deliveries: Vec<Delivery>,
}

impl GuixNarInfo {
    /// Reads a narinfo. Unknown fields after the signature are passed over, as Guix does.
    ///
    /// # Errors
    /// Anything that a client could read in two ways, and any malformed field.
    pub fn parse(bytes: &[u8]) -> Result<Self, GuixNarInfoError> {
        if bytes.len() > MAX_NARINFO_LEN {
            return Err(GuixNarInfoError::TooLong(bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| GuixNarInfoError::Encoding)?;
        let Some(end) = text.find(SIGNATURE.trim_end()) else { return unsigned(text) };
        let (signed, rest) = text.split_at(end);
        let line = rest.strip_prefix(SIGNATURE).and_then(|rest| rest.split_once('\n'));
        let starts = signed.ends_with('\n');
        let (value, rest) = line.filter(|_| starts).ok_or(GuixNarInfoError::Signature)?;
        let signature = match GuixSignature::parse_line(value) {
            Ok(signature) => SignatureLine::Ecdsa(Box::new(signature)),
            Err(GuixSignatureError::Rsa) => SignatureLine::Rsa(value.to_owned()),
            Err(error) => return Err(error.into()),
        };
        let read = GuixText::parse(signed)?;
        let mut deliveries = read.deliveries().to_vec();
        deliveries.extend(parse_deliveries(rest)?);
        let deriver = read.deriver().cloned();
        Ok(Self { claim: read.into_claim()?, deriver, signature: Some(signature), deliveries })
    }
}

/// Without a signature nothing says where what is claimed would end, and the words do not matter.
fn unsigned(text: &str) -> Result<GuixNarInfo, GuixNarInfoError> {
    let (mut claimed, mut places) = (String::new(), String::new());
    for line in text.split_inclusive('\n') {
        let is_of_claim = CLAIMED.iter().any(|key| line.starts_with(key));
        if is_of_claim { &mut claimed } else { &mut places }.push_str(line);
    }
    let read = GuixText::parse(&claimed)?;
    let deriver = read.deriver().cloned();
    let claim = read.into_claim()?.in_nix();
    Ok(GuixNarInfo { claim, deriver, signature: None, deliveries: parse_deliveries(&places)? })
}

const CLAIMED: [&str; 5] = ["StorePath:", "NarHash:", "NarSize:", "References:", "Deriver:"];

fn parse_deliveries(text: &str) -> Result<Vec<Delivery>, GuixNarInfoError> {
    let mut deliveries: Vec<Delivery> = Vec::new();
    for line in text.lines() {
        let malformed = || GuixNarInfoError::Line(line.chars().take(80).collect());
        let plain = !line.bytes().any(|byte| byte.is_ascii_control());
        let (key, value) = line.split_once(": ").filter(|_| plain).ok_or_else(malformed)?;
        if key == "URL" {
            if value.is_empty() || value.contains(' ') {
                return Err(GuixNarInfoError::Field("URL"));
            }
            // Guix's own default.
            let compression = Compression::None;
            let (url, file_hash, file_size) = (value.to_owned(), None, None);
            deliveries.push(Delivery { url, compression, file_hash, file_size });
        } else if let Some(last) = deliveries.last_mut() {
            let field = GuixNarInfoError::Field;
            match key {
                "Compression" => {
                    last.compression = value.parse().map_err(|_| field("Compression"))?;
                }
                "FileHash" => {
                    last.file_hash = Some(value.parse().map_err(|_| field("FileHash"))?);
                }
                "FileSize" => {
                    last.file_size = Some(parse_size(value).map_err(|_| field("FileSize"))?);
                }
                _ => {}
            }
        }
    }
    Ok(deliveries)
}

/// Whether Guix unpacks NARs of this compression.
#[must_use]
pub const fn is_readable(compression: Compression) -> bool {
    !matches!(compression, Compression::Brotli)
}

/// Whether the places that are signed with a claim, as old publishers did, are all of this compression
/// and called after it: then whoever has the NAR like that answers at each of them.
#[must_use]
pub fn is_delivered_in(claim: &Claim, compression: Compression) -> bool {
    if !claim.signed_bytes().contains("\nURL: ") {
        return true;
    }
    let directory = format!("nar/{compression}/");
    let places = |text: &GuixText| {
        let mut places = text.deliveries().iter();
        places.all(|it| it.compression == compression && it.url.starts_with(&directory))
    };
    claim.guix_text().as_ref().is_some_and(places)
}

/// Who signed, for a narinfo: a name, which says nothing to Guix, the key, and the signature.
pub type SignedBy<'s> = (&'s KeyName, &'s EcdsaKey, &'s Signature);

/// Prints the narinfo of a claim whose NAR is in this place. With a signature the claim is in Guix's
/// words; without one it is for clients that have somebody's word for it from elsewhere.
///
/// Without a URL, as without any other line that is always here, the client crashes. It pairs URLs,
/// compressions and sizes by their numbers: beside places that an old publisher has signed without a
/// size, this one has none.
#[must_use]
pub fn print(
    claim: &Claim,
    deriver: Option<&BaseName>,
    signed_by: Option<SignedBy<'_>>,
    delivery: &Delivery,
) -> String {
    let line = signed_by.and_then(|it| signature_line(claim, it));
    let said = if line.is_some() { claim.clone() } else { claim.in_nix().in_guix(deriver) };
    let mut out = said.signed_bytes().into_owned();
    let unsized_before = out.contains("\nURL: ") && !out.contains("\nFileSize: ");
    if let Some(line) = line {
        let _ = writeln!(out, "{SIGNATURE}{line}");
    }
    let _ = writeln!(out, "URL: {}\nCompression: {}", delivery.url, delivery.compression);
    if let Some(size) = delivery.file_size.filter(|_| !unsized_before) {
        let _ = writeln!(out, "FileSize: {size}");
    }
    out
}

fn signature_line(claim: &Claim, (name, key, signature): SignedBy<'_>) -> Option<String> {
    let signature = EcdsaSignature::from_bytes(signature.as_bytes())?;
    let is_guix = claim.dialect() == Dialect::Guix;
    let signature = GuixSignature::new(*claim.id().as_bytes(), signature, key.clone());
    is_guix.then(|| signature.to_line(name.as_str()))
}
