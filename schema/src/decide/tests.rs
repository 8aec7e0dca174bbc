use super::*;
use crate::attestation::Signed;
use crate::claim::Claim;
use crate::hash::NarHash;
use crate::key::SecretKey;
use crate::key_event::{KeyEntry, KeyEvent, RevokeReason};

const NOW: u64 = 1_800_000_000;

fn key(name: &str, seed: u8) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32])
}

fn path(name: &str) -> StorePath {
    format!("/nix/store/{}-{name}", "0".repeat(32)).parse().unwrap()
}

/// The claim about `linux-6` with this NAR.
fn claim(nar: &str) -> Arc<Claim> {
    Arc::new(Claim::new(path("linux-6"), NarHash::of(nar.as_bytes()), 112, vec![]).unwrap())
}

/// A ledger: its keys log, and what it says of `linux-6`.
struct Ledger {
    name: &'static str,
    signers: Signers,
    statements: Vec<Statement>,
    next: u64,
}

impl Ledger {
    fn new(name: &'static str, keys: &[&SecretKey]) -> Self {
        let signers = Signers::new(name, key("pool", 99).public());
        let mut ledger = Self { name, signers, statements: Vec::new(), next: 0 };
        for enrolled in keys {
            ledger.event(KeyEvent::Enrol { key: enrolled.public() }, &[&key("pool", 99)]);
        }
        ledger
    }

    /// Happens where the next entry will stand.
    fn event(&mut self, event: KeyEvent, by: &[&SecretKey]) {
        let signed = event.sign(self.name, by).unwrap();
        self.signers.apply(&KeyEntry { logged_at: NOW, attestations: self.next, signed }).unwrap();
    }

    fn delegate(&mut self, root: &SecretKey, machine: &SecretKey, names: &str) {
        let (root_id, names) = (root.public().id(), names.parse().unwrap());
        let event =
            KeyEvent::Delegate { root: root_id, key: machine.public(), names, not_after: NOW + 9 };
        self.event(event, &[root]);
    }

    fn says(&mut self, key: &SecretKey, claim: &Arc<Claim>) {
        self.says_at(key, claim, NOW);
    }

    fn says_at(&mut self, key: &SecretKey, claim: &Arc<Claim>, logged_at: u64) {
        let signature = key.sign(claim.signed_bytes().as_bytes());
        let signed = Signed::new(Claim::clone(claim), signature).verify(&key.public()).unwrap();
        let entry = signed.entry(logged_at);
        let statement =
            Statement::verified(self.next, &entry, claim.clone(), &key.public()).unwrap();
        self.statements.push(statement);
        self.next += 1;
    }

    /// The text of a claim is kept back.
    fn forget(&mut self, claim: &Claim) {
        for statement in &mut self.statements {
            if statement.meaning() == claim.id() {
                *statement = forgotten(statement);
            }
        }
    }

    fn hearing(&self) -> Hearing<'_> {
        let said = Ok(Said { as_of: NOW, statements: &self.statements });
        Hearing { ledger: self.name, signers: &self.signers, said }
    }
}

fn forgotten(statement: &Statement) -> Statement {
    let entry = crate::attestation::Entry {
        dialect: crate::claim::Dialect::Nix,
        logged_at: statement.logged_at(),
        subject: NarHash::of(b""),
        path_key: statement.path_key(),
        claim: statement.meaning(),
        key_id: statement.key_id(),
        signature: crate::signature::Signature::from_bytes([0; 64]),
    };
    Statement::unchecked(statement.index(), &entry, None)
}

