//! A subscriber that does not read is sent away, and nobody else notices.

use std::net::SocketAddr;

use corecast::worker::Limits;
use socket2::{Domain, Socket, Type};
use tungstenite::Message;
use tungstenite::protocol::frame::coding::CloseCode;

use crate::client::{Client, PATIENCE};
use crate::house::House;

/// What the kernels of both sides hold for a socket at most, and as much again.
const UNREAD_BYTES_MAX: usize = 32 << 20;

/// A socket for which the system here holds little that is unread.
fn narrow_socket(address: SocketAddr) -> std::net::TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    socket.into()
}

#[test]
fn a_slow_reader_is_closed_with_1013_and_the_others_get_everything_in_order() {
    // It is to find its close when it reads at last, however late that is.
    let house = House::open(2, Limits { close_ms_max: 60_000, ..Limits::default() });
    for (nth, via) in (1..).zip(house.vias()) {
        let path = format!("/topics/{nth}");
        let mut others: Vec<_> = (0..8).map(|_| house.client(via, &path)).collect();
        let slow = narrow_socket(house.address(via));
        let slow = Client::over(slow, via, &path).unwrap();
        let told = publish_until(&mut others, || {
            house.counts("outbox_refusals_total").iter().sum::<u64>() == nth
        });
        let heard = hear_until_shed(slow);
        assert!(heard < told, "{via:?}: it was refused something");
        house.await_count("connections_closed_total{reason=\"slow\"}", nth);
        house.await_count("outbox_refusals_total", nth);
    }
}

/// Publishes numbered messages to everybody, and lets all read them, until `is_enough`. Gives back
/// how many it were.
fn publish_until(clients: &mut [Client], is_enough: impl Fn() -> bool) -> usize {
    const LEN: usize = 16 * 1024;
    for number in 0..UNREAD_BYTES_MAX / LEN {
        let message = Message::text(format!("{number:0LEN$}"));
        clients[0].say(message.clone());
        for client in &mut *clients {
            assert!(client.hear() == message, "number {number} came too late or too early");
        }
        if is_enough() {
            return number + 1;
        }
    }
    panic!("the slow reader was never refused anything");
}

/// Reads to the close. Gives back how many messages came before it, all in their order.
fn hear_until_shed(mut slow: Client) -> usize {
    for number in 0.. {
        match slow.hear() {
            Message::Text(text) => assert_eq!(text.parse(), Ok(number)),
            Message::Close(Some(frame)) => {
                assert_eq!(frame.code, CloseCode::Again);
                assert_eq!(frame.reason.as_str(), "reading too slowly");
                return number;
            }
            message => panic!("what is this: {message:?}"),
        }
    }
    unreachable!("numbers do not end")
}
