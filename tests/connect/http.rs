//! Requests: what is sent, what is understood, how often a connection serves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::channel;

use crate::peer::{Outcome, connect, place, read_to, script, serve};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// Reads a request with its body.
fn read_request(socket: &mut TcpStream) -> String {
    let head = String::from_utf8(read_to(socket, b"\r\n\r\n")).unwrap();
    let len = head
        .split_once("Content-Length: ")
        .map_or(0, |(_, rest)| rest.split_once("\r\n").unwrap().0.parse().unwrap());
    let mut body = vec![0; len];
    socket.read_exact(&mut body).unwrap();
    head + str::from_utf8(&body).unwrap()
}

/// Lets the client ask a server that answers `answer` and ends; tells what was asked, too.
fn asked(answer: &'static [u8], arguments: &[&str], input: &[u8]) -> (String, Outcome) {
    let (sender, asked) = channel();
    let (address, server) = script(1, move |_, mut socket| {
        sender.send(read_request(&mut socket)).unwrap();
        socket.write_all(answer).unwrap();
    });
    let url = format!("http://{address}/a?b#c");
    let outcome = connect(&[arguments, &[&url]].concat(), input);
    server.join().unwrap();
    (asked.recv().unwrap().replace(&address.to_string(), "HOST"), outcome)
}

#[test]
fn a_request_says_what_the_arguments_say() {
    let ours = concat!("User-Agent: corecast/", env!("CARGO_PKG_VERSION"), "\r\nAccept: */*\r\n");
    let (request, outcome) = asked(OK, &[], b"");
    assert_eq!(request, format!("GET /a?b HTTP/1.1\r\nHost: HOST\r\n{ours}\r\n"));
    assert_eq!(outcome.text(), "ok\n");
    let arguments = ["-X", "PUT", "-H", "Host: other", "-H", "A:  b c ", "-d", "höllo"];
    let (request, _) = asked(OK, &arguments, b"");
    assert_eq!(
        request,
        format!(
            "PUT /a?b HTTP/1.1\r\n{ours}Host: other\r\nA: b c\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: 6\r\n\r\nhöllo"
        )
    );
}

#[test]
fn a_body_comes_from_the_argument_a_file_or_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("body.json");
    std::fs::write(&path, b"{}").unwrap();
    let file = format!("@{}", path.display());
    for (data, input, body) in [
        ("text", &b"ignored"[..], "text"),
        (&file, b"ignored", "{}"),
        ("-", b"from\nstdin", "from\nstdin"),
        ("@-", b"", ""),
    ] {
        let (request, outcome) = asked(OK, &["-d", data, "-H", "Content-Type: a/b"], input);
        assert!(request.starts_with("POST "), "{request}");
        assert!(request.contains("Content-Type: a/b\r\n"), "{request}");
        assert_eq!(request.split_once("\r\n\r\n").unwrap().1, body);
        assert_eq!(outcome.code, Some(0));
    }
    connect(&["-d", "@/nowhere", "http://127.0.0.1:1/"], b"").failed(1, "cannot read /nowhere");
}

