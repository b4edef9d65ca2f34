//! What must hold after a turn, at the end of a connection, and at the end of everything.

use std::time::Duration;

use corecast::base::Readiness;
use corecast::session::CloseReason;
use corecast::worker::Pressure;

use super::client::{Client, Phase};
use super::core::Core;
use super::hear::{TOO_LONG, Violation};
use super::history::{DRAIN, History};
use super::plan::TOPICS;
use super::service::topic_name;
use super::stream::Flow;
use super::wire::Wire;

/// Rounds in which everything must have settled, once nothing breaks any more.
const ROUNDS_MAX: usize = 30_000;

/// The seconds for which the settled world is watched: longer than any limit of a connection.
const WATCHED: u64 = 120;

impl History {
    /// Looks at what a turn has done.
    pub fn review(&mut self, core: usize) -> Result<(), Violation> {
        if self.cores[core].panics() > 0 {
            return Err(format!("{core} panicked"));
        }
        let now = self.now;
        let mut live = 0;
        for wire in self.clients.iter_mut().filter_map(|client| client.wire.as_mut()) {
            if wire.worker == core {
                wire.date(now);
                live += u64::from(!wire.pipe.is_dropped());
            }
        }
        let counted = self.cores[core].connections();
        // Of a client that has left in the meantime the worker need not know yet.
        if counted < live {
            return Err(format!("{core} counts {counted} connections, and {live} are there"));
        }
        let endings = std::mem::take(&mut self.journal.borrow_mut().endings);
        for (conn, reason) in endings {
            self.trace.note(format_args!("{conn} was closed: {}", reason.label()));
            let Some(place) = self.clients.iter().position(|client| client.conn == conn) else {
                continue;
            };
            self.review_ending(&self.clients[place], reason)?;
            self.clients[place].faults.silent |= reason == CloseReason::Silent;
        }
        match self.journal.borrow_mut().garbled.take() {
            Some(text) => Err(format!("a service got what nobody said: {text:?}")),
            None => Ok(()),
        }
    }

    /// Holds the reason why a connection ended against what happened to it.
    fn review_ending(&self, client: &Client, reason: CloseReason) -> Result<(), Violation> {
        let Some(wire) = &client.wire else { return Ok(()) };
        let faults = client.faults;
        let silence = self.now - wire.delivered_at;
        let limits = &self.plan.limits;
        let silence_min = limits.heartbeat_ms * (u64::from(limits.heartbeat_misses_max) + 1);
        let excused = match reason {
            CloseReason::Peer(_) => faults.closed || (faults.broken && client.is_stream()),
            CloseReason::Lost => faults.broken,
            CloseReason::Service(_) => faults.bye,
            CloseReason::Fault(_) => faults.garbage,
            CloseReason::Draining => self.is_draining(),
            CloseReason::Slow | CloseReason::Gap => !self.plan.roomy,
            // What has arrived and was not told yet is silence as well.
            CloseReason::Silent => {
                let is_over = silence >= Duration::from_millis(silence_min - 500);
                let was_idle = client.is_stream() && self.was_idle(wire);
                is_over || was_idle || wire.edges().is_readable()
            }
            CloseReason::Memory => self.was_severe,
            CloseReason::Unfinished => wire.partial_max >= Duration::from_millis(9_800),
            CloseReason::Stalled => wire.pipe.is_owed(),
            CloseReason::Request | CloseReason::Unanswered => true,
            CloseReason::Handshake => {
                let waited = client.asked_at.is_some_and(|at| self.now - at >= TOO_LONG);
                faults.broken || (client.secure.is_some() && waited)
            }
            CloseReason::Answered(_)
            | CloseReason::Panicked
            | CloseReason::Unwanted
            | CloseReason::Flooding
            | CloseReason::Unannounced
            | CloseReason::Crowded => false,
        };
        if excused { Ok(()) } else { Err(format!("{} ended: {}", client.conn, reason.label())) }
    }