/// Who there is: a, b and c have keys 1, 2 and 3, and 4 is nobody's; d's machines 14 and 24 speak for
/// its root 44, and e's may not.
fn policy(rule: &str) -> Policy {
    let keys = |name: &str, seed| key(name, seed).public().to_string();
    let (a, b, c, d, e) =
        (keys("a-1", 1), keys("b-1", 2), keys("c-1", 3), keys("d-1", 44), keys("e-1", 45));
    let text = format!(
        r#"
format = "narpool-policy/1"
name = "test"
version = 1
expires = 2027-06-01T00:00:00Z
store_dir = "/nix/store"
[principal]
a = {{ keys = ["{a}", "{}"] }}
b = {{ keys = ["{b}"] }}
c = {{ keys = ["{c}"], not_after = 2027-01-15T08:00:00Z }}
d = {{ keys = ["{d}"], delegates = true }}
e = {{ keys = ["{e}"] }}
[group]
one = {{ k = 1, members = ["a", "b", "c", "d", "e"] }}
two = {{ k = 2, members = ["a", "b", "c", "d", "e"] }}
both = {{ k = "all", members = ["a", "b"] }}
[[rule]]
match = {{ name = "linux-*" }}
{rule}
"#,
        keys("a-of-old", 11)
    );
    Policy::parse(&text).unwrap()
}

fn all() -> Ledger {
    let keys = [key("a-1", 1), key("b-1", 2), key("c-1", 3), key("d-1", 44), key("e-1", 45)];
    Ledger::new("pool/keys", &keys.each_ref())
}

fn judge(policy: &Policy, ledgers: &[&Ledger]) -> Decision {
    let hearings: Vec<_> = ledgers.iter().map(|ledger| ledger.hearing()).collect();
    decide(policy, &path("linux-6"), &hearings, None, NOW)
}

/// Code, and in words.
fn verdict(policy: &Policy, ledgers: &[&Ledger]) -> (&'static str, String) {
    let decision = judge(policy, ledgers);
    (decision.outcome().code(), decision.to_string())
}

fn standings(policy: &Policy, ledger: &Ledger) -> Vec<&'static str> {
    judge(policy, &[ledger]).account().iter().map(|vote| vote.standing.as_str()).collect()
}

const TWO: &str = "require = \"group:two\"";

#[test]
fn two_of_five_must_say_the_same() {
    let (mut ledger, policy) = (all(), policy(TWO));
    assert_eq!(verdict(&policy, &[&ledger]).0, "never_seen");
    ledger.says(&key("a-1", 1), &claim("x"));
    let lacks = "linux-6: lacks 1 of 2: a attested it; b, c, d, e have not";
    assert_eq!(verdict(&policy, &[&ledger]), ("not_enough_votes", lacks.to_owned()));
    ledger.says(&key("b-1", 2), &claim("x"));
    let decision = judge(&policy, &[&ledger]);
    assert_eq!(decision.outcome(), &Outcome::Allow(claim("x"), AllowCode::Attested));
    assert_eq!(decision.to_string(), "linux-6: allowed: a, b attested it");
    ledger.says(&key("c-1", 3), &claim("y"));
    let denied = "linux-6: disagreement: c attested another claim";
    assert_eq!(verdict(&policy, &[&ledger]), ("disagreement", denied.to_owned()));
    let json = serde_json::to_value(judge(&policy, &[&ledger])).unwrap();
    assert_eq!((&json["verdict"], &json["code"]), (&"deny".into(), &"disagreement".into()));
    assert_eq!((&json["rule"], &json["require"]), (&"linux-*".into(), &"group:two".into()));
    assert_eq!(json["tallies"][0]["votes"], serde_json::json!(["a", "b"]));
    assert_eq!(json["account"][2]["standing"], "counted");
}

