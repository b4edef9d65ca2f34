//! Messages over a stream, each with a code that shows who wrote it and in which order.
//!
//! ```text
//!   | length, 4 bytes | code, 32 bytes | JSON |
//! ```
//!
//! The code is the HMAC-SHA-256 of direction, number and text with a key that follows from the
//! token and a challenge of each side. So the token is not sent, an answer that was overheard
//! answers no other challenge, and a message can neither be changed nor repeated.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use corecast::tls::Random;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::tls13::OkmBlock;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::message::{Answer, Hello, PROTOCOL};
use crate::run::clock;

/// A message of someone who has proved nothing yet.
const GREETING_LEN_MAX: usize = 1 << 12;

/// An order: a command line, or what a thousand publishers sent.
const ORDER_LEN_MAX: usize = 1 << 20;

/// A note: a result with its histograms and a day of seconds.
const NOTE_LEN_MAX: usize = 64 << 20;

/// How long proving may take.
const GREETING_TIME: Duration = Duration::from_secs(5);

/// How long a message may take from its first byte to its last.
const MESSAGE_TIME: Duration = Duration::from_secs(30);

/// Length and code.
const HEAD_LEN: usize = 36;

type Code = [u8; 32];

/// Which side wrote something.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Side {
    Coordinator,
    Worker,
}

impl Side {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::Coordinator => b"coordinator",
            Self::Worker => b"worker",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Coordinator => Self::Worker,
            Self::Worker => Self::Coordinator,
        }
    }

    /// The longest message that it writes.
    const fn len_max(self) -> usize {
        match self {
            Self::Coordinator => ORDER_LEN_MAX,
            Self::Worker => NOTE_LEN_MAX,
        }
    }
}

/// The half that reads.
#[derive(Debug)]
pub(super) struct Reader {
    stream: TcpStream,
    side: Side,
    key: Code,
    number: u64,
}

/// The half that writes.
#[derive(Debug)]
pub(super) struct Writer {
    stream: TcpStream,
    side: Side,
    key: Code,
    number: u64,
}

/// Proves to the worker at the other end that we know `token`, and has it prove the same.
pub(super) fn join(mut stream: TcpStream, token: &[u8]) -> io::Result<(Reader, Writer)> {
    let until = begin(&stream)?;
    let hello: Hello = read_plain(&mut stream, until)?;
    if hello.protocol != PROTOCOL {
        return Err(refused(&format!("it speaks `{}`, and not `{PROTOCOL}`", hello.protocol)));
    }
    let key = master(token);
    let ours: Code = Random::new().draw();
    let proof = code(&key, &[Side::Coordinator.name(), &hello.challenge, &ours]);
    write_plain(&mut stream, &Answer { challenge: ours, proof }, until)?;
    let wrong = |_| refused("it does not accept our token (--token-file)");
    let answer: Answer = read_plain(&mut stream, until).map_err(wrong)?;
    let expected = code(&key, &[Side::Worker.name(), &hello.challenge, &ours]);
    if !is_same(&answer.proof, &expected) {
        return Err(refused("it does not know our token"));
    }
    halves(stream, Side::Coordinator, code(&key, &[b"session", &hello.challenge, &ours]))
}

/// Has the coordinator at the other end prove that it knows `token`, and proves the same.
pub(super) fn admit(mut stream: TcpStream, token: &[u8]) -> io::Result<(Reader, Writer)> {
    let until = begin(&stream)?;
    let challenge: Code = Random::new().draw();
    write_plain(&mut stream, &Hello { protocol: PROTOCOL.to_owned(), challenge }, until)?;
    let answer: Answer = read_plain(&mut stream, until)?;
    let key = master(token);
    let expected = code(&key, &[Side::Coordinator.name(), &challenge, &answer.challenge]);
    if !is_same(&answer.proof, &expected) {
        return Err(refused("it does not know the token"));
    }
    let proof = code(&key, &[Side::Worker.name(), &challenge, &answer.challenge]);
    write_plain(&mut stream, &Answer { challenge, proof }, until)?;
    halves(stream, Side::Worker, code(&key, &[b"session", &challenge, &answer.challenge]))
}

fn begin(stream: &TcpStream) -> io::Result<Instant> {
    stream.set_nodelay(true)?;
    Ok(clock() + GREETING_TIME)
}

fn halves(stream: TcpStream, side: Side, key: Code) -> io::Result<(Reader, Writer)> {
    let other = stream.try_clone()?;
    let reader = Reader { stream: other, side: side.other(), key, number: 0 };
    Ok((reader, Writer { stream, side, key, number: 0 }))
}

impl Reader {
    /// The next message; `None` if none has begun within `patience`.
    ///
    /// # Errors
    ///
    /// That the stream has ended, or that what came is not what the other side wrote.
    pub(super) fn next<T: DeserializeOwned>(
        &mut self,
        patience: Duration,
    ) -> io::Result<Option<T>> {
        let mut head = [0; HEAD_LEN];
        let (first, rest) = head.split_at_mut(1);
        match read_until(&mut self.stream, first, clock() + patience) {
            Err(error) if error.kind() == ErrorKind::TimedOut => return Ok(None),
            other => other?,
        }
        let until = clock() + MESSAGE_TIME;
        read_until(&mut self.stream, rest, until)?;
        let ([l0, l1, l2, l3], found) = head.split_first_chunk().expect("a head has 36 bytes");
        let len = u32::from_le_bytes([*l0, *l1, *l2, *l3]) as usize;
        if len > self.side.len_max() {
            return Err(refused(&format!("a message of {len} bytes is too long")));
        }
        let mut text = vec![0; len];
        read_until(&mut self.stream, &mut text, until)?;
        let expected = seal(&self.key, self.side, self.number, &text);
        if !is_same(found, &expected) {
            return Err(refused("a message was changed on its way"));
        }
        self.number += 1;
        Ok(Some(serde_json::from_slice(&text)?))
    }
}

