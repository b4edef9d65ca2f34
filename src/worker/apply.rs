//! Acting on what a peer said.

use super::breach::Turned;
use super::codecs;
use super::connection::{Guest, Marks};
use super::world::World;
use super::{Caller, CloseReason, Context, Incoming, Service, Verdict, Worker};
use crate::base::{Input, Key, Stream};
use crate::http::{Method, RequestHead, Response, Status};
use crate::hub::TopicName;
use crate::proxy;
use crate::session::{self, Action, Fault, Peer, Session, Upgrading};
use crate::tls::Identity;
use crate::ws::deflate::{Agreement, Deflated, Takeover};
use crate::ws::handshake::{self, Upgrade};
use crate::ws::{CloseFrame, Decoder, Event, Opcode, Role, encoder};

/// What a client behind a proxy is told that has brought more than its address may.
const TOO_MANY: Status = Status::TOO_MANY_REQUESTS;

impl<S: Stream, V: Service> Worker<S, V> {
    /// Carries out what a peer said.
    pub(super) fn apply(&mut self, key: Key, action: Action<'_>) {
        match action {
            Action::Event(event) => self.event(key, &event),
            Action::Bytes(bytes) => {
                self.service.bytes(key, bytes, &mut Context::new(&mut self.world));
            }
            Action::Announced(head) => self.announced(key, *head),
            Action::Request(head, body) => self.request(key, &head, &body),
            Action::Closed => self.closed(key),
        }
    }

    fn event(&mut self, key: Key, event: &Event<'_>) {
        self.world.metrics().frames_in_total.add(1);
        let (pace, now) = (&self.world.limits.pace, self.world.now);
        self.world.meters.charge(key, (1, 0), pace, now);
        if let Some(message) = session::message(event) {
            let cx = &mut Context::new(&mut self.world);
            return self.service.message(key, message, cx);
        }
        match event {
            Event::Deflated(message) => self.inflate(key, message),
            Event::Ping(payload) => {
                // A peer too slow for its pongs is closed by the sending itself.
                let _ = self.world.send(key, Opcode::Pong, payload);
            }
            Event::Close(frame) => self.peer_closes(key, frame.as_ref()),
            // A pong has said all by arriving.
            Event::Pong(_) | Event::Text(_) | Event::Binary(_) => {}
        }
    }

    /// Inflates a message, with what the core has for that or what the connection keeps.
    fn inflate(&mut self, key: Key, message: &Deflated<'_>) {
        let Some(agreement) = self.world.agreement(key) else { return };
        let context = agreement.client();
        let mut inflater = self.world.codecs.take_inflater(key, context);
        let bytes_max = self.world.limits.session.websocket.message_bytes_max;
        match codecs::inflate(&mut inflater, message, bytes_max, self.world.metrics()) {
            Ok(message) => {
                let cx = &mut Context::new(&mut self.world);
                self.service.message(key, message, cx);
            }
            Err(fault) => self.refuse(key, Fault::WebSocket(fault)),
        }
        self.world.codecs.put_inflater(key, context, inflater);
    }

    /// Answers a close with its own code, or without one if it had none (RFC 6455 §5.5.1).
    fn peer_closes(&mut self, key: Key, frame: Option<&CloseFrame<'_>>) {
        let mut bytes = Vec::new();
        match frame {
            Some(frame) => encoder::encode_close(&mut bytes, frame.code, ""),
            None => encoder::encode(&mut bytes, Opcode::Close, &[]),
        }
        self.world.end(key, &bytes, CloseReason::Peer(frame.map(|frame| frame.code)));
        self.closed(key);
    }

    /// Nothing more is expected of the peer: what is queued leaves, and then the connection.
    pub(super) fn closed(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        if let Session::Closing(_, reason) = connection.session {
            connection.session = Session::Leaving(reason);
            self.world.touch(key);
        }
    }

    /// Asks the service whether the body that `head` announces may come.
    fn announced(&mut self, key: Key, head: RequestHead) {
        let Some((peer, identity)) = self.lend(key, &head) else { return };
        let incoming =
            Incoming { key, head: &head, body: &[], peer, identity: identity.as_deref() };
        let is_wanted = self.is_wanted(&incoming);
        self.take_back(key, identity);
        if !is_wanted {
            return;
        }
        if head.expects_continue() {
            let mut bytes = Vec::new();
            Response::new(Status::CONTINUE).encode(false, false, &mut bytes);
            self.world.say(key, &bytes);
        }
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        if let Session::Greeting(greeting) = &mut connection.session {
            greeting.await_body(head);
        }
    }

    /// Whether a body is wanted; if not, the head has been answered.
    fn is_wanted(&mut self, incoming: &Incoming<'_>) -> bool {
        // An upgrade has no body, so this is the whole of it.
        if handshake::is_upgrade(incoming.head) {
            self.world.metrics().requests_total.add(1);
            self.upgrade(incoming);
            return false;
        }
        let expected = self.service.expect(incoming, &mut Context::new(&mut self.world));
        if let Err(refusal) = &expected {
            self.world.metrics().requests_total.add(1);
            self.respond(incoming, refusal, true);
        }
        expected.is_ok()
    }

