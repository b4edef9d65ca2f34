//! Attacks a server beside connections that mean well, and tells how both fare.
//!
//! ```text
//!   fleet:    resize(good) - trial: baseline - trial: under attack ------------- dismiss
//!   mob:                                       unleash ... reckon, dismiss
//!   memory:                  before            worst                     after
//! ```
//!
//! Each kind has a server of its own, unless one is named, so that none inherits what another did.
//! An attack holds if no good connection is lost, their p99 and the server's memory stay within
//! bounds, and every attacker is answered as the limit that it runs into promises.

mod abuse;
mod args;
mod attacker;
mod camp;
mod kind;
mod load;
mod lookout;
mod message;
mod mob;
mod opening;
mod report;
mod script;
mod table;

use std::io::{self, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use corecast::reactor::fds::{self, Limit};
use corecast::tls::Random;

use self::camp::Camp;
use self::kind::Kind;
use self::lookout::{LOOK_INTERVAL, Lookout};
use self::mob::Crowd;
use self::report::{Bounds, Document, Finding, Footprint};
use crate::fleet::{Fleet, Glance, Halt};
use crate::run::{self, Refusal};
use crate::screen::{Audience, Screen};
use crate::target::Target;
use crate::verdict::{Exit, Gate, Validity};

pub use args::AttackArgs;

/// How long the attackers read what they were told, after the attack.
const RECKONING: Duration = Duration::from_millis(500);

/// How long the server has to give back what the attack took.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// Does what `args` ask for, and reports.
///
/// # Errors
///
/// What stood in the way of it. A server that gives way is no error but a verdict.
pub fn attack(args: &AttackArgs) -> Result<Exit, Refusal> {
    let preflight = |error: io::Error| Refusal::new(Exit::Preflight, error);
    guard(args)?;
    let siege = Siege {
        args,
        interrupted: run::interruption().map_err(preflight)?,
        files: fds::raise_limit().map_err(preflight)?,
        seed: args.seed.unwrap_or_else(|| u64::from_ne_bytes(Random::new().draw())),
    };
    let mut document = Document::new(args, siege.seed);
    for kind in kinds(args) {
        if siege.interrupted.load(Ordering::Relaxed) {
            break;
        }
        let finding = siege.lay(kind)?;
        say(args, &finding.page())?;
        document.add(finding);
    }
    if siege.interrupted.load(Ordering::Relaxed) {
        document.exit = Exit::Interrupted as u8;
    }
    if args.kind == Kind::All {
        say(args, &table::markdown(document.attacks()))?;
    }
    write(args, &document)?;
    Ok(document.worst())
}

/// Refuses what could hurt somebody else.
fn guard(args: &AttackArgs) -> Result<(), Refusal> {
    let usage = |reason: &str| Err(Refusal::new(Exit::Usage, reason));
    let secure = args.url.as_ref().map_or(!args.plain, |target| target.secure);
    if args.kind.needs_tls() && !secure {
        return usage("half-open attacks TLS, and this server would be without it");
    }
    if args.attackers == 0 || args.good == 0 || u32::try_from(args.attackers).is_err() {
        return usage("--attackers and --good must be from 1 to 4,294,967,295");
    }
    let Some(target) = &args.url else { return Ok(()) };
    let address = target.resolve().map_err(|error| unreachable(target, &error))?;
    if is_ours(address.ip()) || args.i_own_this_host {
        return Ok(());
    }
    Err(Refusal::new(
        Exit::Usage,
        format!(
            "{} is not on loopback: --i-own-this-host says that it is yours to attack",
            target.host
        ),
    ))
}

fn is_ours(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn unreachable(target: &Target, error: &io::Error) -> Refusal {
    Refusal::new(Exit::Unreachable, format!("{}: {error}", target.url()))
}

/// The kinds that are meant, without those that this server leaves no room for.
fn kinds(args: &AttackArgs) -> Vec<Kind> {
    let secure = args.url.as_ref().map_or(!args.plain, |target| target.secure);
    args.kind.each().into_iter().filter(|kind| secure || !kind.needs_tls()).collect()
}

/// What all attacks of a command have in common.
struct Siege<'a> {
    args: &'a AttackArgs,
    interrupted: Arc<AtomicBool>,
    files: Limit,
    seed: u64,
}

impl Siege<'_> {
    /// One attack, from an idle server to what is left of it.
    fn lay(&self, kind: Kind) -> Result<Finding, Refusal> {
        let camp = self.pitch(kind)?;
        let url = camp.subject.target.url();
        let audience = if self.args.quiet { Audience::Nobody } else { Audience::Terminal };
        let mut screen = Screen::new(audience, &camp.stand.plan, &url, camp.stand.setting.now());
        let look = camp.lookout();
        let mut show = |glance: &Glance<'_>| {
            look.look(glance.now);
            screen.show(glance);
        };
        let mut fleet = Fleet::launch(camp.stand.clone(), &mut show).map_err(broke)?;
        let measured = self.measure(&camp, &mut fleet, &look, kind);
        let ledger = fleet.dismiss().map_err(broke)?;
        let mut finding = measured?;
        if ledger.halt == Some(Halt::Interrupted) {
            finding.exit = Exit::Interrupted as u8;
        }
        Ok(finding)
    }

    fn measure(
        &self,
        camp: &Camp,
        fleet: &mut Fleet<'_>,
        look: &Lookout,
        kind: Kind,
    ) -> Result<Finding, Refusal> {
        let resized = fleet.resize(camp.stand.plan.conns);
        if fleet.open() == 0 && fleet.halt().is_none() {
            return Err(Refusal::new(Exit::Unreachable, "not one good connection opened"));
        }
        // As long as the attack, so that what grows in a while is there before.
        let baseline = fleet.trial(self.args.baseline.unwrap_or(camp.hold));
        let good = fleet.open();
        let before = look.now();
        look.forget();
        let crowd = Crowd::unleash(camp.muster(self.args), run::clock()).map_err(broke)?;
        let attacked = fleet.trial(camp.hold);
        crowd.reckon();
        fleet.rest(RECKONING);
        let (worst, worst_kernel) = (look.worst(), look.worst_kernel());
        let census = crowd.dismiss().map_err(broke)?;
        let after = before.and_then(|before| self.recovered(fleet, look, before));
        let gate = Gate {
            lag_max: self.args.max_self_lag,
            cpu_percent_max: 100,
            may_be_invalid: self.args.allow_invalid,
            is_co_located: camp.subject.is_here(),
        };
        let judge = |trial| Validity::new(&camp.stand.plan, &resized, trial, &gate);
        let (validity, attacked_validity) = (judge(&baseline), judge(&attacked));
        Ok(Finding::new(
            kind,
            &camp.script,
            &census,
            report::Echoes { baseline: &baseline, attacked: &attacked },
            report::Good { before: good, after: fleet.open() },
            Footprint { before, worst, after, worst_kernel },
            &Bounds::new(self.args),
            report::Faith { calm: &validity, attacked: &attacked_validity },
        ))
    }

    /// The server's memory once it is back within bounds, or when there is no more waiting for it.
    fn recovered(&self, fleet: &mut Fleet<'_>, look: &Lookout, before: u64) -> Option<u64> {
        let patience = run::clock() + RECOVERY_MAX;
        loop {
            let now = look.now()?;
            let is_back = now <= before + before * self.args.max_growth / 100;
            let is_over = run::clock() >= patience || fleet.halt().is_some();
            if is_back || is_over {
                return Some(now);
            }
            fleet.rest(LOOK_INTERVAL);
        }
    }
}

#[allow(clippy::needless_pass_by_value)] // as `map_err` gives it
fn broke(error: io::Error) -> Refusal {
    Refusal::new(Exit::Inconsistent, format!("a driver failed: {error}"))
}

/// Whether the JSON is what standard output is for.
fn is_taken(args: &AttackArgs) -> bool {
    args.json.as_deref() == Some(Path::new("-"))
}

fn say(args: &AttackArgs, text: &str) -> Result<(), Refusal> {
    if args.quiet || is_taken(args) {
        return Ok(());
    }
    let said = io::stdout().lock().write_all(text.as_bytes());
    said.map_err(|error| Refusal::new(Exit::Broken, error))
}

fn write(args: &AttackArgs, document: &Document) -> Result<(), Refusal> {
    let Some(path) = &args.json else { return Ok(()) };
    let text = document.text().map_err(|error| Refusal::new(Exit::Broken, error))?;
    let written = if is_taken(args) {
        io::stdout().lock().write_all(text.as_bytes())
    } else {
        run::write(path, &text)
    };
    written.map_err(|error| Refusal::new(Exit::Broken, error))
}
