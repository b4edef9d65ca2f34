//! Which path is what, and what may be asked of it.

use crate::http::{Method, RequestHead, Response, Status, query};
use crate::hub::TopicName;

/// What a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    /// `/`: a page for people.
    Page,
    /// `/connections`: how many there are, as JSON.
    Connections,
    /// `/echo`: a WebSocket that sends back what it gets.
    Echo,
    /// `/topics/NAME`: a WebSocket that subscribes, or a publication by POST.
    Topic(TopicName),
}

impl Route {
    /// Finds what `path`, which is not decoded yet, names; or the answer that it names nothing.
    pub(super) fn find(path: &str) -> Result<Self, Response> {
        match path {
            "/" => Ok(Self::Page),
            "/connections" => Ok(Self::Connections),
            "/echo" => Ok(Self::Echo),
            path => match path.strip_prefix("/topics/") {
                Some(name) => topic(name).map(Self::Topic),
                None => Err(refuse(Status::NOT_FOUND, "nothing is here; / shows what there is")),
            },
        }
    }

    /// The methods that mean something here, as `Allow` lists them (RFC 9110 §10.2.1).
    fn allowed(&self) -> &'static str {
        match self {
            Self::Page | Self::Connections => "GET, HEAD",
            Self::Echo => "GET",
            Self::Topic(_) => "GET, POST",
        }
    }
}

/// What a plain request wants.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Wish {
    /// See the page.
    Page,
    /// Know how many connections there are.
    Connections,
    /// Publish to this topic.
    Publish(TopicName),
}

impl Wish {
    /// What `head` asks for; or the answer that it cannot be had this way.
    pub(super) fn read(head: &RequestHead) -> Result<Self, Response> {
        let route = Route::find(head.path())?;
        match (head.method(), route) {
            (Method::Get | Method::Head, Route::Page) => Ok(Self::Page),
            (Method::Get | Method::Head, Route::Connections) => Ok(Self::Connections),
            (Method::Post, Route::Topic(topic)) => Ok(Self::Publish(topic)),
            (Method::Get | Method::Head, Route::Echo | Route::Topic(_)) => Err(upgrade_required()),
            (_, route) => Err(refuse(Status::METHOD_NOT_ALLOWED, "this is not done here")
                .with_header("Allow", route.allowed())),
        }
    }
}

/// An answer that says what was wrong, to people and to programs.
pub(super) fn refuse(status: Status, reason: &str) -> Response {
    let body = serde_json::json!({ "error": reason });
    Response::json(status, format!("{body}\n"))
}

fn topic(segment: &str) -> Result<TopicName, Response> {
    let bad = |reason: &str| refuse(Status::BAD_REQUEST, reason);
    let name = query::decode(segment).ok_or_else(|| bad("the topic is no UTF-8 once decoded"))?;
    TopicName::new(&name).map_err(|fault| bad(&fault.to_string()))
}

/// What a plain GET of a WebSocket gets (RFC 9110 §15.5.22).
fn upgrade_required() -> Response {
    refuse(Status::UPGRADE_REQUIRED, "this is a WebSocket: connect with ws:// or wss://")
        .with_header("Upgrade", "websocket")
        .with_header("Sec-WebSocket-Version", "13")
}

#[cfg(test)]
mod tests {
    use super::super::testing::head;
    use super::*;

    fn name(text: &str) -> TopicName {
        TopicName::new(text).unwrap()
    }

    #[test]
    fn a_path_names_one_thing() {
        let rows = [
            ("/", Ok(Route::Page)),
            ("/connections", Ok(Route::Connections)),
            ("/echo", Ok(Route::Echo)),
            ("/topics/demo", Ok(Route::Topic(name("demo")))),
            ("/topics/a%20b", Ok(Route::Topic(name("a b")))),
            ("/topics/%C3%A9", Ok(Route::Topic(name("é")))),
            ("/topics/", Err(Status::BAD_REQUEST)),
            ("/topics/a/b", Err(Status::BAD_REQUEST)),
            ("/topics/a%2Fb", Err(Status::BAD_REQUEST)),
            ("/topics/%00", Err(Status::BAD_REQUEST)),
            ("/topics/%FF", Err(Status::BAD_REQUEST)),
            ("/topics/%", Err(Status::BAD_REQUEST)),
            ("/topics", Err(Status::NOT_FOUND)),
            ("/Echo", Err(Status::NOT_FOUND)),
            ("/echo/", Err(Status::NOT_FOUND)),
            ("/../etc/passwd", Err(Status::NOT_FOUND)),
        ];
        for (path, route) in rows {
            assert_eq!(Route::find(path).map_err(|response| response.status), route, "{path}");
        }
    }

    #[test]
    fn a_name_may_be_as_long_as_it_may_be() {
        let path = |len: usize| format!("/topics/{}", "a".repeat(len));
        assert!(Route::find(&path(128)).is_ok());
        assert_eq!(Route::find(&path(129)).unwrap_err().status, Status::BAD_REQUEST);
    }

    #[test]
    fn every_method_of_every_route_has_an_answer() {
        let rows = [
            ("GET", "/", Ok(Wish::Page)),
            ("HEAD", "/", Ok(Wish::Page)),
            ("GET", "/?q", Ok(Wish::Page)),
            ("POST", "/", Err((Status::METHOD_NOT_ALLOWED, Some("GET, HEAD")))),
            ("HEAD", "/connections", Ok(Wish::Connections)),
            ("DELETE", "/connections", Err((Status::METHOD_NOT_ALLOWED, Some("GET, HEAD")))),
            ("GET", "/echo", Err((Status::UPGRADE_REQUIRED, None))),
            ("POST", "/echo", Err((Status::METHOD_NOT_ALLOWED, Some("GET")))),
            ("POST", "/topics/demo", Ok(Wish::Publish(name("demo")))),
            ("GET", "/topics/demo", Err((Status::UPGRADE_REQUIRED, None))),
            ("PUT", "/topics/demo", Err((Status::METHOD_NOT_ALLOWED, Some("GET, POST")))),
            ("POST", "/topics/%00", Err((Status::BAD_REQUEST, None))),
            ("BREW", "/pot", Err((Status::NOT_FOUND, None))),
        ];
        for (method, target, wish) in rows {
            let head = head(&format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
            let found = Wish::read(&head).map_err(|response| {
                let allow = response.headers.iter().find(|(name, _)| *name == "Allow");
                (response.status, allow.map(|(_, value)| value.to_string()))
            });
            let wish = wish.map_err(|(status, allow)| (status, allow.map(str::to_owned)));
            assert_eq!(found, wish, "{method} {target}");
        }
    }

    #[test]
    fn a_reason_is_json_whatever_it_says() {
        let response = refuse(Status::BAD_REQUEST, "a \"quoted\" word");
        assert_eq!(&*response.body, b"{\"error\":\"a \\\"quoted\\\" word\"}\n");
    }
}
