//! Whatever reads as an entry of the keys log or as a pattern has one spelling, and no entry makes
//! the table of signers stumble.
#![no_main]

use libfuzzer_sys::fuzz_target;
use schema::key::SecretKey;
use schema::key_event::KeyEntry;
use schema::name_pattern::NamePattern;
use schema::signers::Signers;

fuzz_target!(|data: &[u8]| {
    if let Ok(entry) = KeyEntry::parse(data) {
        assert_eq!(entry.to_json(), data);
    }
    if let Some((pattern, name)) = std::str::from_utf8(data).ok().and_then(|it| it.split_once('\n'))
        && let Ok(read) = pattern.parse::<NamePattern>()
    {
        assert_eq!(read.as_str(), pattern);
        assert!(read.matches(&pattern.replace('*', "")));
        assert!(!read.matches(name) || name.len() >= read.literals());
    }
    let pool = "pool-1".parse().map(|name| SecretKey::from_seed(name, &[9; 32]).public());
    let mut signers = Signers::new("narpool-1a2b3c4d/keys", pool.expect("it is a name"));
    for entry in data.split(|&byte| byte == b'\n').filter_map(|line| KeyEntry::parse(line).ok()) {
        let size = signers.events();
        match signers.apply(&entry) {
            Ok(_) => assert!(signers.all().len() as u64 <= signers.events()),
            Err(_) => assert_eq!(signers.events(), size),
        }
    }
});
