//! The servers of others: openssl, node, python.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::authority::Authority;
use crate::peer::{command, connect, finish, is_here, text};

/// A server of others that runs until the test has ended.
struct Stranger {
    process: Child,
    port: u16,
}

impl Stranger {
    /// Starts `openssl s_server` with a certificate of `authority`.
    fn openssl(authority: &Authority, arguments: &[&str]) -> Option<Self> {
        Self::openssl_with(server_files(authority), arguments)
    }

    /// The same with a certificate and a key of whatever kind.
    fn openssl_with([chain, key]: [PathBuf; 2], arguments: &[&str]) -> Option<Self> {
        if !is_here("openssl", "version") {
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new("openssl")
            .args(["s_server", "-accept", &format!("127.0.0.1:{port}")])
            .args(["-cert", text(&chain), "-key", text(&key)])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        read_line_with(&mut process, "ACCEPT");
        Some(Self { process, port })
    }

    /// Starts a script, which says its port in a line of its own.
    fn script(interpreter: &str, name: &str, authority: &Authority) -> Option<Self> {
        if !is_here(interpreter, "--version") {
            return None;
        }
        let [chain, key] = server_files(authority);
        let path = format!("{}/tests/connect/{name}", env!("CARGO_MANIFEST_DIR"));
        let mut process = Command::new(interpreter)
            .arg(path)
            .args([&chain, &key, &authority.certificate()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let line = read_line_with(&mut process, "port ");
        let port = line.trim().strip_prefix("port ").unwrap().parse().unwrap();
        Some(Self { process, port })
    }

    fn say(&mut self, words: &str) {
        self.process.stdin.as_mut().unwrap().write_all(words.as_bytes()).unwrap();
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.port)
    }
}

impl Drop for Stranger {
    /// It may have ended already.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn server_files(authority: &Authority) -> [PathBuf; 2] {
    authority.issue("server", &["localhost", "127.0.0.1"], SystemTime::now())
}

/// Reads what `process` says up to a line with `words`, byte by byte, since it says more later.
fn read_line_with(process: &mut Child, words: &str) -> String {
    let stdout = process.stdout.as_mut().unwrap();
    let mut line = String::new();
    loop {
        let mut byte = [0];
        assert_eq!(stdout.read(&mut byte).unwrap(), 1, "it has ended and never said {words}");
        line.push(char::from(byte[0]));
        if byte == *b"\n" {
            if line.contains(words) {
                return line;
            }
            line.clear();
        }
    }
}

const VERSIONS: [(&str, &str); 2] = [("-tls1_2", "TLS 1.2"), ("-tls1_3", "TLS 1.3")];

#[test]
fn openssl_is_talked_to_in_both_versions_and_updates_its_keys() {
    let authority = Authority::named("authority");
    for (flag, version) in VERSIONS {
        let Some(mut stranger) = Stranger::openssl(&authority, &["-msg", "-naccept", "1", flag])
        else {
            return;
        };
        let ca = format!("--ca={}", authority.certificate().display());
        let mut child = command(&[&ca, &stranger.url("tls")]).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines();
        child.stdin.as_mut().unwrap().write_all(b"from the client\n").unwrap();
        read_line_with(&mut stranger.process, "from the client");
        stranger.say("hello\n");
        assert_eq!(out.next().unwrap().unwrap(), "hello");
        // New keys of the server, and new keys of both; each is a command only if it is all that a
        // read brings.
        for command in ["k\n", "K\n"].into_iter().filter(|_| flag == "-tls1_3") {
            stranger.say(command);
            read_line_with(&mut stranger.process, "KeyUpdate");
            stranger.say("after\n");
            assert_eq!(out.next().unwrap().unwrap(), "after");
        }
        let outcome = finish(child, b"last\n");
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert!(outcome.err.contains(version), "{}", outcome.err);
        read_line_with(&mut stranger.process, "last");
    }
}

/// What we offer: a suite, what `s_server` is told to take nothing else, and the kind of its key.
const SUITES: [(&str, [&str; 2], &str); 9] = [
    ("TLS_AES_256_GCM_SHA384", ["-tls1_3", "-ciphersuites"], "p256"),
    ("TLS_CHACHA20_POLY1305_SHA256", ["-tls1_3", "-ciphersuites"], "p256"),
    ("TLS_AES_128_GCM_SHA256", ["-tls1_3", "-ciphersuites"], "rsa2048"),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", ["-tls1_2", "-cipher"], "p256"),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", ["-tls1_2", "-cipher"], "p256"),
    ("ECDHE-ECDSA-AES128-GCM-SHA256", ["-tls1_2", "-cipher"], "p256"),
    ("ECDHE-RSA-AES256-GCM-SHA384", ["-tls1_2", "-cipher"], "rsa2048"),
    ("ECDHE-RSA-CHACHA20-POLY1305", ["-tls1_2", "-cipher"], "rsa2048"),
    ("ECDHE-RSA-AES128-GCM-SHA256", ["-tls1_2", "-cipher"], "rsa2048"),
];

#[test]
fn openssl_is_talked_to_in_every_suite_with_a_certificate_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: String| directory.path().join(name);
    let cert = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_corecast"));
        command.arg("cert").args(arguments).current_dir(directory.path());
        assert!(command.output().unwrap().status.success(), "{arguments:?}");
    };
    cert(&["ca"]);
    cert(&["client", "--ca=.", "--name=ann"]);
    for kind in ["p256", "rsa2048"] {
        cert(&["server", "--ca=.", "--out", kind, "--key", kind]);
    }
    let [ca, ann, key] = ["ca.pem", "ann.pem", "ann-key.pem"].map(|name| file(name.into()));
    let shown = ["--ca", text(&ca), "--cert", text(&ann), "--key", text(&key)];
    let asks = ["-www", "-Verify", "1", "-verify_return_error", "-CAfile", text(&ca)];
    for (suite, [version, only], kind) in SUITES {
        let own = ["", "-key"].map(|end| file(format!("{kind}/localhost{end}.pem")));
        let arguments = [&asks[..], &[version, only, suite]].concat();
        let Some(stranger) = Stranger::openssl_with(own, &arguments) else { return };
        let url = format!("{}/", stranger.url("https"));
        let page = connect(&[&shown[..], &[&url]].concat(), b"").text();
        assert!(page.contains(&format!("Cipher    : {suite}")), "{suite}: {page}");
        assert!(!page.contains("no client certificate available"), "{suite}");
    }
}