#[test]
fn one_principal_is_one_vote_whatever_it_signs_with() {
    let (mut ledger, policy) = (all(), policy(TWO));
    let mut other = Ledger::new("other/keys", &[&key("d-1", 44), &key("a-1", 1)]);
    ledger.event(KeyEvent::Enrol { key: key("a-of-old", 11).public() }, &[&key("pool", 99)]);
    for machine in [key("d-m1", 14), key("d-m2", 24)] {
        ledger.delegate(&key("d-1", 44), &machine, "*");
    }
    ledger.delegate(&key("e-1", 45), &key("e-m1", 15), "*");
    other.says(&key("a-1", 1), &claim("x"));
    for signer in [key("a-1", 1), key("a-of-old", 11), key("a-1", 1)] {
        ledger.says(&signer, &claim("x"));
    }
    assert_eq!(verdict(&policy, &[&ledger, &other]).0, "not_enough_votes", "a alone");
    ledger.says(&key("e-m1", 15), &claim("x"));
    assert_eq!(verdict(&policy, &[&ledger, &other]).0, "not_enough_votes", "e has no delegates");
    let expected = ["counted", "repeat", "repeat", "delegate_not_allowed"];
    assert_eq!(standings(&policy, &ledger), expected);
    let mut farm = all();
    for machine in [key("d-m1", 14), key("d-m2", 24)] {
        farm.delegate(&key("d-1", 44), &machine, "linux-*");
        farm.says(&machine, &claim("x"));
    }
    farm.says(&key("d-1", 44), &claim("x"));
    assert_eq!(standings(&policy, &farm), ["counted", "repeat", "repeat"]);
    assert_eq!(verdict(&policy, &[&farm]).0, "not_enough_votes", "d alone");
    assert_eq!(verdict(&policy, &[&farm, &other]).0, "attested");
}

#[test]
fn a_key_below_two_roots_is_no_vote_but_dissent() {
    let text = policy(TWO).to_string().replace("[principal.e]", "[principal.e]\ndelegates = true");
    let policy = Policy::parse(&text).unwrap();
    let machine = key("m", 14);
    let mut one = Ledger::new("one/keys", &[&key("d-1", 44), &key("a-1", 1), &key("b-1", 2)]);
    let mut two = Ledger::new("two/keys", &[&key("e-1", 45)]);
    one.delegate(&key("d-1", 44), &machine, "*");
    two.delegate(&key("e-1", 45), &machine, "*");
    one.says(&machine, &claim("x"));
    two.says(&machine, &claim("x"));
    assert_eq!(verdict(&policy, &[&one, &two]).0, "no_text");
    assert_eq!(standings(&policy, &one), ["counted"], "alone");
    one.says(&key("a-1", 1), &claim("y"));
    one.says(&key("b-1", 2), &claim("y"));
    assert_eq!(verdict(&policy, &[&one, &two]).0, "ambiguous");
}

#[test]
fn keys_count_as_the_ledger_and_the_policy_let_them() {
    let policy = policy(TWO);
    let (a, b, c) = (key("a-1", 1), key("b-1", 2), key("c-1", 3));
    let mut ledger = all();
    ledger.says(&a, &claim("x"));
    ledger.says(&b, &claim("x"));
    ledger.says_at(&c, &claim("x"), NOW);
    ledger.says_at(&c, &claim("x"), NOW + 1);
    ledger.says(&key("nobody", 4), &claim("y"));
    let expected = ["counted", "counted", "counted", "after_not_after", "not_in_policy"];
    assert_eq!(standings(&policy, &ledger), expected);
    // What b said before the cut stays, what it said from there on is void.
    ledger.says(&b, &claim("y"));
    assert_eq!(verdict(&policy, &[&ledger]).0, "disagreement", "b abstains, and is watched");
    let reason = RevokeReason::Compromised { from: 5 };
    ledger.event(KeyEvent::Revoke { key: b.public().id(), reason }, &[&b]);
    assert_eq!(verdict(&policy, &[&ledger]).0, "attested");
    let reason = RevokeReason::Compromised { from: 1 };
    ledger.event(KeyEvent::Revoke { key: b.public().id(), reason }, &[&b]);
    assert_eq!(standings(&policy, &ledger)[1], "key_not_valid");
    // Retired keys add nothing, and their successors nothing while no policy lists them.
    let heir = key("a-1", 7);
    let (old, next) = (a.public().id(), heir.public());
    ledger.event(KeyEvent::Rotate { old, key: next }, &[&a, &heir]);
    ledger.says(&heir, &claim("y"));
    ledger.says(&a, &claim("y"));
    let last = standings(&policy, &ledger).split_off(6);
    assert_eq!(last, ["successor_not_listed", "key_not_valid"]);
    assert_eq!(verdict(&policy, &[&ledger]).0, "attested", "a and c");
    let mut scoped = all();
    scoped.delegate(&key("d-1", 44), &key("m", 14), "glibc-*");
    scoped.says(&key("m", 14), &claim("x"));
    assert_eq!(standings(&policy, &scoped), ["key_not_valid"]);
}

