//! One run from the command line to the exit code.

mod replay;

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use corecast::reactor::fds::{self, Limit};
use corecast::tls::config::{self, ConfigError, Identity, Trust, Wishes};
use corecast::tls::{Random, trust};
use corecast::ws;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::args::{KeyShare, LimitArgs, RunArgs, ServeArgs, TlsArgs, Version, WebSocketArgs};
use crate::cast::Part;
use crate::charge::Charges;
use crate::check;
use crate::client::Greeting;
use crate::driver::board::Board;
use crate::driver::scene::Setting;
use crate::fleet::{Accord, Fleet, Glance, Stand, Trial};
use crate::host::Machine;
use crate::html;
use crate::payload::PAYLOAD_LEN_MAX;
use crate::plan::{Obstacle, Plan};
use crate::remote;
use crate::report::{Findings, file, text};
use crate::screen::{self, Controls, Screen};
use crate::server::Embedded;
use crate::sessions::Sessions;
use crate::stamp::Press;
use crate::target::Target;
use crate::verdict::{Exit, Gate, Outcome, Verdict};

/// How long the server may take to answer the first knock.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there was no run.
#[derive(Debug)]
pub struct Refusal {
    /// How the program ends.
    pub exit: Exit,
    reason: String,
}

impl Refusal {
    /// One that ends the program so, for this reason.
    pub fn new(exit: Exit, reason: impl fmt::Display) -> Self {
        Self { exit, reason: reason.to_string() }
    }
}

