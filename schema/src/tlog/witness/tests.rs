use super::super::checkpoint::Origin;
use super::super::note::VerifierKey;
use super::*;

/// The example of the document.
const BODY: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
";

const ANSWER: &str = "— witness.example/w1 CMp+6LWBU0anHGH5aNDTJkH/gj79sG+T6+iP2ThYN5krrDJbR1HDnucjL39QsZTSvVjyQLrdk3DXDqI5G2HgLatVs0pWh6Up69HVOw==
— witness.example/w1 I7rEps0pvK2UqkS2gSpVUDhrhVtQV9lgF6pRrWAvjJHjyWpW7VcE3SiOlVlbQNt64vWhO+DlkL0+UfzuOBMh9ChdMkP1vi/lCAsmlw==
";

fn read(body: &str) -> Result<AddCheckpoint, WitnessError> {
    AddCheckpoint::parse(body.as_bytes())
}

#[test]
fn the_documents_request_reads_and_prints() {
    let request = read(BODY).unwrap();
    assert_eq!(request.to_string(), BODY);
    assert_eq!((request.old(), request.proof().hashes().len()), (20_852_014, 4));
    let checkpoint = request.checkpoint().checkpoint();
    let origin: Origin = "example.com/behind-the-sofa".parse().unwrap();
    assert_eq!((checkpoint.origin(), checkpoint.size()), (&origin, 20_852_163));
    let stranger: VerifierKey =
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
    let verified = request.checkpoint().clone().verify(&stranger);
    assert!(matches!(verified, Err(CheckpointError::OtherLog { .. })));
}

#[test]
fn loose_requests_are_refused() {
    let (head, checkpoint) = BODY.split_once("\n\n").unwrap();
    let hash = head.lines().nth(1).unwrap();
    let with = |head: &str| read(&format!("{head}\n\n{checkpoint}"));
    assert!(with("old 0").is_ok());
    for old in ["", "old", "old ", "old 01", "old  1", "Old 1", "old -1", "old 1 ", hash] {
        assert_eq!(with(old), Err(WitnessError::Size), "{old:?}");
    }
    assert!(matches!(with("old 20852164"), Err(WitnessError::Shrinks { .. })));
    assert!(with("old 20852163").is_ok());
    assert!(matches!(with("old 1\nhash"), Err(WitnessError::Hash(_))));
    assert!(matches!(with(&format!("old 1\n{hash} ")), Err(WitnessError::Hash(_))));
    assert!(with(&format!("old 1{}", format!("\n{hash}").repeat(63))).is_ok());
    for count in [64, 65, 1000] {
        let long = with(&format!("old 1{}", format!("\n{hash}").repeat(count)));
        assert_eq!(long, Err(WitnessError::Proof(ProofError::TooLong(64))));
    }
    assert!(matches!(read(&BODY.replace("sofa\n2", "sofa\n02")), Err(WitnessError::Checkpoint(_))));
    assert_eq!(read("old 1\n"), Err(WitnessError::Form));
    assert_eq!(read(&"x".repeat(MAX_ADD_CHECKPOINT_LEN + 1)), Err(WitnessError::TooLong));
    assert_eq!(AddCheckpoint::parse(b"old 1\xff\n\n"), Err(WitnessError::Form));
}

#[test]
fn answers_read_and_print() {
    let lines = parse_cosignatures(ANSWER.as_bytes()).unwrap();
    assert_eq!((lines.len(), lines[1].bytes().len()), (2, 72));
    assert_eq!(print_cosignatures(&lines), ANSWER);
    for loose in ["", "\n", ANSWER.trim_end(), &format!("{ANSWER}\n"), "witness\n"] {
        assert!(parse_cosignatures(loose.as_bytes()).is_err(), "{loose:?}");
    }
    assert_eq!(parse_tree_size(b"20852014\n"), Ok(20_852_014));
    assert_eq!(print_tree_size(20_852_014), "20852014\n");
    for loose in [&b"1"[..], b"\n", b"01\n", b"1\n\n", b" 1\n", b"\xff\n"] {
        assert_eq!(parse_tree_size(loose), Err(WitnessError::Size));
    }
}
