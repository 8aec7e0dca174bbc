//! Claims in Guix's words: a narinfo up to its `Signature:` line, byte for byte.
//!
//! Source: Guix `guix/scripts/publish.scm`, `narinfo-string`, and `guix/narinfo.scm`. The lines may
//! differ from one version to the next, so the text is kept as it came; each line has one spelling.

use std::fmt::Write;

use thiserror::Error;

use super::{Claim, ClaimError, parse_size};
use crate::compression::Compression;
use crate::hash::{FileHash, HashError, NarHash};
use crate::narinfo::{Delivery, MAX_NARINFO_LEN};
use crate::store_path::{BaseName, StorePath, StorePathError};

/// What the first line of each begins with.
const START: &str = "StorePath: ";
/// What Guix takes for the end of what is signed, wherever it stands.
const END: &str = "Signature:";
/// The most places of a NAR that one text names.
const MAX_DELIVERIES: usize = 16;

/// Why a text is no claim in Guix's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GuixTextError {
    /// Longer than [`MAX_NARINFO_LEN`].
    #[error("{0} bytes; a narinfo has at most {MAX_NARINFO_LEN}")]
    TooLong(usize),
    /// Guix would take what is signed to end there.
    #[error("what is signed has {END} in it")]
    Ends,
    /// A line of another form, with a control character, or without an end.
    #[error("line {0} is not of the form Key: value, in plain text, ended by a newline")]
    Line(usize),
    /// A field that no narinfo of Guix's has before its signature.
    #[error("line {line}: {key} is no field of what Guix signs")]
    Unknown {
        /// The line, from 1.
        line: usize,
        /// The field.
        key: String,
    },
    /// A field that may stand once stands twice.
    #[error("{0} stands twice")]
    Duplicate(&'static str),
    /// A field that must be there is not.
    #[error("no {0} line")]
    Missing(&'static str),
    /// A value in another spelling than Guix's own.
    #[error("{key} is not spelled as Guix does")]
    Spelling {
        /// The field.
        key: &'static str,
    },
    /// A store path, or the base name of one, is none.
    #[error("{key}: {source}")]
    Path {
        /// The field.
        key: &'static str,
        /// What is wrong with it.
        source: StorePathError,
    },
    /// The NAR hash is none.
    #[error("NarHash: {0}")]
    Hash(#[from] HashError),
    /// A place that is not one where `guix publish` has NARs.
    #[error("URL: {0:?} is not where guix publish has this NAR")]
    Url(String),
}

/// A narinfo up to its signature, read but in no claim yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuixText {
    text: Box<str>,
    path: StorePath,
    nar_hash: NarHash,
    nar_size: u64,
    references: Vec<BaseName>,
    deriver: Option<BaseName>,
    deliveries: Vec<Delivery>,
}

impl GuixText {
    /// Whether a text can be meant as one.
    #[must_use]
    pub fn may_be(text: &str) -> bool {
        text.starts_with(START)
    }

    /// Reads the text.
    ///
    /// # Errors
    /// Anything that no version of `guix publish` signs, or that Guix could read in another way.
    pub fn parse(text: &str) -> Result<Self, GuixTextError> {
        if text.len() > MAX_NARINFO_LEN {
            return Err(GuixTextError::TooLong(text.len()));
        }
        if text.contains(END) {
            return Err(GuixTextError::Ends);
        }
        let mut fields = Fields::default();
        for (at, line) in text.split_inclusive('\n').enumerate() {
            fields.read(at + 1, line)?;
        }
        fields.into_text(text)
    }

    /// The claim that it makes.
    ///
    /// # Errors
    /// A size of zero, too many references, or a repeated one.
    pub fn into_claim(self) -> Result<Claim, ClaimError> {
        let claim = Claim::new(self.path, self.nar_hash, self.nar_size, self.references)?;
        Ok(Claim { guix: Some(self.text), ..claim })
    }

    /// The derivation it was built from; signed, too.
    #[must_use]
    pub fn deriver(&self) -> Option<&BaseName> {
        self.deriver.as_ref()
    }

    /// Where the publisher has the NAR, by old publishers, which signed that, too.
    #[must_use]
    pub fn deliveries(&self) -> &[Delivery] {
        &self.deliveries
    }
}

/// The text of a claim, as `guix publish` has it for a path with this deriver.
pub(super) fn print(claim: &Claim, deriver: Option<&BaseName>) -> String {
    let mut out = String::with_capacity(512);
    let references: Vec<&str> = claim.references.iter().map(BaseName::as_str).collect();
    let _ = writeln!(out, "{START}{}", claim.path);
    let _ = writeln!(out, "NarHash: {}\nNarSize: {}", claim.nar_hash, claim.nar_size);
    // The space after the colon stays when there are none.
    let _ = writeln!(out, "References: {}", references.join(" "));
    if let Some(deriver) = deriver {
        let _ = writeln!(out, "Deriver: {deriver}");
    }
    out
}

#[derive(Default)]
struct Fields<'t> {
    single: [Option<&'t str>; SINGLE.len()],
    deliveries: Vec<Place<'t>>,
}

#[derive(Default)]
struct Place<'t> {
    url: &'t str,
    compression: Option<&'t str>,
    file_hash: Option<&'t str>,
    file_size: Option<&'t str>,
}

