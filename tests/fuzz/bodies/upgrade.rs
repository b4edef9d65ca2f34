//! The opening handshake of our client and our server with each other, and of our client with
//! anybody: what is agreed on is agreed by both, and nothing unproven is believed.

use corecast::base::Input;
use corecast::http::{Limits, Reader};
use corecast::ws::handshake::{
    Accepted, ClientHandshake, HandshakeFault, accept, choose_subprotocol,
};

use super::{Told, pieces};

const NAMES: [&str; 6] = ["a", "b.c", "v1.corecast", "A", "~", "a-very-long-name-of-a-subprotocol"];

/// 16 bytes are the nonce, one what is offered, one what is supported, three how the answer is cut;
/// then pairs of a place in the answer and what to put there. The rest replaces the answer.
pub fn run(bytes: &[u8]) {
    let mut told = Told::new(bytes);
    let mut nonce = [0; 16];
    told.take(16).iter().zip(&mut nonce).for_each(|(byte, slot)| *slot = *byte);
    let offered = chosen(told.byte());
    let supported: Vec<String> = chosen(told.byte()).into_iter().map(str::to_owned).collect();
    let lens = told.take(3);
    let client = || ClientHandshake::new(nonce, "a", "/b?c", &offered, &[("Origin", "http://a")]);
    let answer = answer(&client(), &supported);
    let expected = supported.iter().find(|name| offered.contains(&name.as_str()));
    let agreed = Accepted { subprotocol: expected.cloned(), deflate: None };
    assert_eq!(hear(client(), &pieces(&answer, lens)), Ok(Some(agreed)));

    let mut damaged = answer.clone();
    for _ in 0..told.below(4) {
        let place = told.below(damaged.len());
        damaged[place] = told.byte();
    }
    let rest = told.rest();
    let answer_heard = if rest.is_empty() { &damaged[..] } else { rest };
    let whole = hear(client(), &[answer_heard]);
    assert_eq!(hear(client(), &pieces(answer_heard, lens)), whole, "in pieces of {lens:?}");
    assert_eq!(hear(client(), &pieces(answer_heard, &[0])), whole, "byte by byte");
    if let Ok(Some(accepted)) = whole {
        let proof = String::from_utf8_lossy(&answer).into_owned();
        let proof = proof.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Accept: "));
        let heard = String::from_utf8_lossy(answer_heard);
        assert!(heard.contains(proof.unwrap()), "unproven: {heard}");
        let is_offered = |name: &String| offered.contains(&name.as_str());
        assert!(accepted.subprotocol.as_ref().is_none_or(is_offered));
    }
}

fn chosen(bits: u8) -> Vec<&'static str> {
    let is_chosen = |place: &usize| bits >> place & 1 == 1;
    (0..NAMES.len()).filter(is_chosen).map(|place| NAMES[place]).collect()
}

/// What our server answers to our client.
fn answer(client: &ClientHandshake, supported: &[String]) -> Vec<u8> {
    let mut request = Vec::new();
    client.encode(&mut request);
    let read = Reader::default().next(&mut Input::new(&mut request), &Limits::default());
    let (head, _) = read.unwrap().expect("a whole request");
    let mut answer = Vec::new();
    accept(&head).unwrap().encode(choose_subprotocol(&head, supported), None, &mut answer);
    answer
}

fn hear(mut client: ClientHandshake, pieces: &[&[u8]]) -> Result<Option<Accepted>, HandshakeFault> {
    for piece in pieces {
        let mut piece = piece.to_vec();
        if let Some(accepted) = client.read(&mut Input::new(&mut piece))? {
            return Ok(Some(accepted));
        }
    }
    Ok(None)
}
