//! Our decoder beside tungstenite's, on streams of frames that are nearly right.
//!
//! Both must accept the same messages and end in the same way. They differ on purpose where
//! `tests/support/disagreements.txt` says so, and in when they notice: we refuse a bad byte of text
//! as it arrives, tungstenite with the end of its frame. So streams consist of whole frames.

use std::io::{self, Cursor, Read, Write};

use corecast::base::Input;
use corecast::ws::{Decoder, Event, Limits, Role};
use proptest::prelude::*;
use tungstenite::protocol::{Role as TheirRole, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use super::verdicts::EXPLAINED;

const MESSAGE_BYTES_MAX: usize = 300;

/// How a stream of frames ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum End {
    /// With the last frame; more may follow.
    Open,
    /// With a close frame.
    Closed,
    /// With a frame that was refused.
    Refused,
}

/// A frame in which everything may be wrong but the length of its payload.
#[derive(Clone, Debug)]
struct Frame {
    first: u8,
    payload: Vec<u8>,
    key: [u8; 4],
    /// Masked where it must not be, or not where it must.
    is_masked_wrongly: bool,
}

impl Frame {
    /// Writes the frame as the peer of `role` would.
    fn encode(&self, role: Role, out: &mut Vec<u8>) {
        let is_masked = (role == Role::Server) != self.is_masked_wrongly;
        let (masked, key) = if is_masked { (0x80, self.key) } else { (0, [0; 4]) };
        let len = u16::try_from(self.payload.len()).unwrap();
        out.push(self.first);
        if len < 126 {
            out.push(masked | u8::try_from(len).unwrap());
        } else {
            out.push(masked | 0x7E);
            out.extend(len.to_be_bytes());
        }
        out.extend(key.iter().filter(|_| is_masked));
        out.extend(self.payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }

    /// Whether a row of the list of disagreements has it: those are frames of a client with the
    /// key of zeros, and what counts is the close code.
    fn is_disputed(&self, disputed: &[Vec<u8>]) -> bool {
        let is_row = |row: &Vec<u8>| self.payload.starts_with(row.get(6..).unwrap_or_default());
        self.first & 0x0F == 8 && disputed.iter().any(is_row)
    }
}

/// The frames on which the list says that tungstenite disagrees.
fn disputed() -> Vec<Vec<u8>> {
    let rows = EXPLAINED.iter().filter(|row| row.disagreement.with == "tungstenite");
    rows.map(|row| row.example.clone()).collect()
}

/// A frame of which nothing is certain.
fn odd_frame() -> impl Strategy<Value = Vec<Frame>> {
    let disputed = disputed();
    let first = prop_oneof![
        4 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x80, 0x00]),
        2 => prop::sample::select(vec![0x88, 0x89, 0x8A]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        2 => text(),
        1 => prop::collection::vec(any::<u8>(), 0..8),
        1 => prop::collection::vec(0x80u8..0xC8, 0..4),
        1 => "[a-z]{100,160}".prop_map(String::into_bytes),
        3 => (900u16..5100, "[a-z]{0,5}").prop_map(|(code, reason)| {
            [&code.to_be_bytes(), reason.as_bytes()].concat()
        }),
    ];
    (first, payload, any::<[u8; 4]>(), prop::bool::weighted(0.1))
        .prop_map(|(first, payload, key, is_masked_wrongly)| Frame {
            first,
            payload,
            key,
            is_masked_wrongly,
        })
        .prop_filter("the list explains it", move |frame| !frame.is_disputed(&disputed))
        .prop_map(|frame| vec![frame])
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    "[a-zé€😀]{0,40}".prop_map(String::into_bytes)
}

