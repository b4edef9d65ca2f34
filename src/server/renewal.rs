//! Certificates that change while the server runs.
//!
//! ```text
//!   SIGHUP, Reloader ----------.
//!   files changed, then quiet --+--> Sources::load --> Command::Renew to every worker
//!   something is about to end -'           |
//!                                          '-- fails: one line, and what was there serves on
//! ```
//!
//! It has a thread of its own, since reading a file may take long. No message waits for it: workers
//! get a whole configuration, as they get anything else.
//!
//! Invariant: what workers are given has been read and fits together. A worker that was too busy to
//! take it is offered it again.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::admin::{Certificates, Remote};
use crate::hub::WorkerId;
use crate::tls::config::{Loaded, Sources, Stamp};
use crate::tls::{ServerConfig, TimeProvider};
use crate::worker::mesh::{Handle, PostFault};

/// How often files are looked at. What has changed is read when it has been quiet for so long, so
/// that a certificate and its key may be written one after the other.
const LOOK: Duration = Duration::from_secs(2);

/// How soon a worker that was too busy is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// How soon what should have been renewed by itself, and was not, is tried again.
const RETRY: Duration = Duration::from_secs(60 * 60);

/// What to do beside looking.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// Read everything again.
    Reload,
    /// The server ends.
    Leave,
}

/// Makes a server read its certificates again, from any thread.
#[derive(Clone, Debug)]
pub struct Reloader(Sender<Order>);

impl Reloader {
    pub(super) const fn new(orders: Sender<Order>) -> Self {
        Self(orders)
    }

    /// Reads every file of certificates again, and soon lets new connections shake hands with what
    /// has changed. Returns at once; the log tells how it went.
    pub fn reload(&self) {
        // A server that has ended has nothing to read.
        let _ = self.0.send(Order::Reload);
    }

    pub(super) fn leave(&self) {
        let _ = self.0.send(Order::Leave);
    }
}

/// The certificates of one listener, and where they come from.
#[derive(Clone, Debug)]
pub(super) struct Renewed {
    pub(super) listener: usize,
    pub(super) sources: Sources,
    pub(super) loaded: Loaded,
}

/// Keeps the certificates of all listeners as they are in their files.
pub(super) struct Renewal {
    entries: Vec<Entry>,
    handle: Handle,
    admin: Option<Remote>,
    clock: Arc<dyn TimeProvider>,
    /// Whether files are looked at, and not only read when somebody says so.
    is_watching: bool,
}

struct Entry {
    listener: u32,
    /// Where it is, for people.
    address: String,
    sources: Sources,
    config: Arc<ServerConfig>,
    /// When to load although no file has changed.
    due: Option<SystemTime>,
    stamp: Stamp,
    /// Files have changed since they were read, and may not be quiet yet.
    is_changed: bool,
    /// Workers that do not have `config` yet.
    waiting: Vec<WorkerId>,
    reloads: u64,
    failures: u64,
}

impl Renewal {
    /// Knows of `renewed`, each with the address of its listener.
    pub(super) fn new(
        renewed: Vec<(Renewed, String)>,
        handle: Handle,
        clock: Arc<dyn TimeProvider>,
        is_watching: bool,
    ) -> Self {
        let entry = |(Renewed { listener, sources, loaded }, address)| Entry {
            listener: u32::try_from(listener).expect("there are few listeners"),
            address,
            stamp: sources.stamp(),
            sources,
            config: loaded.config,
            due: loaded.due,
            is_changed: false,
            waiting: Vec::new(),
            reloads: 0,
            failures: 0,
        };
        let entries = renewed.into_iter().map(entry).collect();
        Self { entries, handle, admin: None, clock, is_watching }
    }

    /// Tells operators of the certificates from now on, if they are answered.
    pub(super) fn telling(mut self, admin: Option<Remote>) -> Self {
        self.admin = admin;
        self.report();
        self
    }

