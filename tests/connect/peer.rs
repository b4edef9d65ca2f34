//! The client as a process of its own, and servers for it that say what a test wants said.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use crate::client::PATIENCE;
use crate::program::Program;

/// How the client ended, and what it said.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

impl Outcome {
    /// What it wrote, if all went well.
    pub(crate) fn text(self) -> String {
        assert_eq!(self.code, Some(0), "{}", self.err);
        String::from_utf8(self.out).unwrap()
    }

    /// Asserts that it failed with `code` and `words`, in the one line that it ends with.
    pub(crate) fn failed(&self, code: i32, words: &str) {
        let last = self.err.lines().last().unwrap_or_default();
        assert_eq!(self.code, Some(code), "{}", self.err);
        assert!(last.starts_with("corecast: ") && last.contains(words), "{words}: {}", self.err);
    }
}

/// The client with these arguments, in an environment where nobody is believed.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
    command.arg("connect").args(arguments).env_clear();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs the client, which is told `input` and then its end.
pub(crate) fn connect(arguments: &[&str], input: &[u8]) -> Outcome {
    finish(command(arguments).spawn().unwrap(), input)
}

/// Tells a client `input` and its end, and waits until it has ended.
pub(crate) fn finish(mut child: Child, input: &[u8]) -> Outcome {
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Who ends early does not read it all.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    Outcome { code: output.status.code(), out: output.stdout, err }
}

/// A server of ours of every kind.
pub(crate) fn serve() -> Program {
    serve_with(&[])
}

/// The same with more arguments.
pub(crate) fn serve_with(arguments: &[&str]) -> Program {
    let usual = [
        "--listen=127.0.0.1:0",
        "--listen-tls=127.0.0.1:0",
        "--listen-stream=127.0.0.1:0",
        "--admin=off",
        "--workers=1",
        "--subprotocol=v2",
    ];
    Program::start(&[&usual, arguments].concat())
}

/// Where `program` serves `scheme`, and what makes it believed.
pub(crate) fn place(program: &Program, scheme: &str) -> (String, String) {
    let listener = match scheme {
        "https" | "wss" => "https://",
        "tls" => "tls://",
        _ => "http://",
    };
    let url = format!("{scheme}://{}", program.address(listener));
    (url, format!("--ca={}", program.authority().display()))
}

/// A server that gives each connection to `serve`, one after the other, `count` times.
pub(crate) fn script(
    count: usize,
    serve: impl Fn(usize, TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for number in 0..count {
            let (socket, _) = listener.accept().unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            serve(number, socket);
        }
    });
    (address, thread)
}

/// Reads until `end` has come; gives back all that came.
pub(crate) fn read_to(socket: &mut impl Read, end: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end) {
        let mut byte = [0];
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "ended after {}", bytes.escape_ascii());
        bytes.push(byte[0]);
    }
    bytes
}

/// Whether a stranger is installed. On the way to a release it must be.
pub(crate) fn is_here(stranger: &str, argument: &str) -> bool {
    let is_here = Command::new(stranger).arg(argument).output().is_ok();
    assert!(is_here || std::env::var_os("CI").is_none(), "there is no {stranger}");
    if !is_here {
        eprintln!("SKIPPED: there is no {stranger} on the path to test with");
    }
    is_here
}

/// A path as an argument.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
