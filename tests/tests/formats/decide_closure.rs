//! Paths decided of together with all that they refer to.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use proptest::prelude::*;
use schema::attestation::Signed;
use schema::claim::Claim;
use schema::decide::{Closure, Decision, Hearing, MAX_CULPRITS, Said, closure, decide};
use schema::hash::NarHash;
use schema::key_event::{KeyEntry, KeyEvent};
use schema::policy::Policy;
use schema::signers::Signers;
use schema::statement::Statement;
use schema::store_path::{BaseName, HashPart, StorePath};

use super::policy::key;

/// Whoever key 1 belongs to says what is so, except of what is called `bad`.
struct Judge {
    policy: Policy,
    signers: Signers,
}

impl Judge {
    fn new() -> Self {
        let text = format!(
            "format = \"narpool-policy/1\"\nname = \"one\"\nversion = 1\nstore_dir = \"/nix/store\"\n\
            principal.a.keys = [\"{}\"]\ndefault.require = \"a\"\n\
            rule = [{{ match.name = \"bad\", require = \"deny\" }}]\n",
            key(1).public()
        );
        let mut signers = Signers::new("a", key(199).public());
        let signed = KeyEvent::Enrol { key: key(1).public() }.sign("a", &[key(199)]).unwrap();
        signers.apply(&KeyEntry { logged_at: 0, attestations: 0, signed }).unwrap();
        Self { policy: Policy::parse(&text).unwrap(), signers }
    }

    /// Allowed with these references; denied when called `bad`, and unknown when `mute`.
    fn decision(&self, path: &StorePath, references: Vec<BaseName>) -> Decision {
        let nar = NarHash::of(path.to_string().as_bytes());
        let claim = Arc::new(Claim::new(path.clone(), nar, 112, references).unwrap());
        let signature = key(1).sign(claim.signed_bytes().as_bytes());
        let signed = Signed::new(Claim::clone(&claim), signature).verify(&key(1).public()).unwrap();
        let entry = signed.entry(0);
        let statement = if path.base().name() == "mute" {
            Statement::unchecked(0, &entry, None)
        } else {
            Statement::verified(0, &entry, claim, &key(1).public()).unwrap()
        };
        let said = Ok(Said { as_of: 0, statements: &[statement] });
        let hearing = Hearing { ledger: "a", signers: &self.signers, said };
        decide(&self.policy, path, &[hearing], None, 0)
    }
}

fn path(number: usize, name: &str) -> StorePath {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    format!("/nix/store/{}-{name}", HashPart::from_bytes(bytes)).parse().unwrap()
}

/// Paths in so many layers of two, each of which refers to both of the next layer and to itself:
/// there are 2^5000 ways through the largest.
fn ladder(layers: usize) -> Vec<(StorePath, Vec<BaseName>)> {
    let base = |number| path(number, "rung").base().clone();
    let rung = |number: usize| {
        let below = (number / 2 + 1) * 2;
        let mut references = vec![base(number)];
        if below < layers * 2 {
            references.extend([base(below), base(below + 1)]);
        }
        (path(number, "rung"), references)
    };
    (0..layers * 2).map(rung).collect()
}

/// Decides of all that a path leads to, and counts what is asked for.
fn look(root: &StorePath, decisions: &HashMap<StorePath, Decision>, asked: &mut usize) -> Closure {
    closure([root.clone(), root.clone()], |path| {
        *asked += 1;
        decisions.get(path)
    })
}

