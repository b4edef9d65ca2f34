//! The service that `corecast serve` runs.
//!
//! ```text
//! GET  /              a page: hello, the live number of connections, the topic `demo`
//! GET  /connections   {"connections": 42, "established": 40}
//! ws   /echo          sends back what it gets
//! ws   /topics/NAME   subscribes; what a client sends is published to all, itself included
//! POST /topics/NAME   publishes the body: text or JSON as text, octets as binary
//! a byte stream       is welcomed, and sent back what it sends
//! ```
//!
//! It is a user of [`Service`] like any other. What decides stands in functions of their own, which
//! take a request and give an answer; here is only what they lead to.

mod access;
mod publication;
mod routes;

use std::sync::Arc;

use crate::base::Key;
use crate::http::{Origins, Response, Status};
use crate::hub::TopicName;
use crate::worker::{Caller, Context, Incoming, Service, Verdict};
use crate::ws::{CloseCode, Message};

pub use access::{PublishKey, Publishers};

use routes::{Route, Wish, refuse};

/// The page for people. It asks nobody else for anything, and says so.
const PAGE: &str = include_str!("page.html");

/// What every byte stream is told first.
const WELCOME: &[u8] = b"welcome!\n";

/// What the page may do: run its own script and talk to us.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; \
    script-src 'unsafe-inline'; img-src data:; connect-src 'self' ws: wss:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

/// What an operator decides about the service.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The WebSocket subprotocols we speak, the preferred one first.
    pub subprotocols: Vec<String>,
    /// The bearer token that lets other machines publish by POST.
    pub publish_key: Option<PublishKey>,
    /// The names in their certificates by which clients may publish, by POST and WebSocket.
    pub publish_identities: Vec<String>,
    /// Which WebSocket clients may publish.
    pub publishers: Publishers,
    /// Whose pages may open a WebSocket and publish by POST.
    pub origins: Origins,
}

/// Topics, and an echo: one value a core.
#[derive(Debug)]
pub struct Push {
    settings: Arc<Settings>,
}

/// What a WebSocket or a byte stream is here for.
#[derive(Debug)]
pub enum Purpose {
    /// To hear itself.
    Echo,
    /// To hear a topic.
    Topic {
        /// Its name.
        topic: TopicName,
        /// Whether it may speak there, too.
        may_publish: bool,
    },
}

impl Push {
    /// A service for one core.
    pub const fn new(settings: Arc<Settings>) -> Self {
        Self { settings }
    }

    fn subscribe(
        &self,
        topic: TopicName,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Purpose>,
    ) -> Result<Purpose, Response> {
        // Whether it counts already is of no concern here: the answer waits until it does.
        match cx.subscribe(request.key, &topic) {
            Ok(_) => {
                let may_publish = self.is_known_publisher(request)
                    || self.settings.publishers.admit(request.peer.address, request.head);
                Ok(Purpose::Topic { topic: cx.own_name(topic), may_publish })
            }
            Err(_) => Err(refuse(Status::UNAVAILABLE, "there are too many subscriptions")),
        }
    }

    fn purpose(
        &self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Purpose>,
    ) -> Result<Purpose, Response> {
        match Route::find(request.head.path())? {
            Route::Echo => Ok(Purpose::Echo),
            Route::Topic(topic) => self.subscribe(topic, request, cx),
            Route::Page | Route::Connections => {
                Err(refuse(Status::NOT_FOUND, "WebSockets are at /echo and /topics/NAME"))
            }
        }
    }

    fn publish(
        &self,
        topic: &TopicName,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Purpose>,
    ) -> Result<Response, Response> {
        self.check_publisher(request)?;
        cx.publish(topic, publication::message(request.head, request.body)?);
        Ok(publication::accepted(topic, request.body))
    }

    /// Whether a body that is announced is wanted, and its sender may send one.
    fn agree(&self, request: &Incoming<'_>) -> Result<(), Response> {
        match Wish::read(request.head)? {
            Wish::Page | Wish::Connections => {
                Err(refuse(Status::BAD_REQUEST, "a body means nothing here"))
            }
            Wish::Publish(_) => {
                self.check_publisher(request)?;
                publication::check_type(request.head)
            }
        }
    }

