//! Deadlines: what becomes of a connection that is silent, late or stuck.

use std::collections::VecDeque;

use super::breach::Breach;
use super::connection::{Connection, Marks};
use super::limits::Limits;
use super::world::{World, unavailable};
use super::{CloseReason, Draining, Service, Worker};
use crate::base::{Key, Request, Stream, Tick};
use crate::http::Refusal;
use crate::session::Session;
use crate::ws::{CloseCode, Opcode};

/// Entries of the wheel that are looked at in a turn: a look takes some 0.1 us, so that hundred
/// thousand of one tick keep nobody waiting.
const LOOKS_PER_TURN_MAX: usize = 1_024;

/// What is to be done with a connection whose entry in the wheel has come round.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Due {
    /// Nothing before this tick.
    Later(Tick),
    /// It is quiet: give back what it takes to speak often. Nothing else before this tick.
    Rest(Tick),
    /// Ask whether it is still there.
    Ping,
    /// It has had its time.
    End(CloseReason),
}

impl<S: Stream, V: Service> Worker<S, V> {
    /// Looks at connections whose time may have come, in order: at as many as a turn allows.
    ///
    /// Peers that came together are late together. To end one takes several calls of the system, so
    /// only a few of them are ended before everybody else has another turn.
    pub(super) fn expire(&mut self) {
        if let Some(next) = self.world.wheel.next()
            && next <= self.world.tick
        {
            let late = self.world.now.saturating_duration_since(self.world.clock.instant(next));
            self.world.metrics().loop_lag_seconds.observe(late);
        }
        self.world.wheel.expire(self.world.tick, &mut self.due);
        let mut acts = self.world.limits.expiries_per_turn_max;
        for _ in 0..LOOKS_PER_TURN_MAX {
            if acts == 0 {
                break;
            }
            let Some(key) = self.due.pop_front() else { break };
            self.guard(key, |worker| acts -= usize::from(worker.review(key)));
        }
        if self.due.is_empty() && self.due.capacity() > LOOKS_PER_TURN_MAX {
            self.due = VecDeque::new();
        }
    }

    /// Does what is due for a connection. Returns whether that was more than to look.
    fn review(&mut self, key: Key) -> bool {
        let is_handshaking = self.link(key).is_some_and(|link| link.is_handshaking());
        let jitter_ms = self.world.jitter_ms();
        let (tick, limits) = (self.world.tick, &self.world.limits);
        let Some(connection) = self.world.connections.get(key) else { return false };
        if connection.due > tick {
            return false;
        }
        match due(connection, is_handshaking, tick, limits, jitter_ms) {
            Due::Later(tick) => {
                self.world.look_by(key, tick);
                self.repace(key);
                false
            }
            Due::Rest(tick) => {
                self.rest(key);
                self.world.look_by(key, tick);
                self.repace(key);
                false
            }
            Due::End(reason) => {
                self.give_up(key, reason);
                true
            }
            Due::Ping => {
                if let Some(connection) = self.world.connections.get_mut(key) {
                    connection.pings += 1;
                }
                // Refused means closed, which has its own deadline.
                let _ = self.world.send(key, Opcode::Ping, &[]);
                self.rest(key);
                self.look_after_ping(key, jitter_ms);
                true
            }
        }
    }

    /// Looks again when the answer to a ping is due, or when something else is before that.
    fn look_after_ping(&mut self, key: Key, jitter_ms: u64) {
        let (tick, limits) = (self.world.tick, &self.world.limits);
        let Some(connection) = self.world.connections.get(key) else { return };
        let next = match due(connection, false, tick, limits, jitter_ms) {
            Due::Later(next) => next,
            // The clock has jumped, or it was closed: the peer gets its time all the same.
            _ => tick.after_ms(limits.heartbeat_ms + jitter_ms),
        };
        self.world.look_by(key, next);
    }

    fn rest(&mut self, key: Key) {
        self.world.meters.rest(key, self.world.now);
        if let Some(tls) = self.link(key).and_then(|link| link.tls.as_mut()) {
            tls.rest();
        }
    }

    /// Ends a connection that has had its time: with a word where there is one to say.
    fn give_up(&mut self, key: Key, reason: CloseReason) {
        if let Some(connection) = self.world.connections.get(key)
            && let Some(breach) = Breach::of_time(reason, &connection.session)
        {
            self.world.reached(breach);
        }
        match reason {
            CloseReason::Slow if self.is_open(key) => self.world.shed(key, Breach::OutboxTime),
            CloseReason::Unfinished if self.is_open(key) => {
                let text = "a message stayed unfinished for too long";
                self.world.close(key, CloseCode::POLICY, text, reason);
            }
            CloseReason::Request => self.time_out(key),
            CloseReason::Silent if self.is_stream(key) => self.world.end(key, &[], reason),
            _ => self.world.bury(key, reason),
        }
    }