#[test]
fn an_answer_is_read_however_it_is_framed() {
    let rows: [(&[u8], &str); 6] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"),
        (b"HTTP/1.0 200 ok\r\nContent-type: text/html\r\n\r\nto the end", "to the end"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
              5;a=b\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nT: x\r\n\r\n",
            "hello world",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", ""),
    ];
    for (answer, body) in rows {
        assert_eq!(asked(answer, &[], b"").1.text(), body, "{}", answer.escape_ascii());
    }
    let (_, outcome) =
        asked(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", &["-X", "HEAD", "-i"], b"");
    assert_eq!(outcome.text(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

#[test]
fn an_answer_that_is_none_ends_with_6_and_what_is_wrong() {
    let rows: [(&[u8], &str); 8] = [
        (b"", "without an answer"),
        (b"HTTP/1.1 200 OK\r\nConte", "amid its answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "amid its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "amid"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "chunks"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "length"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "nobody asked for"),
    ];
    for (answer, words) in rows {
        asked(answer, &[], b"").1.failed(6, words);
    }
}

#[test]
fn a_refusal_is_written_and_ends_with_5() {
    for (answer, words) in [
        (&b"HTTP/1.1 404 x\r\nContent-Length: 4\r\n\r\nno!\n"[..], "404 Not Found"),
        (b"HTTP/1.1 599 x\r\nContent-Length: 4\r\n\r\nno!\n", "599"),
    ] {
        let (_, outcome) = asked(answer, &[], b"");
        outcome.failed(5, words);
        assert_eq!(outcome.out, b"no!\n");
    }
}

#[test]
fn urls_of_one_server_are_asked_over_one_connection() {
    let program = serve();
    for scheme in ["http", "https"] {
        let (url, ca) = place(&program, scheme);
        let [page, count, nothing] =
            ["/", "/connections", "/nothing"].map(|it| format!("{url}{it}"));
        let outcome = connect(&[&ca, &page, &count, &nothing, &count], b"");
        outcome.failed(5, "404 Not Found");
        assert_eq!(outcome.err.matches("connected to").count(), 1, "{}", outcome.err);
        let out = String::from_utf8(outcome.out).unwrap();
        assert_eq!(out.matches("{\"connections\":1,").count(), 2, "{out}");
    }
}

#[test]
fn a_connection_that_has_ended_is_made_anew_and_only_what_may_be_repeated_is() {
    // The first connection serves once and is closed before or after the second request.
    let serve = |is_early: bool| {
        script(2, move |number, mut socket| {
            read_request(&mut socket);
            // What is early comes with the answer, so that the client cannot be earlier.
            #[cfg(target_os = "linux")]
            socket2::SockRef::from(&socket).set_tcp_cork(number == 0 && is_early).unwrap();
            socket.write_all(OK).unwrap();
            if number == 0 && !is_early {
                read_request(&mut socket);
            }
        })
    };
    for (is_early, method) in [(true, "GET"), (false, "GET"), (true, "POST")] {
        let (address, server) = serve(is_early);
        let url = format!("http://{address}/");
        let outcome = connect(&["-X", method, &url, &url], b"");
        assert_eq!(outcome.err.matches("connected to").count(), 2, "{}", outcome.err);
        assert_eq!(outcome.text(), "ok\nok\n");
        server.join().unwrap();
    }
    let (address, server) = script(1, |_, mut socket| {
        read_request(&mut socket);
        socket.write_all(OK).unwrap();
        read_request(&mut socket);
    });
    let url = format!("http://{address}/");
    connect(&["-X", "POST", &url, &url], b"").failed(6, "without an answer");
    server.join().unwrap();
}

#[test]
fn a_server_may_refuse_a_body_before_it_has_come() {
    let (address, server) = script(1, |_, mut socket| {
        read_to(&mut socket, b"\r\n\r\n");
        let answer = b"HTTP/1.1 413 x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig\n";
        socket.write_all(answer).unwrap();
        // It takes no more of it and waits until the client has gone.
        let mut sink = [0; 4096];
        while socket.read(&mut sink).is_ok_and(|len| len > 0) {}
    });
    let body = vec![b'x'; 8 << 20];
    let outcome = connect(&["-d", "-", &format!("http://{address}/")], &body);
    outcome.failed(5, "413");
    assert_eq!(outcome.out, b"big\n");
    server.join().unwrap();
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    for said in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel"] {
        let (address, server) = script(1, move |_, mut socket| {
            socket.write_all(said).unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        });
        let url = format!("http://{address}/");
        connect(&["--timeout", "200ms", &url], b"").failed(3, "no answer came in time");
        server.join().unwrap();
    }
}

#[test]
fn wrong_usage_is_one_line_and_2() {
    let http = "http://127.0.0.1:1/";
    let rows: [(&[&str], &str); 17] = [
        (&[], "<URL>"),
        (&["localhost"], "no URL"),
        (&["ftp://h/"], "`ftp` is not"),
        (&["tls://h"], "lacks a port"),
        (&[http, "ws://h/"], "can be several"),
        (&["-X", "a b", http], "`a b` is no method"),
        (&["-X", "CONNECT", http], "`CONNECT` is no method"),
        (&["-H", "nonsense", http], "`nonsense` is no"),
        (&["-H", "Content-Length: 5", http], "written by itself"),
        (&["--binary", http], "--binary"),
        (&["-i", "ws://h/"], "--include"),
        (&["-H", "A: b", "tcp://h:1"], "--header"),
        (&["--subprotocol", "a b", "ws://127.0.0.1:1/"], "`a b` cannot be"),
        (&["--cert", "a.pem", http], "--key"),
        (&["--ca", "a.pem", "--insecure", http], "--insecure"),
        (&["--timeout", "0s", http], "up to 1h"),
        (&["--ping", "2h", "ws://h/"], "up to 1h"),
    ];
    for (arguments, words) in rows {
        let outcome = connect(arguments, b"");
        outcome.failed(2, words);
        assert_eq!(outcome.err.lines().count(), 1, "{}", outcome.err);
    }
}

#[test]
fn who_is_not_there_ends_with_3() {
    let (address, server) = script(1, |_, _| {});
    drop(TcpStream::connect(address).unwrap());
    server.join().unwrap();
    for (url, words) in [
        (format!("http://{address}/"), "cannot connect"),
        (format!("wss://{address}/"), "cannot connect"),
        (format!("tls://{address}"), "cannot connect"),
        ("http://nowhere.invalid/".to_owned(), "cannot be resolved"),
    ] {
        connect(&["--insecure", &url], b"").failed(3, words);
    }
}