    /// Whether the sender of a body may publish it.
    fn check_publisher(&self, request: &Incoming<'_>) -> Result<(), Response> {
        access::check_origin(request.head, request.peer.secure, &self.settings.origins)?;
        if self.is_known_publisher(request) {
            return Ok(());
        }
        let key = self.settings.publish_key.as_ref();
        access::check_post(request.peer.address, request.head, key)
    }

    /// Whether the peer has proved to be somebody who may publish. A browser proves it for pages of
    /// other sites too, so they do not count.
    fn is_known_publisher(&self, request: &Incoming<'_>) -> bool {
        let names = &self.settings.publish_identities;
        let is_known =
            request.identity.is_some_and(|identity| names.iter().any(|name| identity.is(name)));
        is_known && !access::is_page_of_another_site(request.head)
    }

    fn answer(
        &self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Purpose>,
    ) -> Result<Response, Response> {
        match Wish::read(request.head)? {
            Wish::Page => Ok(page()),
            Wish::Connections => Ok(count(cx.connections(), cx.established())),
            Wish::Publish(topic) => self.publish(&topic, request, cx),
        }
    }
}

impl Service for Push {
    type State = Purpose;

    fn upgrade(
        &mut self,
        request: &Incoming<'_>,
        cx: &mut Context<'_, Purpose>,
    ) -> Verdict<Purpose> {
        let subprotocol = request.subprotocol(&self.settings.subprotocols);
        let purpose =
            access::check_origin(request.head, request.peer.secure, &self.settings.origins)
                .and_then(|()| self.purpose(request, cx));
        match purpose {
            Ok(state) => Verdict::Accept { state, subprotocol },
            Err(response) => Verdict::Refuse(response),
        }
    }

    fn expect(
        &mut self,
        request: &Incoming<'_>,
        _: &mut Context<'_, Purpose>,
    ) -> Result<(), Response> {
        self.agree(request)
    }

    fn request(&mut self, request: &Incoming<'_>, cx: &mut Context<'_, Purpose>) -> Response {
        self.answer(request, cx).unwrap_or_else(|refusal| refusal)
    }

    fn connected(&mut self, caller: &Caller<'_>, cx: &mut Context<'_, Purpose>) -> Option<Purpose> {
        let address = caller.peer.address;
        match caller.identity {
            Some(identity) => log::info!("stream from {address}: authorized: {identity}"),
            None => log::info!("stream from {address}: unauthorized"),
        }
        // The first bytes of an outbox find room; and who were too slow for them had its end.
        let _ = cx.write(caller.key, WELCOME);
        Some(Purpose::Echo)
    }

    fn bytes(&mut self, key: Key, bytes: &[u8], cx: &mut Context<'_, Purpose>) {
        let _ = cx.write(key, bytes);
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, Purpose>) {
        match cx.state(key) {
            // Who does not read its own echo is closed as any slow reader; nothing is left to do.
            Some(Purpose::Echo) => drop(cx.send(key, message)),
            Some(Purpose::Topic { topic, may_publish: true }) => {
                let topic = topic.clone();
                cx.publish(&topic, message);
            }
            Some(Purpose::Topic { may_publish: false, .. }) => {
                cx.close(key, CloseCode::POLICY, "clients may not publish here");
            }
            None => {}
        }
    }
}

fn page() -> Response {
    Response::html(Status::OK, PAGE)
        .with_header("Cache-Control", "no-cache")
        .with_header("Content-Security-Policy", PAGE_POLICY)
        .with_header("X-Content-Type-Options", "nosniff")
}

/// All connections, the one that asks among them, and those that are no plain HTTP.
fn count(connections: u64, established: u64) -> Response {
    let body = serde_json::json!({ "connections": connections, "established": established });
    Response::json(Status::OK, format!("{body}\n")).with_header("Cache-Control", "no-store")
}

#[cfg(test)]
mod testing {
    //! What the tests of this module share.

    use crate::base::Input;
    use crate::http::{Limits, Reader, RequestHead};

    /// The head that `text` is.
    pub(super) fn head(text: &str) -> RequestHead {
        let mut bytes = text.as_bytes().to_vec();
        let (head, _) = Reader::default()
            .next(&mut Input::new(&mut bytes), &Limits::default())
            .expect("a request that is none")
            .expect("a request that does not end");
        head
    }
}