    fn is_open(&self, key: Key) -> bool {
        self.world.connections.get(key).is_some_and(|connection| connection.session.is_open())
    }

    fn is_stream(&self, key: Key) -> bool {
        let connection = self.world.connections.get(key);
        connection.is_some_and(|connection| matches!(connection.session, Session::Stream))
    }

    /// Ends a connection whose request has not come, or could not be granted, in time.
    fn time_out(&mut self, key: Key) {
        let reason = CloseReason::Request;
        let Some(connection) = self.world.connections.get(key) else { return };
        match &connection.session {
            Session::Upgrading(_) => {
                self.world.close(key, CloseCode::TRY_AGAIN_LATER, "", reason);
            }
            Session::Greeting(greeting) if !greeting.is_idle() => {
                let mut bytes = Vec::new();
                Refusal::TooSlow.response().encode(false, true, &mut bytes);
                self.world.end(key, &bytes, reason);
            }
            _ => self.world.bury(key, reason),
        }
    }

    /// Begins to shut down: nobody new, a close for everybody, and an end after `ms` milliseconds.
    pub(super) fn begin_drain(&mut self, ms: u64) {
        if self.draining.is_some() {
            return;
        }
        let until = self.world.tick.after_ms(ms);
        self.draining = Some(Draining { untold: self.world.connections.keys(), until });
        self.requests.push_back(Request::StopAccepting);
    }

    /// Tells some more connections that the server is shutting down.
    pub(super) fn drain(&mut self) {
        let budget = self.world.limits.closes_per_turn_max;
        let Some(draining) = &mut self.draining else { return };
        let from = draining.untold.len().saturating_sub(budget);
        for key in draining.untold.split_off(from) {
            self.world.dismiss(key);
        }
    }

    /// Says to those that are left what was not said to them yet: as much of it as their sockets
    /// take at once, since time is up.
    fn part(&mut self) {
        for key in self.world.connections.keys() {
            let Some(connection) = self.world.connections.get(key) else { continue };
            match &connection.session {
                Session::Greeting(greeting) if !greeting.is_idle() => {
                    let mut bytes = Vec::new();
                    unavailable().encode(false, true, &mut bytes);
                    self.world.end(key, &bytes, CloseReason::Draining);
                }
                _ => self.world.dismiss(key),
            }
        }
        self.flush();
    }

    /// Leaves when everybody has, or when the time is up.
    pub(super) fn finish_drain(&mut self) {
        let Some(draining) = &self.draining else { return };
        if self.world.tick >= draining.until {
            self.part();
            for key in self.world.connections.keys() {
                self.world.bury(key, CloseReason::Draining);
            }
            self.bury();
        }
        if self.world.connections.is_empty() && !self.requests.contains(&Request::Exit) {
            self.requests.push_back(Request::Exit);
        }
    }
}

impl<T> World<T> {
    /// Says goodbye to one connection of a server that is shutting down.
    fn dismiss(&mut self, key: Key) {
        let Some(connection) = self.connections.get(key) else { return };
        match &connection.session {
            Session::Greeting(greeting) if greeting.is_idle() => {
                self.end(key, &[], CloseReason::Draining);
            }
            // Nothing can be said to somebody of whom nothing is known: what still comes would be
            // taken for TLS, and answered.
            Session::Introducing(_) => self.bury(key, CloseReason::Draining),
            Session::Arriving(_) => {
                self.end(key, &[], CloseReason::Draining);
            }
            _ => self.close(key, CloseCode::GOING_AWAY, "shutting down", CloseReason::Draining),
        }
    }

    /// Somewhat later for some than for others, so that a crowd that came together is not pinged
    /// together.
    fn jitter_ms(&mut self) -> u64 {
        self.rng.below(self.limits.heartbeat_ms / 8 + 1)
    }

    /// Makes the wheel look at a connection at `tick`, or earlier if it is to do so anyway. So a
    /// connection has two or three entries at most, however often its deadline changes.
    pub(super) fn look_by(&mut self, key: Key, tick: Tick) {
        if let Some(connection) = self.connections.get_mut(key)
            && (connection.due <= self.tick || tick < connection.due)
        {
            connection.due = self.wheel.schedule(key, tick);
        }
    }
}

