//! `corecast serve`: reads the configuration, starts the server, tells what it did, and obeys
//! signals until the end.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;

use clap::Args;
use corecast::config::{ClientPublish, Config, Deflate, Kind, MemoryMax, RawConfig, Workers};
use corecast::push::{PublishKey, Publishers, Push, Settings};
use corecast::reactor::memory::give_back;
use corecast::reactor::signal::{Signal, Signals};
use corecast::reactor::usage::Gauge;
use corecast::server::{Reloader, Server, Stopper};
use corecast::worker::{Listener, Speech};
use corecast::ws::deflate::Takeover;

use super::identity::{Identities, Origin};
use super::{Failure, announcement, panics};

/// What may be said to `serve`.
#[derive(Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    settings: RawConfig,
    /// Read settings from this TOML file [default: the one that `CORECAST_CONFIG` names, if any]
    #[arg(long, value_name = "FILE", help_heading = "Operation")]
    config: Option<PathBuf>,
    /// Check the configuration, the certificate, the ports and the room, and exit
    #[arg(long, help_heading = "Operation")]
    check: bool,
}

/// Serves until a signal ends it, or only checks that it could.
pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    panics::log_seldom();
    let is_check = arguments.check;
    let config = arguments.configuration()?;
    let (server, origins) = server(&config)?;
    if is_check {
        announcement::room(&config, &server.check()?);
        log::info!("all is well; nothing was started");
        return Ok(());
    }
    // A signal may arrive on any thread and is passed on through a file, which must be in the table
    // of each of them: so it is opened before they start.
    let signals = Signals::catch().map_err(|error| Failure::cannot("catch signals", error))?;
    let settings = Arc::new(settings(&config));
    let running = server.start(move |_| Push::new(Arc::clone(&settings)))?;
    announcement::started(&config, &running, &origins);
    obey(signals, running.stopper(), running.reloader())?;
    running.join()?;
    log::info!("every connection has ended");
    Ok(())
}

impl Arguments {
    /// What flags, environment and file mean together.
    fn configuration(self) -> Result<Config, Failure> {
        // A variable that is no text is none of ours: all of ours are.
        let text = |(name, value): (_, std::ffi::OsString)| -> Option<(String, String)> {
            Some((std::ffi::OsString::into_string(name).ok()?, value.into_string().ok()?))
        };
        let environment = RawConfig::from_env(env::vars_os().filter_map(text))?;
        let file = match self.config.or_else(|| env::var_os("CORECAST_CONFIG").map(PathBuf::from)) {
            Some(path) => read(&path)?,
            None => RawConfig::default(),
        };
        Ok(self.settings.or(environment).or(file).check()?)
    }
}

fn read(path: &Path) -> Result<RawConfig, Failure> {
    let place = path.display().to_string();
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("cannot read {place}: {error}")))?;
    Ok(RawConfig::from_file(&place, &text)?)
}

/// The server that `config` wants, and where its certificates come from.
fn server(config: &Config) -> Result<(Server, Vec<Origin>), Failure> {
    let mut server = Server::builder()
        .limits(config.limits)
        .relief(give_back)
        .drain_timeout(config.drain_timeout)
        .watch_certificates(config.watch_certificates);
    let mut identities = Identities::default();
    for listener in &config.listeners {
        let address = listener.address.to_string();
        let behind = |offer: Listener| {
            offer
                .behind(listener.proxies.clone(), listener.is_announced)
                .with_deflate(takeover(listener.deflate))
        };
        server = match &listener.kind {
            Kind::Http => server.listen_as(address, behind(Listener::plain())),
            Kind::Https(security) | Kind::StreamEcho(security) => {
                let (sources, loaded) = identities.find(security)?;
                let is_stream = matches!(listener.kind, Kind::StreamEcho(_));
                let speech = if is_stream { Speech::Stream } else { Speech::Http };
                let offer = Listener::tls(Arc::clone(&loaded.config)).with_speech(speech);
                server.listen_as(address, behind(offer)).renewed_from(sources, loaded)
            }
        };
    }
    if let Workers::Exactly(workers) = config.workers {
        server = server.workers(workers);
    }
    if let Some(connections) = config.connections_max {
        server = server.room_for(connections);
    }
    let gauge = match config.memory {
        MemoryMax::Auto => Gauge::find(),
        MemoryMax::Off => None,
        MemoryMax::Bytes(max) => Some(Gauge::of_process(max)),
    };
    if let Some(gauge) = gauge {
        server = server.memory(gauge);
    }
    if let Some(address) = config.admin {
        server = server.admin(address);
    }
    Ok((server, identities.into_origins()))
}

/// What is agreed on with clients that offer to deflate.
fn takeover(deflate: Deflate) -> Option<Takeover> {
    match deflate {
        Deflate::Off => None,
        Deflate::On => Some(Takeover::Never),
        Deflate::Takeover => Some(Takeover::Offered),
    }
}

fn settings(config: &Config) -> Settings {
    let publishers = match config.client_publish {
        ClientPublish::Allowed => Publishers::Everyone,
        ClientPublish::AllowedOnLoopback => Publishers::Locals,
        ClientPublish::Forbidden | ClientPublish::ForbiddenBecause(_) => Publishers::Nobody,
    };
    Settings {
        subprotocols: config.subprotocols.clone(),
        publish_key: config.publish_key.as_ref().map(|key| PublishKey::new(key.as_str())),
        publish_identities: config.publish_identities.clone(),
        publishers,
        origins: config.origins.clone(),
    }
}

/// Stops the server at the first signal that asks for an end, and the process at the second; reads
/// certificates again at SIGHUP.
fn obey(signals: Signals, stopper: Stopper, reloader: Reloader) -> Result<(), Failure> {
    let work = move || {
        let mut is_draining = false;
        for signal in signals {
            match signal {
                Signal::Hangup => {
                    log::info!("SIGHUP: reading certificates again");
                    reloader.reload();
                }
                Signal::Interrupt | Signal::Terminate if is_draining => {
                    log::warn!("told twice: leaving at once");
                    process::exit(1);
                }
                Signal::Interrupt | Signal::Terminate => {
                    log::info!("taking no one new, and telling everybody to go");
                    is_draining = true;
                    stopper.stop();
                }
            }
        }
    };
    let thread = thread::Builder::new().name("signals".to_owned()).spawn(work);
    thread.map(drop).map_err(|error| Failure::cannot("start a thread", error))
}
