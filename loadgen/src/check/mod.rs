//! The pre-flight list: everything outside of the server that has spoilt such measurements before,
//! looked at in seconds and without being root.
//!
//! ```text
//!   look: /proc, /sys ---\
//!                         Facts --+-- rules --> Findings --> page, JSON, script
//!   ask: the server -----/   Need-/
//! ```
//!
//! What is found follows from [`Facts`] and [`Need`] alone, so that every rule can be tried with a
//! machine that is not at hand. What could not be read is unknown, and unknown is not good.

mod ask;
mod diag;
mod facts;
mod finding;
mod groups;
mod look;
mod machine;
mod need;
mod network;
mod page;
mod resources;
mod service;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use corecast::reactor::fds::{self, Limit};
use corecast::tls::config::Trust;
use corecast::tls::trust;

use self::ask::Inquiry;
use self::facts::Facts;
use self::finding::{Finding, Level};
use self::need::Need;
use self::page::Page;
use crate::args::RunArgs;
use crate::plan::{self, Plan};
use crate::run::{self, Refusal, Subject};
use crate::target::Target;
use crate::verdict::Exit;

pub use self::resources::raise_files;

/// What may be said to `check`: all that may be said to `run`, so that a run is checked by putting
/// one word before it.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// Write what mends the findings to this file, as a script for a shell; nothing of it is run
    #[arg(long, value_name = "FILE", help_heading = "Check")]
    pub fix_script: Option<PathBuf>,

    /// The run that is to be.
    #[command(flatten)]
    pub run: RunArgs,
}

/// A look at one thing.
type Rule = fn(&Facts, &Need) -> Finding;

/// All looks, in the order in which they are told.
const RULES: [Rule; 32] = [
    resources::open_files,
    resources::soft_files,
    resources::nr_open,
    resources::file_max,
    resources::tasks,
    resources::memory,
    resources::tcp_memory,
    resources::swap,
    network::ports,
    network::reserved_ports,
    network::time_wait,
    network::somaxconn,
    network::syn_backlog,
    network::server_queue,
    network::conntrack,
    network::interfaces,
    machine::cpuset,
    machine::quota,
    machine::governor,
    machine::smt,
    machine::steal,
    machine::clock_source,
    machine::time_of_day,
    machine::kernel,
    service::reachable,
    service::certificate,
    service::resumption,
    service::upgrade,
    service::echo,
    service::route,
    service::container,
    service::proxy,
];

/// What a run looks at by itself before it connects, beside its open files and ports: what is sure
/// to end it badly.
const DECISIVE: [Rule; 5] =
    [resources::file_max, resources::tasks, resources::memory, network::conntrack, network::ports];

/// Looks at everything, and tells.
///
/// # Errors
///
/// What is wrong with the command line, or with the files that are to be written.
pub fn check(args: &CheckArgs) -> Result<Exit, Refusal> {
    let files = fds::raise_limit().map_err(|error| Refusal::new(Exit::Preflight, error))?;
    // The plan is made as if files were enough, so that everything else is looked at, too.
    let enough = Limit { now: files.now.max(plan::files_needed(&args.run)), ..files };
    let plan = Plan::new(&args.run, enough, || 0)?;
    let suspect = Suspect::find(&args.run, &plan);
    let address = suspect.address.as_ref().ok().copied();
    let need = Need::new(&args.run, &plan, address, suspect.target.secure);
    let url = suspect.target.url();
    let facts = look::look(address, files);
    let facts = Facts { server: suspect.ask(&args.run), ..facts };
    let page = Page::new(need.conns, url, findings(&facts, &need));
    tell(args, &page).map_err(|error| Refusal::new(Exit::Broken, error))?;
    Ok(if page.level() == Level::Fail { Exit::Preflight } else { Exit::Held })
}

/// What is found of `facts` where `need` is needed.
fn findings(facts: &Facts, need: &Need) -> Vec<Finding> {
    RULES.iter().map(|rule| rule(facts, need)).collect()
}

/// Looks whether a run of `args` can succeed against `subject`.
///
/// # Errors
///
/// What it lacks, with the command that mends it.
pub fn gate(args: &RunArgs, plan: &Plan, subject: &Subject) -> Result<(), Refusal> {
    let address = Some(subject.address);
    let need = Need::new(args, plan, address, subject.tls.is_some());
    lacking(&look::look(address, plan.files), &need)
        .map_or(Ok(()), |lack| Err(Refusal::new(Exit::Preflight, lack.sentence())))
}

/// The first thing without which a run cannot succeed.
fn lacking(facts: &Facts, need: &Need) -> Option<Finding> {
    let mut findings = DECISIVE.iter().map(|rule| rule(facts, need));
    findings.find(|finding| finding.level == Level::Fail)
}

/// The server that is to be asked, as far as there is one.
struct Suspect {
    target: Target,
    address: Result<SocketAddr, String>,
    /// Kept alive, if it is ours: it ends with this.
    brought: Option<Subject>,
}

impl Suspect {
    /// The server that `args` name, or one of our own.
    fn find(args: &RunArgs, plan: &Plan) -> Self {
        if let Some(target) = &args.url {
            let address = target.resolve().map_err(|error| error.to_string());
            return Self { target: target.clone(), address, brought: None };
        }
        match Subject::find(args, plan) {
            Ok(subject) => Self {
                target: subject.target.clone(),
                address: Ok(subject.address),
                brought: Some(subject),
            },
            Err(refusal) => {
                let host = Ipv4Addr::LOCALHOST.to_string();
                let secure = !args.tls.plain;
                let target = Target { secure, host, port: 0, path: "/".to_owned() };
                Self { target, address: Err(refusal.to_string()), brought: None }
            }
        }
    }

    fn ask(self, args: &RunArgs) -> facts::Server {
        let trust = self.target.secure.then(|| self.trust(args));
        let inquiry = Inquiry {
            target: &self.target,
            address: self.address.clone(),
            trust,
            name: args.tls.sni.clone(),
            subprotocols: args.websocket.subprotocol.clone(),
            headers: run::headers(&args.websocket),
        };
        inquiry.ask()
    }

    /// Whom to trust.
    fn trust(&self, args: &RunArgs) -> Result<Trust, String> {
        let embedded = self.brought.as_ref().and_then(|subject| subject.embedded.as_ref());
        match embedded.and_then(|embedded| embedded.authority()) {
            Some(pem) => trust::in_text(pem).map_err(|error| error.to_string()),
            None => run::trust(&args.tls).map_err(|error| error.to_string()),
        }
    }
}

/// Prints the findings, and writes the files that were asked for.
fn tell(args: &CheckArgs, page: &Page) -> io::Result<()> {
    if let Some(path) = &args.fix_script {
        run::write(path, &page.script())?;
    }
    let mut stdout = io::stdout().lock();
    match args.run.output.json.as_deref() {
        Some(path) if path == Path::new("-") => return stdout.write_all(page.json()?.as_bytes()),
        Some(path) => run::write(path, &page.json()?)?,
        None => {}
    }
    if args.run.output.quiet { Ok(()) } else { stdout.write_all(page.text().as_bytes()) }
}
