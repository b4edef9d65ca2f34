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
