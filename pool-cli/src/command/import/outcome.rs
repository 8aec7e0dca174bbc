//! What becomes of a path, and what that makes of the end.

use super::signed::Other;
use crate::exit::Exit;
use crate::source::Fault;

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its NAR is in the pool, and so is everybody's word for it; with RSA, there is none.
    Imported { rsa: bool },
    /// Only these have signed it, whom the pool does not know.
    Unattested(Vec<Other>),
    /// The source does not have it.
    Absent,
    /// The source does not have it yet.
    Baking,
    /// The source did not say anything of it that can be understood: it may be away for a moment.
    Unavailable(String),
    /// The source did not give its NAR, however often it was asked.
    Undelivered(String),
    /// It is not as it should be, or the pool does not want it.
    Refused(String),
}

impl Outcome {
    /// For people; nothing, of what is imported.
    pub(super) fn why_not(&self) -> Option<String> {
        Some(match self {
            Self::Imported { .. } => return None,
            Self::Unattested(others) => unattested(others),
            Self::Absent => "the source does not have it".to_owned(),
            Self::Baking => "the source is still baking it".to_owned(),
            Self::Unavailable(why) | Self::Undelivered(why) | Self::Refused(why) => why.clone(),
        })
    }

    /// What it makes of the end, where nothing else comes of the path.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Imported { .. } => Exit::Yes,
            Self::Baking | Self::Unavailable(_) | Self::Undelivered(_) => Exit::CouldNotTell,
            Self::Unattested(_) | Self::Absent | Self::Refused(_) => Exit::No,
        }
    }
}

impl From<Fault> for Outcome {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Absent => Self::Absent,
            Fault::Baking => Self::Baking,
            Fault::Malformed(why) => Self::Refused(why),
            fault => Self::Unavailable(fault.to_string()),
        }
    }
}

fn unattested(others: &[Other]) -> String {
    if others.is_empty() {
        return "nobody has signed it".to_owned();
    }
    let told = |other: &Other| match other {
        Other::Name(name) | Other::Guix(name) => {
            format!("{name} has signed it, whom the pool does not know")
        }
        Other::Barred(name) => format!("{name} has signed it, of whom the pool takes no more"),
    };
    others.iter().map(told).collect::<Vec<_>>().join("; ")
}
