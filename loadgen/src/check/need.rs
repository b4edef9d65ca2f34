//! What a run needs of the machine.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::args::RunArgs;
use crate::cast::Role;
use crate::plan::{self, Plan};
use crate::ports::Sources;
use crate::ramp::Pace;

/// Kernel memory of one idle end of a connection: a socket, its file and what epoll keeps of it.
const KERNEL_BYTES_PER_END: u64 = 4_150;

/// User memory of an idle connection at our end and at that of the server brought along, without
/// TLS and with it. What others' servers take is not known.
const OWN_BYTES: (u64, u64) = (400, 2_500);
const SERVER_BYTES: (u64, u64) = (256, 1_300);

/// How long a busy server may leave callers in its queue.
const BURST: Duration = Duration::from_millis(100);

/// Files of the whole machine that are left to everybody else.
pub const FILES_SPARE: u64 = 1_024;

/// How far away the server is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Route {
    /// A loopback address of this machine.
    Loopback,
    /// Another address of this machine.
    Machine,
    /// Another machine.
    Network,
}

impl Route {
    /// How far away `server` is: only an address of ours can be bound to.
    pub fn to(server: IpAddr) -> Self {
        match server {
            _ if server.is_loopback() => Self::Loopback,
            _ if UdpSocket::bind((server, 0)).is_ok() => Self::Machine,
            _ => Self::Network,
        }
    }

    /// Whether the server shares this machine with us.
    pub const fn is_here(self) -> bool {
        matches!(self, Self::Loopback | Self::Machine)
    }
}

/// Who chooses the ports that connections are made from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Choice {
    /// The kernel, out of its range.
    Kernel,
    /// We, out of so many of so many addresses.
    Ours {
        /// How many addresses there are.
        addresses: u64,
        /// How many ports they have together.
        ports: u64,
    },
}

/// What a run needs of the machine.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// How many connections.
    pub conns: u64,
    /// How many files a table must hold.
    pub files: u64,
    /// How many threads drive them.
    pub drivers: u64,
    /// How many attempts are on their way at once.
    pub in_flight: u64,
    /// How far away the server is.
    pub route: Route,
    /// Whether the server is the one brought along.
    pub is_own_server: bool,
    /// Who chooses ports.
    pub choice: Choice,
    /// Whether TLS is spoken.
    pub is_secure: bool,
    /// Whether the scenario wants messages back.
    pub echoes: bool,
}

impl Need {
    /// What a run of `args`, which mean `plan`, needs to measure the server at `server`; one whose
    /// address is not known is far away.
    pub fn new(args: &RunArgs, plan: &Plan, server: Option<SocketAddr>, is_secure: bool) -> Self {
        let conns = u64::from(plan.conns);
        let ours = server.and_then(|it| Sources::new(&plan.source, it.ip(), conns, plan.seed));
        let choice = ours.map_or(Choice::Kernel, |sources| Choice::Ours {
            addresses: sources.addresses().len() as u64,
            ports: sources.capacity(),
        });
        Self {
            conns,
            files: plan::files_needed(args),
            drivers: u64::from(plan.drivers),
            in_flight: in_flight(plan),
            route: server.map_or(Route::Network, |server| Route::to(server.ip())),
            is_own_server: args.url.is_none(),
            choice,
            is_secure,
            echoes: plan.cast.parts().iter().any(|part| matches!(part.role, Role::Echo(_))),
        }
    }

    /// How many ends of each connection are on this machine.
    pub const fn ends_here(&self) -> u64 {
        if self.route.is_here() { 2 } else { 1 }
    }

    /// Memory of all connections, as far as it is known.
    pub fn bytes(&self) -> u64 {
        let of = |(plain, secure)| if self.is_secure { secure } else { plain };
        let server = if self.is_own_server { of(SERVER_BYTES) } else { 0 };
        self.conns * (self.ends_here() * KERNEL_BYTES_PER_END + of(OWN_BYTES) + server)
    }
}

/// How many attempts are on their way at once: as many as an adaptive pace allows, or those that
/// come at a given one while the server does something else.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a rate, of which some callers
fn in_flight(plan: &Plan) -> u64 {
    let most = match plan.pace {
        Pace::Adaptive => u64::from(plan.tempo(0).window_max) * u64::from(plan.drivers),
        Pace::Fixed(rate) => (rate.per_second() * BURST.as_secs_f64()).ceil() as u64,
    };
    most.clamp(1, u64::from(plan.conns))
}
