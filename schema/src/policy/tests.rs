use super::lint::SOON;
use super::*;
use crate::key::{KeyPoint, SecretKey};
use crate::tlog::note::{SignatureKind, VerifierKey};

fn key(name: &str, seed: u8) -> PublicKey {
    SecretKey::from_seed(name.parse().unwrap(), &[seed; 32]).public()
}

fn vkey(name: &str, kind: SignatureKind, seed: u8) -> VerifierKey {
    let point = KeyPoint::from_bytes(key("x", seed).as_bytes()).unwrap();
    VerifierKey::new(name.parse().unwrap(), kind, point)
}

/// The example of the format's description, with keys.
fn example() -> String {
    let log = vkey("pool.example/attestations", SignatureKind::Ed25519, 90);
    let witness = |seed| vkey(&format!("w{seed}.example"), SignatureKind::Cosignature, seed);
    format!(
        r#"
format = "narpool-policy/1"
name = "acme-prod"           # with version: immutable once released
version = 7                  # a client refuses to go back
expires = 2027-03-01T00:00:00Z
store_dir = "/nix/store"

[ledger]                     # optional: what the log itself must show
log = "{log}"
max_checkpoint_age = "24h"
witnesses = {{ k = 2, members = ["{}", "{}", "{}"] }}

[principal.nixos]
keys = ["cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY="]
[principal.farm]
keys = ["{}"]
delegates = true             # machine keys are read from the keys log
[principal.uni]
keys = ["{}"]
not_after = 2027-01-01T00:00:00Z
[principal.bob]
keys = ["{}"]

[group.rebuilders]
k = 2
members = ["farm", "uni", "bob"]
[group.prod]
k = "all"
members = ["nixos", "group:rebuilders"]

[[rule]]
match = {{ name = "linux-*" }}
require = "group:prod"
disagree = "deny"            # deny | ignore
watch = ["nixos", "uni"]     # whose dissent is a veto
[default]
require = "deny"
"#,
        witness(91),
        witness(92),
        witness(93),
        key("farm-root-1", 1),
        key("uni-1", 2),
        key("bob-1", 3),
    )
}

/// The example with one text replaced by another.
fn with(from: &str, to: &str) -> String {
    let text = example();
    assert_eq!(text.matches(from).count(), 1, "{from:?} stands once in the example");
    text.replace(from, to)
}

#[test]
fn the_example_reads_and_prints_canonically() {
    let policy = Policy::parse(&example()).unwrap();
    assert_eq!((policy.name().as_str(), policy.version()), ("acme-prod", 7));
    assert_eq!(policy.expires(), Some(1_803_859_200));
    assert!(!policy.has_expired(1_803_859_200) && policy.has_expired(1_803_859_201));
    assert_eq!(policy.ledger().origins().collect::<Vec<_>>(), ["pool.example"]);
    assert_eq!(policy.ledger().max_checkpoint_age().seconds(), 86_400);
    assert_eq!(policy.ledger().witnesses().map(|it| (it.k(), it.members().len())), Some((2, 3)));
    let names: Vec<&str> = policy.principals().iter().map(|it| it.name().as_str()).collect();
    assert_eq!(names, ["bob", "farm", "nixos", "uni"]);
    assert!(policy.principals()[1].delegates() && !policy.principals()[0].delegates());
    assert_eq!(policy.principals()[3].not_after(), Some(1_798_761_600));
    assert_eq!(policy.groups()[0].k(), 2, "all two of prod");
    let rule = policy.rule_for("linux-6").unwrap();
    assert_eq!(
        *rule.terms(),
        Terms::Require { party: Party::Group(0), veto: Veto::Watched(vec![2, 3]) }
    );
    assert_eq!(policy.rule_for("linux"), None);
    assert_eq!(*policy.default_terms(), Terms::Deny);
    let text = policy.to_string();
    let again = Policy::parse(&text).unwrap();
    assert_eq!(again, policy);
    assert_eq!((again.to_string(), again.digest()), (text, policy.digest()));
    assert_eq!(Policy::parse(&with("[default]\nrequire = \"deny\"\n", "")).unwrap(), policy);
}

/// What stands where, what is wrong, and what the hint says.
fn refused(text: &str) -> (usize, usize, String, String) {
    let error = Policy::parse(text).expect_err(text);
    (error.line, error.column, error.what, error.hint)
}

