//! What a token may allow.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One thing that a token may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Reading, where the pool is private.
    Read,
    /// Bringing NARs, listings and logs.
    Upload,
    /// Bringing the signatures of enrolled signers.
    Attest,
    /// Saying which paths stay.
    Pin,
    /// Everything, enrolling signers included.
    Admin,
}

impl Scope {
    const ALL: [Self; 5] = [Self::Read, Self::Upload, Self::Attest, Self::Pin, Self::Admin];

    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Upload => "upload",
            Self::Attest => "attest",
            Self::Pin => "pin",
            Self::Admin => "admin",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Some scopes; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope by name, which `admin` alone would imply.
    #[must_use]
    pub fn all() -> Self {
        Self(Scope::ALL.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }

    /// Whether `scope` is among them, or implied.
    #[must_use]
    pub fn allow(self, scope: Scope) -> bool {
        self.0 & (scope.bit() | Scope::Admin.bit()) != 0
    }
}

impl FromStr for Scopes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bits = 0;
        for name in text.split(',') {
            let named = Scope::ALL.into_iter().find(|scope| scope.name() == name.trim());
            let Some(scope) = named else {
                return Err(format!("{name:?} is no scope: read, upload, attest, pin or admin"));
            };
            bits |= scope.bit();
        }
        Ok(Self(bits))
    }
}

impl TryFrom<String> for Scopes {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Scopes> for String {
    fn from(scopes: Scopes) -> Self {
        scopes.to_string()
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = Scope::ALL.into_iter().filter(|scope| self.0 & scope.bit() != 0);
        f.write_str(&held.map(Scope::name).collect::<Vec<_>>().join(","))
    }
}
