//! The program itself: what it says, how it ends, and with which exit code.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};

/// The program with a state directory of its own and nothing of our environment.
fn corecast(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
    command.env_clear().env("XDG_STATE_HOME", state).args(arguments);
    command.stdin(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Exit code and what was said, which is one line.
fn failure(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    (output.status.code(), said)
}

/// A server that runs, and what it has said so far.
struct Serving {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Serving {
    /// Starts it, and waits for its last line.
    fn start(state: &Path, arguments: &[&str]) -> Self {
        let mut child = corecast(state, arguments).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("loadgen") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "it has ended: {said}");
        }
        Self { child, stderr, said }
    }

    /// The address behind the first `scheme` that it said it serves.
    fn address(&self, scheme: &str) -> SocketAddr {
        let (_, rest) = self.said.split_once(scheme).unwrap();
        let end = rest.find(['/', '\n']).unwrap();
        rest[..end].parse().unwrap()
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits for the next line that has `words`.
    fn hear(&mut self, words: &str) {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "never said {words}");
        }
    }

    fn exit_code(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Serving {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

/// Opens a WebSocket at `path`.
fn websocket(address: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", head.escape_ascii());
    stream
}

const QUIET: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin", "off"];

#[test]
fn wrong_usage_is_one_line_and_2() {
    let state = tempfile::tempdir().unwrap();
    let rows: [(&[&str], &str); 6] = [
        (&["--lisen", "127.0.0.1:0"], "--listen"),
        (&["serve", "--workers", "lots"], "workers: `lots`"),
        (&["--listen", "nowhere"], "listen: `nowhere`"),
        (&["--tls-cert", "a.pem"], "tls-key"),
        (&["--config", "/nonexistent.toml"], "/nonexistent.toml"),
        (&["sing"], "sing"),
    ];
    for (arguments, words) in rows {
        let output = corecast(state.path(), arguments).output().unwrap();
        let (code, said) = failure(&output);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_the_world_refuses_is_one_line_and_1() {
    let state = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let rows: [(&[&str], &str); 3] = [
        (&["--listen", &address], &address),
        (&["--listen", "127.0.0.1:0", "--admin", &address], &address),
        (
            &["--listen-tls", "127.0.0.1:0", "--tls-cert", "/no.pem", "--tls-key", "/no.key"],
            "/no.pem",
        ),
    ];
    for (arguments, words) in rows {
        let output = corecast(state.path(), arguments).output().unwrap();
        let (code, said) = failure(&output);
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("corecast.toml");
    fs::write(&file, "workers = 5\nheartbeat = 'never'\nadmin = 'off'\n").unwrap();
    let mut command = corecast(state.path(), &["--check", "--listen", "127.0.0.1:0"]);
    command.env("CORECAST_CONFIG", &file).env("CORECAST_HEARTBEAT", "9s");
    command.env("CORECAST_WORKERS", "4").args(["--workers", "3"]);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("workers: 3,"), "{said}");
}

#[test]
fn an_unknown_key_is_told_the_nearest_known_one() {
    let state = tempfile::tempdir().unwrap();
    let file = state.path().join("corecast.toml");
    fs::write(&file, "listn = '127.0.0.1:0'\n").unwrap();
    let output = corecast(state.path(), &["--config", file.to_str().unwrap()]).output().unwrap();
    let (code, said) = failure(&output);
    assert_eq!(code, Some(2));
    assert!(said.contains("`listn`") && said.contains("`listen`"), "{said}");
}

#[test]
fn it_says_where_it_serves_and_drains_when_told_to() {
    let state = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(state.path(), &QUIET);
    assert!(serving.said.contains("clients may publish"), "{}", serving.said);
    let mut socket = websocket(serving.address("http://"), "/topics/demo");
    serving.signal("TERM");
    serving.hear("telling everybody to go");
    let mut close = [0; 4];
    socket.read_exact(&mut close).unwrap();
    assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, 1001));
    drop(socket);
    assert_eq!(serving.exit_code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let state = tempfile::tempdir().unwrap();
    let mut serving = Serving::start(state.path(), &QUIET);
    // It neither reads nor answers the close, so that draining would take its time.
    let _socket = websocket(serving.address("http://"), "/echo");
    serving.signal("HUP");
    serving.hear("SIGHUP");
    serving.signal("INT");
    serving.hear("telling everybody to go");
    serving.signal("INT");
    assert_eq!(serving.exit_code(), Some(1));
}

#[test]
fn the_development_certificate_is_made_once() {
    let state = tempfile::tempdir().unwrap();
    let tls = ["--listen-tls", "127.0.0.1:0", "--admin", "off"];
    let certificate = state.path().join("corecast/server.pem");
    for made in ["made just now", "made earlier"] {
        let serving = Serving::start(state.path(), &tls);
        assert!(serving.said.contains(made), "{}", serving.said);
        assert!(serving.said.contains(certificate.to_str().unwrap()), "{}", serving.said);
        TcpStream::connect(serving.address("https://")).unwrap();
        serving.signal("TERM");
        assert_eq!(serving.exit_code(), Some(0));
    }
}