    /// Looks and obeys until the server ends.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        loop {
            match orders.recv_timeout(self.pause()) {
                Ok(Order::Reload) => self.reload(),
                Err(RecvTimeoutError::Timeout) => self.turn(),
                Ok(Order::Leave) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// How long to wait for the next turn.
    fn pause(&self) -> Duration {
        let is_posting = self.entries.iter().any(|entry| !entry.waiting.is_empty());
        if is_posting { AGAIN } else { LOOK }
    }

    /// Reads everything again, and says so even where nothing has changed.
    pub(super) fn reload(&mut self) {
        for entry in &mut self.entries {
            entry.load(&self.clock, &self.handle);
        }
        self.report();
    }

    /// Looks whether there is something to read, and offers what waits.
    pub(super) fn turn(&mut self) {
        let now = now(&*self.clock);
        let mut is_news = false;
        for entry in &mut self.entries {
            entry.post(&self.handle);
            if (self.is_watching && entry.is_quiet_again()) || entry.is_due(now) {
                entry.load(&self.clock, &self.handle);
                is_news = true;
            }
        }
        if is_news {
            self.report();
        }
    }

    /// Tells operators what there is now.
    fn report(&self) {
        let Some(admin) = &self.admin else { return };
        let now = now(&*self.clock);
        let report = |entry: &Entry| Certificates {
            listener: entry.address.clone(),
            left: entry
                .config
                .certificates()
                .iter()
                .map(|shown| (shown.name.clone(), shown.until.duration_since(now).ok()))
                .collect(),
            reloads: entry.reloads,
            failures: entry.failures,
        };
        admin.tell(self.entries.iter().map(report).collect());
    }
}

impl Entry {
    /// Whether files have changed, and have not any more since the last look.
    fn is_quiet_again(&mut self) -> bool {
        let stamp = self.sources.stamp();
        if stamp != self.stamp {
            self.stamp = stamp;
            self.is_changed = true;
            return false;
        }
        self.is_changed
    }

    fn is_due(&self, now: SystemTime) -> bool {
        self.due.is_some_and(|due| due <= now)
    }

    /// Reads the files, and offers what is made of them to every worker.
    fn load(&mut self, clock: &Arc<dyn TimeProvider>, handle: &Handle) {
        self.stamp = self.sources.stamp();
        self.is_changed = false;
        match self.sources.load(Arc::clone(clock), Some(&self.config)) {
            Ok(Loaded { config, remarks, due }) => {
                self.config = config;
                let retry = now(&**clock) + RETRY;
                self.due = due.map(|due| due.max(retry));
                self.reloads += 1;
                self.waiting = handle.workers().collect();
                self.post(handle);
                log::info!("{}: read again: {}", self.address, self.names());
                for remark in remarks {
                    log::warn!("{remark}");
                }
            }
            Err(error) => {
                self.failures += 1;
                let retry = now(&**clock) + RETRY;
                self.due = self.due.map(|due| due.max(retry));
                log::error!("{}: what was there serves on, since {error}", self.address);
            }
        }
    }

    /// Offers the configuration to the workers that do not have it yet.
    fn post(&mut self, handle: &Handle) {
        let Self { listener, config, waiting, .. } = self;
        waiting.retain(|worker| handle.renew(*worker, *listener, config) == Err(PostFault::Busy));
    }