    fn request(&mut self, key: Key, head: &RequestHead, body: &[u8]) {
        let Some((peer, identity)) = self.lend(key, head) else { return };
        let incoming = Incoming { key, head, body, peer, identity: identity.as_deref() };
        self.world.metrics().requests_total.add(1);
        if handshake::is_upgrade(head) {
            self.upgrade(&incoming);
        } else {
            self.serve(&incoming);
        }
        self.take_back(key, identity);
    }

    /// Who is asking: the identity is lent, since the call that is told of it may touch every
    /// connection.
    fn lend(&mut self, key: Key, head: &RequestHead) -> Option<(Peer, Option<Box<Identity>>)> {
        let connection = self.world.connections.get_mut(key)?;
        let Session::Greeting(greeting) = &connection.session else { return None };
        let (peer, identity) = (greeting.peer, connection.guest.lend());
        Some((self.client(peer, head), identity))
    }

    fn take_back(&mut self, key: Key, identity: Option<Box<Identity>>) {
        if let Some(connection) = self.world.connections.get_mut(key) {
            connection.guest.take_back(identity);
        }
    }

    /// Lets the service answer a plain request, unless a proxy brought it for a client that has
    /// brought too much.
    fn serve(&mut self, incoming: &Incoming<'_>) {
        let response = match self.count_request(incoming) {
            Ok(()) => self.service.request(incoming, &mut Context::new(&mut self.world)),
            Err(reason) => {
                self.world.turned(reason);
                Response::new(TOO_MANY)
            }
        };
        // Who asks on without reading the answers gets no more of them than anybody else.
        let is_flooded = self.world.unsaid(incoming.key) > self.world.limits.outbox.bytes_max;
        let is_last = !incoming.head.keep_alive() || self.draining.is_some() || is_flooded;
        self.respond(incoming, &response, is_last);
    }

    /// Who asks with `head`, which `peer` brought: a proxy that is trusted says for whom.
    fn client(&self, peer: Peer, head: &RequestHead) -> Peer {
        let proxies = self.listeners.get(peer.listener as usize).map(|it| it.proxies.as_slice());
        match proxies {
            None | Some([]) => peer,
            Some(proxies) => {
                // It is written from the left and believed from the right.
                let values: Vec<_> = head.headers_of("X-Forwarded-For").collect();
                let address = proxy::client_of(peer.address, values.into_iter(), proxies);
                Peer { address, ..peer }
            }
        }
    }

    fn respond(&mut self, incoming: &Incoming<'_>, response: &Response, is_last: bool) {
        let mut bytes = Vec::new();
        response.encode(incoming.head.method() == Method::Head, is_last, &mut bytes);
        if is_last {
            let reason = CloseReason::Answered(response.status);
            return self.world.end(incoming.key, &bytes, reason);
        }
        self.world.say(incoming.key, &bytes);
        if let Some(connection) = self.world.connections.get_mut(incoming.key) {
            connection.marks.set(Marks::ANSWERED);
        }
        self.world.wait(incoming.key, self.world.limits.keep_alive_ms_max);
    }

    /// Asks the service for its verdict. After a refusal nothing more of the peer is read, so that
    /// what it sends for another protocol is never taken for a request.
    fn upgrade(&mut self, incoming: &Incoming<'_>) {
        let upgrade = match handshake::accept(incoming.head) {
            Ok(upgrade) => upgrade,
            Err(refusal) => return self.respond(incoming, &refusal.response(), true),
        };
        if self.draining.is_some() {
            return self.respond(incoming, &super::world::unavailable(), true);
        }
        if let Err(reason) = self.count_forwarded(incoming) {
            self.world.turned(reason);
            return self.respond(incoming, &Response::new(TOO_MANY), true);
        }
        match self.service.upgrade(incoming, &mut Context::new(&mut self.world)) {
            Verdict::Refuse(response) => {
                self.world.hub.remove(incoming.key);
                self.respond(incoming, &response, true);
            }
            Verdict::Accept { state, subprotocol } => {
                let deflate = self.agree(incoming, &upgrade);
                let mut response = Vec::new();
                upgrade.encode(subprotocol.as_deref(), deflate, &mut response);
                self.accept(incoming.key, state, (response, deflate));
            }
        }
    }

    /// Counts a connection by the address of its client, where a proxy says only in the request
    /// whose it is, and it is now about to be one client's alone.
    fn count_forwarded(&mut self, incoming: &Incoming<'_>) -> Result<(), Turned> {
        if self.is_forwarded(incoming) {
            self.world.seat(incoming.key, incoming.peer.address.ip())?;
        }
        Ok(())
    }

