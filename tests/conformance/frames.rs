//! Frames that Autobahn does not send.

use corecast::base::Input;
use corecast::ws::{
    CloseCode, Decoder, Event, Fault, FrameHeader, Limits, MaskKey, Opcode, Role, unmask,
};

const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 128 };
const KEY: MaskKey = MaskKey([0x9A, 0x00, 0xFF, 0x01]);

/// A masked frame; `opcode` need not be allowed where it stands.
fn frame(fin: bool, opcode: Opcode, payload: &[u8], key: MaskKey) -> Vec<u8> {
    let payload_len = payload.len() as u64;
    let mask = Some(key);
    let header = FrameHeader { fin, compressed: false, opcode, mask, payload_len }.encode();
    let mut payload = payload.to_vec();
    unmask(&mut payload, key, 0);
    [header.as_slice(), &payload].concat()
}

/// The events a server sees, in words, and the close code that ended them.
fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<CloseCode>) {
    let (mut decoder, mut events) = (Decoder::new(Role::Server), Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        loop {
            match decoder.next(&mut input, &LIMITS) {
                Ok(Some(event)) => events.push(format!("{event:?}")),
                Ok(None) => break,
                Err(fault) => return (events, Some(fault.close_code())),
            }
        }
    }
    (events, None)
}

fn text(text: &str) -> String {
    format!("{:?}", Event::Text(text.into()))
}

#[test]
fn an_unmasked_frame_is_a_breach_whatever_it_is() {
    let frames: [&[u8]; 7] =
        [b"\x81\0", b"\x82\x01a", b"\x01\0", b"\x80\0", b"\x88\0", b"\x89\0", b"\x8A\x7D"];
    for frame in frames {
        assert_eq!(decode(&[frame]), (Vec::new(), Some(CloseCode::PROTOCOL)), "{frame:?}");
    }
}

