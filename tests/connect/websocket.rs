//! Lines as messages, messages as lines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;

use tungstenite::handshake::server::{Request, Response};
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use crate::peer::{command, connect, place, read_to, script, serve, serve_with};

/// A server that is tungstenite, for one connection.
fn stranger(
    talk: impl Fn(&mut WebSocket<TcpStream>) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    script(1, move |_, socket| {
        #[allow(clippy::result_large_err)] // the stranger's own type
        let agree = |request: &Request, mut response: Response| {
            let offered = request.headers().get("sec-websocket-protocol");
            if let Some(offered) = offered {
                assert_eq!(offered, "v1, v2");
                let chosen = "v2".parse().unwrap();
                response.headers_mut().insert("sec-websocket-protocol", chosen);
            }
            Ok(response)
        };
        talk(&mut tungstenite::accept_hdr(socket, agree).unwrap());
    })
}

/// Reads until the connection has ended as it should; gives back what came with the close.
fn closed(socket: &mut WebSocket<TcpStream>) -> Option<CloseFrame> {
    let mut frame = None;
    loop {
        match socket.read() {
            Ok(Message::Close(said)) => frame = said,
            Ok(_) => {}
            Err(Error::ConnectionClosed) => return frame,
            Err(error) => panic!("{error}"),
        }
    }
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

#[test]
fn lines_are_echoed_by_our_server_over_both_transports() {
    let program = serve();
    let long = "x".repeat(60_000);
    let lines = format!("hello\n\ngrüße\n{long}\nno line feed");
    for scheme in ["ws", "wss"] {
        let (url, ca) = place(&program, scheme);
        for arguments in [&[][..], &["--binary"], &["--subprotocol", "v2", "--ping", "1s"]] {
            let url = format!("{url}/echo");
            let outcome = connect(&[arguments, &[&ca, &url]].concat(), lines.as_bytes());
            assert_eq!(outcome.err.contains("subprotocol: v2"), arguments.len() > 1);
            assert_eq!(outcome.text(), format!("{lines}\n"));
        }
    }
}

#[test]
fn lines_are_deflated_where_both_sides_want_it() {
    let lines = format!("hello\n{}\n{}\n", "deflate ".repeat(5_000), "x".repeat(60_000));
    let kept = "extension: permessage-deflate\n";
    let forgotten =
        "extension: permessage-deflate; server_no_context_takeover; client_no_context_takeover\n";
    let rows = [
        (&[][..], "the server does not deflate"),
        (&["--deflate"], forgotten),
        (&["--deflate=takeover"], kept),
    ];
    for (arguments, told) in rows {
        let program = serve_with(arguments);
        for scheme in ["ws", "wss"] {
            let (url, ca) = place(&program, scheme);
            let arguments = ["--deflate", &ca, &format!("{url}/echo")];
            let outcome = connect(&arguments, lines.as_bytes());
            assert!(outcome.err.contains(told), "{}", outcome.err);
            assert_eq!(outcome.text(), lines);
        }
    }
    // Who does not ask is not answered so.
    let program = serve_with(&["--deflate"]);
    let outcome = connect(&[&format!("{}/echo", place(&program, "ws").0)], lines.as_bytes());
    assert!(!outcome.err.contains("deflate"), "{}", outcome.err);
    assert_eq!(outcome.text(), lines);
}

#[test]
fn many_lines_are_echoed_although_neither_side_waits_for_the_other() {
    let program = serve();
    let (url, _) = place(&program, "ws");
    let lines = (0..100_000).map(|number| format!("line {number}")).collect::<Vec<_>>();
    let lines = lines.join("\n") + "\n";
    assert!(connect(&[&format!("{url}/echo")], lines.as_bytes()).text() == lines);
}

#[test]
fn messages_are_of_the_kind_and_the_subprotocol_that_was_asked_for() {
    for (is_binary, kind) in
        [(false, Message::text("hello")), (true, Message::binary(&b"hello"[..]))]
    {
        let (address, server) = stranger(move |socket| {
            assert_eq!(socket.read().unwrap(), kind);
            socket.send(Message::Ping("are you there?".into())).unwrap();
            assert_eq!(socket.read().unwrap(), Message::Pong("are you there?".into()));
            socket.send(Message::binary(&b"\xFF\x00"[..])).unwrap();
            assert_eq!(closed(socket).unwrap().code, CloseCode::Normal);
        });
        let flag: &[&str] = if is_binary { &["--binary"] } else { &[] };
        let url = format!("ws://{address}/a?b");
        let arguments =
            ["--subprotocol", "v1", "--subprotocol", "v2", "-H", "Origin: http://a", &url];
        // The input ends only after the answer.
        let mut child = command(&[flag, &arguments].concat()).spawn().unwrap();
        child.stdin.as_mut().unwrap().write_all(b"hello\n").unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut said = Vec::new();
        out.read_until(b'\n', &mut said).unwrap();
        assert_eq!(said, b"\xFF\x00\n");
        let outcome = crate::peer::finish(child, b"");
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert!(outcome.err.contains("subprotocol: v2"), "{}", outcome.err);
        server.join().unwrap();
    }
}

#[test]
fn a_close_of_the_server_is_told_and_judged() {
    for (said, code, words) in [
        (close(1000, ""), 0, "closed by the server: 1000"),
        (close(1001, "bye"), 0, "closed by the server: 1001: bye"),
        (Message::Close(None), 0, "closed by the server: 1005"),
        (close(1008, "no\nway"), 6, "the server closed with 1008: no\\nway"),
        (close(4000, ""), 6, "the server closed with 4000"),
    ] {
        let (address, server) = stranger(move |socket| {
            socket.send(Message::text("last words")).unwrap();
            socket.send(said.clone()).unwrap();
            let echoed = closed(socket);
            assert!(matches!(&said, Message::Close(frame)
                if frame.as_ref().map(|it| it.code) == echoed.map(|it| it.code)));
        });
        let mut child = command(&[&format!("ws://{address}/")]).spawn().unwrap();
        let stdin = child.stdin.take();
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            (output.status.code(), &*output.stdout),
            (Some(code), &b"last words\n"[..]),
            "{err}"
        );
        assert!(err.contains(words), "{words}: {err}");
        server.join().unwrap();
    }
}

