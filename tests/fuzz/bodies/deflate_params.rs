//! What client and server agree on about deflating: the same on both sides, within what was
//! offered, whatever else stands in `Sec-WebSocket-Extensions`.

use corecast::base::Input;
use corecast::http::{Limits, Reader};
use corecast::ws::deflate::{Agreement, ClientWindow, Parameters, Takeover, WindowBits};
use corecast::ws::handshake::{ClientHandshake, HandshakeFault, Refusal, Upgrade, accept};

use super::Told;

const NAME: &str = "permessage-deflate";

/// Two bytes are what our client offers; a byte is where the rest, which is a field of somebody
/// else, is cut into two.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let offer = parameters(told.byte(), told.byte());
    let place = usize::from(told.byte());
    for takeover in [Takeover::Never, Takeover::Offered] {
        agree(offer, takeover);
    }
    // Control characters end a field; they are another target's.
    let legible = told.rest().iter().map(|byte| if byte.is_ascii_control() { b' ' } else { *byte });
    let field: Vec<u8> = legible.take(1_000).collect();
    hear_offer(&field, place);
    hear_answer(&field, offer);
}

fn parameters(flags: u8, windows: u8) -> Parameters {
    let client = WindowBits::new(windows & 15);
    let any = (flags & 4 != 0).then_some(ClientWindow::Any);
    Parameters {
        server_no_context_takeover: flags & 1 != 0,
        client_no_context_takeover: flags & 2 != 0,
        server_max_window_bits: WindowBits::new(windows >> 4),
        client_max_window_bits: client.map(ClientWindow::Bits).or(any),
    }
}

fn client(offer: Parameters) -> ClientHandshake {
    ClientHandshake::new([7; 16], "a", "/", &[], &[]).offering_deflate(offer)
}

/// What our server makes of a request.
fn judge(request: &[u8]) -> Result<Upgrade, Refusal> {
    let mut request = request.to_vec();
    let read = Reader::default().next(&mut Input::new(&mut request), &Limits::default());
    let (head, _) = read.unwrap().expect("a whole request");
    accept(&head)
}

/// Our client and our server agree on any offer, and on the same.
fn agree(offer: Parameters, takeover: Takeover) {
    let mut request = Vec::new();
    client(offer).encode(&mut request);
    let upgrade = judge(&request).unwrap();
    let agreement = upgrade.deflate(takeover).expect("we can do whatever may be asked for");
    let mut answer = Vec::new();
    upgrade.encode(None, Some(agreement), &mut answer);
    let accepted = client(offer).read(&mut Input::new(&mut answer)).unwrap().unwrap();
    assert_eq!(accepted.deflate, Some(agreement));
    check(agreement, takeover);
    let server = agreement.server();
    assert!(offer.server_max_window_bits.is_none_or(|most| server.window_bits <= most));
    assert!(!(offer.server_no_context_takeover && server.takeover));
}

fn check(agreement: Agreement, takeover: Takeover) {
    for context in [agreement.server(), agreement.client()] {
        assert!((8..=15).contains(&context.window_bits.get()));
    }
    assert!(takeover == Takeover::Offered || !agreement.has_takeover());
}

/// A field of somebody else's request: refused as a whole or heard, in one line or in two.
fn hear_offer(field: &[u8], place: usize) {
    let lines = |fields: &[&[u8]]| {
        let mut request = Vec::new();
        ClientHandshake::new([7; 16], "a", "/", &[], &[]).encode(&mut request);
        request.truncate(request.len() - 2);
        for field in fields {
            request.extend_from_slice(b"Sec-WebSocket-Extensions: ");
            request.extend_from_slice(field);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        judge(&request).map(|upgrade| upgrade.deflate(Takeover::Offered))
    };
    let whole = lines(&[field]);
    assert!(matches!(whole, Ok(_) | Err(Refusal::Extensions)), "{whole:?}");
    if let Ok(Some(agreement)) = whole {
        check(agreement, Takeover::Offered);
        assert!(String::from_utf8_lossy(field).contains(NAME), "nobody offered it");
    }
    // Lines of one list are that list (RFC 9110 §5.3); a comma in a quoted value is no end.
    let mut commas = (0..field.len()).filter(|place| field[*place] == b',');
    if let Some(comma) = commas.nth(place)
        && !field.contains(&b'"')
    {
        assert_eq!(lines(&[&field[..comma], &field[comma + 1..]]), whole);
    }
}

/// A field of somebody else's answer: believed only if it answers what was offered.
fn hear_answer(field: &[u8], offer: Parameters) {
    let plain = || ClientHandshake::new([7; 16], "a", "/", &[], &[]);
    let mut request = Vec::new();
    plain().encode(&mut request);
    let mut answer = Vec::new();
    judge(&request).unwrap().encode(None, None, &mut answer);
    answer.truncate(answer.len() - 2);
    answer.extend_from_slice(b"Sec-WebSocket-Extensions: ");
    answer.extend_from_slice(field);
    answer.extend_from_slice(b"\r\n\r\n");
    let read = |mut client: ClientHandshake| client.read(&mut Input::new(&mut answer.clone()));
    match read(client(offer)) {
        Ok(Some(accepted)) => {
            let names = String::from_utf8_lossy(field).matches(NAME).count();
            assert_eq!(accepted.deflate.is_some(), names == 1, "{accepted:?}");
        }
        outcome => assert_eq!(outcome, Err(HandshakeFault::Extension)),
    }
    if let Ok(Some(accepted)) = read(plain()) {
        assert_eq!(accepted.deflate, None, "it was never offered");
    }
}
