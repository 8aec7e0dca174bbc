//! `pool ping`: whether the pool answers.

use std::time::Instant;

use anyhow::Result;
use serde_json::json;

use crate::exit::Exit;
use crate::output::Output;
use crate::remote::Remote;

/// No, when it answers that it is not ready.
pub(super) async fn run(remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    // The first request also opens the connection, which is not part of a round trip.
    let ready = remote.ready().await?;
    let start = Instant::now();
    let info = remote.info().await?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    let value = json!({
        "server": remote.server(),
        "ready": ready,
        "version": info.version,
        "public_key": info.public_key,
        "store_dir": info.store_dir,
        "attestations": info.attestations,
        "open_enrolment": info.open_enrolment,
        "max_nar_size": info.max_nar_size,
        "round_trip_ms": milliseconds,
    });
    output.result(&value, || {
        let ready = if ready { "" } else { ", not ready" };
        format!(
            "{}: narpool {}, store {}, {} attestations, {milliseconds:.1} ms{ready}",
            remote.server(),
            info.version,
            info.store_dir,
            info.attestations,
        )
    });
    Ok(if ready { Exit::Yes } else { Exit::No })
}
