//! `corecast cert` as people use it: what it makes, what it refuses, and what others make of it.

#![allow(clippy::disallowed_methods)] // clocks of a test are its own
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that panics has failed

#[path = "support/client.rs"]
#[allow(dead_code)] // other tests use the rest
mod client;
#[path = "support/program.rs"]
#[allow(dead_code)]
mod program;
#[path = "cert/strangers.rs"]
mod strangers;
#[path = "cert/workshop.rs"]
mod workshop;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use corecast::tls::pki::files::{Readers, Replace, certificates_to_pem, write};
use corecast::tls::pki::{Authority, KeyKind, Life, NewKey, Purpose, Request};

use program::Program;
use workshop::Workshop;

#[test]
fn a_server_is_certified_in_two_commands_and_serves() {
    let here = Workshop::new();
    let said = here.cert(&["ca", "--out", "pki"]);
    assert!(said.contains("next: corecast cert server --ca pki"), "{said}");
    let said = here.cert(&["server", "--ca", "pki"]);
    assert!(said.contains("names        localhost, 127.0.0.1, ::1\n"), "{said}");
    let next = "corecast serve --tls-cert pki/localhost.pem --tls-key pki/localhost-key.pem";
    assert!(said.contains(next), "{said}");
    let serving = serve(&here, "pki/localhost");
    let url = format!("https://localhost:{}", serving.address("https://").port());
    let said = here.cert(&["show", "--ca", "pki/ca.pem", &url]);
    assert!(said.contains("verifies     yes, as localhost\n"), "{said}");
    assert!(said.contains("(TLS 1.3, TLS_AES_256_GCM_SHA384)"), "{said}");
}

#[test]
fn a_request_travels_to_the_authority_and_its_key_stays() {
    let here = Workshop::new();
    here.cert(&["ca", "--out", "authority"]);
    let said = here.cert(&["csr", "--name", "push.example,*.push.example,10.0.0.1", "--out", "we"]);
    assert!(said.contains("next: corecast cert sign we/push.example.csr --ca DIR"), "{said}");
    let said = here.cert(&["sign", "we/push.example.csr", "--ca", "authority", "--days", "30"]);
    assert!(said.contains("names        push.example, *.push.example, 10.0.0.1\n"), "{said}");
    assert!(said.contains("certificate  we/push.example.pem  of a server"), "{said}");
    assert_eq!(here.files("we"), ["push.example-key.pem", "push.example.csr", "push.example.pem"]);
    assert_eq!(here.files("authority"), ["ca-key.pem", "ca.crl", "ca.pem"]);
    let said =
        here.cert(&["sign", "we/push.example.csr", "--ca", "authority", "--client", "--out", "c"]);
    assert!(said.contains("certificate  c/push.example.pem  of a client"), "{said}");
}

#[test]
fn a_request_called_pem_is_not_overwritten_by_its_certificate() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    here.cert(&["csr"]);
    fs::rename(here.path("localhost.csr"), here.path("request.pem")).unwrap();
    let said = here.cert(&["sign", "request.pem", "--ca", ".", "--force"]);
    assert!(said.contains("certificate  request-cert.pem  of a server"), "{said}");
    assert!(here.text("request.pem").contains("CERTIFICATE REQUEST"));
}

#[test]
fn nothing_is_overwritten_without_force() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    for command in [&["csr"][..], &["server", "--ca", "."], &["client", "--ca", ".", "--name=ann"]]
    {
        here.cert(command);
        let before = here.all();
        let (code, said) = here.refused(command);
        assert_eq!(code, Some(1));
        assert!(said.ends_with(" exists already (--force replaces it)\n"), "{said}");
        assert!(here.all() == before, "{command:?} has changed something");
        here.cert(&[command, &["--force"]].concat());
        assert!(here.all() != before);
        here.remove("localhost-key.pem");
    }
    let (_, said) = here.refused(&["ca"]);
    assert_eq!(said, "corecast: ca-key.pem exists already (--force replaces it)\n");
    here.cert(&["ca", "--force"]);
}

