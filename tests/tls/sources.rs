//! The files that a server's TLS is made of: what is wrong with them, which certificate is shown to
//! whom, and when there is something to read again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use corecast::tls::config::{
    Authorities, CertificateFiles, Certificates, ClientAuth, Loaded, Sources, Trust, client_config,
    read_certificates,
};
use corecast::tls::{DefaultTimeProvider, Tls};
use rustls::pki_types::ServerName;

use crate::authority::{Authority, replace};
use crate::support::{Peer, Stranger};

fn files([chain, key]: [PathBuf; 2]) -> CertificateFiles {
    CertificateFiles { chain, key }
}

fn sources(pairs: Vec<CertificateFiles>) -> Sources {
    let certificates = Certificates::Files(pairs);
    Sources { certificates, ocsp: Vec::new(), clients: ClientAuth::Off }
}

fn load(sources: &Sources) -> Result<Loaded, String> {
    sources.load(Arc::new(DefaultTimeProvider), None).map_err(|error| error.to_string())
}

/// What `sources` are refused for.
fn complaint(sources: &Sources) -> String {
    let complaint = load(sources).unwrap_err();
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    complaint
}

#[test]
fn a_complaint_names_the_file_and_what_is_wrong_with_it() {
    let authority = Authority::named("authority");
    let now = SystemTime::now();
    let [chain, key] = authority.issue("server", &["localhost"], now);
    let [_, other_key] = authority.issue("other", &["localhost"], now);
    let write = |name: &str, bytes: &[u8]| {
        let path = authority.path(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let noise = write("noise.der", b"noise");
    let broken =
        write("broken.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let good = || files([chain.clone(), key.clone()]);

    let foreign = complaint(&sources(vec![good(), files([chain.clone(), other_key.clone()])]));
    assert!(foreign.starts_with(other_key.to_str().unwrap()), "{foreign}");
    assert!(foreign.ends_with(&format!("of the certificate in {}", chain.display())), "{foreign}");
    let nowhere = complaint(&sources(vec![files(["/nowhere.pem".into(), key.clone()])]));
    assert!(nowhere.starts_with("cannot read /nowhere.pem: "), "{nowhere}");
    let broken_chain = complaint(&sources(vec![files([broken.clone(), key.clone()])]));
    assert!(broken_chain.contains("the key cannot be used"), "{broken_chain}");

    let stapled = Sources { ocsp: vec![noise.clone()], ..sources(vec![good()]) };
    assert!(complaint(&stapled).ends_with("noise.der: no successful OCSP response in DER"));

    let asks = |certificates: &Path, revocations: &[&PathBuf]| {
        let revocations = revocations.iter().map(|path| (*path).clone()).collect();
        let authorities = Authorities { certificates: certificates.into(), revocations };
        let clients = ClientAuth::Require(authorities);
        complaint(&Sources { clients, ..sources(vec![good()]) })
    };
    assert!(asks(&noise, &[]).starts_with("there is no certificate in "));
    assert!(asks(&broken, &[]).contains("broken.pem: not an authority: "));
    let unlisted = asks(&authority.certificate(), &[&noise]);
    assert!(unlisted.ends_with("noise.der: no list of revoked certificates"), "{unlisted}");
}

#[test]
fn who_asks_for_a_name_is_shown_the_certificate_with_that_name() {
    let authority = Authority::named("authority");
    let now = SystemTime::now();
    let issue = |name, names| files(authority.issue(name, names, now));
    let pairs = vec![
        issue("first", &["first.example"]),
        issue("second", &["second.example", "*.wild.example"]),
    ];
    let loaded = load(&sources(pairs.clone())).unwrap();
    let shown: Vec<_> = loaded.config.certificates().iter().map(|shown| &*shown.name).collect();
    assert_eq!(shown, ["first.example", "second.example"]);
    let config = client_config(Trust::Anyone).unwrap();
    for (name, number) in [
        ("first.example", 0),
        ("second.example", 1),
        ("a.wild.example", 1),
        ("a.b.wild.example", 0),
        ("unknown.example", 0),
        ("192.0.2.1", 0),
    ] {
        let name = ServerName::try_from(name).unwrap();
        let mut client = Stranger::named(&config, name.clone());
        let mut server = Peer::new(Tls::server(&loaded.config).unwrap());
        let flight = server.take_in(&client.say(&[]));
        let certificate = &read_certificates(&pairs[number].chain).unwrap()[0];
        assert_eq!(client.shown_in(&flight), *certificate, "{name:?}");
    }
}

#[test]
fn files_have_another_stamp_after_a_rename_a_swap_of_links_and_a_write() {
    let authority = Authority::named("authority");
    let now = SystemTime::now();
    let [chain, key] = authority.issue("server", &["localhost"], now);
    let [other, _] = authority.issue("other", &["localhost"], now);
    // As Kubernetes does it: the file is a link through a directory that is itself a link.
    let linked = authority.path("tls.pem");
    let (first, second) = (authority.path("..first"), authority.path("..second"));
    for (directory, source) in [(&first, &chain), (&second, &other)] {
        fs::create_dir(directory).unwrap();
        fs::copy(source, directory.join("tls.pem")).unwrap();
    }
    let link = |target: &Path, name: &str| {
        std::os::unix::fs::symlink(target, authority.path(name)).unwrap();
    };
    link(&first, "..data");
    link(Path::new("..data/tls.pem"), "tls.pem");
    let watched = sources(vec![files([linked.clone(), key.clone()])]);
    let mut stamps = vec![watched.stamp()];
    assert_eq!(watched.stamp(), stamps[0], "nothing has changed");
    link(&second, "..data-new");
    fs::rename(authority.path("..data-new"), authority.path("..data")).unwrap();
    stamps.push(watched.stamp());
    replace(&key, &other);
    stamps.push(watched.stamp());
    fs::write(&key, "in place").unwrap();
    stamps.push(watched.stamp());
    fs::remove_file(&key).unwrap();
    stamps.push(watched.stamp());
    for (number, stamp) in stamps.iter().enumerate() {
        assert_eq!(stamps.iter().filter(|other| *other == stamp).count(), 1, "stamp {number}");
    }
}

#[test]
fn what_is_about_to_end_is_remarked() {
    let authority = Authority::named("authority");
    let day = Duration::from_secs(24 * 60 * 60);
    let now = SystemTime::now();
    for (end, remark) in [
        (now + 15 * day, None),
        (now + 13 * day + day / 2, Some("the certificate ends in 13 days")),
        (now - 3 * day - day / 2, Some("the certificate ended 3 days ago")),
    ] {
        let pair = files(authority.issue_until("server", &["localhost"], end));
        let remarks = load(&sources(vec![pair])).unwrap().remarks;
        assert_eq!(remarks.len(), usize::from(remark.is_some()), "{remarks:?}");
        assert!(remark.is_none_or(|words| remarks[0].ends_with(words)), "{remarks:?}");
    }
}

#[test]
fn the_development_certificate_says_when_it_wants_to_be_renewed() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::Development(directory.path().into());
    let development = Sources { certificates, ..sources(vec![]) };
    let first = load(&development).unwrap();
    let ends = first.config.certificates()[0].until;
    let month = Duration::from_secs(30 * 24 * 60 * 60);
    assert_eq!(first.due, Some(ends - month));
    assert_eq!(load(&development).unwrap().config.certificates(), first.config.certificates());
}
