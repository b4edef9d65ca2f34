//! The face of the library: what a server does with its connections.

use super::Context;
use crate::base::Key;
use crate::http::{RequestHead, Response, Status};
use crate::hub::TopicName;
use crate::session::{CloseReason, Peer};
use crate::tls::Identity;
use crate::ws::{Message, handshake};

/// What a server does with its connections: one value a core, never shared, called on that core
/// only.
///
/// A connection asks [`upgrade`](Self::upgrade) first. If it is accepted, `opened` follows, then
/// any number of `message`s, then `closed`, once, whatever the reason. One that ends while its
/// answer is held back is `closed` without having been `opened`.
pub trait Service: Sized {
    /// What the service keeps for each connection, next to it: [`Context::state`] finds it.
    type State;

    /// A request asks for a WebSocket: accept it, or answer it otherwise.
    ///
    /// What is subscribed to in here is known to every core before the peer sees the answer.
    fn upgrade(
        &mut self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Self::State>,
    ) -> Verdict<Self::State>;

    /// A plain HTTP request has announced a body: whether it may come. Until this agrees, nothing
    /// of it is read; a refusal is answered at once and ends the connection.
    ///
    /// Here is the place to ask who it is, so that strangers cost no more than the head of a
    /// request. Who waits to be told to go on (RFC 9110 §10.1.1) is told.
    ///
    /// # Errors
    ///
    /// The answer to a request whose body is not wanted.
    fn expect(
        &mut self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Self::State>,
    ) -> Result<(), Response> {
        let _ = (request, cx);
        Ok(())
    }

    /// A plain HTTP request, whole.
    fn request(&mut self, request: &Incoming<'_>, cx: &mut Context<'_, Self::State>) -> Response {
        let _ = (request, cx);
        Response::new(Status::NOT_FOUND)
    }

    /// A WebSocket is open: its 101 is on the way.
    fn opened(&mut self, key: Key, cx: &mut Context<'_, Self::State>) {
        let _ = (key, cx);
    }

    /// A whole message has arrived.
    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, Self::State>);

    /// A subscription that [`Context::subscribe`] left waiting has been heard of on every core:
    /// nothing that is accepted from now on is missed.
    fn subscribed(&mut self, key: Key, topic: &TopicName, cx: &mut Context<'_, Self::State>) {
        let _ = (key, topic, cx);
    }

    /// A byte stream begins, on a listener with [`Speech::Stream`](super::Speech::Stream): its TLS
    /// is established, nothing of it has been read. `None` sends it away.
    ///
    /// What follows are any number of `bytes`, then `closed`, once.
    fn connected(
        &mut self,
        caller: &Caller<'_>,
        cx: &mut Context<'_, Self::State>,
    ) -> Option<Self::State> {
        let _ = (caller, cx);
        None
    }

    /// Bytes of a stream have arrived, in order and cut anywhere.
    ///
    /// When the peer has ended its direction, what waits for it still leaves, and then the stream
    /// ends.
    fn bytes(&mut self, key: Key, bytes: &[u8], cx: &mut Context<'_, Self::State>) {
        let _ = (key, bytes, cx);
    }

    /// A WebSocket that was accepted, or a stream, is gone. Its key names nothing any more.
    fn closed(
        &mut self,
        key: Key,
        state: Self::State,
        reason: CloseReason,
        cx: &mut Context<'_, Self::State>,
    ) {
        let _ = (key, state, reason, cx);
    }
}

/// A request, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Incoming<'a> {
    /// The connection it came on, which stays the same when it becomes a WebSocket.
    pub key: Key,
    /// Method, target and headers.
    pub head: &'a RequestHead,
    /// The body; empty for an upgrade, and while it is only expected.
    pub body: &'a [u8],
    /// Where it comes from.
    pub peer: Peer,
    /// Who the peer has proved to be by a certificate that a listener asked for. A connection that
    /// becomes a WebSocket forgets it: what the service needs later belongs into its state.
    pub identity: Option<&'a Identity>,
}

/// A byte stream that begins, and whose it is.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The connection.
    pub key: Key,
    /// Where it comes from.
    pub peer: Peer,
    /// Who is at its other end, as far as that has been proved; it is forgotten after the call.
    pub identity: Option<&'a Identity>,
}

impl Incoming<'_> {
    /// The first of `supported`, which are in our order of preference, that the peer offers too
    /// (RFC 6455 §4.2.2).
    pub fn subprotocol(&self, supported: &[String]) -> Option<String> {
        handshake::choose_subprotocol(self.head, supported).map(str::to_owned)
    }
}

/// What becomes of a request for a WebSocket.
#[derive(Debug)]
pub enum Verdict<T> {
    /// It becomes one.
    Accept {
        /// What the service keeps for it.
        state: T,
        /// The subprotocol both will speak: one that the peer offered.
        subprotocol: Option<String>,
    },
    /// It does not, and the connection ends with this answer.
    Refuse(Response),
}

impl<T> Verdict<T> {
    /// Accepts without a subprotocol.
    pub const fn accept(state: T) -> Self {
        Self::Accept { state, subprotocol: None }
    }
}
