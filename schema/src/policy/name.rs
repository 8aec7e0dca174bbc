//! Names of policies, principals and groups.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::wire_text::wire_text;

/// The longest name of a policy, principal or group, in bytes.
pub const MAX_POLICY_NAME_LEN: usize = 64;

/// Why a text is not the name of a policy, principal or group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NameError {
    /// Empty, too long, or with other characters.
    #[error("not a name: 1 to {MAX_POLICY_NAME_LEN} letters, digits, - and _ are allowed")]
    Form,
    /// `deny`, which is what a requirement says to deny.
    #[error("no name: a requirement called `deny` denies")]
    Reserved,
}

/// The name of a policy, a principal or a group, which TOML takes without quotes: `acme-prod`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

impl Name {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if text.is_empty() || text.len() > MAX_POLICY_NAME_LEN || !text.bytes().all(allowed) {
            return Err(NameError::Form);
        }
        if text == "deny" { Err(NameError::Reserved) } else { Ok(Self(text.into())) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

wire_text!(Name, "acme-prod");
