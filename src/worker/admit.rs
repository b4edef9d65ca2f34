//! Who gets in.
//!
//! Everything that may stand against a caller is looked at before anything is made for it: no TLS
//! has begun, nothing was read, and turning it away costs a `close`.

use std::net::IpAddr;

use super::addresses::{Crowd, Seat};
use super::breach::Turned;
use super::connection::Connection;
use super::link::Link;
use super::pressure::Pressure;
use super::world::World;
use super::{Service, Transport, Worker};
use crate::base::{Key, Origin, Stream};
use crate::session::{Introduction, Peer, Session};
use crate::tls::Tls;

impl From<Crowd> for Turned {
    fn from(crowd: Crowd) -> Self {
        match crowd {
            Crowd::TooMany => Self::AddressConnections,
            Crowd::TooFast => Self::AddressRate,
        }
    }
}

impl<S: Stream, V: Service> Worker<S, V> {
    /// Takes `stream` in, unless something stands against it.
    pub(super) fn admit(&mut self, stream: S, origin: Origin) -> Result<Key, Turned> {
        self.check_room()?;
        let listener = self.listeners.get(origin.via as usize).ok_or(Turned::Internal)?;
        let is_trusted = listener.trusts(origin.peer.ip());
        if listener.is_announced && !is_trusted {
            return Err(Turned::Untrusted);
        }
        // A proxy has many clients; each is counted when the proxy has said whose it is.
        let seat = if is_trusted {
            None
        } else {
            self.world.addresses.admit(origin.peer.ip(), self.world.now)?
        };
        let tls = match &listener.transport {
            Transport::Plain => None,
            Transport::Tls(config) => {
                let Ok(tls) = Tls::server(config) else {
                    self.world.vacate(seat);
                    return Err(Turned::Internal);
                };
                Some(tls)
            }
        };
        let peer = Peer { address: origin.peer, listener: origin.via, secure: tls.is_some() };
        let session = if listener.is_announced {
            Session::Introducing(Box::new(Introduction::new(peer)))
        } else {
            listener.session(peer)
        };
        Ok(self.seat(Link::new(stream, tls), session, seat))
    }

    /// Whether anybody may come in.
    fn check_room(&self) -> Result<(), Turned> {
        if self.draining.is_some() {
            return Err(Turned::Draining);
        }
        if self.world.connections.len() >= self.world.limits.connections_max {
            return Err(Turned::Full);
        }
        match self.world.pressure {
            Pressure::Low => Ok(()),
            Pressure::High | Pressure::Severe => Err(Turned::Memory),
        }
    }

    /// Makes a connection of `link`, which begins with a handshake or a request.
    fn seat(&mut self, link: Link<S>, session: Session, seat: Option<Seat>) -> Key {
        let is_known = link.tls.is_none() && !matches!(session, Session::Introducing(_));
        let key = self.world.connections.insert(Connection::new(session, self.world.tick));
        self.links.extend_to(key.index() + 1, || None);
        if let Some(slot) = self.links.get_mut(key.index()) {
            *slot = Some(link);
        }
        self.world.occupy(key, seat);
        let limits = &self.world.limits;
        let ms = if is_known { limits.request_ms_max } else { limits.handshake_ms_max };
        self.world.wait(key, ms);
        self.world.metrics().connections_opened_total.add(1);
        self.world.metrics().connections.add(1);
        if is_known {
            self.attend(key, |worker| worker.arrived(key));
        }
        key
    }
}

impl<T> World<T> {
    /// Counts a caller that was not let in.
    pub(super) fn turned(&self, reason: Turned) {
        self.metrics().connections_refused_total.add(reason.index(), 1);
    }

    /// Counts `key`, which a proxy brought, among the connections of its client's `address`.
    pub(super) fn seat(&mut self, key: Key, address: IpAddr) -> Result<(), Turned> {
        let seat = self.addresses.admit(address, self.now)?;
        self.occupy(key, seat);
        Ok(())
    }

    /// Gives `key` the place `seat` among the connections of its address.
    fn occupy(&mut self, key: Key, seat: Option<Seat>) {
        if seat.is_some() && self.seats.len() <= key.index() {
            self.seats.resize_with(key.index() + 1, || None);
        }
        // Where nothing is limited there are no seats, and no list of them.
        if let Some(slot) = self.seats.get_mut(key.index()) {
            let before = std::mem::replace(slot, seat);
            self.vacate(before);
        }
    }

    /// Gives back the place that `key` had, which has ended.
    pub(super) fn rise(&mut self, key: Key) {
        let seat = self.seats.get_mut(key.index()).and_then(Option::take);
        self.vacate(seat);
    }

    /// Gives back a place, if there was one.
    pub(super) fn vacate(&self, seat: Option<Seat>) {
        if let Some(seat) = seat {
            self.addresses.leave(seat, self.now);
        }
    }
}
