//! Measures how many WebSocket connections a push server holds, and what breaks first.

// Nothing of a program is reached from outside; `pub` tells what other modules use.
#![allow(unreachable_pub)]

mod accounting;
mod audit;
mod latency;
mod schedule;
mod stamp;
mod tally;
mod units;

fn main() {}