#[test]
fn a_key_may_be_zero_or_repeat_or_be_cut() {
    for key in [[0; 4], [0xFF; 4], [1, 2, 1, 2], [0x80, 0, 0, 0]] {
        let bytes = frame(true, Opcode::Text, b"any key will do", MaskKey(key));
        for cut in 0..=bytes.len() {
            let found = decode(&[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(found, (vec![text("any key will do")], None), "{key:?} cut at {cut}");
        }
    }
}

#[test]
fn a_length_has_one_form() {
    let key = [0; 4];
    let forms = |len: u64| {
        let medium = u16::try_from(len).ok().map(u16::to_be_bytes);
        let short = u8::try_from(len).ok().filter(|len| *len < 126);
        let long = [&[0x82, 0xFF][..], &len.to_be_bytes()].concat();
        [
            short.map(|len| vec![0x82, 0x80 | len]),
            medium.map(|len| [&[0x82, 0xFE][..], &len].concat()),
            Some(long),
        ]
    };
    for len in [0, 1, 125, 126, 127, 65_535, 65_536] {
        let mut forms = forms(len).into_iter().flatten();
        let shortest = forms.next().unwrap();
        assert_eq!(decode(&[&shortest, &key]).1, None, "{len}");
        for longer in forms {
            assert_eq!(decode(&[&longer, &key]).1, Some(CloseCode::PROTOCOL), "{longer:?}");
        }
    }
}

#[test]
fn the_top_bit_of_a_length_is_never_set() {
    for len in [1 << 63, (1 << 63) + 1, u64::MAX - 1, u64::MAX] {
        let bytes = [&[0x82, 0xFF][..], &len.to_be_bytes(), &[0; 4]].concat();
        assert_eq!(decode(&[&bytes]), (Vec::new(), Some(CloseCode::PROTOCOL)), "{len:#x}");
    }
}

#[test]
fn a_control_frame_may_stand_at_each_place_between_fragments() {
    let fragments = [
        frame(false, Opcode::Text, b"one ", KEY),
        frame(false, Opcode::Continuation, b"", KEY),
        frame(false, Opcode::Continuation, b"two ", KEY),
        frame(true, Opcode::Continuation, b"three", KEY),
    ];
    for place in 0..=fragments.len() {
        for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
            let mut frames = fragments.to_vec();
            frames.insert(place, frame(true, opcode, b"", KEY));
            let (events, fault) = decode(&[&frames.concat()]);
            assert_eq!((events.len(), fault), (2, None), "{opcode:?} at {place}");
            let message_at = usize::from(place < fragments.len());
            assert_eq!(events[message_at], text("one two three"), "{opcode:?} at {place}");
        }
    }
}

#[test]
fn a_control_frame_leaves_nothing_to_the_next() {
    let payloads: [(Opcode, &[u8]); 4] = [
        (Opcode::Ping, b"one"),
        (Opcode::Close, b"\x03\xE8two"),
        (Opcode::Pong, b"three"),
        (Opcode::Ping, b""),
    ];
    let mut bytes = frame(false, Opcode::Text, b"", KEY);
    for (opcode, payload) in payloads {
        bytes.extend(frame(true, opcode, payload, KEY));
    }
    let (events, _) = decode(&[&bytes]);
    let words = |event: Event<'static>| format!("{event:?}");
    assert_eq!(events[0], words(Event::Ping(b"one".into())));
    assert!(events[1].contains("two"), "{}", events[1]);
    assert_eq!(events[2..], [Event::Pong(b"three".into()), Event::Ping(b"".into())].map(words));
}

#[test]
fn a_fragmented_control_frame_is_a_breach_at_each_place() {
    let fragments = [
        frame(false, Opcode::Text, b"a", KEY),
        frame(false, Opcode::Continuation, b"b", KEY),
        frame(true, Opcode::Continuation, b"c", KEY),
    ];
    for place in 0..=fragments.len() {
        for opcode in [Opcode::Ping, Opcode::Pong, Opcode::Close] {
            let mut frames = fragments.to_vec();
            frames.insert(place, frame(false, opcode, b"", KEY));
            let (_, code) = decode(&[&frames.concat()]);
            assert_eq!(code, Some(CloseCode::PROTOCOL), "{opcode:?} at {place}");
        }
    }
}

#[test]
fn empty_continuations_without_end_are_cut_short() {
    let mut decoder = Decoder::new(Role::Server);
    let mut open = frame(false, Opcode::Binary, b"", KEY);
    assert_eq!(decoder.next(&mut Input::new(&mut open), &LIMITS), Ok(None));
    let frames = (1..1_000_000).find_map(|count| {
        let mut next = frame(false, Opcode::Continuation, b"", KEY);
        decoder.next(&mut Input::new(&mut next), &LIMITS).err().map(|fault| (count, fault))
    });
    assert_eq!(frames, Some((LIMITS.fragments_max, Fault::TooManyFragments)));
}

#[test]
fn a_ping_comes_back_byte_by_byte() {
    for len in 0..=125 {
        let payload: Vec<u8> = (0..len).map(|byte| byte * 2).collect();
        let bytes = frame(true, Opcode::Ping, &payload, KEY);
        for pieces in [vec![&bytes[..]], bytes.chunks(1).collect()] {
            let expected = format!("{:?}", Event::Ping(payload.clone().into()));
            assert_eq!(decode(&pieces), (vec![expected], None));
        }
    }
}

#[test]
fn each_close_code_is_judged() {
    let valid = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in (0..=1100).chain(1990..=5010).chain([u16::MAX]) {
        let bytes = frame(true, Opcode::Close, &code.to_be_bytes(), KEY);
        let (events, fault) = decode(&[&bytes]);
        let expected = (usize::from(valid(code)), (!valid(code)).then_some(CloseCode::PROTOCOL));
        assert_eq!((events.len(), fault), expected, "{code}");
    }
}
