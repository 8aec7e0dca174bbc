//! Trust policies, as models that say what their texts mean.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use schema::key::SecretKey;
use schema::name_pattern::NamePattern;
use schema::policy::Policy;
use schema::tlog::note::{SignatureKind, VerifierKey};

use super::arbitrary::{key_name, name_pattern};
use super::mutation::mutation;

/// The most principals of a model.
pub(super) const PRINCIPALS: usize = 6;
/// Keys that one principal may have.
pub(super) const KEYS: usize = 3;

/// A key for each seed below 200.
pub(super) fn key(seed: usize) -> &'static SecretKey {
    static ALL: LazyLock<Vec<SecretKey>> = LazyLock::new(|| {
        let key = |seed: u8| {
            SecretKey::from_seed(format!("key{seed}-1").parse().expect("a name"), &[seed; 32])
        };
        (0..200).map(key).collect()
    });
    &ALL[seed]
}

/// The key of a principal with this number; the one past the last is its machine's.
pub(super) fn key_of(principal: usize, number: usize) -> &'static SecretKey {
    key(principal * (KEYS + 1) + number)
}

/// The log of a ledger.
pub(super) fn log(origin: &str, seed: usize) -> VerifierKey {
    let name = format!("{origin}/attestations").parse().expect("a name");
    VerifierKey::new(name, SignatureKind::Ed25519, key(seed).public().point().unwrap().clone())
}

/// What a policy says, plainly.
#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) expires: Option<u64>,
    pub(super) logs: Vec<&'static str>,
    pub(super) age: (u32, &'static str),
    /// How many of three.
    pub(super) witnesses: Option<usize>,
    pub(super) principals: Vec<Member>,
    /// A group contains only groups before it; its name tells nothing of that.
    pub(super) groups: Vec<(String, K, Vec<Part>)>,
    pub(super) rules: Vec<(NamePattern, Terms)>,
    pub(super) default: Terms,
}

/// A principal.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// How many keys.
    pub(super) keys: usize,
    pub(super) delegates: bool,
    pub(super) not_after: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum K {
    Count(usize),
    All,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Principal(usize),
    Group(usize),
}

/// What is required and whose dissent matters; none to deny.
pub(super) type Terms = Option<(Part, Veto)>;

#[derive(Debug, Clone)]
pub(super) enum Veto {
    Nobody,
    Unsaid,
    Required,
    Watch(BTreeSet<usize>),
}

impl Model {
    pub(super) fn parse(&self, order: u64) -> Policy {
        let text = self.text(order);
        Policy::parse(&text).unwrap_or_else(|why| panic!("{why}\n{text}"))
    }

    /// A text of the policy. Whatever order means nothing is up to `order`.
    pub(super) fn text(&self, order: u64) -> String {
        let mut lot = Lot(order);
        let mut top = vec![
            "format = \"narpool-policy/1\"".to_owned(),
            "name = \"test\"".to_owned(),
            "version = 3".to_owned(),
            "store_dir = \"/nix/store\"".to_owned(),
        ];
        top.extend(self.expires.map(|expires| format!("expires = {}", date(expires))));
        lot.shuffle(&mut top);
        let mut tables = vec![self.ledger(&mut lot)];
        for (number, member) in self.principals.iter().enumerate() {
            let mut keys: Vec<String> =
                (0..member.keys).map(|it| key_of(number, it).public().to_string()).collect();
            lot.shuffle(&mut keys);
            let mut table = format!("[principal.p{number}]\nkeys = {keys:?}\n");
            if member.delegates {
                table.push_str("delegates = true # machines too\n");
            }
            if let Some(not_after) = member.not_after {
                writeln!(table, "not_after = {}", date(not_after)).unwrap();
            }
            tables.push(table);
        }
        for (name, k, members) in &self.groups {
            let mut members: Vec<String> = members.iter().map(|it| self.part(*it)).collect();
            lot.shuffle(&mut members);
            let k = match k {
                K::Count(k) => k.to_string(),
                K::All => "\"all\"".to_owned(),
            };
            tables.push(format!("[group.{name}]\nmembers = {members:?}\nk = {k}\n"));
        }
        for (pattern, terms) in &self.rules {
            let terms = self.terms(terms, &mut lot);
            tables.push(format!("[[rule]]\nmatch = {{ name = \"{pattern}\" }}\n{terms}"));
        }
        tables.push(format!("[default]\n{}", self.terms(&self.default, &mut lot)));
        lot.shuffle(&mut tables);
        format!("{}\n{}", top.join("\n"), tables.join("\n"))
    }

