//! `pool gc`: takes space back.

use anyhow::{Result, anyhow};
use schema::api::{GcFate, GcLine, GcNar, GcRequest, GcSummary};

use crate::cli::Gc;
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, time};
use crate::remote::Remote;

const NO_RULE: &str =
    "\nno rule says what may go: the operator sets `max-stored` or `collect-after`";

/// Has the pool collect, and prints what becomes of each NAR as it comes.
pub(super) async fn run(gc: Gc, remote: &Remote<'_>, output: &Output) -> Result<Exit> {
    let Gc { dry_run } = gc;
    let mut lines = remote.collect(&GcRequest { dry_run }).await?;
    while let Some(line) = lines.next().await? {
        let line = serde_json::from_slice(&line).map_err(|error| {
            let message = format!(
                "{} tells of its collection in words that do not read: {error}",
                remote.server()
            );
            anyhow!(Failure::could_not_tell(message))
        })?;
        match line {
            GcLine::Working => {}
            GcLine::Nar(ref nar) => output.result(&line, || nar_text(nar, dry_run)),
            GcLine::End(ref summary) => {
                output.result(&line, || summary_text(summary, dry_run));
                return Ok(Exit::Yes);
            }
        }
    }
    let message = format!("the collection of {} broke off", remote.server());
    Err(Failure::could_not_tell(message)
        .hint("what was done stays done; the pool's log says what is wrong")
        .into())
}

fn nar_text(nar: &GcNar, dry_run: bool) -> String {
    let GcNar { nar_hash, paths, file_size, fate, why, leased_until } = nar;
    let fate = match (fate, dry_run) {
        (GcFate::Unlisted, false) => "unlisted",
        (GcFate::Unlisted, true) => "would be unlisted",
        (GcFate::Relisted, false) => "relisted",
        (GcFate::Relisted, true) => "would be relisted",
        (GcFate::Swept, false) => "swept",
        (GcFate::Swept, true) => "would be swept",
    };
    let name = paths.first().map_or_else(|| nar_hash.to_string(), ToString::to_string);
    let promised = match (leased_until, nar.fate) {
        (0, _) | (_, GcFate::Swept | GcFate::Relisted) => String::new(),
        (until, GcFate::Unlisted) => format!("; promised until {}", time(*until)),
    };
    format!("{fate}  {name}  {}  {why}{promised}", bytes(*file_size))
}

fn summary_text(summary: &GcSummary, dry_run: bool) -> String {
    let GcSummary { kept, kept_bytes, unlisted, relisted, waiting, waiting_bytes, .. } = summary;
    let GcSummary { unlisted_bytes, swept, swept_bytes, .. } = summary;
    let would = if dry_run { "would be " } else { "" };
    let no_rule = if summary.has_rule { "" } else { NO_RULE };
    format!(
        "kept {kept} NARs ({}), {would}unlisted {unlisted} ({}), {would}relisted {relisted}, \
         still promised {waiting} ({}), {would}swept {swept} ({}){no_rule}",
        bytes(*kept_bytes),
        bytes(*unlisted_bytes),
        bytes(*waiting_bytes),
        bytes(*swept_bytes),
    )
}