/// A message as it should be: in fragments cut anywhere, with pings between them.
fn message() -> impl Strategy<Value = Vec<Frame>> {
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    (1..=2u8, text(), cuts, any::<[u8; 4]>(), any::<bool>()).prop_map(
        |(opcode, payload, cuts, key, has_pings)| {
            let mut cuts: Vec<usize> =
                cuts.iter().map(|cut| cut.index(payload.len() + 1)).collect();
            cuts.extend([0, payload.len()]);
            cuts.sort_unstable();
            let frame = |first, payload| Frame { first, payload, key, is_masked_wrongly: false };
            let mut frames = Vec::new();
            for (piece, index) in cuts.windows(2).zip(1..) {
                let fin = if index == cuts.len() - 1 { 0x80 } else { 0 };
                let opcode = if index == 1 { opcode } else { 0 };
                frames.push(frame(fin | opcode, payload[piece[0]..piece[1]].to_vec()));
                frames.extend(has_pings.then(|| frame(0x89, vec![opcode; index])));
            }
            frames
        },
    )
}

/// What our decoder makes of the bytes, in pieces of `piece_len`.
fn ours(bytes: &[u8], role: Role, piece_len: usize) -> (Vec<Message>, End) {
    let limits = Limits { message_bytes_max: MESSAGE_BYTES_MAX, fragments_max: u32::MAX };
    let (mut decoder, mut messages) = (Decoder::new(role), Vec::new());
    for piece in bytes.chunks(piece_len) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, &limits) {
                Ok(None) => break,
                Ok(Some(Event::Close(_))) => return (messages, End::Closed),
                Ok(Some(event)) => messages.push(translate(event)),
                Err(_) => return (messages, End::Refused),
            }
        }
    }
    (messages, End::Open)
}

fn translate(event: Event<'_>) -> Message {
    match event {
        Event::Text(text) => Message::text(&*text),
        Event::Binary(bytes) => Message::binary(bytes.into_owned()),
        Event::Ping(bytes) => Message::Ping(bytes.into_owned().into()),
        Event::Pong(bytes) => Message::Pong(bytes.into_owned().into()),
        Event::Deflated(_) => unreachable!("nobody agreed to deflating"),
        Event::Close(_) => unreachable!("a close ends the stream"),
    }
}

/// What tungstenite makes of the same bytes.
fn theirs(bytes: &[u8], role: Role) -> (Vec<Message>, End) {
    let role = match role {
        Role::Server => TheirRole::Server,
        Role::Client => TheirRole::Client,
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let stream = Recorded(Cursor::new(bytes.to_vec()));
    let mut socket = WebSocket::from_raw_socket(stream, role, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            // A code that may not be sent is reported so, instead of as an error.
            Ok(Message::Close(Some(frame))) if frame.reason == "Protocol violation" => {
                return (messages, End::Refused);
            }
            Ok(Message::Close(_)) => return (messages, End::Closed),
            Ok(message) => messages.push(message),
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (messages, End::Open);
            }
            Err(_) => return (messages, End::Refused),
        }
    }
}

/// A stream that was recorded: what is written goes nowhere, and its end is not the end.
struct Recorded(Cursor<Vec<u8>>);

impl Read for Recorded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            len => Ok(len),
        }
    }
}

impl Write for Recorded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_decoders_agree(
        frames in prop::collection::vec(prop_oneof![6 => message(), 1 => odd_frame()], 1..10),
        role in prop::sample::select(vec![Role::Server, Role::Client]),
        piece_len in 1usize..200,
    ) {
        let mut bytes = Vec::new();
        for frame in frames.iter().flatten() {
            frame.encode(role, &mut bytes);
        }
        prop_assert_eq!(ours(&bytes, role, piece_len), theirs(&bytes, role));
    }
}

#[test]
fn what_the_list_says_of_frames_is_so() {
    let rows = EXPLAINED.iter().filter(|row| row.disagreement.with == "tungstenite");
    for row in rows {
        let (ours, theirs) =
            (ours(&row.example, Role::Server, 99).1, theirs(&row.example, Role::Server).1);
        let told = (format!("{ours:?}"), format!("{theirs:?}"));
        let listed = &row.disagreement;
        assert_eq!(told, (listed.ours.clone(), listed.theirs.clone()));
    }
}
