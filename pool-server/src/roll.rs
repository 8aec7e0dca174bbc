//! The roll of signers: who may attest in each ledger that the pool holds, its own and those it
//! mirrors. A key event of one ledger says nothing of another.

use std::sync::Arc;

use schema::claim::Claim;
use schema::key::KeyName;
use schema::signers::{Signer, Signers};

use crate::index::{AttestationRecord, LedgerId};

/// The signers of every ledger.
#[derive(Debug, Clone)]
pub struct Roll {
    own: Arc<Signers>,
    mirrored: Vec<Mirrored>,
}

#[derive(Debug, Clone)]
struct Mirrored {
    ledger: LedgerId,
    origin: Arc<str>,
    signers: Arc<Signers>,
}

impl Roll {
    /// Of a pool that mirrors nobody.
    #[must_use]
    pub fn new(own: Arc<Signers>) -> Self {
        Self { own, mirrored: Vec::new() }
    }

    /// Those of the pool's own ledger.
    #[must_use]
    pub fn own(&self) -> &Arc<Signers> {
        &self.own
    }

    /// Those of a ledger, if the pool holds it.
    #[must_use]
    pub fn of(&self, ledger: LedgerId) -> Option<&Arc<Signers>> {
        if ledger.is_own() {
            return Some(&self.own);
        }
        self.mirrored.iter().find(|it| it.ledger == ledger).map(|it| &it.signers)
    }

    /// The ledgers of others: each with what the origins of its logs begin with, in the order in which
    /// they came.
    pub fn mirrored(&self) -> impl Iterator<Item = (LedgerId, &Arc<str>, &Arc<Signers>)> {
        self.mirrored.iter().map(|it| (it.ledger, &it.origin, &it.signers))
    }

    /// Of a ledger of another's: what the origins of its logs begin with.
    #[must_use]
    pub fn origin(&self, ledger: LedgerId) -> Option<&str> {
        self.mirrored.iter().find(|it| it.ledger == ledger).map(|it| &*it.origin)
    }

    /// The roll once the signers of the own ledger are these.
    #[must_use]
    pub fn with_own(mut self, signers: Signers) -> Self {
        self.own = Arc::new(signers);
        self
    }

    /// The roll once the signers of another's ledger are these.
    #[must_use]
    pub fn with_mirrored(mut self, ledger: LedgerId, origin: &Arc<str>, signers: Signers) -> Self {
        let signers = Arc::new(signers);
        match self.mirrored.iter_mut().find(|it| it.ledger == ledger) {
            Some(known) => known.signers = signers,
            None => self.mirrored.push(Mirrored { ledger, origin: Arc::clone(origin), signers }),
        }
        self
    }

    /// Whose word it is.
    #[must_use]
    pub fn signer(&self, word: &AttestationRecord) -> Option<&Signer> {
        self.of(word.ledger)?.by_id(&word.key_id)
    }

    /// The root that the signer of a word speaks for, if it is a machine.
    #[must_use]
    pub fn root(&self, word: &AttestationRecord) -> Option<&Signer> {
        let delegation = self.signer(word)?.delegation.as_ref()?;
        self.of(word.ledger)?.by_id(&delegation.root)
    }

    /// Whether the key could say so then, and nothing has made that void since.
    #[must_use]
    pub fn counts(&self, word: &AttestationRecord, claim: &Claim) -> bool {
        let name = claim.path().base().name();
        self.of(word.ledger)
            .is_some_and(|signers| signers.counts(&word.key_id, word.index, name, word.logged_at))
    }

    /// The key that has this name now, or had it last. A name means what the first ledger says that
    /// has it: the pool's own, then those of others in the order in which they came.
    #[must_use]
    pub fn named(&self, name: &KeyName) -> Option<&Signer> {
        self.home(name)?.named(name)
    }

    /// Whether a name that somebody has in another ledger means that very key here.
    #[must_use]
    pub fn is_bound(&self, signer: &Signer) -> bool {
        if self.mirrored.is_empty() {
            return true;
        }
        let home = self.home(signer.key.name());
        let known = home.and_then(|home| home.by_id(&signer.key_id));
        known.is_some_and(|known| known.key.name() == signer.key.name())
    }

    fn home(&self, name: &KeyName) -> Option<&Signers> {
        let all = std::iter::once(&self.own).chain(self.mirrored.iter().map(|it| &it.signers));
        all.map(|signers| &**signers).find(|signers| signers.named(name).is_some())
    }
}
