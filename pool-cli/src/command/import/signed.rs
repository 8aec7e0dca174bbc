//! Who signed what a source says, and whether the pool knows them.

use std::collections::HashSet;

use schema::api::{AttestItem, KeyStanding, Signer};
use schema::claim::{Claim, Dialect};
use schema::guix::signature::GuixSignature;
use schema::hash::KeyId;
use schema::key::PublicKey;
use schema::narinfo::guix::SignatureLine;
use schema::signature::{NamedSignature, Signature};

use crate::source::{Signatures, Told};

/// What the signatures beside a claim are worth to a pool.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Vouched {
    /// These are by signers that it knows, and verify.
    By(Vec<AttestItem>),
    /// One by a key of RSA, which counts for nothing.
    Rsa,
    /// None that it would take: by whom they are.
    ByOthers(Vec<Other>),
    /// One does not verify: in words.
    Not(String),
}

/// Somebody whose signatures the pool does not take.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Other {
    /// Nobody has enrolled this key of Nix's, of which only the name is known.
    Name(String),
    /// Nobody has enrolled this key of Guix's, which has no name.
    Guix(String),
    /// The key of this name has ended, or is a machine's that may not speak of such a path.
    Barred(String),
}

impl Vouched {
    /// Verifies what a source says against the signers of a pool, at `now`, POSIX seconds.
    pub(super) fn find(told: &Told, signers: &[Signer], now: u64) -> Self {
        let may = |signer: &Signer| may_attest(signer, &told.claim, now);
        match &told.signatures {
            Signatures::Guix(None) => Self::ByOthers(Vec::new()),
            Signatures::Guix(Some(SignatureLine::Rsa(_))) => Self::Rsa,
            Signatures::Guix(Some(SignatureLine::Ecdsa(signature))) => {
                guix(told, signature, signers, may)
            }
            Signatures::Nix(lines) => nix(told, lines, signers, may),
        }
    }
}

/// The key is in the signature, so that it can be verified whoever made it.
fn guix(
    told: &Told,
    signature: &GuixSignature,
    signers: &[Signer],
    may: impl Fn(&Signer) -> bool,
) -> Vouched {
    if !signature.holds(told.claim.id().as_bytes()) {
        return Vouched::Not("the signature does not verify over what it says".to_owned());
    }
    let id = signature.key().id();
    match signers.iter().find(|signer| signer.key_id == id) {
        Some(signer) if may(signer) => {
            let signature = Signature::from_bytes(signature.signature().to_bytes());
            Vouched::By(vec![item(told, signer, signature)])
        }
        Some(signer) => Vouched::ByOthers(vec![Other::Barred(signer.name.to_string())]),
        None => {
            let name = "NAME".parse().unwrap_or_else(|_| unreachable!("four letters"));
            let key = PublicKey::of_guix(name, signature.key().clone());
            Vouched::ByOthers(vec![Other::Guix(key.to_string())])
        }
    }
}

/// Only a name says by which key a signature is, and a name may have had several keys.
fn nix(
    told: &Told,
    lines: &[NamedSignature],
    signers: &[Signer],
    may: impl Fn(&Signer) -> bool,
) -> Vouched {
    let signed = told.claim.signed_bytes();
    let (mut items, mut others): (Vec<AttestItem>, _) = (Vec::new(), Vec::new());
    let mut seen: HashSet<KeyId> = HashSet::new();
    for line in lines {
        let name = line.name();
        let of_name =
            |signer: &&Signer| signer.name == *name && signer.public_key.dialect() == Dialect::Nix;
        let mut known = signers.iter().filter(of_name).peekable();
        if known.peek().is_none() {
            others.push(Other::Name(name.to_string()));
            continue;
        }
        let signs =
            |signer: &&Signer| signer.public_key.verifies(signed.as_bytes(), line.signature());
        match known.find(signs) {
            None => return Vouched::Not(format!("the signature by {name} does not verify")),
            Some(signer) if !may(signer) => others.push(Other::Barred(name.to_string())),
            Some(signer) if seen.insert(signer.key_id) => {
                items.push(item(told, signer, *line.signature()));
            }
            Some(_) => {}
        }
    }
    if items.is_empty() { Vouched::ByOthers(others) } else { Vouched::By(items) }
}

fn item(told: &Told, signer: &Signer, signature: Signature) -> AttestItem {
    let signature = NamedSignature::new(signer.name.clone(), signature);
    AttestItem {
        deriver: told.deriver.clone(),
        ca: told.content_address.clone(),
        ..AttestItem::new(&told.claim, signature)
    }
}

/// The pool would refuse it otherwise, and all that is handed in with it.
fn may_attest(signer: &Signer, claim: &Claim, now: u64) -> bool {
    let in_scope =
        |names: &schema::name_pattern::NamePattern| names.matches(claim.path().base().name());
    signer.standing == KeyStanding::Active
        && signer.names.as_ref().is_none_or(in_scope)
        && signer.not_after.is_none_or(|not_after| now <= not_after)
}

#[cfg(test)]
mod tests;
