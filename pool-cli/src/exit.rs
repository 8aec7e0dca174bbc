//! What the exit status means, and the errors that decide it.

use std::fmt;
use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done, or: it is so.
    Yes,
    /// The answer is no: not known here, refused, or not what it should be.
    No,
    /// Nobody could tell: no connection, a file that cannot be read, a wrong command line.
    CouldNotTell,
    /// Stopped from the keyboard; 128 and the signal's number, as shells have it.
    Interrupted,
}

impl Exit {
    /// How two things ended together: no is told before that nobody could tell.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, other) | (other, Self::Yes) => other,
            (Self::No, _) | (_, Self::No) => Self::No,
            (worse, _) => worse,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Yes => 0,
            Exit::No => 1,
            Exit::CouldNotTell => 2,
            Exit::Interrupted => 130,
        })
    }
}

/// An error that knows its exit status and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
    lasts: bool,
}

impl Failure {
    /// The answer is no.
    pub(crate) fn no(message: impl Into<String>) -> Self {
        Self { exit: Exit::No, message: message.into(), hint: None, lasts: false }
    }

    /// There is no answer.
    pub(crate) fn could_not_tell(message: impl Into<String>) -> Self {
        Self { exit: Exit::CouldNotTell, message: message.into(), hint: None, lasts: false }
    }

    /// It is about the thing itself, so that time alone will not mend it.
    pub(crate) fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, when there is something to say.
    pub(crate) fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit status for an error: what its [`Failure`] says, else nobody could tell.
pub(crate) fn of(error: &anyhow::Error) -> Exit {
    failure(error).map_or(Exit::CouldNotTell, |failure| failure.exit)
}

/// Whether trying the same again some other day is in vain.
pub(crate) fn lasts(error: &anyhow::Error) -> bool {
    failure(error).is_some_and(|failure| failure.lasts)
}

/// What to do about an error, if it says so.
pub(crate) fn hint(error: &anyhow::Error) -> Option<&str> {
    failure(error).and_then(|failure| failure.hint.as_deref())
}

fn failure(error: &anyhow::Error) -> Option<&Failure> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn the_cause_decides_whatever_context_is_around_it() {
        let no: anyhow::Error = Failure::no("changed").hint("rebuild it").into();
        let no = Err::<(), _>(no).context("pushing").context("again").unwrap_err();
        assert_eq!(of(&no), Exit::No);
        assert_eq!(hint(&no), Some("rebuild it"));
        assert_eq!(format!("{no:#}"), "again: pushing: changed");
        assert_eq!(of(&Failure::could_not_tell("down").into()), Exit::CouldNotTell);
        assert_eq!(of(&anyhow!("anything else")), Exit::CouldNotTell);
        assert_eq!(hint(&anyhow!("anything else")), None);
    }

    #[test]
    fn codes_are_0_1_2() {
        let codes =
            [Exit::Yes, Exit::No, Exit::CouldNotTell, Exit::Interrupted].map(ExitCode::from);
        assert_eq!(format!("{codes:?}"), format!("{:?}", [0, 1, 2, 130].map(ExitCode::from)));
    }
}
