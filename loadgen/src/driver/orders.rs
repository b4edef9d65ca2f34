//! What a driver does when it is told to, and how it knows that it has.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use corecast::base::{Key, Rng};

use super::connection::{Connection, Ending};
use super::link::{Command, Deed, Published, Report, Stage, Variation};
use super::talk::{Account, Senders, Talk};
use super::{Departed, Driver, REPORT_INTERVAL};
use crate::accounting::{Closure, Failure};
use crate::cast::Cast;
use crate::schedule::{Arrivals, Schedule};
use crate::turnover::{Habits, Turnover};
use crate::units::Rate;

/// What must have happened before the last command counts as done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Task {
    /// Nothing more.
    None,
    /// Every connection is open or has failed for good.
    Ramp,
    /// All that was due has been sent.
    Hush,
}

impl<S: Read + Write> Driver<S> {
    /// Does what the fleet says.
    pub(super) fn obey(&mut self, now: Instant) {
        while let Ok(Command { order, deed }) = self.part.commands.try_recv() {
            // What was counted until now belongs to the stage that ends.
            self.report(now);
            self.order = order;
            self.task = Task::None;
            match deed {
                Deed::Resize(share) => self.resize(share, now),
                Deed::Listen => self.listen(),
                Deed::Speak { from, timed_from, until, variation } => {
                    self.timed_from = timed_from;
                    self.begin_to_speak(from, until, variation);
                }
                Deed::Hush => {
                    self.stage = Stage::Drain;
                    self.task = Task::Hush;
                    self.stay();
                }
                Deed::Inquire(published) => {
                    let unanswered = self.pings_unanswered();
                    self.missing = self.account(&published).missing + unanswered;
                }
                Deed::Settle(published) => self.settle(&published),
                Deed::Quit => self.quit(),
            }
            self.look_back();
            self.report(now);
        }
        if self.stage == Stage::Warmup && self.timed_from <= now {
            self.report(now);
            self.stage = Stage::Hold;
        }
    }

    /// Tells the fleet when it is time, and at once when something has been done.
    pub(super) fn report_if_due(&mut self, now: Instant) {
        let done = self.done;
        self.look_back();
        if done != self.done || self.report_due <= now {
            self.report(now);
        }
    }

    /// Notes whether the last command has been done.
    fn look_back(&mut self) {
        let is_done = match self.task {
            Task::None => true,
            Task::Ramp => self.attempt.is_none() && self.ramp.is_done(),
            Task::Hush => self.message_due().is_none(),
        };
        if is_done {
            self.done = self.order;
        }
    }

    fn report(&mut self, now: Instant) {
        self.report_due = now + REPORT_INTERVAL;
        let report = Report {
            driver: self.part.number,
            stage: self.stage,
            tally: std::mem::take(&mut self.tally),
            open: self.open,
            pending: self.connections.len() as u64 - self.open,
            missing: self.missing,
            done: self.done,
        };
        // A fleet that is gone has ended the process.
        let _ = self.part.reports.send(report);
    }

    /// Opens or closes connections until there are `share`.
    fn resize(&mut self, share: u32, now: Instant) {
        let have = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        self.task = Task::Ramp;
        if let Some(more) = share.checked_sub(have) {
            self.ramp.lengthen(more, now);
            return;
        }
        // The last ones go, so that those who publish stay.
        let mut keys: Vec<_> =
            self.connections.iter().map(|(key, it)| (it.number(), key)).collect();
        keys.sort_unstable();
        for (_, key) in keys.into_iter().rev().take((have - share) as usize) {
            self.close(key);
        }
    }

