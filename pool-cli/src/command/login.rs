//! `pool login`: keeps an address and a token.

use anyhow::Result;
use serde_json::json;

use crate::cli::{Global, Login};
use crate::credentials::{Access, Credentials, given_token, trimmed};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::remote::{Patience, Remote};
use crate::user_dirs;

/// Asks for a token if none was given, tries it, and keeps it.
pub(super) async fn run(login: Login, global: &Global, output: &Output) -> Result<Exit> {
    let server = login.url.as_ref().or(global.server.as_ref()).ok_or_else(|| {
        Failure::could_not_tell("which pool?").hint("pool login http://127.0.0.1:8484")
    })?;
    let server = trimmed(server);
    let token = match given_token(global)? {
        Some(token) => token,
        None => output.ask_secret(&format!("Token for {server} (empty for none)"))?,
    };
    let token = (!token.is_empty()).then_some(token);
    let ca_file = global.ca_file.as_deref().map(std::path::absolute).transpose()?;
    let access = Access { server, token, ca_file };
    let info = Remote::new(&access, Patience::None, output)?.info().await?;

    let dir = user_dirs::config();
    let mut credentials = Credentials::load(&dir)?;
    credentials.keep(&access);
    let path = credentials.save(&dir)?;
    output.note(&format!("kept in {}", path.display()));
    output.result(&json!({ "server": access.server, "version": info.version }), || {
        format!("{} answers: narpool {}, store {}", access.server, info.version, info.store_dir)
    });
    Ok(Exit::Yes)
}
