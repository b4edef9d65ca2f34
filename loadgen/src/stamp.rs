//! What a payload carries, so that whoever receives it knows what became of it.
//!
//! ```text
//!  0      4      8        16         24      32      40
//!  | run  | conn |  seq   | intended | sent  | check | filling ...
//! ```
//!
//! All numbers are little-endian; the times count nanoseconds from the beginning of the run. The
//! check covers the stamp, and the filling is the same in all messages of a run (the front of it,
//! where sizes differ), so that a single damaged byte anywhere is found. In messages of text the
//! stamp stands in base64.

use std::ops::RangeInclusive;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use corecast::base::Rng;
use corecast::ws::Opcode;

use crate::payload::{Content, Form, Payload, Verify};

/// The numbers at the front of a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Stamp {
    /// Which connection sent it, counted over the whole run.
    pub connection: u32,
    /// Which message of that connection it is, from 0.
    pub seq: u64,
    /// When it should have left, by the schedule.
    pub intended_ns: u64,
    /// When it did leave.
    pub sent_ns: u64,
}

/// What a received payload turned out to be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reading {
    /// One of ours, intact.
    Ours(Stamp),
    /// As long as one of ours, but not what was sent.
    Damaged,
    /// Something else: a greeting of the server, for example.
    Foreign,
}

/// Writes and reads the payloads of one run.
#[derive(Clone, Debug)]
pub struct Press {
    run: u32,
    sizes: RangeInclusive<usize>,
    form: Form,
    /// As long as the longest payload has room for.
    filling: Box<[u8]>,
    /// Whether it is looked at when it comes back.
    is_verified: bool,
}

impl Press {
    /// The press of the run `run`, for payloads that are looked at as `verify` says.
    pub fn new(run: u32, payload: &Payload, verify: Verify) -> Self {
        let Payload { sizes, form, content } = payload;
        assert!(*sizes.start() >= form.stamp_len(), "a payload has room for its stamp");
        let mut rng = Rng::new(u64::from(run));
        let noise = (form.stamp_len()..*sizes.end()).map(|_| rng.next_u64().to_le_bytes()[0]);
        let filling = match content {
            Content::Noise => noise.collect(),
            Content::Letters => noise.map(|noise| b'a' + noise % 16).collect(),
            Content::Given(bytes) => bytes.as_ref().into(),
        };
        let is_verified = verify == Verify::Payload;
        Self { run, sizes: sizes.clone(), form: *form, filling, is_verified }
    }

    /// What frames the payloads travel in.
    pub fn opcode(&self) -> Opcode {
        match self.form {
            Form::Binary => Opcode::Binary,
            Form::Text => Opcode::Text,
        }
    }

    /// Writes the payload of `stamp` behind what is in `out`.
    pub fn write(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        let mut front = Vec::with_capacity(Form::Binary.stamp_len());
        front.extend_from_slice(&self.run.to_le_bytes());
        front.extend_from_slice(&stamp.connection.to_le_bytes());
        for number in [stamp.seq, stamp.intended_ns, stamp.sent_ns, self.check(stamp)] {
            front.extend_from_slice(&number.to_le_bytes());
        }
        match self.form {
            Form::Binary => out.extend_from_slice(&front),
            Form::Text => out.extend_from_slice(BASE64_STANDARD_NO_PAD.encode(&front).as_bytes()),
        }
        out.extend_from_slice(self.filling_of(stamp));
    }

    /// Says what `payload` is.
    pub fn read(&self, payload: &[u8]) -> Reading {
        let Some((front, filling)) = payload.split_at_checked(self.form.stamp_len()) else {
            return Reading::Foreign;
        };
        let stamp = match self.form {
            Form::Binary => self.stamp(front),
            Form::Text => BASE64_STANDARD_NO_PAD.decode(front).ok().and_then(|it| self.stamp(&it)),
        };
        match stamp {
            Some(stamp) if self.fits(filling, &stamp) => Reading::Ours(stamp),
            Some(_) => Reading::Damaged,
            None if self.sizes.contains(&payload.len()) => Reading::Damaged,
            None => Reading::Foreign,
        }
    }

    /// The stamp in `front`, if it is one of this run and intact.
    fn stamp(&self, front: &[u8]) -> Option<Stamp> {
        let (&[ids, seq, intended_ns, sent_ns, check], &[]) = front.as_chunks() else {
            return None;
        };
        let [r0, r1, r2, r3, c0, c1, c2, c3] = ids;
        let stamp = Stamp {
            connection: u32::from_le_bytes([c0, c1, c2, c3]),
            seq: u64::from_le_bytes(seq),
            intended_ns: u64::from_le_bytes(intended_ns),
            sent_ns: u64::from_le_bytes(sent_ns),
        };
        let is_ours = u32::from_le_bytes([r0, r1, r2, r3]) == self.run
            && u64::from_le_bytes(check) == self.check(&stamp);
        is_ours.then_some(stamp)
    }

    /// Whether that is what followed `stamp` when it was sent.
    fn fits(&self, filling: &[u8], stamp: &Stamp) -> bool {
        let sent = self.filling_of(stamp);
        if self.is_verified { *filling == *sent } else { filling.len() == sent.len() }
    }

