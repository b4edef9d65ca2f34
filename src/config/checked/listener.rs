//! Where to listen, and what for.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::config::raw::{Keys, Listeners, RawListener, Tls, Written, dashed};
use crate::config::rules::{self, Rule};

/// Where to listen, and what for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub kind: Kind,
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
    /// What proves our name to clients.
    pub certificate: Certificate,
}

/// What proves our name to TLS clients.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Certificate {
    /// A certificate of our own development authority, made once and kept in the state directory.
    Development,
    /// PEM files of the operator.
    Files {
        /// The chain, our certificate first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Kinds by their names in a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::config) enum KindName {
    Http,
    Https,
    StreamEcho,
}

/// What the listeners of the command line and of the file have in common.
struct Defaults {
    tls: Tls,
}

/// All listeners: those of lists and of tables, or on loopback if nothing was written.
pub(super) fn listeners(
    lists: Listeners,
    tables: Vec<RawListener>,
    tls: Tls,
) -> Result<Vec<Listener>, ConfigError> {
    let nothing = lists == Listeners::default() && tables.is_empty();
    let defaults = Defaults { tls };
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
        Ok(Listener { address, kind: self.kind(kind, Tls::default())? })
    }

    fn table(&self, table: RawListener) -> Result<Listener, ConfigError> {
        let missing = |key| ConfigError::Needed { key };
        let address = rules::ADDRESS.one(table.place.address)?;
        let address = address.ok_or(missing(rules::ADDRESS.key))?;
        let kind = rules::KIND.one(table.place.kind)?.ok_or(missing(rules::KIND.key))?;
        Ok(Listener { address, kind: self.kind(kind, table.tls)? })
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
        // A certificate and its key come from the same place.
        security(&tls)?;
        security(&tls.or(self.tls.clone()))
    }
}

fn security(tls: &Tls) -> Result<Security, ConfigError> {
    let certificate = certificate(tls.tls_cert.clone(), tls.tls_key.clone())?;
    Ok(Security { certificate })
}

fn certificate(chain: Option<Written>, key: Option<Written>) -> Result<Certificate, ConfigError> {
    let (cert_rule, key_rule) = (rules::TLS_CERT, rules::TLS_KEY);
    match (cert_rule.one(chain)?, key_rule.one(key)?) {
        (None, None) => Ok(Certificate::Development),
        (Some(chain), Some(key)) => Ok(Certificate::Files { chain, key }),
        (Some(_), None) => {
            Err(ConfigError::Missing { given: cert_rule.key, missing: key_rule.key })
        }
        (None, Some(_)) => {
            Err(ConfigError::Missing { given: key_rule.key, missing: cert_rule.key })
        }
    }
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
        let (chain, key) = (chain.into(), key.into());
        Kind::Https(Security { certificate: Certificate::Files { chain, key } })
    }

    const DEVELOPMENT: Kind = Kind::Https(Security { certificate: Certificate::Development });

    #[test]
    fn nothing_written_serves_on_loopback() {
        let plain = Listener { address: loopback(8080), kind: Kind::Http };
        let tls = Listener { address: loopback(8443), kind: DEVELOPMENT };
        assert_eq!(check("").unwrap(), [plain, tls]);
    }

    #[test]
    fn one_listener_written_replaces_the_defaults() {
        let only = Listener { address: loopback(1), kind: DEVELOPMENT };
        assert_eq!(check("listen-tls = '127.0.0.1:1'").unwrap(), [only]);
        let plain = Listener { address: loopback(1), kind: Kind::Http };
        assert_eq!(check("[[listener]]\naddress = 'localhost:1'\nkind = 'http'").unwrap(), [plain]);
        let stream = Kind::StreamEcho(Security { certificate: Certificate::Development });
        for text in [
            "listen-stream = '127.0.0.1:1'",
            "[[listener]]\naddress = '127.0.0.1:1'\nkind = 'stream-echo'",
        ] {
            let only = Listener { address: loopback(1), kind: stream.clone() };
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
            ("tls-cert = 'c'\nlisten = '[::1]:1'", "without tls-key"),
            ("tls-key = 'k'", "without tls-cert"),
        ];
        for (text, words) in rows {
            let message = check(text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
        assert_eq!(check("listen = '[::1]:0'\nlisten-tls = '[::1]:0'").unwrap().len(), 2);
    }
}
