//! What one connection says and hears during the hold.

use std::mem;
use std::time::Instant;

use super::board::Board;
use super::scene::{Scene, Setting};
use crate::audit::{Audit, Order, Sequence};
use crate::cast::{Place, Role};
use crate::payload::Verify;
use crate::slow::{Slow, Valve};
use crate::spread::Spreads;
use crate::stamp::{Reading, Stamp};

/// One connection's part in the talk of a trial.
#[derive(Debug)]
pub struct Talk {
    /// What it is called in what it sends: its number in the run, or that of a publisher.
    id: u32,
    /// Messages sent, if nobody else knows how many these are.
    sent: u64,
    /// The first sender; the others follow.
    first: u32,
    heard: Box<[Sequence]>,
    /// When the last echo came, in nanoseconds of the run.
    heard_ns: u64,
    kind: Kind,
    /// How slowly it reads, if it does.
    valve: Option<Valve>,
    /// Whether what comes is timed.
    is_timed: bool,
}

/// Whose messages come to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Its own alone.
    Echo,
    /// Those of the publishers of part `part`, of which it may be one.
    Broadcast { part: usize, publishes: bool },
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
    /// The part of connection `number` at `place`, if that does not idle, from now on: it is owed
    /// what is not on the board yet.
    pub fn new(number: u32, place: &Place<'_>, setting: &Setting, is_timed: bool) -> Option<Self> {
        let (board, now) = (&setting.board, setting.now());
        let valve = place.reads.map(|slow: Slow| Valve::new(slow, now));
        let (id, first, heard, kind) = match place.part.role {
            Role::Idle => return None,
            Role::Echo(_) => (number, number, vec![Sequence::default()], Kind::Echo),
            Role::Broadcast { publishers, .. } => {
                let first = place.publishers_before;
                let heard = (first..first + publishers).map(|it| Sequence::from(board.sent(it)));
                let publishes = place.rank < publishers;
                let id = first.saturating_add(place.rank);
                (id, first, heard.collect(), Kind::Broadcast { part: place.index, publishes })
            }
        };
        let heard = if setting.verify == Verify::None { Box::default() } else { heard.into() };
        let is_timed = is_timed && valve.is_none();
        Some(Self { id, sent: 0, first, heard, heard_ns: 0, kind, valve, is_timed })
    }

    /// Whether it sends.
    pub fn speaks(&self) -> bool {
        self.kind == Kind::Echo || self.publishes()
    }

    /// Whether it sends to others: who leaves then takes messages along that others wait for.
    pub fn publishes(&self) -> bool {
        matches!(self.kind, Kind::Broadcast { publishes: true, .. })
    }

    /// The part of the cast that it listens to and is awaited in, if others publish to it.
    pub fn audience(&self) -> Option<usize> {
        match self.kind {
            Kind::Broadcast { part, .. } if !self.is_slow() => Some(part),
            _ => None,
        }
    }

    /// Whether it reads slowly.
    pub fn is_slow(&self) -> bool {
        self.valve.is_some()
    }

    /// What holds back its reading, if it is slow.
    pub fn valve(&mut self) -> Option<&mut Valve> {
        self.valve.as_mut()
    }

    /// Writes the next message, due at `intended`, to the desk.
    pub fn write(&mut self, intended: Instant, scene: &mut Scene<'_>) {
        let now = scene.setting.now();
        let board = &scene.setting.board;
        let traffic = &mut scene.tally.traffic;
        let seq = match self.kind {
            Kind::Echo => self.sent,
            Kind::Broadcast { .. } => board.publish(self.id),
        };
        self.sent += 1;
        let stamp = Stamp {
            connection: self.id,
            seq,
            intended_ns: scene.setting.ns(intended),
            sent_ns: scene.setting.ns(now),
        };
        scene.desk.payload.clear();
        scene.setting.press.write(&stamp, &mut scene.desk.payload);
        traffic.sent += 1;
        if intended < scene.timed_from {
            return;
        }
        traffic.slip.record(now.saturating_duration_since(intended));
        match self.kind {
            Kind::Echo if self.is_timed => scene.desk.flight.enter(scene.setting.ns(now)),
            Kind::Echo => {}
            Kind::Broadcast { part, .. } => {
                traffic.spreads.published(self.id, seq, board.listening(part));
            }
        }
    }

    /// Takes note of a message.
    pub fn hear(&mut self, payload: &[u8], scene: &mut Scene<'_>) {
        let setting = scene.setting;
        let traffic = &mut scene.tally.traffic;
        let is_slow = self.is_slow();
        let audit = if is_slow { &mut traffic.slow } else { &mut traffic.audit };
        let Some((stamp, order)) = self.note(setting.press.read(payload), audit) else { return };
        let now = setting.now();
        let free_ns = mem::replace(&mut self.heard_ns, setting.ns(now));
        let is_of_warmup = stamp.intended_ns < setting.ns(scene.timed_from);
        if matches!(order, Order::Again | Order::Early) || is_of_warmup || is_slow {
            return;
        }
        let corrected = setting.since(stamp.intended_ns, now);
        if self.kind != Kind::Echo {
            traffic.spreads.reached(stamp.connection, stamp.seq, corrected);
            self.stand_in_for(&stamp, &setting.board, &mut traffic.spreads);
        }
        if !self.is_timed {
            return;
        }
        let is_echo = self.kind == Kind::Echo;
        let timing = if is_echo { &mut traffic.echo } else { &mut traffic.deliver };
        timing.corrected.record(corrected);
        timing.uncorrected.record(setting.since(stamp.sent_ns, now));
        if is_echo {
            scene.desk.flight.leave(setting.ns(now));
            timing.closed_loop.record(setting.since(stamp.sent_ns.max(free_ns), now));
        }
    }

    /// Says how many listen here to a publication whose publisher is on another machine: ours has
    /// told the board of it before we could have it.
    fn stand_in_for(&self, stamp: &Stamp, board: &Board, spreads: &mut Spreads) {
        if let Kind::Broadcast { part, .. } = self.kind
            && board.sent(stamp.connection) == 0
        {
            spreads.published(stamp.connection, stamp.seq, board.listening(part));
        }
    }

    /// Counts a message; what is ours is returned with its place among the others.
    fn note(&mut self, reading: Reading, audit: &mut Audit) -> Option<(Stamp, Order)> {
        let stamp = match reading {
            Reading::Ours(stamp) => stamp,
            Reading::Damaged => {
                audit.damaged += 1;
                return None;
            }
            Reading::Foreign => {
                audit.foreign += 1;
                return None;
            }
        };
        if self.heard.is_empty() {
            // Nobody looks, so that it came is all that is known.
            audit.received += 1;
            return Some((stamp, Order::InTurn));
        }
        let Some(sequence) = self.sequence(stamp.connection) else {
            // A message of another connection that was not meant for this one.
            audit.damaged += 1;
            return None;
        };
        let order = sequence.note(stamp.seq);
        audit.count(order);
        Some((stamp, order))
    }

    /// What should have come by now, as far as anybody waits for it: not to a slow reader.
    pub fn account(&self, board: &Board) -> Account {
        if self.is_slow() {
            Account::default()
        } else {
            self.reckon(|sender, _| self.sent_by(sender, board))
        }
    }

    /// What should have come to one that leaves by plan: what is on its way is not lost, but what
    /// later messages have passed over is.
    pub fn farewell(&self) -> Account {
        self.reckon(|_, heard| heard.next())
    }

    fn reckon(&self, sent: impl Fn(u32, &Sequence) -> u64) -> Account {
        let senders = (self.first..).zip(&self.heard);
        senders.fold(Account::default(), |account, (sender, heard)| {
            let sent = sent(sender, heard);
            Account {
                expected: account.expected + heard.expected(sent),
                missing: account.missing + heard.missing(sent),
            }
        })
    }

    /// How many publications there were when it came, in all.
    pub fn joined_at(&self) -> u64 {
        self.heard.iter().map(Sequence::first).sum()
    }

    /// The same of the last ones that it got.
    pub fn got_to(&self) -> u64 {
        self.heard.iter().map(Sequence::next).sum()
    }

    fn sent_by(&self, sender: u32, board: &Board) -> u64 {
        if self.kind == Kind::Echo { self.sent } else { board.sent(sender) }
    }

    fn sequence(&mut self, sender: u32) -> Option<&mut Sequence> {
        self.heard.get_mut(sender.checked_sub(self.first)? as usize)
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // some instant to start from
mod tests {
    use super::*;
    use crate::cast::{Cast, Part};
    use crate::client::{Greeting, Mask};
    use crate::driver::scene::Desk;
    use crate::payload::{Form, Payload};
    use crate::stamp::Press;
    use crate::tally::Tally;
    use corecast::ws;

    fn setting(cast: &Cast) -> Setting {
        let greeting = Greeting {
            tls: None,
            sessions: None,
            authority: String::new(),
            paths: Vec::new(),
            subprotocols: Vec::new(),
            deflate: false,
            headers: Vec::new(),
            mask: Mask::Random,
            limits: ws::Limits { message_bytes_max: 1_024, fragments_max: 1 },
        };
        let (verify, epoch) = (Verify::Payload, Instant::now());
        let payload = Payload::new(&"64".parse().unwrap(), Form::Binary, false).unwrap();
        let (press, board) = (Press::new(1, &payload, verify), Board::new(cast));
        Setting { greeting, press, board, verify, epoch, clock: Instant::now }
    }

    fn cast(role: Role) -> Cast {
        Cast::new("test", vec![Part::all(role)], 1).unwrap()
    }

    fn broadcast() -> Cast {
        cast(Role::Broadcast { publishers: 2, rate: "1/s".parse().unwrap() })
    }

    /// The talks of the connections `numbers`, all of which listen.
    fn talks<const N: usize>(cast: &Cast, setting: &Setting, numbers: [u32; N]) -> [Talk; N] {
        numbers.map(|number| {
            let talk = Talk::new(number, &cast.place(number), setting, true);
            setting.board.joined(0);
            talk.unwrap()
        })
    }

    /// Lets `speaker` say `count` messages, each of which all of `listeners` hear.
    fn converse(
        setting: &Setting,
        speaker: &mut Talk,
        listeners: &mut [Talk],
        count: u64,
    ) -> Tally {
        let (mut desk, mut tally) = (Desk::new(Mask::Random), Tally::default());
        let (desk, tally_mut) = (&mut desk, &mut tally);
        let mut scene = Scene { setting, desk, tally: tally_mut, timed_from: setting.epoch };
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
        let cast = broadcast();
        let setting = setting(&cast);
        let [mut publisher, one, other] = talks(&cast, &setting, [1, 5, 6]);
        assert!(publisher.speaks() && publisher.publishes() && !one.speaks());
        let mut subscribers = [one, other];
        let tally = converse(&setting, &mut publisher, &mut subscribers, 3);
        assert_eq!((setting.board.sent(0), setting.board.sent(1)), (0, 3));
        assert_eq!(tally.traffic.audit.received, 6);
        let account = |talk: &Talk| talk.account(&setting.board);
        assert_eq!(account(&subscribers[0]), Account { expected: 3, missing: 0 });
        converse(&setting, &mut publisher, &mut subscribers[..1], 2);
        assert_eq!(account(&subscribers[1]), Account { expected: 5, missing: 2 });
        assert_eq!(account(&publisher), Account { expected: 5, missing: 5 }, "none came back");
    }

    #[test]
    fn who_comes_late_or_leaves_is_owed_what_lies_between() {
        let cast = broadcast();
        let setting = setting(&cast);
        let [mut publisher] = talks(&cast, &setting, [0]);
        converse(&setting, &mut publisher, &mut [], 4);
        let [mut late] = talks(&cast, &setting, [7]);
        let tally = converse(&setting, &mut publisher, std::slice::from_mut(&mut late), 2);
        assert_eq!((tally.traffic.audit.received, late.joined_at(), late.got_to()), (2, 4, 6));
        converse(&setting, &mut publisher, &mut [], 1);
        assert_eq!(late.account(&setting.board), Account { expected: 3, missing: 1 });
        assert_eq!(late.farewell(), Account { expected: 2, missing: 0 }, "one is on its way");
        converse(&setting, &mut publisher, std::slice::from_mut(&mut late), 1);
        assert_eq!(late.farewell(), Account { expected: 4, missing: 1 }, "one was passed over");
    }

    #[test]
    fn what_a_slow_reader_gets_is_counted_apart_and_not_timed() {
        let slow =
            Part { slow: Some(Slow::USUAL.all()), ..Part::all(Role::Echo("1/s".parse().unwrap())) };
        let cast = Cast::new("slow", vec![slow], 1).unwrap();
        let setting = setting(&cast);
        let [mut speaker] = talks(&cast, &setting, [0]);
        let mut listener = talks(&cast, &setting, [0]);
        let tally = converse(&setting, &mut speaker, &mut listener, 4);
        let traffic = &tally.traffic;
        assert_eq!((traffic.slow.received, traffic.audit.received), (4, 0));
        assert_eq!(
            (traffic.echo.corrected.n(), speaker.account(&setting.board)),
            (0, Account::default())
        );
    }

    #[test]
    fn who_verifies_nothing_counts_what_comes_and_misses_nothing() {
        let cast = cast(Role::Echo("1/s".parse().unwrap()));
        let setting = Setting { verify: Verify::None, ..setting(&cast) };
        let [mut speaker] = talks(&cast, &setting, [0]);
        let mut listeners = talks(&cast, &setting, [0, 0]);
        let tally = converse(&setting, &mut speaker, &mut listeners, 4);
        let audit = &tally.traffic.audit;
        assert_eq!((audit.received, audit.doubled, tally.traffic.echo.corrected.n()), (8, 0, 8));
        assert_eq!(speaker.account(&setting.board), Account::default());
    }

    #[test]
    fn an_echo_of_somebody_else_is_damage() {
        let cast = cast(Role::Echo("1/s".parse().unwrap()));
        let setting = setting(&cast);
        let [mut speaker, other] = talks(&cast, &setting, [1, 2]);
        let tally = converse(&setting, &mut speaker, &mut [other], 4);
        assert_eq!((tally.traffic.audit.received, tally.traffic.audit.damaged), (0, 4));
        assert_eq!(speaker.account(&setting.board).missing, 4);
    }
}
