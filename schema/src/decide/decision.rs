//! A decision, and everything that explains it.

use serde::Serialize;

use super::outcome::{Outcome, UnknownCode, codes};
use super::unheard::Unheard;
use crate::hash::{ClaimId, KeyId};
use crate::name_pattern::NamePattern;
use crate::policy::{Name, Policy, Rule, Terms};
use crate::store_path::StorePath;

/// What a policy says of one path, and why. It does not depend on the order of anything that it was
/// made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    path: StorePath,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
    rule: Option<NamePattern>,
    require: Option<String>,
    pub(super) ledgers: Vec<LedgerAccount>,
    pub(super) tallies: Vec<Tally>,
    pub(super) dissenting: Vec<Name>,
    pub(super) abstaining: Vec<Name>,
    pub(super) silent: Vec<Name>,
    pub(super) account: Vec<Vote>,
}

impl Decision {
    /// Nothing is known yet.
    pub(super) fn new(
        policy: &Policy,
        path: StorePath,
        rule: Option<&Rule>,
        terms: &Terms,
    ) -> Self {
        let require = match terms {
            Terms::Deny => None,
            Terms::Require { party, .. } => Some(policy.party_text(*party)),
        };
        Self {
            path,
            outcome: Outcome::Unknown(UnknownCode::NeverSeen),
            rule: rule.map(|rule| rule.pattern().clone()),
            require,
            ledgers: Vec::new(),
            tallies: Vec::new(),
            dissenting: Vec::new(),
            abstaining: Vec::new(),
            silent: Vec::new(),
            account: Vec::new(),
        }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// What it comes to.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// The pattern of the rule that decided; none where it was the default.
    #[must_use]
    pub fn rule(&self) -> Option<&NamePattern> {
        self.rule.as_ref()
    }

    /// Whose word the rule asks for, as the policy spells it; none where it is to deny.
    #[must_use]
    pub fn require(&self) -> Option<&str> {
        self.require.as_deref()
    }

    /// Every ledger in question, by origin.
    #[must_use]
    pub fn ledgers(&self) -> &[LedgerAccount] {
        &self.ledgers
    }

    /// Every claim that a principal of the requirement attested, the one that came closest first.
    #[must_use]
    pub fn tallies(&self) -> &[Tally] {
        &self.tallies
    }

    /// Principals with a veto that attested another claim than the one that came closest.
    #[must_use]
    pub fn dissenting(&self) -> &[Name] {
        &self.dissenting
    }

    /// Principals that attested two claims of the path, whatever the rule makes of them. That is
    /// something to ask them about.
    #[must_use]
    pub fn abstaining(&self) -> &[Name] {
        &self.abstaining
    }

    /// Principals of the requirement without any entry that counts.
    #[must_use]
    pub fn silent(&self) -> &[Name] {
        &self.silent
    }

    /// Every entry about the path in the ledgers that were heard, and what became of it; by ledger and
    /// index.
    #[must_use]
    pub fn account(&self) -> &[Vote] {
        &self.account
    }
}

/// What came of asking one ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerAccount {
    /// Its origin.
    pub ledger: String,
    /// When it was whole, if it was heard at all, POSIX seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<u64>,
    /// Why what it says is not enough, or does not matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unheard: Option<Unheard>,
}

/// How one claim fares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// What is claimed, whatever the words: see [`crate::claim::Claim::meaning`].
    pub claim: ClaimId,
    /// How many members of what the rule requires agree on it.
    pub have: usize,
    /// How many must.
    pub need: usize,
    /// Whether it would be enough if every principal that says so also voted. A text that is kept back
    /// must not make one claim the only one: so what would be enough is what must be unique.
    pub would_suffice: bool,
    /// The principals of the requirement that voted for it, by name.
    pub votes: Vec<Name>,
    /// Those that may have, if their signatures could be checked: the claim's text is not at hand.
    pub unchecked: Vec<Name>,
}

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// The origin of the ledger.
    pub ledger: String,
    /// Where it stands there.
    pub index: u64,
    /// When the ledger says it took it, POSIX seconds.
    pub logged_at: u64,
    /// Who signed.
    pub key_id: KeyId,
    /// For which principal of the policy, if for any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<Name>,
    /// What is claimed, whatever the words: see [`crate::claim::Claim::meaning`].
    pub claim: ClaimId,
    /// Whether it counted, and if not, why.
    pub standing: VoteStanding,
}

codes! {
    /// Whether an entry counted as a vote, and if not, why.
    #[derive(PartialOrd, Ord)]
    VoteStanding {
        /// It is its principal's vote.
        Counted = "counted",
        /// Its principal has this vote by an earlier entry.
        Repeat = "repeat",
        /// Its principal attested another claim of the path too, and abstains.
        Abstains = "abstains",
        /// The claim's text is not at hand, so the signature was not checked. It is dissent where its
        /// principal's dissent matters, but no vote.
        Unchecked = "unchecked",
        /// The key speaks for another principal in another ledger. It is dissent, but no vote.
        KeyOfTwo = "key_of_two",
        /// Only the pool's own word voids it. It is dissent, but no vote.
        VoidedByPool = "voided_by_pool",
        /// It was logged after its principal's `not_after`.
        AfterNotAfter = "after_not_after",
        /// The key had not begun, had ended or was voided at that index, or may not speak of such paths.
        KeyNotValid = "key_not_valid",
        /// The key is a delegate, and its principal is not one with `delegates = true`.
        DelegateNotAllowed = "delegate_not_allowed",
        /// The key follows one of the principal's by rotation; the policy must list it too.
        SuccessorNotListed = "successor_not_listed",
        /// The policy knows nothing of the key.
        NotInPolicy = "not_in_policy",
        /// It is about another path.
        OtherPath = "other_path",
    }
}

impl VoteStanding {
    /// Whether it is the principal's word that the claim is so, be it checked or not.
    pub(super) fn says(self) -> bool {
        matches!(self, Self::Counted | Self::Unchecked | Self::KeyOfTwo | Self::VoidedByPool)
    }
}
