//! Trust policies: which claims a machine takes, by whose word, and how many must agree.
//!
//! Source of the format and its rules: the design's `formats.md`, section Policy. A policy is read
//! here and judged by in [`crate::decide`].

mod age;
mod error;
mod evaluate;
mod ledger;
mod lint;
mod name;
mod parse;
mod print;
mod time;

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::hash::KeyId;
use crate::key::PublicKey;
use crate::name_pattern::NamePattern;
use crate::signers::Signers;
use crate::store_path::StoreDir;

pub use self::age::{Age, AgeError};
pub use self::error::PolicyError;
pub use self::ledger::{LedgerTerms, Quorum};
pub use self::lint::{Lint, LintCode};
pub use self::name::{MAX_POLICY_NAME_LEN, Name, NameError};

/// The longest policy file, in bytes.
pub const MAX_POLICY_LEN: usize = 256 * 1024;
/// The most principals, keys of all principals, groups, members of all groups, and rules; and the
/// longest of the other lists.
pub const MAX_PARTS: usize = 1024;

/// A policy that holds together: every name in it is known, no group contains itself, and for every
/// path one rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    name: Name,
    version: u64,
    expires: Option<u64>,
    store_dir: StoreDir,
    ledger: LedgerTerms,
    /// By name.
    principals: Vec<Principal>,
    /// By name.
    groups: Vec<Group>,
    /// Indices of groups; what a group contains stands before it.
    inner_first: Vec<usize>,
    /// The closest pattern first.
    rules: Vec<Rule>,
    default: Terms,
    /// Whose key it is: an index of a principal.
    owners: HashMap<KeyId, usize>,
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// The first thing found that the format does not allow, and where it stands.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        parse::policy(text)
    }

    /// What the policy is called. With the version it names one text for ever.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// At least 1; whoever has seen a version takes no lower one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The last second in which the policy allows anything, POSIX seconds.
    #[must_use]
    pub fn expires(&self) -> Option<u64> {
        self.expires
    }

    /// Whether the policy's time is over at `now`, POSIX seconds.
    #[must_use]
    pub fn has_expired(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| now > expires)
    }

    /// The store whose paths it speaks of.
    #[must_use]
    pub fn store_dir(&self) -> &StoreDir {
        &self.store_dir
    }

    /// What the ledgers themselves must show.
    #[must_use]
    pub fn ledger(&self) -> &LedgerTerms {
        &self.ledger
    }

    /// Everybody whose word may count, by name.
    #[must_use]
    pub fn principals(&self) -> &[Principal] {
        &self.principals
    }

    /// By name.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The closest pattern first; then in the order of the patterns.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// What holds where no rule matches.
    #[must_use]
    pub fn default_terms(&self) -> &Terms {
        &self.default
    }

    /// The rule that decides of paths with this name; none where it is the default. No other rule
    /// that matches has as many literal characters.
    #[must_use]
    pub fn rule_for(&self, path_name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.pattern.matches(path_name))
    }

    /// What the policy calls one of its parts, as a file would.
    #[must_use]
    pub fn party_text(&self, party: Party) -> String {
        match party {
            Party::Principal(index) => self.principals[index].name.to_string(),
            Party::Group(index) => format!("group:{}", self.groups[index].name),
        }
    }

    /// For whom a key speaks in a ledger with these signers: the principal that lists the key, or
    /// the one that lists its root and lets delegates speak. Whether an entry of it counts is another
    /// question: see [`Signers::counts`].
    #[must_use]
    pub fn principal_of(&self, key: &KeyId, signers: &Signers) -> Option<&Principal> {
        match self.speaker(key, signers) {
            Speaker::Principal(index) => Some(&self.principals[index]),
            Speaker::DelegateOf(_) | Speaker::SuccessorOf(_) | Speaker::Stranger => None,
        }
    }

    /// The hash of the policy's canonical text: what must not change under one name and version.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_string()).into()
    }

    /// What is allowed, but seldom meant, at `now`, POSIX seconds.
    #[must_use]
    pub fn lints(&self, now: u64) -> Vec<Lint> {
        lint::lints(self, now)
    }
}

/// Somebody whose word may count: one person, organisation or machine room, with however many keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: Name,
    keys: Vec<PublicKey>,
    delegates: bool,
    not_after: Option<u64>,
}

impl Principal {
    /// What the policy calls it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its keys, at least one; another principal has none of them.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// Whether machines' keys that its keys delegate to speak for it too.
    #[must_use]
    pub fn delegates(&self) -> bool {
        self.delegates
    }

    /// What was logged after this does not count, POSIX seconds.
    #[must_use]
    pub fn not_after(&self) -> Option<u64> {
        self.not_after
    }
}

/// So many of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    name: Name,
    threshold: Threshold,
    members: Vec<Party>,
}

impl Group {
    /// What the policy calls it.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many of the members must agree.
    #[must_use]
    pub fn threshold(&self) -> Threshold {
        self.threshold
    }

    /// How many that are: at least 1, at most all.
    #[must_use]
    pub fn k(&self) -> usize {
        match self.threshold {
            Threshold::Count(k) => k,
            Threshold::All => self.members.len(),
        }
    }

    /// At least one, and none twice; principals first, each kind by name.
    #[must_use]
    pub fn members(&self) -> &[Party] {
        &self.members
    }
}

/// How many of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// So many.
    Count(usize),
    /// However many there are.
    All,
}

/// A principal or a group, by its index among those of the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// An index into [`Policy::principals`].
    Principal(usize),
    /// An index into [`Policy::groups`].
    Group(usize),
}

/// What holds for the paths whose names match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pattern: NamePattern,
    terms: Terms,
}

impl Rule {
    /// The names it is about.
    #[must_use]
    pub fn pattern(&self) -> &NamePattern {
        &self.pattern
    }

    /// What holds for them.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }
}

/// What it takes for a claim to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// Nothing is allowed, whoever attests it.
    Deny,
    /// The word of a principal, or of enough of a group.
    Require {
        /// Whose word.
        party: Party,
        /// Whose dissent prevents it.
        veto: Veto,
    },
}

/// Whose dissent keeps a claim from being allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Veto {
    /// Nobody's: `disagree = "ignore"`.
    Nobody,
    /// That of every principal in the requirement.
    Required,
    /// That of these principals, at least one, by their indices, which go up.
    Watched(Vec<usize>),
}

/// For whom a key speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaker {
    /// For this principal.
    Principal(usize),
    /// It is a delegate of this principal, for whom delegates do not speak.
    DelegateOf(usize),
    /// For nobody: it follows a key of this principal, and is not itself listed.
    SuccessorOf(usize),
    /// For nobody that the policy knows.
    Stranger,
}

#[cfg(test)]
mod tests;
