//! The first lines of the log: what runs, where, how much it holds, and what to try next.

use std::net::SocketAddr;

use corecast::config::{Config, Kind};
use corecast::server::{Running, Size};

use super::identity::Origin;

/// Tells what has been started.
pub(super) fn started(config: &Config, running: &Running, origins: &[Origin]) {
    let (mut plain, mut tls, mut stream) = (None, None, None);
    for (listener, address) in config.listeners.iter().zip(running.addresses()) {
        match &listener.kind {
            Kind::Http => {
                log::info!("serving http and ws on http://{address}");
                plain.get_or_insert(*address);
            }
            Kind::Https(_) => {
                log::info!("serving https and wss on https://{address}");
                tls.get_or_insert(*address);
            }
            Kind::StreamEcho(_) => {
                log::info!("serving byte streams on tls://{address}");
                stream.get_or_insert(*address);
            }
        }
    }
    origins.iter().for_each(certificate);
    if let Some(address) = running.admin_address() {
        log::info!("metrics and health on http://{address}/metrics and /health/ready");
    }
    room(config, running.size());
    log::info!("{}", config.client_publish);
    for command in stream.map(stream_command).into_iter().chain(commands(plain, tls, origins)) {
        log::info!("try: {command}");
    }
}

/// Tells how many connections there is room for, and why so many.
pub(super) fn room(config: &Config, size: &Size) {
    let Size { workers, cores, connections, files, has_own_tables } = size;
    let cores = cores.iter().take(*workers).map(ToString::to_string);
    let cores = cores.collect::<Vec<_>>().join(", ");
    let tables = if *has_own_tables { "each" } else { "in all" };
    log::info!("workers: {workers}, pinned to cores: {cores}; open files: {files} {tables}");
    let more = if config.connections_max.is_none() { " (--max-conns N makes more)" } else { "" };
    log::info!("room for {connections} connections{more}");
}

fn certificate(origin: &Origin) {
    match origin {
        Origin::Given { certificate } => log::info!("certificate: {}", certificate.display()),
        Origin::Made { authority, certificate, is_new } => {
            let made = if *is_new { "made just now" } else { "made earlier" };
            log::info!("development certificate, {made}: {}", certificate.display());
            log::info!("  its authority, for clients to trust: {}", authority.display());
        }
    }
}

/// What to try with a byte stream.
fn stream_command(address: SocketAddr) -> String {
    format!("openssl s_client -quiet -connect {}", reachable(address))
}

/// What to try next: a publication and a measurement, plain if that is served.
fn commands(plain: Option<SocketAddr>, tls: Option<SocketAddr>, origins: &[Origin]) -> Vec<String> {
    let (secure, address, trust) = match (plain, tls) {
        (Some(address), _) => ("", address, None),
        (None, Some(address)) => ("s", address, origins.iter().find_map(authority)),
        (None, None) => return Vec::new(),
    };
    let host = reachable(address);
    let curl_trust = trust.as_ref().map(|path| format!("--cacert {path} ")).unwrap_or_default();
    let load_trust = trust.map(|path| format!("--ca {path} ")).unwrap_or_default();
    vec![
        format!("open http{secure}://{host}/ in a browser"),
        format!(
            "curl {curl_trust}-H 'Content-Type: text/plain' -d hello \
             http{secure}://{host}/topics/demo"
        ),
        format!(
            "cargo run --release -p loadgen -- --conns 1000 {load_trust}ws{secure}://{host}/echo"
        ),
    ]
}

/// What a client of this machine can connect to where the server listens at `address`.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        format!("localhost:{}", address.port())
    } else {
        address.to_string()
    }
}

fn authority(origin: &Origin) -> Option<String> {
    match origin {
        Origin::Given { .. } => None,
        Origin::Made { authority, .. } => Some(authority.display().to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_try_can_be_tried() {
        let [everywhere, loopback] = ["0.0.0.0:80", "[::1]:443"].map(|text| text.parse().unwrap());
        let made = Origin::Made {
            authority: "/state/ca.pem".into(),
            certificate: "/state/server.pem".into(),
            is_new: true,
        };
        let plain = commands(Some(everywhere), Some(loopback), &[]);
        assert!(plain[1].ends_with("-d hello http://localhost:80/topics/demo"), "{plain:?}");
        let secure = commands(None, Some(loopback), &[made]);
        assert!(secure[1].contains("--cacert /state/ca.pem"), "{secure:?}");
        assert!(secure[2].ends_with("--ca /state/ca.pem wss://[::1]:443/echo"), "{secure:?}");
        assert!(commands(None, None, &[]).is_empty());
    }
}
