//! What one connection says and hears during the hold.

use std::collections::BTreeMap;
use std::time::Instant;

use super::scene::Scene;
use crate::audit::{Order, Sequence};
use crate::plan::Scenario;
use crate::stamp::{Reading, Stamp};

/// Whose messages come to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Senders {
    /// Its own alone: an echo.
    Itself,
    /// Those of the connections with the numbers below this: a broadcast.
    Publishers(u32),
}

impl Senders {
    /// Who sends in `scenario`; nobody where connections idle.
    pub const fn of(scenario: Scenario) -> Option<Self> {
        match scenario {
            Scenario::Idle => None,
            Scenario::Echo(_) => Some(Self::Itself),
            Scenario::Broadcast { publishers, .. } => Some(Self::Publishers(publishers)),
        }
    }

    /// Whether connection `number` is to speak.
    pub const fn include(self, number: u32) -> bool {
        match self {
            Self::Itself => true,
            Self::Publishers(count) => number < count,
        }
    }
}

/// One connection's part in the talk.
#[derive(Debug)]
pub struct Talk {
    number: u32,
    sent: u64,
    /// The number of the first sender; the others follow.
    first: u32,
    heard: Box<[Sequence]>,
    is_broadcast: bool,
}

impl Talk {
    /// The part of connection `number`.
    pub fn new(number: u32, senders: Senders) -> Self {
        let (first, count, is_broadcast) = match senders {
            Senders::Itself => (number, 1, false),
            Senders::Publishers(count) => (0, count as usize, true),
        };
        let heard = vec![Sequence::default(); count].into();
        Self { number, sent: 0, first, heard, is_broadcast }
    }

    /// Writes the next message, due at `intended`, to the desk.
    pub fn write(&mut self, intended: Instant, scene: &mut Scene<'_>) {
        let now = scene.setting.now();
        let stamp = Stamp {
            connection: self.number,
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
            *traffic.published.entry(self.number).or_default() += 1;
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
        if order == Order::Again || stamp.intended_ns < setting.ns(scene.timed_from) {
            return;
        }
        let now = setting.now();
        let corrected = setting.since(stamp.intended_ns, now);
        traffic.corrected.record(corrected);
        traffic.uncorrected.record(setting.since(stamp.sent_ns, now));
        if self.is_broadcast {
            traffic.spreads.reached(stamp.connection, stamp.seq, corrected);
        }
    }

    /// How many messages never came, if other connections have sent what `published` says.
    pub fn missing(&self, published: &BTreeMap<u32, u64>) -> u64 {
        let sent = |sender| match sender {
            _ if sender == self.number => self.sent,
            _ => published.get(&sender).copied().unwrap_or(0),
        };
        (self.first..).zip(&self.heard).map(|(sender, heard)| heard.missing(sent(sender))).sum()
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
            path: "/".to_owned(),
            subprotocols: Vec::new(),
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
        let mut publisher = Talk::new(1, senders);
        let mut subscribers = [Talk::new(5, senders), Talk::new(6, senders)];
        let tally = converse(&mut publisher, &mut subscribers, 3);
        assert_eq!(tally.traffic.published, [(1, 3)].into());
        assert_eq!(tally.traffic.audit.received, 6);
        let missing = |talk: &Talk, sent| talk.missing(&[(0, 0), (1, sent)].into());
        assert_eq!(missing(&subscribers[0], 3), 0);
        assert_eq!(missing(&subscribers[1], 5), 2);
        assert_eq!(publisher.missing(&BTreeMap::new()), 3, "its own never came back");
    }

    #[test]
    fn an_echo_of_somebody_else_is_damage() {
        let mut speaker = Talk::new(1, Senders::Itself);
        let tally = converse(&mut speaker, &mut [Talk::new(2, Senders::Itself)], 4);
        assert_eq!((tally.traffic.audit.received, tally.traffic.audit.damaged), (0, 4));
        assert_eq!(speaker.missing(&BTreeMap::new()), 4);
    }
}