    /// Lets a client see that its connection has ended.
    pub fn see_end(&mut self, number: usize) -> Result<(), Violation> {
        let client = &self.clients[number];
        let Some(wire) = &client.wire else { return Ok(()) };
        if !wire.pipe.is_ended() || wire.pipe.readable() > 0 {
            return Ok(());
        }
        // A shutdown whose time is up leaves without a word.
        let is_over = |since| self.now - since >= DRAIN;
        let is_over = self.draining_since.is_some_and(is_over);
        let excused = client.faults.broken || wire.pipe.is_owed() || is_over;
        let violation = match &client.phase {
            Phase::WebSocket(decoder) if decoder.is_amid_message() => Some("a frame was cut off"),
            Phase::WebSocket(_) if !client.is_dismissed && !client.faults.silent => {
                Some("it was left without a close")
            }
            Phase::Http(_) if self.is_unjust(client) => Some("a request was left unanswered"),
            Phase::Stream(flow) => self.review_stream_end(client, *flow),
            _ => None,
        };
        if let Some(violation) = violation
            && !excused
        {
            return Err(format!("client {}: {violation}", client.conn));
        }
        let client = &mut self.clients[number];
        // The end of a stream is its only close.
        client.is_dismissed |= client.is_stream();
        // A rude one keeps its side open until the worker has gone.
        if !client.rude || client.wire.as_ref().is_none_or(|wire| wire.pipe.is_dropped()) {
            self.trace.note(format_args!("{number} sees the end"));
            self.forget(number);
        }
        Ok(())
    }

    /// Whether a worker that has read all of a request ended the connection without an answer.
    fn is_unjust(&self, client: &Client) -> bool {
        let waits = !client.answers.is_empty() || matches!(client.phase, Phase::Http(Some(_)));
        let is_read = client.wire.as_ref().is_some_and(Wire::is_read);
        let has_said_all = is_read && client.tail.is_empty() && !client.is_handshaking();
        let is_crowded = client.is_announced && self.is_crowding();
        waits && has_said_all && client.may_speak() && !is_crowded && !self.is_draining()
    }

    /// Whether nothing has come on a stream for so long that it was ended.
    fn was_idle(&self, wire: &Wire) -> bool {
        let idle_ms = self.plan.limits.stream_idle_ms_max - 500;
        wire.silence_before(self.now) >= Duration::from_millis(idle_ms)
    }