#[test]
fn ten_thousand_paths_are_each_asked_for_once() {
    let judge = Judge::new();
    let rungs = ladder(5000);
    let decision = |(path, references): &(StorePath, Vec<BaseName>)| {
        (path.clone(), judge.decision(path, references.clone()))
    };
    let mut decisions: HashMap<StorePath, Decision> = rungs.iter().map(decision).collect();
    let (root, mut asked) = (&rungs[0].0, 0);
    let whole = look(root, &decisions, &mut asked);
    assert_eq!(asked, 9999, "every one but the root's twin");
    assert_eq!(whole.reached().len(), 9999);
    assert!(whole.reached().iter().all(|it| it.outcome.claim().is_some()));
    assert_eq!(whole.of(&rungs[1].0), None);
    // The last one is not known, then it is denied, then it leads back to the first.
    let last = rungs[9999].0.clone();
    let known = decisions.remove(&last).unwrap();
    let open = look(root, &decisions, &mut asked);
    let top = open.of(&rungs[0].0).unwrap();
    assert_eq!((top.outcome.verdict(), top.outcome.code()), ("unknown", "dependency"));
    assert_eq!(top.culprits, std::slice::from_ref(&last));
    assert_eq!(open.of(&rungs[9998].0).unwrap().outcome.code(), "attested");
    let back = judge.decision(&last, vec![rungs[0].0.base().clone()]);
    assert_ne!(back, known);
    decisions.insert(last.clone(), back);
    let round = look(root, &decisions, &mut asked);
    for (path, _) in &rungs {
        let code = round.of(path).map(|it| it.outcome.code());
        let expected = match path {
            _ if *path == rungs[1].0 => None,
            _ if *path == rungs[9998].0 => Some("attested"),
            _ => Some("cycle"),
        };
        assert_eq!(code, expected, "{path}");
    }
    assert_eq!(asked, 9999 * 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn small_closures_are_as_the_definition_says(
        edges in prop::collection::vec(prop::collection::btree_set(0usize..7, 0..3), 7),
        kinds in prop::collection::vec(0u8..12, 7),
        roots in prop::collection::vec(0usize..7, 1..3),
    ) {
        let judge = Judge::new();
        let name = |number: usize| match kinds[number] { 0 => "bad", 1 => "mute", _ => "good" };
        let paths: Vec<StorePath> = (0..7).map(|it| path(it, name(it))).collect();
        let base = |number: &usize| paths[*number].base().clone();
        // What is not allowed has no claim, hence no references.
        let next = |number: usize| if kinds[number] > 1 { edges[number].clone() } else { BTreeSet::new() };
        let decisions: Vec<Decision> = (0..7)
            .map(|it| judge.decision(&paths[it], edges[it].iter().map(base).collect()))
            .collect();
        let find = |path: &StorePath| paths.iter().position(|it| it == path);
        let whole = closure(roots.iter().map(|it| paths[*it].clone()), |path| {
            find(path).filter(|it| kinds[*it] != 2).map(|it| &decisions[it])
        });
        let next = |number: usize| if kinds[number] == 2 { BTreeSet::new() } else { next(number) };
        // All that a path leads to, itself left out unless it leads back by way of another.
        let reach = |from: usize| {
            let mut reached: BTreeSet<usize> = next(from).into_iter().filter(|it| *it != from).collect();
            for _ in 0..7 {
                let more: Vec<usize> = reached.iter().filter(|it| **it != from)
                    .flat_map(|it| next(*it)).collect();
                reached.extend(more);
            }
            reached
        };
        let led: BTreeSet<usize> = roots.iter().flat_map(|it| reach(*it).into_iter().chain([*it])).collect();
        prop_assert_eq!(whole.reached().len(), led.len());
        for number in led {
            let (below, is_good) = (reach(number), kinds[number] > 2);
            let is_in_cycle = |it: &usize| reach(*it).contains(it);
            let denied = |it: &usize| kinds[*it] == 0 || is_in_cycle(it);
            let expected = match kinds[number] {
                0 => "rule_denies",
                1 => "no_text",
                2 => "unheard",
                _ if is_in_cycle(&number) => "cycle",
                _ if below.iter().any(denied) => "dependency",
                _ if below.iter().any(|it| kinds[*it] < 3) => "dependency",
                _ => "attested",
            };
            let reached = whole.of(&paths[number]).unwrap();
            prop_assert_eq!(reached.outcome.code(), expected);
            let is_denied = denied(&number) || (is_good && below.iter().any(denied));
            prop_assert_eq!(reached.outcome.verdict() == "deny", is_denied);
            prop_assert_eq!(!reached.culprits.is_empty(), ["dependency", "cycle"].contains(&expected));
            prop_assert!(reached.culprits.len() <= MAX_CULPRITS);
            for culprit in reached.culprits.iter().filter_map(find) {
                prop_assert!(below.contains(&culprit) || culprit == number);
                prop_assert!(!is_denied || denied(&culprit) );
            }
        }
    }
}
