//! The orders in which requests, collections and the clock can come in between each other, tried out
//! on the real pool: none breaks a promise.
//!
//! Tasks are held up at each [`Place`](crate::place::Place) between what they know and what they do, and
//! one is let on at a time, so that one run is one order, and can be had again. Of few tasks every order
//! is tried in which they are preempted only so often; of more, a sample. At each step a crash may come,
//! and after each step everything is checked that must hold at all times.

pub(crate) mod stage;

mod actors;
mod explore;
mod faulty;
mod world;

use actors::Actor;
use explore::{Bounds, Explorer};
use world::{Start, World};

/// Runs after which a new pool is made: each leaves a path behind.
const RUNS_A_POOL: usize = 100;

/// What is tried out.
struct Scenario {
    start: Start,
    actors: &'static [Actor],
}

fn is_long() -> bool {
    std::env::var_os("NARPOOL_LONG").is_some()
}

/// Tries every order within bounds. Answers with how many there were, or with what is wrong in one.
async fn explore(scenario: &Scenario, bounds: Bounds) -> Result<usize, String> {
    let mut explorer = Explorer::new(bounds);
    let mut world = World::new().await;
    let mut runs = 0;
    loop {
        runs += 1;
        let ran = world.run(scenario.start, scenario.actors, &mut explorer).await;
        ran.map_err(|wrong| {
            let story = stage::story();
            // Who is held up is let go, so that the test can end.
            stage::crash();
            format!("{:?} from {:?}: {wrong}\n{story}", scenario.actors, scenario.start)
        })?;
        if !explorer.next() {
            world.close().await;
            return Ok(runs);
        }
        if runs % RUNS_A_POOL == 0 {
            world.close().await;
            world = World::new().await;
        }
    }
}

/// Tries every order of a few tasks, then crashes.
async fn holds(start: Start, actors: &'static [Actor]) {
    let mut runs = 0;
    for bounds in bounds(actors.len()) {
        let tried = explore(&Scenario { start, actors }, bounds).await;
        runs += tried.unwrap_or_else(|wrong| panic!("{wrong}"));
    }
    println!("{actors:?} from {start:?}: {runs} orders");
    assert!(runs > 5, "{runs} orders are not worth the name");
}

/// Of two and three tasks every order with few preemptions, of more a sample, as of crashes. With `--long`
/// there are more of all these, and a crash at each step of every order of two with the fewest.
fn bounds(tasks: usize) -> [Bounds; 2] {
    let pick = |few, many| if is_long() { many } else { few };
    let all = Bounds { preemptions: usize::MAX, crashes: false, sample: None };
    let orders = match tasks {
        2 => Bounds { preemptions: pick(3, 6), ..all },
        3 => Bounds { preemptions: pick(1, 4), ..all },
        _ => Bounds { sample: Some(pick(200, 20_000)), ..all },
    };
    let crashes = Bounds { crashes: true, ..all };
    let crashes = match tasks {
        2 if is_long() => Bounds { preemptions: 2, ..crashes },
        _ => Bounds { sample: Some(pick(40, 2000)), ..crashes },
    };
    [orders, crashes]
}

macro_rules! scenarios {
    ($($name:ident: $start:ident, [$($actor:ident),+];)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                holds(Start::$start, &[$(Actor::$actor),+]).await;
            }
        )+
    };
}

scenarios! {
    a_narinfo_while_its_nar_is_collected: Idle, [Narinfo, Collect];
    a_narinfo_while_its_nar_is_swept: Due, [Narinfo, Collect];
    a_nar_while_it_is_swept: Due, [Nar, Collect];
    an_upload_while_its_nar_is_collected: Idle, [Put, Collect];
    an_upload_while_its_nar_is_swept: Due, [Put, Collect];
    an_attestation_while_its_nar_is_collected: Idle, [Attest, Collect];
    an_attestation_while_its_nar_is_swept: Due, [Attest, Collect];
    a_push_while_its_nar_is_collected: Idle, [Push, Collect];
    a_push_while_its_nar_is_swept: Due, [Push, Collect];
    a_copy_while_its_nar_is_collected: Idle, [Copy, Collect];
    a_copy_while_its_nar_is_swept: Due, [Copy, Collect];
    a_pin_while_its_nar_is_collected: Idle, [Pin, Collect];
    a_pin_while_its_nar_is_swept: Due, [Pin, Collect];
    a_deletion_while_its_nar_is_collected: Idle, [Delete, Collect];
    a_deletion_while_a_narinfo_is_asked_for: Idle, [Delete, Narinfo];
    two_uploads_of_one_nar: Absent, [Put, Put];
    a_narinfo_a_collection_and_the_clock: Idle, [Narinfo, Collect, Clock];
    a_narinfo_an_upload_and_a_sweep: Due, [Narinfo, Put, Collect];
    a_narinfo_an_attestation_and_a_sweep: Due, [Narinfo, Attest, Collect];
    a_nar_an_upload_and_a_sweep: Due, [Nar, Put, Collect];
    a_narinfo_a_pin_and_a_sweep: Due, [Narinfo, Pin, Collect];
    an_upload_an_attestation_and_a_collection: Absent, [Put, Attest, Collect];
    a_push_a_deletion_and_a_sweep: Due, [Push, Delete, Collect];
    a_removal_an_upload_and_a_narinfo: Idle, [Remove, Put, Narinfo];
    all_at_once: Due, [Narinfo, Nar, Put, Attest, Pin, Collect, Clock];
}