/// What is due for `connection` at `now`.
fn due<T>(
    connection: &Connection<T>,
    is_handshaking: bool,
    now: Tick,
    limits: &Limits,
    jitter_ms: u64,
) -> Due {
    let within = |ms: u64, reason| {
        let end = connection.since.after_ms(ms);
        if end <= now { Due::End(reason) } else { Due::Later(end) }
    };
    if is_handshaking {
        return within(limits.handshake_ms_max, CloseReason::Handshake);
    }
    match &connection.session {
        Session::Greeting(greeting)
            if greeting.is_idle() && connection.marks.has(Marks::ANSWERED) =>
        {
            within(limits.keep_alive_ms_max, CloseReason::Request)
        }
        Session::Greeting(_) | Session::Upgrading(_) => {
            within(limits.request_ms_max, CloseReason::Request)
        }
        Session::Introducing(_) | Session::Arriving(_) => {
            within(limits.handshake_ms_max, CloseReason::Handshake)
        }
        Session::Stream => stream_due(connection, now, limits),
        // As long as the peer reads, it gets what it is owed.
        Session::Finishing(reason) => match stalled(connection, now, limits) {
            Some(end) if end <= now => Due::End(CloseReason::Stalled),
            Some(end) => Due::Later(end),
            None => within(limits.close_ms_max, *reason),
        },
        Session::WebSocket(_) => websocket_due(connection, now, limits, jitter_ms),
        Session::Closing(_, CloseReason::Draining) => {
            within(limits.close_ms_max, CloseReason::Draining)
        }
        Session::Closing(..) => within(limits.close_ms_max, CloseReason::Unanswered),
        Session::Leaving(reason) | Session::Lingering(reason) => {
            within(limits.close_ms_max, *reason)
        }
    }
}

/// The same for a WebSocket, of which four things may be late.
fn websocket_due<T>(connection: &Connection<T>, now: Tick, limits: &Limits, jitter_ms: u64) -> Due {
    let stalled = stalled(connection, now, limits);
    let too_old = too_old(connection, now, limits);
    let unfinished = connection
        .marks
        .has(Marks::UNFINISHED)
        .then(|| connection.since.after_ms(limits.message_ms_max));
    if stalled.is_some_and(|end| end <= now) {
        return Due::End(CloseReason::Stalled);
    }
    if too_old.is_some_and(|end| end <= now) {
        return Due::End(CloseReason::Slow);
    }
    if unfinished.is_some_and(|end| end <= now) {
        return Due::End(CloseReason::Unfinished);
    }
    let silences = u64::from(connection.pings) + 1;
    let silent = connection.heard.after_ms(limits.heartbeat_ms.saturating_mul(silences));
    if silent > now || is_unheard(connection) {
        let silent = silent.max(now.after(1)).after_ms(jitter_ms);
        let others = [stalled, too_old, unfinished].into_iter().flatten();
        return Due::Later(others.fold(silent, Tick::min));
    }
    if connection.pings >= limits.heartbeat_misses_max {
        return Due::End(CloseReason::Silent);
    }
    Due::Ping
}

/// The same for a byte stream, which has no ping: whoever is quiet for long has gone.
fn stream_due<T>(connection: &Connection<T>, now: Tick, limits: &Limits) -> Due {
    let stalled = stalled(connection, now, limits);
    if stalled.is_some_and(|end| end <= now) {
        return Due::End(CloseReason::Stalled);
    }
    let quiet = connection.heard.after_ms(limits.heartbeat_ms.min(limits.stream_idle_ms_max));
    let idle = connection.heard.after_ms(limits.stream_idle_ms_max);
    let sooner = |tick: Tick| stalled.map_or(tick, |end| tick.min(end));
    if quiet > now {
        return Due::Later(sooner(quiet));
    }
    if idle <= now && !is_unheard(connection) {
        return Due::End(CloseReason::Silent);
    }
    let next = if idle > now { idle } else { now.after_ms(limits.heartbeat_ms) };
    Due::Rest(sooner(next))
}

/// When a socket that takes nothing has had its time.
fn stalled<T>(connection: &Connection<T>, now: Tick, limits: &Limits) -> Option<Tick> {
    // A socket that has just said that it takes bytes again gets them at the end of this turn.
    let patience = if connection.marks.has(Marks::DIRTY) { now.after(1) } else { now };
    let since = connection.outbox.blocked_since()?;
    Some(since.after_ms(limits.stall_ms_max).max(patience))
}

