//! A ledger, and somebody who has seen its beginning.

use std::sync::Arc;

use schema::api::{EvidenceHead, EvidenceLine, EvidencePath, EvidenceRequest};
use schema::claim::Claim;
use schema::content_address::ContentAddress;
use schema::evidence::{Caught, Known, Witnessing};
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::key_event::{KeyEvent, RevokeReason};
use schema::policy::Policy;
use schema::store_path::{BaseName, HashPart};
use schema::tlog::cosignature::Cosigner;
use schema::tlog::note::VerifierKey;
use sha2::{Digest, Sha256};
use tests::double::Ledger;
use tests::nar::{key, path};

use super::Heard;

/// When everything is read, POSIX seconds.
pub(super) const NOW: u64 = 1_800_001_000;

/// A claim about a path called `name`, of a NAR that comes from `nar`.
pub(super) fn claim(name: &str, nar: u8, references: &[&str]) -> Claim {
    let references: Vec<BaseName> =
        references.iter().map(|name| path(name, name).base().clone()).collect();
    Claim::new(path(name, name), NarHash::of(&[nar]), 112, references).unwrap()
}

/// A claim that needs nobody's word: its path follows from the NAR.
pub(super) fn addressed() -> (Claim, ContentAddress) {
    let nar = NarHash::of(b"self");
    let address: ContentAddress = format!("fixed:r:sha256:{}", nar.to_nix32()).parse().unwrap();
    let hex: String = nar.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let digest = Sha256::digest(format!("source:sha256:{hex}:/nix/store:self"));
    let mut folded = [0; 20];
    digest.iter().enumerate().for_each(|(at, byte)| folded[at % 20] ^= byte);
    let path = format!("/nix/store/{}-self", HashPart::from_bytes(folded)).parse().unwrap();
    let claim = Claim::new(path, nar, 112, vec![]).unwrap();
    assert!(address.gives_path_of(&claim));
    (claim, address)
}

/// What all say of `lib`.
fn lib() -> Claim {
    let reference = addressed().0.path().base().clone();
    Claim::new(path("lib", "lib"), NarHash::of(b"lib"), 112, vec![reference]).unwrap()
}

pub(super) fn alice() -> SecretKey {
    key("alice-1", 1)
}

pub(super) fn bob() -> SecretKey {
    key("bob-1", 2)
}

/// Who says something else than the others do.
pub(super) fn carol() -> SecretKey {
    key("carol-1", 3)
}

/// Whose key is revoked.
pub(super) fn dave() -> SecretKey {
    key("dave-1", 4)
}

pub(super) fn witness(number: u8) -> Cosigner {
    let name = format!("witness.example/{number}").parse().unwrap();
    Cosigner::new(name, Arc::new(key("witness", 100 + number))).unwrap()
}

/// Three witnesses have seen the ledger, the third at `time` and the others up to two seconds before.
pub(super) fn witnessed(ledger: &mut Ledger, time: u64) {
    (1..=3).for_each(|it| ledger.witnessed_by(witness(it), time - 3 + u64::from(it)));
}

/// Everybody is a signer.
pub(super) fn enrolled(ledger: &mut Ledger) {
    [alice(), bob(), carol(), dave()].iter().for_each(|key| ledger.enrol(&key.public()));
}

/// What is asked of the ledger: `app`, which refers to `lib`, which
/// refers to a path that follows from its contents; and `gone`, of which nobody spoke.
pub(super) struct Scene {
    pub(super) ledger: Ledger,
    /// As it was when it was seen first.
    pub(super) early: Ledger,
    /// What was known then.
    pub(super) known: Known,
    pub(super) request: EvidenceRequest,
    pub(super) members: Vec<VerifierKey>,
}

