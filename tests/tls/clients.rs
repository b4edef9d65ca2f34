//! Clients that prove who they are, and those that do not: in full handshakes, and when they come
//! back with a ticket.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use corecast::tls::config::{
    Authorities, CertificateFiles, Certificates, ClientAuth, Identity, Loaded, Sources,
};
use corecast::tls::{Fault, ServerConfig, Tls};
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{AlertDescription, ClientConfig, HandshakeKind, RootCertStore};

use crate::OFFERS;
use crate::authority::Authority;
use crate::support::{Peer, Stranger, provider};

const HOUR: u64 = 3600;

/// A clock that is set by hand, in seconds from now on.
#[derive(Debug)]
pub(crate) struct Clock {
    start: u64,
    passed: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Arc<Self> {
        let start = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        Arc::new(Self { start, passed: AtomicU64::new(0) })
    }

    fn set(&self, passed: u64) {
        self.passed.store(passed, Ordering::Relaxed);
    }
}

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = self.start + self.passed.load(Ordering::Relaxed);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// A server that asks clients for certificates, and who issues all of them.
struct Bench {
    ours: Authority,
    clock: Arc<Clock>,
    server: CertificateFiles,
}

impl Bench {
    fn new() -> Self {
        let ours = Authority::named("test authority");
        let end = SystemTime::now() + Duration::from_secs(1_000 * HOUR);
        let [chain, key] = ours.issue_until("server", &["localhost"], end);
        Self { ours, clock: Clock::new(), server: CertificateFiles { chain, key } }
    }

    fn authorities(&self, revocations: Vec<PathBuf>) -> Authorities {
        Authorities { certificates: self.ours.certificate(), revocations }
    }

    fn load(&self, clients: ClientAuth, predecessor: Option<&ServerConfig>) -> Loaded {
        let certificates = Certificates::Files(vec![self.server.clone()]);
        let sources = Sources { certificates, ocsp: Vec::new(), clients };
        sources.load(Arc::<Clock>::clone(&self.clock), predecessor).unwrap()
    }

    fn server(&self, clients: ClientAuth) -> Arc<ServerConfig> {
        self.load(clients, None).config
    }

