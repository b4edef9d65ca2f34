//! Asks the kernel how long a queue the listeners at a port have, over its socket for questions
//! about sockets (`sock_diag(7)`, of which `ss -ltn` is made). No file under `/proc` tells it.

use std::io::{self, Read, Write};

use socket2::{Domain, Protocol, Socket, Type};

/// The family of sockets to the kernel, and which of its parts answers questions about sockets.
const AF_NETLINK: i32 = 16;
const NETLINK_SOCK_DIAG: i32 = 4;

/// A question about sockets of a family, and how questions and answers are marked.
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST_DUMP: u16 = 0x301;
const NLMSG_DONE: u16 = 3;

/// The families of addresses, TCP, and its state in which a socket listens.
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const LISTENING: u32 = 1 << 10;

/// Bytes of the head of a message, and of a question or the part of an answer that names a socket.
const HEAD_LEN: usize = 16;
const QUESTION_LEN: usize = 56;

/// How many answers are read at most: listeners of one machine.
const READS_MAX: u32 = 256;

/// How many callers the queues of all listeners at `port` hold together; `None` if nobody listens,
/// or the kernel does not say.
pub fn queues(port: u16) -> Option<u64> {
    let queues = [AF_INET, AF_INET6].map(|family| ask(family, port).unwrap_or_default());
    let all: Vec<_> = queues.concat();
    (!all.is_empty()).then(|| all.iter().map(|queue| u64::from(*queue)).sum())
}

fn ask(family: u8, port: u16) -> io::Result<Vec<u32>> {
    let protocol = Some(Protocol::from(NETLINK_SOCK_DIAG));
    let mut socket = Socket::new(Domain::from(AF_NETLINK), Type::DGRAM, protocol)?;
    socket.set_read_timeout(Some(std::time::Duration::from_secs(1)))?;
    socket.write_all(&question(family))?;
    let mut found = Vec::new();
    let mut answer = vec![0; 64 * 1024];
    for _ in 0..READS_MAX {
        let len = socket.read(&mut answer)?;
        let (answer, _) = answer.split_at(len);
        if !take(answer, port, &mut found) {
            break;
        }
    }
    Ok(found)
}

/// Asks for all listeners of a family (`struct nlmsghdr`, `struct inet_diag_req_v2`).
fn question(family: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_LEN + QUESTION_LEN);
    bytes.extend(u32::try_from(HEAD_LEN + QUESTION_LEN).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_DUMP.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend([family, IPPROTO_TCP, 0, 0]);
    bytes.extend(LISTENING.to_ne_bytes());
    bytes.resize(HEAD_LEN + QUESTION_LEN, 0);
    bytes
}

/// Takes the queues of listeners at `port` out of an answer; says whether more will come.
///
/// A listener's `idiag_wqueue` is the length of its queue (`struct inet_diag_msg`).
fn take(mut answer: &[u8], port: u16, found: &mut Vec<u32>) -> bool {
    while let Some((head, _)) = answer.split_first_chunk::<HEAD_LEN>() {
        let [l0, l1, l2, l3, k0, k1, ..] = *head;
        let len = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
        let kind = u16::from_ne_bytes([k0, k1]);
        let Some(message) = answer.get(HEAD_LEN..len.max(HEAD_LEN)) else { return false };
        if kind != SOCK_DIAG_BY_FAMILY {
            // The end, or an error, after which nothing comes either.
            return kind != NLMSG_DONE && kind > NLMSG_DONE;
        }
        let source = message.get(4..6).and_then(|it| it.first_chunk());
        let queue = message.get(60..64).and_then(|it| it.first_chunk());
        if let (Some(source), Some(queue)) = (source, queue)
            && u16::from_be_bytes(*source) == port
        {
            found.push(u32::from_ne_bytes(*queue));
        }
        answer = answer.get(len.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockAddr;
    use std::net::SocketAddr;

    #[test]
    #[cfg(target_os = "linux")]
    fn the_queue_of_a_listener_is_as_long_as_it_asked_for() {
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::from(any)).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(queues(address.port()), None, "nobody listens yet");
        socket.listen(17).unwrap();
        assert_eq!(queues(address.port()), Some(17));
    }

    #[test]
    fn an_answer_that_is_cut_short_is_no_answer() {
        let mut message = question(AF_INET);
        message.resize(HEAD_LEN + 72, 0);
        message[0..4].copy_from_slice(&88u32.to_ne_bytes());
        message[HEAD_LEN + 4..HEAD_LEN + 6].copy_from_slice(&80u16.to_be_bytes());
        message[HEAD_LEN + 60..HEAD_LEN + 64].copy_from_slice(&5u32.to_ne_bytes());
        for cut in 0..message.len() {
            let mut found = Vec::new();
            take(&message[..cut], 80, &mut found);
            assert_eq!(found, [0u32; 0], "cut at {cut}");
        }
        let mut found = Vec::new();
        assert!(take(&message, 80, &mut found) && take(&message, 81, &mut found));
        assert_eq!(found, [5]);
    }
}