    fn ledger(&self, lot: &mut Lot) -> String {
        let mut out = "[ledger]\n".to_owned();
        let logs = self.logs.iter().enumerate();
        let mut logs: Vec<String> =
            logs.map(|(at, origin)| log(origin, 150 + at).to_string()).collect();
        lot.shuffle(&mut logs);
        match &logs[..] {
            [] => {}
            [log] => writeln!(out, "log = {log:?}").unwrap(),
            logs => writeln!(out, "log = {logs:?}").unwrap(),
        }
        writeln!(out, "max_checkpoint_age = \"{}{}\"", self.age.0, self.age.1).unwrap();
        if let Some(k) = self.witnesses {
            let witness = |seed: usize| {
                let name = format!("w{seed}.example").parse().expect("a name");
                let point = key(seed).public().point().unwrap().clone();
                VerifierKey::new(name, SignatureKind::Cosignature, point).to_string()
            };
            let mut members = [160, 161, 162].map(witness);
            lot.shuffle(&mut members);
            writeln!(out, "witnesses = {{ members = {members:?}, k = {k} }}").unwrap();
        }
        out
    }

    fn part(&self, part: Part) -> String {
        match part {
            Part::Principal(number) => format!("p{number}"),
            Part::Group(number) => format!("group:{}", self.groups[number].0),
        }
    }

    fn terms(&self, terms: &Terms, lot: &mut Lot) -> String {
        let Some((part, veto)) = terms else { return "require = \"deny\"\n".to_owned() };
        let veto = match veto {
            Veto::Nobody => "disagree = \"ignore\"\n".to_owned(),
            Veto::Unsaid => String::new(),
            Veto::Required => "disagree = \"deny\"\n".to_owned(),
            Veto::Watch(watched) => {
                let mut names: Vec<String> = watched.iter().map(|it| format!("p{it}")).collect();
                lot.shuffle(&mut names);
                format!("watch = {names:?}\n")
            }
        };
        format!("require = \"{}\"\n{veto}", self.part(*part))
    }
}

/// Draws orders.
pub(super) struct Lot(pub(super) u64);

impl Lot {
    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            // Source: D. Knuth, "The Art of Computer Programming", volume 2, 3.3.4.
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let other = (self.0 >> 33) % (at as u64 + 1);
            items.swap(at, usize::try_from(other).expect("it is small"));
        }
    }
}

/// A second of the first day of 1970, in one of two spellings.
fn date(posix: u64) -> String {
    let (hour, minute, second) = (posix / 3600, posix / 60 % 60, posix % 60);
    if second % 2 == 0 {
        format!("1970-01-01T{hour:02}:{minute:02}:{second:02}Z")
    } else {
        format!("1970-01-01 {:02}:{minute:02}:{second:02}+01:00", hour + 1)
    }
}

fn part(principals: usize, groups: usize) -> impl Strategy<Value = Part> {
    prop_oneof![
        (0..principals).prop_map(Part::Principal),
        (0..principals + groups).prop_map(move |it| match it.checked_sub(principals) {
            Some(group) => Part::Group(group),
            None => Part::Principal(it),
        }),
    ]
}

fn veto(principals: usize) -> impl Strategy<Value = Veto> {
    let watch = prop::collection::btree_set(0..principals, 1..=principals);
    prop_oneof![
        3 => Just(Veto::Nobody),
        1 => Just(Veto::Unsaid),
        1 => Just(Veto::Required),
        1 => watch.prop_map(Veto::Watch)
    ]
}

fn terms(principals: usize, groups: usize) -> impl Strategy<Value = Terms> {
    prop::option::weighted(0.9, (part(principals, groups), veto(principals)))
}

fn member() -> impl Strategy<Value = Member> {
    let not_after = prop::option::weighted(0.2, 0u64..82_800);
    (1..=KEYS, any::<bool>(), not_after).prop_map(|(keys, delegates, not_after)| Member {
        keys,
        delegates,
        not_after,
    })
}

/// Groups of these principals and of one another, some five deep.
fn groups(principals: usize) -> impl Strategy<Value = Vec<(String, K, Vec<Part>)>> {
    let drawn = (any::<Vec<Index>>(), prop::option::of(any::<Index>()), 1..=principals);
    prop::collection::vec(drawn, 0..6).prop_perturb(move |drawn, mut rng| {
        let mut names: Vec<String> = (0..drawn.len()).map(|it| format!("g{it}")).collect();
        Lot(rng.random()).shuffle(&mut names);
        let build = |(at, (indices, k, least)): (usize, (Vec<Index>, Option<Index>, usize))| {
            let part = |it: usize| match it.checked_sub(principals) {
                Some(group) => Part::Group(group),
                None => Part::Principal(it),
            };
            let drawn = indices.iter().map(|index| part(index.index(principals + at)));
            let enough = (0..least).map(|it| part(it + at));
            let mut members: Vec<Part> =
                drawn.take(6).collect::<BTreeSet<_>>().into_iter().collect();
            if members.is_empty() {
                members.extend(enough);
            }
            let k = k.map_or(K::All, |k| K::Count(1 + k.index(members.len())));
            (names[at].clone(), k, members)
        };
        drawn.into_iter().enumerate().map(build).collect()
    })
}

