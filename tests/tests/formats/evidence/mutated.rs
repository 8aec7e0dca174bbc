//! Answers that were damaged at random: none of them makes anybody believe what is not so.

use std::fs;

use schema::api::{EvidenceLine, EvidenceRequest, LogSizes};
use schema::evidence::{Caught, Known};
use serde_json::Value;
use tests::program::project;
use tests::random::Random;
use tests::run::{long, seed};

use super::Heard;
use super::scene::{NOW, Scene};

/// What came of an answer.
#[derive(Debug, PartialEq, Eq)]
enum Came {
    /// It is not believed.
    Refused,
    /// What was changed means nothing, or less is said than was.
    Harmless,
    /// Something is believed that is not so.
    Accepted(String),
}

/// An answer in its lines, the truth, and lines of other answers that were honest, too.
struct Target {
    scene: Scene,
    known: Known,
    lines: Vec<Vec<u8>>,
    others: Vec<Vec<u8>>,
    truth: Heard,
}

impl Target {
    /// To somebody who knows the beginning, or everything.
    fn new(knows_all: bool) -> Self {
        let mut scene = Scene::new();
        if knows_all {
            let (known, request) = scene.after();
            (scene.known, scene.request) = (known, request);
        }
        let print = |line: &EvidenceLine| serde_json::to_vec(line).unwrap();
        let lines = scene.honest().iter().map(print).collect();
        let mut others: Vec<_> = scene.early.answer(&scene.request).iter().map(print).collect();
        let mut forked = scene.early.clone();
        forked.attest(&super::scene::bob(), &super::scene::claim("app", 9, &[]));
        forked.index();
        others.extend(forked.answer(&scene.request).iter().map(print));
        let truth = scene.read(scene.honest()).unwrap();
        Self { known: scene.known.clone(), scene, lines, others, truth }
    }

    fn read(&self, lines: &[Vec<u8>]) -> Result<Heard, Caught> {
        let read = |line: &Vec<u8>| serde_json::from_slice::<EvidenceLine>(line);
        let lines = lines.iter().map(read).collect::<Result<Vec<_>, _>>();
        let lines = lines.map_err(|error| Caught::Malformed(error.to_string()))?;
        Heard::read(&self.known, &self.scene.request, self.scene.witnesses(), lines, NOW)
    }

    fn judge(&self, lines: &[Vec<u8>]) -> Came {
        let Ok(heard) = self.read(lines) else { return Came::Refused };
        match self.untrue(&heard) {
            Some(what) => Came::Accepted(what),
            None => Came::Harmless,
        }
    }

    /// What is believed that is not so.
    fn untrue(&self, heard: &Heard) -> Option<String> {
        let truth = &self.truth;
        let roots = |heard: &Heard| heard.known.notes().map(|note| text_of(note.as_deref()));
        if roots(heard) != roots(truth) || heard.signers() != truth.signers() {
            return Some("logs".to_owned());
        }
        if heard.as_of > truth.as_of || heard.covered != truth.covered {
            return Some("time".to_owned());
        }
        let absent = heard.absent.iter().find(|path| self.scene.ledger.knows(path));
        if let Some(path) = absent {
            return Some(format!("{path} is absent"));
        }
        for (path, told) in &heard.paths {
            let Some(true_of) = truth.paths.get(path) else {
                return Some(format!("{path} is there"));
            };
            let claimed = told.claims.iter().all(|(text, address)| {
                let mut said = true_of.claims.iter();
                said.any(|(true_text, other)| {
                    text == true_text && (address.is_none() || address == other)
                })
            });
            if !claimed || told.statements != true_of.statements {
                return Some(format!("{path}: {told:?}"));
            }
        }
        None
    }
}

/// What was signed, without the signatures.
fn text_of(note: Option<&str>) -> String {
    let text = note.and_then(|note| note.split_once("\n\n"));
    text.map_or_else(String::new, |(text, _)| text.to_owned())
}

/// Damages an answer in one to three places.
fn damage(target: &Target, random: &mut Random) -> Vec<Vec<u8>> {
    let mut lines = target.lines.clone();
    for _ in 0..1 + random.within(0..8) / 6 {
        if lines.is_empty() {
            break;
        }
        let at = random.within(0..lines.len() as u64) as usize;
        let other = random.within(0..lines.len() as u64) as usize;
        match random.within(0..12) {
            0 => flip(&mut lines[at], random),
            1 | 2 => redigit(&mut lines[at], random),
            3 => lines.swap(at, other),
            4 => lines.insert(at, lines[other].clone()),
            5 => drop(lines.remove(at)),
            6 => {
                lines[at] =
                    target.others[random.within(0..target.others.len() as u64) as usize].clone()
            }
            7 => {
                let from = &target.others[random.within(0..target.others.len() as u64) as usize];
                exchange(&mut lines[at], &mut from.clone(), random);
            }
            8 => elements(&mut lines[at], random),
            _ if at != other => {
                let mut from = lines[other].clone();
                exchange(&mut lines[at], &mut from, random);
                lines[other] = from;
            }
            _ => {
                let mut from = lines[at].clone();
                exchange(&mut lines[at], &mut from, random);
            }
        }
    }
    lines
}

