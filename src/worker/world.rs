//! What one core knows: all of it but the streams and the service.

use std::rc::Rc;
use std::time::Instant;

use super::addresses::{Addresses, Seat};
use super::breach::Breach;
use super::codecs::{Codecs, Encoded, form, place};
use super::connection::{Connection, Marks};
use super::limits::Limits;
use super::mesh::ShardMessage;
use super::metrics::{Metrics, MetricsSet};
use super::outbox::Offer;
use super::pace::Meters;
use super::pressure::Pressure;
use super::staging::Staging;
use crate::base::{Clock, Key, Rng, Shared, Slab, Tick, Wheel};
use crate::http::{Response, Status};
use crate::hub::{Delivery, Hub, Publication, SubscribeFault, Subscribed, TopicName, WorkerId};
use crate::session::{CloseReason, Session};
use crate::ws::deflate::{Agreement, WindowBits};
use crate::ws::{CloseCode, FrameHeader, Opcode, encoder};

/// What one core knows. A [`Context`](super::Context) borrows all of it, which works because the
/// streams and the service, which is being called, are elsewhere.
#[derive(Debug)]
pub(super) struct World<T> {
    pub(super) id: WorkerId,
    pub(super) connections: Slab<Connection<T>>,
    pub(super) hub: Hub,
    pub(super) staging: Staging,
    pub(super) wheel: Wheel,
    pub(super) limits: Limits,
    pub(super) metrics: MetricsSet,
    pub(super) clock: Clock,
    pub(super) now: Instant,
    pub(super) tick: Tick,
    pub(super) rng: Rng,
    /// Connections for which something is to be written in this turn.
    pub(super) dirty: Vec<Key>,
    /// Connections to be removed as soon as nobody is being called.
    pub(super) gone: Vec<(Key, CloseReason)>,
    /// What is said to the connection that is being read from.
    pub(super) reply: Reply,
    pub(super) codecs: Codecs,
    /// The windows that connections of any core have agreed to, as of this turn, once asked for.
    pub(super) windows: Option<Windows>,
    /// Who is here from where, on all cores.
    pub(super) addresses: Addresses,
    /// The places of connections among those of their addresses, by the index of their keys; of
    /// those only that have one.
    pub(super) seats: Vec<Option<Seat>>,
    /// What peers have sent lately, if that is limited.
    pub(super) meters: Meters,
    /// How short memory is, as we were last told.
    pub(super) pressure: Pressure,
    /// When a failure of the code that serves was last logged.
    pub(super) complained: Option<Instant>,
}

/// A set of sizes of windows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Windows(u8);

impl Windows {
    fn iter(self) -> impl Iterator<Item = WindowBits> {
        (8..=15).filter_map(WindowBits::new).filter(move |bits| self.0 & 1 << place(*bits) != 0)
    }
}

/// What is said to the one connection that is being read from, in the core's scratch.
///
/// Most messages go to whom we listen to (an answer, an echo, a pong) and leave as soon as we stop
/// listening, so they need no frame of their own and no outbox.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) to: Option<Key>,
    pub(super) bytes: Vec<u8>,
}

impl<T> World<T> {
    /// The metrics of this core.
    pub(super) fn metrics(&self) -> &Metrics {
        self.metrics.mine()
    }

