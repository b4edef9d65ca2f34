//! What coordinator and worker say to each other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::result::Document;

/// How many publications each publisher of a broadcast has sent.
pub type Published = BTreeMap<u32, u64>;

/// The first word of a worker.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Hello {
    /// Which protocol it speaks: [`PROTOCOL`].
    pub(super) protocol: String,
    /// What must be answered to.
    pub(super) challenge: [u8; 32],
}

/// Another protocol has another name.
pub(super) const PROTOCOL: &str = "loadgen-worker/1";

/// An answer to a challenge, with one in return.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Answer {
    /// What the other side must answer to, in its turn.
    pub(super) challenge: [u8; 32],
    /// What only who knows the token can tell.
    pub(super) proof: [u8; 32],
}

/// What a coordinator says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) enum Order {
    /// Make a part of this run.
    Plan(Assignment),
    /// What time is it?
    Clock,
    /// Open connections from this moment of the worker's clock on.
    Start {
        /// Nanoseconds.
        at_ns: u64,
    },
    /// Do what the scenario says from this moment of the worker's clock on.
    Hold {
        /// Nanoseconds.
        at_ns: u64,
    },
    /// All are silent, and this is what they have sent.
    Settle {
        /// By all workers.
        published: Published,
    },
    /// End the run early.
    Stop,
}

/// A part of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Assignment {
    /// The command line of the whole.
    pub(super) argv: Vec<String>,
    /// How many connections this part has.
    pub(super) conns: u32,
    /// Which part it is.
    pub(super) index: u32,
    /// The number of its first connection in the whole.
    pub(super) first: u32,
    /// How many the whole has.
    pub(super) total: u32,
    /// What the parts have in common follows from this.
    pub(super) common_seed: u64,
    /// What is drawn at random in this part follows from this.
    pub(super) seed: u64,
}

/// What a worker says.
#[derive(Debug, Deserialize, Serialize)]
pub(super) enum Note {
    /// The part can be made.
    Ready,
    /// It cannot.
    Refused {
        /// How a run of its own would have ended.
        exit: u8,
        /// Why.
        reason: String,
    },
    /// The worker's clock.
    Clock {
        /// Nanoseconds.
        ns: u64,
    },
    /// How it stands, at least once in some seconds.
    Progress {
        /// Connections that are open.
        open: u64,
        /// Attempts under way.
        pending: u64,
    },
    /// All that are open listen.
    Listening,
    /// Nothing more is sent.
    Hushed {
        /// What was sent.
        published: Published,
    },
    /// The run has ended.
    Done {
        /// What was found.
        document: Box<Document>,
    },
}