#[test]
fn every_mistake_is_found_where_it_is() {
    let bob = key("bob-2", 3);
    let digits: String = bob.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
    let guix_twin = format!("uni-1:ecdsa:{digits}");
    let twice = format!("[\"{}\", \"{}\"]", key("uni-1", 2), key("uni-1", 2));
    for (from, to, (line, column), said) in [
        ("/1\"\nname", "/2\"\nname", (2, 10), "an unknown format"),
        ("version = 7 ", "version = 0 ", (4, 11), "0 is out of range"),
        ("version = 7 ", "version = \"7\" ", (4, 11), "a TOML string cannot"),
        ("version = 7 ", "version = 7\nversion = 7 ", (5, 1), "duplicate key"),
        ("version = 7 ", "versoin = 7 ", (4, 1), "unknown key \"versoin\""),
        ("version = 7 ", "", (1, 1), "the policy has no version"),
        ("00Z\nstore", "00\nstore", (5, 11), "2027-03-01T00:00:00 is no point in time"),
        ("2027-03-01T00:00:00Z", "\"2027-03-01\"", (5, 11), "a TOML string cannot"),
        ("\"/nix/store\"", "\"nix\"", (6, 13), "not a store directory"),
        ("pool.example/attestations+", "pool.example/keys+", (9, 7), "does not belong"),
        ("max_checkpoint_age = \"24h\"", "max_checkpoint_age = \"1w\"", (10, 22), "not a span"),
        ("k = 2, mem", "k = 4, mem", (11, 19), "4 is out of range"),
        ("k = 2\n", "k = 0\n", (25, 5), "0 is out of range"),
        ("k = 2\n", "k = 4\n", (25, 5), "4 is out of range"),
        ("k = 2\n", "k = \"most\"\n", (25, 5), "not a number"),
        ("[\"farm\", \"uni\", \"bob\"]", "[]", (26, 11), "an empty list"),
        ("\"uni\", \"bob\"]", "\"uni\", \"bo\"]", (26, 27), "no principal called \"bo\""),
        ("\"uni\", \"bob\"]", "\"bob\", \"bob\"]", (26, 27), "listed before"),
        ("\"uni\", \"bob\"]", "\"uni\", \"group:prod\"]", (27, 1), "prod, rebuilders, prod"),
        ("\"uni\", \"bob\"]", "\"uni\", \"prod\"]", (26, 27), "\"prod\" is a group"),
        ("\"group:rebuilders\"", "\"group:bob\"", (29, 21), "\"bob\" is a principal"),
        ("[group.prod]", "[group.nixos]", (27, 1), "a principal is called so"),
        ("[group.prod]", "[group.deny]", (27, 1), "a requirement called `deny` denies"),
        ("[group.prod]", "[group.\"a b\"]", (27, 1), "not a name"),
        ("\"linux-*\"", "\"linux-**\"", (32, 18), "two stars"),
        ("{ name = \"linux-*\" }", "{ path = \"linux-*\" }", (32, 11), "unknown key \"path\""),
        ("\"group:prod\"", "\"deny\"", (34, 12), "nothing is allowed here anyway"),
        ("= \"deny\"            #", "= \"ignore\"            #", (35, 9), "dissent is ignored"),
        ("= \"deny\"            #", "= \"no\"            #", (34, 12), "unknown"),
        ("[\"nixos\", \"uni\"]", "[\"group:prod\"]", (35, 10), "only principals are watched"),
        ("[\"nixos\", \"uni\"]", "[\"uni\", \"uni\"]", (35, 17), "listed before"),
        (&key("uni-1", 2).to_string(), &bob.to_string(), (19, 9), "bob has this key"),
        (&key("uni-1", 2).to_string(), &guix_twin, (19, 9), "bob has this key"),
        (&key("uni-1", 2).to_string(), "uni-1:AAAA", (19, 9), "base 64 of 32 bytes"),
        (&format!("[\"{}\"]", key("uni-1", 2)), &twice, (19, 63), "listed before"),
        ("delegates = true", "delegates = 1", (17, 13), "a TOML integer cannot"),
        ("[[rule]]", "[rule]", (31, 1), "a TOML table cannot"),
        ("[[rule]]", "[[rule]\n", (31, 8), "unclosed"),
    ] {
        let (at_line, at_column, what, hint) = refused(&with(from, to));
        assert_eq!((at_line, at_column), (line, column), "{to}: {what}");
        assert!(what.contains(said), "{to}: {what:?} does not say {said:?}");
        assert!(hint.len() > 5, "{to}: {hint:?}");
    }
}

