//! Requests that stay HTTP: what follows one another on a connection, and what ends it.

use corecast::base::Input;
use corecast::http::{Limits, Method, Reader};

/// What a reader makes of bytes that come whole: methods and bodies, then perhaps a refusal.
fn read(bytes: &[u8]) -> (Vec<(Method, usize, bool)>, Option<u16>) {
    let mut bytes = bytes.to_vec();
    let mut input = Input::new(&mut bytes);
    let (mut reader, mut requests) = (Reader::default(), Vec::new());
    loop {
        match reader.next(&mut input, &Limits::default()) {
            Ok(Some((head, body))) => requests.push((head.method(), body.len(), head.keep_alive())),
            Ok(None) => return (requests, None),
            Err(refusal) => return (requests, Some(refusal.status().0)),
        }
    }
}

#[test]
fn pipelined_requests_are_read_until_one_is_refused() {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let last = "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n";
    let (kept_get, kept_post) = ((Method::Get, 0, true), (Method::Post, 3, true));
    let closed_head = (Method::Head, 0, false);
    let table = [
        (vec![get], vec![kept_get], None),
        (vec![get, post, last], vec![kept_get, kept_post, closed_head], None),
        (vec![post, "\r\n", get], vec![kept_post, kept_get], None),
        (vec![post, bad, get], vec![kept_post], Some(400)),
        (vec![post, "x", get], vec![kept_post, (Method::Other, 0, true)], None),
        (vec![get, &get[..20]], vec![kept_get], None),
    ];
    for (parts, requests, status) in table {
        assert_eq!(read(parts.concat().as_bytes()), (requests, status), "{parts:?}");
    }
}

#[test]
fn a_request_smuggled_in_a_body_stays_a_body() {
    let smuggled = "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n";
    let lens =
        [("Content-Length: {}", 200), ("Content-Length: {}\r\nTransfer-Encoding: chunked", 400)];
    for (fields, expected) in lens {
        let fields = fields.replace("{}", &smuggled.len().to_string());
        let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{smuggled}");
        let (requests, status) = read(bytes.as_bytes());
        match expected {
            200 => assert_eq!(requests, [(Method::Post, smuggled.len(), true)]),
            _ => assert_eq!((requests.len(), status), (0, Some(expected))),
        }
    }
}
