//! What waits: one epoll or kqueue of a thread, and the waker that ends its wait from any other.
//!
//! The system hands back a number with each piece of news. For a stream it is the bits of its
//! [`Key`]. For all else its lower half names slot 2^32 - 1, which no slab ever fills, and the
//! upper half tells what it is:
//!
//! ```text
//!   63        32 31         0
//!  | generation | index       |   a stream
//!  | n          | ff ff ff ff |   listener n, the waker (2^32 - 1), the timer (2^32 - 2)
//! ```

use super::timer::Timer;
use crate::base::{Key, Readiness, Wake};
use mio::event::{Event, Source};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

/// Enough that a busy core asks seldom, few enough that what was news first is still fresh.
const EVENTS_PER_WAIT_MAX: usize = 1024;

/// The lower half of every token that is not a key.
const NO_SLOT: u32 = u32::MAX;

/// The upper half of the waker's token.
const WAKER: u32 = u32::MAX;

/// The upper half of the timer's token.
const TIMER: u32 = u32::MAX - 1;

const _: () = assert!(usize::BITS == 64, "a token must hold the whole of a key");

/// The waiting place of one thread.
///
/// On Linux it must be made before any worker's thread starts, since a worker may take a copy of
/// the table of open files and wakes the others through what it finds in there.
pub struct Poller {
    poll: Poll,
    events: Events,
    waker: Arc<Waker>,
    timer: Option<Timer>,
}

/// What the system had to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    /// A stream may be ready.
    Stream(Key, Readiness),
    /// Somebody has knocked at the listener of this number.
    Listener(u32),
    /// Somebody wanted this thread awake, or the timer did, and it is.
    Woken,
}

impl Poller {
    /// Opens the two files that waiting and waking take.
    pub fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), reserved_token(WAKER))?);
        let events = Events::with_capacity(EVENTS_PER_WAIT_MAX);
        Ok(Self { poll, events, waker, timer: None })
    }

    /// Waits from now on as exactly as the system can, where whole milliseconds are too coarse.
    ///
    /// It costs a call for each wait with an end, and a file of the thread that calls this. Linux
    /// only; elsewhere nothing changes.
    pub fn with_fine_timer(mut self) -> io::Result<Self> {
        self.timer = Timer::new()?;
        if let Some(timer) = &self.timer {
            let (registry, token) = (self.poll.registry(), reserved_token(TIMER));
            SourceFd(&timer.file()).register(registry, token, Interest::READABLE)?;
        }
        Ok(self)
    }

    /// What ends the wait of this thread. It outlives the poller without harm.
    pub fn waker(&self) -> Arc<dyn Wake> {
        Arc::new(Alarm(Arc::clone(&self.waker)))
    }

    /// Waits for news until `timeout` has passed; `None` waits for as long as it takes.
    ///
    /// A signal ends the wait like a wake without news.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = self.set_timer(timeout)?;
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.events.clear();
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Leaves the end of a wait to the timer, if there is one. Returns what is left to the wait.
    fn set_timer(&self, timeout: Option<Duration>) -> io::Result<Option<Duration>> {
        match (&self.timer, timeout) {
            // A timer that is set to nothing never rings.
            (Some(timer), Some(time)) if !time.is_zero() => timer.set(time).map(|()| None),
            _ => Ok(timeout),
        }
    }

    /// The news of the last wait.
    pub(super) fn news(&self) -> impl Iterator<Item = News> {
        self.events.iter().map(read)
    }

    /// From now on tells what happens to `stream`, as news of `key`, until the stream is closed.
    ///
    /// Both interests at once and only what is new: a stream costs this one call in its life.
    pub(super) fn add_stream(&self, stream: RawFd, key: Key) -> io::Result<()> {
        debug_assert_ne!(key.index(), NO_SLOT as usize, "a key that would be read as a listener");
        let both = Interest::READABLE | Interest::WRITABLE;
        SourceFd(&stream).register(self.poll.registry(), token(key.to_bits()), both)
    }

    /// From now on tells who knocks at `listener`, as news of `number`.
    pub(super) fn add_listener(&self, listener: &mut impl Source, number: u32) -> io::Result<()> {
        debug_assert!(number < TIMER, "a listener whose news would be read as a wake");
        listener.register(self.poll.registry(), reserved_token(number), Interest::READABLE)
    }
}

