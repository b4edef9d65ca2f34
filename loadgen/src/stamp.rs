//! What a payload carries, so that whoever receives it knows what became of it.
//!
//! ```text
//!  0      4      8        16         24      32      40
//!  | run  | conn |  seq   | intended | sent  | check | filling ...
//! ```
//!
//! All numbers are little-endian; the times count nanoseconds from the beginning of the run. The
//! check covers the stamp, and the filling is the same in all messages of a run, so that a single
//! damaged byte anywhere is found.

use corecast::base::Rng;

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
    filling: Box<[u8]>,
}

impl Press {
    /// The shortest payload: the stamp alone.
    pub const LEN_MIN: usize = 40;

    /// The press of the run `run`, whose payloads have `len` bytes.
    pub fn new(run: u32, len: usize) -> Self {
        Self::filled(run, len, |noise| noise)
    }

    /// The same with a filling of sixteen letters, which deflates to about half.
    pub fn of_letters(run: u32, len: usize) -> Self {
        Self::filled(run, len, |noise| b'a' + noise % 16)
    }

    fn filled(run: u32, len: usize, fill: impl Fn(u8) -> u8) -> Self {
        assert!(len >= Self::LEN_MIN, "a payload has room for its stamp");
        let mut rng = Rng::new(u64::from(run));
        let filling = (Self::LEN_MIN..len).map(|_| fill(rng.next_u64().to_le_bytes()[0]));
        Self { run, filling: filling.collect() }
    }

    /// Writes the payload of `stamp` behind what is in `out`.
    pub fn write(&self, stamp: &Stamp, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.run.to_le_bytes());
        out.extend_from_slice(&stamp.connection.to_le_bytes());
        for number in [stamp.seq, stamp.intended_ns, stamp.sent_ns, self.check(stamp)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.filling);
    }

    /// Says what `payload` is.
    pub fn read(&self, payload: &[u8]) -> Reading {
        let Some((front, filling)) = payload.split_at_checked(Self::LEN_MIN) else {
            return Reading::Foreign;
        };
        let (&[ids, seq, intended_ns, sent_ns, check], _) = front.as_chunks() else {
            return Reading::Foreign;
        };
        if filling.len() != self.filling.len() {
            return Reading::Foreign;
        }
        let [r0, r1, r2, r3, c0, c1, c2, c3] = ids;
        let stamp = Stamp {
            connection: u32::from_le_bytes([c0, c1, c2, c3]),
            seq: u64::from_le_bytes(seq),
            intended_ns: u64::from_le_bytes(intended_ns),
            sent_ns: u64::from_le_bytes(sent_ns),
        };
        let is_ours = u32::from_le_bytes([r0, r1, r2, r3]) == self.run
            && u64::from_le_bytes(check) == self.check(&stamp);
        if is_ours && *filling == *self.filling { Reading::Ours(stamp) } else { Reading::Damaged }
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
    use corecast::ws::deflate::{Context, Deflater, WindowBits};

    const STAMP: Stamp = Stamp { connection: 7, seq: 1 << 40, intended_ns: 11, sent_ns: 12 };

    fn written(len: usize) -> Vec<u8> {
        let mut payload = Vec::new();
        Press::new(9, len).write(&STAMP, &mut payload);
        payload
    }

    #[test]
    fn what_is_written_is_read_at_every_length() {
        for len in Press::LEN_MIN..200 {
            let payload = written(len);
            assert_eq!(payload.len(), len);
            assert_eq!(Press::new(9, len).read(&payload), Reading::Ours(STAMP));
        }
    }

    #[test]
    fn letters_deflate_and_noise_does_not() {
        let context = Context { window_bits: WindowBits::MAX, takeover: false };
        let mut deflater = Deflater::new(context);
        for (make, expected) in [(Press::new as fn(_, _) -> _, false), (Press::of_letters, true)] {
            let mut payload = Vec::new();
            Press::write(&make(9, 2_000), &STAMP, &mut payload);
            let shorter = deflater.deflate(&payload).is_some_and(|it| it.len() < 1_300);
            assert_eq!(shorter, expected);
            assert_eq!(make(9, 2_000).read(&payload), Reading::Ours(STAMP));
        }
    }

    #[test]
    fn every_damaged_bit_is_found() {
        let press = Press::new(9, 64);
        let mut payload = written(64);
        for position in 0..payload.len() * 8 {
            payload[position / 8] ^= 1 << (position % 8);
            assert_eq!(press.read(&payload), Reading::Damaged, "bit {position}");
            payload[position / 8] ^= 1 << (position % 8);
        }
        assert_eq!(press.read(&payload), Reading::Ours(STAMP));
    }

    #[test]
    fn a_payload_of_another_length_is_foreign() {
        let press = Press::new(9, 64);
        assert_eq!(press.read(b"welcome"), Reading::Foreign);
        assert_eq!(press.read(&written(65)), Reading::Foreign);
        assert_eq!(press.read(&[]), Reading::Foreign);
    }
}
