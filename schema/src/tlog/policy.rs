//! Which logs are trusted, and how many witnesses must have seen a checkpoint.
//!
//! Source: c2sp.org/tlog-policy, as of early 2026; it has no version yet.

use thiserror::Error;

use super::checkpoint::SignedCheckpoint;
use super::cosignature::{Cosignature, CosignatureError};
use super::note::VerifierKey;

mod parse;

pub use parse::{LineError, MAX_POLICY_DEFINITIONS, MAX_POLICY_LEN, PolicyError};

/// Why a checkpoint is not what a policy asks for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuorumError {
    /// A signature in the name of a witness is not its own.
    #[error(transparent)]
    Cosignature(#[from] CosignatureError),
    /// Too few witnesses have cosigned.
    #[error("too few witnesses: no cosignature by {}", missing.join(", "))]
    Unmet {
        /// Those that have not, as the policy calls them, unless the groups they are in have enough
        /// others.
        missing: Vec<String>,
    },
}

/// A log that a policy trusts, or a witness that it knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyParty {
    key: VerifierKey,
    url: Option<Box<[u8]>>,
}

impl PolicyParty {
    /// Its key. A log's is called like the log.
    #[must_use]
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Where it can be reached, if the policy says so: octets without a meaning of their own.
    #[must_use]
    pub fn url(&self) -> Option<&[u8]> {
        self.url.as_deref()
    }
}

/// A policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<PolicyParty>,
    witnesses: Vec<PolicyParty>,
    /// Witnesses and groups in the order of their lines: what a group names stands before it.
    parts: Vec<Part>,
    /// Which part must have seen a checkpoint; none when nobody need have.
    quorum: Option<usize>,
}

/// What has a name in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: Box<[u8]>,
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    /// Which witness it is.
    Witness(usize),
    /// So many of these parts, of which there are as many.
    Group { threshold: usize, members: Vec<usize> },
}

impl Policy {
    /// Reads a policy file. Names and URLs are octets: the file need not be UTF-8.
    ///
    /// # Errors
    /// Anything that the format does not allow, with the line where it stands.
    pub fn parse(file: &[u8]) -> Result<Self, PolicyError> {
        parse::policy(file)
    }

    /// The logs, of which there may be none: then they are known from elsewhere.
    #[must_use]
    pub fn logs(&self) -> &[PolicyParty] {
        &self.logs
    }

    /// The witnesses.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyParty] {
        &self.witnesses
    }

    /// Checks that enough witnesses have cosigned `checkpoint`, and answers with all that did.
    ///
    /// # Errors
    /// See [`QuorumError`].
    pub fn check(
        &self,
        checkpoint: &SignedCheckpoint,
    ) -> Result<Vec<Cosignature<'_>>, QuorumError> {
        let cosignatures = checkpoint.cosignatures(self.witnesses.iter().map(PolicyParty::key))?;
        self.judge(|witness| cosignatures.iter().any(|it| it.witness == witness))?;
        Ok(cosignatures)
    }

    /// Checks that the witnesses that `has_signed` names are enough.
    ///
    /// # Errors
    /// [`QuorumError::Unmet`].
    pub fn judge(&self, has_signed: impl Fn(&VerifierKey) -> bool) -> Result<(), QuorumError> {
        let mut met: Vec<bool> = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            met.push(match &part.rule {
                Rule::Witness(witness) => has_signed(&self.witnesses[*witness].key),
                Rule::Group { threshold, members } => {
                    members.iter().filter(|member| met[**member]).count() >= *threshold
                }
            });
        }
        match self.quorum {
            Some(quorum) if !met[quorum] => {
                Err(QuorumError::Unmet { missing: self.missing(quorum, &met) })
            }
            _ => Ok(()),
        }
    }

    /// The witnesses that an unmet part lacks.
    fn missing(&self, part: usize, met: &[bool]) -> Vec<String> {
        let mut missing = Vec::new();
        let mut unmet = vec![part];
        while let Some(part) = unmet.pop() {
            let Part { name, rule } = &self.parts[part];
            match rule {
                Rule::Witness(_) => missing.push(String::from_utf8_lossy(name).into_owned()),
                // Backwards, so that they are named in the order of the file.
                Rule::Group { members, .. } => {
                    unmet.extend(members.iter().rev().filter(|member| !met[**member]));
                }
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests;
