//! A client of the listener that speaks no HTTP: whatever it says comes back.
//!
//! Which byte stands at which place of a stream follows from whose stream it is, so that one that
//! is lost, doubled, damaged or somebody else's shows.

use super::client::{Client, Phase};
use super::hear::Violation;
use super::history::History;
use super::journal::Conn;
use super::plan::usize_of;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Flow {
    /// Bytes that the client has said.
    said: u64,
    /// Bytes that it has heard, the welcome among them.
    heard: u64,
}

/// What a stream begins with.
pub fn welcome(conn: Conn) -> String {
    format!("welcome {conn}\n")
}

impl Flow {
    /// Whether the server has said anything yet.
    pub const fn has_begun(self) -> bool {
        self.heard > 0
    }

    /// What has not come back yet.
    pub fn missing(self, conn: Conn) -> u64 {
        welcome(conn).len() as u64 + self.said - self.heard
    }

    /// Takes bytes that have come.
    fn hear(&mut self, conn: Conn, bytes: &[u8]) -> Result<(), Violation> {
        let welcome = welcome(conn);
        for byte in bytes {
            let place = usize_of(self.heard);
            let expected = match welcome.as_bytes().get(place) {
                Some(byte) => *byte,
                None => letter(conn, (place - welcome.len()) as u64),
            };
            if self.missing(conn) == 0 || *byte != expected {
                return Err(format!("byte {place} of its stream is {byte:#x}: {self:?}"));
            }
            self.heard += 1;
        }
        Ok(())
    }
}

/// The byte at a place of what a client says.
fn letter(conn: Conn, place: u64) -> u8 {
    let mixed = (u64::from(conn) << 32 | place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}

impl History {
    /// Lets a client say more in its stream, or end its half of it.
    pub fn act_in_stream(&mut self, number: usize) {
        let ends = self.rng.one_of(1, 30);
        let len = self.rng.choose(&[1, 40, 300, 3_000]);
        self.trace.note(format_args!("{number} streams {len}, ends: {ends}"));
        let client = &mut self.clients[number];
        client.stream(len);
        // While hands are shaken nothing that it says is on its way yet.
        let ends = ends && !client.is_handshaking();
        if ends && let Some(wire) = &mut client.wire {
            wire.finish();
            client.faults.closed = true;
        }
    }
}

impl Client {
    /// Says more in its stream.
    pub fn stream(&mut self, len: u64) {
        let Phase::Stream(flow) = &mut self.phase else { return };
        let bytes: Vec<_> =
            (flow.said..flow.said + len).map(|place| letter(self.conn, place)).collect();
        flow.said += len;
        self.write(&bytes, true);
    }

    /// Takes what has come of its stream.
    pub fn hear_stream(&mut self) -> Result<(), Violation> {
        let Phase::Stream(flow) = &mut self.phase else { return Ok(()) };
        flow.hear(self.conn, &std::mem::take(&mut self.inbox))
    }
}
