//! What a decision comes to.

use std::sync::Arc;

use serde::Serialize;
use serde::ser::SerializeMap;

use crate::claim::Claim;

/// What a decision comes to. Only an allowed claim is given to a package manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// This claim is allowed, and no other of the path. It is in Nix's words, whoever said it.
    Allow(Arc<Claim>, AllowCode),
    /// The policy says no, and more evidence of the kind it asks for would not change that.
    Deny(DenyCode),
    /// There is too little to say: more evidence may change it.
    Unknown(UnknownCode),
}

impl Outcome {
    /// The claim that is allowed.
    #[must_use]
    pub fn claim(&self) -> Option<&Arc<Claim>> {
        match self {
            Self::Allow(claim, _) => Some(claim),
            Self::Deny(_) | Self::Unknown(_) => None,
        }
    }

    /// `allow`, `deny` or `unknown`.
    #[must_use]
    pub const fn verdict(&self) -> &'static str {
        match self {
            Self::Allow(..) => "allow",
            Self::Deny(_) => "deny",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Why, for programs: stable, in snake case.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Allow(_, code) => code.as_str(),
            Self::Deny(code) => code.as_str(),
            Self::Unknown(code) => code.as_str(),
        }
    }
}

/// As verdict and code, and the claim's identity where one is allowed.
impl Serialize for Outcome {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut out = serializer.serialize_map(None)?;
        out.serialize_entry("verdict", self.verdict())?;
        out.serialize_entry("code", self.code())?;
        if let Some(claim) = self.claim() {
            out.serialize_entry("claim", &claim.id())?;
        }
        out.end()
    }
}

/// A code that is spelled in one way, wherever it stands.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$what:meta])* $code:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$what])* $code,)+
        }

        impl $name {
            /// For programs: stable, in snake case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$code => $text,)+
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(super) use codes;

codes! {
    /// Why a claim is allowed.
    AllowCode {
        /// Enough principals attested it.
        Attested = "attested",
        /// The path follows from its contents.
        ContentAddressed = "content_addressed",
    }
}

codes! {
    /// Why nothing is allowed, for good.
    DenyCode {
        /// The policy's time is over.
        PolicyExpired = "policy_expired",
        /// The path is in another store than the policy speaks of.
        OtherStore = "other_store",
        /// The rule for the path is to deny.
        RuleDenies = "rule_denies",
        /// A ledger contradicts what it showed before.
        LedgerWentBack = "ledger_went_back",
        /// Enough principals attested one claim, and enough another.
        Ambiguous = "ambiguous",
        /// A principal whose dissent prevents it attested another claim.
        Disagreement = "disagreement",
        /// Something that the path refers to is denied.
        Dependency = "dependency",
        /// The path refers to another one that refers to it.
        Cycle = "cycle",
    }
}

codes! {
    /// Why nothing can be said.
    UnknownCode {
        /// A ledger was not heard.
        Unheard = "unheard",
        /// A ledger's checkpoint is too old, or ahead of the clock.
        Stale = "stale",
        /// No ledger has any entry about the path.
        NeverSeen = "never_seen",
        /// Too few principals attested the same claim.
        NotEnoughVotes = "not_enough_votes",
        /// Enough principals attested a claim, but its text is not at hand to check their signatures.
        NoText = "no_text",
        /// Something that the path refers to is unknown.
        Dependency = "dependency",
    }
}
