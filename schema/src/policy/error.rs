//! Why a file is not a policy.

use thiserror::Error;

/// The first thing that is wrong with a policy file. Prints in two lines.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}, column {column}: {what}\n  {hint}")]
pub struct PolicyError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub hint: String,
}

impl PolicyError {
    /// Something wrong at this offset of the text, in bytes.
    pub(super) fn at(text: &str, offset: usize, what: String, hint: &str) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&char| char != '\n').count() + 1;
        Self { line, column, what, hint: hint.to_owned() }
    }
}
