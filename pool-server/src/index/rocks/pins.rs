//! What people say is to stay.

use super::{Batch, Index, damaged, from_json, to_json};
use crate::index::PinRecord;
use crate::index::families::PINS;
use crate::rejected::Error;

impl Index {
    /// Every revision of every pin, or of the one with this name: name, revision, what it says.
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn pins(&self, name: Option<&str>) -> Result<Vec<(String, u64, PinRecord)>, Error> {
        let prefix = name.map_or_else(Vec::new, pin_prefix);
        let parse = |(key, value): (Vec<u8>, Vec<u8>)| {
            let (name, revision) = key.split_last_chunk::<8>().ok_or_else(|| damaged(PINS.name))?;
            let name = name.strip_suffix(&[0]).and_then(|name| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| damaged(PINS.name))?.to_owned();
            Ok((name, u64::from_be_bytes(*revision), from_json(&PINS, &value)?))
        };
        self.rows(&PINS, &prefix)?.into_iter().map(parse).collect()
    }
}

impl Batch<'_> {
    /// Keeps a revision of a pin.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_pin(&mut self, name: &str, revision: u64, pin: &PinRecord) -> Result<(), Error> {
        self.put(&PINS, &pin_key(name, revision), &to_json(pin)?)
    }

    /// Forgets a revision of a pin.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn delete_pin(&mut self, name: &str, revision: u64) -> Result<(), Error> {
        self.delete(&PINS, &pin_key(name, revision))
    }
}

fn pin_prefix(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

fn pin_key(name: &str, revision: u64) -> Vec<u8> {
    [&*pin_prefix(name), &revision.to_be_bytes()].concat()
}