#[test]
fn a_pool_cannot_unsay_what_a_signer_said() {
    let policy = policy("require = \"group:two\"");
    let (a, b, c) = (key("a-1", 1), key("b-1", 2), key("c-1", 3));
    let mut ledger = all();
    ledger.says(&a, &claim("x"));
    ledger.says(&b, &claim("x"));
    ledger.says(&c, &claim("y"));
    assert_eq!(verdict(&policy, &[&ledger]).0, "disagreement");
    let cut = |from| {
        let reason = RevokeReason::Compromised { from };
        KeyEvent::Revoke { key: c.public().id(), reason }
    };
    let pool = key("pool", 99);
    ledger.event(cut(1), &[&pool]);
    assert_eq!(standings(&policy, &ledger), ["counted", "counted", "voided_by_pool"]);
    assert_eq!(verdict(&policy, &[&ledger]).0, "disagreement", "it is no vote, and still dissent");
    ledger.event(cut(0), &[&c]);
    assert_eq!(standings(&policy, &ledger)[2], "key_not_valid", "its own word unsays it");
    assert_eq!(verdict(&policy, &[&ledger]).0, "attested");
}

#[test]
fn who_says_two_things_says_nothing_but_no() {
    let mut ledger = all();
    for (name, seed, nar) in [("a-1", 1, "x"), ("a-1", 1, "y"), ("b-1", 2, "x"), ("c-1", 3, "x")] {
        ledger.says(&key(name, seed), &claim(nar));
    }
    let ignoring = policy(&format!("{TWO}\ndisagree = \"ignore\""));
    assert_eq!(verdict(&ignoring, &[&ledger]).0, "attested", "b and c");
    assert_eq!(judge(&ignoring, &[&ledger]).abstaining()[0].as_str(), "a");
    assert_eq!(standings(&ignoring, &ledger), ["abstains", "abstains", "counted", "counted"]);
    let watching = policy(&format!("{TWO}\nwatch = [\"b\", \"e\"]"));
    assert_eq!(verdict(&watching, &[&ledger]).0, "attested", "nobody asks what a thinks");
    let (code, text) = verdict(&policy(TWO), &[&ledger]);
    assert_eq!((code, &*text), ("disagreement", "linux-6: disagreement: a attested two claims"));
    let (code, text) = verdict(&policy("require = \"a\"\ndisagree = \"ignore\""), &[&ledger]);
    assert_eq!(code, "not_enough_votes");
    assert_eq!(text, "linux-6: lacks every vote: a attested two claims");
    // The second claim may stand in another ledger, and its text need not be known.
    let (mut one, mut other) = (all(), Ledger::new("other/keys", &[&key("b-1", 2)]));
    one.says(&key("a-1", 1), &claim("x"));
    one.says(&key("b-1", 2), &claim("x"));
    other.says(&key("b-1", 2), &claim("y"));
    other.forget(&claim("y"));
    assert_eq!(verdict(&policy(TWO), &[&one]).0, "attested");
    assert_eq!(verdict(&policy(TWO), &[&one, &other]).0, "disagreement");
}