    /// Lets every open connection take part in the talk of a trial.
    fn listen(&mut self) {
        self.stage = Stage::Warmup;
        (self.pings_sent, self.pongs_heard) = (0, 0);
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key).filter(|it| it.is_open()) {
                connection.enter_trial(talk(&self.part.plan.cast, connection.number()));
            }
        }
    }

    /// Lets a connection that has opened within a trial take part in it.
    pub(super) fn rejoin(&mut self, key: Key) {
        let is_on = matches!(self.stage, Stage::Warmup | Stage::Hold);
        let Some(connection) = self.connections.get_mut(key).filter(|_| is_on) else { return };
        let (number, now) = (connection.number(), self.now);
        connection.enter_trial(talk(&self.part.plan.cast, number));
        let speaks = connection.talk().is_some_and(Talk::speaks);
        let part = self.part.plan.cast.place(number).index;
        if let Some(schedule) = self.schedules.get_mut(part).filter(|_| speaks) {
            schedule.enter(key, now);
        }
        if let Some(turnover) = &mut self.turnover {
            turnover.begin(key, now);
        }
    }

    /// Makes the schedules of those that speak, and of the heartbeats.
    fn begin_to_speak(&mut self, from: Instant, until: Instant, variation: Variation) {
        let plan = &self.part.plan;
        let mut rng = Rng::new(plan.seed ^ u64::from(self.part.number));
        let mut schedule =
            |interval, arrivals| Schedule::new(interval, arrivals, until, Rng::new(rng.next_u64()));
        // A role that says nothing has a schedule that stays empty.
        let rates = plan.cast.parts().iter().map(|part| part.role.rate());
        let rates = rates.map(|usual| usual.map(|usual| variation.rate.unwrap_or(usual)));
        let mut schedules: Vec<_> = rates
            .map(|rate| schedule(rate.map_or(Duration::MAX, Rate::interval), plan.arrivals))
            .collect();
        let heartbeat = plan.heartbeat.filter(|_| variation.habits.is_none());
        let mut heartbeats = heartbeat.map(|interval| schedule(interval, Arrivals::Constant));
        let habits = Some(variation.habits.unwrap_or(plan.habits)).filter(Habits::is_restless);
        let mut turnover = habits
            .map(|habits| Turnover::new(habits, self.timed_from, until, Rng::new(rng.next_u64())));
        for (key, connection) in self.connections.iter().filter(|(_, it)| it.is_open()) {
            let place = plan.cast.place(connection.number());
            let speaks = connection.talk().is_some_and(Talk::speaks);
            if let Some(schedule) = schedules.get_mut(place.index).filter(|_| speaks) {
                schedule.enter(key, from);
            }
            if let Some(heartbeats) = &mut heartbeats {
                heartbeats.enter(key, from);
            }
            if let Some(turnover) = &mut turnover {
                turnover.begin(key, from);
            }
        }
        self.schedules = schedules;
        self.heartbeats = heartbeats;
        self.turnover = turnover;
    }

    /// What should have come to all connections that are left.
    fn account(&self, published: &Published) -> Account {
        let talks = self.connections.iter().filter_map(|(_, connection)| connection.talk());
        talks.fold(Account::default(), |sum, talk| {
            let Account { expected, missing } = talk.account(published);
            Account { expected: sum.expected + expected, missing: sum.missing + missing }
        })
    }

    fn settle(&mut self, published: &Published) {
        self.hush();
        let account = self.account(published);
        // Of those that the server ended, what came has been counted, and the rest is lost.
        let of_each: u64 = published.values().sum();
        let expected_of_departed = self.departed.listeners * of_each;
        let traffic = &mut self.tally.traffic;
        traffic.expected += account.expected + self.departed.expected + expected_of_departed;
        traffic.audit.lost += account.missing;
        self.departed = Departed::default();
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.leave_trial();
            }
        }
        self.look_back();
        self.report(self.now);
        self.stage = Stage::Between;
        self.missing = 0;
    }

    /// Pings that wait for their pong. Those of connections that are no more wait in vain.
    fn pings_unanswered(&self) -> u64 {
        self.pings_sent.saturating_sub(self.pongs_heard)
    }

    /// Sends nothing more.
    fn hush(&mut self) {
        self.schedules.clear();
        self.heartbeats = None;
        self.stay();
    }

    /// Nobody leaves or comes back any more.
    fn stay(&mut self) {
        for number in self.turnover.take().into_iter().flat_map(Turnover::into_away) {
            self.ramp.vacate(number);
        }
    }

    /// Closes everything. The streams close with a reset, so that no port is held any longer.
    fn quit(&mut self) {
        self.hush();
        for key in self.connections.keys() {
            self.close(key);
        }
        self.ramp.stop();
        self.has_left = true;
    }

    /// Closes one connection of our own accord.
    fn close(&mut self, key: Key) {
        let is_open = self.connections.get(key).is_some_and(Connection::is_open);
        let ending = if is_open {
            Ending::Closed(Closure::Ours)
        } else {
            Ending::Failed(Failure::Abandoned)
        };
        self.end(key, ending);
    }
}

/// What connection `number` says and hears, if its part does not idle.
fn talk(cast: &Cast, number: u32) -> Option<Talk> {
    let place = cast.place(number);
    Senders::of(place.part.role).map(|senders| Talk::new(number, place.rank, senders))
}