/// A client whose connection stands.
fn standing(address: SocketAddr, arguments: &[&str]) -> Child {
    let url = format!("ws://{address}/");
    let mut child = command(&[arguments, &[&url]].concat()).spawn().unwrap();
    let mut said = [0; 3];
    child.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hi\n");
    child
}

fn interrupt(child: &Child) {
    let kill = format!("kill -s INT {}", child.id());
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
}

#[test]
fn an_interrupt_closes_with_1001_and_hears_what_still_comes() {
    let (address, server) = stranger(|socket| {
        socket.send(Message::text("hi")).unwrap();
        let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("no close") };
        assert_eq!(frame.code, CloseCode::Away);
        assert!(closed(socket).is_none());
    });
    let mut child = standing(address, &[]);
    // Waiting would end its input first, which closes with 1000.
    let stdin = child.stdin.take();
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(0));
    drop(stdin);
    server.join().unwrap();
}

#[test]
fn a_server_that_does_not_answer_a_close_is_left_in_time_or_at_the_second_interrupt() {
    for (timeout, code, words) in
        [("200ms", 3, "did not answer the close"), ("1h", 1, "told twice")]
    {
        let (sender, closing) = channel();
        let (address, server) = stranger(move |socket| {
            socket.send(Message::text("hi")).unwrap();
            // The bytes of the close, which it would answer if it read the frame.
            socket.get_mut().read_exact(&mut [0; 8]).unwrap();
            sender.send(()).unwrap();
            let _ = socket.get_mut().read_to_end(&mut Vec::new());
        });
        let mut child = standing(address, &["--timeout", timeout]);
        let stdin = child.stdin.take();
        interrupt(&child);
        closing.recv().unwrap();
        if timeout == "1h" {
            interrupt(&child);
        }
        let output = child.wait_with_output().unwrap();
        drop(stdin);
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(err.contains(words), "{err}");
        server.join().unwrap();
    }
}

#[test]
fn a_server_that_does_not_answer_pings_is_given_up() {
    let (address, server) = stranger(|socket| {
        socket.send(Message::text("hi")).unwrap();
        let mut pings = Vec::new();
        let _ = socket.get_mut().read_to_end(&mut pings);
        assert_eq!(pings.first(), Some(&0x89));
    });
    let mut child = standing(address, &["--ping", "100ms"]);
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("does not answer pings"), "{err}");
    server.join().unwrap();
}

#[test]
fn what_is_no_websocket_ends_with_5_or_6() {
    let program = serve();
    let (url, _) = place(&program, "ws");
    connect(&[&format!("{url}/nothing")], b"").failed(5, "404 Not Found instead of 101");
    let upgraded = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    for (answer, words) in [
        ("HTTP/1.1 101 x\r\n\r\n".to_owned(), "switched to another protocol"),
        (format!("{upgraded}Sec-WebSocket-Accept: AAAA\r\n\r\n"), "did not prove"),
        ("nonsense\r\n\r\n".to_owned(), "no HTTP/1.1"),
        (String::new(), "without an answer"),
    ] {
        let (address, server) = script(1, move |_, mut socket| {
            read_to(&mut socket, b"\r\n\r\n");
            socket.write_all(answer.as_bytes()).unwrap();
        });
        connect(&[&format!("ws://{address}/")], b"").failed(6, words);
        server.join().unwrap();
    }
}

/// Lets a client hear what breaks the rules, and not come first with an end of its input.
fn heard_out(address: SocketAddr, words: &str) {
    let mut child = command(&[&format!("ws://{address}/")]).spawn().unwrap();
    let stdin = child.stdin.take();
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    let err = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{err}");
    assert!(err.contains(words), "{words}: {err}");
}

#[test]
fn a_server_that_breaks_the_rules_is_told_and_left() {
    for (bytes, words, code) in [
        (&b"\x81\x02\xFF\xFF"[..], "UTF-8", 1007_u16),
        (b"\xC1\x00", "reserved bits", 1002),
        (b"\x81\x80\0\0\0\0", "with mask", 1002),
        (b"\x82\x7F\0\0\0\0\x01\0\0\x01", "too big", 1009),
    ] {
        let (address, server) = stranger(move |socket| {
            socket.get_mut().write_all(bytes).unwrap();
            assert_eq!(closed(socket).unwrap().code, code.into());
        });
        heard_out(address, words);
        server.join().unwrap();
    }
    let (address, server) = stranger(|socket| drop(socket.get_mut().write_all(b"\x81\x02o")));
    heard_out(address, "1006");
    server.join().unwrap();
}

#[test]
fn a_line_that_is_no_text_is_not_sent_as_text() {
    let program = serve();
    let (url, _) = place(&program, "ws");
    let url = format!("{url}/echo");
    connect(&[&url], b"\xFF\n").failed(2, "not UTF-8");
    let outcome = connect(&["--binary", &url], b"\xFF\n");
    assert_eq!((outcome.code, &*outcome.out), (Some(0), &b"\xFF\n"[..]), "{}", outcome.err);
}
