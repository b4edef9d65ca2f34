//! The head of a request, checked.
//!
//! Invariant: a [`RequestHead`] names one target, has one `Host` (or, in HTTP/1.0, perhaps none)
//! and one length of body.

use super::Refusal;
use super::head::{Fields, Span, span};
use super::reader::Limits;

/// What is asked to be done (RFC 9110 §9.3). Names are case-sensitive.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Method {
    /// Give a representation.
    Get,
    /// Like `Get`, without the content.
    Head,
    /// Process what is enclosed.
    Post,
    /// Replace by what is enclosed.
    Put,
    /// Remove.
    Delete,
    /// Tell what may be asked.
    Options,
    /// Any other.
    Other,
}

impl From<&str> for Method {
    fn from(name: &str) -> Self {
        match name {
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            "OPTIONS" => Self::Options,
            _ => Self::Other,
        }
    }
}

/// Everything a request says before its body. Owns its bytes, so it outlives the input.
#[derive(Clone, Debug)]
pub struct RequestHead {
    method: Method,
    target: Span,
    minor_version: u8,
    body_len: usize,
    fields: Fields,
}

impl RequestHead {
    /// Reads a whole head, which ends with its empty line.
    pub(super) fn parse(bytes: Vec<u8>, limits: &Limits) -> Result<Self, Refusal> {
        let mut slots = vec![httparse::EMPTY_HEADER; limits.headers_max];
        let mut parsed = httparse::Request::new(&mut slots);
        match parsed.parse(&bytes) {
            Ok(httparse::Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(Refusal::TooManyHeaders),
            Err(httparse::Error::Version) => return Err(refuse_version(&bytes)),
            Ok(httparse::Status::Partial) | Err(_) => return Err(Refusal::Malformed),
        }
        let target = parsed.path.unwrap_or_default();
        check_target(target, limits)?;
        let method = Method::from(parsed.method.unwrap_or_default());
        let minor_version = parsed.version.unwrap_or_default();
        let target = span(&bytes, target.as_bytes());
        let spans = Fields::locate(&bytes, parsed.headers);
        let fields = Fields::new(bytes, spans);
        check_host(&fields, minor_version)?;
        let body_len = body_len(&fields, limits)?;
        Ok(Self { method, target, minor_version, body_len, fields })
    }

    /// What is asked to be done.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The target as it was written: ASCII without spaces and control characters.
    pub fn target(&self) -> &str {
        self.fields.text(&self.target)
    }

    /// The path, not decoded, which for `http://host/path?query` is `/path`.
    pub fn path(&self) -> &str {
        let origin = origin(self.target());
        origin.split_once('?').map_or(origin, |(path, _)| path)
    }

    /// What follows the first `?`, not decoded.
    pub fn query(&self) -> Option<&str> {
        self.target().split_once('?').map(|(_, query)| query)
    }

    /// 0 for HTTP/1.0 and 1 for HTTP/1.1.
    pub fn minor_version(&self) -> u8 {
        self.minor_version
    }

    /// How many bytes of body follow the head.
    pub fn body_len(&self) -> usize {
        self.body_len
    }

    /// The value of the first field of that name, without the spaces around it.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers_of(name).next()
    }

    /// The values of all fields of that name, which is compared without regard to case.
    pub fn headers_of(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.all(name)
    }

    /// All fields in the order they came, names as they were written.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The members of a field that is a comma-separated list, over all its lines.
    pub fn members(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields.members(name)
    }

    /// Whether the list `name` has the member `token`, without regard to case.
    pub fn has_member(&self, name: &str, token: &str) -> bool {
        self.members(name).any(|member| member.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Whether the peer wants to ask again on this connection (RFC 9112 §9.3).
    pub fn keep_alive(&self) -> bool {
        if self.minor_version == 0 {
            return self.has_member("connection", "keep-alive");
        }
        !self.has_member("connection", "close")
    }
}

/// Tells a version that is not ours from bytes that are no request at all.
fn refuse_version(bytes: &[u8]) -> Refusal {
    let line = bytes.trim_ascii_start().split(|byte| *byte == b'\r').next().unwrap_or_default();
    match line.split(|byte| *byte == b' ').next_back().unwrap_or_default() {
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            if major.is_ascii_digit() && minor.is_ascii_digit() =>
        {
            Refusal::Version
        }
        _ => Refusal::Malformed,
    }
}

/// A target is visible ASCII; its fragment never leaves the client (RFC 9112 §3.2).
fn check_target(target: &str, limits: &Limits) -> Result<(), Refusal> {
    if target.len() > limits.target_bytes_max {
        return Err(Refusal::OversizedTarget);
    }
    let is_valid = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if target.bytes().all(is_valid) { Ok(()) } else { Err(Refusal::Malformed) }
}

/// HTTP/1.1 demands one `Host`, and nobody may send two (RFC 9112 §3.2).
fn check_host(fields: &Fields, minor_version: u8) -> Result<(), Refusal> {
    let mut hosts = fields.all("host");
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.iter().copied().all(is_host_byte) => Ok(()),
        (None, _) if minor_version == 0 => Ok(()),
        _ => Err(Refusal::BadHost),
    }
}

/// What a host with its port may be made of (RFC 3986 §3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%:[]".contains(&byte)
}

/// How long the body is, if that is certain (RFC 9112 §6.3).
fn body_len(fields: &Fields, limits: &Limits) -> Result<usize, Refusal> {
    let is_coded = fields.all("transfer-encoding").next().is_some();
    let mut lengths = fields.all("content-length");
    let digits = match (lengths.next(), lengths.next()) {
        (None, _) if is_coded => return Err(Refusal::TransferCoding),
        (None, _) => return Ok(0),
        (Some(digits), None) if !is_coded => digits,
        _ => return Err(Refusal::BadLength),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::BadLength);
    }
    // Digits that make no `usize` are a length as well: one far beyond any limit.
    let len = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    len.filter(|len| *len <= limits.body_bytes_max).ok_or(Refusal::OversizedBody)
}

/// The part of a target after scheme and authority (RFC 9112 §3.2.2).
fn origin(target: &str) -> &str {
    if target.starts_with('/') {
        return target;
    }
    let Some((_, rest)) = target.split_once("://") else { return target };
    let (_authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if path.starts_with('/') { path } else { "/" }
}
