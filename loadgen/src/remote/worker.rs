//! `loadgen worker`: makes parts of runs for coordinators that know the token, one after the other.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use corecast::reactor::fds;

use super::args::{self, Shard, WorkerArgs};
use super::link::{self, Reader, Writer};
use super::message::{Assignment, Note, Order};
use super::seat::Seat;
use crate::args::{Cli, OutputArgs, RunArgs};
use crate::ports::Source;
use crate::ramp::Pace;
use crate::report::file;
use crate::run::{self, Refusal, clock};
use crate::units;
use crate::verdict::Exit;

/// How long an interrupt may wait to be noticed.
const TICK: Duration = Duration::from_millis(100);

/// How long a coordinator may take to say what is to be done.
const PLAN_TIME: Duration = Duration::from_secs(10);

/// How long it may still ask for our clock after the run.
const FAREWELL_TIME: Duration = Duration::from_secs(60);

/// Connections that share a source address on loopback.
const CONNECTIONS_PER_ADDRESS: u32 = 20_000;

/// Waits for coordinators and does what they say, until it is interrupted.
///
/// # Errors
///
/// Why it cannot listen.
pub fn serve(args: &WorkerArgs) -> Result<Exit, Refusal> {
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let preflight = |error: io::Error| Refusal::new(Exit::Preflight, error);
    let token = args::token(args.token_file.as_deref()).map_err(usage)?;
    if token.is_empty() && args::needs_token(args.listen.ip()) {
        return Err(usage(format!(
            "{} can be reached by others: it takes a token (--token-file, or LOADGEN_TOKEN)",
            args.listen
        )));
    }
    let interrupted = run::interruption().map_err(preflight)?;
    let listener = TcpListener::bind(args.listen)
        .map_err(|error| preflight(io::Error::other(format!("{}: {error}", args.listen))))?;
    listener.set_nonblocking(true).map_err(preflight)?;
    let address = listener.local_addr().map_err(preflight)?;
    writeln!(io::stdout(), "worker listens on {address}").map_err(preflight)?;
    while !interrupted.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, peer)) => {
                if let Err(error) = session(stream, &token, &interrupted) {
                    log::warn!("{peer}: {error}");
                }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::park_timeout(TICK),
            Err(error) => log::warn!("accept: {error}"),
        }
    }
    Ok(Exit::Interrupted)
}

/// One coordinator, from its first word to its last.
fn session(stream: TcpStream, token: &[u8], interrupted: &Arc<AtomicBool>) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let (mut reader, writer) = link::admit(stream, token)?;
    let Some(Order::Plan(assignment)) = reader.next(PLAN_TIME)? else {
        return Err(io::Error::new(ErrorKind::InvalidData, "it did not say what is to be done"));
    };
    let base = clock();
    let stop = Arc::new(AtomicBool::new(false));
    let is_over = Arc::new(AtomicBool::new(false));
    let (notes, unsaid) = mpsc::channel();
    let (heard, orders) = mpsc::channel();
    let voice = thread::Builder::new().name("say".to_owned()).spawn(|| say(writer, unsaid))?;
    let ear = Ear {
        reader,
        orders: heard,
        notes: notes.clone(),
        base,
        stop: Arc::clone(&stop),
        interrupted: Arc::clone(interrupted),
        is_over: Arc::clone(&is_over),
    };
    let ear = thread::Builder::new().name("hear".to_owned()).spawn(|| ear.listen())?;
    let seat = Seat::new(notes.clone(), orders, base, Arc::clone(&stop));
    let last = make(&assignment, seat, &stop);
    // If nobody hears it any more, the coordinator is gone, and has lost us already.
    let _ = notes.send(last);
    drop(notes);
    is_over.store(true, Ordering::Relaxed);
    for thread in [voice, ear] {
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    }
    Ok(())
}

/// Says `notes` until there are no more, or nobody hears them.
fn say(mut writer: Writer, notes: Receiver<Note>) {
    for note in notes {
        if let Err(error) = writer.say(&note) {
            log::warn!("the coordinator is gone: {error}");
            return;
        }
    }
}

/// What hears the coordinator while a run goes on.
struct Ear {
    reader: Reader,
    orders: Sender<Order>,
    notes: Sender<Note>,
    base: Instant,
    stop: Arc<AtomicBool>,
    interrupted: Arc<AtomicBool>,
    /// The run has ended, and what it found is said.
    is_over: Arc<AtomicBool>,
}

