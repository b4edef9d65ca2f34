//! Tickets that let a client come back without a full handshake (RFC 8446 §4.6.1, RFC 5077).
//!
//! ```text
//!   0 h         6 h         12 h        18 h
//!   |- current -|- previous -|            gone: its tickets are strangers'
//!               |- current --|- previous -|
//! ```
//!
//! A server keeps nothing for a client: the ticket holds the session, sealed with a key that only
//! these [`Tickets`] have. All workers share them. Each configuration has its own, so the ticket of
//! one is a stranger's to the other, and the client shakes hands in full there.
//!
//! Invariant: a key opens tickets for [`LIFETIME`] at most, and is kept in memory only, where no
//! log and no debug output shows it.

use std::fmt;
use std::mem;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::ProducesTickets;
use rustls::time_provider::TimeProvider;

/// How long a key opens tickets; what a ticket says of itself.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How long it also seals new ones.
const CURRENT: Duration = Duration::from_secs(6 * 60 * 60);

/// The ticket keys of one configuration.
pub(super) struct Tickets {
    clock: Arc<dyn TimeProvider>,
    /// Handshakes look, and change it once in [`CURRENT`]; no message waits for it.
    keys: RwLock<Keys>,
}

struct Keys {
    current: Key,
    previous: Option<Key>,
}

/// rustls' own ticket construction with a key of its own. (It changes that too, by the clock of the
/// system and as slowly as we do, so that no key lives on in it for longer than here.)
struct Key {
    ticketer: Arc<dyn ProducesTickets>,
    /// Seconds since 1970.
    born: u64,
}

impl Key {
    fn new(now: u64) -> Result<Self, Error> {
        Ok(Self { ticketer: Ticketer::new()?, born: now })
    }

    /// Whether it is younger than `age` at the time `now`, which may be before it was born.
    fn is_within(&self, age: Duration, now: u64) -> bool {
        now.saturating_sub(self.born) < age.as_secs()
    }
}

impl Tickets {
    /// Tickets with a key that nobody else has.
    ///
    /// # Errors
    ///
    /// If the system gives no randomness.
    pub(super) fn new(clock: Arc<dyn TimeProvider>) -> Result<Self, Error> {
        let current = Key::new(seconds(&*clock)?)?;
        Ok(Self { clock, keys: RwLock::new(Keys { current, previous: None }) })
    }

    /// Lets `act` have the keys as they are to be now.
    fn with_keys<T>(&self, act: impl FnOnce(&Keys) -> Option<T>) -> Option<T> {
        let now = seconds(&*self.clock).ok()?;
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        if keys.are_of(now) {
            return act(&keys);
        }
        drop(keys);
        let fresh = Key::new(now).ok()?;
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        keys.change(fresh, now);
        act(&keys)
    }
}

impl Keys {
    /// Whether each of them is as young as it must be.
    fn are_of(&self, now: u64) -> bool {
        self.current.is_within(CURRENT, now)
            && self.previous.as_ref().is_none_or(|previous| previous.is_within(LIFETIME, now))
    }

    /// Gives up what is too old. The `fresh` key comes in where one is wanted: another worker may
    /// just have changed the keys.
    fn change(&mut self, fresh: Key, now: u64) {
        if !self.current.is_within(CURRENT, now) {
            self.previous = Some(mem::replace(&mut self.current, fresh));
        }
        self.previous.take_if(|previous| !previous.is_within(LIFETIME, now));
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        u32::try_from(LIFETIME.as_secs()).expect("hours are few seconds")
    }

    fn encrypt(&self, session: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|keys| keys.current.ticketer.encrypt(session))
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.with_keys(|keys| {
            let previous = || keys.previous.as_ref()?.ticketer.decrypt(ticket);
            keys.current.ticketer.decrypt(ticket).or_else(previous)
        })
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets(..)")
    }
}