impl Writer {
    /// Writes a message.
    pub(super) fn say(&mut self, message: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let len = u32::try_from(text.len()).ok().filter(|_| text.len() <= self.side.len_max());
        let len = len.ok_or_else(|| refused("what is to be said is too long"))?;
        let mut bytes = len.to_le_bytes().to_vec();
        bytes.extend(seal(&self.key, self.side, self.number, &text));
        bytes.extend(text);
        self.number += 1;
        write_until(&mut self.stream, &bytes, clock() + MESSAGE_TIME)
    }
}

fn seal(key: &Code, side: Side, number: u64, text: &[u8]) -> Code {
    code(key, &[side.name(), &number.to_le_bytes(), text])
}

/// The key that all others follow from: tokens may be longer than a key.
fn master(token: &[u8]) -> Code {
    code(&[0; 32], &[PROTOCOL.as_bytes(), token])
}

/// The HMAC-SHA-256 of `parts`, none of which can be taken for a part of another.
fn code(key: &Code, parts: &[&[u8]]) -> Code {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().expect("it is one of TLS 1.3");
    let tag = suite.hkdf_provider.hmac_sign(&OkmBlock::new(key), &bytes);
    tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Whether two codes are the same, in a time that does not tell where they differ.
fn is_same(one: &[u8], other: &Code) -> bool {
    let differ = one.iter().zip(other).fold(0, |differ, (one, other)| differ | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differ) == 0
}

fn read_plain<T: DeserializeOwned>(stream: &mut TcpStream, until: Instant) -> io::Result<T> {
    let mut len = [0; 4];
    read_until(stream, &mut len, until)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > GREETING_LEN_MAX {
        return Err(refused("it is no worker of loadgen"));
    }
    let mut text = vec![0; len];
    read_until(stream, &mut text, until)?;
    Ok(serde_json::from_slice(&text)?)
}

fn write_plain(stream: &mut TcpStream, message: &impl Serialize, until: Instant) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    write_until(stream, &[&len.to_le_bytes(), text.as_slice()].concat(), until)
}

/// Fills `bytes`, however slowly they come, but not beyond `until`.
fn read_until(stream: &mut TcpStream, mut bytes: &mut [u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(bytes) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => bytes = bytes.get_mut(len..).unwrap_or_default(),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn write_until(stream: &mut TcpStream, mut bytes: &[u8], until: Instant) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.set_write_timeout(Some(left(until)?))?;
        match stream.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(len) => bytes = bytes.get(len..).unwrap_or_default(),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A socket says `WouldBlock` when its time is over, which is found out by the clock.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(clock());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn refused(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    type Half = io::Result<(Reader, Writer)>;

    /// Both ends of a connection, each doing its part with its token.
    fn meet(ours: &'static str, theirs: &'static str) -> (Half, Half) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let joining = thread::Builder::new()
            .spawn(move || join(TcpStream::connect(address).unwrap(), ours.as_bytes()))
            .unwrap();
        let admitted = admit(listener.accept().unwrap().0, theirs.as_bytes());
        (joining.join().unwrap(), admitted)
    }

    const SOON: Duration = Duration::from_secs(5);

    #[test]
    fn who_knows_the_token_is_understood() {
        let (ours, theirs) = meet("the same token", "the same token");
        let ((mut hear, mut say), (mut their_hear, mut their_say)) =
            (ours.unwrap(), theirs.unwrap());
        say.say(&"hold").unwrap();
        assert_eq!(their_hear.next::<String>(SOON).unwrap().unwrap(), "hold");
        assert_eq!(their_hear.next::<String>(Duration::from_millis(1)).unwrap(), None);
        their_say.say(&7).unwrap();
        assert_eq!(hear.next::<u32>(SOON).unwrap(), Some(7));
        drop((say, hear));
        assert!(their_hear.next::<String>(SOON).is_err(), "the end is no silence");
    }

    #[test]
    fn who_does_not_know_it_is_refused_on_both_sides() {
        let (ours, theirs) = meet("the same token", "another token");
        assert!(theirs.unwrap_err().to_string().contains("does not know the token"));
        assert!(ours.unwrap_err().to_string().contains("does not accept our token"));
    }

    #[test]
    fn a_message_is_neither_changed_nor_repeated_nor_too_long() {
        type Spoil = fn(&mut Writer);
        let spoils: [(&str, Spoil); 3] = [
            ("changed", |it| it.key = [1; 32]),
            ("changed", |it| it.number = 0),
            ("too long", |it| it.side = Side::Worker),
        ];
        for (complaint, spoil) in spoils {
            let (ours, theirs) = meet("the same token", "the same token");
            let ((_, mut say), (mut hear, _)) = (ours.unwrap(), theirs.unwrap());
            say.say(&1).unwrap();
            assert_eq!(hear.next::<u32>(SOON).unwrap(), Some(1));
            spoil(&mut say);
            say.say(&"x".repeat(ORDER_LEN_MAX + 1)).or_else(|_| say.say(&1)).unwrap();
            let error = hear.next::<String>(SOON).unwrap_err().to_string();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 4231, case 2, with the key padded to 32 bytes as HMAC does itself.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let suite = TLS13_CHACHA20_POLY1305_SHA256.tls13().unwrap();
        let text = b"what do ya want for nothing?";
        let tag = suite.hkdf_provider.hmac_sign(&OkmBlock::new(&key), text);
        assert_eq!(tag.as_ref()[..4], [0x5b, 0xdc, 0xc1, 0x46]);
        assert_ne!(code(&key, &[b"a", b"bc"]), code(&key, &[b"ab", b"c"]));
    }
}
