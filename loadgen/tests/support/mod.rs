//! What the tests of the program share: running it, and a server that can be made to misbehave.

// `pub` is for the tests that include this.
#![allow(unreachable_pub)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use corecast::base::Input;
use corecast::http::{Limits, Reader};
use corecast::ws::handshake::accept;
use corecast::ws::{self, Decoder, Event, Opcode, Role, encoder};
use serde_json::Value;

/// The program with the arguments of `line`.
pub fn loadgen(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadgen"));
    command.args(line.split_whitespace());
    command
}

/// What came of a run.
pub struct Run {
    /// How the program ended.
    pub exit: i32,
    /// The result, if there is one.
    pub json: Value,
    /// What it said on standard error.
    pub complaint: String,
}

/// Runs the program to its end, with its result as JSON.
pub fn run(line: &str) -> Run {
    concluded(&loadgen(line).args(["--json", "-"]).output().unwrap())
}

/// Reads what a program that has ended left behind.
pub fn concluded(output: &Output) -> Run {
    Run {
        exit: output.status.code().unwrap(),
        json: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        complaint: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What must be true of every run that came to its end.
pub fn is_sound(json: &Value) {
    assert_eq!(json["schema"], "loadgen/1");
    let accounting = &json["accounting"];
    let sum = |classes: &Value| -> u64 {
        classes.as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum()
    };
    let number = |name: &str| accounting[name].as_u64().unwrap();
    assert_eq!(accounting["balanced"], true);
    assert_eq!(number("attempted"), number("opened") + sum(&accounting["failed"]));
    assert_eq!(number("opened"), sum(&accounting["closed"]));
    assert_eq!(number("pending"), 0);
}

/// A run that has been started, with its screen.
pub struct Running {
    /// The process.
    pub child: Child,
    screen: BufReader<std::process::ChildStderr>,
    /// The address of the server it measures.
    pub server: SocketAddr,
}

impl Running {
    /// Starts a run and waits until its screen names `stage`.
    pub fn until(stage: &str, line: &str) -> Self {
        let mut command = loadgen(line);
        command.args(["--json", "-"]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut screen = BufReader::new(child.stderr.take().unwrap());
        let mut title = String::new();
        screen.read_line(&mut title).unwrap();
        let server = address(title.split_whitespace().nth(1).unwrap());
        let mut running = Self { child, screen, server };
        running.wait_for(stage);
        running
    }

    /// Waits until its screen names `stage`.
    pub fn wait_for(&mut self, stage: &str) {
        while !self.read_line().contains(stage) {}
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Waits for its end.
    pub fn end(mut self) -> Run {
        let mut rest = String::new();
        self.screen.read_to_string(&mut rest).unwrap();
        concluded(&self.child.wait_with_output().unwrap())
    }

    fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.screen.read_line(&mut line).unwrap(), 0, "it ended too soon");
        line
    }
}

/// The address in a URL.
pub fn address(url: &str) -> SocketAddr {
    url.split('/').nth(2).unwrap().parse().unwrap()
}

/// Whether nobody listens at `address`.
pub fn is_gone(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_err()
}

/// What a server of ours does with the messages of one connection: it gets each with its number and
/// writes what it likes.
pub type Behaviour = fn(number: u64, message: &[u8], out: &mut Vec<u8>);

/// Sends a message back as it came.
pub fn echo(message: &[u8], out: &mut Vec<u8>) {
    encoder::encode(out, Opcode::Binary, message);
}

/// A server that behaves as told, until the test ends. Returns its URL.
pub fn server(behaviour: Behaviour) -> String {
    listening(move |stream| serve(stream, behaviour))
}

/// A server that answers every request with `answer`. Returns its URL.
pub fn answering(answer: &'static str) -> String {
    listening(move |mut stream| {
        let mut request = [0; 4096];
        if stream.read(&mut request).is_ok_and(|len| len > 0) {
            let _ = stream.write_all(answer.as_bytes());
        }
    })
}

/// A server that hands each connection to `serve`, on a thread of its own. Returns its URL.
pub fn listening(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    thread::Builder::new()
        .spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = serve.clone();
                thread::Builder::new().spawn(move || serve(stream)).unwrap();
            }
        })
        .unwrap();
    url
}

/// One connection, with plain blocking calls. The peer's end is where it ends.
pub fn serve(mut stream: TcpStream, mut behaviour: impl FnMut(u64, &[u8], &mut Vec<u8>)) {
    let limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
    let (mut reader, mut decoder) = (Reader::default(), Decoder::new(Role::Server));
    let (mut is_upgraded, mut number) = (false, 0);
    let mut scratch = vec![0; 16_384];
    while let Ok(len @ 1..) = stream.read(&mut scratch) {
        let mut input = Input::new(&mut scratch[..len]);
        let mut out = Vec::new();
        if !is_upgraded {
            let request = reader.next(&mut input, &Limits::default()).unwrap();
            let Some((head, _)) = request else { continue };
            accept(&head).unwrap().encode(None, None, &mut out);
            is_upgraded = true;
        }
        while let Some(event) = decoder.next(&mut input, &limits).unwrap() {
            if let Event::Binary(message) = event {
                behaviour(number, &message, &mut out);
                number += 1;
            }
        }
        if stream.write_all(&out).is_err() {
            return;
        }
    }
}
