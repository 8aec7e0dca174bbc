//! The roll of signers: who may attest in each ledger that the pool holds, its own and those it
//! mirrors. A key event of one ledger says nothing of another.

use std::collections::HashMap;
use std::sync::Arc;

use schema::claim::Claim;
use schema::key::KeyName;
use schema::signers::{Signer, Signers, Standing};

use crate::index::{AttestationRecord, LedgerId};

/// The signers of every ledger.
#[derive(Debug, Clone)]
pub struct Roll {
    own: Arc<Signers>,
    mirrored: Vec<Mirrored>,
    /// In which mirrored ledger a name came up first: whom it means, if no own signer has it.
    names: HashMap<KeyName, LedgerId>,
}

#[derive(Debug, Clone)]
struct Mirrored {
    ledger: LedgerId,
    origin: Arc<str>,
    signers: Arc<Signers>,
}

impl Roll {
    /// Of a pool that mirrors nobody yet. `names` tells in which mirrored ledger a name came up first.
    #[must_use]
    pub fn new(own: Arc<Signers>, names: HashMap<KeyName, LedgerId>) -> Self {
        Self { own, mirrored: Vec::new(), names }
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

    /// A name has come up in a mirrored ledger: from now on it means whom that says, for ever, unless
    /// another was before it. Answers with whether that is new.
    pub fn bind(&mut self, name: &KeyName, ledger: LedgerId) -> bool {
        let is_new = !self.names.contains_key(name);
        if is_new {
            self.names.insert(name.clone(), ledger);
        }
        is_new
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

    /// Whether the key could say so then, and nothing has made that void since. A key that the own
    /// ledger knows as compromised counts nowhere else either.
    #[must_use]
    pub fn counts(&self, word: &AttestationRecord, claim: &Claim) -> bool {
        let name = claim.path().base().name();
        let known = (!word.ledger.is_own()).then(|| self.own.by_id(&word.key_id)).flatten();
        let void = known.is_some_and(|it| matches!(it.standing, Standing::Compromised { .. }));
        !void
            && self.of(word.ledger).is_some_and(|signers| {
                signers.counts(&word.key_id, word.index, name, word.logged_at)
            })
    }

    /// The key that has this name now, or had it last. A name means whom the pool's own ledger knows by
    /// it, else whom the mirrored ledger does in which it came up first.
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
        if self.own.named(name).is_some() {
            return Some(&self.own);
        }
        self.of(*self.names.get(name)?).map(|signers| &**signers)
    }
}
