//! Requests as our own client writes them, and the heads of responses as it reads them.

use std::fmt;

use super::head::{Fields, Gather, HeadFault};
use super::response::line;
use super::{Status, field};
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
    /// Two readers could disagree about where the content ends (RFC 9112 §6.3).
    UncertainLength,
    /// The content comes in a transfer coding that nobody asked for.
    UnknownCoding,
    /// A chunk of the content breaks the grammar (RFC 9112 §7.1).
    BadChunk,
    /// One answer after the other only announces the answer (RFC 9110 §15.2).
    TooManyInterim,
}

impl fmt::Display for ResponseFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "its answer is no HTTP/1.1",
            Self::OversizedHead => "the head of its answer is too large",
            Self::UncertainLength => "the length of its answer is not certain",
            Self::UnknownCoding => "its answer comes in a transfer coding that nobody asked for",
            Self::BadChunk => "its answer comes in chunks that break the rules",
            Self::TooManyInterim => "it announces its answer again and again",
        })
    }
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
    minor_version: u8,
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
        let minor_version = parsed.version.unwrap_or_default();
        let spans = Fields::locate(&bytes, parsed.headers);
        Ok(Self { status, minor_version, fields: Fields::new(bytes, spans) })
    }

    /// How the request fared.
    pub fn status(&self) -> Status {
        self.status
    }

    /// 0 for HTTP/1.0 and 1 for HTTP/1.1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// The head as it came, with its empty line.
    pub fn as_bytes(&self) -> &[u8] {
        self.fields.bytes()
    }

    /// The values of all fields of that name, which is compared without regard to case.
    pub fn headers_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.all(name)
    }

    /// The members of a field that is a comma-separated list, over all its lines.
    pub fn members(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.members(name)
    }

    /// Whether the list `name` has the member `token`, without regard to case.
    pub fn has_member(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the server takes another request on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        if self.minor_version == 0 {
            return self.has_member("connection", "keep-alive");
        }
        !self.has_member("connection", "close")
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

/// A request, as a client means it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is asked to be done; a token.
    pub method: &'a str,
    /// Path and query, in visible ASCII.
    pub target: &'a str,
    /// The host with its port, if that is not the scheme's own.
    pub authority: &'a str,
    /// Fields besides `Content-Length`. They win over our own `Host`, `User-Agent` and `Accept`.
    pub headers: &'a [(String, String)],
    /// The content.
    pub body: Option<&'a [u8]>,
}

impl Request<'_> {
    /// Appends the head, which the body follows.
    pub fn encode(&self, out: &mut Vec<u8>) {
        line(out, format_args!("{} {} HTTP/1.1", self.method, self.target));
        let ours = [("Host", self.authority), ("User-Agent", USER_AGENT), ("Accept", "*/*")];
        let is_given =
            |name: &str| self.headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        for (name, value) in ours.into_iter().filter(|(name, _)| !is_given(name)) {
            field(out, name, value);
        }
        for (name, value) in self.headers {
            field(out, name, value);
        }
        if let Some(body) = self.body {
            line(out, format_args!("Content-Length: {}", body.len()));
        }
        out.extend_from_slice(b"\r\n");
    }
}

/// Who asks (RFC 9110 §10.1.5).
const USER_AGENT: &str = concat!("corecast/", env!("CARGO_PKG_VERSION"));

/// Whether `name` may be a method or the name of a field (RFC 9110 §5.6.2).
pub fn is_token(name: &str) -> bool {
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_valid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(headers: &[(&str, &str)], body: Option<&[u8]>) -> String {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)))
            .collect();
        let mut out = Vec::new();
        let (method, target, authority) = ("PUT", "/a?b", "a:81");
        Request { method, target, authority, headers: &headers, body }.encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_request_says_who_asks_whom_for_what() {
        let agent = format!("User-Agent: {USER_AGENT}\r\n");
        let head = "PUT /a?b HTTP/1.1\r\n";
        assert_eq!(written(&[], None), format!("{head}Host: a:81\r\n{agent}Accept: */*\r\n\r\n"));
        assert_eq!(
            written(&[("host", "b"), ("ACCEPT", "text/plain")], Some(b"four")),
            format!("{head}{agent}host: b\r\nACCEPT: text/plain\r\nContent-Length: 4\r\n\r\n")
        );
    }

    #[test]
    fn a_token_has_no_spaces_and_no_separators() {
        assert!(["GET", "M-SEARCH", "X_a.b~1"].into_iter().all(is_token));
        assert!(!["", "a b", "a:", "é", "a\r"].into_iter().any(is_token));
    }

    #[test]
    fn a_connection_is_kept_as_the_version_and_its_field_say() {
        for (head, is_kept) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\n\r\n", false),
            ("HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", true),
        ] {
            let read = read(head, 100).unwrap().unwrap();
            assert_eq!((read.keep_alive(), read.as_bytes()), (is_kept, head.as_bytes()));
        }
    }

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
