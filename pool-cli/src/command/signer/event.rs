//! What happens to keys after they were enrolled: signed here, told to the pool.

use anyhow::Result;
use schema::api::KeyEventRequest;
use schema::key::{KeyName, PublicKey, SecretKey};
use schema::key_event::{KeyEvent, RevokeReason};

use super::now;
use crate::cli::{Delegate, Revoke, Rotate};
use crate::exit::{Exit, Failure};
use crate::key_file::{self, AnyKey};
use crate::output::{Output, time};
use crate::remote::Remote;

/// Passes a name on to a new key.
pub(super) async fn rotate(rotate: Rotate, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let (old, new) = (key_file::secret(&rotate.old)?, key_file::secret(&rotate.new)?);
    if old.name() != new.name() {
        let (old, new) = (old.name(), new.name());
        let message = format!("the new key is called {new}, and the old one {old}");
        let hint = format!("a rotation keeps the name: `pool key generate {old} --out FILE`");
        return Err(Failure::could_not_tell(message).hint(hint).into());
    }
    let event = KeyEvent::Rotate { old: old.public().id(), key: new.public() };
    let done = format!("{} is now {}", old.name(), new.public());
    tell(event, &[&old, &new], &done, remote, output).await
}

/// Lets a machine's key attest some paths for a while.
pub(super) async fn delegate(
    delegate: Delegate,
    remote: &Remote<'_>,
    output: &Output,
) -> Result<Exit> {
    let root = key_file::secret(&delegate.root)?;
    let key = AnyKey::read(&delegate.key)?.public();
    let (names, not_after) = (delegate.names, delegate.not_after.from(now()?));
    let done =
        format!("{} may attest {names} for {} until {}", key.name(), root.name(), time(not_after));
    let event = KeyEvent::Delegate { root: root.public().id(), key, names, not_after };
    tell(event, &[&root], &done, remote, output).await
}

/// Ends a key.
pub(super) async fn revoke(revoke: Revoke, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let by = key_file::secret(&revoke.key)?;
    let ends = match &revoke.name {
        Some(name) => named(name, remote).await?,
        None => by.public(),
    };
    let (reason, what) = match revoke.compromised_from {
        Some(from) => {
            let what = format!("void from entry {from} of the attestations on");
            (RevokeReason::Compromised { from }, what)
        }
        None => (RevokeReason::Retired, "retired; what it signed still counts".to_owned()),
    };
    let done = format!("{ends} is {what}");
    tell(KeyEvent::Revoke { key: ends.id(), reason }, &[&by], &done, remote, output).await
}

/// The key that has this name now, as the pool says. The signature is over that very key.
async fn named(name: &KeyName, remote: &Remote<'_>) -> Result<PublicKey> {
    let signers = remote.signers().await?;
    let last = signers.into_iter().rev().find(|signer| signer.name == *name);
    let unknown = || {
        Failure::no(format!("no signer of {} is called {name}", remote.server()))
            .hint("`pool signer list` lists them")
    };
    Ok(last.ok_or_else(unknown)?.public_key)
}

async fn tell(
    event: KeyEvent,
    keys: &[&SecretKey],
    done: &str,
    remote: &Remote<'_>,
    output: &Output,
) -> Result<Exit> {
    let origin = super::log::origin(&remote.info().await?);
    let signed = event.sign(&origin, keys)?;
    let (event, signatures) = (signed.event().clone(), signed.signatures().to_vec());
    let logged = remote.key_event(&KeyEventRequest { event, signatures }).await?;
    output.result(&logged, || {
        let already = if logged.new { "" } else { " already" };
        format!("{done}: entry {} of the keys log{already}", logged.index)
    });
    Ok(Exit::Yes)
}