impl Scene {
    pub(super) fn new() -> Self {
        let mut ledger = Ledger::new("pool.example", 9);
        let members: Vec<_> = [1, 2, 3].map(|it| witness(it).verifier().clone()).into();
        witnessed(&mut ledger, NOW);
        enrolled(&mut ledger);
        for number in 0..6 {
            ledger.attest(&bob(), &claim(&format!("other{number}"), number, &[]));
        }
        ledger.attest(&alice(), &claim("app", 1, &["lib"]));
        ledger.attest(&alice(), &lib());
        let (itself, address) = addressed();
        ledger.attest(&bob(), &itself);
        ledger.addresses(&itself, address);
        ledger.index();
        let early = ledger.clone();
        let request = EvidenceRequest {
            paths: vec![path("app", "app"), path("gone", "gone")],
            closure: true,
            ..Default::default()
        };
        let fresh = Known::new(ledger.logs());
        let witnesses = Witnessing { k: 2, members: &members };
        let heard = Heard::read(&fresh, &request, witnesses, ledger.answer(&request), NOW);
        let known = heard.unwrap().known;
        ledger.attest(&bob(), &lib());
        ledger.attest(&dave(), &lib());
        ledger.index();
        let revoke = KeyEvent::Revoke {
            key: dave().public().id(),
            reason: RevokeReason::Compromised { from: 0 },
        };
        ledger.happens(revoke, &[&dave()]);
        ledger.attest(&bob(), &claim("app", 1, &["lib"]));
        ledger.attest(&carol(), &claim("app", 7, &["lib"]));
        ledger.index();
        // Logged, and in no map yet.
        ledger.attest(&alice(), &claim("other0", 0, &[]));
        let request = EvidenceRequest { known: known.sizes(), ..request };
        Self { ledger, early, known, request, members }
    }

    /// What is answered.
    pub(super) fn honest(&self) -> Vec<EvidenceLine> {
        self.ledger.answer(&self.request)
    }

    pub(super) fn witnesses(&self) -> Witnessing<'_> {
        Witnessing { k: 2, members: &self.members }
    }

    /// Reads an answer to somebody who knows the beginning.
    pub(super) fn read(&self, lines: Vec<EvidenceLine>) -> Result<Heard, Caught> {
        Heard::read(&self.known, &self.request, self.witnesses(), lines, NOW)
    }

    /// What is known after the honest answer, and the question that follows it.
    pub(super) fn after(&self) -> (Known, EvidenceRequest) {
        let known = self.read(self.honest()).unwrap().known;
        let request = EvidenceRequest { known: known.sizes(), ..self.request.clone() };
        (known, request)
    }
}

pub(super) fn head(lines: &mut [EvidenceLine]) -> &mut EvidenceHead {
    match &mut lines[0] {
        EvidenceLine::Head(head) => head,
        other => panic!("{other:?} is no head"),
    }
}

/// What is told of the path of this name.
pub(super) fn told<'l>(lines: &'l mut [EvidenceLine], name: &str) -> &'l mut EvidencePath {
    let begins = format!("1;{};", path(name, name));
    let found = lines.iter_mut().find_map(|line| match line {
        EvidenceLine::Path(told) if told.claims[0].text.starts_with(&begins) => Some(told),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing is told of {name}"))
}

/// Two of alice, bob and dave, and nobody watched but those who are required.
pub(super) fn policy(watch: &str) -> Policy {
    let keys = [("alice", alice()), ("bob", bob()), ("carol", carol()), ("dave", dave())];
    let principals =
        keys.map(|(name, key)| format!("[principal.{name}]\nkeys = [\"{}\"]\n", key.public()));
    let text = format!(
        "format = \"narpool-policy/1\"\nname = \"test\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
         [ledger]\nmax_checkpoint_age = \"10m\"\n{}\
         [group.two]\nk = 2\nmembers = [\"alice\", \"bob\", \"dave\"]\n\
         [[rule]]\nmatch = {{ name = \"*\" }}\nrequire = \"group:two\"\n{watch}\
         [default]\nrequire = \"deny\"\n",
        principals.concat()
    );
    Policy::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
}
