//! What the command line means on this machine: how many threads, from which addresses, doing what.
//!
//! Everything that can be known to fail is found here, before the first connection.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use corecast::base::Rng;
use corecast::reactor::affinity::{self, Core};
use corecast::reactor::fds::{self, Demand, Limit, TooMany};

use crate::args::{Cores, RunArgs};
use crate::cast::Cast;
use crate::casting;
use crate::check;
use crate::driver::socket::Sockets;
use crate::gauge::Gauge;
use crate::host;
use crate::payload::{Form, Payload, Verify};
use crate::ports::{Source, Sources};
use crate::ramp::{Pace, Shape, Tempo};
use crate::remote::Shard;
use crate::run;
use crate::sampling::Sampling;
use crate::schedule::Arrivals;
use crate::turnover::Habits;
use crate::units;

/// So many drivers at most: the kernel's tables would hold more, no machine needs them.
const DRIVERS_MAX: u64 = 256;

/// The most attempts in flight at an adaptive pace, for each core: a handshake takes some
/// kilobytes, and drivers beyond the cores would only make a longer queue.
const IN_FLIGHT_PER_CORE: u32 = 256;

/// What a run will do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many connections to open.
    pub conns: u32,
    /// What they do once they are open.
    pub cast: Cast,
    /// How messages of a connection follow each other.
    pub arrivals: Arrivals,
    /// Where connections are to come from.
    pub source: Source,
    /// Who leaves and comes back in a trial.
    pub habits: Habits,
    /// How often each connection pings.
    pub heartbeat: Option<Duration>,
    /// How many threads drive them.
    pub drivers: u32,
    /// Whether each of these has its own table of files.
    pub has_own_tables: bool,
    /// The limit of open files.
    pub files: Limit,
    /// How fast connections are opened.
    pub pace: Pace,
    /// How a given rate is reached.
    pub shape: Shape,
    /// How long one may take.
    pub open_timeout: Duration,
    /// How long the scenario runs untimed first.
    pub warmup: Duration,
    /// How long they are held and timed.
    pub hold: Duration,
    /// How long messages on their way are waited for.
    pub drain: Duration,
    /// What messages are made of.
    pub payload: Payload,
    /// How closely they are looked at.
    pub verify: Verify,
    /// On which connections they are timed.
    pub sampling: Sampling,
    /// How long the whole may take.
    pub duration: Option<Duration>,
    /// Where the server listens, if not only at the address of its name.
    pub servers: Vec<SocketAddr>,
    /// How sockets are set.
    pub sockets: Sockets,
    /// Where the server says how many connections it counts.
    pub gauge: Option<Gauge>,
    /// The cores that drivers are kept on.
    pub cores: Vec<Core>,
    /// What is drawn at random follows from this.
    pub seed: u64,
    /// What marks messages follows from this: it is the same for all parts of a larger run.
    pub run_seed: u64,
    /// How long a row of the series is.
    pub tick: Duration,
    /// How many digits are kept of each time.
    pub digits: u8,
    /// Where the distributions of every tick go, if anywhere.
    pub journal: Option<PathBuf>,
}

/// Why a run cannot be done here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// The open files do not suffice.
    Files(Shortage),
    /// The free ports of our addresses do not suffice.
    Ports {
        /// How many connections were asked for.
        conns: u32,
        /// How many can be made.
        possible: u64,
    },
    /// A mixture that is none.
    Mixture {
        /// The flag.
        flag: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A number is out of its range.
    OutOfRange {
        /// The flag.
        flag: &'static str,
        /// What it may be.
        allowed: String,
    },
}

/// That the open files do not suffice, and how many would.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Shortage {
    too_many: TooMany,
    needed: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { too_many, needed } = self;
        write!(f, "{too_many}; as root: {}", check::raise_files(*needed).command)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files(shortage) => shortage.fmt(f),
            Self::Ports { conns, possible } => write!(
                f,
                "{} connections to one address need as many free ports, and there are {} (name \
                 more addresses of this machine with --source, or ask for fewer)",
                units::count(u64::from(*conns)),
                units::count(*possible)
            ),
            Self::Mixture { flag, reason } => write!(f, "{flag}: {reason}"),
            Self::OutOfRange { flag, allowed } => write!(f, "{flag} must be {allowed}"),
        }
    }
}

