//! The content of a response, however it is framed and however it is cut (RFC 9112 §6 and §7).
//!
//! ```text
//!   size CRLF ---> data ---> CRLF --+
//!    ^   |                          |
//!    |   +-- 0 --> trailers --> done
//!    +------------------------------+
//! ```
//!
//! Invariant: no byte behind the content is taken, and nothing of the content is kept.

use super::{ResponseFault, ResponseHead};
use crate::base::Input;

/// The size of a chunk with its extensions, or one field of the trailers.
const LINE_BYTES_MAX: usize = 4 * 1024;

/// Fields behind the last chunk. They are read and forgotten, so that few are patience enough.
const TRAILERS_MAX: u8 = 64;

/// Reads the content of one response.
#[derive(Debug)]
pub struct BodyReader {
    state: State,
    /// The front of a line that has not come whole.
    line: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// So many bytes are to come.
    Counted(u64),
    /// All that comes until the connection ends.
    Endless,
    /// A line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The end of the line behind a chunk.
    ChunkEnd,
    /// Fields behind the last chunk, of which so many have come.
    Trailers(u8),
    Done,
}

impl BodyReader {
    /// A reader of what follows `head`, which answers a `HEAD` or another request.
    ///
    /// # Errors
    ///
    /// [`ResponseFault::UncertainLength`] if two readers could disagree about where it ends,
    /// [`ResponseFault::UnknownCoding`] for a transfer coding that nobody asked for.
    pub fn new(head: &ResponseHead, answers_head: bool) -> Result<Self, ResponseFault> {
        let state = if answers_head || head.status().has_no_content() {
            State::Done
        } else {
            framing(head)?
        };
        Ok(Self { state, line: Vec::new() })
    }

    /// The next part of the content; nothing if more must come first, or all has come.
    pub fn next<'a>(&mut self, input: &mut Input<'a>) -> Result<Option<&'a [u8]>, ResponseFault> {
        while !self.is_done() && !input.is_empty() {
            match self.state {
                State::Counted(left) => {
                    let part = take(input, left);
                    self.state = State::Counted(left - part.len() as u64);
                    return Ok(Some(part));
                }
                State::Chunk(left) => {
                    let part = take(input, left);
                    self.state = match left - part.len() as u64 {
                        0 => State::ChunkEnd,
                        left => State::Chunk(left),
                    };
                    return Ok(Some(part));
                }
                State::Endless => return Ok(Some(input.take_all())),
                State::Size | State::ChunkEnd | State::Trailers(_) => self.next_line(input)?,
                State::Done => {}
            }
        }
        Ok(None)
    }

    /// Whether all has come.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done | State::Counted(0))
    }

    /// Whether the content ends by itself, so that another response may follow it.
    pub const fn is_delimited(&self) -> bool {
        !matches!(self.state, State::Endless)
    }

    /// Goes on with a line, if it is whole.
    fn next_line(&mut self, input: &mut Input<'_>) -> Result<(), ResponseFault> {
        let Some(line) = self.line(input)? else { return Ok(()) };
        self.state = match self.state {
            State::Size => match chunk_size(&line)? {
                0 => State::Trailers(0),
                size => State::Chunk(size),
            },
            State::ChunkEnd if line.is_empty() => State::Size,
            State::Trailers(_) if line.is_empty() => State::Done,
            State::Trailers(count) if count < TRAILERS_MAX => State::Trailers(count + 1),
            _ => return Err(ResponseFault::BadChunk),
        };
        Ok(())
    }

    /// Takes a line off `input`, and gives it without its end once it is whole.
    fn line(&mut self, input: &mut Input<'_>) -> Result<Option<Vec<u8>>, ResponseFault> {
        let len = input.rest().iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let part = input.take(len.unwrap_or(input.len()));
        if self.line.len() + part.len() > LINE_BYTES_MAX {
            return Err(ResponseFault::BadChunk);
        }
        self.line.extend_from_slice(part);
        if len.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        if !line.ends_with(b"\r\n") {
            return Err(ResponseFault::BadChunk);
        }
        line.truncate(line.len() - 2);
        Ok(Some(line))
    }
}

/// As much as there is of what is `left`.
fn take<'a>(input: &mut Input<'a>, left: u64) -> &'a [u8] {
    input.take(usize::try_from(left).unwrap_or(usize::MAX))
}

/// How the content of a response ends (RFC 9112 §6.3).
fn framing(head: &ResponseHead) -> Result<State, ResponseFault> {
    let mut codings = head.members("transfer-encoding");
    let mut lengths = head.members("content-length");
    let length = lengths.next();
    match (codings.next(), length) {
        (None, None) => Ok(State::Endless),
        (None, Some(digits)) if lengths.all(|other| other == digits) => counted(digits),
        (Some(coding), None) if head.minor_version() > 0 => {
            let is_chunked = coding.eq_ignore_ascii_case(b"chunked") && codings.next().is_none();
            is_chunked.then_some(State::Size).ok_or(ResponseFault::UnknownCoding)
        }
        _ => Err(ResponseFault::UncertainLength),
    }
}