impl Ear {
    /// Passes on what is said, until the coordinator has gone, or should have long ago.
    fn listen(mut self) {
        let mut patience_until: Option<Instant> = None;
        loop {
            if self.interrupted.load(Ordering::Relaxed) {
                self.stop.store(true, Ordering::Relaxed);
            }
            let order = self.reader.next(TICK);
            let now = clock();
            match order {
                // The clock is read at once, or the way through the program would count as that
                // through the network.
                Ok(Some(Order::Clock)) => {
                    let ns = units::ns(now.saturating_duration_since(self.base));
                    if self.notes.send(Note::Clock { ns }).is_err() {
                        return;
                    }
                }
                Ok(Some(Order::Stop)) => self.stop.store(true, Ordering::Relaxed),
                Ok(Some(order)) => {
                    // The run has ended before it could be told; what it found is on its way.
                    let _ = self.orders.send(order);
                }
                Ok(None) => {}
                Err(_) => {
                    self.stop.store(true, Ordering::Relaxed);
                    return;
                }
            }
            if self.is_over.load(Ordering::Relaxed) {
                let until = *patience_until.get_or_insert(now + FAREWELL_TIME);
                if until <= now || self.interrupted.load(Ordering::Relaxed) {
                    return;
                }
            }
        }
    }
}

/// Makes the part of a run, and says what came of it.
fn make(assignment: &Assignment, seat: Seat, stop: &Arc<AtomicBool>) -> Note {
    let refused =
        |refusal: Refusal| Note::Refused { exit: refusal.exit as u8, reason: refusal.to_string() };
    let preflight = |error: io::Error| Refusal::new(Exit::Preflight, error);
    let usage = |reason: String| Refusal::new(Exit::Usage, reason);
    let mut document = None;
    let made = run_args(assignment).map_err(usage).and_then(|args| {
        let files = fds::raise_limit().map_err(preflight)?;
        run::conduct_among(&args, stop, files, Some(Box::new(seat)), |findings| {
            document = Some(Box::new(file::document(findings)));
            Ok(())
        })
    });
    match (made, document) {
        (Err(refusal), _) => refused(refusal),
        (Ok(_), Some(document)) => Note::Done { document },
        (Ok(exit), None) => refused(Refusal::new(exit, "the run left no result")),
    }
}

/// The arguments of the part: those of the whole, with our share of what is shared out, and nothing
/// written here.
fn run_args(assignment: &Assignment) -> Result<RunArgs, String> {
    let Assignment { argv, conns, index, first, total, common_seed, seed } = assignment;
    let mut args = Cli::run_of(argv)?;
    let share = f64::from(*conns) / f64::from((*total).max(1));
    args.conns = u64::from(*conns);
    args.output = OutputArgs { quiet: true, ..OutputArgs::default() };
    args.generator.seed = Some(*seed);
    args.remote.workers.clear();
    args.remote.shard =
        Some(Shard { index: *index, first: *first, total: *total, seed: *common_seed });
    if let Pace::Fixed(rate) = args.opening.ramp {
        args.opening.ramp = Pace::Fixed(format!("{}/s", rate.per_second() * share).parse()?);
    }
    let target = args.url.as_ref().ok_or("a part of a run needs a URL")?;
    let server = target.resolve().map_err(|error| format!("{}: {error}", target.url()))?;
    let is_loopback = matches!(server.ip(), IpAddr::V4(ip) if ip.is_loopback());
    if args.network.source == Source::Auto && is_loopback {
        args.network.source = Source::These(sources(*index, *conns));
    }
    Ok(args)
}

/// Addresses of loopback that no other part uses: 127.INDEX.0.2 and on, the index from 1.
fn sources(index: u32, conns: u32) -> Vec<IpAddr> {
    let first = u32::from(Ipv4Addr::new(127, 0, 0, 2)) + ((index + 1) << 16);
    let count = conns.div_ceil(CONNECTIONS_PER_ADDRESS).max(1);
    (first..first + count).map(|bits| Ipv4Addr::from(bits).into()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_its_share_and_writes_nothing() {
        let line =
            "loadgen -n 300 --ramp 90/s --json x --workers a:1,b:2 --seed 7 ws://127.0.0.1:9/";
        let assignment = Assignment {
            argv: line.split(' ').map(str::to_owned).collect(),
            conns: 100,
            index: 1,
            first: 100,
            total: 300,
            common_seed: 7,
            seed: 8,
        };
        let args = run_args(&assignment).unwrap();
        assert_eq!((args.conns, args.output.json, args.generator.seed), (100, None, Some(8)));
        assert!(args.remote.workers.is_empty());
        assert_eq!(args.remote.shard.map(|shard| (shard.first, shard.seed)), Some((100, 7)));
        let Pace::Fixed(rate) = args.opening.ramp else { panic!("{:?}", args.opening.ramp) };
        assert!((rate.per_second() - 30.0).abs() < 1e-9);
        assert_eq!(args.network.source, Source::These(vec!["127.2.0.2".parse().unwrap()]));
        let others = sources(0, 40_000);
        assert_eq!(others.len(), 2);
        assert!(run_args(&Assignment { argv: vec!["loadgen".to_owned()], ..assignment }).is_err());
    }
}
