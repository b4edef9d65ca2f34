//! A service that fails, over real sockets: whoever it was serving is lost with a word, nobody else
//! notices, and operators are told.

#[allow(clippy::disallowed_types)] // the log of a test is written by all threads
use std::sync::Mutex;
use std::sync::PoisonError;

use corecast::base::Key;
use corecast::http::{Response, Status};
use corecast::worker::{Context, Incoming, Limits, Service, Verdict};
use corecast::ws::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, Via, connect, get};
use crate::house::House;

/// Echoes, and fails where it is asked to.
struct Subject;

impl Service for Subject {
    type State = ();

    fn upgrade(&mut self, request: &Incoming<'_>, _: &mut Context<'_, ()>) -> Verdict<()> {
        assert_ne!(request.head.path(), "/panic", "asked for");
        Verdict::accept(())
    }

    fn request(&mut self, request: &Incoming<'_>, _: &mut Context<'_, ()>) -> Response {
        assert_ne!(request.head.path(), "/panic", "asked for");
        Response::new(Status::NO_CONTENT)
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Context<'_, ()>) {
        assert_ne!(message.payload(), b"panic", "asked for");
        let _ = cx.send(key, message);
    }
}

/// What was logged as an error.
struct Log;

#[allow(clippy::disallowed_types)] // see above
static LINES: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Log {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() == log::Level::Error
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
            lines.push(record.args().to_string());
        }
    }

    fn flush(&self) {}
}

#[test]
fn a_panic_costs_the_connection_that_was_served_and_nobody_else() {
    log::set_logger(&Log).unwrap();
    log::set_max_level(log::LevelFilter::Error);
    let house = House::serving(2, Limits::default(), |_| Subject);
    let mut good: Vec<_> =
        house.vias().iter().flat_map(|via| (0..8).map(|_| house.client(via, "/echo"))).collect();
    let mut panics = 0;
    for via in house.vias() {
        for _ in 0..3 {
            let mut talker = house.client(via, "/echo");
            assert!(talker.is_echoed("before"));
            talker.say("panic");
            let frame = talker.closed();
            assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Error, "internal error"));
            let refused = Client::over(connect(house.address(via)), via, "/panic");
            assert!(refused.err().unwrap().contains("500"), "{via:?}");
            panics += 2;
            assert!(good.iter_mut().all(|client| client.is_echoed("still here")), "{via:?}");
        }
    }
    let answer = get(house.address(&Via::Plain), "/panic");
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    panics += 1;
    assert!(good.iter_mut().all(|client| client.is_echoed("at the end")));
    house.await_count("panics_total", panics);
    house.await_count("connections_closed_total{reason=\"panicked\"}", panics);
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let told = "a connection was lost to a panic while it was served";
    assert!(lines.iter().any(|line| line.starts_with(told)), "{lines:?}");
}
