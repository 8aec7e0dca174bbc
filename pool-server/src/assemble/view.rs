//! Views: whose word a narinfo must have before it is shown under an address.

use schema::api::{Refused, RefusedCode};
use schema::key::KeyName;
use schema::policy::Name;

use super::choice::Word;
use crate::index::AttestationRecord;
use crate::roll::Roll;

/// A view as an address names it. Nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum View {
    /// The operator's, at the root.
    Default,
    /// `k` of these signers, chosen by whoever asks.
    Signers {
        /// How many must agree; 1 to the number of names.
        k: usize,
        /// Each once.
        names: Vec<KeyName>,
    },
    /// A builder's own: it sees what it has pushed, and nothing else.
    As(KeyName),
    /// What a policy of the operator's allows.
    Policy(Name),
}

/// What the operator's view asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultView {
    /// How many must agree.
    pub k: usize,
    /// Who counts; everybody who is enrolled, when there is nobody here.
    pub names: Vec<KeyName>,
}

/// The signers who count in a view, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Panel {
    members: Option<Vec<KeyName>>,
    choice: Choice,
}

/// How a panel chooses between claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Choice {
    AtLeast(usize),
    LatestOf(KeyName),
}

impl Panel {
    /// Who counts in `view`.
    ///
    /// # Errors
    /// A signer whom nobody enrolled, or a view in which nobody is counted so.
    pub fn of(view: &View, default: &DefaultView, roll: &Roll) -> Result<Self, Refused> {
        let (k, names) = match view {
            View::Default if default.names.is_empty() => {
                return Ok(Self { members: None, choice: Choice::AtLeast(default.k) });
            }
            View::Default => (default.k, &default.names),
            View::Signers { k, names } => (*k, names),
            View::As(name) => {
                let name = enrolled(name, roll)?;
                return Ok(Self { members: None, choice: Choice::LatestOf(name) });
            }
            View::Policy(_) => {
                let detail = "a policy is about store paths, and nothing else".to_owned();
                return Err(Refused { code: RefusedCode::PolicyUndecided, detail });
            }
        };
        let members = names.iter().map(|name| enrolled(name, roll)).collect::<Result<_, _>>()?;
        Ok(Self { members: Some(members), choice: Choice::AtLeast(k) })
    }

    /// Where the signer of a word stands among those whom the view names, a machine after its root; nothing for
    /// those whom it does not name.
    #[must_use]
    pub fn rank(&self, word: &AttestationRecord, roll: &Roll) -> Option<usize> {
        let word = Word::of(word, roll)?;
        let at = match &self.choice {
            Choice::LatestOf(name) => word.is_by(name).then_some(0),
            Choice::AtLeast(_) => {
                self.members.as_ref()?.iter().position(|member| word.is_by(member))
            }
        };
        at.map(|at| 2 * at + usize::from(word.is_delegated()))
    }

    pub(super) fn choice(&self) -> &Choice {
        &self.choice
    }

    /// Nobody, when everybody counts.
    pub(super) fn members(&self) -> Option<&[KeyName]> {
        self.members.as_deref()
    }
}

fn enrolled(name: &KeyName, roll: &Roll) -> Result<KeyName, Refused> {
    roll.named(name).map(|signer| signer.key.name().clone()).ok_or_else(|| Refused {
        code: RefusedCode::UnknownSigner,
        detail: format!("no signer called {name} is enrolled here"),
    })
}
