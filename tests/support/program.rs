//! The program `corecast` as a process of its own, for one test.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;

use tempfile::TempDir;

use super::client::PATIENCE;

/// A program that serves until the test has ended, however that ends.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    said: Vec<String>,
    state: TempDir,
}

impl Program {
    /// Starts it with these arguments, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_within("ulimit -S -n $(ulimit -H -n)", arguments)
    }

    /// Starts it where it may not open more than `files` files in a table.
    pub(crate) fn start_with_files(files: u32, arguments: &[&str]) -> Self {
        Self::start_within(&format!("ulimit -n {files}"), arguments)
    }

    /// Starts it after a `preparation` of the shell.
    fn start_within(preparation: &str, arguments: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let mut child = Command::new("/bin/sh")
            .args(["-c", &format!("{preparation}; exec \"$0\" \"$@\"")])
            .arg(env!("CARGO_BIN_EXE_corecast"))
            .args(arguments)
            .env_clear()
            .env("XDG_STATE_HOME", state.path())
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        send_lines(child.stderr.take().unwrap(), sender);
        let mut program = Self { child, lines, said: Vec::new(), state };
        program.wait_for("try: cargo");
        program
    }

    /// Where it said that it serves `http://`, `https://` or `tls://`, first.
    pub(crate) fn address(&self, scheme: &str) -> SocketAddr {
        self.address_behind(&format!(" on {scheme}"))
    }

    /// Where it said that operators are answered.
    pub(crate) fn admin_address(&self) -> SocketAddr {
        self.address_behind("health on http://")
    }

    fn address_behind(&self, words: &str) -> SocketAddr {
        let line = self.said.iter().find_map(|line| line.split_once(words)).unwrap().1;
        line.split('/').next().unwrap().parse().unwrap()
    }

    /// Whether it has said `words` up to now.
    pub(crate) fn has_said(&self, words: &str) -> bool {
        self.said.iter().any(|line| line.contains(words))
    }

    /// The certificate of its development authority.
    pub(crate) fn authority(&self) -> PathBuf {
        self.state.path().join("corecast/ca.pem")
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        // The shell's own, since not every system has the program.
        let kill = format!("kill -s {name} {}", self.child.id());
        assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits until it has ended by itself, and tells its exit code.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end: {:?}", self.said),
            }
        }
        self.child.wait().unwrap().code()
    }

    /// Waits until it says `words`.
    pub(crate) fn wait_for(&mut self, words: &str) {
        while !self.has_said(words) {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.said.push(line),
                Err(error) => panic!("it never said {words:?} ({error}): {:?}", self.said),
            }
        }
    }
}

impl Drop for Program {
    /// It may have ended already, and then neither does anything.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads lines on a thread of their own, so that waiting for them can be bounded.
fn send_lines(output: impl Read + Send + 'static, sender: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
}
