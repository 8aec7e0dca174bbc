use super::*;
use crate::key::{KeyPoint, SecretKey};
use crate::tlog::note::{NoteKeyError, SignatureKind};

fn key(seed: u8, kind: SignatureKind) -> VerifierKey {
    let secret = SecretKey::from_seed("a-1".parse().unwrap(), &[seed; 32]);
    let point = KeyPoint::from_bytes(secret.public().as_bytes()).unwrap();
    VerifierKey::new(format!("example.com/{seed}").parse().unwrap(), kind, point)
}

fn witness(seed: u8) -> VerifierKey {
    key(seed, SignatureKind::Cosignature)
}

/// The file with `L1`, `W2` and so on replaced by keys of logs and witnesses.
fn filled(file: &str) -> Vec<u8> {
    let mut file = file.to_owned();
    for seed in 1..10 {
        file = file.replace(&format!("L{seed}"), &key(seed, SignatureKind::Ed25519).to_string());
        file = file.replace(&format!("W{seed}"), &witness(seed).to_string());
    }
    file.into_bytes()
}

fn policy(file: &str) -> Policy {
    Policy::parse(&filled(file)).unwrap()
}

/// Whether the witnesses with these keys are enough, or which are missing.
fn judge(policy: &Policy, signed: &[u8]) -> Result<(), String> {
    match policy.judge(|key| signed.iter().any(|seed| *key == witness(*seed))) {
        Ok(()) => Ok(()),
        Err(QuorumError::Unmet { missing }) => Err(missing.join(" ")),
        Err(error) => panic!("{error}"),
    }
}

/// The example of the document.
const EXAMPLE: &str = "log L1

witness X1 W1
witness X2 W2
witness X3 W3
group X-witnesses 2 X1 X2 X3

witness Y1 W4
witness Y2 W5
witness Y3 W6
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
";

#[test]
fn the_documents_example_means_what_it_says() {
    let policy = policy(EXAMPLE);
    assert_eq!((policy.logs().len(), policy.witnesses().len()), (1, 6));
    for enough in [&[1, 2, 4][..], &[2, 3, 6], &[1, 2, 3, 4, 5, 6]] {
        assert_eq!(judge(&policy, enough), Ok(()), "{enough:?}");
    }
    let missing = |signed: &[u8]| judge(&policy, signed).unwrap_err();
    assert_eq!(missing(&[]), "X1 X2 X3 Y1 Y2 Y3");
    assert_eq!(missing(&[1, 4]), "X2 X3");
    assert_eq!(missing(&[1, 2, 3]), "Y1 Y2 Y3");
    assert_eq!(missing(&[7]), "X1 X2 X3 Y1 Y2 Y3");
}

#[test]
fn a_quorum_may_be_nobody_or_one_witness() {
    let nobody = policy("quorum none\n");
    assert_eq!((judge(&nobody, &[]), nobody.logs().len()), (Ok(()), 0));
    let one = policy("witness a W1\nwitness b W2\nquorum b\n");
    assert_eq!(judge(&one, &[2]), Ok(()));
    assert_eq!(judge(&one, &[1]), Err("b".to_owned()));
    assert_eq!(judge(&policy("witness a W1\nquorum none\n"), &[]), Ok(()));
}

#[test]
fn spaces_comments_urls_and_octets_are_as_the_document_allows() {
    let policy = policy(
        "\n \t\n# a line\n\t # none\n\tlog \t L1   https://log.example/  \nwitness # W1 https://w/\n\
         witness all W2\nwitness any W3\ngroup quorum 2 # all any\nquorum\tquorum\n#\n",
    );
    assert_eq!(policy.logs()[0].url(), Some(&b"https://log.example/"[..]));
    assert_eq!(policy.witnesses()[1].url(), None);
    let mut file = filled("witness K W1\nquorum none\n");
    file[8] = 0xff;
    let octet = Policy::parse(&file).unwrap();
    assert_eq!(octet.witnesses()[0].key(), &witness(1));
}

