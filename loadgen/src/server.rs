//! The server brought along: a second process of this program, which serves with corecast.
//!
//! ```text
//!   loadgen --conns N                      loadgen serve --conns N --tls
//!     spawn --------------------------------> starts on a free port of 127.0.0.1
//!     read <----- one line of JSON: address, certificate --- print
//!     measure                                 serves
//!     close, or die <= its stdin ends ======> exits
//! ```
//!
//! The pipe is what makes the server end whatever happens: the system closes it with us.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use corecast::http::Origins;
use corecast::push::{Publishers, Push, Settings};
use corecast::reactor::memory::give_back;
use corecast::server::Server;
use corecast::tls::{Random, ServerConfig, config, pki};
use corecast::worker::{Limits, Listener};
use corecast::ws::deflate::Takeover;
use serde::{Deserialize, Serialize};

use crate::args::{LimitArgs, ServeArgs};

/// What the server says when it is ready.
#[derive(Debug, Deserialize, Serialize)]
struct Announcement {
    address: SocketAddr,
    /// The certificate of the authority that vouches for it, as PEM.
    authority: Option<String>,
    workers: usize,
    /// On how many cores these stay.
    cores: usize,
}

/// A server in a process of its own, which ends when this value does.
#[derive(Debug)]
pub struct Embedded {
    child: Child,
    announcement: Announcement,
}

impl Embedded {
    /// Starts one as `args` say.
    pub fn start(args: &ServeArgs) -> io::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("serve").arg("--conns").arg(args.conns.to_string());
        command.args(args.limits.words());
        if let Some(cores) = args.cores {
            command.arg("--cores").arg(cores.to_string());
        }
        command.args(args.tls.then_some("--tls")).args(args.deflate.then_some("--deflate"));
        // In a group of its own it does not hear the terminal's interrupt: it is ours to end.
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        match listen(&mut child) {
            Ok(announcement) => Ok(Self { child, announcement }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.announcement.address
    }

    /// Whom to trust to speak with it.
    pub fn authority(&self) -> Option<&str> {
        self.announcement.authority.as_deref()
    }

    /// How many workers it runs.
    pub fn workers(&self) -> usize {
        self.announcement.workers
    }

    /// On how many cores these stay.
    pub fn cores(&self) -> usize {
        self.announcement.cores
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        // What cannot be asked is not known to have ended.
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends the process, which has nothing to save, and waits for it.
fn end(child: &mut Child) {
    // Both fail only if it has ended already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Waits for the announcement. A server that cannot start has said why on standard error.
fn listen(child: &mut Child) -> io::Result<Announcement> {
    let stdout = child.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::other("it ended before it listened"));
    }
    Ok(serde_json::from_str(&line)?)
}

/// Serves until standard input ends: the life of the second process.
///
/// # Errors
///
/// Why it could not start, or how it ended.
pub fn serve(args: &ServeArgs) -> Result<(), Box<dyn std::error::Error>> {
    let limits = limits(&args.limits);
    let mut server = Server::builder().room_for(args.conns).limits(limits).relief(give_back);
    if let Some(cores) = args.cores {
        server = server.cores(cores);
    }
    let mut authority = None;
    let mut listener = Listener::plain();
    if args.tls {
        let (config, pem) = certificate()?;
        authority = Some(pem);
        listener = Listener::tls(config);
    }
    let takeover = args.deflate.then_some(Takeover::Never);
    server = server.listen_as("127.0.0.1:0", listener.with_deflate(takeover));
    let settings = Arc::new(Settings {
        subprotocols: Vec::new(),
        publish_key: None,
        publish_identities: Vec::new(),
        publishers: Publishers::Locals,
        origins: Origins::SameHost,
    });
    let running = server.start(move |_| Push::new(Arc::clone(&settings)))?;
    let address = *running.addresses().first().ok_or("it listens nowhere")?;
    let (workers, cores) = (running.size().workers, running.size().cores.len());
    announce(&Announcement { address, authority, workers, cores })?;
    io::copy(&mut io::stdin().lock(), &mut io::sink())?;
    running.stop();
    Ok(running.join()?)
}

/// A certificate for this one life: nothing of it stays on the disk.
fn certificate() -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error>> {
    let name = u128::from_ne_bytes(Random::new().draw());
    let directory = std::env::temp_dir().join(format!("loadgen-{name:032x}"));
    let made = certificate_in(&directory);
    fs::remove_dir_all(&directory)?;
    made
}

fn certificate_in(
    directory: &Path,
) -> Result<(Arc<ServerConfig>, String), Box<dyn std::error::Error>> {
    let development = pki::development(directory, now())?;
    let authority = fs::read_to_string(&development.authority)?;
    Ok((config::server_config(development.identity)?, authority))
}

#[allow(clippy::disallowed_methods)] // a certificate is valid from now on
fn now() -> SystemTime {
    SystemTime::now()
}

/// The limits of a server that is brought along: as they are, but for what `args` say.
pub fn limits(args: &LimitArgs) -> Limits {
    let mut limits = Limits::default();
    limits.session.websocket.message_bytes_max = args.message_bytes;
    limits.pace.frames_per_second_max = args.frames_per_second;
    limits.addresses.connects_per_second_max = args.connects_per_address;
    for time in [
        &mut limits.handshake_ms_max,
        &mut limits.request_ms_max,
        &mut limits.message_ms_max,
        &mut limits.close_ms_max,
        &mut limits.stall_ms_max,
        &mut limits.outbox_ms_max,
        &mut limits.pace.over_ms_max,
    ] {
        *time = (*time / args.hasten.max(1)).max(1);
    }
    limits
}

fn announce(announcement: &Announcement) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, announcement)?;
    stdout.write_all(b"\n")
}
