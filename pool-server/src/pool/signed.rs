//! What stock clients put with signatures in it: whose are kept, and what to do when none are.

use std::fmt::{self, Display};

use schema::key::KeyName;
use schema::signature::NamedSignature;
use schema::signers::{Signers, Standing};

use crate::assemble::view::View;
use crate::rejected::Rejected;

/// What became of a document that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// Signatures that were not here before.
    pub new: usize,
    /// Signatures that were.
    pub known: usize,
    /// Names of signatures that were passed over: none is by an active signer of this pool.
    pub unknown: Vec<KeyName>,
}

/// A kind of document. Stock Nix signs each at another time.
#[derive(Clone, Copy)]
pub(super) enum Document {
    NarInfo,
    Realisation,
}

impl Document {
    fn how_to_sign(self) -> &'static str {
        match self {
            Self::NarInfo => {
                "the pool never signs for you: nix copy --to 'http://…/as/NAME?secret-key=FILE'"
            }
            Self::Realisation => {
                "Nix signs realisations when it builds: secret-key-files = FILE in its nix.conf"
            }
        }
    }

    fn how_to_sign_as_builder(self) -> &'static str {
        match self {
            Self::NarInfo => "push with ?secret-key=FILE of that key, or through another view",
            Self::Realisation => {
                "build with secret-key-files = FILE of that key, or push through another view"
            }
        }
    }
}

impl Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NarInfo => "narinfo",
            Self::Realisation => "realisation",
        })
    }
}

/// Parts signatures into those under the names of active signers, and the others.
pub(super) fn part(
    lines: &[NamedSignature],
    signers: &Signers,
) -> (Vec<NamedSignature>, Vec<KeyName>) {
    let (known, unknown): (Vec<_>, Vec<_>) =
        lines.iter().cloned().partition(|line| is_active(line.name(), signers));
    (known, unknown.iter().map(|line| line.name().clone()).collect())
}

fn is_active(name: &KeyName, signers: &Signers) -> bool {
    signers.named(name).is_some_and(|signer| signer.standing == Standing::Active)
}

/// Checks that there is a signature worth keeping: in a builder's view, the builder's.
///
/// # Errors
/// Which is missing, and how it is made.
pub(super) fn check_signed(
    document: Document,
    subject: &dyn Display,
    view: &View,
    known: &[NamedSignature],
    unknown: &[KeyName],
) -> Result<(), Rejected> {
    if let View::As(builder) = view
        && !known.iter().any(|line| line.name() == builder)
    {
        let detail = format!(
            "{subject}: this is the view of {builder}, and no signature by {builder} is there"
        );
        return Err(Rejected::unprocessable("not_signed_by_builder", detail)
            .hint(document.how_to_sign_as_builder()));
    }
    match (known, unknown) {
        ([], []) => Err(Rejected::unprocessable(
            "unsigned",
            format!("{subject}: the {document} carries no signature"),
        )
        .hint(document.how_to_sign())),
        ([], [name, ..]) => Err(unknown_signer(name)),
        _ => Ok(()),
    }
}

pub(super) fn unknown_signer(name: &KeyName) -> Rejected {
    Rejected::unprocessable("unknown_signer", format!("no signer called {name} is enrolled here"))
        .hint("enrol the key first: pool signer enrol PUBLICKEY")
}
