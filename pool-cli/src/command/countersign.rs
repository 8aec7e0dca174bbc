//! `pool countersign`: signs what others built, by what the ledger shows of it. No NAR moves.

mod progress;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use schema::api::AttestRequest;
use schema::attestation::Entry;
use schema::claim::{Claim, Dialect};
use schema::hash::{ClaimId, KeyId, NarHash};
use schema::key::{PublicKey, SecretKey};
use schema::policy::Policy;
use schema::signers::Standing;
use schema::store_path::StoreDir;
use serde::Serialize;

use self::progress::Progress;
use super::attest;
use crate::cli::{Countersign, Global};
use crate::credentials::Access;
use crate::exit::{Exit, Failure};
use crate::judge::{self, Judge, Root};
use crate::key_file;
use crate::output::{Output, plural};
use crate::remote::{Patience, Remote};
use crate::user_dirs;

/// How often the ledger is looked at, with `--follow`.
const PAUSE: Duration = Duration::from_secs(1);
/// What came of a round.
#[derive(Debug, Default, Serialize)]
struct Report {
    claims: usize,
    signed: usize,
    known: usize,
    refused: usize,
    bytes_sent: u64,
}

/// Signs what is there, and what comes.
pub(super) async fn run(
    countersign: Countersign,
    global: &Global,
    output: &'static Output,
) -> Result<Exit> {
    let key = key_file::secret(&countersign.key)?;
    let access = Access::find(global)?;
    let remote = Remote::new(&access, Patience::Some, output)?;
    let (builders, machines) = builders(&countersign.from, &key, &remote).await?;
    let is_guix = key.public().dialect() == Dialect::Guix;
    let policy = match &countersign.policy {
        Some(file) => judge::read_policy(file)?,
        None if is_guix => any_of(&builders, &key, &StoreDir::guix())?,
        None => any_of(&builders, &key, &remote.info().await?.store_dir)?,
    };
    if is_guix && *policy.store_dir() != StoreDir::guix() {
        let message =
            format!("{} is a key of Guix's, and the policy is not for its store", key.name());
        return Err(Failure::no(message).hint("sign with a key of Nix's").into());
    }
    let default = || user_dirs::state().join("countersign");
    let dir = countersign.state_dir.clone().unwrap_or_else(default);
    let asked = Remote::new(&access, Patience::Some, output)?;
    let judge = Judge::open(policy, vec![asked], &dir)?;
    let mut progress = Progress::open(&dir, &key.public(), remote.server())?;
    let master = Master { key, builders, machines, remote, judge };
    if !countersign.follow {
        let report = master.round(&mut progress).await?;
        output.result(&report, || text(&report, &master.key));
        return Ok(if report.refused == 0 { Exit::Yes } else { Exit::No });
    }
    loop {
        match master.round(&mut progress).await {
            Ok(report) if report.claims == 0 => {}
            Ok(report) => output.result(&report, || text(&report, &master.key)),
            // Nothing was noted as seen, so nothing is passed over.
            Err(error) => output.warn(&format!("{error:#}; trying again")),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Who signs, and what.
struct Master {
    key: SecretKey,
    builders: Vec<PublicKey>,
    /// Those of them who are builders because the key has delegated to them.
    machines: Vec<KeyId>,
    remote: Remote<'static>,
    judge: Arc<Judge>,
}

impl Master {
    /// Signs what is new, and what was refused before and is allowed by now.
    async fn round(&self, progress: &mut Progress) -> Result<Report> {
        let before = self.remote.bytes_sent();
        let news = progress.news(&self.remote, &self.builders).await?;
        let claims = self.claims(&news.entries).await?;
        let mut report = Report { claims: claims.len(), ..Report::default() };
        let roots = claims.values().map(|(_, claim)| Root::Path(claim.path().clone())).collect();
        let judged = self.judge.judge(roots).await;
        let (mut items, mut refused) = (Vec::new(), BTreeSet::new());
        for (index, claim) in claims.into_values() {
            let reached = judged.closure.of(claim.path());
            let allowed = reached.and_then(|reached| reached.outcome.claim());
            if allowed.is_some_and(|allowed| allowed.agrees_with(&claim)) {
                // The policy judges what is claimed, and no other words that a builder chose.
                items.push(attest::item(&self.key, &claim.in_nix(), None));
            } else {
                refused.insert(index);
            }
        }
        report.refused = refused.len();
        if !items.is_empty() {
            let attested = self.remote.attest(AttestRequest { attestations: items }).await?;
            (report.signed, report.known) = (attested.new, attested.known);
        }
        report.bytes_sent = self.remote.bytes_sent() - before;
        progress.keep(news, refused)?;
        Ok(report)
    }

    /// What these entries attest, by its meaning, with the first of them.
    async fn claims(
        &self,
        entries: &BTreeMap<u64, KeyId>,
    ) -> Result<BTreeMap<ClaimId, (u64, Arc<Claim>)>> {
        let server = self.remote.server();
        let attested = self.judge.attested(&entries.keys().copied().collect()).await;
        let attested =
            attested.map_err(|unheard| Failure::could_not_tell(format!("{server}: {unheard}")))?;
        let mut claims: BTreeMap<ClaimId, (u64, Arc<Claim>)> = BTreeMap::new();
        let root = self.key.public().id();
        // What told who the machines are was not held against what was seen before; this was.
        let mut asked = self.machines.iter().filter(|_| !entries.is_empty());
        if let Some(machine) = asked.find(|it| !self.judge.is_delegate(it, &root)) {
            let message = format!("{server} now shows no delegation to the key {machine}");
            return Err(Failure::could_not_tell(message).into());
        }
        let signed_by = |entry: &Entry, claim: &Claim, id: &KeyId| {
            let builder = self.builders.iter().find(|builder| builder.id() == *id);
            let bytes = claim.signed_bytes();
            builder.is_some_and(|key| key.verifies(bytes.as_bytes(), &entry.signature))
        };
        for (index, builder) in entries {
            let attested = attested.get(index);
            let by_builder = attested.filter(|(entry, claim)| signed_by(entry, claim, builder));
            let Some((_, claim)) = by_builder else {
                let message = format!("{server} does not show that entry {index} is a builder's");
                return Err(Failure::could_not_tell(message).into());
            };
            // The policy has no say in other stores.
            if claim.path().dir() == self.judge.policy().store_dir() {
                claims.entry(claim.meaning()).or_insert_with(|| (*index, Arc::clone(claim)));
            }
        }
        Ok(claims)
    }
}

/// The keys whose claims are signed, and which of them are so by delegation.
async fn builders(
    from: &[String],
    key: &SecretKey,
    remote: &Remote<'_>,
) -> Result<(Vec<PublicKey>, Vec<KeyId>)> {
    // The delegations in the keys log are signed by the key itself: the pool cannot make them up.
    let signers = judge::signers_of(remote).await?;
    let ours: Vec<&PublicKey> = signers
        .delegates_of(&key.public().id())
        .filter(|machine| machine.standing == Standing::Active)
        .map(|machine| &machine.key)
        .collect();
    if from.is_empty() {
        if ours.is_empty() {
            let message = format!("{} has delegated to no machine", key.name());
            let hint = "`pool signer delegate` does; --from names any other builder";
            return Err(Failure::no(message).hint(hint).into());
        }
        let machines = ours.iter().map(|machine| machine.id()).collect();
        return Ok((ours.into_iter().cloned().collect(), machines));
    }
    let mut machines = Vec::new();
    let mut find = |text: &String| {
        if let Ok(key) = text.parse::<PublicKey>() {
            return Ok(key);
        }
        let named = ours.iter().find(|key| key.name().as_str() == text);
        machines.extend(named.map(|machine| machine.id()));
        named.map(|key| (*key).clone()).ok_or_else(|| {
            let message = format!("{text} is no machine that {} delegated to", key.name());
            Failure::no(message).hint("name any other builder by its public key").into()
        })
    };
    let builders = from.iter().map(&mut find).collect::<Result<_>>()?;
    Ok((builders, machines))
}

/// What any of the builders says is allowed, with what it refers to; of that, what was signed before
/// needs nobody's word.
fn any_of(builders: &[PublicKey], key: &SecretKey, store_dir: &StoreDir) -> Result<Policy> {
    let mut text =
        format!("store_dir = \"{store_dir}\"\n[principal.own]\nkeys = [\"{}\"]\n", key.public());
    let mut members = vec!["\"own\"".to_owned()];
    let others = builders.iter().filter(|builder| builder.id() != key.public().id());
    for (number, builder) in others.enumerate() {
        text.push_str(&format!("[principal.builder{number}]\nkeys = [\"{builder}\"]\n"));
        members.push(format!("\"builder{number}\""));
    }
    text.push_str(&format!(
        "[group.any]\nk = 1\nmembers = [{}]\n[default]\nrequire = \"group:any\"\ndisagree = \
         \"deny\"\n",
        members.join(", ")
    ));
    // Other keys are another policy, and need be no newer.
    let digest = NarHash::of(text.as_bytes()).to_hex();
    let name = format!("countersign-{}", &digest[..16]);
    let head = format!("format = \"narpool-policy/1\"\nname = \"{name}\"\nversion = 1\n");
    Ok(Policy::parse(&(head + &text))?)
}

fn text(report: &Report, key: &SecretKey) -> String {
    let Report { claims, signed, known, refused, .. } = report;
    let claims = plural(*claims, "new claim");
    let mut out = format!("{claims}: {} signed {signed}, had signed {known}", key.name());
    if *refused > 0 {
        out.push_str(&format!("; {refused} not allowed by the policy, to be tried again"));
    }
    out
}
