//! The same with two steps swapped, each of which must be found out: else nothing is proven.

use std::sync::Arc;

use schema::claim::Dialect;

use super::actors::{Actor, complete};
use super::explore::Bounds;
use super::stage::Act;
use super::world::{Start, Subject};
use super::{Scenario, explore};
use crate::assemble::view::View;
use crate::blobs::nar_name;
use crate::clock;
use crate::ingest;
use crate::place::{Place, at};
use crate::pool::Pool;
use schema::compression::Compression;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Faulty {
    /// Tells a narinfo, and then promises its NAR.
    ToldBeforePromised,
    /// Removes the file of a NAR that is due, and then has it forgotten.
    RemovedBeforeForgotten,
    /// Sweeps without the turn of the NAR.
    SweptOutOfTurn,
    /// Indexes a NAR, and then puts its file in place.
    IndexedBeforePlaced,
    /// Says that a NAR is here, and does not promise it.
    FoundUnpromised,
}

impl Faulty {
    pub(super) fn act(self, pool: Arc<Pool>, subject: Arc<Subject>) -> Act {
        match self {
            Self::ToldBeforePromised => Box::pin(tell_first(pool, subject)),
            Self::RemovedBeforeForgotten => Box::pin(remove_first(pool, subject)),
            Self::SweptOutOfTurn => Box::pin(sweep_out_of_turn(pool, subject)),
            Self::IndexedBeforePlaced => Box::pin(index_first(pool, subject)),
            Self::FoundUnpromised => Box::pin(find(pool, subject)),
        }
    }
}

async fn tell_first(pool: Arc<Pool>, subject: Arc<Subject>) {
    let asked = clock::now();
    let line = pool.line(&View::Default, Dialect::Nix, subject.hash_part()).unwrap();
    let Some((text, file)) = line.line.narinfo.zip(line.file) else { return };
    subject.promised(&text, asked);
    at(Place::Assembled).await;
    pool.lease(&[file], pool.config.lease).await.unwrap();
}

async fn remove_first(pool: Arc<Pool>, subject: Arc<Subject>) {
    let nar_hash = subject.nar_hash();
    let roots = pool.ledger.sequencer().roots().await.unwrap();
    let removing = pool.blobs.removals().await;
    let _turn = pool.blobs.turn(&[nar_hash]).await;
    pool.blobs.remove(vec![nar_name(&nar_hash, Compression::None)], &removing).await.unwrap();
    at(Place::Sweeping).await;
    pool.ledger.sequencer().sweep(roots, vec![nar_hash], clock::now()).await.unwrap();
}

async fn sweep_out_of_turn(pool: Arc<Pool>, subject: Arc<Subject>) {
    let nar_hash = subject.nar_hash();
    let roots = pool.ledger.sequencer().roots().await.unwrap();
    at(Place::Sweeping).await;
    let swept = pool.ledger.sequencer().sweep(roots, vec![nar_hash], clock::now()).await.unwrap();
    if swept[0].is_some() {
        let names = vec![nar_name(&nar_hash, Compression::None)];
        at(Place::Forgotten).await;
        let removing = pool.blobs.removals().await;
        pool.blobs.remove(names.clone(), &removing).await.unwrap();
        pool.index.clear_pending(&names).unwrap();
    }
}

async fn index_first(pool: Arc<Pool>, subject: Arc<Subject>) {
    let verified = ingest::check(subject.nar.as_slice(), &subject.declared(), &pool.limits());
    let kept = pool.kept(verified.unwrap_or_else(|_| panic!("the NAR is a good one")));
    let mut staged = pool.blobs.stage().unwrap();
    staged.write(subject.nar.clone().into()).await.unwrap();
    let _turn = pool.blobs.turn(&[subject.nar_hash()]).await;
    let name = kept.name();
    pool.ledger.sequencer().keep(vec![kept]).await.unwrap();
    at(Place::Placed).await;
    staged.place(&name).await.unwrap();
}

async fn find(pool: Arc<Pool>, subject: Arc<Subject>) {
    let digits = subject.nar_hash().to_nix32();
    let is_missing = pool.nar(&digits, Compression::None).await.is_err();
    at(Place::Found).await;
    complete(&pool, &subject, is_missing).await;
}

async fn is_found_out(start: Start, actors: &'static [Actor], by: &str) {
    let bounds = Bounds { preemptions: usize::MAX, crashes: false, sample: None };
    let wrong =
        explore(&Scenario { start, actors }, bounds).await.expect_err("it was not found out");
    assert!(wrong.contains(by), "{wrong}");
}

macro_rules! faults {
    ($($name:ident: $start:ident, [$fault:ident, $other:ident], $by:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let actors = &[Actor::Faulty(Faulty::$fault), Actor::$other];
                is_found_out(Start::$start, actors, $by).await;
            }
        )+
    };
}

faults! {
    telling_before_promising_is_found_out:
        Idle, [ToldBeforePromised, Collect], "a NAR is gone that a narinfo promised";
    removing_before_forgetting_is_found_out:
        Due, [RemovedBeforeForgotten, Attest], "a record has no file";
    sweeping_out_of_turn_is_found_out:
        Due, [SweptOutOfTurn, Put], "a record has no file";
    indexing_before_placing_is_found_out:
        Absent, [IndexedBeforePlaced, Narinfo], "a record has no file";
    finding_without_promising_is_found_out:
        Due, [FoundUnpromised, Collect], "a path was pushed, and is not shown";
}