fn seconds(clock: &dyn TimeProvider) -> Result<u64, Error> {
    clock.current_time().map(|time| time.as_secs()).ok_or(Error::FailedToGetCurrentTime)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustls::pki_types::UnixTime;

    use super::*;

    const HOUR: u64 = 60 * 60;

    /// A clock that is set by hand.
    #[derive(Debug, Default)]
    struct Hand(AtomicU64);

    impl Hand {
        fn set(&self, seconds: u64) {
            self.0.store(1_000_000 + seconds, Ordering::Relaxed);
        }
    }

    impl TimeProvider for Hand {
        fn current_time(&self) -> Option<UnixTime> {
            Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
        }
    }

    fn tickets() -> (Arc<Hand>, Tickets) {
        let clock = Arc::new(Hand::default());
        clock.set(0);
        let tickets = Tickets::new(Arc::<Hand>::clone(&clock)).unwrap();
        (clock, tickets)
    }

    #[test]
    fn a_ticket_is_good_for_six_to_twelve_hours() {
        for (issued, last) in [(0, 12 * HOUR - 1), (6 * HOUR - 1, 12 * HOUR - 1)] {
            let (clock, tickets) = tickets();
            clock.set(issued);
            let ticket = tickets.encrypt(b"session").unwrap();
            // Somebody comes now and then, so that the keys change when they are to.
            for now in (issued..last).step_by(600) {
                clock.set(now);
                assert_eq!(tickets.decrypt(&ticket).unwrap(), b"session", "after {now} s");
            }
            clock.set(last);
            assert_eq!(tickets.decrypt(&ticket).unwrap(), b"session");
            clock.set(last + 1);
            assert_eq!(tickets.decrypt(&ticket), None, "issued at {issued}");
        }
    }

    #[test]
    fn a_ticket_does_not_outlive_a_quiet_day() {
        let (clock, tickets) = tickets();
        let ticket = tickets.encrypt(b"session").unwrap();
        clock.set(24 * HOUR);
        assert_eq!(tickets.decrypt(&ticket), None);
        let ticket = tickets.encrypt(b"session").unwrap();
        assert!(tickets.decrypt(&ticket).is_some());
    }

    #[test]
    fn new_tickets_are_sealed_with_a_new_key_after_six_hours() {
        let (clock, tickets) = tickets();
        let name = |ticket: Vec<u8>| ticket[..16].to_vec();
        let first = name(tickets.encrypt(b"session").unwrap());
        assert_eq!(name(tickets.encrypt(b"session").unwrap()), first);
        clock.set(6 * HOUR);
        let second = name(tickets.encrypt(b"session").unwrap());
        assert_ne!(second, first);
        clock.set(12 * HOUR);
        assert!(![first, second].contains(&name(tickets.encrypt(b"session").unwrap())));
    }

    #[test]
    fn a_clock_that_is_set_back_changes_nothing() {
        let (clock, tickets) = tickets();
        clock.set(HOUR);
        let ticket = tickets.encrypt(b"session").unwrap();
        clock.set(0);
        assert!(tickets.decrypt(&ticket).is_some());
    }

    #[test]
    fn the_tickets_of_others_are_strangers_and_so_is_noise() {
        let ((_, ours), (_, theirs)) = (tickets(), tickets());
        let ticket = theirs.encrypt(b"session").unwrap();
        assert!(ours.encrypt(b"a longer session").is_some());
        assert_eq!(ours.decrypt(&ticket), None);
        let mut forged = ours.encrypt(b"session").unwrap();
        for byte in 0..forged.len() {
            forged[byte] ^= 1;
            assert_eq!(ours.decrypt(&forged), None, "byte {byte}");
            forged[byte] ^= 1;
        }
        assert_eq!(ours.decrypt(&[0; 100]), None);
        assert!(ours.decrypt(&forged).is_some());
    }

    #[test]
    fn keys_are_not_printed() {
        assert_eq!(format!("{:?}", tickets().1), "Tickets(..)");
    }
}
