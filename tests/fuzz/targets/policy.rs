//! Whatever reads as a policy has one canonical text, which reads as the same policy; and no policy
//! allows what nobody attested.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::decide::{Hearing, Said, decide};
use schema::key::SecretKey;
use schema::policy::Policy;
use schema::signers::Signers;
use schema::store_path::StorePath;

const PATH: &str = "00000000000000000000000000000000-linux-6";

fuzz_target!(|text: &str| {
    let Ok(policy) = Policy::parse(text) else { return };
    let printed = policy.to_string();
    let again = Policy::parse(&printed);
    assert_eq!(again.as_ref(), Ok(&policy));
    assert_eq!(again.map(|policy| policy.to_string()), Ok(printed));
    for now in [0, policy.expires().unwrap_or(1), u64::MAX] {
        let _ = policy.lints(now);
    }
    let base = PATH.parse().expect("a name");
    let path = StorePath::new(policy.store_dir().clone(), base);
    let pool = SecretKey::from_seed("pool-1".parse().expect("a name"), &[1; 32]);
    let signers = Signers::new("pool/keys", pool.public());
    let said = Ok(Said { as_of: 0, statements: &[] });
    let hearing = Hearing { ledger: "pool", signers: &signers, said };
    let decision = decide(&policy, &path, &[hearing], None, 0);
    assert!(decision.outcome().claim().is_none());
    assert!(!decision.to_string().is_empty());
});