fn counted(digits: &[u8]) -> Result<State, ResponseFault> {
    let is_number = digits.iter().all(u8::is_ascii_digit);
    let number = str::from_utf8(digits).ok().filter(|_| is_number);
    let len = number.and_then(|digits| digits.parse().ok());
    len.map(State::Counted).ok_or(ResponseFault::UncertainLength)
}

/// The size that a chunk begins with; what follows a `;` are extensions that nobody knows.
fn chunk_size(line: &[u8]) -> Result<u64, ResponseFault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    let number = str::from_utf8(digits).ok().filter(|_| is_number);
    let size = number.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    size.ok_or(ResponseFault::BadChunk)
}

#[cfg(test)]
mod tests {
    use super::super::ResponseReader;
    use super::*;

    /// The content that `pieces` make, whether it has ended, and what is left of the last piece.
    type Read = Result<(Vec<u8>, bool, usize), ResponseFault>;

    fn reader(head: &str, answers_head: bool) -> Result<BodyReader, ResponseFault> {
        let mut bytes = format!("{head}\r\n").into_bytes();
        let head = ResponseReader::default().next(&mut Input::new(&mut bytes), 8192)?.unwrap();
        BodyReader::new(&head, answers_head)
    }

    fn read(head: &str, pieces: &[&[u8]]) -> Read {
        let (mut reader, mut content, mut left) = (reader(head, false)?, Vec::new(), 0);
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = Input::new(&mut piece);
            while let Some(part) = reader.next(&mut input)? {
                assert!(!part.is_empty());
                content.extend_from_slice(part);
            }
            left += input.len();
        }
        Ok((content, reader.is_done(), left))
    }

    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n";
    const COUNTED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n";

    #[test]
    fn content_of_every_framing_is_the_same_at_every_split() {
        let chunks = b"5;name=\"v\"\r\nhello\r\n00006 \r\n world\r\n0\r\nA: b\r\nC: d\r\n\r\nnext";
        for (head, wire) in [(CHUNKED, &chunks[..]), (COUNTED, b"hello worldnext")] {
            for cut in 0..=wire.len() {
                let (front, back) = wire.split_at(cut);
                let expected = Ok((b"hello world".to_vec(), true, 4));
                assert_eq!(read(head, &[front, back]), expected, "{head} cut at {cut}");
            }
            let single: Vec<&[u8]> = wire.chunks(1).collect();
            assert_eq!(read(head, &single), Ok((b"hello world".to_vec(), true, 4)));
        }
        let endless = "HTTP/1.0 200 OK\r\n";
        assert_eq!(read(endless, &[b"hello", b" world"]), Ok((b"hello world".to_vec(), false, 0)));
        assert!(!reader(endless, false).unwrap().is_delimited());
    }

    #[test]
    fn what_has_no_content_is_done_at_once() {
        for head in ["HTTP/1.1 204 No Content\r\n", "HTTP/1.1 304 Not Modified\r\n"] {
            assert!(reader(&format!("{head}Content-Length: 5\r\n"), false).unwrap().is_done());
        }
        assert!(reader(COUNTED, true).unwrap().is_done());
        assert!(reader("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false).unwrap().is_done());
        assert!(!reader(COUNTED, false).unwrap().is_done());
    }

    #[test]
    fn a_length_that_is_not_certain_is_refused() {
        let uncertain = ResponseFault::UncertainLength;
        for (fields, fault) in [
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", uncertain),
            ("Content-Length: 5\r\nContent-Length: 6\r\n", uncertain),
            ("Content-Length: 5, 6\r\n", uncertain),
            ("Content-Length: +5\r\n", uncertain),
            ("Content-Length: 18446744073709551616\r\n", uncertain),
            ("Transfer-Encoding: gzip, chunked\r\n", ResponseFault::UnknownCoding),
            ("Transfer-Encoding: gzip\r\n", ResponseFault::UnknownCoding),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\n{fields}");
            assert_eq!(reader(&head, false).err(), Some(fault), "{fields}");
        }
        let old = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(reader(old, false).err(), Some(uncertain), "chunks came with HTTP/1.1");
        assert!(reader("HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n", false).is_ok());
    }

    #[test]
    fn a_chunk_that_breaks_a_rule_is_refused() {
        let long = format!("1;{}\r\n", "x".repeat(LINE_BYTES_MAX));
        let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(usize::from(TRAILERS_MAX) + 1));
        for wire in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "1\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            ";\r\n",
            " 1\r\n",
            "10000000000000000\r\n",
            &long,
            &many,
        ] {
            let wire = wire.as_bytes();
            assert_eq!(read(CHUNKED, &[wire]), Err(ResponseFault::BadChunk), "{wire:?}");
        }
    }

    #[test]
    fn lines_may_be_as_long_and_trailers_as_many_as_the_limits() {
        let long = format!("0;{}\r\n\r\n", "x".repeat(LINE_BYTES_MAX - 4));
        let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(usize::from(TRAILERS_MAX)));
        for wire in [long, many] {
            assert_eq!(read(CHUNKED, &[wire.as_bytes()]), Ok((Vec::new(), true, 0)));
        }
    }
}
