//! Answers: what is said, and how it is written.
//!
//! Invariant: an answer that is written has a certain end, and no value in it can begin a field of
//! its own, whatever it was made from.

use std::borrow::Cow;
use std::fmt;
use std::io::Write;

/// How a request fared (RFC 9110 §15).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Status(pub u16);

/// Names the codes in use, with their reason phrases.
macro_rules! statuses {
    ($($name:ident = $code:literal, $reason:literal;)*) => {
        impl Status {
            $(#[doc = concat!("`", $code, " ", $reason, "`")] pub const $name: Self = Self($code);)*

            /// The phrase that goes with the code; empty for a code without a name here.
            pub const fn reason(self) -> &'static str {
                match self {
                    $(Self::$name => $reason,)*
                    Self(_) => "",
                }
            }
        }
    };
}

statuses! {
    CONTINUE = 100, "Continue";
    SWITCHING_PROTOCOLS = 101, "Switching Protocols";
    OK = 200, "OK";
    ACCEPTED = 202, "Accepted";
    NO_CONTENT = 204, "No Content";
    BAD_REQUEST = 400, "Bad Request";
    UNAUTHORIZED = 401, "Unauthorized";
    FORBIDDEN = 403, "Forbidden";
    NOT_FOUND = 404, "Not Found";
    METHOD_NOT_ALLOWED = 405, "Method Not Allowed";
    REQUEST_TIMEOUT = 408, "Request Timeout";
    CONTENT_TOO_LARGE = 413, "Content Too Large";
    URI_TOO_LONG = 414, "URI Too Long";
    UNSUPPORTED_MEDIA_TYPE = 415, "Unsupported Media Type";
    EXPECTATION_FAILED = 417, "Expectation Failed";
    UPGRADE_REQUIRED = 426, "Upgrade Required";
    TOO_MANY_REQUESTS = 429, "Too Many Requests";
    HEADER_FIELDS_TOO_LARGE = 431, "Request Header Fields Too Large";
    INTERNAL_ERROR = 500, "Internal Server Error";
    NOT_IMPLEMENTED = 501, "Not Implemented";
    UNAVAILABLE = 503, "Service Unavailable";
    VERSION_NOT_SUPPORTED = 505, "HTTP Version Not Supported";
}

impl Status {
    /// Whether the request was refused: it was wrong, or the server was not able (RFC 9110 §15).
    pub const fn is_refusal(self) -> bool {
        self.0 >= 400
    }

    /// Whether an answer of this status ends with its head (RFC 9110 §6.4.1).
    pub(super) const fn has_no_content(self) -> bool {
        self.0 < 200 || self.0 == 204 || self.0 == 304
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, self.reason())
    }
}

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Response {
    /// How the request fared.
    pub status: Status,
    /// Fields besides `Content-Length` and `Connection`, which are written by themselves.
    pub headers: Vec<(&'static str, Cow<'static, str>)>,
    /// The content.
    pub body: Cow<'static, [u8]>,
}

impl Response {
    /// An answer without content.
    pub const fn new(status: Status) -> Self {
        Self { status, headers: Vec::new(), body: Cow::Borrowed(&[]) }
    }

    /// Plain text in UTF-8.
    pub fn text(status: Status, body: impl Into<Cow<'static, str>>) -> Self {
        Self::typed(status, "text/plain; charset=utf-8", body.into())
    }

    /// JSON, already written.
    pub fn json(status: Status, body: impl Into<Cow<'static, str>>) -> Self {
        Self::typed(status, "application/json", body.into())
    }

    /// A page.
    pub fn html(status: Status, body: impl Into<Cow<'static, str>>) -> Self {
        Self::typed(status, "text/html; charset=utf-8", body.into())
    }

    /// The same with one more field.
    pub fn with_header(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Writes the answer to the end of `out`.
    ///
    /// `head_only` leaves the content out but not its length, as `HEAD` wants it; `close` says that
    /// no further request will be read.
    pub fn encode(&self, head_only: bool, close: bool, out: &mut Vec<u8>) {
        line(out, format_args!("HTTP/1.1 {}", self.status));
        for (name, value) in &self.headers {
            field(out, name, value);
        }
        if close {
            field(out, "Connection", "close");
        }
        if self.status.has_no_content() {
            out.extend_from_slice(b"\r\n");
            return;
        }
        line(out, format_args!("Content-Length: {}\r\n", self.body.len()));
        if !head_only {
            out.extend_from_slice(&self.body);
        }
    }

    fn typed(status: Status, media_type: &'static str, body: Cow<'static, str>) -> Self {
        let body = match body {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        };
        Self { body, ..Self::new(status) }.with_header("Content-Type", media_type)
    }
}

/// Writes one line of a head.
pub(super) fn line(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    write!(out, "{text}\r\n").expect("writing to a vector does not fail");
}

/// Writes one field. A control character in its value would begin a line, so it becomes a space.
pub(crate) fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend(value.bytes().map(|byte| if byte.is_ascii_control() { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(response: &Response, head_only: bool, close: bool) -> String {
        let mut out = Vec::new();
        response.encode(head_only, close, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn an_answer_tells_its_length_and_its_type() {
        assert_eq!(
            encoded(&Response::text(Status::NOT_FOUND, "no\n"), false, true),
            "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Connection: close\r\nContent-Length: 3\r\n\r\nno\n"
        );
    }

    #[test]
    fn an_answer_to_head_tells_the_length_of_what_it_leaves_out() {
        let head = encoded(&Response::json(Status::OK, "{}"), true, false);
        assert!(head.ends_with("Content-Length: 2\r\n\r\n"), "{head}");
    }

    #[test]
    fn an_answer_without_content_has_no_length() {
        assert_eq!(
            encoded(&Response::new(Status::NO_CONTENT), false, false),
            "HTTP/1.1 204 No Content\r\n\r\n"
        );
    }

    #[test]
    fn a_value_cannot_begin_a_field() {
        let response = Response::new(Status::NO_CONTENT).with_header("A", "b\r\nC: d");
        assert!(encoded(&response, false, false).contains("\r\nA: b  C: d\r\n"));
    }
}
