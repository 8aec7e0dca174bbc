//! Names and keys of logs and witnesses.

use schema::tlog::note::{NoteKeyError, NoteName, VerifierKey};

use super::{Form, Kind};

/// The name of a log or a witness, or nothing.
pub(in crate::config) struct OptionalNoteName;
impl Kind for OptionalNoteName {
    type Value = Option<NoteName>;
    const HOLDER: &'static str = "NAME";

    fn parse(text: &str) -> Result<Option<NoteName>, String> {
        let name = (!text.is_empty()).then(|| text.parse()).transpose();
        name.map_err(|why: NoteKeyError| why.to_string())
    }

    fn print(value: &Option<NoteName>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// Keys that verify notes.
pub(in crate::config) struct VerifierKeys;
impl Kind for VerifierKeys {
    type Value = Vec<VerifierKey>;
    const HOLDER: &'static str = "VKEY,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<VerifierKey>, String> {
        let keys = text.split(',').filter(|part| !part.is_empty()).map(str::parse);
        keys.collect::<Result<_, _>>().map_err(|why: NoteKeyError| why.to_string())
    }

    fn print(value: &Vec<VerifierKey>) -> String {
        value.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}
