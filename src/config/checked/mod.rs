//! As meant: values that can be used as they are.

mod limits;
mod listener;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::raw::RawConfig;
use super::values::{MemoryMax, PublishKey, Workers};
use super::{ConfigError, rules};
use crate::http::{OriginPattern, Origins};
use crate::worker::limits::Limits;
use listener::{Defaults, loopback};

pub(super) use listener::{ClientAuthName, KindName};
pub use listener::{Kind, Listener, Security};

/// What is served where, by how many, under which limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen, and what for; one at least.
    pub listeners: Vec<Listener>,
    /// How many threads serve.
    pub workers: Workers,
    /// How many connections there must be room for; `None` takes what the system gives.
    pub connections_max: Option<u64>,
    /// The WebSocket subprotocols we speak, the preferred one first.
    pub subprotocols: Vec<String>,
    /// Whose pages may open a WebSocket and publish by POST.
    pub origins: Origins,
    /// What a backend must show to publish from elsewhere than loopback.
    pub publish_key: Option<PublishKey>,
    /// The names in their certificates by which clients may publish.
    pub publish_identities: Vec<String>,
    /// Whether WebSocket clients may publish.
    pub client_publish: ClientPublish,
    /// Where metrics and health are served, if they are.
    pub admin: Option<SocketAddr>,
    /// Whether files of certificates are read again when they change.
    pub watch_certificates: bool,
    /// How long connections may take to end when the server shuts down.
    pub drain_timeout: Duration,
    /// How much memory there may be.
    pub memory: MemoryMax,
    /// What a peer and a core may use.
    pub limits: Limits,
}

/// Whether WebSocket clients may publish, and why.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientPublish {
    /// The operator said yes.
    Allowed,
    /// The operator said no.
    Forbidden,
    /// Nobody said, and only this machine can connect.
    AllowedOnLoopback,
    /// Nobody said, and other machines can connect through this listener.
    ForbiddenBecause(SocketAddr),
}

impl ClientPublish {
    /// What follows from what was `said` and from where the listeners are.
    fn decide(said: Option<bool>, listeners: impl IntoIterator<Item = SocketAddr>) -> Self {
        let reachable = || listeners.into_iter().find(|address| !address.ip().is_loopback());
        match said {
            Some(true) => Self::Allowed,
            Some(false) => Self::Forbidden,
            None => reachable().map_or(Self::AllowedOnLoopback, Self::ForbiddenBecause),
        }
    }
}

impl fmt::Display for ClientPublish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("clients may publish, as --allow-publish says"),
            Self::Forbidden => {
                f.write_str("clients may not publish, as --allow-publish=false says")
            }
            Self::AllowedOnLoopback => {
                f.write_str("clients may publish, since every listener is on loopback")
            }
            Self::ForbiddenBecause(listener) => {
                write!(f, "clients may not publish, since {listener} is not on loopback; ")?;
                f.write_str("--allow-publish would let them")
            }
        }
    }
}

impl RawConfig {
    /// Checks everything that was written and fills in what was not.
    pub fn check(self) -> Result<Config, ConfigError> {
        let Self {
            listeners,
            proxies,
            tls,
            websockets,
            publishing,
            limits,
            defences,
            operation,
            tables,
        } = self;
        let defaults = Defaults { proxies, tls, websockets };
        let listeners = listener::listeners(listeners, tables, &defaults)?;
        let said = rules::ALLOW_PUBLISH.one(publishing.allow_publish)?;
        let publish_identities = rules::PUBLISH_IDENTITY.each(publishing.publish_identity)?;
        if !publish_identities.is_empty() && !listeners.iter().any(Listener::knows_clients) {
            let (given, missing) = (rules::PUBLISH_IDENTITY.key, rules::CLIENT_CA.key);
            return Err(ConfigError::Lacks { given, missing });
        }
        let everywhere = listeners.iter().map(|listener| listener.address);
        Ok(Config {
            client_publish: ClientPublish::decide(said, everywhere),
            listeners,
            workers: rules::WORKERS.one(operation.workers)?.unwrap_or(Workers::Auto),
            connections_max: rules::MAX_CONNS.one(limits.max_conns.clone())?,
            subprotocols: rules::SUBPROTOCOL.each(publishing.subprotocol)?,
            publish_identities,
            origins: origins(rules::ALLOW_ORIGIN.each(publishing.allow_origin)?),
            publish_key: rules::PUBLISH_KEY.one(publishing.publish_key)?,
            admin: rules::ADMIN.one(operation.admin)?.unwrap_or(Some(loopback(9090))),
            watch_certificates: rules::WATCH_CERTS.one(operation.watch_certs)?.unwrap_or(true),
            drain_timeout: rules::DRAIN_TIMEOUT
                .one(operation.drain_timeout)?
                .unwrap_or(Duration::from_secs(10)),
            memory: rules::MEMORY_MAX.one(defences.memory_max.clone())?.unwrap_or(MemoryMax::Auto),
            limits: limits::check(limits, defences)?,
        })
    }
}