    /// Reads the clock of the turn that begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.tick = self.clock.tick(now);
        self.windows = None;
    }

    /// Says one frame to one peer, who may be the one that is being read from.
    pub(super) fn send(&mut self, key: Key, opcode: Opcode, payload: &[u8]) -> Offer {
        let bytes_max = self.limits.outbox.bytes_max;
        let Some(connection) = self.connections.get_mut(key) else { return Offer::Gone };
        let Session::WebSocket(decoder) = &connection.session else { return Offer::Gone };
        let metrics = self.metrics.mine();
        metrics.frames_out_total.add(1);
        let worth = !opcode.is_control() && payload.len() >= self.limits.deflate_bytes_min;
        let encoded = match decoder.deflate() {
            Some(agreement) if worth => {
                self.codecs.encode(key, agreement.server(), (opcode, payload), metrics)
            }
            _ => Encoded::plain(opcode, payload),
        };
        if self.reply.to == Some(key) && connection.outbox.is_empty() {
            if self.reply.bytes.len() + encoded.payload.len() <= bytes_max {
                encoded.parts().iter().for_each(|part| self.reply.bytes.extend_from_slice(part));
                return Offer::Queued;
            }
            self.shed(key, Breach::OutboxBytes);
            return Offer::Refused(Breach::OutboxBytes);
        }
        let frame = Rc::new(Shared::from_parts(&encoded.parts()));
        let offer = connection.outbox.offer(&frame, self.limits.outbox, self.tick);
        match offer {
            Offer::Queued => mark_dirty(&mut self.dirty, key, connection),
            Offer::Refused(breach) => self.shed(key, breach),
            Offer::Gone => {}
        }
        offer
    }

    /// Writes bytes to one stream, whose peer may be the one that is being read from.
    pub(super) fn write(&mut self, key: Key, bytes: &[u8]) -> Offer {
        let unsaid = self.unsaid(key);
        let Some(connection) = self.connections.get_mut(key) else { return Offer::Gone };
        if !matches!(connection.session, Session::Stream) {
            return Offer::Gone;
        }
        connection.heard = self.tick;
        let offer = if self.reply.to == Some(key) && connection.outbox.frames() == 0 {
            // Not even a socket that is full makes a frame of this: what it does not take is kept
            // as one run of bytes, however small the pieces in which a peer asks for it.
            let fits = unsaid + bytes.len() <= self.limits.stream_bytes_max();
            if fits {
                self.reply.bytes.extend_from_slice(bytes);
            }
            if fits { Offer::Queued } else { Offer::Refused(Breach::OutboxBytes) }
        } else {
            let frame = Rc::new(Shared::from(bytes));
            let offer = connection.outbox.offer(&frame, self.limits.outbox, self.tick);
            mark_dirty(&mut self.dirty, key, connection);
            offer
        };
        if let Offer::Refused(breach) = offer {
            self.reached(breach);
            self.metrics().outbox_refusals_total.add(1);
            self.end(key, &[], CloseReason::Slow);
        }
        offer
    }

    /// Sends a peer away that reads too slowly: what it has not got yet it will not get, and it is
    /// told so.
    pub(super) fn shed(&mut self, key: Key, breach: Breach) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        // A second frame that finds no room must not clear away the close.
        if !connection.session.is_open() {
            return;
        }
        connection.outbox.clear();
        self.metrics().outbox_refusals_total.add(1);
        self.reached(breach);
        self.close(key, CloseCode::TRY_AGAIN_LATER, "reading too slowly", CloseReason::Slow);
    }

    /// Counts a limit that a connection ran into.
    pub(super) fn reached(&self, breach: Breach) {
        self.metrics().limits_reached_total.add(breach.index(), 1);
    }

    /// Queues a close and lets the connection end. One that is no WebSocket yet gets no 101; a
    /// stream has no words for it.
    pub(super) fn close(&mut self, key: Key, code: CloseCode, text: &str, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let mut bytes = Vec::new();
        match connection.session {
            Session::WebSocket(_) => encoder::encode_close(&mut bytes, code, text),
            Session::Upgrading(_) => unavailable().encode(false, true, &mut bytes),
            Session::Stream => {}
            _ => return,
        }
        self.end(key, &bytes, reason);
    }

    /// Says the last bytes of a connection and lets it end.
    pub(super) fn end(&mut self, key: Key, bytes: &[u8], reason: CloseReason) {
        self.say(key, bytes);
        self.mute(key);
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.session.close(reason);
        mark_dirty(&mut self.dirty, key, connection);
        self.hub.remove(key);
        self.wait(key, self.limits.close_ms_max);
    }

    /// Queues bytes that have to leave whatever waits already: an HTTP answer, a close.
    pub(super) fn say(&mut self, key: Key, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if self.reply.to == Some(key) && connection.outbox.is_empty() {
            self.reply.bytes.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            connection.outbox.push(Rc::new(Shared::from(bytes)), self.tick);
            mark_dirty(&mut self.dirty, key, connection);
        }
    }

    /// How many bytes wait for a peer, with those that it is being told now.
    pub(super) fn unsaid(&self, key: Key) -> usize {
        let reply = if self.reply.to == Some(key) { self.reply.bytes.len() } else { 0 };
        self.connections.get(key).map_or(0, |connection| connection.outbox.bytes()) + reply
    }

    /// Gives a connection `ms` milliseconds from now for what it is to do next.
    pub(super) fn wait(&mut self, key: Key, ms: u64) {
        if let Some(connection) = self.connections.get_mut(key) {
            connection.since = self.tick;
        }
        self.look_by(key, self.tick.after_ms(ms));
    }

    /// Subscribes, and makes the answer to an upgrade in hand wait for it.
    pub(super) fn subscribe(
        &mut self,
        key: Key,
        topic: &TopicName,
    ) -> Result<Subscribed, SubscribeFault> {
        if self.connections.get(key).is_none() {
            return Ok(Subscribed::Already);
        }
        let subscribed = self.hub.subscribe(key, topic);
        let subscribed = subscribed.inspect_err(|_| self.reached(Breach::Topics))?;
        if subscribed == Subscribed::Waiting
            && let Some(connection) = self.connections.get_mut(key)
            && let Session::Greeting(greeting) = &mut connection.session
        {
            greeting.waiting += 1;
        }
        Ok(subscribed)
    }

    /// Hands a publication to the subscribers of this core, and to the cores that have others.
    pub(super) fn publish(&mut self, topic: &TopicName, frame: &Shared) {
        self.metrics().publications_in_total.add(1);
        let publication = self.written(topic, frame);
        let workers = self.hub.publish(topic, &publication);
        for worker in workers.iter() {
            let publication = publication.clone();
            self.staging.stage(worker, ShardMessage::Publish { topic: topic.clone(), publication });
        }
    }

    /// A publication in every form that a subscriber may be sent.
    ///
    /// It is deflated here and nowhere else, once for each window that anybody has agreed to. Who
    /// agrees to another one in this moment is sent the plain form, which is always right.
    fn written(&mut self, topic: &TopicName, frame: &Shared) -> Publication {
        let Ok(Some((header, header_len))) = FrameHeader::decode(frame) else {
            return frame.clone().into();
        };
        let payload = frame.get(header_len..).unwrap_or_default();
        if payload.len() < self.limits.deflate_bytes_min || !self.hub.is_wanted(topic) {
            return frame.clone().into();
        }
        let Self { codecs, metrics, windows, .. } = self;
        let windows = *windows.get_or_insert_with(|| agreed(metrics));
        let deflated = windows.iter().filter_map(|bits| {
            let encoded = codecs.encode_shared(bits, (header.opcode, payload), metrics.mine())?;
            Some((form(bits), Shared::from_parts(&encoded.parts())))
        });
        Publication::new(frame.clone(), deflated.collect())
    }

    /// Counts a connection that may be sent deflated messages from now on.
    pub(super) fn unmute(&mut self, key: Key) {
        if let Some(agreement) = self.agreement(key) {
            let place = place(agreement.server().window_bits);
            self.metrics().deflate_connections.add(place, 1);
        }
    }

    /// A connection that is about to close, or has gone, deflates and inflates nothing more.
    pub(super) fn mute(&mut self, key: Key) {
        if let Some(agreement) = self.agreement(key) {
            let place = place(agreement.server().window_bits);
            self.metrics().deflate_connections.sub(place, 1);
        }
        self.codecs.remove(key, self.metrics.mine());
    }

    /// What an open connection has agreed on about deflating.
    pub(super) fn agreement(&self, key: Key) -> Option<Agreement> {
        match &self.connections.get(key)?.session {
            Session::WebSocket(decoder) => decoder.deflate(),
            _ => None,
        }
    }

    /// Lists a connection whose socket may take bytes again, or that may end now.
    pub(super) fn touch(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && connection.marks.set(Marks::DIRTY)
        {
            self.dirty.push(key);
        }
    }

    /// Hands publications to the outboxes of this core's subscribers, a slice at a time. Whoever
    /// cannot take one, or has lost one between the cores, is sent away and told why.
    pub(super) fn deliver(&mut self) {
        if !self.hub.has_pending() {
            return;
        }
        let Self { hub, connections, dirty, limits, codecs, tick, .. } = self;
        let (mut slow, mut gaps) = (Vec::new(), Vec::new());
        let delivered = hub.deliver(limits.deliveries_per_turn_max, |key, delivery| {
            let Some(connection) = connections.get_mut(key) else { return };
            let Session::WebSocket(decoder) = &connection.session else { return };
            if connection.marks.has(Marks::SEVERED) {
                return;
            }
            match delivery {
                Delivery::Frame(frames) => {
                    let context = decoder.deflate().map(Agreement::server);
                    let (frame, is_deflated) =
                        frames.in_form(context.map(|context| form(context.window_bits)));
                    if is_deflated && context.is_some_and(|context| context.takeover) {
                        codecs.forget(key);
                    }
                    match connection.outbox.offer(frame, limits.outbox, *tick) {
                        Offer::Queued => return mark_dirty(dirty, key, connection),
                        Offer::Refused(breach) => slow.push((key, breach)),
                        Offer::Gone => {}
                    }
                }
                Delivery::Lost(_) => gaps.push(key),
            }
            connection.marks.set(Marks::SEVERED);
        });
        self.metrics().deliveries_total.add(delivered as u64);
        for (key, breach) in slow {
            self.shed(key, breach);
        }
        for key in gaps {
            let code = CloseCode::TRY_AGAIN_LATER;
            self.close(key, code, "publications were lost", CloseReason::Gap);
        }
    }

    /// Whether so much waits to be delivered that nothing more should come in.
    pub(super) fn is_congested(&self) -> bool {
        self.hub.backlog_bytes() >= self.limits.backlog_bytes_pause
    }

    /// Removes a connection as soon as nobody is being called.
    pub(super) fn bury(&mut self, key: Key, reason: CloseReason) {
        self.gone.push((key, reason));
    }
}

/// The windows that connections of any core have agreed to.
fn agreed(metrics: &MetricsSet) -> Windows {
    let has = |bits: &WindowBits| {
        metrics.all().any(|metrics| metrics.deflate_connections.get(place(*bits)) > 0)
    };
    let all = (8..=15).filter_map(WindowBits::new);
    Windows(all.filter(has).fold(0, |set, bits| set | 1 << place(bits)))
}

/// The answer to a request that can not be served now, but elsewhere or later.
pub(super) fn unavailable() -> Response {
    Response::new(Status::UNAVAILABLE)
}

/// Lists a connection for the flush at the end of the turn, once. One whose socket is full waits
/// for the socket to say so instead.
fn mark_dirty<T>(dirty: &mut Vec<Key>, key: Key, connection: &mut Connection<T>) {
    if !connection.outbox.is_blocked() && connection.marks.set(Marks::DIRTY) {
        dirty.push(key);
    }
}
