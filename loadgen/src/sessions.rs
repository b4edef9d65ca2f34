//! Which connections come back to a TLS session instead of shaking hands in full, and where their
//! tickets wait.
//!
//! ```text
//!              +-- take one --> handshake, resumed --> a new one or two --+
//!   Tickets <--+                                                          |
//!   (bounded)  +----------------------------------------------------------+
//! ```
//!
//! A ticket of TLS 1.3 serves once (RFC 8446 appendix C.4), so a shared store is not one ticket for
//! all but a pool that every handshake takes one from and puts one back to. It is as large as what
//! may be under way at once, and not as what is open: the memory of an idle connection stays what
//! it is. With a store of its own, each connection comes back to its own session, when a storm or
//! its lifetime has taken it away, and keeps a kilobyte for that.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use clap::ValueEnum;
use corecast::base::Input;
use corecast::tls::config::NamedGroup;
use corecast::tls::{ClientConfig, Opened, SCRATCH_BYTES_MIN, ServerName, Tls};
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};

use crate::sampling::share_takes;

/// How many tickets wait at most: as many as handshakes may be under way.
const TICKETS_MAX: usize = 2_048;

/// How many are fetched before a run, at most: what an adaptive ramp has under way on two cores.
const TICKETS_BEFORE_MAX: usize = 512;

/// How long a server may take to give a ticket.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whose tickets a connection uses.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum Cache {
    /// Its own: it resumes when it comes back in a storm or after its lifetime
    PerConn,
    /// Anybody's
    #[default]
    Shared,
}

/// A share in per cent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(pub f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('%').unwrap_or(text).trim();
        let percent = number.parse().map_err(|_| format!("`{text}` is no number of per cent"))?;
        if (0.0..=100.0).contains(&percent) {
            Ok(Self(percent))
        } else {
            Err(format!("`{text}` does not lie between 0% and 100%"))
        }
    }
}

/// How some connections resume.
#[derive(Debug)]
pub struct Sessions {
    percent: f64,
    /// With the tickets of all.
    shared: Arc<ClientConfig>,
    tickets: Arc<Tickets>,
    /// With the tickets of each, by its number in the run.
    own: Option<RwLock<BTreeMap<u32, Arc<ClientConfig>>>>,
}

impl Sessions {
    /// Sessions for connections as `config` describes them, of which this share resumes.
    pub fn new(config: &ClientConfig, Percent(percent): Percent, cache: Cache) -> Self {
        let tickets = Arc::new(Tickets::new(TICKETS_MAX));
        let shared = with_store(config, Arc::<Tickets>::clone(&tickets));
        let own = (cache == Cache::PerConn).then(|| RwLock::new(BTreeMap::new()));
        Self { percent, shared, tickets, own }
    }

    /// How connection `number` of the run shakes hands, if it is one that resumes.
    pub fn config(&self, number: u32) -> Option<Arc<ClientConfig>> {
        if !share_takes(self.percent, number) {
            return None;
        }
        let Some(own) = &self.own else { return Some(Arc::clone(&self.shared)) };
        if let Some(config) = own.read().unwrap_or_else(PoisonError::into_inner).get(&number) {
            return Some(Arc::clone(config));
        }
        let config = with_store(&self.shared, Arc::new(Tickets::new(1)));
        let mut own = own.write().unwrap_or_else(PoisonError::into_inner);
        own.insert(number, Arc::clone(&config));
        Some(config)
    }

    /// Fetches the tickets that the first of `conns` connections need.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, or gives none.
    pub fn fetch(&self, name: &ServerName<'static>, to: SocketAddr, conns: u32) -> io::Result<()> {
        if self.own.is_some() {
            return Ok(());
        }
        let needed = (0..conns).filter(|number| share_takes(self.percent, *number));
        let needed = needed.take(TICKETS_BEFORE_MAX).count();
        let giving = with_store(&self.shared, Arc::new(Giving(Arc::clone(&self.tickets))));
        while self.tickets.count() < needed {
            let before = self.tickets.count();
            call(&giving, name, to, || self.tickets.count() > before)?;
        }
        Ok(())
    }
}

/// The same configuration with another store. What proves the server stays the same object, as
/// rustls demands of a session that is resumed.
fn with_store(config: &ClientConfig, store: Arc<dyn ClientSessionStore>) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.resumption = Resumption::store(store);
    Arc::new(config)
}