#[test]
fn two_claims_with_enough_votes_are_none_though_a_text_is_kept_back() {
    let ignoring = policy("require = \"group:two\"\ndisagree = \"ignore\"");
    let mut ledger = all();
    for (name, seed, nar) in [("a-1", 1, "x"), ("b-1", 2, "x"), ("c-1", 3, "y"), ("d-1", 44, "y")] {
        ledger.says(&key(name, seed), &claim(nar));
    }
    assert_eq!(verdict(&ignoring, &[&ledger]).0, "ambiguous");
    ledger.forget(&claim("y"));
    let both = "linux-6: enough attested more than one claim: a, b; c, d";
    assert_eq!(verdict(&ignoring, &[&ledger]), ("ambiguous", both.to_owned()));
    let mut alone = all();
    alone.says(&key("a-1", 1), &claim("x"));
    alone.says(&key("b-1", 2), &claim("x"));
    alone.forget(&claim("x"));
    let (code, text) = verdict(&ignoring, &[&alone]);
    assert_eq!(code, "no_text");
    let expected = "linux-6: lacks 2 of 2: a, b may have, without its text; c, d, e have not";
    assert_eq!(text, expected);
    // Those with a veto are not of one mind, so no claim can ever be allowed.
    let mut split = all();
    split.says(&key("a-1", 1), &claim("x"));
    split.says(&key("b-1", 2), &claim("y"));
    assert_eq!(verdict(&policy("require = \"group:both\""), &[&split]).0, "disagreement");
    assert_eq!(
        verdict(&policy("require = \"c\"\nwatch = [\"a\"]"), &[&split]).0,
        "not_enough_votes"
    );
}

#[test]
fn a_ledger_that_is_not_heard_leaves_it_open() {
    let mut ledger = all();
    ledger.says(&key("a-1", 1), &claim("x"));
    ledger.says(&key("b-1", 2), &claim("x"));
    let policy = policy(TWO);
    let at = |as_of: u64, now: u64| {
        let said = Ok(Said { as_of, statements: &ledger.statements });
        let hearing = Hearing { said, ..ledger.hearing() };
        decide(&policy, &path("linux-6"), &[hearing], None, now).outcome().code()
    };
    assert_eq!(at(NOW - 86_400, NOW), "attested");
    assert_eq!(at(NOW - 86_401, NOW), "stale");
    assert_eq!(at(NOW + MAX_CLOCK_LEAD, NOW), "attested");
    assert_eq!(at(NOW + MAX_CLOCK_LEAD + 1, NOW), "stale");
    assert_eq!(at(u64::MAX, 0), "stale");
    assert_eq!(at(1_811_808_000, 1_811_808_000), "attested");
    assert_eq!(at(1_811_808_001, 1_811_808_001), "policy_expired");
    assert_eq!(verdict(&policy, &[]), ("unheard", "linux-6: no ledger was asked".to_owned()));
    for (why, code) in [
        (Unheard::Unreachable("no route".to_owned()), "unheard"),
        (Unheard::Unwitnessed { have: 1, need: 2 }, "unheard"),
        (Unheard::Stale { age: 9, max: 5 }, "stale"),
        (Unheard::WentBack("it shrank".to_owned()), "ledger_went_back"),
    ] {
        let text = format!("linux-6: ledger other: {why}");
        let mute = Hearing { ledger: "other", signers: &ledger.signers, said: Err(why) };
        let decision = decide(&policy, &path("linux-6"), &[ledger.hearing(), mute], None, NOW);
        assert_eq!((decision.outcome().code(), decision.to_string()), (code, text));
        assert_eq!(decision.tallies()[0].have, 2, "what is known is shown");
    }
}

