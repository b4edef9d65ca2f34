//! Measures how many WebSocket connections a push server holds, and what breaks first.
//!
//! ```text
//!  args -> plan ----> run ------> report          what was asked, what came of it
//!                      |
//!                    fleet <---- Report --- driver, one a thread      reactor
//!                      |  \--- Command ---> |
//!                books, series              connection -- client      pure: bytes in, events out
//!                                               |
//!                                             talk -- stamp, audit    what is sent, what came
//! ```
//!
//! Every attempt is accounted for, every latency counts from when it should have begun, and the
//! generator is judged before the server is.

// Nothing of a program is reached from outside; `pub` tells what other modules use.
#![allow(unreachable_pub)]

mod accounting;
mod args;
mod attack;
mod audit;
mod books;
mod capacity;
mod cast;
mod casting;
mod charge;
mod check;
mod client;
mod compare;
mod cost;
mod driver;
mod fit;
mod fleet;
mod gauge;
mod heat;
mod host;
mod html;
mod journal;
mod latency;
mod manual;
mod merge;
mod model;
mod payload;
mod plan;
mod ports;
mod proc;
mod ramp;
mod remote;
mod report;
mod result;
mod run;
mod sampling;
mod schedule;
mod screen;
mod selftest;
mod series;
mod server;
mod sessions;
mod slo;
mod slow;
mod spread;
mod stamp;
mod sweep;
mod table;
mod tally;
mod target;
mod topics;
mod turnover;
mod units;
mod verdict;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use mimalloc::MiMalloc;

use crate::args::{Cli, Command, RunArgs, ServeArgs};
use crate::attack::AttackArgs;
use crate::capacity::CapacityArgs;
use crate::run::Refusal;
use crate::sweep::SweepArgs;
use crate::verdict::Exit;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let environment = env_logger::Env::default().default_filter_or("warn");
    let log = env_logger::Target::Pipe(Box::new(screen::Log));
    env_logger::Builder::from_env(environment).target(log).init();
    // Both sides of a measurement, since the server brought along inherits it.
    if let Err(error) = corecast::reactor::memory::use_small_pages() {
        log::info!("memory comes in huge pages, which blurs what a connection costs: {error}");
    }
    let cli = Cli::parse();
    let exit = match (cli.command, cli.run) {
        (Some(Command::Serve(args)), _) => serve(&args),
        (Some(Command::Run(args)), _) => run(&args),
        (Some(Command::Capacity(args)), _) => capacity(&args),
        (Some(Command::Sweep(args)), _) => sweep(&args),
        (Some(Command::Attack(args)), _) => attack(&args),
        (Some(Command::Merge(args)), _) => concluded(merge::merge(&args)),
        (Some(Command::Compare(args)), _) => concluded(compare::compare(&args)),
        (Some(Command::Check(args)), _) => concluded(check::check(&args)),
        (Some(Command::Report(args)), _) => concluded(html::command::report(&args)),
        (Some(Command::Fit(args)), _) => concluded(fit::fit(&args)),
        (Some(Command::Selftest(args)), _) => concluded(selftest::selftest(&args)),
        (Some(Command::Worker(args)), _) => concluded(remote::serve(&args)),
        (Some(Command::Completions(args)), _) => written(manual::completions(&args)),
        (Some(Command::Man(args)), _) => written(manual::man(&args)),
        (None, Some(args)) => run(&args),
        (None, None) => Cli::command()
            .error(
                clap::error::ErrorKind::MissingRequiredArgument,
                "how many connections? (--conns N)",
            )
            .exit(),
    };
    ExitCode::from(exit as u8)
}

fn run(args: &RunArgs) -> Exit {
    run::run(args).unwrap_or_else(|refusal| refused(&refusal))
}

fn capacity(args: &CapacityArgs) -> Exit {
    capacity::capacity(args).unwrap_or_else(|refusal| refused(&refusal))
}

fn sweep(args: &SweepArgs) -> Exit {
    sweep::sweep(args).unwrap_or_else(|refusal| refused(&refusal))
}

fn attack(args: &AttackArgs) -> Exit {
    attack::attack(args).unwrap_or_else(|refusal| refused(&refusal))
}

/// How the program ends, with the reason if nothing was done.
fn concluded(result: Result<Exit, Refusal>) -> Exit {
    result.unwrap_or_else(|refusal| refused(&refusal))
}

/// Says why nothing was done.
fn refused(refusal: &Refusal) -> Exit {
    log::error!("{refusal}");
    refusal.exit
}

/// What becomes of something that was only to be written.
fn written(result: Result<(), String>) -> Exit {
    result.map_or_else(
        |error| {
            log::error!("{error}");
            Exit::Preflight
        },
        |()| Exit::Held,
    )
}

fn serve(args: &ServeArgs) -> Exit {
    match server::serve(args) {
        Ok(()) => Exit::Held,
        Err(error) => {
            log::error!("the server: {error}");
            Exit::Preflight
        }
    }
}