impl From<Obstacle> for Refusal {
    fn from(obstacle: Obstacle) -> Self {
        let exit = match obstacle {
            Obstacle::OutOfRange { .. } | Obstacle::Mixture { .. } => Exit::Usage,
            Obstacle::Files(_) | Obstacle::Ports { .. } => Exit::Preflight,
        };
        Self::new(exit, obstacle)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// Does what `args` ask for, and reports.
///
/// # Errors
///
/// What stood in the way of a run. A run that went badly is no error but a verdict.
pub fn run(args: &RunArgs) -> Result<Exit, Refusal> {
    if let Some(path) = &args.replay {
        return run(&replay::replayed(path, args)?);
    }
    let interrupted = interruption().map_err(|error| Refusal::new(Exit::Preflight, error))?;
    if !args.remote.workers.is_empty() {
        return remote::coordinate(args, &interrupted);
    }
    let files = fds::raise_limit().map_err(|error| Refusal::new(Exit::Preflight, error))?;
    conduct(args, &interrupted, files, |findings| report(args, findings))
}

/// Does what `args` ask for where a table may hold `files` files, until it is `interrupted`, and
/// has `report` tell what was found.
///
/// # Errors
///
/// What stood in the way of a run, or of telling about it.
pub fn conduct(
    args: &RunArgs,
    interrupted: &Arc<AtomicBool>,
    files: Limit,
    report: impl FnOnce(&Findings<'_>) -> io::Result<()>,
) -> Result<Exit, Refusal> {
    conduct_among(args, interrupted, files, None, report)
}

/// The same as one of several that keep step by their `accord`, if there is one.
///
/// # Errors
///
/// Also that the others did not let it begin.
pub fn conduct_among(
    args: &RunArgs,
    interrupted: &Arc<AtomicBool>,
    files: Limit,
    mut accord: Option<Box<dyn Accord>>,
    report: impl FnOnce(&Findings<'_>) -> io::Result<()>,
) -> Result<Exit, Refusal> {
    let plan = Plan::new(args, files, || u64::from_ne_bytes(Random::new().draw()))?;
    let subject = Subject::find(args, &plan)?;
    check::gate(args, &plan, &subject)?;
    let machine = Machine::here([files.before, files.now]);
    let sources = plan.sources(subject.address)?;
    let url = subject.target.url();
    let addresses = sources.as_ref().map(|sources| sources.addresses().len());
    let plan = Arc::new(plan);
    let setting = begin(args, &plan, &subject, &mut accord)?;
    let started = started();
    let stand = Stand {
        setting: Arc::new(setting),
        plan: Arc::clone(&plan),
        target: subject.address,
        sources,
        server_pid: subject.embedded.as_ref().map(Embedded::pid).or(args.server.server_pid),
        self_cpu_percent_max: args.generator.max_self_cpu,
        interrupted: Arc::clone(interrupted),
    };
    if let Some(path) = &plan.journal {
        write(path, "").map_err(|error| Refusal::new(Exit::Usage, format!("--hdr: {error}")))?;
    }
    let gate = Gate {
        lag_max: args.generator.max_self_lag,
        cpu_percent_max: args.generator.max_self_cpu,
        may_be_invalid: args.generator.allow_invalid,
        is_co_located: subject.is_here(),
    };
    let labels = args.output.label.iter().cloned().collect();
    let judged = |outcome: &Outcome, tell: &mut dyn FnMut(&Findings<'_>) -> io::Result<()>| {
        let before = &outcome.ledger.before;
        let charges = Charges::new(before, &outcome.resized, &outcome.trial, gate.is_co_located);
        let verdict = Verdict::new(&plan, &args.measure.slo, outcome, &charges, &gate);
        tell(&Findings {
            plan: &plan,
            url: &url,
            labels: &labels,
            server_workers: subject.embedded.as_ref().map(Embedded::workers),
            server_cores: subject.embedded.as_ref().map(Embedded::cores),
            addresses,
            started,
            epoch: stand.setting.epoch,
            machine: &machine,
            charges: &charges,
            verdict: &verdict,
            outcome,
        })?;
        Ok::<_, io::Error>(verdict.exit)
    };
    let mut count = 0;
    let mut snapshot = |glance: &Glance<'_>| {
        count += 1;
        let path = snapshot_path(args.output.json.as_deref(), plan.seed, count);
        let outcome = screen::outcome(glance);
        let taken = judged(&outcome, &mut |it| write(&path, &file::document(it).text()?));
        taken.map(|_| path.display().to_string()).map_err(|error| error.to_string())
    };
    let outcome = measure(args, &stand, &url, &mut snapshot, accord)?;
    let mut report = Some(report);
    let told = judged(&outcome, &mut |it| report.take().map_or(Ok(()), |report| report(it)));
    told.map_err(|error| Refusal::new(Exit::Broken, error))
}

/// What the connections have in common, counting from now, or from when all that are of one
/// `accord` begin.
fn begin(
    args: &RunArgs,
    plan: &Plan,
    subject: &Subject,
    accord: &mut Option<Box<dyn Accord>>,
) -> Result<Setting, Refusal> {
    let mut setting = setting(args, plan, subject);
    fetch_tickets(&setting, subject, plan)?;
    if let Some(accord) = accord {
        let epoch = accord.start().map_err(|error| Refusal::new(Exit::Interrupted, error))?;
        setting.epoch = epoch;
    }
    Ok(setting)
}

/// Where the result in the midst of a run is written: beside the one of its end.
fn snapshot_path(json: Option<&Path>, seed: u64, count: u32) -> PathBuf {
    match json.filter(|path| *path != Path::new("-")) {
        Some(path) => path.with_extension(format!("snapshot-{count}.json")),
        None => format!("loadgen-{seed:x}.snapshot-{count}.json").into(),
    }
}

/// The server to be measured.
#[derive(Debug)]
pub struct Subject {
    /// What names it.
    pub target: Target,
    /// Where it listens.
    pub address: SocketAddr,
    /// How to speak TLS with it, if it does.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// The process, if we have started it.
    pub embedded: Option<Embedded>,
}

impl Subject {
    /// The server that `args` name, or one of our own, sized for the plan.
    pub fn find(args: &RunArgs, plan: &Plan) -> Result<Self, Refusal> {
        match &args.url {
            Some(target) => Self::named(&args.tls, target, &args.network.server_addrs),
            None => Self::brought(
                plan,
                &ServeArgs {
                    conns: u64::from(plan.conns),
                    tls: !args.tls.plain,
                    deflate: args.websocket.deflate,
                    cores: args.server_cores,
                    limits: LimitArgs::default(),
                },
                &args.tls,
            ),
        }
    }

    /// The server that the command line names, at `addresses` if there are any; it must at least
    /// be there.
    pub fn named(
        args: &TlsArgs,
        target: &Target,
        addresses: &[SocketAddr],
    ) -> Result<Self, Refusal> {
        let unreachable =
            |error| Refusal::new(Exit::Unreachable, format!("{}: {error}", target.url()));
        let address = match addresses.first() {
            Some(address) => *address,
            None => target.resolve().map_err(unreachable)?,
        };
        for address in std::iter::once(&address).chain(addresses.iter().skip(1)) {
            let reached = TcpStream::connect_timeout(address, PROBE_TIMEOUT);
            reached.map_err(|error| {
                Refusal::new(Exit::Unreachable, format!("{} at {address}: {error}", target.url()))
            })?;
        }
        let tls = target.secure.then(|| {
            let name = args.sni.as_ref().unwrap_or(&target.host);
            named_config(args, trust(args).map_err(|error| error.to_string()), name)
        });
        Ok(Self { target: target.clone(), address, tls: tls.transpose()?, embedded: None })
    }

    /// A server of our own.
    pub fn brought(plan: &Plan, args: &ServeArgs, tls: &TlsArgs) -> Result<Self, Refusal> {
        let embedded = Embedded::start(args).map_err(|error| {
            Refusal::new(Exit::Preflight, format!("the server could not be started: {error}"))
        })?;
        let address = embedded.address();
        let target = Target {
            secure: embedded.authority().is_some(),
            host: address.ip().to_string(),
            port: address.port(),
            path: plan.cast.parts().first().map_or("/", |part| part.role.path()).to_owned(),
        };
        let tls = embedded.authority().map(|pem| {
            let trust = trust::in_text(pem).map_err(|error| error.to_string());
            named_config(tls, trust, &target.host)
        });
        Ok(Self { address, tls: tls.transpose()?, target, embedded: Some(embedded) })
    }

    /// Whether the server shares this machine with us, as far as we know.
    pub fn is_here(&self) -> bool {
        self.embedded.is_some() || self.address.ip().is_loopback()
    }
}

/// How to speak TLS as `args` say with a server that must prove to be `name`.
fn named_config(
    args: &TlsArgs,
    trust: Result<Trust, String>,
    name: &str,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), Refusal> {
    let identity = args.client_cert.as_ref().zip(args.client_key.as_ref());
    let identity = identity.map(|(chain, key)| Identity::read(chain, key)).transpose();
    let wishes = identity.map(|identity| Wishes {
        identity,
        version: args.tls.map(Version::rustls),
        group: args.key_share.map(KeyShare::group),
    });
    let config = trust.and_then(|trust| {
        let config = wishes.and_then(|wishes| config::compact_client_config(trust, wishes));
        config.map_err(|error| error.to_string())
    });
    let config = config.map_err(|error| Refusal::new(Exit::Preflight, error))?;
    let server = ServerName::try_from(name.to_owned());
    let server = server.map_err(|error| Refusal::new(Exit::Usage, format!("{name}: {error}")));
    Ok((config, server?))
}

/// What the connections of a run have in common.
pub fn setting(args: &RunArgs, plan: &Plan, subject: &Subject) -> Setting {
    Setting {
        greeting: Greeting {
            tls: subject.tls.clone(),
            sessions: sessions(&args.tls, subject),
            authority: subject.target.authority(),
            paths: paths(plan, subject),
            subprotocols: args.websocket.subprotocol.clone(),
            deflate: args.websocket.deflate,
            headers: headers(&args.websocket),
            mask: args.websocket.mask,
            limits: ws::Limits { message_bytes_max: PAYLOAD_LEN_MAX, fragments_max: 1_024 },
        },
        press: Press::new(plan.run_id(), &plan.payload, plan.verify),
        board: Board::new(&plan.cast),
        verify: plan.verify,
        epoch: clock(),
        clock,
    }
}

/// Which connections come back to a session.
fn sessions(args: &TlsArgs, subject: &Subject) -> Option<Sessions> {
    let (config, _) = subject.tls.as_ref().filter(|_| args.resume.0 > 0.0)?;
    Some(Sessions::new(config, args.resume, args.session_cache))
}

/// Fetches the tickets of those that come back first.
fn fetch_tickets(setting: &Setting, subject: &Subject, plan: &Plan) -> Result<(), Refusal> {
    let Greeting { sessions: Some(sessions), tls: Some((_, name)), .. } = &setting.greeting else {
        return Ok(());
    };
    sessions.fetch(name, subject.address, plan.conns).map_err(|error| {
        Refusal::new(Exit::Preflight, format!("--resume: {}: {error}", subject.target.url()))
    })
}

/// Whom `args` say to trust.
///
/// # Errors
///
/// The file at fault, and what is wrong with it.
pub fn trust(args: &TlsArgs) -> Result<Trust, ConfigError> {
    match &args.ca {
        Some(path) => trust::in_file(path),
        None if args.insecure => Ok(Trust::Anyone),
        None => trust::system(None),
    }
}

/// The further headers of a request.
pub fn headers(args: &WebSocketArgs) -> Vec<(String, String)> {
    let origin = args.origin.iter().map(|origin| ("Origin".to_owned(), origin.clone()));
    args.header.iter().cloned().chain(origin).collect()
}

/// Where each part of the cast connects to.
fn paths(plan: &Plan, subject: &Subject) -> Vec<String> {
    let path = |part: &Part| match (&part.path, &subject.embedded) {
        (Some(path), _) => path.clone(),
        (None, Some(_)) => part.role.path().to_owned(),
        (None, None) => subject.target.path.clone(),
    };
    plan.cast.parts().iter().map(path).collect()
}

/// Opens, holds and closes while a screen shows it.
fn measure(
    args: &RunArgs,
    stand: &Stand,
    url: &str,
    snapshot: &mut dyn FnMut(&Glance<'_>) -> Result<String, String>,
    accord: Option<Box<dyn Accord>>,
) -> Result<Outcome, Refusal> {
    let failed = |error| Refusal::new(Exit::Inconsistent, format!("a driver failed: {error}"));
    let plan = Arc::clone(&stand.plan);
    let wish = Arc::default();
    let controls = Controls {
        objectives: &args.measure.slo,
        lag_max: args.generator.max_self_lag,
        snapshot,
        wish: Arc::clone(&wish),
        wished: plan.conns,
    };
    let screen = Screen::new(args.output.audience(), &plan, url, stand.setting.now());
    let mut screen = screen.with(controls);
    let mut show = |glance: &Glance<'_>| screen.show(glance);
    let mut fleet = Fleet::launch(stand.clone(), &mut show).map_err(failed)?;
    fleet.heed(wish);
    if let Some(accord) = accord {
        fleet.keep_step(accord);
    }
    let resized = fleet.resize(plan.conns);
    let hold = plan.hold_after(resized.span.to);
    let is_held = fleet.open() > 0 && fleet.halt().is_none() && !hold.is_zero();
    let trial = if is_held { fleet.trial(hold) } else { Trial::default() };
    let ledger = fleet.dismiss().map_err(failed)?;
    Ok(Outcome { resized, trial, ledger })
}

/// Writes what was asked for: the page, unless all shall be quiet, and the file.
fn report(args: &RunArgs, findings: &Findings<'_>) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let json_to = args.output.json.as_deref();
    let is_taken = json_to == Some(Path::new("-"));
    if !args.output.quiet && !is_taken {
        stdout.write_all(text::page(findings).as_bytes())?;
    }
    if let Some(path) = &args.output.csv {
        write(path, &findings.outcome.ledger.series.csv())?;
    }
    if let Some(path) = &args.output.html {
        html::command::write(path, &file::document(findings), None)?;
    }
    let Some(path) = json_to else { return Ok(()) };
    let document = file::document(findings).text()?;
    if is_taken {
        return stdout.write_all(document.as_bytes());
    }
    write(path, &document)?;
    if !args.output.quiet {
        let path = path.display();
        writeln!(stdout, "{:<12}{path}    again: loadgen run --replay {path}", "Wrote")?;
    }
    Ok(())
}

/// Writes a file; an error names it.
pub fn write(path: &Path, text: &str) -> io::Result<()> {
    let named = |error| io::Error::other(format!("{}: {error}", path.display()));
    fs::write(path, text).map_err(named)
}

/// A flag that an interrupt raises. A second one ends the program at once; the server brought along
/// then ends with its standard input. However a signal ends it, the terminal is given back first.
pub fn interruption() -> io::Result<Arc<AtomicBool>> {
    let raised = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&raised);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    let heed = move || {
        for signal in signals.forever() {
            let is_polite = matches!(signal, SIGINT | SIGTERM);
            if is_polite && !flag.swap(true, Ordering::Relaxed) {
                continue;
            }
            screen::restore();
            if is_polite {
                std::process::exit(Exit::Interrupted as i32);
            }
            // Ends the program as if nobody had listened.
            let _ = low_level::emulate_default_handler(signal);
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(heed)?;
    Ok(raised)
}

/// The time now.
#[allow(clippy::disallowed_methods)] // the one clock of the generator
pub fn clock() -> Instant {
    Instant::now()
}

/// When a run is said to have begun.
#[allow(clippy::disallowed_methods)] // a report says when it was made
pub fn started() -> SystemTime {
    SystemTime::now()
}
