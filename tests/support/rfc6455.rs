//! Frames and the opening handshake, read slowly and word for word from RFC 6455, for the fast
//! readers of the library to be held against. Nothing is shared with them but the names of what
//! they tell.
// Each test uses the readings it needs.
#![allow(dead_code)]

use std::borrow::Cow;

use corecast::ws::{CloseCode, CloseFrame, Event, Fault, Limits, Opcode, Role};

use super::rfc9112::{Head, is_token, lists, values};

/// The key of a request that asks for a WebSocket as RFC 6455 §4.2.1 has it, or the number of the
/// requirement there that it does not meet (6 for the key, 7 for the version, 8 for a subprotocol).
pub(crate) fn upgrade(head: &Head) -> Result<Vec<u8>, u8> {
    if head.method != "GET" || head.minor_version == 0 {
        return Err(1);
    }
    if !lists(head, "upgrade", "websocket") {
        return Err(3);
    }
    if !lists(head, "connection", "upgrade") {
        return Err(4);
    }
    let keys = values(&head.fields, "sec-websocket-key");
    let [key] = keys[..] else { return Err(6) };
    if !is_sixteen_bytes(key) {
        return Err(6);
    }
    if values(&head.fields, "sec-websocket-version") != [b"13"] {
        return Err(7);
    }
    let joined = values(&head.fields, "sec-websocket-protocol").join(&b","[..]);
    let mut offers = Vec::new();
    for offer in joined.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
        if offer.is_empty() {
            continue;
        }
        if !is_token(offer) || offers.contains(&offer) {
            return Err(8);
        }
        offers.push(offer);
    }
    Ok(key.to_vec())
}

/// 16 bytes in base64 are 22 digits, the last of which has four bits to spare, and two pads.
fn is_sixteen_bytes(key: &[u8]) -> bool {
    let Some(digits) = key.strip_suffix(b"==") else { return false };
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    digits.len() == 22 && digits.iter().all(is_digit)
}

/// What a header of a frame says (RFC 6455 §5.2), and how many bytes it took.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Header {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) key: Option<[u8; 4]>,
    pub(crate) payload_len: u64,
    pub(crate) len: usize,
}

/// Reads the header that `bytes` begin with; `None` while its end has not come.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<Header>, Fault> {
    if bytes.len() < 2 {
        return Ok(None);
    }
    let bit = |byte: usize, bit: u8| bytes[byte] >> (7 - bit) & 1 == 1;
    if bit(0, 1) || bit(0, 2) || bit(0, 3) {
        return Err(Fault::ReservedBits);
    }
    let opcode = match bytes[0] % 16 {
        0x0 => Opcode::Continuation,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xA => Opcode::Pong,
        _ => return Err(Fault::ReservedOpcode),
    };
    let (fin, short) = (bit(0, 0), bytes[1] % 128);
    // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
    // fragmented" (§5.5).
    if bytes[0] % 16 >= 8 && !fin {
        return Err(Fault::FragmentedControl);
    }
    if bytes[0] % 16 >= 8 && short > 125 {
        return Err(Fault::OversizedControl);
    }
    let extended = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(extension) = bytes.get(2..2 + extended) else { return Ok(None) };
    let mut payload_len = 0u64;
    for byte in extension {
        payload_len = payload_len << 8 | u64::from(*byte);
    }
    // "In all cases, the minimal number of bytes MUST be used to encode the length."
    match short {
        126 if payload_len < 126 => return Err(Fault::NonMinimalLength),
        127 if payload_len < 65_536 => return Err(Fault::NonMinimalLength),
        127 if payload_len >= 1 << 63 => return Err(Fault::NegativeLength),
        126 | 127 => {}
        short => payload_len = u64::from(short),
    }
    let mut len = 2 + extended;
    let mut key = None;
    if bit(1, 0) {
        let Some(&[a, b, c, d]) = bytes.get(len..len + 4) else { return Ok(None) };
        key = Some([a, b, c, d]);
        len += 4;
    }
    Ok(Some(Header { fin, opcode, key, payload_len, len }))
}

/// "Octet i of the transformed data is the XOR of octet i of the original data with octet at index
/// i modulo 4 of the masking key" (RFC 6455 §5.3).
pub(crate) fn unmask(payload: &mut [u8], key: [u8; 4], position: usize) {
    for (index, octet) in payload.iter_mut().enumerate() {
        *octet ^= key[(position + index) % 4];
    }
}

/// What the peer of `role` has said with `bytes`: the events, and the fault that ended them.
pub(crate) fn frames(
    bytes: &[u8],
    role: Role,
    limits: &Limits,
) -> (Vec<Event<'static>>, Option<Fault>) {
    let mut events = Vec::new();
    let fault = frames_into(bytes, role, limits, &mut events).err();
    (events, fault)
}

/// A message of which frames have come.
struct Begun {
    is_text: bool,
    payload: Vec<u8>,
    frames: u32,
}

