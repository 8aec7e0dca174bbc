//! Decisions, against a model that does what the rules say in the plainest way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use schema::attestation::Signed;
use schema::claim::Claim;
use schema::decide::{Decision, Hearing, Outcome, Said, Unheard, VoteStanding, decide};
use schema::hash::{NarHash, PathKey};
use schema::key::SecretKey;
use schema::key_event::{KeyEntry, KeyEvent, RevokeReason};
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;
use schema::store_path::StorePath;

use super::policy::{K, KEYS, Lot, Model, PRINCIPALS, Part, Veto, key, key_of, model};

const NOW: u64 = 82_800;
/// Until when the machines' keys speak.
const MACHINES_END: u64 = 60_000;
/// Different things to say of the path.
const CLAIMS: usize = 3;
const LEDGERS: [&str; 2] = ["a", "b"];

static PATH: LazyLock<StorePath> =
    LazyLock::new(|| format!("/nix/store/{}-linux-6", "0".repeat(32)).parse().expect("a path"));

fn claim(number: usize) -> Arc<Claim> {
    static ALL: LazyLock<Vec<Arc<Claim>>> = LazyLock::new(|| {
        let claim = |number| {
            let nar = NarHash::of(format!("{number}").as_bytes());
            Arc::new(Claim::new(PATH.clone(), nar, 112, vec![]).expect("a claim"))
        };
        (0..1000).map(claim).collect()
    });
    ALL[number].clone()
}

fn statement(index: usize, by: &SecretKey, number: usize, logged_at: u64) -> Statement {
    let claim = claim(number);
    let signature = by.sign(claim.signed_bytes().as_bytes());
    let signed = Signed::new(Claim::clone(&claim), signature).verify(&by.public()).expect("signed");
    let entry = signed.entry(logged_at);
    Statement::verified(index as u64, &entry, claim, &by.public()).expect("as it says")
}

/// The same entry, its claim's text unknown.
fn forget(it: &Statement) -> Statement {
    let entry = schema::attestation::Entry {
        dialect: schema::claim::Dialect::Nix,
        logged_at: it.logged_at(),
        subject: NarHash::of(b"not looked at"),
        path_key: it.path_key(),
        claim: it.meaning(),
        key_id: it.key_id(),
        signature: schema::signature::Signature::from_bytes([0; 64]),
    };
    Statement::unchecked(it.index(), &entry, None)
}

/// A keys log in which every key of every principal is enrolled, and machines speak of the path or not.
fn enrolled(ledger: usize, in_scope: bool) -> &'static Signers {
    static ALL: LazyLock<Vec<Signers>> = LazyLock::new(|| {
        let kinds = (0..LEDGERS.len()).flat_map(|it| [(it, false), (it, true)]);
        kinds.map(|(ledger, in_scope)| enrol(LEDGERS[ledger], in_scope)).collect()
    });
    &ALL[ledger * 2 + usize::from(in_scope)]
}

fn enrol(origin: &str, in_scope: bool) -> Signers {
    let pool = key(199);
    let mut signers = Signers::new(origin, pool.public());
    let mut apply = |event: KeyEvent, by: &SecretKey| {
        let signed = event.sign(origin, &[by]).expect("one signature");
        signers.apply(&KeyEntry { logged_at: 0, attestations: 0, signed }).expect("it may happen");
    };
    for principal in 0..PRINCIPALS {
        for number in 0..KEYS {
            apply(KeyEvent::Enrol { key: key_of(principal, number).public() }, pool);
        }
        let (by, key) = (key_of(principal, 0), key_of(principal, KEYS).public());
        let names = if in_scope { "linux-*" } else { "glibc-*" }.parse().expect("a pattern");
        let root = by.public().id();
        apply(KeyEvent::Delegate { root, key, names, not_after: MACHINES_END }, by);
    }
    signers
}

/// What somebody says in a ledger.
#[derive(Debug, Clone)]
struct Line {
    principal: usize,
    /// Which of its keys: listed, enrolled alone, or its machine's.
    key: usize,
    claim: usize,
    has_text: bool,
    logged_at: u64,
}

/// A policy, and what two ledgers say of one path.
#[derive(Debug, Clone)]
struct World {
    model: Model,
    /// Whether the machines may speak of the path.
    in_scope: bool,
    ledgers: [Vec<Line>; 2],
    /// Ledger, key and index from which it is void.
    cuts: Vec<(usize, usize, usize, usize)>,
}

