//! Reading: from a socket's bytes to what a session makes of them.

use super::breach::Breach;
use super::connection::Marks;
use super::link::Received;
use super::metrics::tls_failure;
use super::pace::Pace;
use super::{CloseReason, Service, Worker};
use crate::base::{Input, Key, Stream};
use crate::session::{Fault, Session};
use crate::tls::{Identity, Opened};
use crate::ws::CloseCode;

/// What is read at once from a peer that sends faster than it may: else 64 KiB of its smallest
/// frames were answered, ten thousand of them, before it is seen to owe.
const SIP_BYTES: usize = 4 * 1024;

/// Whether it is known whose a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Introduced {
    /// It is, or nobody has to say.
    Known,
    /// The proxy has not said all of it.
    NotYet,
    /// What the proxy said was no use, and the connection is about to be removed.
    Never,
}

impl<S: Stream, V: Service> Worker<S, V> {
    /// Listens to whoever has something to say: to all of whom there is news, to a few that have
    /// more to say or end, to a few that shake hands.
    ///
    /// So who says a little is heard in this turn, however many there are who never stop.
    pub(super) fn listen_all(&mut self) {
        if self.world.is_congested() {
            return;
        }
        for _ in 0..self.unread.len() {
            let Some(key) = self.unread.pop_front() else { break };
            self.listen_or_shake(key);
        }
        for _ in 0..self.unheard.len().min(self.world.limits.resumes_per_turn_max) {
            let Some(key) = self.unheard.pop_front() else { break };
            self.listen_or_shake(key);
        }
        for _ in 0..self.shaking.len().min(self.world.limits.handshakes_per_turn_max) {
            if let Some(key) = self.shaking.pop_front() {
                self.listen(key);
            }
        }
    }

    fn listen_or_shake(&mut self, key: Key) {
        match self.link(key) {
            Some(link) if link.is_handshaking() => self.shaking.push_back(key),
            Some(_) => self.listen(key),
            None => {}
        }
    }

    /// Listens to one connection for as long as it has something to say, within the turn's budget.
    fn listen(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        connection.marks.clear(Marks::UNREAD);
        let mut scratch = std::mem::take(&mut self.scratch);
        self.attend(key, |worker| worker.hear(key, &mut scratch));
        self.scratch = scratch;
    }

    /// Whether nothing is to be read from a peer now: it waits for us, or does not read itself.
    /// [`Worker::resume`] ends that.
    fn is_parked(&mut self, key: Key) -> bool {
        let pause = self.world.limits.outbox_bytes_pause;
        let Some(connection) = self.world.connections.get_mut(key) else { return true };
        let waits = matches!(connection.session, Session::Upgrading(_));
        let parked = waits || connection.outbox.bytes() >= pause;
        if parked {
            connection.marks.set(Marks::PARKED);
        }
        parked || self.is_paced(key)
    }

    /// Whether nothing is to be read from a peer now because it sends too fast. One that has done
    /// so for too long is closed, and then is heard for its answer.
    fn is_paced(&mut self, key: Key) -> bool {
        let (pace, now) = (&self.world.limits.pace, self.world.now);
        let Some(connection) = self.world.connections.get_mut(key) else { return true };
        if !connection.session.is_established() {
            return false;
        }
        match self.world.meters.pace(key, pace, now) {
            Pace::Free => false,
            Pace::Wait(owed) => {
                connection.marks.set(Marks::PARKED);
                connection.marks.set(Marks::PACED);
                let ms = u64::try_from(owed.as_millis()).unwrap_or(u64::MAX);
                self.world.look_by(key, self.world.tick.after_ms(ms.saturating_add(1)));
                true
            }
            Pace::Over => {
                self.world.reached(Breach::Rate);
                let text = "sending too fast";
                self.world.close(key, CloseCode::POLICY, text, CloseReason::Flooding);
                false
            }
        }
    }

    /// Looks again at a peer that is not read from because it sends too fast.
    pub(super) fn repace(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get(key) else { return };
        if connection.marks.has(Marks::PACED) && !self.is_paced(key) {
            self.resume(key);
        }
    }

