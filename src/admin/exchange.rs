//! One connection to the control plane: a request, an answer, the end.

use std::io::{self, ErrorKind};
use std::time::Instant;

use crate::base::{Input, Stream};
use crate::http::{Limits, Method, Reader, Refusal, RequestHead, Response};

/// Longer than the head of any scraper or probe; nothing here takes a body.
const LIMITS: Limits =
    Limits { head_bytes_max: 8 * 1024, headers_max: 64, target_bytes_max: 1024, body_bytes_max: 0 };

/// A connection, and until when it may last.
#[derive(Debug)]
pub(super) struct Exchange<S> {
    stream: S,
    state: State,
    deadline: Instant,
}

#[derive(Debug)]
enum State {
    Asking(Reader),
    /// The bytes that have not been written yet.
    Answering(Vec<u8>),
}

/// Whether an exchange has something left to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub(super) enum Progress {
    /// It waits for its peer.
    Waiting,
    /// All has been said, or nobody is there to hear it.
    Over,
}

impl<S: Stream> Exchange<S> {
    pub(super) fn new(stream: S, deadline: Instant) -> Self {
        Self { stream, state: State::Asking(Reader::default()), deadline }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Reads and writes until the stream would block.
    pub(super) fn progress(&mut self, answer: impl Fn(&RequestHead) -> Response) -> Progress {
        match self.run(answer) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Progress::Waiting,
            Ok(()) | Err(_) => Progress::Over,
        }
    }

    fn run(&mut self, answer: impl Fn(&RequestHead) -> Response) -> io::Result<()> {
        let mut bytes = [0; 2048];
        loop {
            match &mut self.state {
                State::Asking(reader) => {
                    let len = self.stream.read(&mut bytes)?;
                    let arrived = bytes.get_mut(..len).unwrap_or_default();
                    if arrived.is_empty() {
                        return Ok(());
                    }
                    let request = reader.next(&mut Input::new(arrived), &LIMITS);
                    if let Some(bytes) = encode(request, &answer) {
                        self.state = State::Answering(bytes);
                    }
                }
                State::Answering(bytes) if bytes.is_empty() => return self.stream.finish(),
                State::Answering(bytes) => match self.stream.write(bytes)? {
                    0 => return Err(ErrorKind::WriteZero.into()),
                    len => drop(bytes.drain(..len)),
                },
            }
        }
    }
}

/// The answer to what was asked, as it will be written, once it has been asked.
fn encode(
    request: Result<Option<(RequestHead, Vec<u8>)>, Refusal>,
    answer: impl Fn(&RequestHead) -> Response,
) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    match request {
        Ok(None) => return None,
        Ok(Some((head, _))) => {
            answer(&head).encode(head.method() == Method::Head, true, &mut bytes);
        }
        Err(refusal) => refusal.response().encode(false, true, &mut bytes),
    }
    Some(bytes)
}
