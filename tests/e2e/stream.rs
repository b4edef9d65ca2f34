//! Byte streams over TLS, as clients of others know them.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use crate::program::Program;

/// How much goes out and comes back where much does.
const LONG_BYTES: usize = 64 << 20;

/// A server of byte streams.
fn serve() -> Program {
    Program::start(&[
        "--listen=127.0.0.1:0",
        "--listen-stream=127.0.0.1:0",
        "--admin=off",
        "--workers=1",
    ])
}

/// Starts a stranger that knows where the server is and whom to believe.
fn start(program: &Program, stranger: &str, arguments: &[&str]) -> Option<Child> {
    let mut command = Command::new(stranger);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    command.env("ADDRESS", program.address("tls://").to_string());
    command.env("AUTHORITY", program.authority());
    command.env("LONG_BYTES", LONG_BYTES.to_string());
    let Ok(child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "there is no {stranger}");
        eprintln!("SKIPPED: there is no {stranger} on the path to test with");
        return None;
    };
    Some(child)
}

/// Runs a script, and gives back what it says. It must end well.
fn receive(program: &Program, stranger: &str, script: &str) -> Option<String> {
    let script = format!("{}/tests/e2e/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = start(program, stranger, &[&script])?.wait_with_output().unwrap();
    assert!(output.status.success(), "{stranger}: {}", output.status);
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn openssl_is_welcomed_and_echoed_to_an_orderly_end() {
    let mut program = serve();
    let address = program.address("tls://").to_string();
    let authority = program.authority();
    for version in ["-tls1_2", "-tls1_3"] {
        let common = ["s_client", "-quiet", "-no_ign_eof", version, "-connect", &address];
        let trust = ["-verify_return_error", "-CAfile", authority.to_str().unwrap()];
        let Some(mut client) = start(&program, "openssl", &[&common[..], &trust].concat()) else {
            return;
        };
        let mut lines = BufReader::new(client.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "welcome!");
        program.wait_for(": unauthorized");
        let mut input = client.stdin.take().unwrap();
        for word in ["hello", "again"] {
            writeln!(input, "{word}").unwrap();
            assert_eq!(lines.next().unwrap().unwrap(), word, "{version}");
        }
        drop(input);
        assert!(lines.next().is_none());
        assert!(client.wait().unwrap().success());
    }
}

#[test]
fn python_gets_back_all_that_it_sends() {
    let program = serve();
    if let Some(said) = receive(&program, "python3", "stream.py") {
        assert_eq!(said, "welcomed, echoed, ended\n");
    }
}

#[test]
fn node_ends_its_direction_first_and_then_reads_slowly_to_the_end() {
    let program = serve();
    if let Some(said) = receive(&program, "node", "stream.mjs") {
        assert_eq!(said, format!("{LONG_BYTES} bytes came back, held back at times, ended\n"));
    }
}
