//! Whatever is answered to somebody who asks for evidence: nothing in it makes the reader stumble, and
//! nobody but the pool makes what is believed.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use schema::api::EvidenceLine;
use schema::evidence::{Known, LogKeys, Proved, Witnessing};

/// What a pool answers to a newcomer, and then to somebody who has read that.
const ANSWERS: [&str; 2] =
    [include_str!("../seeds/evidence/newcomer"), include_str!("../seeds/evidence/later")];

/// Nothing, what the first answer makes known, and what the second does.
static KNOWN: LazyLock<[Known; 3]> = LazyLock::new(|| {
    let head = ANSWERS[0].lines().next().map(serde_json::from_str);
    let Some(Ok(EvidenceLine::Head(head))) = head else { unreachable!("the seed begins so") };
    let logs = LogKeys::new(&head.origin, head.public_key.clone()).expect("it has an origin");
    let fresh = Known::new(logs);
    let first = read(&fresh, ANSWERS[0].as_bytes()).expect("the seed is honest").known;
    let second = read(&first, ANSWERS[1].as_bytes()).expect("the seed is honest").known;
    [fresh, first, second]
});

fuzz_target!(|data: &[u8]| {
    for known in KNOWN.iter() {
        let Some(proved) = read(known, data) else { continue };
        let (before, sizes) = (known.sizes(), proved.known.sizes());
        assert!(sizes.keys >= before.keys && sizes.index >= before.index);
        assert!(sizes.attestations >= before.attestations);
        assert!(KNOWN.iter().any(|known| known.sizes() == sizes));
        for shown in &proved.shown {
            let signers = proved.known.signers();
            let said = shown.statements(|id| signers.by_id(id).map(|signer| &signer.key));
            assert!(said.is_ok_and(|said| said.len() == shown.entries().count()));
        }
    }
});

fn read(known: &Known, answer: &[u8]) -> Option<Proved> {
    let lines = answer.split(|byte| *byte == b'\n');
    let mut lines = lines.map_while(|line| serde_json::from_slice::<EvidenceLine>(line).ok());
    let EvidenceLine::Head(head) = lines.next()? else { return None };
    let mut reading = known.read(&head, Witnessing::default(), 0).ok()?;
    for line in lines {
        match line {
            EvidenceLine::Path(path) => drop(reading.path(&path).ok()?),
            EvidenceLine::Absent(absent) => reading.absent(&absent).ok()?,
            EvidenceLine::Unknown(_) => {}
            EvidenceLine::Head(_) => return None,
            EvidenceLine::End(end) => return reading.end(&end).ok(),
        }
    }
    None
}
