//! One connection, but for its stream.

use super::outbox::Outbox;
use crate::base::Tick;
use crate::session::Session;
use crate::tls::Identity;

/// What a core keeps of a connection, beside the stream.
#[derive(Debug)]
pub(super) struct Connection<T> {
    pub(super) session: Session,
    pub(super) outbox: Outbox,
    pub(super) guest: Guest<T>,
    /// When bytes last arrived.
    pub(super) heard: Tick,
    /// When the wait began that ends the connection if it lasts: for the handshake, for a request,
    /// for the rest of a message, for the peer's close.
    pub(super) since: Tick,
    /// When its entry in the wheel comes round that counts; earlier and later ones are stale.
    pub(super) due: Tick,
    /// Pings since bytes last arrived.
    pub(super) pings: u8,
    pub(super) marks: Marks,
}

/// What is kept of who a peer is: until the service has accepted it, who it has proved to be, and
/// from then on what the service keeps instead. So an idle WebSocket does not pay for its
/// certificate.
#[derive(Debug)]
pub(super) enum Guest<T> {
    /// It has proved nothing.
    Stranger,
    /// It has proved to be this one.
    Identified(Box<Identity>),
    /// The service has accepted it.
    Accepted(T),
}

impl<T> Guest<T> {
    /// What the service keeps, once it has accepted.
    pub(super) const fn state(&self) -> Option<&T> {
        match self {
            Self::Accepted(state) => Some(state),
            Self::Stranger | Self::Identified(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) const fn state_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Accepted(state) => Some(state),
            Self::Stranger | Self::Identified(_) => None,
        }
    }

    /// Lends who the peer is, for a call that may touch every connection.
    pub(super) fn lend(&mut self) -> Option<Box<Identity>> {
        match std::mem::replace(self, Self::Stranger) {
            Self::Identified(identity) => Some(identity),
            other => {
                *self = other;
                None
            }
        }
    }

    /// Takes back what was lent, unless the service has accepted the peer meanwhile.
    pub(super) fn take_back(&mut self, identity: Option<Box<Identity>>) {
        if let (Self::Stranger, Some(identity)) = (&*self, identity) {
            *self = Self::Identified(identity);
        }
    }
}

impl<T> Connection<T> {
    pub(super) const fn new(session: Session, now: Tick) -> Self {
        Self {
            session,
            outbox: Outbox::Empty,
            guest: Guest::Stranger,
            heard: now,
            since: now,
            due: now,
            pings: 0,
            marks: Marks(0),
        }
    }
}

/// What is to be done with a connection in this turn or the next, so that it is listed once.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Marks(u8);

impl Marks {
    /// Something waits to be written, and the connection is on the list of those.
    pub(super) const DIRTY: Self = Self(1);
    /// Bytes may wait to be read, and the connection is on the list of those.
    pub(super) const UNREAD: Self = Self(2);
    /// Bytes may wait to be read, but not before what waits for the peer has left.
    pub(super) const PARKED: Self = Self(4);
    /// The peer has ended its writing: reading goes on until the end is seen.
    pub(super) const ENDED: Self = Self(8);
    /// `since` counts the age of a request or message of which only a part has arrived.
    pub(super) const UNFINISHED: Self = Self(16);
    /// A request has been answered: the connection may be idle for longer than a new one.
    pub(super) const ANSWERED: Self = Self(32);

    /// A publication could not be queued, or had been lost: what comes after it must not come
    /// before the close that says so.
    pub(super) const SEVERED: Self = Self(64);

    /// It is parked because it has sent more than it may: reading goes on when that is paid.
    pub(super) const PACED: Self = Self(128);

    pub(super) const fn has(self, mark: Self) -> bool {
        self.0 & mark.0 != 0
    }

    /// Sets `mark`. Returns whether it was not set.
    pub(super) const fn set(&mut self, mark: Self) -> bool {
        let new = !self.has(mark);
        self.0 |= mark.0;
        new
    }

    /// Removes `mark`. Returns whether it was set.
    pub(super) const fn clear(&mut self, mark: Self) -> bool {
        let old = self.has(mark);
        self.0 &= !mark.0;
        old
    }
}
