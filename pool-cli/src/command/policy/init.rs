//! `pool policy init`: a first policy, with comments, by flags or by asking.

use std::fs::OpenOptions;
use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result};
use schema::key::PublicKey;
use schema::policy::Policy;
use schema::store_path::StoreDir;
use serde_json::json;

use crate::cli::{Global, Init};
use crate::credentials::Access;
use crate::exit::{Exit, Failure};
use crate::key_file::AnyKey;
use crate::output::Output;
use crate::remote::{Patience, Remote};

/// Writes a policy. What the flags leave open is asked for, on a terminal.
pub(super) async fn run(init: Init, global: &Global, output: &'static Output) -> Result<Exit> {
    let asks = io::stdin().is_terminal() && io::stderr().is_terminal();
    let name = match init.name {
        Some(name) => name,
        None if asks => ask("Name of the policy, such as acme-prod: ")?,
        None => "my-policy".to_owned(),
    };
    let keys = if init.signers.is_empty() && asks {
        choose(global, output).await?
    } else {
        init.signers.iter().map(|text| public(text)).collect::<Result<_>>()?
    };
    if keys.is_empty() {
        let hint = "--signer KEYFILE|PUBLICKEY names one; give it once a signer";
        return Err(Failure::could_not_tell("a policy needs signers").hint(hint).into());
    }
    let majority = keys.len() / 2 + 1;
    let k = match init.k {
        Some(k) => k,
        None if asks && keys.len() > 1 => {
            let prompt = format!("How many of the {} must agree? [{majority}] ", keys.len());
            let answer = ask(&prompt)?;
            if answer.is_empty() { majority } else { answer.parse().context("not a number")? }
        }
        None => majority,
    };
    let text = text(&name, &init.store_dir, &keys, k);
    let policy = Policy::parse(&text).map_err(|error| {
        Failure::could_not_tell(format!("that makes no policy: {}", error.what)).hint(error.hint)
    })?;
    match &init.out {
        None => output.raw(text.as_bytes()),
        Some(out) => {
            let about = || format!("writing {}", out.display());
            let file = OpenOptions::new().write(true).create_new(true).open(out);
            file.with_context(about)?.write_all(text.as_bytes()).with_context(about)?;
            let value = json!({ "name": policy.name(), "out": out });
            output.result(&value, || {
                let out = out.display();
                format!("wrote {out}\nnext: pool policy check {out}")
            });
        }
    }
    Ok(Exit::Yes)
}

fn public(text: &str) -> Result<PublicKey> {
    Ok(match AnyKey::read(text)? {
        AnyKey::Secret(key) => key.public(),
        AnyKey::Public(key) => key,
    })
}

fn ask(prompt: &str) -> Result<String> {
    let mut err = io::stderr().lock();
    err.write_all(prompt.as_bytes())?;
    err.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("reading the answer")?;
    Ok(line.trim().to_owned())
}

/// Lets the user choose among the signers that a pool knows. Whose keys they are is for the user to
/// know.
async fn choose(global: &Global, output: &'static Output) -> Result<Vec<PublicKey>> {
    let remote = Remote::new(&Access::find(global)?, Patience::None, output)?;
    let signers = remote.signers().await?;
    let mut list = format!("{} knows these signers:\n", remote.server());
    for (number, signer) in (1..).zip(&signers) {
        list.push_str(&format!("  {number}  {}\n", signer.public_key));
    }
    list.push_str(
        "Compare each key with what its owner publishes: a pool may call anything by any name.\n\
         Whom do you believe? Numbers, with spaces between them: ",
    );
    let chosen = ask(&list)?;
    let number = |text: &str| {
        let number: usize = text.parse().ok()?;
        signers.get(number.checked_sub(1)?).map(|signer| signer.public_key.clone())
    };
    let chosen: Option<Vec<PublicKey>> = chosen.split_whitespace().map(number).collect();
    Ok(chosen.ok_or_else(|| Failure::could_not_tell("that is no number in the list"))?)
}

fn text(name: &str, store_dir: &StoreDir, keys: &[PublicKey], k: usize) -> String {
    let mut text = format!(
        "# Whom this host believes, and how many must agree. `pool policy check` reads it.\n\
         format = \"narpool-policy/1\"\n\
         name = \"{name}\"\n\
         # Raise it with every change: a host that saw a version refuses to go back.\n\
         version = 1\n\
         # A date after which nothing is believed by it any more, such as 2027-03-01T00:00:00Z:\n\
         # expires = 2027-03-01T00:00:00Z\n\
         store_dir = \"{store_dir}\"\n\n\
         # Witnesses keep a pool from showing an old ledger, or to each another one:\n\
         # [ledger]\n\
         # log = \"pool.example/attestations+…\"      # `attestations` in /api/v1/info\n\
         # max_checkpoint_age = \"24h\"\n\
         # witnesses = {{ k = 2, members = [\"…\", \"…\", \"…\"] }}\n\n"
    );
    let names: Vec<String> = (1..=keys.len()).map(|number| format!("signer{number}")).collect();
    for (name, key) in names.iter().zip(keys) {
        text.push_str(&format!(
            "# Delegates count as their root if you add: delegates = true\n\
             [principal.{name}]\nkeys = [\"{key}\"]\n\n"
        ));
    }
    let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    text.push_str(&format!(
        "[group.signers]\nk = {k}\nmembers = [{}]\n\n\
         # A rule for some paths goes before the default; the pattern with more letters decides:\n\
         # [[rule]]\n\
         # match = {{ name = \"linux-*\" }}\n\
         # require = \"group:signers\"\n\n\
         [default]\n\
         require = \"group:signers\"\n\
         # One of them who attests something else for a path is a veto; \"ignore\" counts votes only.\n\
         disagree = \"deny\"\n",
        quoted.join(", ")
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_a_policy() {
        let key = |seed: u8| {
            let name = format!("k{seed}-1").parse().unwrap();
            schema::key::SecretKey::from_seed(name, &[seed; 32]).public()
        };
        let text = text("first", &StoreDir::nix(), &[key(1), key(2), key(3)], 2);
        let policy = Policy::parse(&text).unwrap();
        assert_eq!(policy.groups()[0].k(), 2);
        assert_eq!(policy.principals().len(), 3);
    }
}