    /// Whether a stream has said enough in this turn: what it is answered has to be written first,
    /// so that what does not leave is seen before more is read.
    fn is_sated(&self, key: Key) -> bool {
        let connection = self.world.connections.get(key);
        connection.is_some_and(|connection| matches!(connection.session, Session::Stream))
            && self.world.unsaid(key) >= self.world.limits.outbox_bytes_pause
    }

    /// Reads what waits, a few times at most, and acts on it.
    fn hear(&mut self, key: Key, scratch: &mut [u8]) {
        for _ in 0..self.world.limits.reads_per_turn_max {
            if self.is_parked(key) {
                return;
            }
            if self.is_sated(key) {
                break;
            }
            let len_max = if self.world.meters.is_over(key) { SIP_BYTES } else { scratch.len() };
            let Some(link) = self.link(key) else { return };
            match link.receive(scratch, len_max) {
                Received::Bytes { len, fresh, all } => {
                    let Some(bytes) = scratch.get_mut(..len) else { return };
                    let ended = self.heard(key, fresh);
                    if !self.open(key, bytes) {
                        return;
                    }
                    self.date(key);
                    if all && !ended {
                        return self.world.meters.heard_out(key, self.world.now);
                    }
                }
                Received::Nothing => return,
                Received::End => return self.ended(key),
                Received::Broken => return self.world.bury(key, CloseReason::Lost),
            }
        }
        self.resume(key);
    }

    /// Notes that `len` bytes have come, and so that the peer lives. Returns whether it has ended
    /// its writing.
    fn heard(&mut self, key: Key, len: usize) -> bool {
        let Some(connection) = self.world.connections.get_mut(key) else { return false };
        if len > 0 {
            connection.heard = self.world.tick;
            connection.pings = 0;
            self.world.metrics.mine().bytes_in_total.add(len as u64);
            if connection.session.is_established() {
                let (pace, now) = (&self.world.limits.pace, self.world.now);
                self.world.meters.charge(key, (0, len as u64), pace, now);
            }
        }
        connection.marks.has(Marks::ENDED)
    }

    /// Takes bytes as they came from the socket, and decrypts them where there is TLS. Returns
    /// whether more may follow: who is about to be removed is not heard any more.
    fn open(&mut self, key: Key, bytes: &mut [u8]) -> bool {
        let mut input = Input::new(bytes);
        match self.introduce(key, &mut input) {
            Introduced::Known => {}
            Introduced::NotYet => return true,
            Introduced::Never => return false,
        }
        loop {
            let Some(link) = self.links.get_mut(key.index()).and_then(Option::as_mut) else {
                return false;
            };
            let Some(tls) = &mut link.tls else {
                self.understand(key, input);
                return true;
            };
            match tls.open(&mut input, &mut self.wire) {
                Ok(Opened::Plaintext(plaintext)) => self.understand(key, Input::new(plaintext)),
                Ok(Opened::Established(identity)) => self.established(key, identity),
                Ok(Opened::Wanting) => {
                    self.warm(key);
                    return true;
                }
                Ok(Opened::Closed) => {
                    self.ended(key);
                    return true;
                }
                Err(fault) => {
                    self.world.metrics().tls_failures_total.add(tls_failure(fault), 1);
                    log::debug!("TLS failed: {fault}");
                    self.world.bury(key, CloseReason::Handshake);
                    return false;
                }
            }
        }
    }

    fn established(&mut self, key: Key, identity: Option<Box<Identity>>) {
        self.world.metrics().handshakes_total.add(1);
        if let Some(identity) = &identity {
            self.world.metrics().clients_identified_total.add(1);
            log::debug!("authorized: {identity}");
        }
        if let Some(connection) = self.world.connections.get_mut(key) {
            connection.guest.take_back(identity);
        }
        self.arrived(key);
    }

