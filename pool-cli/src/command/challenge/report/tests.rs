use super::*;

fn said(nar: &[u8], signers: &[&str]) -> ChallengedClaim {
    ChallengedClaim {
        claim: ClaimId::of(nar),
        nar_hash: NarHash::of(nar),
        nar_size: nar.len() as u64,
        references: Vec::new(),
        file: None,
        signers: signers.iter().map(|name| name.parse().unwrap()).collect(),
    }
}

fn path(said: Vec<ChallengedClaim>, local: Option<&[u8]>) -> Challenged {
    let local = local.map(NarHash::of);
    Challenged {
        hash_part: HashPart::from_bytes([0; 20]),
        store_path: None,
        verdict: Verdict::of(&said, local),
        local,
        claims: said.iter().map(|claim| Line::of(claim, local)).collect(),
        comparisons: None,
        said,
        named: true,
    }
}

#[test]
fn verdicts_and_what_they_mean_for_the_exit_status() {
    for (said, local, verdict, exit) in [
        (vec![], None, Verdict::Unknown, Exit::CouldNotTell),
        (vec![], Some(&b"a"[..]), Verdict::Unknown, Exit::CouldNotTell),
        (vec![said(b"a", &["x"])], None, Verdict::Alone, Exit::Yes),
        (vec![said(b"a", &["x"])], Some(b"a"), Verdict::Agree, Exit::Yes),
        (vec![said(b"a", &["x", "y"])], None, Verdict::Agree, Exit::Yes),
        (vec![said(b"a", &["x", "y"])], Some(b"b"), Verdict::Disagree, Exit::No),
        (vec![said(b"a", &["x"]), said(b"b", &["x"])], Some(b"b"), Verdict::Disagree, Exit::No),
    ] {
        let path = path(said, local);
        assert_eq!(path.verdict, verdict);
        assert_eq!(Report::new(vec![path]).exit(), exit, "{verdict:?}");
    }
    let both = vec![path(vec![], None), path(vec![said(b"a", &["x"])], Some(b"b"))];
    assert_eq!(Report::new(both).exit(), Exit::No, "what is found is found");
}

#[test]
fn totals_count_paths_and_one_path_may_be_agreed_and_disagreed_on() {
    let paths = [
        path(vec![said(b"a", &["x", "y"]), said(b"b", &["z"])], None),
        path(vec![said(b"a", &["x", "z"])], None),
        path(vec![said(b"a", &["y"])], Some(b"a")),
        // Who says two things is not alone: it has contradicted itself.
        path(vec![said(b"a", &["w"]), said(b"b", &["w"])], None),
        path(vec![], None),
    ];
    let totals = totals(&paths);
    let counts =
        totals.iter().map(|it| (it.signer.as_str(), it.paths, it.agreed, it.disagreed, it.alone));
    assert_eq!(
        counts.collect::<Vec<_>>(),
        [("w", 1, 0, 1, 0), ("x", 2, 2, 1, 0), ("y", 2, 1, 1, 1), ("z", 2, 1, 1, 0)]
    );
}
