//! What one connection says and hears during the hold.

use std::mem;
use std::time::Instant;

use super::link::Published;
use super::scene::Scene;
use crate::audit::{Order, Sequence};
use crate::cast::Role;
use crate::stamp::{Reading, Stamp};

/// Whose messages come to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Senders {
    /// Its own alone: an echo.
    Itself,
    /// So many publishers of its part: a broadcast.
    Publishers(u32),
}

impl Senders {
    /// Who sends to a connection of `role`; nobody where it idles.
    pub const fn of(role: Role) -> Option<Self> {
        match role {
            Role::Idle => None,
            Role::Echo(_) => Some(Self::Itself),
            Role::Broadcast { publishers, .. } => Some(Self::Publishers(publishers)),
        }
    }
}

/// One connection's part in the talk of a trial.
#[derive(Debug)]
pub struct Talk {
    /// What it is called in what it sends: its number in the run, or among those that broadcast.
    id: u32,
    sent: u64,
    /// The first sender; the others follow.
    first: u32,
    heard: Box<[Sequence]>,
    /// When the last echo came, in nanoseconds of the run.
    heard_ns: u64,
    is_broadcast: bool,
}

/// What should have come to a connection, and what of that has not.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Account {
    /// Should have come.
    pub expected: u64,
    /// Has not.
    pub missing: u64,
}

impl Talk {
    /// The part of connection `number`, which has the place `rank` among those that do the same.
    pub fn new(number: u32, rank: u32, senders: Senders) -> Self {
        let (id, first, count, is_broadcast) = match senders {
            Senders::Itself => (number, number, 1, false),
            Senders::Publishers(count) => (rank, 0, count as usize, true),
        };
        let heard = vec![Sequence::default(); count].into();
        Self { id, sent: 0, first, heard, heard_ns: 0, is_broadcast }
    }

    /// Whether others publish to it.
    pub fn is_broadcast(&self) -> bool {
        self.is_broadcast
    }

    /// Whether it sends.
    pub fn speaks(&self) -> bool {
        !self.is_broadcast || (self.id as usize) < self.heard.len()
    }

    /// Writes the next message, due at `intended`, to the desk.
    pub fn write(&mut self, intended: Instant, scene: &mut Scene<'_>) {
        let now = scene.setting.now();
        let stamp = Stamp {
            connection: self.id,
            seq: self.sent,
            intended_ns: scene.setting.ns(intended),
            sent_ns: scene.setting.ns(now),
        };
        scene.desk.payload.clear();
        scene.setting.press.write(&stamp, &mut scene.desk.payload);
        self.sent += 1;
        let traffic = &mut scene.tally.traffic;
        traffic.sent += 1;
        if intended >= scene.timed_from {
            traffic.slip.record(now.saturating_duration_since(intended));
        }
        if self.is_broadcast {
            *traffic.published.entry(self.id).or_default() += 1;
        }
    }

    /// Takes note of a message.
    pub fn hear(&mut self, payload: &[u8], scene: &mut Scene<'_>) {
        let setting = scene.setting;
        let traffic = &mut scene.tally.traffic;
        let stamp = match setting.press.read(payload) {
            Reading::Ours(stamp) => stamp,
            Reading::Damaged => return traffic.audit.damaged += 1,
            Reading::Foreign => return traffic.audit.foreign += 1,
        };
        let Some(sequence) = self.sequence(stamp.connection) else {
            // A message of another connection that was not meant for this one.
            traffic.audit.damaged += 1;
            return;
        };
        let order = sequence.note(stamp.seq);
        traffic.audit.count(order);
        let now = setting.now();
        let free_ns = mem::replace(&mut self.heard_ns, setting.ns(now));
        if order == Order::Again || stamp.intended_ns < setting.ns(scene.timed_from) {
            return;
        }
        let corrected = setting.since(stamp.intended_ns, now);
        let timing = if self.is_broadcast { &mut traffic.deliver } else { &mut traffic.echo };
        timing.corrected.record(corrected);
        timing.uncorrected.record(setting.since(stamp.sent_ns, now));
        if self.is_broadcast {
            traffic.spreads.reached(stamp.connection, stamp.seq, corrected);
        } else {
            timing.closed_loop.record(setting.since(stamp.sent_ns.max(free_ns), now));
        }
    }

    /// What should have come by now, if other connections have sent what `published` says.
    pub fn account(&self, published: &Published) -> Account {
        let sent = |sender| match sender {
            _ if sender == self.id => self.sent,
            _ => published.get(&sender).copied().unwrap_or(0),
        };
        let senders = (self.first..).zip(&self.heard);
        senders.fold(Account::default(), |account, (sender, heard)| Account {
            expected: account.expected + sent(sender),
            missing: account.missing + heard.missing(sent(sender)),
        })
    }

    fn sequence(&mut self, sender: u32) -> Option<&mut Sequence> {
        self.heard.get_mut(sender.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;
    use crate::client::Greeting;
    use crate::driver::scene::{Desk, Setting};
    use crate::stamp::Press;
    use crate::tally::Tally;
    use corecast::ws;

    fn setting() -> Setting {
        let greeting = Greeting {
            tls: None,
            authority: "h".to_owned(),
            paths: vec!["/".to_owned()],
            subprotocols: Vec::new(),
            deflate: false,
            headers: Vec::new(),
            limits: ws::Limits { message_bytes_max: 1_024, fragments_max: 1 },
        };
        Setting { greeting, press: Press::new(1, 64), epoch: Instant::now(), clock: Instant::now }
    }

    /// Lets `speaker` say `count` messages, each of which all of `listeners` hear.
    fn converse(speaker: &mut Talk, listeners: &mut [Talk], count: u64) -> Tally {
        let (setting, mut desk, mut tally) = (setting(), Desk::new(), Tally::default());
        let mut scene = Scene {
            setting: &setting,
            desk: &mut desk,
            tally: &mut tally,
            timed_from: setting.epoch,
        };
        for _ in 0..count {
            speaker.write(setting.epoch, &mut scene);
            let payload = scene.desk.payload.clone();
            for listener in &mut *listeners {
                listener.hear(&payload, &mut scene);
            }
        }
        tally
    }

    #[test]
    fn a_publication_is_missing_where_it_was_not_heard() {
        let senders = Senders::Publishers(2);
        let mut publisher = Talk::new(40, 1, senders);
        let mut subscribers = [Talk::new(50, 5, senders), Talk::new(60, 6, senders)];
        assert_eq!((publisher.speaks(), subscribers[0].speaks()), (true, false));
        let tally = converse(&mut publisher, &mut subscribers, 3);
        assert_eq!(tally.traffic.published, [(1, 3)].into());
        assert_eq!(tally.traffic.audit.received, 6);
        let account = |talk: &Talk, sent| talk.account(&[(0, 0), (1, sent)].into());
        assert_eq!(account(&subscribers[0], 3), Account { expected: 3, missing: 0 });
        assert_eq!(account(&subscribers[1], 5), Account { expected: 5, missing: 2 });
        let own = publisher.account(&Published::new());
        assert_eq!(own, Account { expected: 3, missing: 3 }, "its own never came back");
    }

    #[test]
    fn an_echo_of_somebody_else_is_damage() {
        let mut speaker = Talk::new(1, 0, Senders::Itself);
        let tally = converse(&mut speaker, &mut [Talk::new(2, 1, Senders::Itself)], 4);
        assert_eq!((tally.traffic.audit.received, tally.traffic.audit.damaged), (0, 4));
        assert_eq!(speaker.account(&Published::new()).missing, 4);
    }
}
