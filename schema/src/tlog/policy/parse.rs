//! How a policy file is read.

use std::collections::{HashMap, HashSet};

use thiserror::Error;

use super::{Part, Policy, PolicyParty, Rule};
use crate::tlog::note::{NoteKeyError, SignatureKind, VerifierKey};
use crate::tlog::spelling::decimal;

/// The longest policy file that is read, in bytes.
pub const MAX_POLICY_LEN: usize = 64 * 1024;

/// The most logs, witnesses and groups in a policy, all together.
pub const MAX_POLICY_DEFINITIONS: usize = 256;

/// Why a file is not a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// More than [`MAX_POLICY_LEN`] bytes.
    #[error("a policy has at most {MAX_POLICY_LEN} bytes")]
    TooLong,
    /// The file ends without saying what the quorum is.
    #[error("no quorum line")]
    NoQuorum,
    /// Something is wrong in a line.
    #[error("line {line}: {error}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What it is.
        error: LineError,
    },
}

/// What is wrong with a line of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LineError {
    /// A control character.
    #[error("a control character")]
    Characters,
    /// The file's end, without a newline.
    #[error("it does not end with a newline")]
    Unterminated,
    /// It begins with another word.
    #[error("not a log, witness, group or quorum line")]
    Keyword,
    /// Too few or too many words.
    #[error("write {0}")]
    Form(&'static str),
    /// The key is not one.
    #[error(transparent)]
    Key(#[from] NoteKeyError),
    /// A witness's key for a log, or a log's for a witness.
    #[error("a log has a key of type 1, a witness one of type 4")]
    KeyKind,
    /// The key stands in an earlier line.
    #[error("this key was there before")]
    SameKey,
    /// The name stands in an earlier line.
    #[error("this name was there before")]
    SameName,
    /// `none` has a meaning.
    #[error("nothing can be called none")]
    Reserved,
    /// Not `all`, `any`, or a number from 1 to how many members there are.
    #[error("a group needs all, any, or a number from 1 to how many members it has")]
    Threshold,
    /// No earlier line defines the name.
    #[error("no line above defines {0}")]
    Unknown(String),
    /// The name is a member of a group already.
    #[error("{0} is a member of a group already")]
    SecondMembership(String),
    /// There was a quorum line before.
    #[error("there is one quorum, and it was there before")]
    SecondQuorum,
    /// More than [`MAX_POLICY_DEFINITIONS`].
    #[error("a policy has at most {MAX_POLICY_DEFINITIONS} logs, witnesses and groups")]
    TooMany,
}

pub(super) fn policy(file: &[u8]) -> Result<Policy, PolicyError> {
    if file.len() > MAX_POLICY_LEN {
        return Err(PolicyError::TooLong);
    }
    let mut draft = Draft::default();
    for (line, text) in (1..).zip(file.split_inclusive(|byte| *byte == b'\n')) {
        draft.line(text).map_err(|error| PolicyError::Line { line, error })?;
    }
    let Draft { logs, witnesses, parts, quorum, .. } = draft;
    let quorum = quorum.ok_or(PolicyError::NoQuorum)?;
    Ok(Policy { logs, witnesses, parts, quorum })
}

/// A policy as far as it was read.
#[derive(Default)]
struct Draft {
    logs: Vec<PolicyParty>,
    witnesses: Vec<PolicyParty>,
    parts: Vec<Part>,
    /// Where in `parts` a name stands.
    names: HashMap<Box<[u8]>, usize>,
    /// Parts that are in a group.
    members: HashSet<usize>,
    quorum: Option<Option<usize>>,
}

impl Draft {
    fn line(&mut self, line: &[u8]) -> Result<(), LineError> {
        let line = line.strip_suffix(b"\n").ok_or(LineError::Unterminated)?;
        if line.iter().any(|byte| (*byte < b' ' && *byte != b'\t') || *byte == 0x7f) {
            return Err(LineError::Characters);
        }
        let words = line.split(|byte| matches!(byte, b' ' | b'\t'));
        let words: Vec<&[u8]> = words.filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", words @ ..] => self.log(words),
            [b"witness", words @ ..] => self.witness(words),
            [b"group", words @ ..] => self.group(words),
            [b"quorum", words @ ..] => self.quorum(words),
            _ => Err(LineError::Keyword),
        }
    }

    fn log(&mut self, words: &[&[u8]]) -> Result<(), LineError> {
        let form = "log <vkey> [<url>]";
        let log = party(words, SignatureKind::Ed25519, &self.logs, form)?;
        self.check_room()?;
        self.logs.push(log);
        Ok(())
    }

    fn witness(&mut self, words: &[&[u8]]) -> Result<(), LineError> {
        let form = "witness <name> <vkey> [<url>]";
        let (name, words) = words.split_first().ok_or(LineError::Form(form))?;
        let witness = party(words, SignatureKind::Cosignature, &self.witnesses, form)?;
        self.define(name, Rule::Witness(self.witnesses.len()))?;
        self.witnesses.push(witness);
        Ok(())
    }

    fn group(&mut self, words: &[&[u8]]) -> Result<(), LineError> {
        let [name, threshold, members @ ..] = words else {
            return Err(LineError::Form("group <name> <all|any|number> <member>..."));
        };
        let threshold = match *threshold {
            b"all" => Some(members.len()),
            b"any" => Some(1),
            number => {
                std::str::from_utf8(number).ok().and_then(decimal).and_then(|n| n.try_into().ok())
            }
        };
        let threshold = threshold.filter(|threshold| (1..=members.len()).contains(threshold));
        let threshold = threshold.ok_or(LineError::Threshold)?;
        let members = members.iter().map(|member| self.member(member)).collect::<Result<_, _>>()?;
        self.define(name, Rule::Group { threshold, members })
    }

    fn quorum(&mut self, words: &[&[u8]]) -> Result<(), LineError> {
        let [name] = words else { return Err(LineError::Form("quorum <name>")) };
        if self.quorum.is_some() {
            return Err(LineError::SecondQuorum);
        }
        self.quorum = Some(if *name == b"none" { None } else { Some(self.find(name)?) });
        Ok(())
    }

    fn define(&mut self, name: &[u8], rule: Rule) -> Result<(), LineError> {
        if name == b"none" {
            return Err(LineError::Reserved);
        }
        self.check_room()?;
        if self.names.insert(name.into(), self.parts.len()).is_some() {
            return Err(LineError::SameName);
        }
        self.parts.push(Part { name: name.into(), rule });
        Ok(())
    }

    fn member(&mut self, name: &[u8]) -> Result<usize, LineError> {
        let member = self.find(name)?;
        if !self.members.insert(member) {
            return Err(LineError::SecondMembership(String::from_utf8_lossy(name).into_owned()));
        }
        Ok(member)
    }

    fn find(&self, name: &[u8]) -> Result<usize, LineError> {
        let unknown = || LineError::Unknown(String::from_utf8_lossy(name).into_owned());
        self.names.get(name).copied().ok_or_else(unknown)
    }

    fn check_room(&self) -> Result<(), LineError> {
        if self.logs.len() + self.parts.len() == MAX_POLICY_DEFINITIONS {
            return Err(LineError::TooMany);
        }
        Ok(())
    }
}

/// A key of this kind that is not among the `others`, and a URL if there is one more word.
fn party(
    words: &[&[u8]],
    kind: SignatureKind,
    others: &[PolicyParty],
    form: &'static str,
) -> Result<PolicyParty, LineError> {
    let (key, url) = match words {
        [key] => (key, None),
        [key, url] => (key, Some((*url).into())),
        _ => return Err(LineError::Form(form)),
    };
    let key = std::str::from_utf8(key).map_err(|_| NoteKeyError::Form)?;
    let key: VerifierKey = key.parse()?;
    if key.kind() != kind {
        return Err(LineError::KeyKind);
    }
    if others.iter().any(|other| other.key.point() == key.point()) {
        return Err(LineError::SameKey);
    }
    Ok(PolicyParty { key, url })
}
