//! Where to listen, and what for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::raw::{Keys, Listeners, Proxies, RawListener, Tls, WebSockets, Written, dashed};
use crate::config::rules::{self, Rule};
use crate::config::values::Deflate;
use crate::proxy::Network;
use crate::tls::config::{Authorities, CertificateFiles, ClientAuth};

/// Where to listen, and what for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub kind: Kind,
    /// The proxies in front of it that are believed.
    pub proxies: Vec<Network>,
    /// Whether they speak the PROXY protocol.
    pub is_announced: bool,
    /// Whether messages are deflated on it.
    pub deflate: Deflate,
}

impl Listener {
    /// Whether clients that may publish can prove to it who they are.
    pub(super) fn knows_clients(&self) -> bool {
        match &self.kind {
            Kind::Https(security) => security.clients != ClientAuth::Off,
            Kind::Http | Kind::StreamEcho(_) => false,
        }
    }
}

/// What a listener serves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// http and ws.
    Http,
    /// https and wss.
    Https(Security),
    /// Byte streams through TLS, which are sent back.
    StreamEcho(Security),
}

/// What proves who is who.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Security {
    /// What proves our names to clients: files of the operator, or, without any, a certificate of
    /// our own development authority, which is kept in the state directory.
    pub certificates: Vec<CertificateFiles>,
    /// What authorities say of their validity, for those that have it.
    pub ocsp: Vec<PathBuf>,
    /// Whether clients prove who they are.
    pub clients: ClientAuth,
}

/// Kinds by their names in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum KindName {
    Http,
    Https,
    StreamEcho,
}

/// What is asked of clients, by its name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum ClientAuthName {
    Off,
    Request,
    Require,
}

/// What the listeners of the command line and of the file have in common.
pub(super) struct Defaults {
    pub(super) proxies: Proxies,
    pub(super) tls: Tls,
    pub(super) websockets: WebSockets,
}

/// All listeners: those of lists and of tables, or on loopback if nothing was written.
pub(super) fn listeners(
    lists: Listeners,
    tables: Vec<RawListener>,
    defaults: &Defaults,
) -> Result<Vec<Listener>, ConfigError> {
    let nothing = lists == Listeners::default() && tables.is_empty();
    rules::DEFLATE.one(defaults.websockets.deflate.clone())?;
    // Half a certificate is wrong even where nobody asks for it.
    security(&defaults.tls)?;
    if nothing {
        return Ok(vec![
            defaults.listener(loopback(8080), KindName::Http)?,
            defaults.listener(loopback(8443), KindName::Https)?,
        ]);
    }
    let mut listeners = defaults.list(&rules::LISTEN, lists.listen, KindName::Http)?;
    listeners.extend(defaults.list(&rules::LISTEN_TLS, lists.listen_tls, KindName::Https)?);
    let streams =
        defaults.list(&rules::LISTEN_STREAM, lists.listen_stream, KindName::StreamEcho)?;
    listeners.extend(streams);
    for (table, number) in tables.into_iter().zip(1..) {
        let told = |error| ConfigError::InListener { number, error: Box::new(error) };
        listeners.push(defaults.table(table).map_err(told)?);
    }
    differ(&listeners)?;
    Ok(listeners)
}

impl Defaults {
    /// The listeners of a list of addresses.
    fn list(
        &self,
        rule: &Rule<SocketAddr>,
        written: Option<Vec<Written>>,
        kind: KindName,
    ) -> Result<Vec<Listener>, ConfigError> {
        rule.each(written)?.into_iter().map(|address| self.listener(address, kind)).collect()
    }

    /// A listener that says nothing of itself but where it is and what for.
    fn listener(&self, address: SocketAddr, kind: KindName) -> Result<Listener, ConfigError> {
        let kind = self.kind(kind, Tls::default())?;
        self.finish(address, kind, Proxies::default(), WebSockets::default())
    }

    fn table(&self, table: RawListener) -> Result<Listener, ConfigError> {
        let missing = |key| ConfigError::Needed { key };
        let address = rules::ADDRESS.one(table.place.address)?;
        let address = address.ok_or(missing(rules::ADDRESS.key))?;
        let kind = rules::KIND.one(table.place.kind)?.ok_or(missing(rules::KIND.key))?;
        self.finish(address, self.kind(kind, table.tls)?, table.proxies, table.websockets)
    }

