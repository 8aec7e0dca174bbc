//! `pool signer`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schema::key::KeyName;
use schema::name_pattern::NamePattern;

use crate::expiry::Expiry;

#[derive(Debug, Subcommand)]
pub(crate) enum Signer {
    /// Make a key known to the pool, so that its signatures are kept and shown.
    ///
    /// With a secret key file, the command proves that you hold the key (the key itself stays here):
    /// that is enough where the operator opened enrolment. With a public key, or where enrolment is
    /// closed, an admin's token is needed. Being known makes nobody believe a signer: that is each
    /// reader's choice.
    Enrol {
        /// A secret or public key file, or a public line such as `alice-1:qM3+…=`. A file of Guix's takes
        /// a name before it: berlin-1=/etc/guix/signing-key.pub
        #[arg(value_name = "[NAME=]KEYFILE|PUBLICKEY")]
        key: String,
    },
    /// List the signers that the pool knows, the oldest first.
    List,
    /// Pass a name on to a new key.
    ///
    /// The old key adds nothing from then on, and what it signed still counts. Both keys sign, so that
    /// nobody gives a name away, or to a key that is not theirs.
    Rotate(Rotate),
    /// Let a machine's key attest some paths for a while, in the name of your own key.
    ///
    /// Your own key need then not lie on the machine. Whoever believes it may also believe the keys
    /// that it delegated to; to revoke it revokes all of them.
    Delegate(Delegate),
    /// End a key, for ever: nobody can have its name again.
    ///
    /// A key may end itself. With NAME, the key that signs ends another: as the root of a machine's
    /// key, or as the pool's own key, with which the operator ends any.
    Revoke(Revoke),
    /// Print all that ever happened to the pool's keys.
    ///
    /// The whole keys log is read, every signature in it verified, and its entries compared with the
    /// checkpoint that the pool signed. Exits with 1 when anything is not in order.
    Log,
}

#[derive(Debug, Args)]
pub(crate) struct Rotate {
    /// The secret key that has the name now.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) old: PathBuf,

    /// The secret key that gets it: `pool key generate` with the same name and another file.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) new: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Delegate {
    /// The secret key that answers for the machine.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) root: PathBuf,

    /// The machine's key, under a name that no key had: its file, or a public line.
    #[arg(value_name = "KEYFILE|PUBLICKEY")]
    pub(crate) key: String,

    /// What it may attest: a pattern for what follows the hash in a path, such as 'linux-*' or '*'.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) names: NamePattern,

    /// Until when: 90d, 12h, or the last day (UTC) as 2027-03-31.
    #[arg(long, value_name = "DATE|DURATION")]
    pub(crate) not_after: Expiry,
}

#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The secret key to sign with. Without NAME it is the key that ends.
    #[arg(long, value_name = "KEYFILE")]
    pub(crate) key: PathBuf,

    /// The name of another key, which ends instead.
    pub(crate) name: Option<KeyName>,

    /// Others may have used the key: its entries in the pool's ledger from this index on are void.
    ///
    /// Earlier ones still count. `pool show` tells the index of each entry. Without this option the
    /// key is merely out of use, and all that it signed counts. It may be given later on, too, and
    /// again with a lower index.
    #[arg(long, value_name = "INDEX")]
    pub(crate) compromised_from: Option<u64>,
}
