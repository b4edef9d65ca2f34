//! Writing: from what waits for a peer to its socket.

use super::connection::Marks;
use super::link::Link;
use super::{CloseReason, Service, Worker};
use crate::base::{Key, Stream, Tick};
use crate::session::Session;

/// How much is gathered for one write: a record of TLS, and enough to make a system call cheap.
const GATHER_BYTES: usize = 16 * 1024;

/// Whether a socket took all it was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Written {
    All,
    Some,
    /// The stream is broken; the connection is about to go.
    Nothing,
}

impl<S: Stream, V: Service> Worker<S, V> {
    /// Writes to everybody for whom something waits: once each, if their sockets take it.
    pub(super) fn flush(&mut self) {
        let mut dirty = std::mem::take(&mut self.world.dirty);
        for key in dirty.drain(..) {
            if let Some(connection) = self.world.connections.get_mut(key) {
                connection.marks.clear(Marks::DIRTY);
                self.guard(key, |worker| {
                    worker.empty(key);
                    worker.settle(key);
                });
            }
        }
        // The list keeps its memory; whoever has been marked meanwhile is next turn's.
        std::mem::swap(&mut dirty, &mut self.world.dirty);
        self.world.dirty.append(&mut dirty);
    }

    /// Writes what was said to the connection that has just been attended to.
    pub(super) fn answer(&mut self, key: Key) {
        let mut said = std::mem::take(&mut self.world.reply.bytes);
        if !said.is_empty() || !self.wire.is_empty() {
            self.write(key, &said, self.world.tick);
        }
        said.clear();
        // A large answer was an exception: its memory is not kept for all that follow.
        said.shrink_to(2 * GATHER_BYTES);
        self.world.reply.bytes = said;
    }

    /// Writes an outbox, until it is empty or the socket is full.
    fn empty(&mut self, key: Key) {
        loop {
            let Some(link) = self.links.get_mut(key.index()).and_then(Option::as_mut) else {
                return;
            };
            let Some(connection) = self.world.connections.get_mut(key) else { return };
            let unsent = connection.outbox.unsent();
            if !unsent.is_empty() {
                let offered = unsent.len();
                let Ok(len) = link.write(unsent) else {
                    return self.world.bury(key, CloseReason::Lost);
                };
                self.world.metrics.mine().bytes_out_total.add(len as u64);
                connection.outbox.consume(len, self.world.tick);
                if len < offered {
                    return;
                }
                continue;
            }
            if connection.outbox.is_empty() {
                return;
            }
            let mut plain = std::mem::take(&mut self.plain);
            plain.clear();
            let since = connection.outbox.gather(&mut plain, GATHER_BYTES, self.world.tick);
            let written = self.write(key, &plain, since);
            self.plain = plain;
            if written != Written::All {
                return;
            }
        }
    }

    /// Writes `plain`, which has waited since `since`, sealed where there is TLS, behind what TLS
    /// itself has to say; what the socket does not take is kept.
    fn write(&mut self, key: Key, plain: &[u8], since: Tick) -> Written {
        let mut wire = std::mem::take(&mut self.wire);
        let written = self.write_through(key, plain, since, &mut wire);
        self.warm(key);
        wire.clear();
        wire.shrink_to(4 * GATHER_BYTES);
        self.wire = wire;
        if written == Written::Nothing {
            self.world.bury(key, CloseReason::Lost);
        }
        written
    }

    fn write_through(
        &mut self,
        key: Key,
        plain: &[u8],
        since: Tick,
        wire: &mut Vec<u8>,
    ) -> Written {
        let link = self.links.get_mut(key.index()).and_then(Option::as_mut);
        let (Some(link), Some(connection)) = (link, self.world.connections.get_mut(key)) else {
            return Written::Nothing;
        };
        let bytes = match &mut link.tls {
            None => plain,
            Some(tls) => {
                if !plain.is_empty() && tls.seal(plain, wire).is_err() {
                    return Written::Nothing;
                }
                wire.as_slice()
            }
        };
        if connection.outbox.is_blocked() {
            connection.outbox.keep(bytes, since, self.world.tick);
            return Written::Some;
        }
        let Ok(len) = link.write(bytes) else { return Written::Nothing };
        self.world.metrics.mine().bytes_out_total.add(len as u64);
        let Some(rest) = bytes.get(len..).filter(|rest| !rest.is_empty()) else {
            return Written::All;
        };
        connection.outbox.keep(rest, since, self.world.tick);
        let stalled = self.world.tick.after_ms(self.world.limits.stall_ms_max);
        let too_old = since.after_ms(self.world.limits.outbox_ms_max);
        self.world.look_by(key, stalled.min(too_old));
        Written::Some
    }

    /// Lets a connection do what it could not do before its outbox was empty.
    fn settle(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        let waiting = connection.outbox.bytes();
        if waiting < self.world.limits.outbox_bytes_pause
            && connection.marks.has(Marks::PARKED)
            && !connection.marks.has(Marks::PACED)
            && !matches!(connection.session, Session::Upgrading(_))
        {
            self.resume(key);
        }
        if waiting == 0 {
            self.leave(key);
        }
    }

    /// Ends our direction of a connection that has nothing more to say.
    fn leave(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        let (reason, was_owed) = match connection.session {
            Session::Leaving(reason) => (reason, false),
            Session::Finishing(reason) => (reason, true),
            _ => return,
        };
        let ended = connection.marks.has(Marks::ENDED);
        if let Some(Some(Link { tls: Some(tls), .. })) = self.links.get_mut(key.index()) {
            tls.close(&mut self.wire);
            if !self.wire.is_empty() && self.write(key, &[], self.world.tick) != Written::All {
                // It leaves when the socket has taken this too; TLS closes once only.
                return;
            }
        }
        if let Some(connection) = self.world.connections.get_mut(key) {
            connection.session = Session::Lingering(reason);
        }
        // Taking what it was owed may have taken the peer longer than it has to say goodbye.
        if was_owed {
            self.world.wait(key, self.world.limits.close_ms_max);
        }
        // Where both directions have ended, closing is one call instead of two.
        if ended || self.link(key).is_none_or(|link| link.finish().is_err()) {
            self.world.bury(key, reason);
        }
    }
}
