//! What a server shows of itself: one handshake, believing anybody, and nothing after it.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use corecast::base::Input;
use corecast::tls::config::{Trust, returning_client_config};
use corecast::tls::{CertificateDer, Opened, SCRATCH_BYTES_MIN, ServerName, Tls};

use super::super::Failure;

/// How long a server may take, to be reached and to shake hands.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a server is.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Server {
    /// Its host, without the brackets of an address.
    pub(super) host: String,
    port: u16,
}

/// What a server has shown.
pub(super) struct Shown {
    /// Its certificates, as it has sent them.
    pub(super) chain: Vec<CertificateDer<'static>>,
    /// What was agreed upon, such as `TLS 1.3, TLS_AES_256_GCM_SHA384`.
    pub(super) agreed: String,
}

impl Server {
    /// The server of a URL; nothing if `text` is none, and so a file.
    pub(super) fn of(text: &str) -> Option<Result<Self, Failure>> {
        let (scheme, rest) = text.split_once("://")?;
        let wrong = |reason| Some(Err(Failure::Usage(format!("{text}: {reason}"))));
        let default = match scheme {
            "https" | "wss" => Some(443),
            "tls" => None,
            "http" | "ws" => return wrong("only https, wss and tls have certificates"),
            _ => return wrong("expected https://, wss:// or tls://"),
        };
        let place = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = match (place.rsplit_once(':'), place.ends_with(']')) {
            (Some((host, port)), false) => (host, port.parse().ok()),
            _ => (place, default),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        match port {
            _ if host.is_empty() || ServerName::try_from(host).is_err() => {
                wrong("there is no host in it")
            }
            None => wrong("there is no port in it"),
            Some(port) => Some(Ok(Self { host: host.to_owned(), port })),
        }
    }

    /// Whether it is on this machine, where a development authority may be known.
    pub(super) fn is_local(&self) -> bool {
        let is_loopback = |address: IpAddr| address.is_loopback();
        self.host == "localhost" || self.host.parse().is_ok_and(is_loopback)
    }

    /// The name that its certificate must have.
    pub(super) fn name(&self) -> Result<ServerName<'static>, Failure> {
        ServerName::try_from(self.host.clone()).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// Shakes hands with it.
    pub(super) fn visit(&self) -> Result<Shown, Failure> {
        let place = self.to_string();
        let cannot = |error: String| Failure::cannot(&format!("connect to {place}"), error);
        let config = returning_client_config(Trust::Anyone, None, &["http/1.1"])?;
        let mut tls = Tls::client(&config, self.name()?).map_err(|it| cannot(it.to_string()))?;
        let deadline = deadline();
        let mut stream = self.connect().map_err(|error| cannot(error.to_string()))?;
        shake_hands(&mut tls, &mut stream, deadline).map_err(cannot)?;
        let shown = tls.negotiated().map(|it| Shown {
            chain: it.chain.to_vec(),
            agreed: format!("{}, {}", it.version, it.suite()),
        });
        shown.ok_or_else(|| cannot("it has not shown who it is".to_owned()))
    }

    fn connect(&self) -> std::io::Result<TcpStream> {
        let mut last = ErrorKind::NotFound.into();
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, PATIENCE) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// Reads and writes until the handshake is done, and says goodbye.
fn shake_hands(tls: &mut Tls, stream: &mut TcpStream, deadline: Instant) -> Result<(), String> {
    let mut scratch = vec![0; SCRATCH_BYTES_MIN];
    let (mut kept, mut read) = (0, 0);
    loop {
        let mut reply = Vec::new();
        let arrived = scratch.get_mut(..kept + read).unwrap_or_default();
        let opened = tls.open(&mut Input::new(arrived), &mut reply).map(|it| match it {
            Opened::Wanting | Opened::Plaintext(_) => None,
            Opened::Established(_) => Some(true),
            Opened::Closed => Some(false),
        });
        if let Ok(Some(true)) = opened {
            tls.close(&mut reply);
        }
        // What the peer is to be told goes out also when something is wrong.
        let written = stream.write_all(&reply);
        match opened.map_err(|fault| fault.to_string())? {
            Some(true) => return Ok(()),
            Some(false) => return Err("it closed during the handshake".to_owned()),
            None => written.map_err(|error| error.to_string())?,
        }
        kept = tls.restore(&mut scratch);
        read = read_before(stream, scratch.get_mut(kept..).unwrap_or_default(), deadline)?;
    }
}

/// Reads some bytes, or complains that there are none, or not in time.
fn read_before(
    stream: &mut TcpStream,
    into: &mut [u8],
    deadline: Instant,
) -> Result<usize, String> {
    let late = || format!("it has not shaken hands in {} s", PATIENCE.as_secs());
    let left = deadline.checked_duration_since(now()).filter(|left| !left.is_zero());
    stream.set_read_timeout(Some(left.ok_or_else(late)?)).map_err(|error| error.to_string())?;
    match stream.read(into) {
        Ok(0) => Err("it closed during the handshake".to_owned()),
        Ok(read) => Ok(read),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            Err(late())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn deadline() -> Instant {
    now() + PATIENCE
}

#[allow(clippy::disallowed_methods)] // this is the outside
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Result<String, String> {
        let server = Server::of(url).expect("it is a URL");
        server.map(|server| server.to_string()).map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_url_says_where_a_server_is() {
        for (url, is_at) in [
            ("https://example.com", "example.com:443"),
            ("wss://example.com:8443/topics/a?b#c", "example.com:8443"),
            ("tls://localhost:1", "localhost:1"),
            ("https://127.0.0.1/", "127.0.0.1:443"),
            ("https://[::1]", "[::1]:443"),
            ("https://[::1]:8443/", "[::1]:8443"),
        ] {
            assert_eq!(place(url).as_deref(), Ok(is_at), "{url}");
        }
    }

    #[test]
    fn a_url_without_a_server_is_refused_and_a_path_is_none() {
        for (url, reason) in [
            ("http://example.com", "only https"),
            ("ftp://example.com", "expected https"),
            ("https://", "no host"),
            ("https://user@example.com", "no host"),
            ("tls://localhost", "no port"),
            ("https://localhost:65536", "no port"),
        ] {
            assert!(place(url).unwrap_err().contains(reason), "{url}");
        }
        assert!(Server::of("pki/ca.pem").is_none());
    }

    #[test]
    fn this_machine_is_known() {
        for (url, is_local) in
            [("https://localhost", true), ("https://[::1]", true), ("https://a.b", false)]
        {
            assert_eq!(Server::of(url).unwrap().unwrap().is_local(), is_local, "{url}");
        }
    }
}