fn flip(line: &mut Vec<u8>, random: &mut Random) {
    if line.is_empty() {
        return;
    }
    let at = random.within(0..line.len() as u64) as usize;
    match random.within(0..3) {
        0 => line[at] ^= 1 << random.within(0..8),
        1 => line.insert(at, random.number() as u8),
        _ => drop(line.remove(at)),
    }
}

/// Another digit in place of one, or another letter: numbers, hashes and base 64.
fn redigit(line: &mut [u8], random: &mut Random) {
    let places: Vec<usize> =
        (0..line.len()).filter(|at| line[*at].is_ascii_alphanumeric()).collect();
    if places.is_empty() {
        return;
    }
    let at = random.one_of(&places);
    let of: &[u8] = if line[at].is_ascii_digit() { b"0123456789" } else { b"abcdefABCDEFxyzXYZ" };
    line[at] = random.one_of(of);
}

/// Pointers to everything in a value.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (number, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{number}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                pointers(field, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// Two values of the same kind change places.
fn exchange(one: &mut Vec<u8>, other: &mut Vec<u8>, random: &mut Random) {
    let (Ok(mut first), Ok(mut second)) =
        (serde_json::from_slice::<Value>(one), serde_json::from_slice::<Value>(other))
    else {
        return;
    };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    pointers(&first, "", &mut ours);
    pointers(&second, "", &mut theirs);
    let at = &ours[random.within(0..ours.len() as u64) as usize];
    let kind = |value: &Value| std::mem::discriminant(value);
    let here = first.pointer_mut(at).expect("it was found");
    theirs.retain(|pointer| second.pointer(pointer).map(kind) == Some(kind(here)));
    if theirs.is_empty() {
        return;
    }
    let there = &theirs[random.within(0..theirs.len() as u64) as usize];
    std::mem::swap(here, second.pointer_mut(there).expect("it was found"));
    (*one, *other) = (first.to_string().into_bytes(), second.to_string().into_bytes());
}

/// An element of an array goes, comes twice, or changes places.
fn elements(line: &mut Vec<u8>, random: &mut Random) {
    let Ok(mut value) = serde_json::from_slice::<Value>(line) else { return };
    let mut all = Vec::new();
    pointers(&value, "", &mut all);
    all.retain(|at| value.pointer(at).and_then(Value::as_array).is_some_and(|it| !it.is_empty()));
    if all.is_empty() {
        return;
    }
    let at = &all[random.within(0..all.len() as u64) as usize];
    let items = value.pointer_mut(at).and_then(Value::as_array_mut).expect("an array");
    let at = random.within(0..items.len() as u64) as usize;
    let other = random.within(0..items.len() as u64) as usize;
    match random.within(0..3) {
        0 => drop(items.remove(at)),
        1 => items.insert(at, items[other].clone()),
        _ => items.swap(at, other),
    }
    *line = value.to_string().into_bytes();
}

#[test]
#[allow(clippy::print_stdout, reason = "how many there were is worth knowing")]
fn no_damaged_answer_makes_anybody_believe_what_is_not_so() {
    let rounds = if long() { 1_000_000 } else { 12_000 };
    let mut random = Random::new(seed());
    let targets = [Target::new(false), Target::new(true)];
    let (mut refused, mut harmless, mut accepted) = (0_u64, 0_u64, Vec::new());
    let mut round = 0;
    while round < rounds {
        let target = &targets[random.within(0..2) as usize];
        let lines = damage(target, &mut random);
        if lines == target.lines {
            continue;
        }
        round += 1;
        match target.judge(&lines) {
            Came::Refused => refused += 1,
            Came::Harmless => harmless += 1,
            Came::Accepted(what) => accepted.push(what),
        }
    }
    println!("{rounds} damaged answers: {refused} refused, {harmless} harmless");
    assert_eq!(accepted, Vec::<String>::new());
    assert!(refused > rounds / 2 && harmless > 0, "{refused} refused, {harmless} harmless");
}

/// What the fuzzer begins with is what the ledger answers: first to a newcomer, and then to somebody
/// who has read that.
#[test]
fn the_fuzzer_begins_with_honest_answers() {
    let scene = Scene::new();
    let newcomer = EvidenceRequest { known: LogSizes::default(), ..scene.request.clone() };
    for (name, lines) in [("newcomer", scene.early.answer(&newcomer)), ("later", scene.honest())] {
        let file = project().join("tests/fuzz/seeds/evidence").join(name);
        let text = |line| serde_json::to_string(line).unwrap() + "\n";
        let expected: String = lines.iter().map(text).collect();
        let found = fs::read_to_string(&file).unwrap_or_default();
        assert!(found == expected, "{} should be:\n{expected}", file.display());
    }
}
