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
        check_expectation(&fields, minor_version)?;
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

    /// Whether the peer waits with its body until it is told to go on (RFC 9110 §10.1.1).
    pub fn expects_continue(&self) -> bool {
        self.body_len > 0 && self.minor_version > 0 && self.header("expect").is_some()
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
    let mut words = line.split(|byte| *byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None)
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

/// There is one expectation; in HTTP/1.0 there is none, whatever is said (RFC 9110 §10.1.1).
fn check_expectation(fields: &Fields, minor_version: u8) -> Result<(), Refusal> {
    let is_known = |member: &[u8]| member.eq_ignore_ascii_case(b"100-continue");
    let is_met = minor_version == 0 || fields.members("expect").all(is_known);
    if is_met { Ok(()) } else { Err(Refusal::Expectation) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> Result<RequestHead, Refusal> {
        RequestHead::parse(head.as_bytes().to_vec(), &Limits::default())
    }

    fn get(target: &str) -> Result<RequestHead, Refusal> {
        parse(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
    }

    /// A request with the lines of `fields` besides its `Host`.
    fn with(fields: &str) -> Result<RequestHead, Refusal> {
        parse(&format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n"))
    }

    #[test]
    fn a_head_gives_what_was_said() {
        let fields = "hOsT:  a:80 \r\nX-Two: 1\r\nEmpty:\r\nx-two: é\r\n";
        let head = parse(&format!("HEAD /a/b?c=1&d=/?x HTTP/1.1\r\n{fields}\r\n")).unwrap();
        assert_eq!((head.method(), head.minor_version(), head.body_len()), (Method::Head, 1, 0));
        assert_eq!(head.target(), "/a/b?c=1&d=/?x");
        assert_eq!((head.path(), head.query()), ("/a/b", Some("c=1&d=/?x")));
        assert_eq!(head.header("HOST"), Some(&b"a:80"[..]));
        assert_eq!(head.header("empty"), Some(&b""[..]));
        assert_eq!(head.header("absent"), None);
        assert_eq!(head.headers_of("X-TWO").collect::<Vec<_>>(), [&b"1"[..], "é".as_bytes()]);
        assert_eq!(
            head.headers().map(|(name, _)| name).collect::<Vec<_>>().join(" "),
            "hOsT X-Two Empty x-two"
        );
    }

    #[test]
    fn a_path_is_found_in_every_form_of_target() {
        let table = [
            ("/", "/", None),
            ("/a%2Fb/../c", "/a%2Fb/../c", None),
            ("/a?", "/a", Some("")),
            ("//host/a", "//host/a", None),
            ("http://host/a?b", "/a", Some("b")),
            ("http://host", "/", None),
            ("http://host?b", "/", Some("b")),
            ("*", "*", None),
        ];
        for (target, path, query) in table {
            let head = get(target).unwrap();
            assert_eq!((head.path(), head.query()), (path, query), "{target}");
        }
    }

    #[test]
    fn a_target_that_is_none_is_refused() {
        for target in ["/a#b", "/é", "/a b", "", "/\u{7f}", "/\0"] {
            assert_eq!(get(target).err(), Some(Refusal::Malformed), "{target:?}");
        }
        let max = Limits::default().target_bytes_max;
        assert!(get(&"/".repeat(max)).is_ok());
        assert_eq!(get(&"/".repeat(max + 1)).err(), Some(Refusal::OversizedTarget));
    }

    #[test]
    fn a_version_of_the_future_is_told_from_noise() {
        let table = [
            ("GET / HTTP/2.0", Refusal::Version),
            ("GET / HTTP/1.2", Refusal::Version),
            ("GET / HTTP/0.9", Refusal::Version),
            ("GET / http/1.1", Refusal::Malformed),
            ("GET / HTTP/11", Refusal::Malformed),
            ("GET / XTTP/1.1", Refusal::Malformed),
        ];
        for (line, refusal) in table {
            let head = format!("{line}\r\nHost: a\r\n\r\n");
            assert_eq!(parse(&head).err(), Some(refusal), "{line}");
        }
    }

    #[test]
    fn exactly_one_host_is_needed() {
        let table = [
            ("HTTP/1.1\r\n", Some(Refusal::BadHost)),
            ("HTTP/1.1\r\nHost: a\r\nhost: a\r\n", Some(Refusal::BadHost)),
            ("HTTP/1.1\r\nHost: a b\r\n", Some(Refusal::BadHost)),
            ("HTTP/1.1\r\nHost: a/b\r\n", Some(Refusal::BadHost)),
            ("HTTP/1.1\r\nHost: u@a\r\n", Some(Refusal::BadHost)),
            ("HTTP/1.1\r\nHost: [::1]:8080\r\n", None),
            ("HTTP/1.1\r\nHost:\r\n", None),
            ("HTTP/1.0\r\n", None),
            ("HTTP/1.0\r\nHost: a\r\nHost: b\r\n", Some(Refusal::BadHost)),
        ];
        for (rest, refusal) in table {
            assert_eq!(parse(&format!("GET / {rest}\r\n")).err(), refusal, "{rest:?}");
        }
    }

    #[test]
    fn a_body_has_a_certain_length_or_the_request_is_refused() {
        let max = Limits::default().body_bytes_max;
        let over = format!("Content-Length: {}\r\n", max + 1);
        let table = [
            ("", Ok(0)),
            ("Content-Length: 0\r\n", Ok(0)),
            ("Content-Length:  007 \r\n", Ok(7)),
            (&*format!("Content-Length: {max}\r\n"), Ok(max)),
            (&*over, Err(Refusal::OversizedBody)),
            ("Content-Length: 99999999999999999999999\r\n", Err(Refusal::OversizedBody)),
            ("Content-Length: +1\r\n", Err(Refusal::BadLength)),
            ("Content-Length: -1\r\n", Err(Refusal::BadLength)),
            ("Content-Length: 1 1\r\n", Err(Refusal::BadLength)),
            ("Content-Length: 0x1\r\n", Err(Refusal::BadLength)),
            ("Content-Length: 1,1\r\n", Err(Refusal::BadLength)),
            ("Content-Length:\r\n", Err(Refusal::BadLength)),
            ("Content-Length: 1\r\nContent-Length: 1\r\n", Err(Refusal::BadLength)),
            ("Transfer-Encoding: chunked\r\n", Err(Refusal::TransferCoding)),
            ("Transfer-Encoding: identity\r\n", Err(Refusal::TransferCoding)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", Err(Refusal::BadLength)),
        ];
        for (fields, expected) in table {
            assert_eq!(with(fields).map(|head| head.body_len()), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_field_that_two_parsers_could_read_differently_is_refused() {
        let table = [
            "A : b\r\n",
            " A: b\r\n",
            "A: b\r\n c\r\n",
            "A: b\0c\r\n",
            "A: b\rc\r\n",
            "A\r\n",
            ": b\r\n",
            "A(): b\r\n",
            "A: b\u{7f}\r\n",
        ];
        for fields in table {
            assert_eq!(with(fields).err(), Some(Refusal::Malformed), "{fields:?}");
        }
    }

    #[test]
    fn headers_are_counted() {
        let max = Limits::default().headers_max;
        assert!(with(&"A: b\r\n".repeat(max - 1)).is_ok());
        assert_eq!(with(&"A: b\r\n".repeat(max)).err(), Some(Refusal::TooManyHeaders));
    }

    #[test]
    fn a_connection_is_kept_as_its_version_has_it() {
        let table = [
            ("HTTP/1.1", "", true),
            ("HTTP/1.1", "Connection: Close\r\n", false),
            ("HTTP/1.1", "Connection: x, close\r\n", false),
            ("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false),
            ("HTTP/1.1", "Connection: closed\r\n", true),
            ("HTTP/1.0", "", false),
            ("HTTP/1.0", "Connection: Keep-Alive\r\n", true),
        ];
        for (version, fields, expected) in table {
            let head = parse(&format!("GET / {version}\r\nHost: a\r\n{fields}\r\n")).unwrap();
            assert_eq!(head.keep_alive(), expected, "{version} {fields:?}");
        }
    }

    #[test]
    fn one_thing_may_be_expected() {
        let rows = [
            ("Content-Length: 1\r\nExpect: 100-continue\r\n", Ok(true)),
            ("Content-Length: 1\r\nexpect: 100-Continue\r\n", Ok(true)),
            ("Content-Length: 1\r\n", Ok(false)),
            ("Expect: 100-continue\r\n", Ok(false)),
            ("Content-Length: 1\r\nExpect: a-reply\r\n", Err(Refusal::Expectation)),
            ("Expect: 100-continue, more\r\n", Err(Refusal::Expectation)),
        ];
        for (fields, expected) in rows {
            assert_eq!(with(fields).map(|head| head.expects_continue()), expected, "{fields:?}");
        }
        let old = parse("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: a-reply\r\n\r\n");
        assert!(!old.unwrap().expects_continue());
    }
}
