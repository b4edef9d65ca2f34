//! Who is believed, who is not, and which sentence and exit code says so.

use std::io::Read;
use std::net::{Shutdown, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use corecast::http::Origins;
use corecast::push::{Publishers, Push, Settings};
use corecast::server::{Running, Server};
use corecast::tls::DefaultTimeProvider;
use corecast::tls::config::{Authorities, CertificateFiles, Certificates, ClientAuth, Sources};

use crate::authority::Authority;
use crate::peer::{connect, place, script, serve, text};

const DAY: Duration = Duration::from_secs(86_400);

/// A server of ours with certificates of its own.
struct Secured(Option<Running>);

impl Secured {
    fn start([chain, key]: [PathBuf; 2], clients: ClientAuth) -> Self {
        let certificates = Certificates::Files(vec![CertificateFiles { chain, key }]);
        let sources = Sources { certificates, ocsp: Vec::new(), clients };
        let loaded = sources.load(Arc::new(DefaultTimeProvider), None).unwrap();
        let publishers = Publishers::Locals;
        let publish_identities = Vec::new();
        let settings = Settings {
            subprotocols: Vec::new(),
            publish_key: None,
            publishers,
            publish_identities,
            origins: Origins::SameHost,
        };
        let settings = Arc::new(settings);
        let running = Server::builder()
            .listen_tls("127.0.0.1:0", loaded.config)
            .workers(NonZeroUsize::MIN)
            .drain_timeout(Duration::from_millis(200))
            .start(move |_| Push::new(Arc::clone(&settings)))
            .unwrap();
        Self(Some(running))
    }

    fn address(&self) -> SocketAddr {
        self.0.as_ref().unwrap().addresses()[0]
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/connections", self.address().port())
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        if let Some(running) = self.0.take() {
            running.stop();
            let outcome = running.join();
            assert!(std::thread::panicking() || outcome.is_ok(), "{outcome:?}");
        }
    }
}

fn ca(path: &Path) -> String {
    format!("--ca={}", path.display())
}

#[test]
fn each_trouble_with_the_servers_certificate_ends_with_4_and_says_which() {
    let (authority, stranger) = (Authority::named("authority"), Authority::named("stranger"));
    let now = SystemTime::now();
    let names = ["localhost"];
    let rows = [
        (authority.issue_until("past", &names, now - DAY), &authority, "has expired"),
        (authority.issue_until("future", &names, now + 90 * DAY), &authority, "not valid yet"),
        (authority.issue("other", &["other.example"], now), &authority, "for another name"),
        (stranger.issue("server", &names, now), &authority, "of an unknown authority"),
    ];
    for (files, believed, words) in rows {
        let server = Secured::start(files, ClientAuth::Off);
        for scheme in ["https", "wss", "tls"] {
            let url = format!("{scheme}://localhost:{}", server.address().port());
            connect(&[&ca(&believed.certificate()), &url], b"").failed(4, words);
        }
        let outcome = connect(&["--insecure", &server.url("localhost")], b"");
        assert!(outcome.err.contains("warning: --insecure"), "{}", outcome.err);
        assert!(outcome.text().starts_with("{\"connections\":"));
    }
}

#[test]
fn the_name_to_expect_can_be_given() {
    let authority = Authority::named("authority");
    let server = Secured::start(
        authority.issue("other", &["other.example"], SystemTime::now()),
        ClientAuth::Off,
    );
    let believed = ca(&authority.certificate());
    let url = server.url("127.0.0.1");
    let outcome = connect(&[&believed, "--server-name", "other.example", &url], b"");
    assert!(outcome.text().starts_with("{\"connections\":"));
    connect(&[&believed, &url], b"").failed(4, "for another name");
    connect(&[&believed, "--server-name", "a b", &url], b"").failed(4, "`a b`");
}

#[test]
fn a_server_that_wants_a_certificate_says_what_is_wrong_with_ours() {
    let (authority, stranger) = (Authority::named("authority"), Authority::named("stranger"));
    let now = SystemTime::now();
    let revocations = vec![authority.revoke("revoked.pem", &["revoked"], now + DAY)];
    let certificates = authority.certificate();
    let clients = ClientAuth::Require(Authorities { certificates, revocations });
    let server = Secured::start(authority.issue("server", &["localhost"], now), clients);
    let (believed, url) = (ca(&authority.certificate()), server.url("localhost"));
    connect(&[&believed, &url], b"").failed(4, "wants a certificate of the client");
    let rows = [
        (authority.issue_until("past", &["client"], now - DAY), "it has expired"),
        (authority.issue("revoked", &["client"], now), "it has been revoked"),
        (stranger.issue("stranger", &["client"], now), "of an authority unknown there"),
    ];
    for ([cert, key], words) in rows {
        let arguments = [&believed, "--cert", text(&cert), "--key", text(&key), &url];
        connect(&arguments, b"").failed(4, words);
    }
    let [cert, key] = authority.issue("client", &["client"], now);
    let arguments = [&believed, "--cert", text(&cert), "--key", text(&key), &url, &url];
    let outcome = connect(&arguments, b"");
    assert_eq!(outcome.text().matches("{\"connections\":1,").count(), 2);
    let arguments = [&believed, "--cert", text(&cert), "--key", "/nowhere.pem", &url];
    connect(&arguments, b"").failed(1, "cannot read /nowhere.pem");
}

#[test]
fn it_says_who_the_server_proved_to_be() {
    let authority = Authority::named("authority");
    let files = authority.issue("server", &["localhost", "127.0.0.1"], SystemTime::now());
    let server = Secured::start(files.clone(), ClientAuth::Off);
    let outcome = connect(&[&ca(&authority.certificate()), &server.url("localhost")], b"");
    for words in [
        "TLS 1.3, TLS_AES_256_GCM_SHA384",
        "the server proved to be CN=server (localhost, 127.0.0.1)",
        "issued by CN=authority",
        "SHA-256 ",
    ] {
        assert!(outcome.err.contains(words), "{words}: {}", outcome.err);
    }
    let outcome = connect(&["-k", &server.url("localhost")], b"");
    assert!(outcome.err.contains("the server claims to be CN=server"), "{}", outcome.err);
}

#[test]
fn the_development_authority_is_believed_on_this_machine_only() {
    let program = serve();
    let (url, _) = place(&program, "https");
    let state = program.authority();
    let state = text(state.parent().unwrap().parent().unwrap());
    let bundle = Authority::named("someone else");
    let run = |url: &str, name: &str| {
        let mut command = crate::peer::command(&[url, "--server-name", name]);
        command.env("XDG_STATE_HOME", state).env("SSL_CERT_FILE", bundle.certificate());
        crate::peer::finish(command.spawn().unwrap(), b"")
    };
    let url = format!("{url}/connections");
    assert!(run(&url, "localhost").text().starts_with("{\"connections\":1,"));
    // 0.0.0.0 leads to this machine, too, but does not say so.
    let elsewhere = url.replace("127.0.0.1", "0.0.0.0");
    run(&elsewhere, "localhost").failed(4, "of an unknown authority");
}

#[test]
fn a_connection_after_the_first_resumes() {
    let program = serve();
    let (url, ca) = place(&program, "https");
    let close = ["-H", "Accept: a/b", &ca];
    // Another host is another connection, although it is the same server.
    let other = url.replace("127.0.0.1", "localhost");
    let outcome = connect(&[&close[..], &[&url, &other, &url]].concat(), b"");
    assert_eq!(outcome.err.matches("connected to").count(), 3, "{}", outcome.err);
    assert_eq!(outcome.err.matches("resumed").count(), 1, "{}", outcome.err);
}

#[test]
fn who_does_not_speak_tls_or_hangs_up_ends_with_4() {
    let program = serve();
    let (url, _) = place(&program, "http");
    connect(&["-k", &url.replace("http", "https")], b"").failed(4, "does not speak TLS");
    let (address, server) = script(1, |_, mut socket| {
        let mut hello = [0; 5];
        socket.read_exact(&mut hello).unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        let _ = socket.read_to_end(&mut Vec::new());
    });
    connect(&["-k", &format!("tls://{address}")], b"")
        .failed(4, "hung up during the TLS handshake");
    server.join().unwrap();
    let (address, server) = script(1, |_, mut socket| {
        let _ = socket.read_to_end(&mut Vec::new());
    });
    let url = format!("tls://{address}");
    connect(&["-k", "--timeout", "200ms", &url], b"").failed(3, "handshake took too long");
    server.join().unwrap();
}