const SINGLE: [&str; 6] = ["StorePath", "NarHash", "NarSize", "References", "Deriver", "System"];

impl<'t> Fields<'t> {
    fn read(&mut self, at: usize, line: &'t str) -> Result<(), GuixTextError> {
        let line = line.strip_suffix('\n').ok_or(GuixTextError::Line(at))?;
        let plain = !line.bytes().any(|byte| byte.is_ascii_control());
        let pair = line.split_once(": ").filter(|_| plain);
        let (key, value) = pair.ok_or(GuixTextError::Line(at))?;
        if let Some(slot) = SINGLE.iter().position(|single| *single == key) {
            return once(&mut self.single[slot], value, SINGLE[slot]);
        }
        if key == "URL" && self.deliveries.len() < MAX_DELIVERIES {
            self.deliveries.push(Place { url: value, ..Place::default() });
            return Ok(());
        }
        let unknown = || GuixTextError::Unknown { line: at, key: key.chars().take(32).collect() };
        let place = self.deliveries.last_mut().ok_or_else(unknown)?;
        match key {
            "Compression" => once(&mut place.compression, value, "Compression"),
            "FileHash" => once(&mut place.file_hash, value, "FileHash"),
            "FileSize" => once(&mut place.file_size, value, "FileSize"),
            _ => Err(unknown()),
        }
    }

    fn required(&self, slot: usize) -> Result<&'t str, GuixTextError> {
        self.single[slot].ok_or(GuixTextError::Missing(SINGLE[slot]))
    }

    fn into_text(self, text: &str) -> Result<GuixText, GuixTextError> {
        let path: StorePath = self
            .required(0)?
            .parse()
            .map_err(|source| GuixTextError::Path { key: "StorePath", source })?;
        let nar_hash: NarHash = self.required(1)?.parse()?;
        // Guix itself takes no other.
        spelled("NarHash", self.required(1)?, &nar_hash.to_string())?;
        let nar_size = parse_size(self.required(2)?)
            .map_err(|_| GuixTextError::Spelling { key: "NarSize" })?;
        let references = references(self.required(3)?)?;
        let deriver = self.single[4].map(|it| base("Deriver", it)).transpose()?;
        if !self.single[5].is_none_or(|it| !it.is_empty() && it.bytes().all(is_of_system)) {
            return Err(GuixTextError::Spelling { key: "System" });
        }
        let deliveries = deliveries(&self.deliveries, path.base())?;
        let text = text.into();
        Ok(GuixText { text, path, nar_hash, nar_size, references, deriver, deliveries })
    }
}

fn once<'t>(
    slot: &mut Option<&'t str>,
    value: &'t str,
    key: &'static str,
) -> Result<(), GuixTextError> {
    if slot.replace(value).is_some() { Err(GuixTextError::Duplicate(key)) } else { Ok(()) }
}

fn spelled(key: &'static str, is: &str, must: &str) -> Result<(), GuixTextError> {
    if is == must { Ok(()) } else { Err(GuixTextError::Spelling { key }) }
}

fn base(key: &'static str, text: &str) -> Result<BaseName, GuixTextError> {
    text.parse().map_err(|source| GuixTextError::Path { key, source })
}

fn references(text: &str) -> Result<Vec<BaseName>, GuixTextError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(' ').map(|reference| base("References", reference)).collect()
}

