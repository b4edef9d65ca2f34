//! What a backend posts: which message it becomes, and what is answered.

use crate::http::{RequestHead, Response, Status};
use crate::hub::TopicName;
use crate::ws::Message;

use super::routes::refuse;

/// The message that `body` becomes, by its `Content-Type`; or the answer that it becomes none.
pub(super) fn message<'a>(head: &RequestHead, body: &'a [u8]) -> Result<Message<'a>, Response> {
    match kind(head)? {
        Kind::Text => str::from_utf8(body)
            .map(Message::Text)
            .map_err(|_| refuse(Status::BAD_REQUEST, "the body is declared as text, but no UTF-8")),
        Kind::Binary => Ok(Message::Binary(body)),
    }
}

fn kind(head: &RequestHead) -> Result<Kind, Response> {
    Kind::of(head.header("Content-Type").unwrap_or_default()).ok_or_else(|| {
        refuse(
            Status::UNSUPPORTED_MEDIA_TYPE,
            "the Content-Type must be text/*, application/json or application/octet-stream",
        )
    })
}

/// Whether a body of this `Content-Type` becomes a message, or the answer that none does.
pub(super) fn check_type(head: &RequestHead) -> Result<(), Response> {
    kind(head).map(drop)
}

/// What is answered when `body` has been published: it will reach whoever is subscribed by now.
pub(super) fn accepted(topic: &TopicName, body: &[u8]) -> Response {
    let answer = serde_json::json!({ "topic": topic.as_str(), "bytes": body.len() });
    Response::json(Status::OK, format!("{answer}\n"))
}

/// What a body is sent as.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Text,
    Binary,
}

impl Kind {
    /// Reads a media type, without its parameters (RFC 9110 §8.3.1).
    fn of(content_type: &[u8]) -> Option<Self> {
        let media_type = content_type.split(|byte| *byte == b';').next()?.trim_ascii();
        match media_type.to_ascii_lowercase().as_slice() {
            b"application/json" => Some(Self::Text),
            b"application/octet-stream" => Some(Self::Binary),
            other => other.starts_with(b"text/").then_some(Self::Text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::head;
    use super::*;

    #[test]
    fn the_content_type_decides() {
        let rows: [(&[u8], Option<Kind>); 9] = [
            (b"text/plain", Some(Kind::Text)),
            (b"Text/HTML ; charset=utf-8", Some(Kind::Text)),
            (b"application/json", Some(Kind::Text)),
            (b"application/json;charset=utf-8", Some(Kind::Text)),
            (b"application/octet-stream", Some(Kind::Binary)),
            (b"application/x-www-form-urlencoded", None),
            (b"application/jsonx", None),
            (b"text", None),
            (b"", None),
        ];
        for (content_type, kind) in rows {
            assert_eq!(Kind::of(content_type), kind, "{}", content_type.escape_ascii());
        }
    }

    #[test]
    fn text_must_be_utf8_and_octets_need_not() {
        let text = head("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n\r\n");
        let octets =
            head("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/octet-stream\r\n\r\n");
        assert!(matches!(message(&text, "é".as_bytes()), Ok(Message::Text("é"))));
        assert_eq!(message(&text, b"\xFF").unwrap_err().status, Status::BAD_REQUEST);
        assert!(matches!(message(&octets, b"\xFF"), Ok(Message::Binary(b"\xFF"))));
    }

    #[test]
    fn the_answer_names_topic_and_size() {
        let response = accepted(&TopicName::new("a\"b").unwrap(), b"hello");
        assert_eq!(&*response.body, b"{\"bytes\":5,\"topic\":\"a\\\"b\"}\n");
    }
}