    /// What is wrong with the end of a stream, if anything is.
    fn review_stream_end(&self, client: &Client, flow: Flow) -> Option<&'static str> {
        let waited = client.asked_at.is_some_and(|at| self.now - at >= TOO_LONG);
        let may_be_unwanted = waited || (client.is_announced && self.is_crowding());
        let is_unwanted = client.faults.nameless || (!flow.has_begun() && may_be_unwanted);
        // The end comes before the word of it: the worker awaits ours.
        let was_idle = client.wire.as_ref().is_some_and(|wire| self.was_idle(wire));
        let is_lawful = is_unwanted || was_idle;
        let is_sent_away = client.faults.bye || self.was_severe || self.is_draining();
        if is_lawful || is_sent_away {
            return None;
        }
        if !client.faults.closed {
            return Some("its stream was ended");
        }
        (flow.missing(client.conn) > 0).then_some("the end of its stream never came")
    }

    /// After the last fault: everything settles, works, stays, and can be shut down.
    pub fn conclude(&mut self) -> Result<(), Violation> {
        self.trace.note(format_args!("peace"));
        self.carriers.widen();
        self.press(Pressure::Low)?;
        for client in &mut self.clients {
            client.stalled_until = None;
            client.finish_message();
            if client.is_open() {
                client.stream(9);
            }
            if let Some(wire) = &mut client.wire {
                wire.pipe.set_capacity(self.plan.capacity.max(1_000));
                // What is left behind now is left behind for good.
                wire.tell_rest();
                wire.pipe.set_chunk(usize::MAX);
            }
        }
        self.settle()?;
        self.check_settled()?;
        if !self.is_draining() {
            self.check_accepting()?;
            self.watch()?;
            self.publish_once_more()?;
            self.drain();
        }
        self.settle()?;
        self.check_drained()
    }

    /// Lets everything arrive, until nothing is under way any more.
    fn settle(&mut self) -> Result<(), Violation> {
        for _ in 0..ROUNDS_MAX {
            let mut is_quiet = true;
            for client in 0..self.clients.len() {
                is_quiet &= self.clients[client].is_quiet();
                self.deliver(client, usize::MAX);
                self.read(client, usize::MAX)?;
            }
            for way in 0..self.carriers.len() {
                while self.carry(way)? {
                    is_quiet = false;
                }
            }
            for core in 0..self.cores.len() {
                is_quiet &= !self.cores[core].is_due(self.now);
                self.turn(core, true)?;
            }
            if is_quiet {
                return Ok(());
            }
            self.now += Duration::from_micros(300);
        }
        Err("nothing settles".to_owned())
    }

    /// Holds what every open client is owed against what it has got.
    fn check_settled(&self) -> Result<(), Violation> {
        let journal = self.journal.borrow();
        for client in self.clients.iter().filter(|client| client.is_open()) {
            let who = client.conn;
            if !client.echoes.is_empty() || !client.pongs.is_empty() {
                let missing = (client.echoes.len(), client.pongs.len());
                return Err(format!("client {who} misses {missing:?} echoes and pongs"));
            }
            if let Phase::Stream(flow) = client.phase
                && flow.missing(who) > 0
            {
                return Err(format!("client {who} misses {} bytes", flow.missing(who)));
            }
            for (topic, subscription) in &client.topics {
                if subscription.answered.is_none() {
                    return Err(format!("client {who} was never told that topic {topic} counts"));
                }
                if let Some(missing) = subscription.missing(*topic, &journal) {
                    return Err(format!("client {who} misses {missing} of topic {topic}"));
                }
            }
        }
        Ok(())
    }

    /// Lets time pass. Whoever answers pings must stay; whoever does not must go.
    fn watch(&mut self) -> Result<(), Violation> {
        let is_used = |client: &Client| client.is_open() && client.is_talking();
        let open = |client: &Client| is_used(client).then_some(client.conn);
        let before: Vec<_> = self.clients.iter().filter_map(open).collect();
        for second in 0..WATCHED {
            self.now += Duration::from_secs(1);
            // A stream has no ping that would show that its client lives.
            if second % 16 == 0 {
                self.clients.iter_mut().for_each(|client| client.stream(1));
            }
            self.settle()?;
        }
        let after: Vec<_> = self.clients.iter().filter_map(open).collect();
        if let Some(lost) = before.iter().find(|conn| !after.contains(conn)) {
            return Err(format!("client {lost} did not survive the peace"));
        }
        let live: u64 = self.cores.iter().map(Core::connections).sum();
        if live > after.len() as u64 {
            return Err(format!("{live} connections live, of which {} are used", after.len()));
        }
        Ok(())
    }

    /// Everyone says one more thing, so that what was broken before shows.
    fn publish_once_more(&mut self) -> Result<(), Violation> {
        self.carriers.publications = Some(Vec::new());
        for number in 0..self.clients.len() {
            for topic in 0..TOPICS {
                if self.clients[number].is_open() {
                    self.clients[number].say_once_more(topic);
                    self.settle()?;
                }
            }
        }
        self.check_settled()?;
        self.check_interest()
    }

    /// Holds to whom publications were carried, once all was settled, against who wants them: the
    /// interest that workers believe of each other must be true.
    fn check_interest(&mut self) -> Result<(), Violation> {
        for (worker, topic) in self.carriers.publications.take().unwrap_or_default() {
            let wants = |client: &Client| {
                let is_there = client.wire.as_ref().is_some_and(|wire| wire.worker == worker);
                is_there && client.topics.keys().any(|number| topic_name(*number) == topic)
            };
            if !self.clients.iter().any(wants) {
                return Err(format!("{worker} was sent of {topic}, which nobody there wants"));
            }
        }
        Ok(())
    }

    /// Holds what must be when all workers have been told to go.
    fn check_drained(&mut self) -> Result<(), Violation> {
        for _ in 0..12 {
            self.now += Duration::from_secs(1);
            self.settle()?;
        }
        let journal = self.journal.borrow();
        if let Some(core) = self.cores.iter().position(|core| !core.has_exited()) {
            return Err(format!("{core} did not leave"));
        }
        let live: u64 = self.cores.iter().map(Core::connections).sum();
        if live > 0 || journal.accepted != journal.closed {
            let (accepted, closed) = (journal.accepted, journal.closed);
            return Err(format!("{live} live, {accepted} accepted, {closed} closed"));
        }
        self.check_addresses()?;
        match self.clients.iter().find(|client| client.is_open()) {
            Some(client) => Err(format!("client {} was not told of the end", client.conn)),
            None => Ok(()),
        }
    }
}

impl Client {
    pub const fn is_stream(&self) -> bool {
        matches!(self.phase, Phase::Stream(_))
    }

    fn say_once_more(&mut self, topic: u64) {
        if self.is_stream() {
            self.stream(9);
        } else {
            self.publish(topic, 5);
            self.echo(5, 2, 0);
        }
    }

    /// Whether nothing of it is under way in either direction.
    fn is_quiet(&self) -> bool {
        self.wire.as_ref().is_none_or(|wire| {
            let ended = wire.pipe.is_ended() && (!self.rude || wire.pipe.is_dropped());
            !wire.is_underway()
                && wire.pipe.readable() == 0
                && wire.edges() == Readiness::default()
                && !ended
        })
    }
}
