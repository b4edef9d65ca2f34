//! The head of a response, as our own client reads it.

use super::Status;
use super::head::{Fields, Gather, HeadFault};
use crate::base::Input;

/// A server needs few fields; one that sends more than this is not the one that was meant.
const HEADERS_MAX: usize = 64;

/// Why the bytes of a server are no response.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ResponseFault {
    /// The bytes are no HTTP/1.1 response.
    Malformed,
    /// The head is longer than was allowed, or has too many fields.
    OversizedHead,
}

impl From<HeadFault> for ResponseFault {
    fn from(fault: HeadFault) -> Self {
        match fault {
            HeadFault::BareLineFeed => Self::Malformed,
            HeadFault::LongFirstLine | HeadFault::LongHead => Self::OversizedHead,
        }
    }
}

/// Everything a response says before its content. Owns its bytes.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    status: Status,
    fields: Fields,
}

impl ResponseHead {
    /// Reads a whole head, which ends with its empty line.
    fn parse(bytes: Vec<u8>) -> Result<Self, ResponseFault> {
        let mut slots = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Response::new(&mut slots);
        match parsed.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ResponseFault::OversizedHead),
            Ok(httparse::Status::Partial) | Err(_) => return Err(ResponseFault::Malformed),
        }
        let status = Status(parsed.code.unwrap_or_default());
        let spans = Fields::locate(&bytes, parsed.headers);
        Ok(Self { status, fields: Fields::new(bytes, spans) })
    }

    /// How the request fared.
    pub fn status(&self) -> Status {
        self.status
    }

    /// The values of all fields of that name, which is compared without regard to case.
    pub fn headers_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.all(name)
    }

    /// Whether the list `name` has the member `token`, without regard to case.
    pub fn has_member(&self, name: &str, token: &str) -> bool {
        self.fields.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }
}

/// Reads the head of a response, however it is cut.
#[derive(Debug, Default)]
pub struct ResponseReader {
    head: Gather,
}

impl ResponseReader {
    /// The head once it is whole. What follows it stays in `input`.
    pub fn next(
        &mut self,
        input: &mut Input<'_>,
        head_bytes_max: usize,
    ) -> Result<Option<ResponseHead>, ResponseFault> {
        self.head.next(input, head_bytes_max)?.map(ResponseHead::parse).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(head: &str, max: usize) -> Result<Option<ResponseHead>, ResponseFault> {
        ResponseReader::default().next(&mut Input::new(&mut head.as_bytes().to_vec()), max)
    }

    #[test]
    fn a_head_is_read_and_what_follows_is_left() {
        let mut bytes = b"HTTP/1.1 404 Not here\r\nA: x, Y\r\na: z\r\n\r\nrest".to_vec();
        let mut input = Input::new(&mut bytes);
        let head = ResponseReader::default().next(&mut input, 100).unwrap().unwrap();
        assert_eq!((head.status(), input.rest()), (Status::NOT_FOUND, &b"rest"[..]));
        assert_eq!(head.headers_of("a").count(), 2);
        assert!(head.has_member("A", "y") && head.has_member("A", "z"));
        assert!(!head.has_member("A", "x, y"));
    }

    #[test]
    fn a_head_that_breaks_a_rule_is_refused() {
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(HEADERS_MAX + 1));
        let table = [
            ("HTTP/2 200\r\n\r\n", ResponseFault::Malformed),
            ("GET / HTTP/1.1\r\n\r\n", ResponseFault::Malformed),
            ("HTTP/1.1 200 OK\nA: b\r\n\r\n", ResponseFault::Malformed),
            (&*many, ResponseFault::OversizedHead),
        ];
        for (head, fault) in table {
            assert_eq!(read(head, 8192).err(), Some(fault), "{head:?}");
        }
        let head = "HTTP/1.1 200 OK\r\n\r\n";
        assert!(read(head, head.len()).unwrap().is_some());
        assert_eq!(read(head, head.len() - 1).err(), Some(ResponseFault::OversizedHead));
    }
}
