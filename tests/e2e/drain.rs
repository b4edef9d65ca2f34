//! SIGTERM: nobody new, 1001 for everybody, and an end with exit code 0 in time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, Via, connect};
use crate::program::Program;

const SERVE: [&str; 8] = [
    "--listen=127.0.0.1:0",
    "--listen-tls=127.0.0.1:0",
    "--admin=off",
    "--drain-timeout=60s",
    "--workers",
    "3",
    "--heartbeat",
    "60s",
];

#[test]
fn everybody_is_told_to_go_and_it_ends_when_they_have() {
    let mut program = Program::start(&SERVE);
    let [http, https] = ["http://", "https://"].map(|scheme| program.address(scheme));
    let [plain, tls13, tls12] = Via::all(&program.authority());
    let mut clients = Vec::new();
    for path in ["/echo", "/topics/demo"].repeat(10) {
        clients.push(Client::connect(http, &plain, path));
        clients.push(Client::connect(https, &tls13, path));
        clients.push(Client::connect(https, &tls12, path));
    }
    let mut keeping_alive = connect(http);
    keeping_alive.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let mut answer = [0; 12];
    keeping_alive.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");

    program.signal("TERM");
    for client in clients {
        let frame = client.closed();
        assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "shutting down"));
    }
    keeping_alive.read_to_end(&mut Vec::new()).unwrap();
    drop(keeping_alive);
    assert_eq!(program.exit_code(), Some(0));
    let refusal = TcpStream::connect(http).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn who_does_not_go_is_not_waited_for_beyond_the_drain_timeout() {
    let mut program = Program::start(&[
        "--listen=127.0.0.1:0",
        "--admin=off",
        "--drain-timeout=100ms",
        "--workers=2",
    ]);
    let stubborn = Client::connect(program.address("http://"), &Via::Plain, "/echo");
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
    drop(stubborn);
}
