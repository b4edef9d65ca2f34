//! Our client and our server, talking in memory through pipes that cut anywhere.

use corecast::base::{Input, Rng};
use corecast::http::{Limits as HttpLimits, Reader};
use corecast::ws::handshake::{ClientHandshake, accept, choose_subprotocol};
use corecast::ws::{Decoder, Event, Limits, MaskKey, Opcode, Role, encoder};

const LIMITS: Limits = Limits { message_bytes_max: 1 << 20, fragments_max: 128 };
const TEXTS: [&str; 5] = ["", "a", "Grüße, 世界", "😀😀😀", "the last one"];

/// What the client sends: its request, and frames it does not wait to be allowed.
fn client_bytes(rng: &mut Rng) -> (ClientHandshake, Vec<u8>) {
    let handshake = ClientHandshake::new([7; 16], "a", "/echo", &["x", "y"], &[]);
    let mut bytes = Vec::new();
    handshake.encode(&mut bytes);
    for text in TEXTS {
        let [a, b, c, d, ..] = rng.next_u64().to_ne_bytes();
        encoder::encode_masked(&mut bytes, Opcode::Text, text.as_bytes(), MaskKey([a, b, c, d]));
    }
    (handshake, bytes)
}

/// A server that accepts, and sends back what it gets.
#[derive(Default)]
struct Echo {
    reader: Reader,
    decoder: Option<Decoder>,
    out: Vec<u8>,
}

impl Echo {
    fn feed(&mut self, piece: &[u8]) {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        if self.decoder.is_none() {
            let request = self.reader.next(&mut input, &HttpLimits::default()).unwrap();
            let Some((head, _)) = request else { return };
            let supported = ["y".to_owned()];
            let subprotocol = choose_subprotocol(&head, &supported);
            accept(&head).unwrap().encode(subprotocol, None, &mut self.out);
            self.decoder = Some(Decoder::new(Role::Server));
        }
        let decoder = self.decoder.as_mut().unwrap();
        while let Some(event) = decoder.next(&mut input, &LIMITS).unwrap() {
            let Event::Text(text) = event else { panic!("{event:?}") };
            encoder::encode(&mut self.out, Opcode::Text, text.as_bytes());
        }
        assert!(!decoder.is_amid_message() || input.is_empty());
    }
}

/// What the client hears in the server's bytes, after it has believed the answer.
fn hear(handshake: &mut ClientHandshake, pieces: &[&[u8]]) -> Vec<String> {
    let (mut decoder, mut texts) = (None, Vec::new());
    for piece in pieces {
        let mut piece = piece.to_vec();
        let mut input = Input::new(&mut piece);
        if decoder.is_none() {
            let Some(accepted) = handshake.read(&mut input).unwrap() else { continue };
            assert_eq!(accepted.subprotocol.as_deref(), Some("y"));
        }
        let decoder = decoder.get_or_insert(Decoder::new(Role::Client));
        while let Some(event) = decoder.next(&mut input, &LIMITS).unwrap() {
            let Event::Text(text) = event else { panic!("{event:?}") };
            texts.push(text.into_owned());
        }
    }
    texts
}

#[test]
fn a_client_and_a_server_understand_each_other_at_every_split() {
    let len = client_bytes(&mut Rng::new(1)).1.len();
    for cut in 0..=len {
        let (mut handshake, bytes) = client_bytes(&mut Rng::new(1));
        let mut server = Echo::default();
        server.feed(&bytes[..cut]);
        server.feed(&bytes[cut..]);
        let answer_cut = cut.min(server.out.len());
        let (front, back) = server.out.split_at(answer_cut);
        assert_eq!(hear(&mut handshake, &[front, back]), TEXTS, "cut at {cut}");
    }
}

#[test]
fn a_client_and_a_server_understand_each_other_in_pieces_of_any_size() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let (mut handshake, bytes) = client_bytes(&mut rng);
        let mut server = Echo::default();
        let piece_len = usize::try_from(1 + rng.below(40)).unwrap();
        bytes.chunks(piece_len).for_each(|piece| server.feed(piece));
        let piece_len = usize::try_from(1 + rng.below(40)).unwrap();
        let pieces: Vec<&[u8]> = server.out.chunks(piece_len).collect();
        assert_eq!(hear(&mut handshake, &pieces), TEXTS, "seed {seed}");
    }
}
