//! Every bound of a worker, with its reason.

use super::SCRATCH_BYTES;
use super::outbox::Bound;
use super::{addresses, pace};
use crate::{http, hub, session, ws};

/// The bounds of one worker and of each of its connections. Times are in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// What a peer may say at once.
    pub session: session::Limits,
    /// What subscribing and publishing may cost.
    pub hub: hub::Limits,
    /// While this many bytes of publications wait to be delivered on this core, nothing is read and
    /// nothing is taken from other cores, so that whoever publishes too much feels it, and not the
    /// memory. Well below what the hub may hold, since one more turn may add to it.
    pub backlog_bytes_pause: usize,
    /// Bytes of publications that wait for another core whose mailbox is full; beyond it they are
    /// lost, and their subscribers there are told.
    pub staged_bytes_max: usize,
    /// Connections one worker holds; the file limit decides, so the default bounds nothing more.
    pub connections_max: usize,
    /// From the accept to the end of the TLS handshake. Five seconds are ten round trips around the
    /// world; whoever needs longer is holding the connection, not using it.
    pub handshake_ms_max: u64,
    /// For a whole request, from the moment it may begin: counted in all and not for each read, so
    /// that dripping buys no time.
    pub request_ms_max: u64,
    /// Between two requests of one connection, when nothing of the second has arrived.
    pub keep_alive_ms_max: u64,
    /// For the peer's answer to our close (RFC 6455 §7.1.1), and for our last bytes to leave.
    pub close_ms_max: u64,
    /// A message that has begun must be whole by then, since its pieces cost memory meanwhile.
    pub message_ms_max: u64,
    /// How fast a WebSocket may send.
    pub pace: pace::Limits,
    /// What one address may do.
    pub addresses: addresses::Limits,
    /// A socket that takes nothing for this long has a peer that reads nothing. The system is told
    /// the same (`TCP_USER_TIMEOUT`), since a peer that has vanished acknowledges nothing either.
    pub stall_ms_max: u64,
    /// Silence after which a peer is pinged. Below the 30 s of the shortest common idle time-out of
    /// proxies and of mobile networks' address translation.
    pub heartbeat_ms: u64,
    /// Pings that may go unanswered; with the next one due, the peer is taken for dead.
    pub heartbeat_misses_max: u8,
    /// What waits for one peer: a burst of about 2,000 small frames; a peer further behind will not
    /// catch up.
    pub outbox: Bound,
    /// How old the oldest of it may be: whoever reads a little now and then makes progress, and is
    /// behind by so much all the same.
    pub outbox_ms_max: u64,
    /// While this many bytes wait for a peer nothing is read from it, so that its questions do not
    /// pile up answers.
    pub outbox_bytes_pause: usize,
    /// TLS connections of a core that keep their keys set up: sealing a small record takes 0.26 us
    /// with them and 0.62 us without, and they take some 2 KiB that the others do without.
    pub warm_max: u16,
    /// A byte stream on which neither side has said anything for this long ends: it has no ping
    /// that would show whether the peer is still there.
    pub stream_idle_ms_max: u64,
    /// A message shorter than this is not deflated: it would save less than the headers of the
    /// packet that carries it, and deflating costs as much as sending.
    pub deflate_bytes_min: usize,
    /// Connections of one worker that keep a context from message to message, which costs each up
    /// to 450 KB. Whoever comes later is told to do without.
    pub deflate_contexts_max: usize,
    /// Reads of one connection a turn, so that one busy peer does not keep the others waiting: 64
    /// KiB of small frames, and an answer to each, take some 0.1 ms.
    pub reads_per_turn_max: u32,
    /// Connections a turn of which more is read, or the end: those of which there is news go first,
    /// so that who says a little waits for so many of those who never stop.
    pub resumes_per_turn_max: usize,
    /// TLS handshakes advanced a turn: each costs about 0.1 ms, and open connections wait so long.
    /// A turn without news costs a hundredth of that, so one at a time costs nearly nothing.
    pub handshakes_per_turn_max: usize,
    /// Deliveries a turn: each costs a `send` of about 5 us, so that a turn stays below 10 ms.
    pub deliveries_per_turn_max: usize,
    /// Batches taken from other cores a turn.
    pub batches_per_turn_max: usize,
    /// Connections a turn that are pinged or closed because their time has come: each costs some 10
    /// us, and peers that came together are late together.
    pub expiries_per_turn_max: usize,
    /// Connections closed a turn while draining, and at once when memory is short.
    pub closes_per_turn_max: usize,
    /// At so many hundredths of the memory that there may be nobody new gets in: what is left is
    /// for those who are here.
    pub memory_stop_percent: u8,
    /// At so many those are sent away for whom most waits: better some with a word than all
    /// without.
    pub memory_shed_percent: u8,
    /// Open files that no connection gets: for certificates, the log, operators and their
    /// connections, and to take callers in only to turn them away.
    pub spare_files: u64,
}

impl Limits {
    /// What may wait for the peer of a byte stream: an outbox, and in any case what reading goes on
    /// at and the answer to one more read, so that an echo never loses a byte to its own bound.
    pub(super) fn stream_bytes_max(&self) -> usize {
        self.outbox.bytes_max.max(self.outbox_bytes_pause + SCRATCH_BYTES)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session: session::Limits {
                http: http::Limits::default(),
                websocket: ws::Limits { message_bytes_max: 64 * 1024, fragments_max: 128 },
            },
            hub: hub::Limits {
                topics_per_connection_max: 128,
                backlog_bytes_max: 64 * 1024 * 1024,
            },
            backlog_bytes_pause: 16 * 1024 * 1024,
            staged_bytes_max: 16 * 1024 * 1024,
            connections_max: usize::MAX,
            handshake_ms_max: 5_000,
            request_ms_max: 5_000,
            keep_alive_ms_max: 60_000,
            close_ms_max: 2_000,
            message_ms_max: 10_000,
            pace: pace::Limits {
                frames_per_second_max: None,
                bytes_per_second_max: None,
                over_ms_max: 10_000,
            },
            addresses: addresses::Limits::default(),
            stall_ms_max: 30_000,
            heartbeat_ms: 25_000,
            heartbeat_misses_max: 2,
            outbox: Bound { bytes_max: 256 * 1024, frames_max: 4_096 },
            outbox_ms_max: 30_000,
            outbox_bytes_pause: 64 * 1024,
            warm_max: 1_024,
            stream_idle_ms_max: 600_000,
            deflate_bytes_min: 128,
            deflate_contexts_max: 256,
            reads_per_turn_max: 1,
            resumes_per_turn_max: 2,
            handshakes_per_turn_max: 1,
            deliveries_per_turn_max: 1_024,
            batches_per_turn_max: 64,
            expiries_per_turn_max: 4,
            closes_per_turn_max: 512,
            memory_stop_percent: 85,
            memory_shed_percent: 95,
            spare_files: 64,
        }
    }
}