impl World {
    fn signers(&self, ledger: usize) -> Signers {
        let mut signers = enrolled(ledger, self.in_scope).clone();
        let attestations = self.ledgers[ledger].len() as u64;
        for &(_, principal, number, from) in self.cuts.iter().filter(|it| it.0 == ledger) {
            let by = key_of(principal, number);
            let reason = RevokeReason::Compromised { from: from as u64 };
            let event = KeyEvent::Revoke { key: by.public().id(), reason };
            let signed = event.sign(LEDGERS[ledger], &[by]).expect("one signature");
            // A cut that lies no lower than one before is refused, and nothing changes.
            let _ = signers.apply(&KeyEntry { logged_at: 0, attestations, signed });
        }
        signers
    }

    fn statements(&self, ledger: usize) -> Vec<Statement> {
        let lines = self.ledgers[ledger].iter().enumerate();
        let statement = |(index, line): (usize, &Line)| {
            let by = key_of(line.principal, line.key);
            let statement = statement(index, by, line.claim, line.logged_at);
            if line.has_text { statement } else { forget(&statement) }
        };
        lines.map(statement).collect()
    }

    fn evidence(&self) -> Vec<Evidence> {
        let of = |ledger| Evidence {
            ledger: LEDGERS[ledger],
            signers: self.signers(ledger),
            statements: self.statements(ledger),
            unheard: None,
            as_of: NOW,
        };
        vec![of(0), of(1)]
    }
}

/// What is shown of one ledger.
#[derive(Debug, Clone)]
struct Evidence {
    ledger: &'static str,
    signers: Signers,
    statements: Vec<Statement>,
    unheard: Option<Unheard>,
    as_of: u64,
}

impl Evidence {
    fn hearing(&self) -> Hearing<'_> {
        let said = match &self.unheard {
            Some(unheard) => Err(unheard.clone()),
            None => Ok(Said { as_of: self.as_of, statements: &self.statements }),
        };
        Hearing { ledger: self.ledger, signers: &self.signers, said }
    }
}

fn judge(policy: &Policy, evidence: &[Evidence]) -> Decision {
    let hearings: Vec<Hearing<'_>> = evidence.iter().map(Evidence::hearing).collect();
    decide(policy, &PATH, &hearings, None, NOW)
}

fn line(principals: usize) -> impl Strategy<Value = Line> {
    // Mostly the first claim, and mostly with its text: otherwise nothing is ever allowed.
    let claim = prop_oneof![1 => Just(0), 1 => 0..CLAIMS];
    let texts = prop::bool::weighted(0.9);
    (0..principals, 0..=KEYS, claim, texts, 0..NOW).prop_map(
        |(principal, key, claim, has_text, logged_at)| Line {
            principal,
            key,
            claim,
            has_text,
            logged_at,
        },
    )
}

fn world() -> impl Strategy<Value = World> {
    let model = model().prop_map(|model| Model { rules: vec![], expires: None, ..model });
    model.prop_flat_map(|model| {
        let principals = model.principals.len();
        let lines = || prop::collection::vec(line(principals), 0..10);
        let cut = (0..LEDGERS.len(), 0..principals, 0..=KEYS, any::<Index>());
        let cuts = prop::collection::vec(cut, 0..3);
        (Just(model), any::<bool>(), [lines(), lines()], cuts).prop_map(
            |(model, in_scope, ledgers, cuts)| {
                let cut = |(ledger, principal, key, index): (usize, usize, usize, Index)| {
                    (ledger, principal, key, index.index(ledgers[ledger].len() + 1))
                };
                let cuts = cuts.into_iter().map(cut).collect();
                World { model, in_scope, ledgers: ledgers.clone(), cuts }
            },
        )
    })
}

/// The rules, said plainly.
impl World {
    fn is_listed(&self, ledger: usize) -> bool {
        self.model.logs.is_empty() || self.model.logs.contains(&LEDGERS[ledger])
    }

    fn counts(&self, ledger: usize, index: usize, line: &Line) -> bool {
        let member = &self.model.principals[line.principal];
        let is_machine = line.key == KEYS;
        let speaks = if is_machine { member.delegates } else { line.key < member.keys };
        let may = !is_machine || (self.in_scope && line.logged_at <= MACHINES_END);
        let void = self.cuts.iter().any(|&(of, principal, key, from)| {
            let ends = key == line.key || (is_machine && key == 0);
            of == ledger && principal == line.principal && ends && index >= from
        });
        speaks && may && !void && member.not_after.is_none_or(|end| line.logged_at <= end)
    }

    /// What each principal says, of all claims, or of those whose texts are known.
    fn said(&self, with_text: bool) -> Vec<BTreeSet<usize>> {
        let mut said = vec![BTreeSet::new(); self.model.principals.len()];
        for ledger in (0..LEDGERS.len()).filter(|&it| self.is_listed(it)) {
            for (index, line) in self.ledgers[ledger].iter().enumerate() {
                if self.counts(ledger, index, line) && (line.has_text || !with_text) {
                    said[line.principal].insert(line.claim);
                }
            }
        }
        said
    }