/// When the oldest of what waits for a peer has waited for too long.
fn too_old<T>(connection: &Connection<T>, now: Tick, limits: &Limits) -> Option<Tick> {
    let patience = if connection.marks.has(Marks::DIRTY) { now.after(1) } else { now };
    let since = connection.outbox.oldest()?;
    Some(since.after_ms(limits.outbox_ms_max).max(patience))
}

/// Whether a peer may have said something that has not been read.
const fn is_unheard<T>(connection: &Connection<T>) -> bool {
    connection.marks.has(Marks::UNREAD) || connection.marks.has(Marks::PARKED)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::rc::Rc;

    use super::*;
    use crate::base::Shared;
    use crate::session::Peer;
    use crate::ws::{Decoder, Role};

    const START: Tick = Tick(100);

    fn peer() -> Peer {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        Peer { address, listener: 0, secure: false }
    }

    fn connection(session: Session) -> Connection<()> {
        Connection::new(session, START)
    }

    fn websocket() -> Session {
        Session::WebSocket(Decoder::new(Role::Server))
    }

    /// What is due one tick before `ms` have passed, and when they have.
    fn around(connection: &Connection<()>, is_handshaking: bool, ms: u64) -> (Due, Due) {
        let limits = Limits::default();
        let end = START.after_ms(ms);
        let before = Tick(end.0 - 1);
        (
            due(connection, is_handshaking, before, &limits, 0),
            due(connection, is_handshaking, end, &limits, 0),
        )
    }

    fn expect_end(connection: &Connection<()>, is_handshaking: bool, ms: u64, end: Due) {
        assert_eq!(
            around(connection, is_handshaking, ms),
            (Due::Later(START.after_ms(ms)), end),
            "{connection:?}"
        );
    }

    #[test]
    fn every_wait_ends_at_its_limit_and_not_a_tick_before() {
        let limits = Limits::default();
        let mut greeting = connection(Session::new(peer()));
        expect_end(&greeting, true, limits.handshake_ms_max, Due::End(CloseReason::Handshake));
        let request = Due::End(CloseReason::Request);
        expect_end(&greeting, false, limits.request_ms_max, request);
        greeting.marks.set(Marks::ANSWERED);
        expect_end(&greeting, false, limits.keep_alive_ms_max, request);
        let reason = CloseReason::Slow;
        let closing = connection(Session::Closing(Decoder::new(Role::Server), reason));
        expect_end(&closing, false, limits.close_ms_max, Due::End(CloseReason::Unanswered));
        let leaving = connection(Session::Leaving(reason));
        expect_end(&leaving, false, limits.close_ms_max, Due::End(reason));
    }

    #[test]
    fn an_unfinished_message_and_a_full_socket_have_their_own_limits() {
        let limits = Limits::default();
        let mut unfinished = connection(websocket());
        unfinished.marks.set(Marks::UNFINISHED);
        let end = Due::End(CloseReason::Unfinished);
        expect_end(&unfinished, false, limits.message_ms_max, end);
        let mut stalled = connection(websocket());
        stalled.heard = START.after_ms(20_000);
        stalled.outbox.push(Rc::new(Shared::from("frame")), START);
        stalled.outbox.keep(b"unsent", START, START);
        expect_end(&stalled, false, limits.stall_ms_max, Due::End(CloseReason::Stalled));
        let mut behind = connection(websocket());
        behind.heard = START.after_ms(40_000);
        behind.outbox.keep(b"unsent", START, START.after_ms(20_000));
        expect_end(&behind, false, limits.outbox_ms_max, Due::End(CloseReason::Slow));
    }

    #[test]
    fn silence_is_pinged_and_then_given_up() {
        let limits = Limits::default();
        let mut silent = connection(websocket());
        expect_end(&silent, false, limits.heartbeat_ms, Due::Ping);
        silent.pings = 1;
        expect_end(&silent, false, 2 * limits.heartbeat_ms, Due::Ping);
        silent.pings = 2;
        expect_end(&silent, false, 3 * limits.heartbeat_ms, Due::End(CloseReason::Silent));
    }

    #[test]
    fn a_peer_whose_words_have_not_been_read_is_not_silent() {
        let mut unread = connection(websocket());
        unread.marks.set(Marks::UNREAD);
        let (_, later) = around(&unread, false, 200_000);
        assert!(matches!(later, Due::Later(_)), "{later:?}");
    }
}
