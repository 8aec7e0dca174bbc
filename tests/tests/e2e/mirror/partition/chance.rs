//! What happens to the pools, by chance.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use reqwest::Method;
use tests::client::{Answer, Client};
use tests::run::long;
use tokio::time::sleep;

use super::Scene;

/// Milliseconds between two events, that a server is away, and that a cable is cut.
const BETWEEN: Range<u64> = 50..700;
const AWAY: Range<u64> = 0..600;
const CUT: Range<u64> = 100..4000;
/// One cut in ten of a long run: longer than anybody waits for the next byte.
const CUT_FOR_LONG: Range<u64> = 15_000..30_000;

/// What a pool has served of NARs.
const BYTES_OUT: &str = "narpool_nar_bytes_total{direction=\"out\"}";

/// What was done, and what had been served by the first and second pool before they were killed.
#[derive(Default)]
pub(super) struct Tally {
    /// Servers, the first pool's first.
    killed: [u64; 3],
    /// What brings to the second and the third.
    mirrors_killed: [u64; 2],
    cut: [u64; 2],
    pub(super) served: [u64; 2],
}

impl Tally {
    /// What was done to a mirror: its source killed, the cable cut, itself killed.
    pub(super) fn of(&self, mirror: usize) -> (u64, u64, u64) {
        let itself = self.killed[mirror + 1] + self.mirrors_killed[mirror];
        (self.killed[mirror], self.cut[mirror], itself)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { killed, mirrors_killed, cut, .. } = self;
        write!(f, "killed: servers {killed:?}, mirrors {mirrors_killed:?}; cut: {cut:?}")
    }
}

impl Scene<'_> {
    /// Lets a moment pass, and then something happens.
    pub(super) async fn something_happens(&mut self) {
        self.pass(BETWEEN).await;
        self.mend(Instant::now());
        match self.random.within(0..10) {
            0 => self.kill(0).await,
            1 => self.kill(1).await,
            2 => self.kill(2).await,
            3 => {
                self.tally.mirrors_killed[0] += 1;
                self.follow_to_b();
            }
            4 => {
                self.tally.mirrors_killed[1] += 1;
                self.follow_to_c();
            }
            5..8 => self.cut(0),
            _ => self.cut(1),
        }
    }

    pub(super) fn mend_all(&mut self) {
        self.cables.iter().for_each(|cable| cable.mend());
        self.mend_at = [None; 2];
    }

    /// Notes what the servers that run have served.
    pub(super) async fn count_served(&mut self) {
        for (at, pool) in [&self.a, &self.b].into_iter().enumerate() {
            self.tally.served[at] += served(&pool.admin).await;
        }
    }

    async fn kill(&mut self, at: usize) {
        if at < 2 {
            let pool = [&self.a, &self.b][at];
            self.tally.served[at] += served(&pool.admin).await;
        }
        [&mut self.a, &mut self.b, &mut self.c][at].kill();
        self.tally.killed[at] += 1;
        self.pass(AWAY).await;
        [&mut self.a, &mut self.b, &mut self.c][at].start_again();
    }

    fn cut(&mut self, at: usize) {
        if self.mend_at[at].is_some() {
            return;
        }
        let for_long = long() && self.random.within(0..10) == 0;
        let span = self.random.within(if for_long { CUT_FOR_LONG } else { CUT });
        self.cables[at].cut(self.random.within(0..2) as usize);
        self.mend_at[at] = Some(Instant::now() + Duration::from_millis(span));
        self.tally.cut[at] += 1;
    }

    /// Mends what was cut for as long as it should be.
    fn mend(&mut self, now: Instant) {
        for (cable, mend_at) in self.cables.iter().zip(&mut self.mend_at) {
            if mend_at.is_some_and(|at| at <= now) {
                cable.mend();
                *mend_at = None;
            }
        }
    }

    async fn pass(&mut self, milliseconds: Range<u64>) {
        sleep(Duration::from_millis(self.random.within(milliseconds))).await;
    }
}

/// Bytes of NARs that a pool has served since it was started.
async fn served(pool: &Client) -> u64 {
    // A connection that was kept from before it was killed may fail, once.
    let metrics = loop {
        if let Ok(answer) = Answer::unless_gone(pool.request(Method::GET, "/metrics")).await {
            break answer.text();
        }
    };
    let line = metrics.lines().find_map(|line| line.strip_prefix(BYTES_OUT));
    line.map_or(0, |value| value.trim().parse().unwrap())
}
