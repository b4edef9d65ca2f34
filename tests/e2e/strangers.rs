//! Programs of others against ours, as far as they are installed here: curl, openssl, python, node.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use crate::program::Program;

/// A server of both kinds and what strangers need to find and believe it.
struct Host {
    _program: Program,
    authority: String,
    http: String,
    https: String,
}

impl Host {
    fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with more arguments.
    fn start_with(arguments: &[&str]) -> Self {
        let usual = [
            "--listen=127.0.0.1:0",
            "--listen-tls=127.0.0.1:0",
            "--admin=off",
            "--workers=2",
            "--subprotocol=v2",
            "--subprotocol=v1",
        ];
        let program = Program::start(&[&usual, arguments].concat());
        let [http, https] = ["http://", "https://"].map(|it| program.address(it).to_string());
        let authority = program.authority().to_str().unwrap().to_owned();
        Self { _program: program, authority, http, https }
    }

    /// Runs a stranger that is told `input`, and gives back what it says. It must end well.
    fn receive(&self, stranger: &str, arguments: &[&str], input: &str) -> Option<String> {
        let mut command = Command::new(stranger);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("ADDRESS", &self.https).env("AUTHORITY", &self.authority);
        command.env("NODE_EXTRA_CA_CERTS", &self.authority);
        let Ok(mut child) = command.spawn() else {
            assert!(std::env::var_os("CI").is_none(), "there is no {stranger} to test with");
            eprintln!("SKIPPED: there is no {stranger} on the path to test with");
            return None;
        };
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let [said, complained] = [stdout, stderr].map(|it| String::from_utf8(it).unwrap());
        assert!(status.success(), "{stranger}: {status}\n{said}\n{complained}");
        Some(said)
    }

    /// Runs curl, which must believe the certificate.
    fn curl(&self, arguments: &[&str]) -> Option<String> {
        let common = ["-sS", "--max-time", "20", "--cacert", &self.authority];
        self.receive("curl", &[&common[..], arguments].concat(), "")
    }
}

/// Where a program in another language is.
fn script(name: &str) -> String {
    format!("{}/tests/e2e/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn curl_asks_several_things_over_one_connection() {
    let host = Host::start();
    let [page, count, nothing] =
        ["", "connections", "nothing"].map(|path| format!("https://{}/{path}", host.https));
    for version in ["1.2", "1.3"] {
        let report = "%{http_code} %{num_connects} %{ssl_verify_result}\n";
        let only = format!("--tlsv{version}");
        let mut arguments = vec![&*only, "--tls-max", version, "-w", report];
        for url in [&page, &count, &nothing, &page] {
            arguments.extend([&**url, "-o", "/dev/null"]);
        }
        let Some(said) = host.curl(&arguments) else { return };
        assert_eq!(said, "200 1 0\n200 0 0\n404 0 0\n200 0 0\n", "TLS {version}");
    }
}

#[test]
fn curl_is_told_what_can_be_asked_and_how() {
    let host = Host::start();
    let rows: [(&str, &[&str], &str); 8] = [
        ("/connections", &[], "{\"connections\":1,\"established\":0}\n200 "),
        ("/nothing", &[], "404 "),
        ("/", &["-X", "DELETE"], "405 GET, HEAD"),
        ("/echo", &["-X", "POST"], "405 GET"),
        ("/echo", &[], "426 "),
        ("/topics/demo", &["-H", "Content-Type: text/plain", "-d", "hello"], "200 "),
        ("/topics/demo", &["-d", "hello"], "415 "),
        ("/topics/a%2Fb", &["-H", "Content-Type: text/plain", "-d", "hello"], "400 "),
    ];
    for (path, arguments, end) in rows {
        let url = format!("https://{}{path}", host.https);
        let common = [&url, "-w", "%{http_code} %header{allow}"];
        let Some(said) = host.curl(&[&common, arguments].concat()) else { return };
        assert!(said.ends_with(end), "{path} {arguments:?}: {said}");
    }
}

#[test]
fn curl_gets_the_head_of_what_it_would_get() {
    let host = Host::start();
    let url = format!("http://{}/", host.http);
    let Some(page) = host.curl(&[&url]) else { return };
    // Twice, since a body behind the first head would spoil the second answer.
    let heads = host.curl(&["-I", &url, &url, "-w", "%{num_connects}"]).unwrap();
    let len = format!("Content-Length: {}\r\n", page.len());
    assert_eq!(heads.matches(&len).count(), 2, "{heads}");
    assert_eq!(heads.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{heads}");
    assert!(heads.ends_with("\r\n\r\n0"), "over one connection: {heads}");
}

#[test]
fn curl_announces_itself_like_a_proxy() {
    let program = Program::start(&[
        "--listen-tls=127.0.0.1:0",
        "--proxy-protocol",
        "--trusted-proxy=127.0.0.0/8",
        "--admin=off",
        "--workers=1",
    ]);
    let [http, https] = [String::new(), program.address("https://").to_string()];
    let authority = program.authority().to_str().unwrap().to_owned();
    let host = Host { _program: program, authority, http, https };
    let url = format!("https://{}/connections", host.https);
    let Some(said) = host.curl(&["--haproxy-protocol", &url]) else { return };
    assert!(said.starts_with("{\"connections\":1,"), "{said}");
    // TLS, where the announcement should be, is refused.
    let silent = Command::new("curl").args(["-sk", "--max-time", "20", &url]).output().unwrap();
    assert!(!silent.status.success() && silent.stdout.is_empty(), "{silent:?}");
}

#[test]
fn openssl_sees_the_answer_and_an_orderly_end() {
    let host = Host::start();
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = ["s_client", "-quiet", version, "-connect", &host.https];
        let trust = ["-verify_return_error", "-CAfile", &host.authority];
        // An end without close_notify is an error to it.
        let arguments = [&arguments[..], &trust].concat();
        let Some(said) = host.receive("openssl", &arguments, request) else { return };
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
        assert!(said.trim_end().ends_with("</html>"), "{said}");
    }
}

#[test]
fn a_websocket_in_python_is_echoed_over_tls() {
    let host = Host::start();
    if let Some(said) = host.receive("python3", &[&script("echo.py")], "") {
        assert_eq!(said, "echoed\n");
    }
}

#[test]
fn messages_are_deflated_with_the_zlib_of_python() {
    let no = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    let narrow = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";
    let rows = [
        ("--deflate", "permessage-deflate", no),
        ("--deflate=takeover", "permessage-deflate; client_max_window_bits", "permessage-deflate"),
        ("--deflate=takeover", narrow, narrow),
    ];
    for (flag, offer, agreed) in rows {
        let host = Host::start_with(&[flag]);
        if let Some(said) = host.receive("python3", &[&script("deflate.py"), offer], "") {
            assert_eq!(said.trim_end(), agreed);
        }
    }
}

#[test]
fn the_websocket_of_node_is_a_browsers() {
    let host = Host::start();
    let flag = "--experimental-websocket"; // without a meaning where it is on by itself
    let probe = Command::new("node").args([flag, "-p", "typeof WebSocket"]).output();
    if !probe.is_ok_and(|output| output.stdout == b"function\n") {
        assert!(std::env::var_os("CI").is_none(), "there is no node with a WebSocket");
        eprintln!("SKIPPED: there is no node with a WebSocket on the path to test with");
        return;
    }
    let script = script("browser.mjs");
    let said = host.receive("node", &[flag, "--no-warnings", &script], "");
    assert_eq!(said.as_deref(), Some("echoed, published, closed\n"));
}
