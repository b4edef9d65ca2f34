//! What is known of this machine and of the server, before a run.
//!
//! Plain values, so that what follows from them can be tried with any machine one can think of.
//! `None` is what could not be read: unknown, and never taken for good.

use std::net::SocketAddr;

/// Everything that findings are made of.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Open files.
    pub files: Files,
    /// Ports that connections are made from.
    pub ports: Ports,
    /// Where connections wait to be accepted.
    pub queues: Queues,
    /// The table in which a firewall keeps connections.
    pub conntrack: Option<Conntrack>,
    /// Memory.
    pub memory: Memory,
    /// The processor, and what of it is ours.
    pub processor: Processor,
    /// Clocks.
    pub clock: Clock,
    /// The interfaces that lead to the server, if it is on another machine.
    pub nics: Option<Vec<Nic>>,
    /// The first two numbers of the kernel's version.
    pub kernel: Option<(u32, u32)>,
    /// Where this process runs.
    pub place: Place,
    /// What the server answered.
    pub server: Server,
}

/// Open files.
#[derive(Clone, Copy, Debug, Default)]
pub struct Files {
    /// How many a table may hold before we raise it.
    pub soft: Option<u64>,
    /// How far it can be raised without privileges.
    pub hard: Option<u64>,
    /// How far it can be raised at all.
    pub nr_open: Option<u64>,
    /// How many the machine may have open.
    pub file_max: Option<u64>,
    /// How many it has.
    pub open: Option<u64>,
}

/// Ports that connections are made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// What the kernel chooses from, both ends included.
    pub range: Option<(u16, u16)>,
    /// How many of those are reserved.
    pub reserved: Option<u64>,
    /// Connections that have ended and still hold their ports.
    pub time_wait: Option<u64>,
    /// Whether the kernel gives such ports away again, as it says it.
    pub tw_reuse: Option<u64>,
}

/// Where connections wait to be accepted. These are of this machine: they say nothing of a server
/// on another one, but for its own queue, which is unknown then.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queues {
    /// The longest queue that a server may ask for.
    pub somaxconn: Option<u64>,
    /// How many handshakes of TCP may be under way.
    pub syn_backlog: Option<u64>,
    /// The queues of the server's listeners together.
    pub server: Option<u64>,
}

/// The table in which a firewall keeps connections.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Conntrack {
    /// There is none.
    Absent,
    /// It is there, but connections that stand are not in it: no rule asks for them.
    Idle,
    /// It has room for so many, and so many are in it.
    Active {
        /// Room.
        max: u64,
        /// Used.
        count: u64,
    },
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What can be had, of the machine or of the control group, whichever is less.
    pub available: Option<u64>,
    /// How much may be swapped out.
    pub swap: Option<u64>,
    /// At how much the kernel begins to save on buffers of TCP, and how much it never exceeds.
    pub tcp: Option<(u64, u64)>,
}

/// The processor, and what of it is ours.
#[derive(Clone, Debug, Default)]
pub struct Processor {
    /// Cores that are there.
    pub online: Option<u64>,
    /// Cores that this process may run on.
    pub allowed: Option<u64>,
    /// What share of a core the control group lets us have, in per cent.
    pub quota: Option<Quota>,
    /// How many threads and processes the control group lets us have.
    pub tasks_max: Option<Quota>,
    /// Whether two of the cores share one.
    pub smt: Option<bool>,
    /// How the frequency is chosen.
    pub governor: Option<String>,
    /// What a hypervisor took since the start of the machine, in thousandths.
    pub steal_permille: Option<u64>,
}

/// A limit that need not be there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Quota {
    /// It is not there.
    Unlimited,
    /// It is this.
    Of(u64),
}

/// Clocks.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// What the kernel reads the time from.
    pub source: Option<String>,
    /// What keeps the time of day right.
    pub kept_by: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Nic {
    /// Its name.
    pub name: String,
    /// How many queues it receives into, each with an interrupt of its own.
    pub queues: u64,
    /// How many cores packets are spread over in software.
    pub spread_over: u64,
}

/// Where this process runs.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The kind of container, if there is a sign of one.
    pub container: Option<String>,
    /// A process that hands connections of this machine on, if one runs.
    pub relay: Option<String>,
}

/// What the server answered.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its address, or why there is no connection.
    pub reached: Option<Result<SocketAddr, String>>,
    /// What TLS came to: version and suite, or why it failed.
    pub secured: Option<Result<String, String>>,
    /// Whether a second connection resumed the first.
    pub resumes: Option<bool>,
    /// Whether it opens a WebSocket, or why not.
    pub upgraded: Option<Result<(), String>>,
    /// Whether a message came back.
    pub echoes: Option<bool>,
    /// What in its answers tells of somebody in between.
    pub between: Option<String>,
}
