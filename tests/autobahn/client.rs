//! The client of `corecast connect` as the client of the suite's fuzzing server:
//! `tests/autobahn/run --client`.
//!
//! Asks how many cases there are, echoes whatever the server says in each, and asks for the report.

use std::env;
use std::error::Error;
use std::time::Duration;

use corecast::client::{Connection, Dialer, Failure, Heard, Offer, Url, WebSocket};
use corecast::ws::deflate::{ClientWindow, Parameters};
use corecast::ws::{Limits, Message};

/// Messages of 16 MiB in pieces of 64 bytes.
const LIMITS: Limits = Limits { message_bytes_max: 32 << 20, fragments_max: 1_000_000 };

/// A server that says nothing for so long has forgotten us.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().ok_or("the address of the server is missing")?;
    let client_max_window_bits = Some(ClientWindow::Any);
    let offered = Parameters { client_max_window_bits, ..Parameters::default() };
    let deflate = (arguments.next().as_deref() == Some("--deflate")).then_some(offered);
    let mut count = 0;
    converse(&address, "/getCaseCount", None, |_, message| {
        count = String::from_utf8_lossy(message.payload()).parse().unwrap_or(0);
        Ok(())
    })?;
    for case in 1..=count {
        let target = format!("/runCase?case={case}&agent=corecast");
        // What a case does to us is the suite's to judge; the next one is to follow in any case.
        if let Err(failure) = converse(&address, &target, deflate, WebSocket::send) {
            eprintln!("case {case}: {failure}");
        }
    }
    converse(&address, "/updateReports?agent=corecast", None, |_, _| Ok(()))
}

/// Listens until the server closes, and does `each` with what it says.
fn converse(
    address: &str,
    target: &str,
    deflate: Option<Parameters>,
    mut each: impl FnMut(&mut WebSocket, Message<'_>) -> Result<(), Failure>,
) -> Result<(), Box<dyn Error>> {
    let url: Url = format!("ws://{address}{target}").parse()?;
    let dialer = Dialer { tls: None, server_name: None, timeout: PATIENCE };
    let (subprotocols, headers) = (Vec::new(), Vec::new());
    let offer = Offer { subprotocols, headers, deflate, limits: LIMITS };
    let mut socket = WebSocket::open(Connection::open(&url, &dialer)?, &url, &offer)?;
    loop {
        match socket.receive() {
            Ok(Heard::Text(text)) => each(&mut socket, Message::Text(&text))?,
            Ok(Heard::Binary(bytes)) => each(&mut socket, Message::Binary(&bytes))?,
            Ok(Heard::Pong) => {}
            Ok(Heard::Closed(_)) => {
                socket.leave();
                return Ok(());
            }
            Err(failure) => {
                socket.leave();
                return Err(failure.into());
            }
        }
    }
}