impl fmt::Debug for Poller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poller").field("poll", &self.poll).finish_non_exhaustive()
    }
}

/// A waker that other layers may hold without knowing what it is made of.
struct Alarm(Arc<Waker>);

impl Wake for Alarm {
    fn wake(&self) {
        if let Err(error) = self.0.wake() {
            log::error!("cannot wake a worker: {error}");
        }
    }
}

/// The token of what is not a stream.
fn reserved_token(upper: u32) -> Token {
    token(u64::from(upper) << 32 | u64::from(NO_SLOT))
}

#[allow(clippy::cast_possible_truncation)] // asserted above: as wide
fn token(bits: u64) -> Token {
    Token(bits as usize)
}

/// Reads whose news an event is, and what it says.
#[allow(clippy::cast_possible_truncation)] // the two halves of the number
fn read(event: &Event) -> News {
    let bits = event.token().0 as u64;
    match ((bits >> 32) as u32, bits as u32) {
        (WAKER | TIMER, NO_SLOT) => News::Woken,
        (number, NO_SLOT) => News::Listener(number),
        _ => News::Stream(Key::from_bits(bits), readiness(event)),
    }
}

/// What a stream's event allows.
///
/// An error is an end, and writable as well: whatever the handler waits for, trying tells it what
/// has happened.
fn readiness(event: &Event) -> Readiness {
    let mut readiness = Readiness::default();
    if event.is_readable() {
        readiness = readiness | Readiness::READABLE;
    }
    if event.is_read_closed() || event.is_error() {
        readiness = readiness | Readiness::ENDED;
    }
    if event.is_writable() || event.is_write_closed() || event.is_error() {
        readiness = readiness | Readiness::WRITABLE;
    }
    readiness
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Slab;
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsRawFd;
    use std::thread;

    fn next(poller: &mut Poller) -> Vec<News> {
        poller.wait(None).unwrap();
        poller.news().collect()
    }

    #[test]
    fn a_wake_from_another_thread_ends_the_wait() {
        let mut poller = Poller::new().unwrap();
        let waker = poller.waker();
        thread::scope(|scope| {
            scope.spawn(move || waker.wake());
            assert_eq!(next(&mut poller), [News::Woken]);
        });
    }

    #[test]
    fn a_wait_of_no_time_returns_without_news() {
        let mut poller = Poller::new().unwrap();
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(poller.news().count(), 0);
    }

    #[test]
    fn listeners_and_streams_are_told_apart() {
        let mut poller = Poller::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut listener = mio::net::TcpListener::from_std(listener);
        poller.add_listener(&mut listener, 7).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        assert_eq!(next(&mut poller), [News::Listener(7)]);

        let mut keys = Slab::default();
        keys.insert(());
        let key = keys.insert(());
        poller.add_stream(stream.as_raw_fd(), key).unwrap();
        assert_eq!(next(&mut poller), [News::Stream(key, Readiness::WRITABLE)]);
    }

    #[test]
    fn an_end_is_news_for_reader_and_writer() {
        let mut poller = Poller::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        drop(listener.accept().unwrap());
        let key = Slab::default().insert(());
        poller.add_stream(stream.as_raw_fd(), key).unwrap();
        let [News::Stream(_, readiness)] = next(&mut poller)[..] else { panic!("not one piece") };
        assert!(readiness.is_ended() && readiness.is_readable() && readiness.is_writable());
    }

    #[test]
    #[cfg(target_os = "linux")]
    #[allow(clippy::disallowed_methods)] // how long the wait took is what is tested
    fn a_fine_timer_ends_the_wait_within_a_millisecond_and_only_once() {
        let mut poller = Poller::new().unwrap().with_fine_timer().unwrap();
        let mut took = Vec::new();
        for _ in 0..50 {
            let start = std::time::Instant::now();
            poller.wait(Some(Duration::from_micros(100))).unwrap();
            assert_eq!(poller.news().collect::<Vec<_>>(), [News::Woken]);
            took.push(start.elapsed());
        }
        took.sort_unstable();
        assert!(took[0] >= Duration::from_micros(100), "{took:?}");
        // On a machine that is busy most are late, but never all.
        assert!(took[0] < Duration::from_millis(1), "{took:?}");
        poller.wait(Some(Duration::ZERO)).unwrap();
        assert_eq!(poller.news().count(), 0);
    }
}