/// Shakes hands, and listens until `is_enough`.
fn call(
    config: &Arc<ClientConfig>,
    name: &ServerName<'static>,
    to: SocketAddr,
    is_enough: impl Fn() -> bool,
) -> io::Result<()> {
    let broken = |fault| io::Error::other(format!("{fault}"));
    let mut tls = Tls::returning_client(config, name.clone()).map_err(broken)?;
    let mut stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let (mut scratch, mut reply) = (vec![0; SCRATCH_BYTES_MIN], Vec::new());
    tls.open(&mut Input::default(), &mut reply).map_err(broken)?;
    stream.write_all(&reply)?;
    while !is_enough() {
        let kept = tls.restore(&mut scratch);
        let (_, room) = scratch.split_at_mut(kept);
        let read = stream
            .read(room)
            .ok()
            .filter(|read| *read > 0)
            .ok_or_else(|| io::Error::other("the server gives no ticket to come back with"))?;
        let (arrived, _) = scratch.split_at_mut(kept + read);
        let mut input = Input::new(arrived);
        reply.clear();
        while !matches!(
            tls.open(&mut input, &mut reply).map_err(broken)?,
            Opened::Wanting | Opened::Closed
        ) {}
        stream.write_all(&reply)?;
    }
    Ok(())
}

/// Tickets that wait to be used.
struct Tickets {
    most: usize,
    waiting: RwLock<VecDeque<Tls13ClientSessionValue>>,
    /// A session of TLS 1.2 serves as often as one likes.
    session: RwLock<Option<Tls12ClientSessionValue>>,
    group: RwLock<Option<NamedGroup>>,
}

impl Tickets {
    fn new(most: usize) -> Self {
        let (session, group) = (RwLock::default(), RwLock::default());
        Self { most, waiting: RwLock::default(), session, group }
    }

    /// How many connections could come back now, as far as that is limited.
    fn count(&self) -> usize {
        let has_session = read(&self.session, Option::is_some);
        if has_session { usize::MAX } else { read(&self.waiting, VecDeque::len) }
    }
}

fn read<T, R>(lock: &RwLock<T>, act: impl FnOnce(&T) -> R) -> R {
    act(&lock.read().unwrap_or_else(PoisonError::into_inner))
}

fn write<T, R>(lock: &RwLock<T>, act: impl FnOnce(&mut T) -> R) -> R {
    act(&mut lock.write().unwrap_or_else(PoisonError::into_inner))
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Their secrets are nobody's business.
        f.debug_struct("Tickets").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        write(&self.group, |it| *it = Some(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        read(&self.group, |it| *it)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        write(&self.session, |it| *it = Some(value));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        read(&self.session, Clone::clone)
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        write(&self.session, |it| *it = None);
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        write(&self.waiting, |waiting| {
            if waiting.len() == self.most {
                waiting.pop_front();
            }
            waiting.push_back(value);
        });
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        write(&self.waiting, VecDeque::pop_back)
    }
}

/// A store that is only put into, by those who fetch tickets for others.
#[derive(Debug)]
struct Giving(Arc<Tickets>);

impl ClientSessionStore for Giving {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(name, group);
    }

    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(name)
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(name, value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(name, value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Agreement {
    /// The version of the protocol.
    pub version: &'static str,
    /// The number of the cipher suite.
    pub suite: u16,
    /// That of the group in which keys were exchanged, if they were.
    pub group: Option<u16>,
    /// Whether it came back to a session.
    pub is_resumed: bool,
}

impl Agreement {
    /// What `tls` has agreed on, once its handshake is done.
    pub fn of(tls: &Tls) -> Option<Self> {
        let negotiated = tls.negotiated()?;
        Some(Self {
            version: negotiated.version,
            suite: negotiated.suite_number(),
            group: negotiated.group.map(u16::from),
            is_resumed: negotiated.is_resumed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use corecast::tls::config::{Trust, client_config};

    fn sessions(percent: &str, cache: Cache) -> Sessions {
        let config = client_config(Trust::Anyone).unwrap();
        Sessions::new(&config, percent.parse().unwrap(), cache)
    }

    #[test]
    fn a_share_resumes_with_what_is_shared_or_its_own() {
        let shared = sessions("25%", Cache::Shared);
        let configs: Vec<_> = (0..100).filter_map(|number| shared.config(number)).collect();
        assert_eq!(configs.len(), 25);
        assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
        let own = sessions("100", Cache::PerConn);
        let [first, again, other] = [7, 7, 8].map(|number| own.config(number).unwrap());
        assert!(Arc::ptr_eq(&first, &again) && !Arc::ptr_eq(&first, &other));
        assert!((0..100).all(|number| sessions("0", Cache::Shared).config(number).is_none()));
    }

    #[test]
    fn a_share_is_between_nothing_and_all() {
        for text in ["101%", "-1", "half", "NaN"] {
            assert!(text.parse::<Percent>().is_err(), "{text}");
        }
    }
}
