//! How connections speak TLS: which version and group, who they are, and coming back to a session.

#![cfg(unix)]
// What is missing or does not fit fails the test, which is the point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, dead_code)]
#![allow(clippy::disallowed_methods)] // certificates are valid from now on

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use corecast::base::Input;
use corecast::http::{Limits, Reader};
use corecast::tls::DefaultTimeProvider;
use corecast::tls::config::{Authorities, Certificates, ClientAuth, Sources};
use corecast::tls::pki::{Authority, KeyKind, Life, NewKey, Purpose, Request, development, files};
use corecast::tls::{Opened, SCRATCH_BYTES_MIN, ServerConfig, Tls};
use corecast::ws::handshake::accept;
use corecast::ws::{self, Decoder, Event, Role};
use serde_json::Value;
use support::{echo, is_sound, listening, loadgen, run};

fn tls(json: &Value) -> &Value {
    &json["server"]["tls"]
}

#[test]
fn handshakes_agree_on_what_was_asked_for() {
    for (flags, version, kx) in [
        ("--tls 1.2", "TLS 1.2", None),
        ("--tls 1.3", "TLS 1.3", None),
        ("--key-share p256", "TLS 1.3", Some("secp256r1")),
        ("--key-share p384 --tls 1.2", "TLS 1.2", Some("secp384r1")),
        ("--key-share x25519mlkem768", "TLS 1.3", Some("X25519MLKEM768")),
    ] {
        let done = run(&format!("--conns 10 --hold 300ms --allow-invalid {flags}"));
        assert_eq!(done.exit, 0, "{flags}: {}", done.complaint);
        is_sound(&done.json);
        let tls = tls(&done.json);
        assert_eq!((&tls["version"], &tls["handshakes"]), (&version.into(), &10.into()), "{flags}");
        assert!(tls["suite"].as_str().unwrap().starts_with("TLS_"), "{tls}");
        assert!(kx.is_none_or(|kx| tls["kx"] == kx), "{flags}: {tls}");
        assert_eq!(tls["resumed"], 0);
    }
    let plain = run("--conns 2 --hold 300ms --allow-invalid --plain").json;
    assert_eq!(*tls(&plain), Value::Null);
}

#[test]
fn a_share_comes_back_to_a_session() {
    for (flags, resumed) in [
        ("--resume 100%", 200),
        ("--resume 25%", 50),
        ("--resume 50% --tls 1.2", 100),
        // Nobody has been there before.
        ("--resume 100% --session-cache per-conn", 0),
    ] {
        let line = "--conns 200 --scenario echo --rate 5/s --hold 500ms --allow-invalid";
        let done = run(&format!("{line} {flags}"));
        assert_eq!(done.exit, 0, "{flags}: {}", done.complaint);
        is_sound(&done.json);
        assert_eq!(done.json["delivery"]["gap"], 0, "{flags}");
        assert_eq!(tls(&done.json)["resumed"], resumed, "{flags}: {}", tls(&done.json));
    }
}

#[test]
fn who_has_a_session_of_its_own_resumes_when_it_comes_back() {
    let line = "--conns 40 --hold 2s --storm 50%/300ms --reconnect fixed --allow-invalid";
    for (flags, resumed) in [("--session-cache per-conn", 20), ("--session-cache shared", 60)] {
        let done = run(&format!("{line} --resume 100% {flags}"));
        assert_eq!(done.exit, 0, "{flags}: {}", done.complaint);
        let tls = tls(&done.json);
        assert_eq!((&tls["handshakes"], &tls["resumed"]), (&60.into(), &resumed.into()), "{flags}");
    }
}

/// A server that insists on a certificate of the development authority in `directory`, and echoes.
fn insisting(directory: &Path) -> String {
    let authority = development(directory, SystemTime::now()).unwrap().authority;
    let authorities = Authorities { certificates: authority, revocations: Vec::new() };
    let sources = Sources {
        certificates: Certificates::Development(directory.to_path_buf()),
        ocsp: Vec::new(),
        clients: ClientAuth::Require(authorities),
    };
    let config = sources.load(Arc::new(DefaultTimeProvider), None).unwrap().config;
    listening(move |stream| {
        serve_over(stream, Tls::server(&config as &Arc<ServerConfig>).unwrap());
    })
}

