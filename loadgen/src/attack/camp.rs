//! Everything that an attack of one kind needs: the server, those that mean well, the attackers.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use corecast::base::Rng;
use corecast::reactor::fds::Limit;
use corecast::worker::Limits;

use super::args::AttackArgs;
use super::attacker::Victim;
use super::kind::Kind;
use super::mob::Muster;
use super::script::{Ground, Script};
use super::{Siege, lookout::Lookout};
use crate::args::{Cli, LimitArgs, RunArgs, ServeArgs, TlsArgs};
use crate::fleet::Stand;
use crate::plan::Plan;
use crate::ports::{Hand, Source, Sources};
use crate::run::{self, Refusal, Subject};
use crate::server::{self, Embedded};
use crate::units::Rate;
use crate::verdict::Exit;

/// How long a kind lasts that no limit of time ends.
const SPAN: Duration = Duration::from_secs(10);

/// How many attackers come in a second, unless it is said how long they take.
const ATTACKERS_PER_SECOND: u64 = 500;

/// How many addresses attackers of a server on loopback come from.
const ADDRESSES_APART: u8 = 16;

/// Where those come from who mean well, where an address may bring few: far more addresses than it
/// takes.
const ADDRESSES_OF_THE_GOOD: &str = "127.64.0.0/20";

/// Files beside connections: listeners, wakers, certificates.
const FILES_SPARE: u64 = 64;

/// What an address may bring in a second where new connections are limited, as `corecast serve`
/// recommends it.
const CONNECTS_PER_ADDRESS: u32 = 50;

/// What a connection may send in a second where that is limited, at the least.
const FRAMES_PER_SECOND_MIN: f64 = 100.0;

/// The good connections and the server, before an attack of one kind.
pub struct Camp {
    /// What those that mean well are made of.
    pub stand: Stand,
    /// What the attackers do.
    pub script: Arc<Script>,
    /// How long they do it.
    pub hold: Duration,
    /// The server: it ends with this.
    pub subject: Subject,
    victim: Arc<Victim>,
    /// How long it takes until all attackers have come.
    arrive: Duration,
}

impl Siege<'_> {
    /// Everything that an attack of this kind needs.
    pub(super) fn pitch(&self, kind: Kind) -> Result<Camp, Refusal> {
        let args = self.args;
        let limits = limits(args, kind);
        let run_args = self.good_run(&limits)?;
        let plan = Plan::new(&run_args, self.files_for_good(), || self.seed)?;
        let subject = match &args.url {
            Some(target) => Subject::named(&run_args.tls, target, &[])?,
            None => Subject::brought(&plan, &self.server(kind, limits), &run_args.tls)?,
        };
        let script = kind.script(&mut self.ground(&limits));
        let script = script.ok_or_else(|| Refusal::new(Exit::Usage, "not a kind of its own"))?;
        let arrive = args.arrive.unwrap_or_else(|| {
            Duration::from_millis(args.attackers.saturating_mul(1_000) / ATTACKERS_PER_SECOND)
        });
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
            hold: args.hold.unwrap_or(script.lasts + arrive),
            script: Arc::new(script),
            victim: Arc::new(victim),
            arrive,
            subject,
        })
    }

    /// The run of those that mean well.
    fn good_run(&self, limits: &LimitArgs) -> Result<RunArgs, Refusal> {
        let args = self.args;
        let mut line = format!(
            "loadgen run --scenario echo --conns {} --rate {} --seed {:x}",
            args.good, args.rate, self.seed
        );
        if args.insecure {
            line.push_str(" --insecure");
        }
        if limits.connects_per_address.is_some() {
            line.push_str(" --source ");
            line.push_str(ADDRESSES_OF_THE_GOOD);
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

    fn server(&self, kind: Kind, limits: LimitArgs) -> ServeArgs {
        ServeArgs {
            conns: self.args.good + self.args.attackers,
            tls: !self.args.plain,
            deflate: kind == Kind::Bomb,
            cores: None,
            limits,
        }
    }

    fn ground(&self, limits: &LimitArgs) -> Ground {
        let limits = match self.args.url {
            Some(_) => Limits::default(),
            None => server::limits(limits),
        };
        let hasten = u32::try_from(self.args.hasten).unwrap_or(u32::MAX).max(1);
        Ground { limits, span: SPAN / hasten, rng: Rng::new(self.seed) }
    }
}

impl Camp {
    /// The attackers.
    pub fn muster(&self, args: &AttackArgs) -> Muster {
        let (target, seed) = (self.subject.address.ip(), self.stand.plan.seed);
        let sources = Sources::new(&apart(target), target, args.attackers, seed);
        Muster {
            attackers: u32::try_from(args.attackers).unwrap_or(u32::MAX),
            arrive: self.arrive,
            script: Arc::clone(&self.script),
            victim: Arc::clone(&self.victim),
            target: self.stand.target,
            hand: sources.map(|sources| Hand::new(Arc::new(sources), 0, 1)),
        }
    }

    /// Who watches the server's memory.
    pub fn lookout(&self) -> Lookout {
        Lookout::new(self.stand.server_pid, run::clock())
    }
}

/// The limits of the server that is brought along: as they are by default, and those that an
/// operator has to turn on where they are what a kind runs into.
fn limits(args: &AttackArgs, kind: Kind) -> LimitArgs {
    let is_ours = args.url.is_none();
    let connects = NonZeroU32::new(CONNECTS_PER_ADDRESS);
    LimitArgs {
        hasten: args.hasten,
        message_bytes: Limits::default().session.websocket.message_bytes_max,
        frames_per_second: (is_ours && kind == Kind::PingFlood)
            .then(|| frames_per_second(args.rate)),
        connects_per_address: connects.filter(|_| is_ours && kind == Kind::SubscribeFlood),
    }
}

/// Ten times what those send who mean well.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // within a number's range
fn frames_per_second(rate: Rate) -> NonZeroU32 {
    let most = (10.0 * rate.per_second()).clamp(FRAMES_PER_SECOND_MIN, f64::from(u32::MAX));
    NonZeroU32::new(most as u32).unwrap_or(NonZeroU32::MAX)
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
