//! `pool key`: signing keys.

use std::path::PathBuf;

use anyhow::Result;
use schema::guix::key_file::print_public;
use schema::key::PublicKey;
use serde_json::json;

use crate::cli::Key;
use crate::exit::Exit;
use crate::key_file::{self, AnyKey};
use crate::output::Output;

/// Makes a key, or prints a public half.
pub(super) fn run(key: Key, output: &Output) -> Result<Exit> {
    match key {
        Key::Generate { name, out, guix } => {
            let path = out.unwrap_or_else(|| PathBuf::from(format!("{name}.secret")));
            let public = key_file::generate(name, guix, &path)?;
            output.note(&format!(
                "the secret half is in {}; keep it to yourself, and a copy of it in a safe place",
                path.display()
            ));
            print(&public, output);
        }
        Key::Public { key } => print(&AnyKey::read(&key)?.public(), output),
        Key::Acl { key } => {
            let text = print_public(&key_file::guix_public(&key)?);
            output.result(&json!({ "public_key": text }), || text.clone());
        }
    }
    Ok(Exit::Yes)
}

fn print(public: &PublicKey, output: &Output) {
    let value = json!({ "name": public.name(), "public_key": public, "key_id": public.id() });
    output.result(&value, || public.to_string());
}