#[cfg(unix)]
#[test]
fn keys_are_for_their_owner_only_and_directories_too() {
    use std::os::unix::fs::MetadataExt;
    let here = Workshop::new();
    here.cert(&["ca", "--out", "a/b"]);
    here.cert(&["server", "--ca", "a/b"]);
    here.cert(&["csr", "--out", "a/b", "--name", "ann"]);
    for (file, mode) in [
        ("a/b", 0o700),
        ("a/b/ca-key.pem", 0o600),
        ("a/b/ca.pem", 0o644),
        ("a/b/localhost-key.pem", 0o600),
        ("a/b/ann-key.pem", 0o600),
    ] {
        assert_eq!(fs::metadata(here.path(file)).unwrap().mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_the_reason() {
    let here = Workshop::new();
    for (arguments, code, reason) in [
        (&["ca", "--key", "rsa1024"][..], 2, "RSA keys of 1024 bits can be broken"),
        (&["ca", "--key", "dsa"], 2, "the kinds are ed25519, p256, p384 and rsa2048"),
        (&["ca", "--days", "0"], 2, "--days"),
        (&["ca", "--days", "36501"], 2, "1..=36500"),
        (&["ca", "--name", ""], 2, "1 to 64 characters"),
        (&["csr", "--name", "bücher.example"], 2, "xn--"),
        (&["csr", "--name", "a b"], 2, "\"a b\" is neither a DNS name nor"),
        (&["client", "--ca", "."], 2, "--name"),
        (&["server", "--ca", ".", "--crl-url", "https://a/ca.crl"], 2, "is not the URL of a list"),
        (&["server", "--ca", "nowhere"], 1, "corecast cert ca --out nowhere makes an authority"),
        (&["show", "nowhere.pem"], 1, "cannot read nowhere.pem: No such file"),
        (&["show", "http://localhost"], 2, "only https, wss and tls have certificates"),
        (&["show", "--ca", "ca.pem", "file.pem"], 2, "--ca goes with the URL"),
        (&[], 2, "requires a subcommand"),
    ] {
        let (exit, said) = here.refused(arguments);
        assert_eq!(exit, Some(code), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
    assert_eq!(here.files("."), [""; 0]);
}

#[test]
fn a_hundred_names_are_the_most() {
    let here = Workshop::new();
    let names = |count: usize| (0..count).map(|at| format!("n{at}")).collect::<Vec<_>>().join(",");
    let (code, said) = here.refused(&["csr", "--name", &names(101)]);
    assert_eq!((code, said.as_str()), (Some(2), "corecast: --name: 100 names are the most\n"));
    here.cert(&["csr", "--name", &names(100)]);
}

#[test]
fn an_authority_signs_no_longer_than_it_lives() {
    let here = Workshop::new();
    here.cert(&["ca", "--days", "100"]);
    let (code, said) = here.refused(&["server", "--ca", "."]);
    assert_eq!(code, Some(1));
    assert!(said.contains("the authority ends before that: --days "), "{said}");
    here.cert(&["server", "--ca", ".", "--days", "99"]);
}

#[test]
fn a_long_life_for_a_server_is_warned_of() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    let said = here.cert(&["server", "--ca", ".", "--days", "826"]);
    assert!(said.contains("WARNING      macOS and iOS refuse"), "{said}");
    let said = here.cert(&["client", "--ca", ".", "--days", "826", "--name", "ann"]);
    assert!(!said.contains("WARNING"), "{said}");
}

#[test]
fn an_authoritys_key_that_belongs_to_another_is_named() {
    let here = Workshop::new();
    here.cert(&["ca", "--out", "one"]);
    here.cert(&["ca", "--out", "other"]);
    fs::copy(here.path("other/ca-key.pem"), here.path("one/ca-key.pem")).unwrap();
    let (_, said) = here.refused(&["server", "--ca", "one"]);
    let reason = "one/ca-key.pem: the authority's key does not belong to its certificate";
    assert!(said.contains(reason), "{said}");
    fs::write(here.path("one/ca-key.pem"), "nonsense").unwrap();
    let (_, said) = here.refused(&["server", "--ca", "one"]);
    assert!(said.contains("there is no private key in one/ca-key.pem"), "{said}");
}

#[test]
fn the_end_of_a_certificate_is_announced_and_then_shouted() {
    let here = Workshop::new();
    for (age, days, said) in [
        (0, 60, None),
        (35, 60, Some("ends in 24 days")),
        (60, 60, Some("EXPIRED less than a day ago")),
        (72, 60, Some("EXPIRED 12 days ago")),
    ] {
        make_aged(&here, age, days);
        let shown = here.cert(&["show", "aged.pem"]);
        assert_eq!(shown.contains("WARNING"), said.is_some(), "{shown}");
        let warning = said.map(|said| format!("WARNING      {said}\n"));
        assert!(warning.is_none_or(|warning| shown.contains(&warning)), "{shown}");
    }
}

#[test]
fn an_expired_server_is_shown_and_not_believed() {
    let here = Workshop::new();
    make_aged(&here, 72, 60);
    let serving = serve(&here, "aged");
    let port = serving.address("https://").port();
    let said = here.cert(&["show", "--ca", "ca.pem", &format!("wss://localhost:{port}/echo")]);
    assert!(said.contains("verifies     NO: the peer's certificate has expired\n"), "{said}");
    assert!(said.contains("WARNING      EXPIRED 12 days ago\n"), "{said}");
}

#[test]
fn a_server_that_is_not_believed_is_shown_all_the_same() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    here.cert(&["ca", "--out", "other"]);
    here.cert(&["server", "--ca", ".", "--name", "localhost"]);
    let serving = serve(&here, "localhost");
    let port = serving.address("https://").port();
    for (host, ca, verdict) in [
        ("localhost", "ca.pem", "yes, as localhost"),
        ("127.0.0.1", "ca.pem", "NO: the peer's certificate is for another name"),
        ("localhost", "other/ca.pem", "NO: the peer's certificate is of an unknown authority"),
    ] {
        let said = here.cert(&["show", "--ca", ca, &format!("tls://{host}:{port}")]);
        assert!(said.contains(&format!("verifies     {verdict}\n")), "{said}");
        assert!(said.contains("subject      CN=localhost\n"), "{said}");
    }
}

#[test]
fn a_server_that_cannot_be_shown_is_named() {
    let here = Workshop::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let plain = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        // What is unread when it closes would become a reset.
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let (code, said) = here.refused(&["show", &format!("tls://{address}")]);
    assert_eq!(code, Some(1));
    let reason = format!("{address}: what answers there does not speak TLS");
    assert!(said.contains(&reason), "{said}");
    plain.join().unwrap();
    let (code, said) = here.refused(&["show", &format!("tls://{address}")]);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("{address}: cannot connect: Connection refused")), "{said}");
}

#[test]
fn the_development_authority_is_believed_on_this_machine() {
    let serving = Program::start(&["--listen-tls=127.0.0.1:0", "--admin=off", "--workers=1"]);
    let state = serving.authority();
    let state = state.ancestors().nth(2).unwrap();
    let here = Workshop::new();
    let port = serving.address("https://").port();
    let url = format!("https://localhost:{port}");
    let mut show = here.command(&["show", &url]);
    let output = show.env("XDG_STATE_HOME", state).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("verifies     yes, as localhost\n"), "{said}");
    assert!(said.contains("issuer       CN=corecast development CA "), "{said}");
    let elsewhere = here.cert(&["show", &url]);
    assert!(!elsewhere.contains("verifies     yes"), "{elsewhere}");
}