/// Whose pages may come: those of the `written` origins, of anybody if one says so, and only those
/// of the host they ask if none is written.
fn origins(written: Vec<Option<OriginPattern>>) -> Origins {
    if written.is_empty() {
        return Origins::SameHost;
    }
    written.into_iter().collect::<Option<Vec<_>>>().map_or(Origins::Any, Origins::Listed)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn check(text: &str) -> Result<Config, ConfigError> {
        RawConfig::from_file("f", text).unwrap().check()
    }

    #[test]
    fn nothing_written_is_for_this_machine() {
        let config = check("").unwrap();
        assert_eq!(config.admin, Some(loopback(9090)));
        assert_eq!(config.client_publish, ClientPublish::AllowedOnLoopback);
        assert_eq!(config.workers, Workers::Auto);
        assert_eq!(config.limits.heartbeat_ms, 25_000);
    }

    #[test]
    fn limits_are_those_of_a_worker_but_for_what_is_written() {
        let text =
            "heartbeat = '2s'\nstream-idle = '3s'\nmessage-bytes = '1k'\noutbox-bytes = '8k'";
        let limits = check(text).unwrap().limits;
        assert_eq!(limits.heartbeat_ms, 2_000);
        assert_eq!(limits.stream_idle_ms_max, 3_000);
        assert_eq!(limits.outbox.bytes_max, 8_192);
        assert_eq!(limits.session.websocket.message_bytes_max, 1_024);
        assert_eq!(limits.session.http.body_bytes_max, 1_024);
        assert_eq!(limits.request_ms_max, Limits::default().request_ms_max);
    }

    #[test]
    fn an_outbox_holds_the_longest_message_with_its_header() {
        let narrow = "message-bytes = 8179\noutbox-bytes = '8k'";
        assert!(check(narrow).unwrap_err().to_string().contains("outbox-bytes"));
        assert!(check("message-bytes = 8178\noutbox-bytes = '8k'").is_ok());
    }

    #[test]
    fn clients_publish_when_told_so_or_when_all_are_on_loopback() {
        let everywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80));
        let rows = [
            (None, loopback(1), ClientPublish::AllowedOnLoopback),
            (None, everywhere, ClientPublish::ForbiddenBecause(everywhere)),
            (Some(true), everywhere, ClientPublish::Allowed),
            (Some(false), loopback(1), ClientPublish::Forbidden),
        ];
        for (said, listener, outcome) in rows {
            assert_eq!(ClientPublish::decide(said, [loopback(2), listener]), outcome);
        }
    }

    #[test]
    fn pages_come_from_where_is_written_or_from_the_same_host() {
        let of = |text: &str| check(text).unwrap().origins;
        assert_eq!(of(""), Origins::SameHost);
        assert_eq!(of("allow-origin = ['https://a.org', '*']"), Origins::Any);
        let listed = of("allow-origin = 'https://a.org, https://*.b.org'");
        assert!(matches!(&listed, Origins::Listed(patterns) if patterns.len() == 2), "{listed:?}");
    }

    #[test]
    fn a_publish_key_is_not_printed() {
        let config = check("publish-key = 'secret-secret-secret'").unwrap();
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
    }

    #[test]
    fn who_may_publish_by_name_must_be_able_to_prove_it() {
        let text = "publish-identity = 'backend'\nlisten-tls = '[::1]:1'";
        let error = check(text).unwrap_err().to_string();
        assert_eq!(error, "publish-identity means nothing without client-ca");
        let config = check(&format!("{text}\nclient-ca = 'ca'")).unwrap();
        assert_eq!(config.publish_identities, ["backend"]);
        assert!(check(&format!("{text}\nclient-ca = 'ca'\nclient-auth = 'off'")).is_err());
    }

    #[test]
    fn the_admin_listener_can_be_turned_off() {
        assert_eq!(check("admin = 'off'").unwrap().admin, None);
    }
}
