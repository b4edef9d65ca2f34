//! What a service may do, while it is called.

use std::time::Instant;

use super::outbox::Offer;
use super::world::World;
use crate::base::{Key, Shared};
use crate::hub::{SubscribeFault, Subscribed, TopicName, WorkerId};
use crate::session::CloseReason;
use crate::ws::{CloseCode, Message, Opcode, encoder};

/// What a service may do, while it is called: with any connection of its core.
///
/// Nothing here blocks or writes to a socket; the worker does that when the service has returned. A
/// key whose connection has gone names nobody, and nothing happens.
#[derive(Debug)]
pub struct Context<'a, T> {
    world: &'a mut World<T>,
}

impl<'a, T> Context<'a, T> {
    pub(super) const fn new(world: &'a mut World<T>) -> Self {
        Self { world }
    }

    /// The time at which this turn of the loop began.
    pub const fn now(&self) -> Instant {
        self.world.now
    }

    /// The worker, that is the core, on which this happens.
    pub const fn worker(&self) -> WorkerId {
        self.world.id
    }

    /// Connections that are open now, on all cores.
    pub fn connections(&self) -> u64 {
        self.world.metrics.all().map(|metrics| metrics.connections.get()).sum()
    }

    /// Connections that are open now, on all cores, but for those that speak plain HTTP or have
    /// just come.
    pub fn established(&self) -> u64 {
        self.world.metrics.all().map(|metrics| metrics.established.get()).sum()
    }

    /// Sends a message to one peer. A peer that reads too slowly for it is closed with 1013.
    pub fn send(&mut self, key: Key, message: Message<'_>) -> Offer {
        self.world.send(key, message.opcode(), message.payload())
    }

    /// Sends a ping with up to 125 bytes of payload; longer ones are cut (RFC 6455 §5.5.2).
    pub fn ping(&mut self, key: Key, payload: &[u8]) -> Offer {
        let payload = payload.get(..125).unwrap_or(payload);
        self.world.send(key, Opcode::Ping, payload)
    }

    /// Writes `bytes` to a byte stream. A peer that reads too slowly for them is sent away.
    ///
    /// What one [`Service::bytes`] was given can always be written back, since nothing is read from
    /// a peer that is owed more than [`Limits::outbox_bytes_pause`].
    ///
    /// [`Service::bytes`]: super::Service::bytes
    /// [`Limits::outbox_bytes_pause`]: super::Limits::outbox_bytes_pause
    pub fn write(&mut self, key: Key, bytes: &[u8]) -> Offer {
        self.world.write(key, bytes)
    }

    /// Closes a WebSocket with `code` and a `reason` of up to 123 bytes (RFC 6455 §7.1.2). A byte
    /// stream is ended, and `code` only counted.
    ///
    /// What was sent before leaves before.
    pub fn close(&mut self, key: Key, code: CloseCode, reason: &str) {
        self.world.close(key, code, reason, CloseReason::Service(code));
    }

    /// Subscribes a connection to what is published to `topic` from now on.
    ///
    /// The first subscription of a core is not effective until the other cores have heard of it:
    /// then this returns [`Subscribed::Waiting`], and [`Service::subscribed`] follows. During
    /// [`Service::upgrade`] there is no need to wait, since the answer does.
    ///
    /// # Errors
    ///
    /// If the connection has as many subscriptions as are allowed.
    ///
    /// [`Service::subscribed`]: super::Service::subscribed
    /// [`Service::upgrade`]: super::Service::upgrade
    pub fn subscribe(&mut self, key: Key, topic: &TopicName) -> Result<Subscribed, SubscribeFault> {
        self.world.subscribe(key, topic)
    }

    /// The name of `topic` as this core keeps it while it has subscribers. A state that keeps this
    /// one costs no copy of the name, however many connections there are.
    pub fn own_name(&self, topic: TopicName) -> TopicName {
        self.world.hub.own_name(topic)
    }

    /// Ends a subscription. Returns whether there was one.
    pub fn unsubscribe(&mut self, key: Key, topic: &TopicName) -> bool {
        self.world.hub.unsubscribe(key, topic)
    }

    /// Publishes a message to every subscriber of `topic`, on every core.
    pub fn publish(&mut self, topic: &TopicName, message: Message<'_>) {
        let header = encoder::header(message.opcode(), message.payload().len());
        // The one allocation of a publication's life: header and payload together, as they will be
        // written to every WebSocket subscriber on every core.
        let frame = Shared::from_parts(&[header.as_slice(), message.payload()]);
        self.world.publish(topic, &frame);
    }

    /// What the service keeps for a connection that is a WebSocket or a stream.
    pub fn state(&self, key: Key) -> Option<&T> {
        self.world.connections.get(key)?.guest.state()
    }

    /// The same, to be changed.
    pub fn state_mut(&mut self, key: Key) -> Option<&mut T> {
        self.world.connections.get_mut(key)?.guest.state_mut()
    }
}
