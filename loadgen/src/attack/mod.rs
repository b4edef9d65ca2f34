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
mod kind;
mod message;
mod mob;
mod opening;
mod report;
mod script;

use std::cell::Cell;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corecast::base::Rng;
use corecast::reactor::fds::{self, Limit};
use corecast::tls::Random;
use corecast::worker::Limits;

use self::attacker::Victim;
use self::kind::Kind;
use self::mob::{Crowd, Muster};
use self::report::{Bounds, Document, Finding, Footprint};
use self::script::{Ground, Script};
use crate::args::{Cli, RunArgs, ServeArgs, TlsArgs};
use crate::cost::Memory;
use crate::fleet::{Fleet, Glance, Halt, Stand};
use crate::plan::Plan;
use crate::ports::{Hand, Source, Sources};
use crate::run::{self, Refusal, Subject};
use crate::screen::{Audience, Screen};
use crate::server::{self, Embedded};
use crate::target::Target;
use crate::verdict::{Exit, Gate, Validity};

pub use args::AttackArgs;

/// How long a kind lasts that no limit of time ends.
const SPAN: Duration = Duration::from_secs(10);

/// How many attackers come in a second, at the least.
const ATTACKERS_PER_SECOND: u64 = 500;

/// How often the server's memory is looked at: it takes about a millisecond.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long the attackers read what they were told, after the attack.
const RECKONING: Duration = Duration::from_millis(500);

/// How long the server has to give back what the attack took.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// How many addresses attackers of a server on loopback come from.
const ADDRESSES_APART: u8 = 16;

/// Files beside connections: listeners, wakers, certificates.
const FILES_SPARE: u64 = 64;

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

/// The good connections and the server, before an attack of one kind.
struct Camp {
    stand: Stand,
    script: Arc<Script>,
    victim: Arc<Victim>,
    hold: Duration,
    /// Kept alive: the server ends with it.
    subject: Subject,
}