/// A policy of up to [`PRINCIPALS`]. No two rules are as close.
pub(super) fn model() -> impl Strategy<Value = Model> {
    let rough = (1..=PRINCIPALS).prop_flat_map(|principals| (Just(principals), groups(principals)));
    let rough = rough.prop_flat_map(|(principals, groups)| {
        let terms = || terms(principals, groups.len());
        let members = prop::collection::vec(member(), principals);
        let rules = prop::collection::vec((name_pattern(), terms()), 0..5);
        (members, Just(groups.clone()), rules, terms())
    });
    let logs = select(vec![vec![], vec!["a"], vec!["a", "b"]]);
    let age = (1..=99_999u32, select(vec!["s", "m", "h", "d"]));
    let expires = prop::option::of(0u64..82_800);
    (rough, logs, age, prop::option::of(1..=3usize), expires).prop_map(
        |((principals, groups, mut rules, default), logs, age, witnesses, expires)| {
            let mut lengths = BTreeSet::new();
            rules.retain(|(pattern, _)| lengths.insert(pattern.literals()));
            Model { expires, logs, age, witnesses, principals, groups, rules, default }
        },
    )
}

proptest! {
    #[test]
    fn policies_lead_back_and_order_means_nothing(model in model(), orders in any::<[u64; 2]>()) {
        let policy = model.parse(orders[0]);
        let text = policy.to_string();
        let again = Policy::parse(&text).unwrap();
        prop_assert_eq!(&again, &policy);
        prop_assert_eq!(again.to_string(), text);
        let other = model.parse(orders[1]);
        prop_assert_eq!(other.digest(), policy.digest());
        prop_assert_eq!(other, policy);
    }

    #[test]
    fn a_policy_means_what_its_model_says(model in model(), name in name_pattern()) {
        let policy = model.parse(0);
        prop_assert_eq!(policy.expires(), model.expires);
        prop_assert_eq!(policy.principals().len(), model.principals.len());
        for (principal, model) in policy.principals().iter().zip(&model.principals) {
            let said = (principal.keys().len(), principal.delegates(), principal.not_after());
            prop_assert_eq!(said, (model.keys, model.delegates, model.not_after));
        }
        for (name, k, members) in &model.groups {
            let group = policy.groups().iter().find(|it| it.name().as_str() == name).unwrap();
            let k = match k { K::Count(k) => *k, K::All => members.len() };
            prop_assert_eq!((group.k(), group.members().len()), (k, members.len()));
        }
        let name = name.to_string().replace('*', "x");
        let matching = model.rules.iter().filter(|(pattern, _)| pattern.matches(&name));
        let closest = matching.max_by_key(|(pattern, _)| pattern.literals());
        prop_assert_eq!(policy.rule_for(&name).map(|it| it.pattern()), closest.map(|it| &it.0));
    }

    #[test]
    fn a_damaged_policy_is_another_or_none(model in model(), mutation in mutation()) {
        let text = model.parse(0).to_string();
        let Ok(damaged) = String::from_utf8(mutation.of(text.as_bytes())) else { return Ok(()) };
        match Policy::parse(&damaged) {
            Ok(policy) => prop_assert_eq!(Policy::parse(&policy.to_string()), Ok(policy)),
            Err(why) => {
                let lines = damaged.lines().count() + 1;
                prop_assert!((1..=lines).contains(&why.line) && why.column >= 1, "{}", why);
                prop_assert!(!why.what.is_empty() && !why.hint.is_empty(), "{}", why);
            }
        }
    }

    #[test]
    fn a_key_of_two_principals_is_refused_whatever_it_is_called(
        name in key_name(),
        model in model().prop_filter("two principals", |it| it.principals.len() > 1),
    ) {
        let held = key_of(1, 0).public();
        let stolen = format!("{name}:{}", held.to_string().split_once(':').unwrap().1);
        let own = key_of(0, 0).public().to_string();
        let text = model.text(0).replace(&own, &stolen);
        let why = Policy::parse(&text).unwrap_err();
        prop_assert!(why.what.contains("has this key"), "{}", why);
    }
}