#[test]
fn the_development_authority_signs_for_others() {
    let serving = Program::start(&["--listen-tls=127.0.0.1:0", "--admin=off", "--workers=1"]);
    let directory = serving.authority().parent().unwrap().to_str().unwrap().to_owned();
    let here = Workshop::new();
    let said = here.cert(&["client", "--ca", &directory, "--name", "ann", "--out", "."]);
    assert!(said.contains("issuer       CN=corecast development CA "), "{said}");
}

#[test]
fn who_reads_the_first_lines_only_hears_no_complaint() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    let mut show = here.command(&["show", "ca.pem"]);
    let mut child = show.stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

/// Makes `aged.pem`, `aged-key.pem` and their authority `ca.pem`, as if that had been so many days
/// ago, for so many days.
fn make_aged(here: &Workshop, age: u64, days: u64) {
    let day = Duration::from_secs(24 * 60 * 60);
    let then = SystemTime::now() - day * u32::try_from(age).unwrap();
    let key = || NewKey::generate(KeyKind::P256).unwrap();
    let life = |days| Life::days(days, then).unwrap();
    let authority = Authority::make("an old authority", key(), life(3_650)).unwrap();
    let own = key();
    let request = Request::make(&["localhost".parse().unwrap()], &own).unwrap();
    let request = Request::read(&request).unwrap();
    let chain = authority.sign(&request, Purpose::Server, life(days), then).unwrap();
    let ca = certificates_to_pem(std::slice::from_ref(authority.certificate()));
    for (file, pem) in
        [("ca.pem", ca), ("aged-key.pem", own.pem()), ("aged.pem", certificates_to_pem(&chain))]
    {
        write(&here.path(file), &pem, Readers::Owner, Replace::Always).unwrap();
    }
}

/// A server that shows the certificate `STEM.pem`.
fn serve(here: &Workshop, stem: &str) -> Program {
    let file = |end: &str| here.path(&format!("{stem}{end}")).to_str().unwrap().to_owned();
    Program::start(&[
        "--listen-tls=127.0.0.1:0",
        "--admin=off",
        "--workers=1",
        &format!("--tls-cert={}", file(".pem")),
        &format!("--tls-key={}", file("-key.pem")),
    ])
}
