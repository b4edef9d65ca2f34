//! Who waits for the end of all threads, and makes it come.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};

use crate::admin::Remote;
use crate::worker::mesh::Handle;

use super::watch::{self, Relief, Watch};
use super::{Reloader, ServerError};

/// What the supervisor is told.
#[derive(Debug)]
pub(super) enum Notice {
    /// A worker listens.
    Listening,
    /// Somebody wants an end.
    Stop,
    /// A thread has ended, because it was told to or because it failed.
    Ended(Result<(), ServerError>),
}

/// Waits for all workers, and for none of them in vain.
pub(super) struct Supervisor {
    notices: Receiver<Notice>,
    /// Workers that listen.
    working: usize,
    handle: Handle,
    pub(super) admin: Option<Remote>,
    pub(super) watch: Option<Watch>,
    pub(super) relief: Option<Relief>,
    pub(super) reloader: Option<Reloader>,
    drain_timeout: Duration,
}

impl Supervisor {
    pub(super) fn new(notices: Receiver<Notice>, handle: Handle, drain_timeout: Duration) -> Self {
        let (admin, reloader, watch, relief) = (None, None, None, None);
        Self { notices, working: 0, handle, admin, watch, relief, reloader, drain_timeout }
    }

    /// Waits until all of so many `workers` listen, or one of them fails.
    pub(super) fn await_listening(&mut self, workers: usize) -> Result<(), ServerError> {
        while self.working < workers {
            match self.next() {
                Notice::Listening => self.working += 1,
                Notice::Ended(outcome) => outcome?,
                Notice::Stop => unreachable!("nobody has been given a stopper yet"),
            }
        }
        Ok(())
    }

    /// Returns when all workers have ended, or at once when any thread fails.
    ///
    /// The others are told to go then, but nobody waits for them: whoever started the server must
    /// learn of it while they still may be stuck.
    pub(super) fn run(mut self) -> Result<(), ServerError> {
        let outcome = self.wait();
        self.abandon();
        outcome
    }

    fn wait(&mut self) -> Result<(), ServerError> {
        while self.working > 0 {
            match self.next() {
                Notice::Listening => {}
                Notice::Stop => self.drain(),
                Notice::Ended(outcome) => {
                    outcome?;
                    self.working -= 1;
                }
            }
        }
        Ok(())
    }

    /// Tells every thread that still runs to go at once.
    fn abandon(&self) {
        self.handle.drain(Duration::ZERO);
        if let Some(admin) = &self.admin {
            admin.leave();
        }
        if let Some(reloader) = &self.reloader {
            reloader.leave();
        }
    }

    /// The next notice, with a look at the memory now and then until it comes. Every thread holds a
    /// sender, and one that ends says so before.
    fn next(&mut self) -> Notice {
        const INVARIANT: &str = "a thread that has not said that it ended";
        while self.watch.is_some() || self.relief.is_some() {
            match self.notices.recv_timeout(watch::INTERVAL) {
                Err(RecvTimeoutError::Timeout) => self.look(),
                heard => return heard.expect(INVARIANT),
            }
        }
        self.notices.recv().expect(INVARIANT)
    }

    /// Does what is to be done now and then.
    fn look(&mut self) {
        if let Some(relief) = &mut self.relief {
            relief.pass(watch::INTERVAL);
        }
        if let Some(watch) = &mut self.watch {
            watch.look();
        }
    }

    /// Twice does no harm: a worker that drains already goes on.
    fn drain(&self) {
        if let Some(admin) = &self.admin {
            admin.drain();
        }
        self.handle.drain(self.drain_timeout);
    }
}

#[cfg(test)]
mod tests {
    use crossbeam_channel::unbounded;

    use super::*;
    use crate::worker::mesh::mesh;

    /// The outcome of a supervisor of two workers that hears all this, one after the other.
    fn supervise(notices: impl IntoIterator<Item = Notice>) -> Result<(), ServerError> {
        let (sender, heard) = unbounded();
        for notice in notices {
            sender.send(notice).unwrap();
        }
        let (_, handle) = mesh(Vec::new());
        let mut supervisor = Supervisor::new(heard, handle, Duration::ZERO);
        supervisor.await_listening(2)?;
        supervisor.run()
    }

    fn failed() -> Notice {
        Notice::Ended(Err(ServerError::panicked("worker-1")))
    }

    #[test]
    fn a_server_has_ended_when_all_its_workers_have() {
        let ended = || Notice::Ended(Ok(()));
        let notices = [Notice::Listening, Notice::Listening, Notice::Stop, ended(), ended()];
        assert!(supervise(notices).is_ok());
    }

    #[test]
    fn the_first_failure_is_the_end_although_others_work() {
        assert!(supervise([Notice::Listening, Notice::Listening, failed()]).is_err());
        assert!(supervise([Notice::Listening, failed()]).is_err());
    }
}
