//! Trying again: which failures pass by themselves, and how long to wait for that.

use std::time::Duration;

use anyhow::Result;

use super::Remote;
use crate::exit::Failure;

/// Tries in all, when it is worth being patient.
const TRIES: u32 = 5;
/// Before the second try; doubled before each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// A pool that asks for more patience than this is as good as down.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Once: somebody waits for the answer.
    None,
    /// A few times, for about ten seconds.
    Some,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It may pass.
    Passing {
        /// What happened.
        error: anyhow::Error,
        /// How long the pool asked to wait.
        wait: Option<Duration>,
    },
    /// It will not.
    Lasting(anyhow::Error),
}

impl Trouble {
    /// Says what it was about.
    pub(crate) fn about(self, what: String) -> Self {
        match self {
            Self::Passing { error, wait } => Self::Passing { error: error.context(what), wait },
            Self::Lasting(error) => Self::Lasting(error.context(what)),
        }
    }

    /// What happened.
    pub(crate) fn into_error(self) -> anyhow::Error {
        match self {
            Self::Passing { error, .. } | Self::Lasting(error) => error,
        }
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Lasting(error)
    }
}

impl Remote<'_> {
    /// Does `attempt` until it succeeds, fails for good, or patience ends.
    pub(crate) async fn patiently<T>(
        &self,
        attempt: impl AsyncFn() -> Result<T, Trouble>,
    ) -> Result<T> {
        let tries = if self.patience == Patience::Some { TRIES } else { 1 };
        for tried in 1.. {
            let (error, wait) = match attempt().await {
                Ok(value) => return Ok(value),
                Err(Trouble::Passing { error, wait }) if tried < tries => (error, wait),
                Err(trouble) => return Err(trouble.into_error()),
            };
            let pause = wait.unwrap_or_else(|| jittered(FIRST_PAUSE * 2_u32.pow(tried - 1)));
            if pause > LONGEST_PAUSE {
                return Err(error);
            }
            let seconds = pause.as_secs_f32();
            self.output.note(&format!("{error:#}; trying again in {seconds:.1} s"));
            tokio::time::sleep(pause).await;
        }
        unreachable!("the last try returns")
    }
}

/// Half to all of `pause`, so that many clients do not come back at once.
fn jittered(pause: Duration) -> Duration {
    let mut byte = [0];
    // Without random bytes everybody waits the longest.
    let random = getrandom::fill(&mut byte).map_or(u32::from(u8::MAX), |()| u32::from(byte[0]));
    pause / 2 + pause / 2 * random / u32::from(u8::MAX)
}

/// No answer came.
pub(super) fn unreachable(server: &str, error: reqwest::Error) -> Trouble {
    let error = error.without_url();
    let root = root_cause(&error);
    let certificate = root.contains("certificate");
    let message = if error.is_connect() {
        format!("cannot reach the pool at {server}: {root}")
    } else if error.is_timeout() {
        format!("the pool at {server} did not answer in time")
    } else {
        format!("lost the connection to {server}: {root}")
    };
    let hint = if certificate {
        Some("--ca-file FILE adds a certificate authority to trust")
    } else if error.is_connect() {
        Some("is the pool running, and is this its address? `pool ping` tries again")
    } else {
        None
    };
    let lasting = certificate || error.is_builder();
    let error = Failure::could_not_tell(message).maybe_hint(hint.map(str::to_owned)).into();
    if lasting { Trouble::Lasting(error) } else { Trouble::Passing { error, wait: None } }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