    fn agrees(&self, part: Part, voters: &BTreeSet<usize>) -> bool {
        match part {
            Part::Principal(number) => voters.contains(&number),
            Part::Group(number) => {
                let (_, k, members) = &self.model.groups[number];
                let have = members.iter().filter(|it| self.agrees(**it, voters)).count();
                have >= match k {
                    K::Count(k) => *k,
                    K::All => members.len(),
                }
            }
        }
    }

    fn in_part(&self, part: Part) -> BTreeSet<usize> {
        match part {
            Part::Principal(number) => BTreeSet::from([number]),
            Part::Group(number) => {
                self.model.groups[number].2.iter().flat_map(|it| self.in_part(*it)).collect()
            }
        }
    }

    /// The code, and which claim is allowed.
    fn verdict(&self) -> (&'static str, Option<usize>) {
        let Some((part, veto)) = &self.model.default else { return ("rule_denies", None) };
        if (0..LEDGERS.len()).all(|it| !self.is_listed(it) || self.ledgers[it].is_empty()) {
            return ("never_seen", None);
        }
        let (said, known) = (self.said(false), self.said(true));
        let alone = |claim| BTreeSet::from([claim]);
        let sayers = |claim, among: &[BTreeSet<usize>]| -> BTreeSet<usize> {
            let says = |it: &usize| said[*it] == alone(claim) && among[*it] == alone(claim);
            (0..said.len()).filter(says).collect()
        };
        let possible: Vec<usize> =
            (0..CLAIMS).filter(|it| self.agrees(*part, &sayers(*it, &said))).collect();
        if possible.len() > 1 {
            return ("ambiguous", None);
        }
        let watched = match veto {
            Veto::Nobody => BTreeSet::new(),
            Veto::Unsaid | Veto::Required => self.in_part(*part),
            Veto::Watch(watched) => watched.clone(),
        };
        let mut heard: BTreeSet<usize> = watched.iter().flat_map(|it| said[*it].clone()).collect();
        heard.extend(&possible);
        match possible[..] {
            _ if heard.len() > 1 && !watched.is_empty() => ("disagreement", None),
            [] => ("not_enough_votes", None),
            [claim] if self.agrees(*part, &sayers(claim, &known)) => ("attested", Some(claim)),
            _ => ("no_text", None),
        }
    }
}

fn allowed(decision: &Decision) -> Option<&Arc<Claim>> {
    decision.outcome().claim()
}