fn frames_into(
    mut rest: &[u8],
    role: Role,
    limits: &Limits,
    events: &mut Vec<Event<'static>>,
) -> Result<(), Fault> {
    let mut message: Option<Begun> = None;
    while let Some(header) = header(rest)? {
        match (role, header.key) {
            (Role::Server, None) => return Err(Fault::Unmasked),
            (Role::Client, Some(_)) => return Err(Fault::Masked),
            _ => {}
        }
        let is_control = matches!(header.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        if !is_control {
            admit(&header, &mut message, limits)?;
        }
        let arrived = &rest[header.len..];
        let len = usize::try_from(header.payload_len).unwrap_or(usize::MAX).min(arrived.len());
        let mut payload = arrived[..len].to_vec();
        unmask(&mut payload, header.key.unwrap_or([0; 4]), 0);
        let is_whole = len as u64 == header.payload_len;
        match (&mut message, is_control) {
            (Some(begun), false) => {
                begun.payload.extend(payload);
                check_text(begun)?;
                if header.fin && is_whole {
                    events.push(finish(message.take().unwrap())?);
                }
            }
            _ if is_whole => events.push(control(header.opcode, payload)?),
            _ => {}
        }
        if !is_whole {
            return Ok(());
        }
        rest = &arrived[len..];
    }
    Ok(())
}

/// Begins or continues a message (RFC 6455 §5.4), within limits.
fn admit(header: &Header, message: &mut Option<Begun>, limits: &Limits) -> Result<(), Fault> {
    match (header.opcode, &message) {
        (Opcode::Continuation, None) => return Err(Fault::UnexpectedContinuation),
        (Opcode::Continuation, Some(_)) => {}
        (_, Some(_)) => return Err(Fault::InterruptedMessage),
        (opcode, None) => {
            let is_text = opcode == Opcode::Text;
            *message = Some(Begun { is_text, payload: Vec::new(), frames: 0 });
        }
    }
    let begun = message.as_mut().unwrap();
    begun.frames += 1;
    if begun.payload.len() as u128 + u128::from(header.payload_len)
        > limits.message_bytes_max as u128
    {
        return Err(Fault::OversizedMessage);
    }
    if begun.frames > limits.fragments_max {
        return Err(Fault::TooManyFragments);
    }
    Ok(())
}

/// Refuses a text that nothing could make valid any more (RFC 6455 §8.1).
fn check_text(begun: &Begun) -> Result<(), Fault> {
    match str::from_utf8(&begun.payload) {
        Err(error) if begun.is_text && error.error_len().is_some() => Err(Fault::InvalidUtf8),
        _ => Ok(()),
    }
}

fn finish(begun: Begun) -> Result<Event<'static>, Fault> {
    if !begun.is_text {
        return Ok(Event::Binary(Cow::Owned(begun.payload)));
    }
    let text = String::from_utf8(begun.payload).map_err(|_| Fault::InvalidUtf8)?;
    Ok(Event::Text(Cow::Owned(text)))
}

fn control(opcode: Opcode, payload: Vec<u8>) -> Result<Event<'static>, Fault> {
    match opcode {
        Opcode::Ping => Ok(Event::Ping(Cow::Owned(payload))),
        Opcode::Pong => Ok(Event::Pong(Cow::Owned(payload))),
        _ => close(&payload).map(Event::Close),
    }
}

/// RFC 6455 §5.5.1 and §7.4, with the codes that were registered after it (1012 to 1014).
pub(crate) fn close(payload: &[u8]) -> Result<Option<CloseFrame<'static>>, Fault> {
    if payload.is_empty() {
        return Ok(None);
    }
    if payload.len() == 1 {
        return Err(Fault::TruncatedCloseCode);
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    let may_be_sent = match code {
        1004..=1006 | 1015 => false,
        1000..=1014 | 3000..=4999 => true,
        _ => false,
    };
    if !may_be_sent {
        return Err(Fault::ReservedCloseCode);
    }
    let reason = String::from_utf8(payload[2..].to_vec()).map_err(|_| Fault::InvalidUtf8)?;
    let code = CloseCode::new(code).unwrap();
    Ok(Some(CloseFrame { code, reason: Cow::Owned(reason) }))
}

/// The same event, independent of the bytes it was read from.
pub(crate) fn owned(event: Event<'_>) -> Event<'static> {
    match event {
        Event::Text(text) => Event::Text(Cow::Owned(text.into_owned())),
        Event::Binary(bytes) => Event::Binary(Cow::Owned(bytes.into_owned())),
        Event::Deflated(message) => unreachable!("nobody agreed to {message:?}"),
        Event::Ping(bytes) => Event::Ping(Cow::Owned(bytes.into_owned())),
        Event::Pong(bytes) => Event::Pong(Cow::Owned(bytes.into_owned())),
        Event::Close(frame) => Event::Close(frame.map(CloseFrame::into_owned)),
    }
}
