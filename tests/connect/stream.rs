//! Bytes over TLS and without it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;

use crate::peer::{command, connect, place, script, serve};

#[test]
fn what_goes_out_comes_back_and_the_end_of_the_input_ends_it() {
    let program = serve();
    let (url, ca) = place(&program, "tls");
    // More than all buffers on the way hold, in both directions at once.
    let long: Vec<u8> = (0..=u8::MAX).cycle().take(24 << 20).collect();
    for input in [&b""[..], b"hello\n", &long] {
        let outcome = connect(&[&ca, &url], input);
        assert_eq!(outcome.code, Some(0), "{}", outcome.err);
        assert!(outcome.out.strip_prefix(b"welcome!\n").is_some_and(|rest| rest == input));
        assert!(outcome.err.contains("TLS 1.3"), "{}", outcome.err);
    }
}

#[test]
fn what_comes_is_written_as_it_comes() {
    let program = serve();
    let (url, ca) = place(&program, "tls");
    let mut child = command(&[&ca, &url]).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut said = String::new();
    out.read_line(&mut said).unwrap();
    for word in ["one\n", "two\n"] {
        child.stdin.as_mut().unwrap().write_all(word.as_bytes()).unwrap();
        out.read_line(&mut said).unwrap();
    }
    assert_eq!(said, "welcome!\none\ntwo\n");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_server_that_ends_ends_it_although_the_input_goes_on() {
    let (address, server) = script(1, |_, mut socket| {
        socket.write_all(b"goodbye").unwrap();
        socket.shutdown(Shutdown::Write).unwrap();
        // The client ends as well.
        assert_eq!(socket.read_to_end(&mut Vec::new()).unwrap(), 0);
    });
    let mut child = command(&[&format!("tcp://{address}")]).spawn().unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((said.as_str(), child.wait().unwrap().code()), ("goodbye", Some(0)));
    drop(child.stdin.take());
    server.join().unwrap();
}

#[test]
fn an_answer_still_comes_after_the_end_of_the_input() {
    let (address, server) = script(1, |_, mut socket| {
        let mut asked = Vec::new();
        socket.read_to_end(&mut asked).unwrap();
        asked.reverse();
        socket.write_all(&asked).unwrap();
    });
    assert_eq!(connect(&[&format!("tcp://{address}")], b"olleh").text(), "hello");
    server.join().unwrap();
}

#[test]
fn who_reads_the_output_may_leave() {
    let program = serve();
    let (url, ca) = place(&program, "tls");
    let mut child = command(&[&ca, &url]).spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    // Whatever is written meets a pipe that nobody reads.
    let _ = stdin.write_all(b"hello\n");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_connection_that_is_reset_ends_with_3() {
    let (address, server) = script(1, |_, socket| {
        let socket = socket2::Socket::from(socket);
        // A close that does not linger is a reset.
        socket.set_linger(Some(std::time::Duration::ZERO)).unwrap();
    });
    let child = command(&[&format!("tcp://{address}")]).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    server.join().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    // It may come while connecting.
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("reset by peer"), "{said}");
}