    /// Counts a plain request that a proxy forwards as a connection of its client, which has gone
    /// as soon as it is answered: the one that it came on is the proxy's.
    fn count_request(&self, incoming: &Incoming<'_>) -> Result<(), Turned> {
        if self.is_forwarded(incoming) {
            let address = incoming.peer.address.ip();
            let seat = self.world.addresses.admit(address, self.world.now)?;
            self.world.vacate(seat);
        }
        Ok(())
    }

    /// Whether a proxy says in a request for whom it asks.
    fn is_forwarded(&self, incoming: &Incoming<'_>) -> bool {
        let connection = self.world.connections.get(incoming.key);
        let session = connection.map(|connection| &connection.session);
        matches!(session, Some(Session::Greeting(it)) if it.peer.address != incoming.peer.address)
    }

    /// Agrees to deflating if the peer offers it and its listener has it turned on; to keeping a
    /// context only while there is room for one more.
    fn agree(&mut self, incoming: &Incoming<'_>, upgrade: &Upgrade) -> Option<Agreement> {
        let allowed = self.listeners.get(incoming.peer.listener as usize)?.deflate?;
        let World { codecs, limits, metrics, .. } = &mut self.world;
        let has_room = codecs.kept() < limits.deflate_contexts_max;
        let takeover = if has_room { allowed } else { Takeover::Never };
        let agreement = upgrade.deflate(takeover)?;
        if agreement.has_takeover() {
            codecs.keep(incoming.key, metrics.mine());
        }
        Some(agreement)
    }

    /// Opens a WebSocket as soon as every core has heard of its subscriptions.
    fn accept(
        &mut self,
        key: Key,
        state: V::State,
        (response, deflate): (Vec<u8>, Option<Agreement>),
    ) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        let Session::Greeting(greeting) = &connection.session else { return };
        let waiting = greeting.waiting;
        connection.guest = Guest::Accepted(state);
        self.world.metrics.mine().established.add(1);
        connection.session =
            Session::Upgrading(Box::new(Upgrading::new(waiting, response, deflate)));
        if waiting == 0 {
            self.begin(key);
        } else {
            self.world.wait(key, self.world.limits.request_ms_max);
        }
    }

    /// Says the 101, and hears what the peer did not wait with.
    fn begin(&mut self, key: Key) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        let Session::Upgrading(upgrading) = &mut connection.session else { return };
        let response = std::mem::take(&mut upgrading.response);
        let mut early = std::mem::take(&mut upgrading.early);
        let decoder = Decoder::new(Role::Server).with_deflate(upgrading.deflate);
        connection.session = Session::WebSocket(decoder);
        self.world.unmute(key);
        self.world.say(key, &response);
        self.service.opened(key, &mut Context::new(&mut self.world));
        self.understand(key, Input::new(&mut early));
    }

    /// A subscription that waited is known to every core now.
    pub(super) fn subscribed(&mut self, key: Key, topic: &TopicName) {
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        match &mut connection.session {
            Session::Greeting(greeting) => greeting.waiting = greeting.waiting.saturating_sub(1),
            Session::Upgrading(upgrading) => {
                upgrading.waiting = upgrading.waiting.saturating_sub(1);
                if upgrading.waiting == 0 {
                    self.attend(key, |worker| worker.begin(key));
                    self.resume(key);
                }
            }
            Session::WebSocket(_) => {
                let topic = topic.clone();
                self.attend(key, |worker| {
                    worker.service.subscribed(key, &topic, &mut Context::new(&mut worker.world));
                });
            }
            Session::Introducing(_)
            | Session::Arriving(_)
            | Session::Stream
            | Session::Finishing(_)
            | Session::Closing(..)
            | Session::Leaving(_)
            | Session::Lingering(_) => {}
        }
    }

    /// It is known who is at the other end: a stream begins, a request may. To be called while the
    /// connection is attended to, since a stream may be written to at once.
    pub(super) fn arrived(&mut self, key: Key) {
        self.world.wait(key, self.world.limits.request_ms_max);
        let Some(connection) = self.world.connections.get_mut(key) else { return };
        if let Session::Arriving(peer) = &connection.session {
            let peer = **peer;
            let identity = connection.guest.lend();
            self.connect(&Caller { key, peer, identity: identity.as_deref() });
        }
    }

    /// Asks the service whether it wants a stream, which may be written to meanwhile.
    fn connect(&mut self, caller: &Caller<'_>) {
        let Some(connection) = self.world.connections.get_mut(caller.key) else { return };
        connection.session = Session::Stream;
        self.world.metrics().streams_total.add(1);
        let state = self.service.connected(caller, &mut Context::new(&mut self.world));
        let Some(connection) = self.world.connections.get_mut(caller.key) else { return };
        match state {
            Some(state) => {
                connection.guest = Guest::Accepted(state);
                self.world.metrics.mine().established.add(1);
            }
            None => self.world.end(caller.key, &[], CloseReason::Unwanted),
        }
    }
}