#[test]
fn rules_that_are_as_close_to_some_name_are_a_tie_and_others_are_not() {
    let rules = |patterns: &[&str]| {
        let rule =
            |it: &&str| format!("[[rule]]\nmatch = {{ name = \"{it}\" }}\nrequire = \"bob\"\n");
        with(
            "[default]\n",
            &format!("{}[default]\n", patterns.iter().map(rule).collect::<String>()),
        )
    };
    for tie in [&["linux-*"][..], &["*linux-"], &["a*b", "a*c*b", "a*b*c", "ac*b"], &["x", "x"]] {
        let (line, column, what, _) = refused(&rules(tie));
        assert_eq!((line, column), (34 + 3 * tie.len(), 18), "{what}");
        assert!(what.contains("a tie"), "{what}");
    }
    let policy = Policy::parse(&rules(&["*", "a*", "b*", "a*c", "*-doc", "linux-6"])).unwrap();
    let decides = |name| policy.rule_for(name).map(|rule| rule.pattern().as_str());
    assert_eq!(decides("abc"), Some("a*c"));
    assert_eq!(decides("a-doc"), Some("*-doc"));
    assert_eq!(decides("linux-6"), Some("linux-6"));
    assert_eq!(decides("linux-7"), Some("linux-*"));
    assert_eq!(decides("c"), Some("*"));
}

#[test]
fn too_much_of_anything_is_refused() {
    let (line, _, what, _) = refused(&" ".repeat(MAX_POLICY_LEN + 1));
    assert_eq!((line, &*what), (1, "262145 bytes are no policy"));
    let list = vec!["\"bob\""; MAX_PARTS + 1].join(",");
    let (_, _, what, _) = refused(&with("\"farm\", \"uni\", \"bob\"", &list));
    assert!(what.contains("1025 items"), "{what}");
    let rule = |index| format!("[[rule]]\nmatch.name = \"{index:04}\"\nrequire = \"bob\"\n");
    let rules: String = (0..MAX_PARTS).map(rule).collect();
    let (_, _, what, _) = refused(&with("[default]\n", &format!("{rules}[default]\n")));
    assert!(what.contains("1025 items"), "{what}");
    let group = |index| format!("[group.g{index}]\nk=1\nmembers=[\"bob\"]\n");
    let groups: String = (0..MAX_PARTS).map(group).collect();
    let (_, _, what, _) = refused(&with("[group.prod]\n", &format!("{groups}[group.prod]\n")));
    assert!(what.contains("1026 of them"), "{what}");
    let nested = "[".repeat(20_000);
    refused(&with("\"/nix/store\"", &nested));
}

fn codes(text: &str, now: u64) -> Vec<LintCode> {
    Policy::parse(text).unwrap().lints(now).iter().map(|lint| lint.code).collect()
}

#[test]
fn lints_are_about_what_is_seldom_meant() {
    use LintCode::*;
    let none: [LintCode; 0] = [];
    assert_eq!(codes(&example(), 1_790_000_000), none);
    assert_eq!(codes(&example(), 1_803_859_200 - SOON - 1), none);
    assert_eq!(codes(&example(), 1_803_859_200 - SOON), [ExpiresSoon]);
    assert_eq!(codes(&example(), 1_803_859_201), [Expired]);
    let now = 1_790_000_000;
    for (from, to, expected) in [
        ("expires = 2027-03-01T00:00:00Z\n", "", &[NeverExpires][..]),
        ("k = 2\n", "k = 1\n", &[OneVote]),
        ("\"group:prod\"", "\"nixos\"", &[OneVote, Unused, Unused, Unused, Unused]),
        ("uni-1:", "farm-root-2:", &[OneOperator]),
        ("uni-1:", "builder.NixOS.org:", &[OneOperator]),
        ("farm-root-1:", "2:", &none),
        ("[\"nixos\", \"group", "[\"nixos\", \"bob\", \"group", &[SharedMember]),
        ("[default]\nrequire = \"deny\"", "[default]\nrequire = \"group:prod\"", &none),
        ("\"uni\", \"bob\"]", "\"uni\"]", &[Unused]),
    ] {
        assert_eq!(codes(&with(from, to), now), expected, "{to}");
    }
    let witnesses = example().lines().nth(10).unwrap().to_owned();
    assert_eq!(codes(&with(&witnesses, ""), now), [NoWitnesses]);
    let watch = "\"deny\"            # deny | ignore\nwatch = [\"nixos\", \"uni\"]";
    let ignoring = with(watch, "\"ignore\"");
    assert_eq!(codes(&ignoring, now), none);
    assert_eq!(codes(&ignoring.replace("linux-*", "li*"), now), [WideIgnore]);
    assert_eq!(codes(&ignoring.replace(&witnesses, ""), now), none);
}

#[test]
fn operators_are_told_by_domain_or_by_what_stands_before_the_number() {
    let name = |text: &str| super::lint::operator(&key(text, 1));
    for (text, expected) in [
        ("cache.nixos.org-1", "nixos.org"),
        ("alice@build.example.org-12", "example.org"),
        ("example.org", "example.org"),
        ("farm-root-1", "farm-root"),
        ("farm-root", "farm-root"),
        ("farm1", "farm1"),
        ("7", "7"),
        ("x-", "x-"),
    ] {
        assert_eq!(name(text), expected, "{text}");
    }
}
