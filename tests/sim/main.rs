//! Simulated histories of a server: workers and their mesh, clients and the network between them,
//! all on one thread, all from one seed.
//!
//! ```text
//!  Plan (from the seed) -> History: clients == pipes ==> workers == carriers ==> workers
//!                             |                             |
//!                             '------- held against <---- Journal (what was really accepted)
//! ```
//!
//! Each step is drawn: a few bytes arrive, a worker takes a turn, a batch crosses, the clock jumps,
//! a client acts, something breaks. After each the model is asked whether anybody got what was not
//! meant for them, out of order, twice or not at all: every payload names its sender and, by a
//! connection or a topic, those it is for. Some clients come through TLS, some through a proxy that
//! announces them, and some speak no HTTP; memory is short at times, and addresses are crowded.
//!
//! What breaks is in `faults.rs`: short reads and writes, full and narrow pipes, interrupted calls,
//! stalls, resets, half closes, peers that leave or will not, forged records, stopped workers,
//! storms, shutdowns; and always readiness that is not so or comes late, keys of the dead, full
//! mailboxes, full workers, carriers who dawdle, a clock that jumps. (Descriptors run out below a
//! worker, in the reactor, whose own tests have that.)
//!
//! In the same world `limits` brings each limit to its edge: there the test says what happens, and
//! the seed only how.
//!
//! ```text
//! SIM_SEED=7 cargo test --test sim -- --nocapture               replays one history, told in full
//! SIM_SEEDS=0..100000 cargo test --profile quick --test sim     sweeps
//! cargo test --test sim planted -- --nocapture                  shows by which seed and what check
//!                                                               each planted bug is found
//! tests/fuzz/run 600 sim_ops                                    lets a fuzzer write histories
//! ```
// A test ends where it is surprised, its clock starts from the real one, and what its modules
// share is reachable from nowhere else.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    unreachable_pub
)]

mod acts;
mod carriers;
mod client;
mod connect;
mod core;
#[path = "../support/corpus.rs"]
mod corpus;
mod dice;
mod faults;
mod hear;
mod history;
mod journal;
#[cfg(test)]
mod limits;
pub mod ops;
mod origin;
#[path = "../support/pipe.rs"]
mod pipe;
mod plan;
mod plant;
mod review;
mod secure;
mod service;
mod stream;
mod trace;
mod wire;
mod words;

use std::io::Write;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use dice::Dice;
use history::History;
use plan::Plan;
use plant::Plant;
use trace::Trace;

/// The histories of every `cargo test`.
const SEEDS: Range<u64> = 0..256;

/// The histories within which a planted bug must be found.
const SEEDS_OF_A_PLANT: Range<u64> = 0..10_000;

/// Runs the history of `seed`. Returns its hash, or what went wrong.
fn run(seed: u64, plant: Plant, is_told: bool) -> Result<u64, String> {
    let trace = Trace { is_told, ..Trace::default() };
    let mut history = History::new(Plan::new(seed, plant), Dice::new(seed), trace);
    let outcome = catch_unwind(AssertUnwindSafe(|| history.run()));
    let (step, hash) = (history.trace.step, history.trace.hash);
    match outcome {
        Ok(Ok(())) => Ok(hash),
        Ok(Err(violation)) => Err(format!("SIM_SEED={seed}, step {step}: {violation}")),
        Err(_) => Err(format!("SIM_SEED={seed}, step {step}: a panic, as told above")),
    }
}

/// What `SIM_SEEDS=a..b` asks for, or the usual.
fn seeds() -> Range<u64> {
    let asked = std::env::var("SIM_SEEDS").ok();
    let range = asked.as_deref().and_then(|asked| asked.split_once(".."));
    let bound = |text: &str| text.parse().expect("SIM_SEEDS is two numbers with .. between");
    range.map_or(SEEDS, |(from, to)| bound(from)..bound(to))
}

#[test]
fn nothing_goes_wrong_in_any_history() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let seed = seed.parse().expect("SIM_SEED is a number");
        run(seed, Plant::Nothing, true).unwrap();
        return;
    }
    let (seeds, begun) = (seeds(), Instant::now());
    let wrong: Vec<_> =
        seeds.clone().filter_map(|seed| run(seed, Plant::Nothing, false).err()).take(10).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if seeds != SEEDS {
        // Behind the back of the harness, which would keep it.
        let told = format!("\nseeds {seeds:?}: nothing wrong, in {:.0?}\n", begun.elapsed());
        std::io::stderr().write_all(told.as_bytes()).expect("somebody reads what is wrong");
    }
}

#[test]
fn a_history_repeats_for_its_seed() {
    for seed in 0..8 {
        let hashes = [(); 2].map(|()| run(seed, Plant::Nothing, false));
        assert_eq!(hashes[0], hashes[1], "seed {seed}");
    }
    assert_ne!(run(0, Plant::Nothing, false), run(1, Plant::Nothing, false));
}

#[test]
fn every_planted_bug_is_found() {
    for plant in Plant::ALL {
        let found = SEEDS_OF_A_PLANT.into_iter().find_map(|seed| run(seed, plant, false).err());
        let found = found.unwrap_or_else(|| panic!("{plant:?} was not found"));
        println!("{plant:?}: {found}");
    }
}

#[test]
fn histories_of_the_fuzzer_are_replayed() {
    corpus::replay("sim_ops", ops::run);
}
