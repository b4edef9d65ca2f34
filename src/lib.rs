//! corecast holds very many long-lived TLS and WebSocket connections on few cores and pushes
//! messages to them.
//!
//! Each core runs one pinned loop (epoll, kqueue) that owns its connections outright. Cores talk
//! through bounded crossbeam channels; there is no async runtime, and no lock on the path of a
//! message.
//!
//! **The promise**: *at most once; on one connection the publications of a topic arrive in order;
//! no silent loss: a subscriber sees consecutive offsets, or an explicit gap, or a close with a
//! named reason.* Everything lives in memory; nothing survives a crash.
//!
//! # Five decisions that shape everything
//!
//! 1. **A worker is a pure machine.** All that a core does is [`worker::Worker`], generic over its
//!    stream, without a clock, a thread or a system call of its own: the time and the seed of its
//!    randomness are arguments. [`reactor`] drives it in production; a simulation drives the same
//!    code over pipes in memory and a clock that jumps (`tests/sim`).
//! 2. **Sessions know bytes, the hub knows topics, a service knows what is wanted.** A
//!    [`session`] turns bytes into actions that borrow the input; the worker hands them to its
//!    [`worker::Service`] with a [`worker::Context`] through which it sends, subscribes and
//!    publishes. `corecast serve` is one service ([`push`]); yours is another.
//! 3. **At most one hop.** A publication crosses threads once, from the core it arrived on to each
//!    core that has subscribers. There is no acceptor thread and no broker thread in the path.
//! 4. **Encode once.** A publication becomes its final frame where it arrives; all subscribers of
//!    all cores share those bytes.
//! 5. **Idle connections own no buffers.** Reading, decrypting and gathering use the core's
//!    scratch; only what is unfinished is kept, and freed when it is finished.
//!
//! # The life of a byte
//!
//! ```text
//!  core A                                            core B
//!  epoll: ready(key)                                 epoll: eventfd, or awake already
//!    read(2) into scratch           system call 1      turn: mailbox (bounded)
//!    Tls::open      decrypts in place                    Hub::receive
//!    ws::Decoder    unmasks in place, checks UTF-8       Hub::deliver -> local subscribers
//!    Service::message borrows the scratch                Outbox::offer   (a count, no copy)
//!    Context::publish                                  flush, for each dirty connection
//!      Shared::from_parts        the one allocation      Outbox::gather  (the one copy)
//!      Hub::publish -> local subscribers                 Tls::seal       (TLS only)
//!      Staging::stage -> other cores                     write(2)        system call 2
//!    flush; one batch for each core ----- HOP ----->     what is left stays in the outbox
//! ```
//!
//! # The layers
//!
//! A module imports from those above it in this table only; `tests/tidy.rs` holds it.
//!
//! | module | what it is | imports |
//! |---|---|---|
//! | [`base`] | nouns without a domain: bytes, events, keys, time | nothing |
//! | [`http`] | HTTP/1.1: requests, answers | base |
//! | [`proxy`] | what a proxy says of its client, and which proxies are believed | base |
//! | [`tls`] | TLS as `open`, `seal`, `close`; certificates | base |
//! | [`reactor`] | the operating system: poll, sockets, affinity, files, signals | base |
//! | [`ws`] | WebSocket (RFC 6455 and 7692), both sides | base, http |
//! | [`hub`] | publish and subscribe on one core | base |
//! | [`session`] | what a peer is saying | base, http, proxy, ws |
//! | [`worker`] | one core's world, and the way to the others | all above but the reactor |
//! | [`push`] | the service that `corecast serve` runs | base, http, ws, names of hub and worker |
//! | [`admin`] | metrics and health, on a thread of its own | base, http, worker's metrics |
//! | [`config`] | as written, as meant | base, http, proxy, what TLS is told, limits of worker |
//! | [`client`] | the other side: a small blocking client | base, http, tls, ws |
//! | [`server`] | starts and joins the threads; the way in for users of the library | all |
//!
//! # Where this leaves the plan it started from
//!
//! - A [`base::Handler`] is told where a stream comes from ([`base::Origin`]), may refuse to sleep
//!   (`may_sleep`, the mailbox's half of the wake protocol), and hears of connections that could
//!   not begin.
//! - A stream can end its writing direction ([`base::Stream`]): a socket that is dropped with
//!   unread bytes resets, and a reset may overtake our last answer. So a connection lingers.
//! - A service keeps a value of its own for each connection ([`worker::Service::State`]), which
//!   costs no look-up.

pub mod admin;
pub mod base;
pub mod client;
pub mod config;
pub mod http;
pub mod hub;
pub mod proxy;
pub mod push;
pub mod reactor;
pub mod server;
pub mod session;
pub mod tls;
pub mod worker;
pub mod ws;
