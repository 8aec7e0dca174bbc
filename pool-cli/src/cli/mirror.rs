//! `pool mirror`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use schema::key::KeyName;
use schema::name_pattern::NamePattern;
use schema::tlog::note::VerifierKey;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, after_long_help = AFTER_HELP)]
pub(crate) struct Mirror {
    #[command(subcommand)]
    pub(crate) action: Option<MirrorAction>,

    #[command(flatten)]
    pub(crate) carry: Carry,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MirrorAction {
    /// Show what a pool mirrors, how far, and what is wrong with it.
    ///
    /// Exits with 1 when a log has forked or a source went back.
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct Carry {
    /// A pool to mirror; several may be named. Its own ledger is, and of those that it mirrors itself
    /// the ones that are mirrored here already, or asked for below.
    ///
    /// A private pool is shown the token that `pool login` kept for it, and no other.
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) from: Vec<String>,

    /// The pool that becomes a mirror; the same as --server. It takes a token with the scope `upload`;
    /// the first time, to begin with a ledger, one with `admin`.
    #[arg(long, value_name = "URL")]
    pub(crate) to: Option<String>,

    /// Mirror the ledgers of these attestation logs, whoever has them, and no others; and know them by
    /// these keys.
    ///
    /// Without it a pool's word is taken for which key its ledger has, once: from then on it must stay.
    #[arg(long, value_name = "VERIFIER-KEY")]
    pub(crate) ledger: Vec<VerifierKey>,

    /// Mirror every ledger that a pool mirrors itself, too: its word is taken for whose keys those are.
    #[arg(long, conflicts_with = "ledger")]
    pub(crate) all_ledgers: bool,

    #[command(flatten)]
    pub(crate) filter: Filter,

    /// Go on: what is new is carried as soon as a source has it.
    #[arg(long)]
    pub(crate) follow: bool,

    /// Bring a NAR when a client asks the mirror for it, while it is sent on; none are carried ahead but
    /// those that are asked for below. The mirror's `absent-nars` must be `pull`.
    #[arg(long, requires = "follow")]
    pub(crate) pull: bool,

    /// Look once more at what was left out before, by what is asked for now: NARs, and claims that a
    /// source said were collected.
    #[arg(long)]
    pub(crate) rescan: bool,

    /// NARs under way at a time. Default: two a core, at least 4 and at most 32.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: Option<u16>,
}

/// Of which paths the NARs are carried; the ledgers always are, whole. A path must be as all of these
/// ask.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Which NARs")]
pub(crate) struct Filter {
    /// Of paths that this policy allows by themselves.
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,

    /// Of paths that this signer, or a machine of its, has attested; several may be named.
    #[arg(long, value_name = "NAME")]
    pub(crate) signer: Vec<KeyName>,

    /// Of paths with such names, as in a policy: `linux-*`; several may be given.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) name: Vec<NamePattern>,

    /// Of the paths in this file, one a line, and of all that they refer to.
    #[arg(long, value_name = "LIST")]
    pub(crate) roots: Option<PathBuf>,

    /// Of NARs of so many bytes at most, unpacked; with K, M, G or T.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_size: Option<NonZeroU64>,
}

impl Filter {
    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.policy.is_none()
            && self.signer.is_empty()
            && self.name.is_empty()
            && self.roots.is_none()
            && self.max_size.is_none()
    }
}

fn size(text: &str) -> Result<NonZeroU64, String> {
    let (digits, shift) = match text.bytes().last() {
        Some(b'K') => (&text[..text.len() - 1], 10),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let size = digits.parse::<u64>().ok().and_then(|size| size.checked_mul(1 << shift));
    size.and_then(NonZeroU64::new).ok_or_else(|| "not a size; say 500M, or a number".to_owned())
}

const AFTER_HELP: &str = "\
What a mirror can do, and what it cannot:
  It can keep a NAR back, and then says where else it is. It cannot change one, for its hash is
  claimed; nor forge an attestation, for they are signed; nor drop one in silence, for the log it is
  in is signed, and others have seen it.

What is checked, before anything is kept:
  That each log is signed by its pool, has grown from what was seen of it, and holds the entries it
  says; that keys are enrolled, changed and revoked by those who may; that each attestation is its
  signer's. A pool that fails is named, and nothing of that is kept. Of a log that has two histories
  both checkpoints are kept as evidence, it is not followed any more, and what was verified of it goes
  on being served.

Examples:
  pool mirror --from https://a.example --to https://b.example --follow
  pool mirror --from https://a.example --name 'linux-*' --max-size 2G
  pool mirror status

Exit status:
  0    all is carried
  1    something is not as it should be: a source was caught, or gives NARs that are no such NARs
  2    could not tell: a source or the mirror does not answer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_letters() {
        let read = |text| size(text).map(NonZeroU64::get).ok();
        assert_eq!(read("500"), Some(500));
        assert_eq!(read("2K"), Some(2048));
        assert_eq!(read("3T"), Some(3 << 40));
        for text in ["", "K", "0", "-1", "1k", "1.5G", "99999999999T"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
