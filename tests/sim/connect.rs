//! How clients come in: through which listener, and whether they must be let in or must not.

use std::net::IpAddr;

use super::client::Client;
use super::hear::Violation;
use super::history::History;
use super::journal::Conn;
use super::origin::{self, Approach};
use super::pipe::Pipe;
use super::plan::usize_of;
use super::plant::Plant;
use super::wire::Wire;

impl History {
    /// Connects a client to a worker that accepts.
    pub fn connect(&mut self, number: usize) -> Result<(), Violation> {
        let core = self.below(self.cores.len());
        self.connect_to(number, core)
    }

    /// Connects a client to that worker, if it accepts.
    pub fn connect_to(&mut self, number: usize, core: usize) -> Result<(), Violation> {
        if !self.cores[core].is_accepting || self.cores[core].has_exited() {
            return Ok(());
        }
        let approach = Approach::draw(&self.plan, &mut self.rng);
        self.last_conn += 1;
        let conn = self.last_conn;
        let (ours, theirs) = Pipe::pair(self.plan.capacity);
        self.spoil(&theirs, approach, conn);
        let live = self.cores[core].connections();
        let origin = approach.origin(conn);
        let neighbours = self.neighbours(origin.peer.ip());
        let key = self.cores[core].open(theirs, origin, self.now);
        self.trace.note(format_args!("{number} connects to {core} as {conn}: {approach:?}"));
        let is_full = usize_of(live) >= self.plan.limits.connections_max;
        let Some(key) = key else {
            // Of those of an address who have left the worker need not know yet.
            let may_be_crowded = self.is_crowding() && !approach.is_announced;
            let is_fair = is_full || may_be_crowded || self.cores[core].shortage.may_be;
            return if is_fair || self.is_draining() {
                Ok(())
            } else {
                Err("not accepted".to_owned())
            };
        };
        if is_full {
            return Err(format!("{core} holds {live} connections, and took one more"));
        }
        if self.cores[core].shortage.must_be {
            return Err(format!("{core} took somebody in although memory is short"));
        }
        if self.plan.limits.addresses.connections_max.is_some_and(|max| neighbours >= max.get()) {
            return Err(format!("{neighbours} had come from {}, and one more did", origin.peer));
        }
        let wire = Wire::new(core, key, ours, self.now);
        self.clients[number] = Client::connected(conn, wire, approach, self.plan.plant);
        Ok(())
    }

    /// Whether addresses may have only so many connections.
    pub const fn is_crowding(&self) -> bool {
        self.plan.limits.addresses.connections_max.is_some()
    }

    /// How many connections there are of an address. Those that come through a proxy do not count
    /// before it has said so.
    fn neighbours(&self, address: IpAddr) -> u32 {
        let is_neighbour = |client: &&Client| {
            let is_there = client.wire.as_ref().is_some_and(|wire| !wire.pipe.is_dropped());
            is_there && !client.is_announced && origin::address(client.conn).ip() == address
        };
        u32::try_from(self.clients.iter().filter(is_neighbour).count()).expect("few clients")
    }

    /// Lets the bug that this history is to find sit in a new connection.
    fn spoil(&self, theirs: &Pipe, approach: Approach, conn: Conn) {
        match self.plan.plant {
            Plant::LeakingSocket => theirs.leak(),
            Plant::RepeatedBytes => theirs.repeat(),
            Plant::SwallowedByte if approach.is_stream => theirs.swallow(),
            Plant::ForgottenSeat if conn.is_multiple_of(7) => {
                // A seat that is not given back is taken for good.
                let _seat = self.addresses.admit(origin::address(conn).ip(), self.now);
            }
            _ => {}
        }
    }

    /// Holds that whoever has gone left its place among those of its address.
    pub fn check_addresses(&self) -> Result<(), Violation> {
        let Some(max) = self.plan.limits.addresses.connections_max else { return Ok(()) };
        for number in 0..origin::ADDRESSES {
            let host = origin::host(number);
            let seats: Vec<_> =
                (0..max.get()).map(|_| self.addresses.admit(host, self.now)).collect();
            if seats.iter().any(Result::is_err) {
                return Err(format!("somebody of {host} has gone, and still counts"));
            }
        }
        Ok(())
    }

    /// Holds that every worker takes somebody new in, now that there is nothing against it.
    pub fn check_accepting(&mut self) -> Result<(), Violation> {
        for core in 0..self.cores.len() {
            self.clients.push(Client::away());
            self.connect_to(self.clients.len() - 1, core)?;
        }
        Ok(())
    }
}