#[test]
fn the_ledgers_that_a_policy_lists_are_those_that_matter() {
    use crate::tlog::note::{SignatureKind, VerifierKey};
    let vkey = |name: &str, seed| {
        let point = key("x", seed).public().point().unwrap().clone();
        VerifierKey::new(name.parse().unwrap(), SignatureKind::Ed25519, point)
    };
    let logs =
        format!("log = [\"{}\", \"{}\"]", vkey("p/attestations", 90), vkey("q/attestations", 91));
    let text = policy(TWO).to_string().replace("[ledger]", &format!("[ledger]\n{logs}"));
    let text = text.replace("[principal.a]", "[principal.a]\ndelegates = true");
    let policy = Policy::parse(&text).unwrap();
    let (mut p, mut q, mut r) = (all(), all(), all());
    // In r, the key of d's machine is one of a's.
    q.delegate(&key("d-1", 44), &key("m", 14), "*");
    r.delegate(&key("a-1", 1), &key("m", 14), "*");
    (p.name, q.name, r.name) = ("p", "q", "r");
    p.says(&key("a-1", 1), &claim("x"));
    q.says(&key("m", 14), &claim("x"));
    r.says(&key("b-1", 2), &claim("y"));
    assert_eq!(verdict(&policy, &[&p, &q]).0, "attested");
    assert_eq!(verdict(&policy, &[&p, &q, &r]).0, "attested", "r is not listed");
    assert_eq!(verdict(&policy, &[&p, &r]).1, "linux-6: ledger q: it was not asked");
    assert_eq!(verdict(&policy, &[&r]).0, "unheard");
}

#[test]
fn a_rule_that_denies_denies_and_other_stores_are_none_of_its_business() {
    let mut ledger = all();
    ledger.says(&key("a-1", 1), &claim("x"));
    let denied = verdict(&policy("require = \"deny\""), &[&ledger]);
    assert_eq!(denied, ("rule_denies", "linux-6: the rule for linux-* denies it".to_owned()));
    let of = |text: &str| {
        let path: StorePath = text.parse().unwrap();
        decide(&policy("require = \"a\""), &path, &[ledger.hearing()], None, NOW)
    };
    let zeros = "0".repeat(32);
    assert_eq!(of(&format!("/gnu/store/{zeros}-linux-6")).outcome().code(), "other_store");
    let default = of(&format!("/nix/store/{zeros}-glibc"));
    let text = "glibc: no rule is about it, and the default denies it";
    assert_eq!((default.rule(), &*default.to_string()), (None, text));
    let other = of(&format!("/nix/store/{zeros}-linux-7"));
    assert_eq!(other.account()[0].standing, VoteStanding::OtherPath);
    assert_eq!(other.outcome().code(), "not_enough_votes");
}

#[test]
fn contents_that_fix_the_path_need_nobodys_word() {
    // The second path that Nix 2.8 made in the tests of content addresses.
    let made: StorePath = "/nix/store/ab3li50xq0nl4q5lxdyinb8w8y13my9s-f".parse().unwrap();
    let nar = "sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h";
    let address: ContentAddress = format!("fixed:r:{nar}").parse().unwrap();
    let claim = |nar: NarHash, references: &[&str]| {
        let references = references.iter().map(|it| it.parse().unwrap()).collect();
        Claim::new(made.clone(), nar, 112, references).unwrap()
    };
    let policy = |rule: &str| {
        let text = policy(rule).to_string().replace("linux-*", "f*");
        Policy::parse(&text).unwrap()
    };
    let of = |rule: &str, claim: &Claim| {
        decide(&policy(rule), &made, &[], Some((claim, &address)), NOW).outcome().code()
    };
    let nar: NarHash = nar.parse().unwrap();
    assert_eq!(of(TWO, &claim(nar, &[])), "content_addressed");
    assert_eq!(of("require = \"deny\"", &claim(nar, &[])), "rule_denies");
    assert_eq!(of(TWO, &claim(NarHash::of(b"other"), &[])), "unheard");
    assert_eq!(of(TWO, &claim(nar, &["ab3li50xq0nl4q5lxdyinb8w8y13my9s-f"])), "unheard");
    assert_eq!(of(TWO, &claim(nar, &["3n58xw4373jp0ljirf06d8077j15pc4j-glibc"])), "unheard");
    let flat: ContentAddress =
        "fixed:sha256:1r3v22qkypccqifzbww5lrn6hf1chi23m6zzkyvb8bvg457nxslq".parse().unwrap();
    assert_eq!((address.nar_hash(), flat.nar_hash()), (Some(nar), None));
}