    /// What follows `stamp`. How long it is follows from the stamp, so that a receiver knows too.
    fn filling_of(&self, stamp: &Stamp) -> &[u8] {
        let spare = (self.sizes.end() - self.sizes.start()) as u64;
        let place = u64::from(self.run) << 32 | u64::from(stamp.connection);
        let more = Rng::new(Rng::new(place).next_u64() ^ stamp.seq).below(spare + 1);
        let len = self.sizes.start() - self.form.stamp_len() + usize::try_from(more).unwrap_or(0);
        self.filling.get(..len).unwrap_or(&self.filling)
    }

    /// A number in which every bit of the stamp has its say.
    fn check(&self, stamp: &Stamp) -> u64 {
        let ids = u64::from(self.run) << 32 | u64::from(stamp.connection);
        [ids, stamp.seq, stamp.intended_ns, stamp.sent_ns]
            .into_iter()
            .fold(0, |check, number| Rng::new(check ^ number).next_u64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Wish;
    use corecast::ws::deflate::{Context, Deflater, WindowBits};

    const STAMP: Stamp = Stamp { connection: 7, seq: 1 << 40, intended_ns: 11, sent_ns: 12 };

    fn payload(sizes: RangeInclusive<usize>, form: Form, has_letters: bool) -> Payload {
        Payload::new(&Wish::Sizes(sizes), form, has_letters).unwrap()
    }

    fn press(len: usize) -> Press {
        Press::new(9, &payload(len..=len, Form::Binary, false), Verify::Payload)
    }

    fn written(press: &Press, stamp: &Stamp) -> Vec<u8> {
        let mut payload = Vec::new();
        press.write(stamp, &mut payload);
        payload
    }

    #[test]
    fn what_is_written_is_read_at_every_length() {
        for form in [Form::Binary, Form::Text] {
            for len in form.stamp_len()..200 {
                let press = Press::new(9, &payload(len..=len, form, false), Verify::Payload);
                let payload = written(&press, &STAMP);
                assert_eq!(payload.len(), len);
                assert_eq!(press.read(&payload), Reading::Ours(STAMP));
                assert!(form == Form::Binary || std::str::from_utf8(&payload).is_ok());
            }
        }
    }

    #[test]
    fn lengths_fill_their_range_evenly_and_a_receiver_knows_each() {
        let press = Press::new(9, &payload(100..=199, Form::Binary, false), Verify::Seq);
        let mut counts = [0; 100];
        for seq in 0..10_000 {
            let stamp = Stamp { seq, ..STAMP };
            let mut payload = written(&press, &stamp);
            counts[payload.len() - 100] += 1;
            assert_eq!(press.read(&payload), Reading::Ours(stamp));
            payload.pop();
            assert_eq!(press.read(&payload), Reading::Damaged, "one byte is missing");
        }
        assert!(counts.iter().all(|count| (50..=150).contains(count)), "{counts:?}");
    }

    #[test]
    fn letters_deflate_and_noise_does_not() {
        let context = Context { window_bits: WindowBits::MAX, takeover: false };
        let mut deflater = Deflater::new(context);
        for has_letters in [false, true] {
            let payload = payload(2_000..=2_000, Form::Binary, has_letters);
            let payload = written(&Press::new(9, &payload, Verify::Payload), &STAMP);
            let shorter = deflater.deflate(&payload).is_some_and(|it| it.len() < 1_300);
            assert_eq!(shorter, has_letters);
        }
    }

    #[test]
    fn every_damaged_bit_is_found() {
        for form in [Form::Binary, Form::Text] {
            let press = Press::new(9, &payload(64..=64, form, false), Verify::Payload);
            let mut payload = written(&press, &STAMP);
            for position in 0..payload.len() * 8 {
                payload[position / 8] ^= 1 << (position % 8);
                assert_eq!(press.read(&payload), Reading::Damaged, "{form:?}, bit {position}");
                payload[position / 8] ^= 1 << (position % 8);
            }
            assert_eq!(press.read(&payload), Reading::Ours(STAMP));
        }
    }

    #[test]
    fn who_looks_at_stamps_alone_overlooks_what_follows() {
        let payload = payload(64..=64, Form::Binary, false);
        for (verify, reading) in
            [(Verify::Payload, Reading::Damaged), (Verify::Seq, Reading::Ours(STAMP))]
        {
            let press = Press::new(9, &payload, verify);
            let mut payload = written(&press, &STAMP);
            payload[50] ^= 1;
            assert_eq!(press.read(&payload), reading);
        }
    }

    #[test]
    fn what_is_no_stamp_of_ours_is_foreign_unless_it_is_as_long() {
        let press = press(64);
        assert_eq!(press.read(b"welcome"), Reading::Foreign);
        assert_eq!(press.read(&[7; 65]), Reading::Foreign);
        assert_eq!(press.read(&[7; 64]), Reading::Damaged);
        assert_eq!(press.read(&[]), Reading::Foreign);
        let longer = written(&super::tests::press(65), &STAMP);
        assert_eq!(
            press.read(&longer),
            Reading::Damaged,
            "a stamp of ours with too much behind it"
        );
    }
}