impl Siege<'_> {
    /// One attack, from an idle server to what is left of it.
    fn lay(&self, kind: Kind) -> Result<Finding, Refusal> {
        let camp = self.pitch(kind)?;
        let url = camp.subject.target.url();
        let audience = if self.args.quiet { Audience::Nobody } else { Audience::Terminal };
        let mut screen = Screen::new(audience, &camp.stand.plan, &url, camp.stand.setting.now());
        let look = Lookout::new(camp.stand.server_pid, run::clock());
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
        let baseline = fleet.trial(self.args.baseline);
        let good = fleet.open();
        let before = look.now();
        look.forget();
        let crowd = Crowd::unleash(camp.muster(self.args), run::clock()).map_err(broke)?;
        let attacked = fleet.trial(camp.hold);
        crowd.reckon();
        fleet.rest(RECKONING);
        let worst = look.worst();
        let census = crowd.dismiss().map_err(broke)?;
        let after = before.and_then(|before| self.recovered(fleet, look, before));
        let gate = Gate {
            lag_max: self.args.max_self_lag,
            cpu_percent_max: 100,
            may_be_invalid: self.args.allow_invalid,
            is_co_located: camp.subject.is_here(),
        };
        let validity = Validity::new(&camp.stand.plan, &resized, &baseline, &gate);
        Ok(Finding::new(
            kind,
            &camp.script,
            &census,
            report::Echoes { baseline: &baseline, attacked: &attacked },
            report::Good { before: good, after: fleet.open() },
            Footprint { before, worst, after },
            &Bounds::new(self.args),
            &validity,
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

    /// Everything that an attack of this kind needs.
    fn pitch(&self, kind: Kind) -> Result<Camp, Refusal> {
        let args = self.args;
        let run_args = self.good_run()?;
        let plan = Plan::new(&run_args, self.files_for_good(), || self.seed)?;
        let subject = match &args.url {
            Some(target) => Subject::named(&run_args.tls, target, &[])?,
            None => Subject::brought(&plan, &self.server(kind), &run_args.tls)?,
        };
        let mut ground = self.ground();
        let script = kind.script(&mut ground);
        let script = script.ok_or_else(|| Refusal::new(Exit::Usage, "not a kind of its own"))?;
        let come = Duration::from_secs(args.attackers.div_ceil(ATTACKERS_PER_SECOND));
        let sources = plan.sources(subject.address)?;
        let stand = Stand {
            setting: Arc::new(run::setting(&run_args, &plan, &subject)),
            plan: Arc::new(plan),
            target: subject.address,
            sources,
            server_pid: subject.embedded.as_ref().map(Embedded::pid).or(args.server_pid),
            self_cpu_percent_max: 100,
            interrupted: Arc::clone(&self.interrupted),
        };
        let victim = Victim {
            tls: subject.tls.clone(),
            authority: subject.target.authority(),
            echo_path: subject.target.path.clone(),
        };
        Ok(Camp {
            stand,
            hold: args.hold.unwrap_or(script.lasts + come),
            script: Arc::new(script),
            victim: Arc::new(victim),
            subject,
        })
    }

    /// The run of those that mean well.
    fn good_run(&self) -> Result<RunArgs, Refusal> {
        let args = self.args;
        let mut line = format!(
            "loadgen run --scenario echo --conns {} --rate {} --seed {:x}",
            args.good, args.rate, self.seed
        );
        if args.insecure {
            line.push_str(" --insecure");
        }
        let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = Cli::run_of(&words).map_err(|error| Refusal::new(Exit::Usage, error))?;
        let tls = TlsArgs { ca: args.ca.clone(), ..parsed.tls };
        Ok(RunArgs { url: args.url.clone(), tls, ..parsed })
    }

    /// The attackers have their files in the same table.
    fn files_for_good(&self) -> Limit {
        let now = self.files.now.saturating_sub(self.args.attackers + FILES_SPARE);
        Limit { now, ..self.files }
    }

    fn server(&self, kind: Kind) -> ServeArgs {
        ServeArgs {
            conns: self.args.good + self.args.attackers,
            tls: !self.args.plain,
            deflate: kind == Kind::Bomb,
            cores: None,
            hasten: self.args.hasten,
        }
    }

    fn ground(&self) -> Ground {
        let limits = match self.args.url {
            Some(_) => Limits::default(),
            None => server::limits(self.args.hasten),
        };
        let hasten = u32::try_from(self.args.hasten).unwrap_or(u32::MAX).max(1);
        Ground { limits, span: SPAN / hasten, rng: Rng::new(self.seed) }
    }
}

impl Camp {
    fn muster(&self, args: &AttackArgs) -> Muster {
        let (target, seed) = (self.subject.address.ip(), self.stand.plan.seed);
        let sources = Sources::new(&apart(target), target, args.attackers, seed);
        Muster {
            attackers: u32::try_from(args.attackers).unwrap_or(u32::MAX),
            script: Arc::clone(&self.script),
            victim: Arc::clone(&self.victim),
            target: self.stand.target,
            hand: sources.map(|sources| Hand::new(Arc::new(sources), 0, 1)),
        }
    }
}

/// Where attackers come from: on loopback not from where those do that mean well, so that the two
/// are told apart.
fn apart(target: IpAddr) -> Source {
    if target.is_ipv4() && target.is_loopback() {
        let addresses = 1..=ADDRESSES_APART;
        Source::These(addresses.map(|last| Ipv4Addr::new(127, 128, 0, last).into()).collect())
    } else {
        Source::Auto
    }
}

/// Watches the server's memory.
struct Lookout {
    process: Option<String>,
    due: Cell<Instant>,
    worst: Cell<u64>,
}

impl Lookout {
    fn new(process: Option<u32>, now: Instant) -> Self {
        let process = process.map(|pid| pid.to_string());
        Self { process, due: Cell::new(now), worst: Cell::new(0) }
    }

    /// The memory now, if the process is known.
    fn now(&self) -> Option<u64> {
        self.process.as_deref().and_then(Memory::of).map(|memory| memory.private_bytes)
    }

    /// Looks, if it is time.
    fn look(&self, now: Instant) {
        if self.due.get() <= now {
            self.due.set(now + LOOK_INTERVAL);
            self.worst.set(self.worst.get().max(self.now().unwrap_or(0)));
        }
    }

    fn forget(&self) {
        self.worst.set(0);
    }

    /// The most that was seen since it was told to forget.
    fn worst(&self) -> Option<u64> {
        Some(self.worst.get().max(self.now()?))
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
