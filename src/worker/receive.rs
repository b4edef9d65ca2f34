//! What other cores and handles sent.

use std::sync::Arc;

use super::mesh::{Command, ShardMessage};
use super::{CloseReason, Listener, Service, Transport, Worker};
use crate::base::Stream;
use crate::hub::WorkerId;
use crate::tls::ServerConfig;

impl<S: Stream, V: Service> Worker<S, V> {
    /// Takes what other cores sent, unless this one has more to deliver than it should.
    ///
    /// What is not taken fills the mailbox, and whoever finds it full keeps its batch: so a core
    /// that cannot follow slows the others down before anything is lost.
    pub(super) fn receive(&mut self) {
        for _ in 0..self.world.limits.batches_per_turn_max {
            if self.world.is_congested() {
                break;
            }
            let Some(batch) = self.mailbox.take() else { break };
            for message in batch.mail {
                self.take(batch.from, message);
            }
        }
        while let Some((key, topic)) = self.world.hub.poll_effective() {
            self.subscribed(key, &topic);
        }
    }

    fn take(&mut self, from: WorkerId, message: ShardMessage) {
        match message {
            ShardMessage::Publish { topic, publication } => {
                self.world.hub.receive(&topic, &publication);
            }
            ShardMessage::Lost { topic } => self.world.hub.lose(&topic),
            ShardMessage::Announcement(announcement) => {
                if let Some(ack) = self.world.hub.heard(from, &announcement) {
                    self.world.staging.stage(from, ShardMessage::Ack(ack));
                }
            }
            ShardMessage::Ack(ack) => self.world.hub.acknowledged(from, ack),
            ShardMessage::Command(command) => self.obey(command),
        }
    }

    /// Lets new connections of a listener shake hands by another configuration.
    fn renew(&mut self, listener: u32, tls: Arc<ServerConfig>) {
        if let Some(Listener { transport: Transport::Tls(config), .. }) =
            self.listeners.get_mut(listener as usize)
        {
            *config = tls;
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Publish { topic, frame } => self.world.publish(&topic, &frame),
            Command::Close { key, code } => {
                self.world.close(key, code, "", CloseReason::Service(code));
            }
            Command::Press(pressure) => self.world.press(pressure),
            Command::Renew { listener, tls } => self.renew(listener, tls),
            Command::Drain { ms } => self.begin_drain(ms),
        }
    }
}