impl Plan {
    /// What `args` mean where a table may hold `files` files. A seed is drawn unless one is given.
    pub fn new(
        args: &RunArgs,
        files: Limit,
        draw_seed: impl FnOnce() -> u64,
    ) -> Result<Self, Obstacle> {
        let conns = u32::try_from(args.conns).ok().filter(|conns| *conns > 0).ok_or_else(|| {
            let allowed = format!("from 1 to {}", units::count(u64::from(u32::MAX)));
            Obstacle::OutOfRange { flag: "--conns", allowed }
        })?;
        let (drivers, has_own_tables) = drivers(args, files.now)?;
        let seed = args.generator.seed.unwrap_or_else(draw_seed);
        let alone = Shard { index: 0, first: 0, total: conns, seed };
        let shard = args.remote.shard.unwrap_or(alone);
        let cast = casting::cast(&args.scenario, shard.total, shard.seed)?;
        Ok(Self {
            conns,
            cast: cast.numbered_from(shard.first),
            run_seed: shard.seed,
            source: args.network.source.clone(),
            habits: casting::habits(&args.scenario, &args.turnover),
            arrivals: args.scenario.arrivals,
            heartbeat: args.scenario.heartbeat,
            drivers,
            has_own_tables,
            files,
            pace: args.opening.ramp,
            shape: args.opening.ramp_shape,
            open_timeout: args.opening.open_timeout,
            warmup: args.opening.warmup,
            hold: args.hold,
            drain: args.opening.drain,
            payload: payload(args)?,
            verify: args.measure.verify,
            sampling: args.measure.sample_conns,
            duration: args.duration,
            servers: args.network.server_addrs.clone(),
            sockets: Sockets {
                has_nodelay: args.network.nodelay,
                receive_buffer: args.network.rcvbuf,
                send_buffer: args.network.sndbuf,
            },
            gauge: gauge(args)?,
            cores: cores(args.generator.pin.as_ref())?,
            seed,
            tick: args.measure.tick,
            digits: args.measure.sigfigs,
            journal: args.output.hdr.clone(),
        })
    }

    /// Where connections to `target` are made from; `None` leaves that to the system.
    pub fn sources(&self, target: SocketAddr) -> Result<Option<Arc<Sources>>, Obstacle> {
        let servers = std::iter::once(&target).chain(&self.servers);
        if servers.clone().any(|server| server.is_ipv4() != target.is_ipv4()) {
            let allowed = "of one family".to_owned();
            return Err(Obstacle::OutOfRange { flag: "--server-addrs", allowed });
        }
        if let Source::These(addresses) = &self.source
            && addresses.iter().any(|address| address.is_ipv4() != target.is_ipv4())
        {
            let allowed = format!("of the same family as the server's address, {}", target.ip());
            return Err(Obstacle::OutOfRange { flag: "--source", allowed });
        }
        let conns = u64::from(self.conns);
        let Some(sources) = Sources::new(&self.source, target.ip(), conns, self.seed) else {
            return Ok(None);
        };
        // A port of ours serves once for each address of the server.
        let possible = sources.capacity() * self.servers.len().max(1) as u64;
        if possible < u64::from(self.conns) {
            return Err(Obstacle::Ports { conns: self.conns, possible });
        }
        Ok(Some(Arc::new(sources)))
    }

    /// How long they are held, if the ramp has taken so long already.
    pub fn hold_after(&self, ramp: Duration) -> Duration {
        let Some(duration) = self.duration else { return self.hold };
        let rest = duration.saturating_sub(ramp).saturating_sub(self.warmup);
        self.hold.min(rest.saturating_sub(self.reserve()))
    }

    /// When the ramp ends at the latest, from the start of a run.
    pub fn ramp_max(&self) -> Option<Duration> {
        Some(self.duration?.saturating_sub(self.warmup).saturating_sub(self.reserve()))
    }

    /// What is kept of a limited duration for messages on their way: a tenth at most.
    fn reserve(&self) -> Duration {
        self.duration.map_or(Duration::ZERO, |duration| self.drain.min(duration / 10))
    }

    /// Whether connections may go and come back in a trial without harm to what is measured: if
    /// nobody waits for what they say.
    pub fn may_resize(&self) -> bool {
        self.cast.is_idle() && self.heartbeat.is_none() && !self.habits.is_restless()
    }

    /// How many of `conns` connections are those of driver `driver`.
    pub const fn share(&self, conns: u32, driver: u32) -> u32 {
        conns / self.drivers + (driver < conns % self.drivers) as u32
    }

    /// How driver `driver` opens its share.
    pub fn tempo(&self, driver: u32) -> Tempo {
        let cores = u32::try_from(host::cores()).unwrap_or(u32::MAX);
        let window_max = (IN_FLIGHT_PER_CORE.saturating_mul(cores) / self.drivers).max(1);
        Tempo { pace: self.pace, shape: self.shape, window_max, driver, drivers: self.drivers }
    }