    /// A listener, with what is said of the proxies in front of it and of its messages, and of
    /// those of all.
    fn finish(
        &self,
        address: SocketAddr,
        kind: Kind,
        proxies: Proxies,
        websockets: WebSockets,
    ) -> Result<Listener, ConfigError> {
        let proxies = proxies.or(self.proxies.clone());
        let is_announced = rules::PROXY_PROTOCOL.one(proxies.proxy_protocol)?.unwrap_or(false);
        let proxies = rules::TRUSTED_PROXY.each(proxies.trusted_proxy)?;
        if is_announced && proxies.is_empty() {
            let (key, needed) = (rules::PROXY_PROTOCOL.key, rules::TRUSTED_PROXY.key);
            return Err(ConfigError::Closed { key, needed });
        }
        let deflate = self.deflate(&kind, websockets)?;
        Ok(Listener { address, kind, proxies, is_announced, deflate })
    }

    /// Whether messages are deflated, where there are messages.
    fn deflate(&self, kind: &Kind, websockets: WebSockets) -> Result<Deflate, ConfigError> {
        match (kind, websockets.first_written()) {
            (Kind::StreamEcho(_), None) => Ok(Deflate::Off),
            (Kind::StreamEcho(_), Some(key)) => {
                Err(ConfigError::Meaningless { key: dashed(key), kind: "stream-echo" })
            }
            (Kind::Http | Kind::Https(_), _) => {
                let written = websockets.or(self.websockets.clone());
                Ok(rules::DEFLATE.one(written.deflate)?.unwrap_or_default())
            }
        }
    }

    /// What is served, with what is written for it and what it leaves to the defaults.
    fn kind(&self, name: KindName, tls: Tls) -> Result<Kind, ConfigError> {
        match name {
            KindName::Http => tls.first_written().map_or(Ok(Kind::Http), |name| {
                Err(ConfigError::Meaningless { key: dashed(name), kind: "http" })
            }),
            KindName::Https => self.security(tls).map(Kind::Https),
            KindName::StreamEcho => self.security(tls).map(Kind::StreamEcho),
        }
    }

    fn security(&self, tls: Tls) -> Result<Security, ConfigError> {
        // A certificate, its key and what is stapled to it come from the same place.
        let has_own = !certificates(&tls)?.is_empty();
        let mut defaults = self.tls.clone();
        defaults.tls_ocsp.take_if(|_| has_own);
        security(&tls.or(defaults))
    }
}

fn security(tls: &Tls) -> Result<Security, ConfigError> {
    let certificates = certificates(tls)?;
    let ocsp = rules::TLS_OCSP.each(tls.tls_ocsp.clone())?;
    if certificates.is_empty() && !ocsp.is_empty() {
        return Err(lacks(rules::TLS_OCSP.key, rules::TLS_CERT.key));
    }
    Ok(Security { certificates, ocsp, clients: clients(tls)? })
}

/// The certificates, each with its key.
fn certificates(tls: &Tls) -> Result<Vec<CertificateFiles>, ConfigError> {
    let (cert_rule, key_rule) = (rules::TLS_CERT, rules::TLS_KEY);
    let chains = cert_rule.each(tls.tls_cert.clone())?;
    let keys = key_rule.each(tls.tls_key.clone())?;
    match (chains.len(), keys.len()) {
        (certificates, keys) if certificates == keys => {}
        (_, 0) => {
            return Err(ConfigError::Missing { given: cert_rule.key, missing: key_rule.key });
        }
        (0, _) => {
            return Err(ConfigError::Missing { given: key_rule.key, missing: cert_rule.key });
        }
        (certificates, keys) => return Err(ConfigError::Unpaired { certificates, keys }),
    }
    let pairs = chains.into_iter().zip(keys);
    Ok(pairs.map(|(chain, key)| CertificateFiles { chain, key }).collect())
}

/// What is asked of clients: all of them for a certificate, once there is an authority for it.
fn clients(tls: &Tls) -> Result<ClientAuth, ConfigError> {
    let auth = rules::CLIENT_AUTH.one(tls.client_auth.clone())?;
    let revocations = rules::CLIENT_CRL.each(tls.client_crl.clone())?;
    let Some(certificates) = rules::CLIENT_CA.one(tls.client_ca.clone())? else {
        let missing = rules::CLIENT_CA.key;
        return match auth {
            Some(ClientAuthName::Request | ClientAuthName::Require) => {
                Err(lacks(rules::CLIENT_AUTH.key, missing))
            }
            _ if !revocations.is_empty() => Err(lacks(rules::CLIENT_CRL.key, missing)),
            _ => Ok(ClientAuth::Off),
        };
    };
    let authorities = Authorities { certificates, revocations };
    Ok(match auth.unwrap_or(ClientAuthName::Require) {
        ClientAuthName::Off => ClientAuth::Off,
        ClientAuthName::Request => ClientAuth::Request(authorities),
        ClientAuthName::Require => ClientAuth::Require(authorities),
    })
}