    /// What is shown, for people.
    fn names(&self) -> String {
        let names: Vec<_> = self.config.certificates().iter().map(|shown| &*shown.name).collect();
        names.join(", ")
    }
}

fn now(clock: &dyn TimeProvider) -> SystemTime {
    let since = clock.current_time().map_or(0, |time| time.as_secs());
    SystemTime::UNIX_EPOCH + Duration::from_secs(since)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::atomic::{AtomicU64, Ordering};

    use rustls::pki_types::UnixTime;
    use tempfile::TempDir;

    use super::*;
    use crate::base::Wake;
    use crate::tls::config::{CertificateFiles, Certificates, ClientAuth};
    use crate::tls::pki;
    use crate::worker::mesh::{Command, Mailbox, ShardMessage, mesh};

    const DAY: u64 = 24 * 60 * 60;

    #[derive(Debug)]
    struct Hand(AtomicU64);

    impl TimeProvider for Hand {
        fn current_time(&self) -> Option<UnixTime> {
            let days = self.0.load(Ordering::Relaxed);
            Some(UnixTime::since_unix_epoch(Duration::from_secs((20_000 + days) * DAY)))
        }
    }

    struct Nobody;

    impl Wake for Nobody {
        fn wake(&self) {}
    }

    /// A renewal of one listener, and the two workers that it serves.
    struct Bench {
        renewal: Renewal,
        mailboxes: Vec<Mailbox>,
        clock: Arc<Hand>,
        directory: TempDir,
    }

    impl Bench {
        fn new(sources: impl Fn(&Path) -> Sources, is_watching: bool) -> Self {
            let directory = tempfile::tempdir().unwrap();
            let clock = Arc::new(Hand(AtomicU64::new(0)));
            make(&directory.path().join("one"), &clock);
            make(&directory.path().join("two"), &clock);
            show(directory.path(), "one");
            let sources = sources(directory.path());
            let loaded = sources.load(Arc::<Hand>::clone(&clock), None).unwrap();
            let (places, handle) = mesh(vec![Arc::new(Nobody), Arc::new(Nobody)]);
            let renewed = Renewed { listener: 7, sources, loaded };
            let renewed = vec![(renewed, "127.0.0.1:8443".to_owned())];
            let renewal = Renewal::new(renewed, handle, Arc::<Hand>::clone(&clock), is_watching);
            let mailboxes = places.into_iter().map(|(mailbox, _)| mailbox).collect();
            Self { renewal, mailboxes, clock, directory }
        }

        fn files(is_watching: bool) -> Self {
            let pair = |at: &Path| CertificateFiles {
                chain: at.join("shown/server.pem"),
                key: at.join("shown/server-key.pem"),
            };
            Self::new(|at| sources(Certificates::Files(vec![pair(at)])), is_watching)
        }

        /// How many new configurations each worker has been given since the last look.
        fn given(&self) -> Vec<usize> {
            let count = |mailbox: &Mailbox| {
                let batches = std::iter::from_fn(|| mailbox.take());
                let mail = batches.flat_map(|batch| batch.mail);
                mail.inspect(|message| {
                    let ShardMessage::Command(Command::Renew { listener: 7, tls }) = message else {
                        panic!("{message:?}")
                    };
                    assert!(Arc::ptr_eq(tls, &self.renewal.entries[0].config));
                })
                .count()
            };
            self.mailboxes.iter().map(count).collect()
        }

        fn counts(&self) -> (u64, u64) {
            let entry = &self.renewal.entries[0];
            (entry.reloads, entry.failures)
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.directory.path().join(name)
        }
    }

    fn sources(certificates: Certificates) -> Sources {
        Sources { certificates, ocsp: Vec::new(), clients: ClientAuth::Off }
    }

    fn make(directory: &Path, clock: &Hand) {
        pki::development(directory, now(clock)).unwrap();
    }

    /// Lets the link `shown` lead to a directory of `at`, in one step.
    fn show(at: &Path, name: &str) {
        std::os::unix::fs::symlink(at.join(name), at.join("next")).unwrap();
        fs::rename(at.join("next"), at.join("shown")).unwrap();
    }

    #[test]
    fn files_that_have_changed_are_read_once_they_are_quiet() {
        let mut bench = Bench::files(true);
        bench.renewal.turn();
        assert_eq!(bench.given(), [0, 0], "nothing has changed");
        show(bench.directory.path(), "two");
        bench.renewal.turn();
        assert_eq!(bench.given(), [0, 0], "the key may be on its way");
        bench.renewal.turn();
        assert_eq!(bench.given(), [1, 1]);
        bench.renewal.turn();
        assert_eq!((bench.given(), bench.counts()), (vec![0, 0], (1, 0)));
    }

    #[test]
    fn who_does_not_watch_reads_when_told() {
        let mut bench = Bench::files(false);
        show(bench.directory.path(), "two");
        bench.renewal.turn();
        bench.renewal.turn();
        assert_eq!(bench.given(), [0, 0]);
        bench.renewal.reload();
        assert_eq!((bench.given(), bench.counts()), (vec![1, 1], (1, 0)));
    }

    #[test]
    fn what_cannot_be_used_is_refused_once_and_the_old_serves_on() {
        let mut bench = Bench::files(true);
        let old = Arc::clone(&bench.renewal.entries[0].config);
        fs::copy(bench.path("two/server.pem"), bench.path("shown/server.pem")).unwrap();
        for _ in 0..5 {
            bench.renewal.turn();
        }
        assert_eq!((bench.given(), bench.counts()), (vec![0, 0], (0, 1)));
        assert!(Arc::ptr_eq(&old, &bench.renewal.entries[0].config));
        fs::copy(bench.path("two/server-key.pem"), bench.path("shown/server-key.pem")).unwrap();
        bench.renewal.turn();
        bench.renewal.turn();
        assert_eq!((bench.given(), bench.counts()), (vec![1, 1], (1, 1)));
    }

    #[test]
    fn a_worker_that_is_too_busy_is_offered_it_again() {
        let mut bench = Bench::files(true);
        let worker = bench.mailboxes.len() - 1;
        let worker = bench.renewal.handle.workers().nth(worker).unwrap();
        let config = Arc::clone(&bench.renewal.entries[0].config);
        while bench.renewal.handle.renew(worker, 7, &config).is_ok() {}
        bench.renewal.reload();
        assert_eq!(bench.renewal.pause(), AGAIN);
        while bench.mailboxes[1].take().is_some() {}
        bench.renewal.turn();
        assert_eq!((bench.given(), bench.renewal.pause()), (vec![1, 1], LOOK));
    }

    #[test]
    fn the_development_certificate_is_renewed_a_month_before_it_ends() {
        let mut bench = Bench::new(|at| sources(Certificates::Development(at.join("one"))), true);
        bench.clock.0.store(334, Ordering::Relaxed);
        bench.renewal.turn();
        assert_eq!(bench.given(), [0, 0]);
        let before = bench.renewal.entries[0].config.certificates().to_vec();
        bench.clock.0.store(336, Ordering::Relaxed);
        bench.renewal.turn();
        assert_eq!(bench.given(), [1, 1]);
        assert_ne!(bench.renewal.entries[0].config.certificates(), before);
        bench.renewal.turn();
        assert_eq!(bench.given(), [0, 0], "once");
    }
}
