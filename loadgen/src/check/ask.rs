//! Asks the server, as one of the connections to come would: is it there, is it who it should be,
//! does a message come back, and does somebody answer in its place.

use std::net::SocketAddr;
use std::time::Duration;

use corecast::client::{
    Asker, Connection, Dialer, Failure, Heard, Layer, Offer, Question, Url, WebSocket,
};
use corecast::tls::Negotiated;
use corecast::tls::config::{self, Trust};
use corecast::ws::{Limits, Message};

use super::facts::Server;
use crate::payload::PAYLOAD_LEN_MAX;
use crate::target::Target;

/// How long the server may take for each answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much a server may say before it sends a message back.
const GREETINGS_MAX: u32 = 16;

const MESSAGE: &[u8] = b"one message of loadgen check";

/// Servers that usually stand in front of others.
const GATES: [&str; 9] = [
    "nginx",
    "openresty",
    "envoy",
    "haproxy",
    "cloudflare",
    "awselb",
    "varnish",
    "traefik",
    "caddy",
];

/// Header fields that those in between add.
const MARKS: [&str; 5] = ["via", "cf-ray", "x-cache", "x-served-by", "x-amz-cf-id"];

/// What is asked, and how.
pub struct Inquiry<'a> {
    /// Of whom.
    pub target: &'a Target,
    /// Where that is, or why nobody knows.
    pub address: Result<SocketAddr, String>,
    /// Whom to trust, if TLS is spoken, or why that is not known.
    pub trust: Option<Result<Trust, String>>,
    /// The name that the server must prove, if not that of the URL.
    pub name: Option<String>,
    /// What is offered.
    pub subprotocols: Vec<String>,
    /// Further fields of the request.
    pub headers: Vec<(String, String)>,
}

impl Inquiry<'_> {
    /// Asks.
    pub fn ask(self) -> Server {
        let mut server = Server::default();
        let url = match self.target.url().parse::<Url>() {
            Ok(url) => url,
            Err(reason) => return Server { reached: Some(Err(reason)), ..server },
        };
        let address = match self.address {
            Ok(address) => address,
            Err(reason) => return Server { reached: Some(Err(reason)), ..server },
        };
        let tls = self.trust.map(|trust| {
            let config = |trust| config::returning_client_config(trust, None, &["http/1.1"]);
            trust.and_then(|trust| config(trust).map_err(|error| error.to_string()))
        });
        let tls = match tls.transpose() {
            Ok(tls) => tls,
            Err(reason) => return Server { secured: Some(Err(reason)), ..server },
        };
        let dialer = Dialer { tls, server_name: self.name, timeout: PATIENCE };
        let offer = Offer {
            subprotocols: self.subprotocols,
            headers: self.headers,
            deflate: None,
            limits: Limits { message_bytes_max: PAYLOAD_LEN_MAX, fragments_max: 1_024 },
        };
        talk(&url, &dialer, &offer, address, &mut server);
        server
    }
}

/// Connects, opens a WebSocket, and comes back.
fn talk(url: &Url, dialer: &Dialer, offer: &Offer, address: SocketAddr, server: &mut Server) {
    let connection = match Connection::open(url, dialer) {
        Ok(connection) => connection,
        Err(failure) => return note(&failure, address, server),
    };
    server.reached = Some(Ok(connection.peer().unwrap_or(address)));
    let parameters = |it: Negotiated<'_>| Ok(format!("{}, {}", it.version, it.suite()));
    server.secured = connection.negotiated().map(parameters);
    match WebSocket::open(connection, url, offer) {
        Ok(websocket) => {
            server.upgraded = Some(Ok(()));
            server.echoes = Some(echoes(websocket));
        }
        Err(failure) => server.upgraded = Some(Err(failure.to_string())),
    }
    // The tickets of the first connection have come with what it heard.
    let again = Connection::open(url, dialer).ok();
    let resumed = |it: &Connection| it.negotiated().map(|it| it.is_resumed);
    server.resumes = again.as_ref().and_then(resumed);
    drop(again);
    server.between = between(url, dialer);
}

/// Notes why there is no connection: for want of one, or for want of trust in it.
fn note(failure: &Failure, address: SocketAddr, server: &mut Server) {
    let reason = failure.to_string();
    if failure.layer() == Layer::Tls {
        server.reached = Some(Ok(address));
        server.secured = Some(Err(reason));
    } else {
        server.reached = Some(Err(reason));
    }
}

/// Whether a message comes back.
fn echoes(mut websocket: WebSocket) -> bool {
    if websocket.send(Message::Binary(MESSAGE)).is_err() {
        return false;
    }
    for _ in 0..GREETINGS_MAX {
        match websocket.receive() {
            Ok(Heard::Binary(bytes)) if bytes == MESSAGE => return true,
            Ok(Heard::Closed(_)) | Err(_) => return false,
            Ok(Heard::Binary(_) | Heard::Text(_) | Heard::Pong) => {}
        }
    }
    false
}

/// What in an answer tells of somebody in between.
fn between(url: &Url, dialer: &Dialer) -> Option<String> {
    let question =
        Question { method: "HEAD".to_owned(), headers: Vec::new(), body: None, wants_head: true };
    let mut head = Vec::new();
    // Who does not answer has not said that somebody is in between.
    let _ = Asker::new(dialer.clone()).ask(url, &question, &mut head, &mut |_| {});
    marks(&String::from_utf8_lossy(&head))
}

/// The fields of a head that only those in between write.
fn marks(head: &str) -> Option<String> {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut marks = fields.filter_map(|(name, value)| {
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        let product = value.to_ascii_lowercase();
        let is_gate = name == "server" && GATES.iter().any(|gate| product.starts_with(gate));
        (is_gate || MARKS.contains(&name.as_str())).then(|| format!("{name}: {value}"))
    });
    marks.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_between_tell_on_themselves() {
        for (head, mark) in [
            ("HTTP/1.1 200 OK\r\nServer: nginx/1.27\r\n\r\n", Some("server: nginx/1.27")),
            ("HTTP/1.1 404 Not Found\r\nVia: 1.1 varnish\r\n\r\n", Some("via: 1.1 varnish")),
            ("HTTP/1.1 200 OK\r\nServer: corecast\r\nX-Other: via\r\n\r\n", None),
            ("", None),
        ] {
            assert_eq!(marks(head).as_deref(), mark, "{head}");
        }
    }
}
