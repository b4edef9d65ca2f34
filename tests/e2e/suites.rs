//! Every suite that the program offers, with OpenSSL at the other end; and Node and Python, who
//! show certificates.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::program::Program;

/// An authority, a server with a key of some kind, and the client Ann, all made by the program.
struct Family {
    directory: tempfile::TempDir,
}

impl Family {
    fn new(key: &str) -> Self {
        let family = Self { directory: tempfile::tempdir().unwrap() };
        family.cert(&["ca"]);
        family.cert(&["server", "--ca=.", "--key", key]);
        family.cert(&["client", "--ca=.", "--name=ann"]);
        family
    }

    fn cert(&self, arguments: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
        command.arg("cert").args(arguments).current_dir(self.directory.path());
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    }

    /// A server of streams and requests that asks who its clients are.
    fn serve(&self) -> Program {
        let flag = |flag: &str, file: &str| format!("{flag}={}", self.path(file).display());
        Program::start(&[
            "--listen-tls=127.0.0.1:0",
            "--listen-stream=127.0.0.1:0",
            "--admin=off",
            "--workers=1",
            "--client-auth=request",
            &flag("--client-ca", "ca.pem"),
            &flag("--tls-cert", "localhost.pem"),
            &flag("--tls-key", "localhost-key.pem"),
        ])
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.directory.path().join(file)
    }
}

/// Starts a stranger where the family's files are; `None`, loudly, if it is not installed.
fn start(stranger: &str, directory: &Path, arguments: &[&str], ports: [u16; 2]) -> Option<Child> {
    let mut command = Command::new(stranger);
    command.args(arguments).current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.stderr(Stdio::null());
    command.env("STREAM_PORT", ports[0].to_string()).env("HTTPS_PORT", ports[1].to_string());
    let Ok(child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "there is no {stranger} to test with");
        eprintln!("SKIPPED: there is no {stranger} on the path to test with");
        return None;
    };
    Some(child)
}

fn ports(program: &Program) -> [u16; 2] {
    ["tls://", "https://"].map(|scheme| program.address(scheme).port())
}

/// `openssl s_client`, which tells what it has agreed on and then what it hears.
struct OpenSsl {
    process: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl OpenSsl {
    fn connect(family: &Family, ports: [u16; 2], suite: &[&str]) -> Option<Self> {
        let address = format!("127.0.0.1:{}", ports[0]);
        let common = ["s_client", "-connect", &address, "-servername", "localhost"];
        let trust = ["-verify_return_error", "-verify_hostname", "localhost", "-CAfile", "ca.pem"];
        let ann = ["-cert", "ann.pem", "-key", "ann-key.pem", "-msg"];
        let arguments = [&common[..], &trust, &ann, suite].concat();
        let mut process = start("openssl", family.directory.path(), &arguments, ports)?;
        let input = process.stdin.take().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { process, input, lines })
    }

    /// Says something, and reads on up to a line with `words`.
    fn ask(&mut self, said: &str, words: &str) {
        self.input.write_all(said.as_bytes()).unwrap();
        let found = self.lines.any(|line| line.unwrap().contains(words));
        assert!(found, "s_client has ended before {words:?}");
    }

    fn end(mut self) {
        drop(self.input);
        assert!(self.process.wait().unwrap().success());
    }
}

/// The suites of TLS 1.3, whatever the server's key.
const TLS13: [&str; 3] =
    ["TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"];

/// Those of TLS 1.2, by the server's key.
const TLS12: [(&str, [&str; 3]); 2] = [
    (
        "p256",
        [
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES128-GCM-SHA256",
        ],
    ),
    (
        "rsa2048",
        [
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-RSA-CHACHA20-POLY1305",
            "ECDHE-RSA-AES128-GCM-SHA256",
        ],
    ),
];

#[test]
fn openssl_proves_who_it_is_and_is_echoed_in_every_suite() {
    for (key, older) in TLS12 {
        let family = Family::new(key);
        let mut program = family.serve();
        let ports = ports(&program);
        for suite in TLS13 {
            let offer = ["-tls1_3", "-ciphersuites", suite];
            let Some(mut client) = OpenSsl::connect(&family, ports, &offer) else { return };
            client.ask("", &format!("Cipher is {suite}"));
            client.ask("", "welcome!");
            client.ask("hello\n", "hello");
            // New keys of its own, and new keys of both: commands, if they are all that a read
            // brings. What is sealed with them is echoed.
            for (command, word) in [("k\n", "one"), ("K\n", "two"), ("k\n", "six")] {
                client.ask(command, "KeyUpdate");
                client.ask(&format!("{word}\n"), word);
            }
            client.end();
        }
        for suite in older {
            let offer = ["-tls1_2", "-cipher", suite];
            let mut client = OpenSsl::connect(&family, ports, &offer).unwrap();
            client.ask("", "welcome!");
            client.ask("hello\n", "hello");
            client.end();
        }
        program.wait_for(": authorized: ");
        assert!(!program.has_said(": unauthorized"));
    }
}

#[test]
fn openssl_cannot_agree_on_a_suite_that_is_not_offered() {
    let family = Family::new("rsa2048");
    let program = family.serve();
    for offer in [
        ["-tls1_2", "-cipher", "AES256-GCM-SHA384"],
        ["-tls1_2", "-cipher", "ECDHE-RSA-AES256-SHA384"],
        ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"],
        ["-tls1_3", "-ciphersuites", "TLS_AES_128_CCM_SHA256"],
    ] {
        let Some(client) = OpenSsl::connect(&family, ports(&program), &offer) else { return };
        let output = client.process.wait_with_output().unwrap();
        assert!(!output.status.success(), "{offer:?}");
    }
}

/// What a script says that is told where the server and the family are.
fn known(interpreter: &str, script: &str) -> Option<(Program, String)> {
    let family = Family::new("p256");
    let mut program = family.serve();
    let script = format!("{}/tests/e2e/{script}", env!("CARGO_MANIFEST_DIR"));
    let child = start(interpreter, family.directory.path(), &[&script], ports(&program))?;
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{interpreter}: {}", output.status);
    program.wait_for(": authorized: ");
    program.wait_for(": unauthorized");
    Some((program, String::from_utf8(output.stdout).unwrap()))
}

#[test]
fn node_comes_with_a_certificate_and_without() {
    let Some((_program, said)) = known("node", "known.mjs") else { return };
    assert_eq!(said, "tls true welcome! hello\ntls true welcome! hello\nhttps 200 200 reused\n");
}

#[test]
fn python_comes_with_a_certificate_and_without() {
    let Some((_program, said)) = known("python3", "known.py") else { return };
    assert_eq!(said, "ssl welcome! hello\nssl welcome! hello\nhttps 200 200\n");
}