#[test]
fn the_page_of_openssl_is_read_to_its_end() {
    let authority = Authority::named("authority");
    let ca = format!("--ca={}", authority.certificate().display());
    for (flag, version) in VERSIONS {
        let Some(stranger) = Stranger::openssl(&authority, &["-www", flag]) else { return };
        // It ends each connection: the second and third resume.
        let url = format!("{}/", stranger.url("https"));
        let outcome = connect(&[&ca, "-i", &url, &url, &url], b"");
        assert_eq!(outcome.err.matches(version).count(), 3, "{}", outcome.err);
        assert_eq!(outcome.err.matches("resumed").count(), 2, "{}", outcome.err);
        let page = outcome.text();
        assert_eq!(page.matches("HTTP/1.0 200 ok\r\n").count(), 3, "{page}");
        assert!(page.contains(&version.replace("TLS ", "TLSv")), "{page}");
    }
}

#[test]
fn openssl_verifies_a_certificate_of_the_client() {
    let authority = Authority::named("authority");
    let trust = authority.certificate();
    let ca = format!("--ca={}", trust.display());
    for (flag, _) in VERSIONS {
        let arguments =
            ["-www", flag, "-Verify", "1", "-verify_return_error", "-CAfile", text(&trust)];
        let Some(stranger) = Stranger::openssl(&authority, &arguments) else { return };
        let url = format!("{}/", stranger.url("https"));
        let [cert, key] = authority.issue("client", &["client"], SystemTime::now());
        let shown = ["--cert", text(&cert), "--key", text(&key)];
        let outcome = connect(&[&[&*ca, &url], &shown[..]].concat(), b"");
        assert!(!outcome.text().contains("no client certificate available"));
        let outcome = connect(&[&ca, &url], b"");
        outcome.failed(4, "--cert and --key");
    }
}

#[test]
fn node_knows_who_we_are_and_sends_chunks() {
    let authority = Authority::named("authority");
    let Some(stranger) = Stranger::script("node", "server.mjs", &authority) else { return };
    let ca = format!("--ca={}", authority.certificate().display());
    let url = format!("{}/", stranger.url("https"));
    let anonymous = connect(&[&ca, "-d", "hello", &url, &url], b"");
    assert_eq!(anonymous.err.matches("connected to").count(), 1, "{}", anonymous.err);
    assert_eq!(anonymous.text(), "POST hello unauthorized\n".repeat(2));
    let [cert, key] = authority.issue("client", &["client"], SystemTime::now());
    let known = connect(&[&ca, "--cert", text(&cert), "--key", text(&key), &url], b"");
    assert_eq!(known.text(), "GET  authorized client\n");
}

#[test]
fn node_echoes_bytes_over_tls() {
    let authority = Authority::named("authority");
    let Some(stranger) = Stranger::script("node", "echo.mjs", &authority) else { return };
    let ca = format!("--ca={}", authority.certificate().display());
    let [cert, key] = authority.issue("client", &["client"], SystemTime::now());
    let long = "0123456789abcde\n".repeat(1 << 16);
    for (shown, word) in
        [(&[][..], "unauthorized"), (&["--cert", text(&cert), "--key", text(&key)], "authorized")]
    {
        let outcome = connect(&[&[&*ca, &stranger.url("tls")], shown].concat(), long.as_bytes());
        assert!(outcome.text() == format!("{word}\n{long}"));
    }
}

#[test]
fn python_serves_files_and_ends_without_a_last_word() {
    let authority = Authority::named("authority");
    let Some(stranger) = Stranger::script("python3", "server.py", &authority) else { return };
    let ca = format!("--ca={}", authority.certificate().display());
    // Its HTTP/1.0 ends each answer with the connection, but says how long it is.
    let counted = format!("{}/counted", stranger.url("https"));
    assert_eq!(connect(&[&ca, &counted, &counted], b"").text(), "hello\nhello\n");
    // Where nothing says how long it is, an end without close_notify may be an attacker's.
    let endless = format!("{}/endless", stranger.url("https"));
    let outcome = connect(&[&ca, &endless], b"");
    outcome.failed(4, "cut off without close_notify");
    assert_eq!(outcome.out, b"hello\n");
}
