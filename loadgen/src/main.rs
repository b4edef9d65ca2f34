//! Measures how many WebSocket connections a push server holds, and what breaks first.

// Nothing of a program is reached from outside; `pub` tells what other modules use.
#![allow(unreachable_pub)]

mod accounting;
mod args;
mod audit;
mod books;
mod charge;
mod client;
mod conductor;
mod cost;
mod driver;
mod host;
mod latency;
mod mask;
mod plan;
mod ports;
mod proc;
mod ramp;
mod report;
mod schedule;
mod screen;
mod stamp;
mod table;
mod tally;
mod target;
mod units;
mod verdict;
mod watch;

fn main() {}
