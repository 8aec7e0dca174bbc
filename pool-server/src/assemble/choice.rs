//! Which of the things that signers say of one subject a view shows.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::Display;

use schema::api::{Refused, RefusedCode};
use schema::hash::KeyId;
use schema::key::KeyName;
use schema::signers::Signers;

use super::view::{Choice, Panel};
use crate::index::{AttestationRecord, LedgerId};
use crate::roll::Roll;

/// One thing that is said of a subject, where others may say otherwise.
pub(super) trait Saying {
    /// Who says it. What does not count, such as the word of a key that was compromised by then,
    /// is left out.
    fn words(&self) -> impl Iterator<Item = Word<'_>>;

    /// Whether what is spoken of is here, as far as that is known.
    fn is_here(&self) -> bool;
}

/// That somebody says it.
#[derive(Clone, Copy)]
pub(super) struct Word<'s> {
    name: &'s KeyName,
    root: Option<&'s KeyName>,
    /// The names mean other keys here: it is the word of somebody of that ledger, whom no view names.
    foreign: Option<LedgerId>,
    own: bool,
    /// Higher for what was said later.
    order: (u64, u64),
}

impl<'s> Word<'s> {
    /// What an entry of a ledger says.
    pub(super) fn of(word: &AttestationRecord, roll: &'s Roll) -> Option<Self> {
        let (signer, root) = (roll.signer(word)?, roll.root(word));
        let bound = roll.is_bound(signer) && root.is_none_or(|root| roll.is_bound(root));
        let (foreign, own) = ((!bound).then_some(word.ledger), word.ledger.is_own());
        let (name, root) = (signer.key.name(), root.map(|root| root.key.name()));
        Some(Self { name, root, foreign, own, order: (word.logged_at, word.index) })
    }

    /// What this key said outside of the ledger; `number` is higher for what was said later.
    pub(super) fn outside(key_id: &KeyId, number: u64, signers: &'s Signers) -> Option<Self> {
        let signer = signers.by_id(key_id)?;
        let root = signer.delegation.as_ref().and_then(|it| signers.by_id(&it.root));
        let (name, root) = (signer.key.name(), root.map(|root| root.key.name()));
        Some(Self { name, root, foreign: None, own: true, order: (0, number) })
    }

    /// Keys of one name are one signer's, and a machine speaks for its root.
    pub(super) fn is_by(&self, signer: &KeyName) -> bool {
        self.foreign.is_none() && (self.name == signer || self.root == Some(signer))
    }

    /// Whether a machine spoke.
    pub(super) fn is_delegated(&self) -> bool {
        self.root.is_some()
    }

    /// By whose name it goes.
    pub(super) fn name(&self) -> &'s KeyName {
        self.root.unwrap_or(self.name)
    }

    /// The same for people: whom nobody here means by a name is told apart.
    pub(super) fn label(&self, roll: &Roll) -> KeyName {
        let name = self.name();
        let origin = self.foreign.and_then(|ledger| roll.origin(ledger));
        let told = origin.and_then(|origin| format!("{name}@{origin}").parse().ok());
        told.unwrap_or_else(|| name.clone())
    }

    /// Who it is that speaks.
    fn principal(&self) -> (Option<LedgerId>, &'s KeyName) {
        (self.foreign, self.name())
    }
}

/// What a view shows. There is at least one saying, the oldest first.
///
/// # Errors
/// Not enough of the view's signers say the same.
pub(super) fn choose<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    panel: &Panel,
) -> Result<&'s S, Refused> {
    match panel.choice() {
        Choice::LatestOf(signer) => latest_of(subject, sayings, signer),
        Choice::AtLeast(k) => most_votes(subject, sayings, panel, *k),
    }
}

/// What a builder says last, so that it sees what it pushed.
fn latest_of<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    signer: &KeyName,
) -> Result<&'s S, Refused> {
    let said =
        |saying: &S| saying.words().filter(|word| word.is_by(signer)).map(|word| word.order).max();
    let latest =
        sayings.iter().filter(|saying| said(saying).is_some()).max_by_key(|saying| said(saying));
    latest.ok_or_else(|| not_enough(subject, 0, 1))
}

/// The saying with most votes, then the oldest, if it has `k`. One of something that is here
/// comes before one of something that is not, and one with more votes of the pool's own signers before
/// others: of a ledger that is mirrored nobody knows how easily it enrols.
fn most_votes<'s, S: Saying>(
    subject: &dyn Display,
    sayings: &'s [S],
    panel: &Panel,
    k: usize,
) -> Result<&'s S, Refused> {
    let counted: Vec<(usize, usize)> =
        sayings.iter().map(|saying| votes(sayings, saying, panel)).collect();
    let enough = sayings.iter().zip(&counted).enumerate().filter(|(_, (_, (_, all)))| *all >= k);
    let best = enough.max_by_key(|(at, (saying, votes))| (saying.is_here(), **votes, Reverse(*at)));
    if let Some((_, (saying, _))) = best {
        return Ok(saying);
    }
    let votes: Vec<usize> = counted.into_iter().map(|(_, all)| all).collect();
    let voters: usize = votes.iter().sum();
    if voters >= k {
        Err(disagree(subject, &votes, k))
    } else {
        Err(not_enough(subject, voters, k))
    }
}

/// A signer has one vote, with all the keys of its name and all those that it delegated to. One who
/// says two things of a subject has none for either, unless the view names nobody: then each
/// saying's signers are counted as they come.
/// Those of the pool's own signers, and all.
fn votes<S: Saying>(sayings: &[S], saying: &S, panel: &Panel) -> (usize, usize) {
    let counts = |word: &Word<'_>| {
        panel.members().is_none_or(|members| {
            members.iter().any(|member| word.is_by(member)) && says_once(sayings, word.principal())
        })
    };
    let distinct = |own: bool| {
        let words = saying.words().filter(counts).filter(|word| word.own || !own);
        words.map(|word| word.principal()).collect::<HashSet<_>>().len()
    };
    (distinct(true), distinct(false))
}

fn says_once<S: Saying>(sayings: &[S], principal: (Option<LedgerId>, &KeyName)) -> bool {
    let said = |saying: &&S| saying.words().any(|word| word.principal() == principal);
    sayings.iter().filter(said).count() == 1
}

fn not_enough(subject: &dyn Display, have: usize, k: usize) -> Refused {
    let detail = format!("{subject}: have {have} of {k} signatures by the signers of this view");
    Refused { code: RefusedCode::NotEnoughSigners, detail }
}

fn disagree(subject: &dyn Display, votes: &[usize], k: usize) -> Refused {
    let most = votes.iter().max().copied().unwrap_or_default();
    let claims = votes.iter().filter(|votes| **votes > 0).count();
    let detail = format!(
        "{subject}: the signers of this view disagree: {claims} different claims, \
         the best of them has {most} of {k} signatures"
    );
    Refused { code: RefusedCode::SignersDisagree, detail }
}
