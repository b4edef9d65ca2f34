//! What a driver does when it is told to, and how it knows that it has.

use std::mem;
use std::time::{Duration, Instant};

use corecast::base::{Key, Rng};

use super::connection::{Connection, Ending};
use super::link::{Command, Deed, Report, Stage, Variation};
use super::socket::Socket;
use super::talk::{Account, Talk};
use super::{Driver, Part, REPORT_INTERVAL};
use crate::accounting::{Closure, Failure};
use crate::schedule::{Arrivals, Schedule};
use crate::tally::Tally;
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

impl<S: Socket> Driver<S> {
    /// Does what the fleet says.
    pub(super) fn obey(&mut self, now: Instant) {
        while let Ok(Command { order, deed }) = self.part.commands.try_recv() {
            // What was counted until now belongs to the stage that ends.
            self.report(now);
            self.order = order;
            self.task = Task::None;
            match deed {
                Deed::Resize(share) => self.resize(share, now),
                Deed::CutShort => {
                    self.ramp.stop();
                    self.task = Task::Ramp;
                }
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
                Deed::Inquire => {
                    self.missing = self.account().missing + self.pings_unanswered();
                }
                Deed::Settle => self.settle(),
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
        self.tally.traffic.flight_ns += self.desk.flight.take();
        let report = Report {
            driver: self.part.number,
            stage: self.stage,
            tally: mem::replace(&mut self.tally, Tally::keeping(self.part.plan.digits)),
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
        self.desk.flight.clear();
        (self.pings_sent, self.pongs_heard, self.pings_excused) = (0, 0, 0);
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key).filter(|it| it.is_open()) {
                enter_trial(&self.part, connection, &mut self.tally);
            }
        }
    }

    /// Lets a connection that has opened within a trial take part in it.
    pub(super) fn rejoin(&mut self, key: Key) {
        let is_on = matches!(self.stage, Stage::Warmup | Stage::Hold);
        let Some(connection) = self.connections.get_mut(key).filter(|_| is_on) else { return };
        // The loop's own reading is from before the wait, and nobody is to be late from the start.
        let (number, now) = (connection.number(), self.part.setting.now());
        enter_trial(&self.part, connection, &mut self.tally);
        let (speaks, may_leave) = manners(connection.talk());
        if let Some(talk) = connection.talk() {
            self.departed.welcome(number, talk, &mut self.tally.traffic);
        }
        let part = self.part.plan.cast.place(number).index;
        if let Some(schedule) = self.schedules.get_mut(part).filter(|_| speaks) {
            schedule.enter(key, now);
        }
        if let Some(heartbeats) = &mut self.heartbeats {
            heartbeats.enter(key, now);
        }
        if let Some(turnover) = self.turnover.as_mut().filter(|_| may_leave) {
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
            let (speaks, may_leave) = manners(connection.talk());
            if let Some(schedule) = schedules.get_mut(place.index).filter(|_| speaks) {
                schedule.enter(key, from);
            }
            if let Some(heartbeats) = &mut heartbeats {
                heartbeats.enter(key, from);
            }
            if let Some(turnover) = turnover.as_mut().filter(|_| may_leave) {
                turnover.begin(key, from);
            }
        }
        self.schedules = schedules;
        self.heartbeats = heartbeats;
        self.turnover = turnover;
    }

    /// What should have come to all connections that are left.
    fn account(&self) -> Account {
        let talks = self.connections.iter().filter_map(|(_, connection)| connection.talk());
        talks.fold(Account::default(), |sum, talk| {
            let Account { expected, missing } = talk.account(&self.part.setting.board);
            Account { expected: sum.expected + expected, missing: sum.missing + missing }
        })
    }

    fn settle(&mut self) {
        self.hush();
        let account = self.account();
        let traffic = &mut self.tally.traffic;
        traffic.expected += account.expected;
        traffic.audit.lost += account.missing;
        let cast = &self.part.plan.cast;
        mem::take(&mut self.departed).settle(cast, &self.part.setting.board, traffic);
        for key in self.connections.keys() {
            let Some(connection) = self.connections.get_mut(key) else { continue };
            if let Some(talk) = connection.talk().filter(|talk| talk.is_slow()) {
                traffic.slow.lost += talk.farewell().missing;
                // It has not read all that has come, and no edge will say so again.
                self.busy.push(key);
            }
            connection.leave_trial();
        }
        self.look_back();
        self.report(self.now);
        self.stage = Stage::Between;
        self.missing = 0;
    }

    /// Pings that wait for their pong. Those of connections that are no more wait in vain.
    fn pings_unanswered(&self) -> u64 {
        self.pings_sent.saturating_sub(self.pongs_heard + self.pings_excused)
    }

    /// Sends nothing more.
    fn hush(&mut self) {
        self.schedules.clear();
        self.heartbeats = None;
        self.stay();
    }

    /// Nobody leaves or comes back any more.
    fn stay(&mut self) {
        let Some(turnover) = self.turnover.take() else { return };
        self.tally.squall.merge(&turnover.squall());
        for number in turnover.into_away() {
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

/// Gives an open connection its part in a trial.
fn enter_trial<S: Socket>(part: &Part, connection: &mut Connection<S>, tally: &mut Tally) {
    let Part { plan, setting, .. } = part;
    let number = connection.number();
    let is_timed = plan.sampling.takes(number, plan.conns);
    let place = plan.cast.place(number);
    let talk = Talk::new(place.number, &place, setting, is_timed);
    if let Some(part) = talk.as_ref().and_then(Talk::audience) {
        setting.board.joined(part);
    }
    tally.slow_readers += u64::from(talk.as_ref().is_some_and(Talk::is_slow));
    connection.enter_trial(talk);
}

/// Whether one that has this part in the talk sends, and whether it may leave by plan: publishers
/// do not, as they would take messages along that others wait for.
fn manners(talk: Option<&Talk>) -> (bool, bool) {
    (talk.is_some_and(Talk::speaks), !talk.is_some_and(Talk::publishes))
}
