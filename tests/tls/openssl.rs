//! OpenSSL's client against a small blocking server around the seam, over real sockets.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use corecast::base::Input;
use corecast::tls::{Opened, SCRATCH_BYTES_MIN, Tls};

use crate::support::server_config;

/// How long any one thing may take before the test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn openssl_talks_with_our_server() {
    for offer in [
        &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"][..],
        &["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
    ] {
        let Some(mut client) = OpenSsl::connect(offer) else { return };
        client.say("hello\n");
        client.wait_for("echo: hello");
        client.say("again\n");
        client.wait_for("echo: again");
        client.end();
    }
}

#[test]
fn openssl_updates_its_keys_and_ours() {
    let Some(mut client) = OpenSsl::connect(&["-tls1_3"]) else { return };
    // What s_client understands as "new keys of mine" and "and of yours".
    for (command, data) in [("k\n", "one"), ("K\n", "two"), ("K\n", "six"), ("k\n", "ten")] {
        client.say(command);
        // A command is one only at the start of what a read brings.
        client.wait_for("KEYUPDATE");
        client.say(&format!("{data}\n"));
        client.wait_for(&format!("echo: {data}"));
    }
    client.end();
}

/// A connection of `openssl s_client` to a server of ours.
struct OpenSsl {
    process: Child,
    lines: Receiver<String>,
    server: thread::JoinHandle<()>,
}

impl OpenSsl {
    /// Connects, or says loudly that there is no OpenSSL here.
    fn connect(offer: &[&str]) -> Option<Self> {
        if Command::new("openssl").arg("version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "there is no openssl to test TLS with");
            eprintln!("SKIPPED: there is no openssl on the path to test TLS with");
            return None;
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = thread::spawn(move || echo(listener.accept().unwrap().0));
        let mut process = Command::new("openssl")
            .args(["s_client", "-connect", &address, "-servername", "localhost"])
            .args(offer)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        send_lines(process.stdout.take().unwrap(), sender.clone());
        send_lines(process.stderr.take().unwrap(), sender);
        let mut client = Self { process, lines, server };
        client.wait_for("---"); // the handshake is described, now it listens
        Some(client)
    }

    fn say(&mut self, text: &str) {
        self.process.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Reads lines until one contains `text`.
    fn wait_for(&mut self, text: &str) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return,
                Ok(_) => {}
                Err(error) => {
                    self.process.kill().unwrap();
                    panic!("s_client did not say {text:?}: {error}");
                }
            }
        }
    }

    /// Lets it close, and the server with it.
    fn end(mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
        self.server.join().unwrap();
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

/// Sends everything back after "echo: ", until the peer closes.
fn echo(mut stream: TcpStream) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut tls = Tls::server(&server_config()).unwrap();
    let mut scratch = vec![0; SCRATCH_BYTES_MIN];
    loop {
        let kept = tls.restore(&mut scratch);
        let read = stream.read(&mut scratch[kept..]).unwrap();
        if read == 0 {
            return;
        }
        let mut input = Input::new(&mut scratch[..kept + read]);
        let (mut reply, mut plaintext) = (Vec::new(), Vec::new());
        let is_closed = loop {
            match tls.open(&mut input, &mut reply).unwrap() {
                Opened::Plaintext(part) => plaintext.extend_from_slice(part),
                Opened::Established(_) => {}
                Opened::Wanting => break false,
                Opened::Closed => break true,
            }
        };
        if !plaintext.is_empty() {
            tls.seal(&[b"echo: ", &plaintext[..]].concat(), &mut reply).unwrap();
        }
        if is_closed {
            tls.close(&mut reply);
        }
        stream.write_all(&reply).unwrap();
        if is_closed {
            return;
        }
    }
}