fn is_of_system(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

/// The client pairs URLs, compressions and sizes by their numbers: with a size for some and not for
/// others it would mix them up.
fn deliveries(places: &[Place<'_>], base: &BaseName) -> Result<Vec<Delivery>, GuixTextError> {
    let sized = places.iter().filter(|place| place.file_size.is_some()).count();
    if sized != 0 && sized != places.len() {
        return Err(GuixTextError::Missing("FileSize"));
    }
    places.iter().map(|place| delivery(place, base)).collect()
}

fn delivery(place: &Place<'_>, base: &BaseName) -> Result<Delivery, GuixTextError> {
    let name = place.compression.ok_or(GuixTextError::Missing("Compression"))?;
    let spelling = |key| GuixTextError::Spelling { key };
    let compression: Compression = name.parse().map_err(|_| spelling("Compression"))?;
    let file = uri_encoded(base);
    // The directory is called like the compression; plain NARs lie beside these.
    let (packed, plain) = (format!("nar/{name}/{file}"), format!("nar/{file}"));
    if place.url != packed && (compression != Compression::None || place.url != plain) {
        return Err(GuixTextError::Url(place.url.chars().take(300).collect()));
    }
    let file_size =
        place.file_size.map(parse_size).transpose().map_err(|_| spelling("FileSize"))?;
    let file_hash = place.file_hash.map(str::parse::<FileHash>).transpose()?;
    Ok(Delivery { url: place.url.to_owned(), compression, file_hash, file_size })
}

/// A base name as Guile's `uri-encode` spells it in an address.
fn uri_encoded(base: &BaseName) -> String {
    let mut out = String::new();
    for byte in base.as_str().bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-gtk+-3";
    const REFERENCE: &str = "3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8";
    const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

    fn text(more: &str) -> String {
        format!(
            "StorePath: /gnu/store/{BASE}\nNarHash: {HASH}\nNarSize: 112\n\
             References: {REFERENCE} {BASE}\n{more}"
        )
    }

    #[test]
    fn it_is_worded_as_guix_publish_does() {
        for (more, deriver) in [("", None), ("Deriver: ", Some(REFERENCE))] {
            let more = deriver.map_or(String::new(), |it| format!("{more}{it}\n"));
            let deriver: Option<BaseName> = deriver.map(|it| it.parse().unwrap());
            let claim = Claim::parse(text(&more).as_bytes()).unwrap();
            assert_eq!(claim.dialect(), super::super::Dialect::Guix);
            assert_eq!(claim.signed_bytes(), text(&more));
            let nix = claim.in_nix();
            assert_eq!(nix.id(), claim.meaning());
            assert_ne!(claim.id(), claim.meaning());
            assert!(claim.agrees_with(&nix) && claim != nix);
            assert_eq!(nix.in_guix(deriver.as_ref()), claim);
            assert_eq!(claim.in_guix(None), claim);
        }
        let alone =
            format!("StorePath: /gnu/store/{BASE}\nNarHash: {HASH}\nNarSize: 1\nReferences: \n");
        assert_eq!(Claim::parse(alone.as_bytes()).unwrap().references(), []);
    }

    #[test]
    fn places_that_old_publishers_signed_are_those_of_this_nar() {
        let url = format!("nar/gzip/{}", BASE.replace('+', "%2B"));
        let more = format!("URL: {url}\nCompression: gzip\nFileSize: 7\n");
        let read = GuixText::parse(&text(&more)).unwrap();
        assert_eq!(read.deliveries()[0].url, url);
        assert_eq!(read.deliveries()[0].file_size, Some(7));
        for (bad, why) in [
            (more.replace("nar/gzip", "nar/zstd"), "URL"),
            (more.replace("nar/gzip/7h", "nar/gzip/8h"), "URL"),
            (more.replace("nar/", "http://elsewhere/nar/"), "URL"),
            (more.replace("%2B", "+"), "URL"),
            (more.replace("Compression: gzip\n", ""), "Compression"),
            (format!("{more}URL: nar/{}\nCompression: none\n", &url[9..]), "FileSize"),
            (more.replace("URL", "Url"), "no field"),
        ] {
            let error = GuixText::parse(&text(&bad)).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn what_guix_could_read_in_two_ways_is_refused() {
        let hex = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        for bad in [
            text("").replace("NarSize: 112\n", ""),
            text("").replace("NarSize: 112", "NarSize: 0112"),
            text("").replace("NarHash", "narhash"),
            text("").replace(HASH, hex),
            text("").replace("References: ", "References:"),
            text("").replace(&format!("{REFERENCE} "), &format!("{REFERENCE}  ")),
            text("").replace(&format!("{REFERENCE} "), &format!("{BASE} ")),
            text("NarSize: 112\n"),
            text("X: y\n"),
            text("Deriver: Signature:\n"),
            text("\n"),
            text("").trim_end().to_owned(),
            text("").replace('\n', "\r\n"),
            text("Deriver: ../x\n"),
        ] {
            assert!(Claim::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
