//! Requests and their answers, one after the other, over one connection where that can be.

use std::io::Write;

use super::connection::{BACKLOG_BYTES_MAX, Connection, Dialer, End};
use super::failure::{Awaited, Failure};
use super::url::Url;
use crate::http::{BodyReader, Request, ResponseFault, ResponseHead, ResponseReader, Status};

/// The longest head of an answer. Policies and cookies make some long.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Answers before the answer (RFC 9110 §15.2), which nobody needs many of.
const INTERIM_MAX: u32 = 16;

/// How much of a body is sent at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What is asked, of whichever server.
#[derive(Clone, Debug)]
pub struct Question {
    /// What is asked to be done; a token.
    pub method: String,
    /// Fields besides those that the client needs.
    pub headers: Vec<(String, String)>,
    /// The content.
    pub body: Option<Vec<u8>>,
    /// Whether the head of the answer is wanted, too.
    pub wants_head: bool,
}

impl Question {
    /// Whether asking twice does what asking once does (RFC 9110 §9.2.2).
    fn is_idempotent(&self) -> bool {
        matches!(&*self.method, "GET" | "HEAD" | "PUT" | "DELETE" | "OPTIONS" | "TRACE")
    }
}

/// Asks servers, and keeps the connection to the last one as long as it serves.
pub struct Asker {
    dialer: Dialer,
    idle: Option<(Url, Connection)>,
}

impl Asker {
    /// One that has asked nobody yet.
    pub const fn new(dialer: Dialer) -> Self {
        Self { dialer, idle: None }
    }

    /// Asks `question` of `url`, and writes the answer to `output` as it comes. `connected` is told
    /// of each connection that had to be made.
    ///
    /// A connection that served before may have ended just now. Then what may be asked twice is
    /// asked once more, over a new one (RFC 9112 §9.3.1).
    ///
    /// # Errors
    ///
    /// Why there is no answer, or not all of it. A refusal is an answer.
    pub fn ask(
        &mut self,
        url: &Url,
        question: &Question,
        output: &mut dyn Write,
        connected: &mut dyn FnMut(&Connection),
    ) -> Result<Status, Failure> {
        let idle = self.idle.take().filter(|(origin, _)| origin.has_origin_of(url));
        if let Some((_, mut connection)) = idle
            && connection.is_fit()
        {
            match self.ask_over(connection, url, question, output) {
                Err(Failure::Unanswered) if question.is_idempotent() => {}
                outcome => return outcome,
            }
        }
        let connection = Connection::open(url, &self.dialer)?;
        connected(&connection);
        self.ask_over(connection, url, question, output)
    }

    fn ask_over(
        &mut self,
        mut connection: Connection,
        url: &Url,
        question: &Question,
        output: &mut dyn Write,
    ) -> Result<Status, Failure> {
        let mut pending = Pending::send(&mut connection, url, question)?;
        let head = pending.head(&mut connection)?;
        if question.wants_head {
            output.write_all(head.as_bytes()).map_err(Failure::Local)?;
        }
        let mut body = BodyReader::new(&head, question.method == "HEAD")?;
        pending.body(&mut connection, &mut body, output)?;
        let is_reusable = head.keep_alive() && body.is_delimited() && pending.is_sent();
        if is_reusable && connection.end().is_none() {
            self.idle = Some((url.clone(), connection));
        } else if pending.is_sent() {
            connection.finish();
            // It has said all it had to; whether it hears that we leave is its own affair.
            let _ = connection.drain();
        }
        Ok(head.status())
    }
}

/// A question whose answer has not come whole.
struct Pending<'a> {
    /// What of the body is not on its way yet.
    unsent: &'a [u8],
}

impl<'a> Pending<'a> {
    /// Sends the head of `question`, and remembers its body.
    fn send(
        connection: &mut Connection,
        url: &Url,
        question: &'a Question,
    ) -> Result<Self, Failure> {
        let mut bytes = Vec::new();
        let request = Request {
            method: &question.method,
            target: &url.target,
            authority: &url.authority(),
            headers: &question.headers,
            body: question.body.as_deref(),
        };
        request.encode(&mut bytes);
        connection.send(&bytes)?;
        Ok(Self { unsent: question.body.as_deref().unwrap_or_default() })
    }

    const fn is_sent(&self) -> bool {
        self.unsent.is_empty()
    }

    /// Goes on sending and waiting, for as long as something moves in time.
    ///
    /// The server may answer while the body is still being sent, so both go on at once.
    fn advance(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        while connection.backlog() < BACKLOG_BYTES_MAX && !self.unsent.is_empty() {
            let (piece, unsent) = self.unsent.split_at(self.unsent.len().min(PIECE_BYTES));
            connection.send(piece)?;
            self.unsent = unsent;
        }
        let awaited = if connection.backlog() > 0 { Awaited::Reader } else { Awaited::Answer };
        connection.advance(connection.deadline(), awaited)
    }

    /// The head of the answer, behind those that only announce it.
    fn head(&mut self, connection: &mut Connection) -> Result<ResponseHead, Failure> {
        let mut reader = ResponseReader::default();
        let mut has_begun = false;
        for _ in 0..=INTERIM_MAX {
            let head = loop {
                let head = connection.take(|input| {
                    has_begun |= !input.is_empty();
                    reader.next(input, HEAD_BYTES_MAX)
                })?;
                if let Some(head) = head {
                    break head;
                }
                if connection.end().is_some() {
                    return Err(if has_begun { Failure::Unfinished } else { Failure::Unanswered });
                }
                self.advance(connection).map_err(|failure| match failure {
                    Failure::Broken(_) if !has_begun => Failure::Unanswered,
                    failure => failure,
                })?;
            };
            match head.status() {
                Status::SWITCHING_PROTOCOLS => return Err(Failure::Switched),
                Status(100..200) => {}
                _ => return Ok(head),
            }
        }
        Err(Failure::Response(ResponseFault::TooManyInterim))
    }

    /// Writes the content of the answer to `output`.
    fn body(
        &mut self,
        connection: &mut Connection,
        body: &mut BodyReader,
        output: &mut dyn Write,
    ) -> Result<(), Failure> {
        loop {
            connection.take(|input| {
                while let Some(part) = body.next(input)? {
                    output.write_all(part).map_err(Failure::Local)?;
                }
                output.flush().map_err(Failure::Local)
            })?;
            if body.is_done() {
                return Ok(());
            }
            match connection.end() {
                None => self.advance(connection)?,
                Some(End::Proper) if !body.is_delimited() => return Ok(()),
                Some(End::Truncated) if !body.is_delimited() => return Err(Failure::Truncated),
                Some(_) => return Err(Failure::Unfinished),
            }
        }
    }
}
