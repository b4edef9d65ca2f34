//! The program's certificates, and those of its clients, as OpenSSL and curl see them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use crate::authority::{Authority, replace};
use crate::client::{Client, Via, get};
use crate::program::Program;

/// A server with a certificate of an authority of its own.
struct Host {
    program: Program,
    authority: Authority,
    address: String,
}

impl Host {
    /// Starts it with more arguments, which may want to name files of the authority.
    fn start(more: impl Fn(&Authority) -> Vec<String>) -> Self {
        let authority = Authority::named("authority");
        let [chain, key] = authority.issue("server", &["localhost"], SystemTime::now());
        let mut arguments: Vec<String> =
            ["--listen-tls=127.0.0.1:0", "--admin=127.0.0.1:0", "--workers=2"]
                .map(Into::into)
                .into();
        arguments.push(flag("--tls-cert", &chain));
        arguments.push(flag("--tls-key", &key));
        arguments.extend(more(&authority));
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let program = Program::start(&arguments);
        let address = program.address("https://").to_string();
        Self { program, authority, address }
    }

    /// What `openssl s_client` says of a connection that ends at once.
    fn s_client(&self, arguments: &[&str]) -> Option<String> {
        let ca = text(&self.authority.certificate());
        let common = ["s_client", "-connect", &self.address, "-CAfile", &ca];
        let output = run("openssl", &[&common, arguments].concat())?;
        let [said, complained] =
            [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        Some(said + &complained)
    }

    /// The status of what curl asks for, and its exit code.
    fn curl(&self, path: &str, arguments: &[&str]) -> Option<(String, i32)> {
        let ca = text(&self.authority.certificate());
        let port = self.address.rsplit(':').next().unwrap();
        let url = format!("https://localhost:{port}{path}");
        let common = ["-s", "--max-time", "20", "--cacert", &ca, "-o", "/dev/null"];
        let resolve = format!("localhost:{port}:127.0.0.1");
        let more = ["-w", "%{http_code}", "--resolve", &resolve, &url];
        let output = run("curl", &[&common[..], &more, arguments].concat())?;
        Some((String::from_utf8(output.stdout).unwrap(), output.status.code().unwrap()))
    }
}

/// Runs a stranger with an input that ends at once; `None`, loudly, if it is not installed.
fn run(stranger: &str, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new(stranger);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else {
        assert!(std::env::var_os("CI").is_none(), "there is no {stranger} to test with");
        eprintln!("SKIPPED: there is no {stranger} on the path to test with");
        return None;
    };
    // OpenSSL takes it for the end of a conversation, and waits for tickets before.
    let _ = child.stdin.take().unwrap().write_all(b"Q\n");
    Some(child.wait_with_output().unwrap())
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn flag(name: &str, path: &Path) -> String {
    format!("{name}={}", path.display())
}

fn client_flags([chain, key]: [PathBuf; 2]) -> [String; 4] {
    ["--cert".to_owned(), text(&chain), "--key".to_owned(), text(&key)]
}

/// A POST that does not come from this machine, as a proxy would say.
const POST: [&str; 6] =
    ["-d", "hello", "-H", "Content-Type: text/plain", "-H", "X-Forwarded-For: 192.0.2.1"];

#[test]
fn who_has_the_right_name_in_a_certificate_may_publish_without_a_token() {
    let host = Host::start(|authority| {
        let ca = flag("--client-ca", &authority.certificate());
        vec![ca, "--client-auth=request".into(), "--publish-identity=backend.example".into()]
    });
    let now = SystemTime::now();
    let backend = client_flags(host.authority.issue("backend", &["backend.example"], now));
    let browser = client_flags(host.authority.issue("browser", &["browser.example"], now));
    let stranger = client_flags(Authority::named("stranger").issue("backend", &["a"], now));
    let post = |more: &[String]| {
        let more: Vec<_> = POST.into_iter().chain(more.iter().map(String::as_str)).collect();
        host.curl("/topics/demo", &more)
    };
    let Some(outcome) = post(&backend) else { return };
    assert_eq!(outcome, ("200".to_owned(), 0));
    assert_eq!(post(&browser).unwrap().0, "403", "known, and not by that name");
    assert_eq!(post(&[]).unwrap().0, "403", "let in as nobody");
    assert_ne!(post(&stranger).unwrap().1, 0, "a certificate that does not verify");
    let foreign = [&backend[..], &["-H".into(), "Origin: https://example.com".into()]].concat();
    assert_eq!(post(&foreign).unwrap().0, "403", "a browser's owner did not ask for this");
    let page = get(host.program.admin_address(), "/metrics");
    let identified = page.lines().filter(|it| it.starts_with("corecast_clients_identified_total{"));
    let counts = identified.map(|line| line.rsplit(' ').next().unwrap().parse::<u32>().unwrap());
    assert_eq!(counts.sum::<u32>(), 3);
}

#[test]
fn only_who_has_a_certificate_gets_in_where_that_is_required() {
    let host = Host::start(|authority| {
        let list = authority.revoke("crl.pem", &["gone"], SystemTime::now() + HOUR);
        vec![flag("--client-ca", &authority.certificate()), flag("--client-crl", &list)]
    });
    let now = SystemTime::now();
    let [known, gone] =
        ["known", "gone"].map(|name| client_flags(host.authority.issue(name, &["a"], now)));
    let get = |more: &[String]| {
        let more: Vec<_> = more.iter().map(String::as_str).collect();
        host.curl("/", &more)
    };
    let Some(outcome) = get(&known) else { return };
    assert_eq!(outcome, ("200".to_owned(), 0));
    assert_ne!(get(&[]).unwrap().1, 0);
    assert_ne!(get(&gone).unwrap().1, 0);
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_new_certificate_is_shown_after_sighup_and_open_connections_stay() {
    let mut host = Host::start(|_| vec!["--watch-certs=false".into()]);
    let [_, tls, _] = Via::all(&host.authority.certificate());
    let mut before = Client::connect(host.address.parse().unwrap(), &tls, "/echo");
    let Some(said) = host.s_client(&[]) else { return };
    assert!(
        said.contains("subject=CN = server\n") || said.contains("subject=CN=server\n"),
        "{said}"
    );
    let [chain, key] = ["server.pem", "server-key.pem"].map(|name| host.authority.path(name));
    let [other_chain, other_key] =
        host.authority.issue("renewed", &["localhost"], SystemTime::now());

    replace(&chain, &other_chain);
    host.program.signal("HUP");
    host.program.wait_for("what was there serves on, since ");
    assert!(host.program.has_said("this is not the key of the certificate in "));
    assert!(host.s_client(&[]).unwrap().contains("server\n"), "the old one serves on");

    replace(&key, &other_key);
    host.program.signal("HUP");
    host.program.wait_for("read again: localhost");
    assert!(host.s_client(&[]).unwrap().contains("renewed\n"), "the new one is shown");
    assert!(before.is_echoed("still here"));
    let page = get(host.program.admin_address(), "/metrics");
    for figure in ["reloads_total", "reload_failures_total"] {
        let line = format!("corecast_certificate_{figure}{{listener=\"{}\"}} 1\n", host.address);
        assert!(page.contains(&line), "{page}");
    }
    let ends =
        page.lines().find(|it| it.starts_with("corecast_certificate_ends_seconds{")).unwrap();
    assert!(ends.contains("certificate=\"localhost\"} 3"), "less than an hour: {ends}");
}

#[test]
fn files_that_change_are_read_again_without_being_told() {
    let mut host = Host::start(|_| Vec::new());
    let now = SystemTime::now();
    let renewed = host.authority.issue("renewed", &["localhost"], now);
    for (name, source) in ["server.pem", "server-key.pem"].into_iter().zip(&renewed) {
        replace(&host.authority.path(name), source);
    }
    host.program.wait_for("read again: localhost");
    if let Some(said) = host.s_client(&[]) {
        assert!(said.contains("renewed\n"), "{said}");
    }
}

#[test]
fn openssl_is_shown_the_certificate_of_the_name_it_asks_for() {
    let host = Host::start(|authority| {
        let [chain, key] = authority.issue("other", &["other.example"], SystemTime::now());
        vec![flag("--tls-cert", &chain), flag("--tls-key", &key)]
    });
    for (name, subject) in [("other.example", "other\n"), ("unknown.example", "server\n")] {
        let Some(said) = host.s_client(&["-servername", name]) else { return };
        assert!(
            said.contains(&format!("subject=CN = {subject}"))
                || said.contains(&format!("subject=CN={subject}")),
            "{name}: {said}"
        );
    }
}

#[test]
fn openssl_comes_back_with_its_ticket() {
    let host = Host::start(|_| Vec::new());
    let file = text(&host.authority.path("session"));
    for version in ["-tls1_2", "-tls1_3"] {
        let request = ["-servername", "localhost", version, "-ign_eof"];
        // It reads tickets of TLS 1.3 only while it waits for an answer, here to a `Q`.
        let Some(first) = host.s_client(&[&request[..], &["-sess_out", &file]].concat()) else {
            return;
        };
        assert!(first.contains("New, TLSv1."), "{first}");
        let again = host.s_client(&[&request[..], &["-sess_in", &file]].concat()).unwrap();
        assert!(again.contains("Reused, TLSv1."), "{again}");
    }
}

#[test]
fn openssl_is_told_what_the_authority_says_of_the_certificate() {
    let authority = Authority::named("authority");
    let [chain, key] = authority.issue("server", &["localhost"], SystemTime::now());
    let serial = "01736572766572"; // a one, and "server"
    let index = authority.path("index.txt");
    fs::write(&index, format!("V\t491231235959Z\t\t{serial}\tunknown\t/CN=server\n")).unwrap();
    let [ca, ca_key, index, certificate, staple] = [
        authority.certificate(),
        authority.path("ca-key.pem"),
        index,
        chain.clone(),
        authority.path("ocsp.der"),
    ]
    .map(|path| text(&path));
    let arguments = [
        "ocsp",
        "-index",
        &index,
        "-CA",
        &ca,
        "-rsigner",
        &ca,
        "-rkey",
        &ca_key,
        "-issuer",
        &ca,
        "-cert",
        &certificate,
        "-ndays",
        "1",
        "-noverify",
        "-respout",
        &staple,
    ];
    let Some(output) = run("openssl", &arguments) else { return };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let program = Program::start(&[
        "--listen-tls=127.0.0.1:0",
        "--admin=off",
        &flag("--tls-cert", &chain),
        &flag("--tls-key", &key),
        &format!("--tls-ocsp={staple}"),
    ]);
    let address = program.address("https://").to_string();
    let host = Host { program, authority, address };
    let said = host.s_client(&["-status", "-servername", "localhost"]).unwrap();
    assert!(said.contains("OCSP Response Status: successful"), "{said}");
    assert!(said.contains("Cert Status: good"), "{said}");
}