#[test]
fn errors_name_their_line() {
    let unknown = |name: &str| LineError::Unknown(name.to_owned());
    let group = LineError::Form("group <name> <all|any|number> <member>...");
    for (file, line, error) in [
        ("quorum none\r\n", 1, LineError::Characters),
        ("#\x7f\n", 1, LineError::Characters),
        ("\n#\0\n", 2, LineError::Characters),
        ("quorum none", 1, LineError::Unterminated),
        ("quorum none\n ", 2, LineError::Unterminated),
        ("quorom none\n", 1, LineError::Keyword),
        ("Quorum none\n", 1, LineError::Keyword),
        ("log\n", 1, LineError::Form("log <vkey> [<url>]")),
        ("log L1 url url\n", 1, LineError::Form("log <vkey> [<url>]")),
        ("witness a\n", 1, LineError::Form("witness <name> <vkey> [<url>]")),
        ("witness\n", 1, LineError::Form("witness <name> <vkey> [<url>]")),
        ("witness a W1 url # why\n", 1, LineError::Form("witness <name> <vkey> [<url>]")),
        ("log key\n", 1, LineError::Key(NoteKeyError::Form)),
        ("log W1\n", 1, LineError::KeyKind),
        ("witness a L1\n", 1, LineError::KeyKind),
        ("log L1\nlog L1 url\n", 2, LineError::SameKey),
        ("witness a W1\nwitness b W1\n", 2, LineError::SameKey),
        ("witness none W1\n", 1, LineError::Reserved),
        ("witness a W1\ngroup none any a\n", 2, LineError::Reserved),
        ("witness a W1\nwitness a W2\n", 2, LineError::SameName),
        ("witness a W1\ngroup a any a\n", 2, LineError::SameName),
        ("group g\n", 1, group),
        ("witness a W1\ngroup g 1\n", 2, LineError::Threshold),
        ("group g all\n", 1, LineError::Threshold),
        ("witness a W1\ngroup g 0 a\n", 2, LineError::Threshold),
        ("witness a W1\ngroup g 2 a\n", 2, LineError::Threshold),
        ("witness a W1\ngroup g 01 a\n", 2, LineError::Threshold),
        ("witness a W1\ngroup g some a\n", 2, LineError::Threshold),
        ("witness a W1\ngroup g any b\n", 2, unknown("b")),
        ("group g any g\n", 1, unknown("g")),
        ("group g any a\nwitness a W1\n", 1, unknown("a")),
        ("witness a W1\ngroup g any none a\n", 2, unknown("none")),
        ("witness a W1\ngroup g all a a\n", 2, LineError::SecondMembership("a".to_owned())),
        (
            "witness a W1\nwitness b W2\ngroup g any a\ngroup h all b a\n",
            4,
            LineError::SecondMembership("a".to_owned()),
        ),
        ("quorum a\nwitness a W1\n", 1, unknown("a")),
        ("quorum\n", 1, LineError::Form("quorum <name>")),
        ("quorum none none\n", 1, LineError::Form("quorum <name>")),
        ("quorum none\nquorum none\n", 2, LineError::SecondQuorum),
    ] {
        let expected = Err(PolicyError::Line { line, error });
        assert_eq!(Policy::parse(&filled(file)), expected, "{file:?}");
    }
    assert_eq!(Policy::parse(b""), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(&filled("log L1\n")), Err(PolicyError::NoQuorum));
}

#[test]
fn a_policy_is_bounded() {
    let groups = |count: usize| {
        let groups = (1..count).map(|at| format!("group {at} any {}\n", at - 1));
        filled(&format!("witness 0 W1\n{}quorum 0\n", groups.collect::<String>()))
    };
    assert!(Policy::parse(&groups(MAX_POLICY_DEFINITIONS)).is_ok());
    let many = Policy::parse(&groups(MAX_POLICY_DEFINITIONS + 1));
    let line = MAX_POLICY_DEFINITIONS + 1;
    assert_eq!(many, Err(PolicyError::Line { line, error: LineError::TooMany }));
    assert_eq!(Policy::parse(&vec![b'\n'; MAX_POLICY_LEN + 1]), Err(PolicyError::TooLong));
}