const fn lacks(given: &'static str, missing: &'static str) -> ConfigError {
    ConfigError::Lacks { given, missing }
}

/// Makes sure that there are listeners, and that no two of them are at the same address.
fn differ(listeners: &[Listener]) -> Result<(), ConfigError> {
    if listeners.is_empty() {
        return Err(ConfigError::Nowhere);
    }
    let mut taken: Vec<_> = listeners.iter().map(|listener| listener.address).collect();
    // Port 0 is another one each time.
    taken.retain(|address| address.port() != 0);
    taken.sort_unstable();
    let twice = taken.windows(2).find_map(|two| (two.first() == two.last()).then(|| two.first()));
    twice.flatten().map_or(Ok(()), |address| Err(ConfigError::Twice(*address)))
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RawConfig;

    fn check(text: &str) -> Result<Vec<Listener>, ConfigError> {
        RawConfig::from_file("f", text).unwrap().check().map(|config| config.listeners)
    }

    fn files(chain: &str, key: &str) -> Kind {
        Kind::Https(Security { certificates: vec![pair(chain, key)], ..NOTHING })
    }

    fn pair(chain: &str, key: &str) -> CertificateFiles {
        CertificateFiles { chain: chain.into(), key: key.into() }
    }

    const NOTHING: Security =
        Security { certificates: Vec::new(), ocsp: Vec::new(), clients: ClientAuth::Off };
    const DEVELOPMENT: Kind = Kind::Https(NOTHING);

    /// What the first listener of `text` has for security.
    fn secured(text: &str) -> Result<Security, ConfigError> {
        match check(text)?.swap_remove(0).kind {
            Kind::Https(security) => Ok(security),
            _ => panic!("no TLS"),
        }
    }
    fn listener(address: SocketAddr, kind: Kind) -> Listener {
        let (proxies, deflate) = (Vec::new(), Deflate::Off);
        Listener { address, kind, proxies, is_announced: false, deflate }
    }

    #[test]
    fn nothing_written_serves_on_loopback() {
        let plain = listener(loopback(8080), Kind::Http);
        let tls = listener(loopback(8443), DEVELOPMENT);
        assert_eq!(check("").unwrap(), [plain, tls]);
    }

    #[test]
    fn one_listener_written_replaces_the_defaults() {
        let only = listener(loopback(1), DEVELOPMENT);
        assert_eq!(check("listen-tls = '127.0.0.1:1'").unwrap(), [only]);
        let plain = listener(loopback(1), Kind::Http);
        assert_eq!(check("[[listener]]\naddress = 'localhost:1'\nkind = 'http'").unwrap(), [plain]);
        let stream = Kind::StreamEcho(NOTHING);
        for text in [
            "listen-stream = '127.0.0.1:1'",
            "[[listener]]\naddress = '127.0.0.1:1'\nkind = 'stream-echo'",
        ] {
            let only = listener(loopback(1), stream.clone());
            assert_eq!(check(text).unwrap(), [only], "{text}");
        }
        assert_eq!(check("listen = ['127.0.0.1:1', '[::1]:2']").unwrap().len(), 2);
    }

    #[test]
    fn a_table_says_what_it_does_differently() {
        let text = "tls-cert = 'c'\ntls-key = 'k'\nlisten-tls = '127.0.0.1:1'\n\
                    [[listener]]\naddress = '127.0.0.1:2'\nkind = 'https'\n\
                    [[listener]]\naddress = '127.0.0.1:3'\nkind = 'https'\n\
                    tls-cert = 'd'\ntls-key = 'l'\n";
        let kinds: Vec<_> = check(text).unwrap().into_iter().map(|it| it.kind).collect();
        assert_eq!(kinds, [files("c", "k"), files("c", "k"), files("d", "l")]);
    }

    #[test]
    fn certificates_come_in_pairs_and_bring_their_own_staples() {
        let text = "listen-tls = '[::1]:1'\ntls-cert = ['c', 'd']\ntls-key = ['k', 'l']\n\
                    tls-ocsp = 'o'\n";
        let both = secured(text).unwrap();
        assert_eq!(both.certificates, [pair("c", "k"), pair("d", "l")]);
        assert_eq!(both.ocsp, [PathBuf::from("o")]);
        let own =
            "[[listener]]\naddress = '[::1]:2'\nkind = 'https'\ntls-cert = 'e'\ntls-key = 'm'";
        let Kind::Https(own) = check(&format!("{text}{own}")).unwrap().swap_remove(1).kind else {
            panic!("no TLS")
        };
        assert!(own.ocsp.is_empty(), "that is about the certificates of others");
    }

    #[test]
    fn clients_are_asked_as_it_is_written() {
        let authorities = |lists: &[&str]| Authorities {
            certificates: "ca".into(),
            revocations: lists.iter().map(PathBuf::from).collect(),
        };
        for (text, clients) in [
            ("", ClientAuth::Off),
            ("client-auth = 'off'", ClientAuth::Off),
            ("client-ca = 'ca'", ClientAuth::Require(authorities(&[]))),
            ("client-ca = 'ca'\nclient-auth = 'off'", ClientAuth::Off),
            ("client-ca = 'ca'\nclient-auth = 'request'", ClientAuth::Request(authorities(&[]))),
            ("client-ca = 'ca'\nclient-crl = 'a,b'", ClientAuth::Require(authorities(&["a", "b"]))),
        ] {
            let told = secured(&format!("listen-tls = '[::1]:1'\n{text}")).unwrap();
            assert_eq!(told.clients, clients, "{text}");
        }
    }

    #[test]
    fn proxies_stand_in_front_of_one_listener_or_of_all() {
        let text = "trusted-proxy = '10.0.0.0/8'\nlisten = '127.0.0.1:1'\n\
                    [[listener]]\naddress = '127.0.0.1:2'\nkind = 'http'\nproxy-protocol = true\n\
                    [[listener]]\naddress = '127.0.0.1:3'\nkind = 'https'\n\
                    trusted-proxy = ['::1', '192.0.2.0/24']\n";
        let found = check(text).unwrap();
        let said: Vec<_> = found.iter().map(|it| (it.proxies.len(), it.is_announced)).collect();
        assert_eq!(said, [(1, false), (1, true), (2, false)]);
    }

    #[test]
    fn deflating_is_for_one_listener_or_for_all_with_messages() {
        let text = "deflate = 'on'\nlisten = '127.0.0.1:1'\nlisten-stream = '127.0.0.1:2'\n\
                    [[listener]]\naddress = '127.0.0.1:3'\nkind = 'https'\n\
                    deflate = 'takeover'\n\
                    [[listener]]\naddress = '127.0.0.1:4'\nkind = 'http'\ndeflate = 'off'\n";
        let settings: Vec<_> = check(text).unwrap().into_iter().map(|it| it.deflate).collect();
        assert_eq!(settings, [Deflate::On, Deflate::Off, Deflate::Takeover, Deflate::Off]);
    }

    #[test]
    fn what_is_wrong_with_a_listener_is_told() {
        let own = "tls-cert = 'c'\ntls-key = 'k'\n[[listener]]\naddress = '[::1]:1'\n";
        let rows = [
            ("listen = []", "no address to listen on"),
            ("[[listener]]\nkind = 'http'", "listener 1: address is missing"),
            ("[[listener]]\naddress = '[::1]:1'", "listener 1: kind is missing"),
            ("[[listener]]\naddress = 'a'\nkind = 'http'", "listener 1: address: `a`"),
            ("[[listener]]\naddress = '[::1]:1'\nkind = 'ftp'", "listener 1: kind: `ftp`"),
            (&format!("{own}kind = 'http'\ntls-key = 'k'"), "tls-key means nothing"),
            (&format!("{own}kind = 'https'\ntls-key = 'l'"), "without tls-cert"),
            (&format!("listen = '[::1]:1'\n{own}kind = 'https'"), "[::1]:1 is written twice"),
            ("deflate = 'maybe'", "deflate: `maybe`"),
            (&format!("{own}kind = 'stream-echo'\ndeflate = 'on'"), "deflate means nothing"),
            ("tls-cert = 'c'\nlisten = '[::1]:1'", "without tls-key"),
            ("tls-key = 'k'", "without tls-cert"),
            ("tls-cert = 'c,d'\ntls-key = 'k'", "tls-cert is given 2 times and tls-key 1 times"),
            ("tls-cert = 'c,c'\ntls-key = 'k,l'", "tls-cert: `c`"),
            ("tls-ocsp = 'o'", "tls-ocsp means nothing without tls-cert"),
            ("client-auth = 'require'", "client-auth means nothing without client-ca"),
            ("client-auth = 'on'", "client-auth: `on`"),
            ("client-crl = 'l'", "client-crl means nothing without client-ca"),
            ("proxy-protocol = true", "trusted-proxy"),
            ("trusted-proxy = '10.0.0.1/8'", "trusted-proxy: `10.0.0.1/8`"),
        ];
        for (text, words) in rows {
            let message = check(text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(check("listen = '[::1]:0'\nlisten-tls = '[::1]:0'").unwrap().len(), 2);
    }
}