    /// The number that marks the messages of this run.
    pub fn run_id(&self) -> u32 {
        let [a, b, c, d, ..] = Rng::new(self.run_seed).next_u64().to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

/// What messages are made of.
fn payload(args: &RunArgs) -> Result<Payload, Obstacle> {
    let form = if args.scenario.binary { Form::Binary } else { Form::Text };
    Payload::new(&args.scenario.payload, form, args.websocket.deflate)
        .map_err(|reason| Obstacle::Mixture { flag: "--payload", reason })
}

/// Where the server says how many connections it counts.
fn gauge(args: &RunArgs) -> Result<Option<Gauge>, Obstacle> {
    let Some(url) = &args.server.server_metrics else { return Ok(None) };
    let trust = || run::trust(&args.tls).map_err(|error| error.to_string());
    let gauge = Gauge::new(url, &args.server.expect_conns_gauge, trust);
    gauge.map(Some).map_err(|reason| Obstacle::Mixture { flag: "--server-metrics", reason })
}

/// The cores to stay on: those that are asked for, or all there are.
fn cores(pin: Option<&Cores>) -> Result<Vec<Core>, Obstacle> {
    let all = affinity::cores();
    let Some(Cores(asked)) = pin else { return Ok(all) };
    let here: Vec<_> = all.iter().map(|core| core.number()).collect();
    if let Some(missing) = asked.iter().find(|core| !here.contains(core)) {
        let allowed = format!("of the cores {here:?}, and {missing} is not");
        return Err(Obstacle::OutOfRange { flag: "--pin", allowed });
    }
    Ok(all.into_iter().filter(|core| asked.contains(&core.number())).collect())
}

/// How many threads there are, and whether each has its own table.
fn drivers(args: &RunArgs, limit: u64) -> Result<(u32, bool), Obstacle> {
    let asked = args.generator.threads.map(|threads| threads as u64);
    if asked.is_some_and(|threads| !(1..=DRIVERS_MAX).contains(&threads)) {
        let allowed = format!("from 1 to {DRIVERS_MAX}");
        return Err(Obstacle::OutOfRange { flag: "--threads", allowed });
    }
    let layout = demand(args, limit)
        .plan()
        .map_err(|too_many| Obstacle::Files(Shortage { too_many, needed: files_needed(args) }))?;
    let drivers = u32::try_from(layout.workers).expect("not above workers_max");
    Ok((drivers, layout.has_own_tables))
}

/// What is asked of the open files where a table may hold `limit`.
fn demand(args: &RunArgs, limit: u64) -> Demand {
    let asked = args.generator.threads.map(|threads| threads as u64);
    Demand {
        reserve: fds::RESERVE,
        connections: args.conns,
        // None, but a driver has a timer.
        listeners: 1,
        limit,
        workers_min: asked.unwrap_or(host::cores() as u64).min(args.conns.max(1)),
        workers_max: asked.unwrap_or(DRIVERS_MAX),
        may_split: fds::HAS_OWN_TABLES,
    }
}

/// How many files a table must hold for the connections that `args` ask for.
pub fn files_needed(args: &RunArgs) -> u64 {
    // More files never make less room, so the border is found by halving.
    let suffice = |files| demand(args, files).plan().is_ok();
    let (mut too_few, mut enough) = (0, (args.conns + fds::RESERVE).saturating_mul(4));
    while enough - too_few > 1 {
        let middle = too_few + (enough - too_few) / 2;
        if suffice(middle) {
            enough = middle;
        } else {
            too_few = middle;
        }
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use crate::slow::Slow;
    use crate::turnover::{Lifetime, Storm};
    use clap::Parser;

    const FILES: Limit = Limit { before: 1_024, now: 20_000 };

    fn plan(line: &str) -> Result<Plan, Obstacle> {
        let line = format!("loadgen {line}");
        let cli = args::Cli::try_parse_from(line.split_whitespace()).unwrap();
        Plan::new(&cli.run.unwrap(), FILES, || 7)
    }

    #[test]
    fn connections_are_shared_out_to_the_last() {
        for (conns, threads) in [(1, 1), (10, 3), (100_000, 7), (5, 4)] {
            let plan = plan(&format!("--conns {conns} --threads {threads}")).unwrap();
            let shares = (0..plan.drivers).map(|driver| plan.share(conns, driver));
            assert_eq!(shares.sum::<u32>(), conns);
        }
    }

    #[test]
    fn more_connections_than_a_table_holds_take_more_threads() {
        let few = plan("--conns 100 --threads 2").unwrap();
        assert_eq!((few.drivers, few.has_own_tables), (2, false));
        let many = plan("--conns 100k").unwrap();
        assert!(many.drivers >= 6 && many.has_own_tables);
        assert!(many.share(100_000, 0) < 20_000);
    }

    #[test]
    fn the_files_that_are_needed_suffice_and_one_less_does_not() {
        for line in ["--conns 1", "--conns 100k", "--conns 100k --threads 2", "--conns 2M"] {
            let line = format!("loadgen {line}");
            let cli = args::Cli::try_parse_from(line.split_whitespace()).unwrap();
            let args = cli.run.unwrap();
            let needed = files_needed(&args);
            let with = |now| Plan::new(&args, Limit { before: 1, now }, || 7);
            assert!(with(needed).is_ok(), "{line}: {needed}");
            let refusal = with(needed - 1).unwrap_err().to_string();
            assert!(refusal.contains(&format!("--nofile={needed}:{needed}")), "{refusal}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_found_before_the_start() {
        assert!(matches!(plan("--conns 100k --threads 2"), Err(Obstacle::Files(_))));
        assert!(matches!(plan("--conns 0"), Err(Obstacle::OutOfRange { flag: "--conns", .. })));
        let publishers = plan("--conns 5 --scenario broadcast --publishers 6");
        assert!(matches!(publishers, Err(Obstacle::OutOfRange { flag: "--publishers", .. })));
        for flags in ["--slow 5%:1B/s", "--subs x.toml", "--mix storm=1", "--scenario sleep"] {
            let plan = plan(&format!("--conns 5 {flags}"));
            assert!(matches!(plan, Err(Obstacle::Mixture { .. })), "{flags}");
        }
        let one_address = plan("--conns 100k").unwrap().sources("[::1]:80".parse().unwrap());
        assert!(matches!(one_address, Err(Obstacle::Ports { possible: 50_000.., .. })));
        let other_family = plan("--conns 1 --source ::1").unwrap();
        let other_family = other_family.sources("127.0.0.1:80".parse().unwrap());
        assert!(matches!(other_family, Err(Obstacle::OutOfRange { flag: "--source", .. })));
    }

    #[test]
    fn a_scenario_has_its_usual_habits_unless_others_are_given() {
        let habits = |line: &str| plan(&format!("--conns 20 {line}")).unwrap().habits;
        assert_eq!(habits("--scenario storm").storm, Some(Storm::USUAL));
        assert_eq!(habits("--scenario storm --storm 5%/1s").storm, "5%/1s".parse().ok());
        assert_eq!(habits("--scenario churn").lifetime, Some(Lifetime::USUAL));
        assert!(!habits("--scenario echo").is_restless());
        let slow = |line: &str| plan(&format!("--conns 20 {line}")).unwrap().cast.slow();
        assert_eq!(slow("--scenario slow"), Some(Slow::USUAL));
        assert_eq!(slow("--mix idle=8,slow=2"), Some(Slow::USUAL.all()));
        assert_eq!(slow("--mix echo=1,broadcast=1 --slow 2%:1k/s"), "2%:1k/s".parse().ok());
    }

    #[test]
    fn cores_and_addresses_must_be_there() {
        let strange = plan("--conns 1 --pin 0-4000");
        assert!(matches!(strange, Err(Obstacle::OutOfRange { flag: "--pin", .. })), "{strange:?}");
        let line = "--conns 100k --source 127.0.0.9 --server-addrs 127.0.0.1:1,127.0.0.1:2 ws://h/";
        assert!(plan(line).unwrap().sources("127.0.0.1:1".parse().unwrap()).is_ok());
        let mixed = plan("--conns 1 --server-addrs [::1]:1 ws://h/").unwrap();
        let mixed = mixed.sources("127.0.0.1:1".parse().unwrap());
        assert!(matches!(mixed, Err(Obstacle::OutOfRange { flag: "--server-addrs", .. })));
        assert!(matches!(plan("--conns 1 --payload 9"), Err(Obstacle::Mixture { .. })));
    }

    #[test]
    fn a_seed_is_drawn_unless_one_is_given() {
        assert_eq!(plan("--conns 1").unwrap().seed, 7);
        let given = plan("--conns 1 --seed ff").unwrap();
        assert_eq!(
            (given.seed, given.run_id()),
            (255, plan("--conns 2 --seed ff").unwrap().run_id())
        );
    }
}
