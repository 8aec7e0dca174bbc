//! Orders: what the thread can be told, and how each is answered.

use schema::api::KeyEventLogged;
use schema::claim::Claim;
use schema::debug_info::BuildId;
use schema::hash::NarHash;
use schema::key_event::SignedKeyEvent;
use schema::realisation::VerifiedRealisation;
use schema::tlog::edge::Edge;
use tokio::sync::oneshot;

use super::Standing;
use super::group::Group;
use super::retention::RetentionOrder;
use super::withdrawn::Mending;
use crate::index::{DebugInfoRecord, ElsewhereRecord, FileRecord, LedgerId, LedgerRecord, LogAt};
use crate::ledger::mirror::MirroredEntry;
use crate::ledger::{Kept, Vouched};
use crate::rejected::{Error, Failure};

/// Takes what came of an order to whoever gave it.
pub(super) type Answer<T> = oneshot::Sender<Result<T, Failure>>;

/// What the thread is told to do.
pub(super) enum Order {
    Attest { vouched: Vec<Vouched>, answer: Answer<Vec<Standing>> },
    Keep { kept: Vec<Kept>, answer: Answer<Vec<FileRecord>> },
    KeyEvent { event: Box<SignedKeyEvent>, answer: Answer<KeyEventLogged> },
    Stop { answer: Answer<()> },
    KeepDebugInfo { build_id: BuildId, record: DebugInfoRecord, answer: Answer<bool> },
    Realise { verified: VerifiedRealisation, answer: Answer<usize> },
    MirrorLedger { ledger: LedgerRecord, answer: Answer<LedgerId> },
    Mirror { log: LogAt, from: u64, entries: Vec<MirroredEntry>, answer: Answer<Edge> },
    MirrorClaims { claims: Vec<Claim>, answer: Answer<usize> },
    Elsewhere { nars: Vec<(NarHash, ElsewhereRecord)>, answer: Answer<usize> },
    Withdraw { nar_hash: NarHash, why: String, answer: Answer<bool> },
    Mend { path: Mending, answer: Answer<bool> },
    Retention(RetentionOrder),
}

impl Order {
    /// How much of a group it takes.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Attest { vouched, .. } => vouched.len(),
            Self::Realise { verified, .. } => verified.signatures().len(),
            Self::Keep { kept, .. } => kept.len(),
            Self::Mirror { entries, .. } => entries.len(),
            Self::MirrorClaims { claims, .. } => claims.len(),
            Self::Elsewhere { nars, .. } => nars.len(),
            Self::Retention(order) => order.weight(),
            Self::KeyEvent { .. }
            | Self::KeepDebugInfo { .. }
            | Self::Stop { .. }
            | Self::MirrorLedger { .. }
            | Self::Withdraw { .. }
            | Self::Mend { .. } => 1,
        }
    }

    /// Takes an order into the group; the answer goes out once the group is written or has failed.
    pub(super) fn answer_later(self, group: &mut Group<'_>) -> Reply {
        match self {
            Self::Attest { vouched, answer } => reply(answer, group.attest(vouched)),
            Self::Keep { kept, answer } => reply(answer, group.keep(kept)),
            Self::KeyEvent { event, answer } => reply(answer, group.key_event(*event)),
            Self::Stop { answer } => reply(answer, Ok(())),
            Self::KeepDebugInfo { build_id, record, answer } => {
                reply(answer, group.keep_debug_info(build_id, record))
            }
            Self::Realise { verified, answer } => reply(answer, group.realise(&verified)),
            Self::MirrorLedger { ledger, answer } => reply(answer, group.mirror_ledger(&ledger)),
            Self::Mirror { log, from, entries, answer } => {
                reply(answer, group.mirror(log, from, entries))
            }
            Self::MirrorClaims { claims, answer } => reply(answer, group.mirror_claims(claims)),
            Self::Elsewhere { nars, answer } => reply(answer, group.elsewhere(nars)),
            Self::Withdraw { nar_hash, why, answer } => {
                reply(answer, group.withdraw(nar_hash, why))
            }
            Self::Mend { path, answer } => reply(answer, group.mend(&path)),
            Self::Retention(order) => order.answer_later(group),
        }
    }
}

/// Sends an answer, once it is known whether the group failed, and why.
pub(super) type Reply = Box<dyn FnOnce(Option<&Error>) + Send>;

/// An answer of this result, if the group is written.
pub(super) fn reply<T: Send + 'static>(answer: Answer<T>, result: Result<T, Failure>) -> Reply {
    Box::new(move |failed| {
        let result = match failed {
            Some(Error::Halted(halted)) => {
                result.and_then(|_| Err(Error::from(halted.clone()).into()))
            }
            Some(error) => result.and_then(|_| Err(Error::Index(error.to_string()).into())),
            None => result,
        };
        // Whoever asked may have gone; what was written stays.
        let _ = answer.send(result);
    })
}