/// One connection over TLS, with plain blocking calls, that echoes.
fn serve_over(mut stream: TcpStream, mut tls: Tls) {
    let limits = ws::Limits { message_bytes_max: 1 << 20, fragments_max: 1 };
    let (mut reader, mut decoder) = (Reader::default(), Decoder::new(Role::Server));
    let mut is_upgraded = false;
    let mut scratch = vec![0; SCRATCH_BYTES_MIN];
    loop {
        let kept = tls.restore(&mut scratch);
        let Ok(len @ 1..) = stream.read(&mut scratch[kept..]) else { return };
        let mut input = Input::new(&mut scratch[..kept + len]);
        let (mut wire, mut said) = (Vec::new(), Vec::new());
        loop {
            match tls.open(&mut input, &mut wire) {
                Ok(Opened::Plaintext(plaintext)) => {
                    let mut plaintext = Input::new(plaintext);
                    if !is_upgraded {
                        let request = reader.next(&mut plaintext, &Limits::default()).unwrap();
                        let Some((head, _)) = request else { continue };
                        accept(&head).unwrap().encode(None, None, &mut said);
                        is_upgraded = true;
                    }
                    while let Some(event) = decoder.next(&mut plaintext, &limits).unwrap() {
                        if let Event::Binary(message) = event {
                            echo(&message, &mut said);
                        }
                    }
                }
                Ok(Opened::Established(_)) => {}
                Ok(Opened::Wanting) => break,
                Ok(Opened::Closed) | Err(_) => {
                    let _ = stream.write_all(&wire);
                    return;
                }
            }
        }
        if !said.is_empty() {
            tls.seal(&said, &mut wire).unwrap();
        }
        if stream.write_all(&wire).is_err() {
            return;
        }
    }
}

#[test]
fn a_client_proves_who_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let server = directory.path().join("server");
    let url = insisting(&server).replace("ws:", "wss:");
    let now = SystemTime::now();
    let authority: Authority = files::AuthorityFiles::new(&server).read().unwrap();
    let key = NewKey::generate(KeyKind::P256).unwrap();
    let request = Request::make(&["somebody".parse().unwrap()], &key).unwrap();
    let request = Request::read(&request).unwrap();
    let life = Life::days(1, now).unwrap();
    let chain = authority.sign(&request, Purpose::Client, life, now).unwrap();
    let [cert_path, key_path] = ["me.pem", "me.key"].map(|name| directory.path().join(name));
    fs::write(&cert_path, files::certificates_to_pem(&chain)).unwrap();
    fs::write(&key_path, key.pem()).unwrap();
    let command = format!("--conns 3 --hold 300ms --allow-invalid --insecure {url}");
    let known =
        format!("--client-cert {} --client-key {}", cert_path.display(), key_path.display());
    let done = run(&format!("{command} {known}"));
    assert_eq!(done.exit, 0, "{}", done.complaint);
    assert_eq!(done.json["accounting"]["opened"], 3);
    let stranger = run(&command);
    assert_ne!(stranger.exit, 0, "a stranger is not let in");
}

#[test]
fn what_cannot_be_has_a_sentence() {
    for (flags, exit, sentence) in [
        ("--tls 1.1", 2, "possible values: 1.2, 1.3"),
        ("--key-share rot13", 2, "possible values: x25519"),
        ("--resume 101%", 2, "does not lie between 0% and 100%"),
        ("--client-cert a.pem wss://127.0.0.1:1/", 2, "--client-key"),
        ("--client-cert a.pem --client-key b.pem", 2, "<URL>"),
    ] {
        let output = loadgen(&format!("--conns 2 {flags}")).output().unwrap();
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(exit), "{flags}: {complaint}");
        assert!(complaint.contains(sentence), "{flags}: {complaint}");
    }
    // A server that gives no tickets.
    let url = listening(|_| ()).replace("ws:", "wss:");
    let done = run(&format!("--conns 2 --insecure --resume 50% {url}"));
    assert_eq!(done.exit, 3, "{}", done.complaint);
    assert!(done.complaint.contains("--resume: "), "{}", done.complaint);
}