    /// Hears what a proxy says first where one does.
    fn introduce(&mut self, key: Key, input: &mut Input<'_>) -> Introduced {
        let Some(connection) = self.world.connections.get_mut(key) else {
            return Introduced::Never;
        };
        let Session::Introducing(introduction) = &mut connection.session else {
            return Introduced::Known;
        };
        let peer = match introduction.next(input) {
            Ok(Some(peer)) => peer,
            Ok(None) => return Introduced::NotYet,
            Err(fault) => {
                log::debug!("no client was announced: {fault:?}");
                self.world.bury(key, CloseReason::Unannounced);
                return Introduced::Never;
            }
        };
        let Some(listener) = self.listeners.get(peer.listener as usize) else {
            return Introduced::Never;
        };
        let is_itself = listener.trusts(peer.address.ip());
        if !is_itself && let Err(reason) = self.world.seat(key, peer.address.ip()) {
            self.world.turned(reason);
            self.world.bury(key, CloseReason::Crowded);
            return Introduced::Never;
        }
        if let Some(connection) = self.world.connections.get_mut(key) {
            connection.session = listener.session(peer);
        }
        if !peer.secure {
            self.arrived(key);
        }
        Introduced::Known
    }

    /// Takes plaintext, and acts on all of it.
    pub(super) fn understand(&mut self, key: Key, mut input: Input<'_>) {
        let limits = self.world.limits.session;
        loop {
            let Some(connection) = self.world.connections.get_mut(key) else { return };
            match connection.session.next(&mut input, &limits) {
                Ok(Some(action)) => {
                    // A part that follows is another message's, whose time begins when it does.
                    if !connection.session.is_unfinished() {
                        connection.marks.clear(Marks::UNFINISHED);
                    }
                    self.apply(key, action);
                }
                Ok(None) => return,
                Err(fault) => return self.refuse(key, fault),
            }
        }
    }

    /// Notes when a request or message began of which the end has not come yet.
    fn date(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        if !connection.session.is_unfinished() {
            connection.marks.clear(Marks::UNFINISHED);
            return;
        }
        let is_new = connection.marks.set(Marks::UNFINISHED);
        match connection.session {
            Session::WebSocket(_) if is_new => {
                self.world.wait(key, self.world.limits.message_ms_max);
            }
            // The time for the first request began when it might have.
            Session::Greeting(_) if is_new && connection.marks.has(Marks::ANSWERED) => {
                self.world.wait(key, self.world.limits.request_ms_max);
            }
            _ => {}
        }
    }

    /// The peer says nothing more: a request may still be answered, a stream has what is owed to it
    /// still coming, a WebSocket is lost.
    fn ended(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        connection.marks.set(Marks::ENDED);
        match connection.session {
            Session::Greeting(_) | Session::Upgrading(_) | Session::Arriving(_) => {
                self.world.end(key, &[], CloseReason::Lost);
            }
            Session::Stream => self.world.end(key, &[], CloseReason::Peer(None)),
            Session::WebSocket(_) | Session::Introducing(_) => {
                self.world.bury(key, CloseReason::Lost);
            }
            Session::Closing(_, reason) | Session::Lingering(reason) => {
                self.world.bury(key, reason);
            }
            Session::Finishing(_) | Session::Leaving(_) => self.world.touch(key),
        }
    }

    /// Tells a peer what is wrong with what it said, and lets it go.
    pub(super) fn refuse(&mut self, key: Key, fault: Fault) {
        match fault {
            Fault::Http(refusal) => {
                let status = refusal.status();
                if let Some(breach) = Breach::of_request(refusal) {
                    self.world.reached(breach);
                }
                let mut bytes = Vec::new();
                refusal.response().encode(false, true, &mut bytes);
                self.world.end(key, &bytes, CloseReason::Answered(status));
            }
            Fault::WebSocket(fault) => {
                if let Some(breach) = Breach::of_frames(fault) {
                    self.world.reached(breach);
                }
                let code = fault.close_code();
                self.world.close(key, code, fault.as_str(), CloseReason::Fault(code));
                // Where the next frame begins is lost, and with it the peer's close: so that is not
                // awaited. Burying would reset what still arrives, and our close with it.
                self.closed(key);
            }
        }
    }

    /// Reads on in a later turn, where the last left off.
    pub(super) fn resume(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        connection.marks.clear(Marks::PARKED);
        connection.marks.clear(Marks::PACED);
        if connection.marks.set(Marks::UNREAD) {
            self.unheard.push_back(key);
        }
    }
}