#[test]
fn worlds_come_to_every_end() {
    let mut runner = TestRunner::deterministic();
    let mut ends = BTreeMap::new();
    for _ in 0..2000 {
        let (code, _) = world().new_tree(&mut runner).unwrap().current().verdict();
        *ends.entry(code).or_insert(0) += 1;
    }
    for code in ["attested", "ambiguous", "disagreement", "not_enough_votes", "no_text"] {
        assert!(ends.get(code).is_some_and(|count| *count > 4), "{code}: {ends:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn decisions_are_those_of_the_model(world in world()) {
        let decision = judge(&world.model.parse(0), &world.evidence());
        let (code, number) = world.verdict();
        prop_assert_eq!(decision.outcome().code(), code, "{}", decision);
        prop_assert_eq!(allowed(&decision).cloned(), number.map(claim));
        for tally in decision.tallies() {
            prop_assert!(tally.votes.len() + tally.unchecked.len() > 0);
        }
        let counted = decision.account().iter().filter(|it| it.standing == VoteStanding::Counted);
        let mut voters: Vec<_> = counted.map(|it| it.principal.clone()).collect();
        let votes = voters.len();
        voters.sort();
        voters.dedup();
        prop_assert_eq!(voters.len(), votes, "one principal, one vote");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// An entry that the map lists cannot be left out of what is [`Said`]: without it, the ledger is
    /// not heard. So whatever is kept back is a ledger or a text.
    #[test]
    fn evidence_kept_back_allows_nothing(
        world in world(),
        kept_back in any::<[u8; 2]>(),
        texts in any::<u32>(),
    ) {
        let (policy, evidence) = (world.model.parse(0), world.evidence());
        let before = judge(&policy, &evidence);
        let mut less = evidence.clone();
        for (it, how) in less.iter_mut().zip(kept_back) {
            it.unheard = match how % 5 {
                0 => Some(Unheard::NotCovered),
                1 => Some(Unheard::Unreachable("no route".to_owned())),
                _ => None,
            };
            // The policy knows that the ledgers are missing that it lists; of others, who asks does.
            let is_known_to_be_missing = !world.model.logs.is_empty() && how % 5 == 2;
            it.as_of = if how % 5 == 3 { u64::MAX } else { it.as_of };
            for (at, statement) in it.statements.iter_mut().enumerate() {
                if texts >> at & 1 == 1 {
                    *statement = forget(statement);
                }
            }
            it.ledger = if is_known_to_be_missing { "" } else { it.ledger };
        }
        less.retain(|it| !it.ledger.is_empty());
        let after = judge(&policy, &less);
        if let Some(claim) = allowed(&after) {
            prop_assert_eq!(Some(claim), allowed(&before), "{} was {}", after, before);
        }
    }

    /// With complete evidence taken for granted: where dissent is ignored and nobody says two things,
    /// fewer votes are never enough when more were not. (Two claims with enough votes each are not
    /// too few, so they are left out.)
    #[test]
    fn fewer_votes_allow_nothing(world in world(), taken in any::<[u16; 2]>()) {
        let mut world = world;
        if let Some((_, veto)) = &mut world.model.default {
            *veto = Veto::Nobody;
        }
        let (policy, evidence) = (world.model.parse(0), world.evidence());
        let before = judge(&policy, &evidence);
        let mut fewer = evidence.clone();
        for (it, taken) in fewer.iter_mut().zip(taken) {
            it.statements.retain(|it| taken >> it.index() & 1 == 0);
        }
        let after = judge(&policy, &fewer);
        let is_split = before.outcome().code() == "ambiguous" || !before.abstaining().is_empty();
        if let Some(claim) = allowed(&after).filter(|_| !is_split) {
            prop_assert_eq!(Some(claim), allowed(&before), "{} was {}", after, before);
        }
    }

    #[test]
    fn order_means_nothing(world in world(), orders in any::<[u64; 2]>()) {
        let mut evidence = world.evidence();
        let before = judge(&world.model.parse(orders[0]), &evidence);
        let mut lot = Lot(orders[1]);
        lot.shuffle(&mut evidence);
        for it in &mut evidence {
            lot.shuffle(&mut it.statements);
        }
        prop_assert_eq!(judge(&world.model.parse(orders[1]), &evidence), before);
    }
}

/// Two principals of which each must agree, where anybody's dissent is ignored.
fn two() -> Policy {
    let line = |principal| key_of(principal, 0).public().to_string();
    let text = format!(
        "format = \"narpool-policy/1\"\nname = \"two\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
        principal.a.keys = [\"{}\"]\nprincipal.b.keys = [\"{}\"]\n\
        group.g = {{ k = 2, members = [\"a\", \"b\"] }}\n\
        default = {{ require = \"group:g\", disagree = \"ignore\" }}\n",
        line(0),
        line(1),
    );
    Policy::parse(&text).unwrap()
}

#[test]
fn a_thousand_signatures_by_one_key_are_at_most_one_vote() {
    let (policy, mut evidence) = (
        two(),
        Evidence {
            ledger: "a",
            signers: enrolled(0, false).clone(),
            statements: (0..1000).map(|index| statement(index, key_of(0, 0), 0, NOW)).collect(),
            unheard: None,
            as_of: NOW,
        },
    );
    let decision = judge(&policy, std::slice::from_ref(&evidence));
    assert_eq!(decision.outcome().code(), "not_enough_votes");
    assert_eq!((decision.tallies()[0].have, decision.tallies()[0].need), (1, 2));
    let repeats = decision.account().iter().filter(|it| it.standing == VoteStanding::Repeat);
    assert_eq!(repeats.count(), 999);
    evidence.statements.push(statement(1000, key_of(1, 0), 0, NOW));
    assert_eq!(judge(&policy, std::slice::from_ref(&evidence)).outcome().code(), "attested");
    // One of a thousand different claims, and its signer has no vote at all.
    evidence.statements =
        (0..1000).map(|index| statement(index, key_of(0, 0), index, NOW)).collect();
    evidence.statements.push(statement(1000, key_of(1, 0), 0, NOW));
    let decision = judge(&policy, std::slice::from_ref(&evidence));
    assert_eq!(decision.outcome().code(), "not_enough_votes");
    assert_eq!(decision.abstaining().len(), 1);
    assert_eq!(decision.tallies().len(), 1, "what nobody has a voice for is not counted");
    assert!(matches!(decision.outcome(), Outcome::Unknown(_)));
    let key = PathKey::of(PATH.to_string().as_bytes());
    assert!(evidence.statements.iter().all(|it| it.path_key() == key));
}