    /// A client of this offer, which shows the certificate called `name` of an authority.
    fn client(&self, offer: usize, identity: Option<[PathBuf; 2]>) -> Arc<ClientConfig> {
        let (version, suite) = OFFERS[offer];
        let mut roots = RootCertStore::empty();
        let ours = corecast::tls::config::read_certificates(&self.ours.certificate()).unwrap();
        roots.add_parsable_certificates(ours);
        let builder = ClientConfig::builder_with_provider(provider(suite))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        Arc::new(match identity {
            None => builder.with_no_client_auth(),
            Some([chain, key]) => {
                let Identity { chain, key } = Identity::read(&chain, &key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        })
    }
}

/// What became of a handshake on the server's side.
#[derive(Debug, PartialEq)]
enum Outcome {
    /// The client got in, as nobody or as the owner of the first of these names; with a ticket?
    In(Option<String>, HandshakeKind),
    /// It did not, and was told this, if anything.
    Out(Fault, Option<AlertDescription>),
}

fn full(name: Option<&str>) -> Outcome {
    Outcome::In(name.map(str::to_owned), HandshakeKind::Full)
}

fn resumed(name: Option<&str>) -> Outcome {
    Outcome::In(name.map(str::to_owned), HandshakeKind::Resumed)
}

fn out(fault: Fault, alert: AlertDescription) -> Outcome {
    Outcome::Out(fault, Some(alert))
}

/// Lets a client of one configuration meet a server of the other.
fn meet(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Outcome {
    let mut client = Stranger::client_of(client);
    let mut server = Peer::new(Tls::server(server).unwrap());
    let mut to_server = client.say(&[]);
    loop {
        let (to_client, outcome) = server.feed(&to_server);
        if let Err(fault) = outcome {
            return Outcome::Out(fault, client.alert_in(&to_client));
        }
        to_server = client.take_in(&to_client);
        if to_server.is_empty() {
            let name = server.identity.map(|identity| identity.names().next().unwrap().to_owned());
            return Outcome::In(name, client.connection.handshake_kind().unwrap());
        }
    }
}

#[test]
fn whom_a_server_lets_in_depends_on_what_it_asks() {
    let (bench, others) = (Bench::new(), Authority::named("another authority"));
    let now = SystemTime::now();
    let off = bench.server(ClientAuth::Off);
    let request = bench.server(ClientAuth::Request(bench.authorities(vec![])));
    let require = bench.server(ClientAuth::Require(bench.authorities(vec![])));
    let known = bench.ours.issue("known", &["client.example"], now);
    let foreign = others.issue("foreign", &["client.example"], now);
    let past = bench.ours.issue_until("past", &["client.example"], now - Duration::from_secs(1));
    let unknown = out(Fault::CertificateIssuer, AlertDescription::UnknownCA);
    let expired = out(Fault::CertificateExpired, AlertDescription::CertificateExpired);
    for offer in 0..OFFERS.len() {
        let client = |identity| bench.client(offer, identity);
        let nobody = client(None);
        assert_eq!(meet(&nobody, &off), full(None));
        assert_eq!(meet(&client(Some(known.clone())), &off), full(None));
        assert_eq!(meet(&nobody, &request), full(None));
        let missing = out(Fault::CertificateMissing, AlertDescription::CertificateRequired);
        assert_eq!(meet(&nobody, &require), missing);
        for server in [&request, &require] {
            assert_eq!(meet(&client(Some(known.clone())), server), full(Some("client.example")));
            assert_eq!(meet(&client(Some(foreign.clone())), server), unknown);
            assert_eq!(meet(&client(Some(past.clone())), server), expired);
        }
    }
}

#[test]
fn what_has_been_taken_back_does_not_get_in() {
    let bench = Bench::new();
    let now = SystemTime::now();
    let hour = Duration::from_secs(HOUR);
    let good = bench.client(0, Some(bench.ours.issue("good", &["good.example"], now)));
    let bad = bench.client(0, Some(bench.ours.issue("bad", &["bad.example"], now)));
    let list = bench.ours.revoke("crl.pem", &["bad"], now + hour);
    let old = bench.ours.revoke("old.pem", &["bad"], now - hour);
    let others = Authority::named("another authority");
    let foreign = others.revoke("crl.pem", &[], now + hour);
    let server = |lists| bench.server(ClientAuth::Require(bench.authorities(lists)));
    let unclear = out(Fault::CertificateStatus, AlertDescription::UnknownCA);
    assert_eq!(meet(&good, &server(vec![list.clone()])), full(Some("good.example")));
    let revoked = out(Fault::CertificateRevoked, AlertDescription::CertificateRevoked);
    assert_eq!(meet(&bad, &server(vec![list])), revoked);
    assert_eq!(meet(&good, &server(vec![foreign])), unclear, "nobody says whether it is good");
    let loaded = bench.load(ClientAuth::Require(bench.authorities(vec![old])), None);
    assert!(loaded.remarks[0].contains("old.pem: the list ended 0 days ago"));
    assert_eq!(meet(&good, &loaded.config), unclear, "it may have been taken back since");
}

#[test]
fn who_comes_back_with_a_ticket_is_known_again() {
    let bench = Bench::new();
    let server = bench.server(ClientAuth::Request(bench.authorities(vec![])));
    let known = bench.ours.issue("known", &["client.example"], SystemTime::now());
    for offer in 0..OFFERS.len() {
        let client = bench.client(offer, Some(known.clone()));
        assert_eq!(meet(&client, &server), full(Some("client.example")));
        assert_eq!(meet(&client, &server), resumed(Some("client.example")));
        assert_eq!(meet(&client, &server), resumed(Some("client.example")));
        let nobody = bench.client(offer, None);
        assert_eq!(meet(&nobody, &server), full(None));
        assert_eq!(meet(&nobody, &server), resumed(None));
    }
}

#[test]
fn a_ticket_does_not_outlive_the_certificate_of_its_owner() {
    let bench = Bench::new();
    let server = bench.server(ClientAuth::Request(bench.authorities(vec![])));
    let hour = bench.ours.issue("hour", &["client.example"], SystemTime::now());
    for offer in 0..OFFERS.len() {
        let client = bench.client(offer, Some(hour.clone()));
        bench.clock.set(0);
        assert_eq!(meet(&client, &server), full(Some("client.example")));
        bench.clock.set(HOUR - 60);
        assert_eq!(meet(&client, &server), resumed(Some("client.example")));
        bench.clock.set(HOUR + 60);
        // rustls, which keeps what our record layer cannot serve, has no word for this.
        let alert = (offer < 2).then_some(AlertDescription::CertificateExpired);
        assert_eq!(meet(&client, &server), Outcome::Out(Fault::CertificateExpired, alert));
    }
}

#[test]
fn a_ticket_is_good_for_twelve_hours() {
    let bench = Bench::new();
    let server = bench.server(ClientAuth::Off);
    let client = bench.client(0, None);
    assert_eq!(meet(&client, &server), full(None));
    for hour in [5, 10, 15, 20] {
        bench.clock.set(hour * HOUR);
        assert_eq!(meet(&client, &server), resumed(None), "each time it gets a new one");
    }
    bench.clock.set(33 * HOUR);
    assert_eq!(meet(&client, &server), full(None));
}

#[test]
fn a_ticket_of_one_listener_is_nothing_to_the_other() {
    let bench = Bench::new();
    let asks = || ClientAuth::Require(bench.authorities(vec![]));
    let known = bench.ours.issue("known", &["client.example"], SystemTime::now());
    let client = bench.client(0, Some(known));
    for (one, other) in [(asks(), asks()), (ClientAuth::Off, asks()), (asks(), ClientAuth::Off)] {
        let name = |clients: &ClientAuth| (*clients != ClientAuth::Off).then_some("client.example");
        let names = [name(&one), name(&other)];
        let [one, other] = [bench.server(one), bench.server(other)];
        assert_eq!(meet(&client, &one), full(names[0]), "from the listener before");
        assert_eq!(meet(&client, &other), full(names[1]));
        assert_eq!(meet(&client, &other), resumed(names[1]));
    }
}

#[test]
fn a_reload_keeps_the_tickets_of_those_who_would_get_in_anyway() {
    let bench = Bench::new();
    let now = SystemTime::now();
    let known = bench.ours.issue("known", &["client.example"], now);
    let name = Some("client.example");
    let require = |lists| ClientAuth::Require(bench.authorities(lists));
    let first = bench.server(require(vec![]));
    let client = bench.client(0, Some(known));
    assert_eq!(meet(&client, &first), full(name));

    let again = bench.load(require(vec![]), Some(&first)).config;
    assert_eq!(meet(&client, &again), resumed(name), "nothing has changed");
    let clear = bench.ours.revoke("clear.pem", &[], now + Duration::from_secs(HOUR));
    let listed = bench.load(require(vec![clear]), Some(&again)).config;
    assert_eq!(meet(&client, &listed), resumed(name), "it is not on the list");
    let taken = bench.ours.revoke("taken.pem", &["known"], now + Duration::from_secs(HOUR));
    let listed = bench.load(require(vec![taken]), Some(&listed)).config;
    let revoked = out(Fault::CertificateRevoked, AlertDescription::CertificateRevoked);
    assert_eq!(meet(&client, &listed), revoked, "although its ticket is good");
}

#[test]
fn a_reload_that_asks_more_of_clients_takes_no_ticket_from_before() {
    let bench = Bench::new();
    let others = Authority::named("another authority");
    let elsewhere = Authorities { certificates: others.certificate(), revocations: vec![] };
    let ours = bench.authorities(vec![]);
    let known = bench.client(0, Some(bench.ours.issue("known", &["a"], SystemTime::now())));
    let nobody = bench.client(0, None);

    let open = bench.server(ClientAuth::Request(ours.clone()));
    assert_eq!((meet(&known, &open), meet(&nobody, &open)), (full(Some("a")), full(None)));
    let closed = bench.load(ClientAuth::Require(ours), Some(&open)).config;
    let missing = out(Fault::CertificateMissing, AlertDescription::CertificateRequired);
    assert_eq!((meet(&known, &closed), meet(&nobody, &closed)), (full(Some("a")), missing));

    let changed = bench.load(ClientAuth::Require(elsewhere), Some(&closed)).config;
    let unknown = out(Fault::CertificateIssuer, AlertDescription::UnknownCA);
    assert_eq!(meet(&known, &changed), unknown);
}
