//! Files and directories.

use std::path::PathBuf;

use super::{Form, Kind};

/// The directory of everything.
pub(in crate::config) struct Directory;
impl Kind for Directory {
    type Value = PathBuf;
    const HOLDER: &'static str = "DIR";

    fn parse(text: &str) -> Result<PathBuf, String> {
        if text.is_empty() { Err("a directory is needed".into()) } else { Ok(text.into()) }
    }

    fn print(value: &PathBuf) -> String {
        value.display().to_string()
    }
}

/// A file, or nothing.
pub(in crate::config) struct OptionalFile;
impl Kind for OptionalFile {
    type Value = Option<PathBuf>;
    const HOLDER: &'static str = "FILE";

    fn parse(text: &str) -> Result<Option<PathBuf>, String> {
        Ok((!text.is_empty()).then(|| text.into()))
    }

    fn print(value: &Option<PathBuf>) -> String {
        value.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
    }
}

/// Files.
pub(in crate::config) struct Files;
impl Kind for Files {
    type Value = Vec<PathBuf>;
    const HOLDER: &'static str = "FILE,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<PathBuf>, String> {
        Ok(text.split(',').filter(|part| !part.is_empty()).map(PathBuf::from).collect())
    }

    fn print(value: &Vec<PathBuf>) -> String {
        value.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(",")
    }
}
