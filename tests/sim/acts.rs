//! What clients do when it is their turn.

use corecast::hub::WorkerId;
use corecast::worker::Pressure;
use corecast::ws::{CloseCode, Message, Opcode, encoder};

use super::client::{Client, OUTSIDE, Phase, garbage};
use super::hear::Violation;
use super::history::History;
use super::origin;
use super::plan::{TOPICS, usize_of};
use super::plant::Plant;
use super::service::topic_name;
use super::words::Words;

/// What an open WebSocket may be used for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Act {
    Publish,
    PublishMuch,
    Echo,
    EchoInPieces,
    Begin,
    Ping,
    Pong,
    Whisper,
    Join,
    Leave,
    Bye,
    Close,
    Garbage,
}

impl Act {
    /// Those that a history loves are in here by its own weights, these come beside them.
    const ALL: [Self; 13] = [
        Self::Publish,
        Self::PublishMuch,
        Self::Echo,
        Self::EchoInPieces,
        Self::Begin,
        Self::Ping,
        Self::Pong,
        Self::Whisper,
        Self::Join,
        Self::Leave,
        Self::Bye,
        Self::Close,
        Self::Garbage,
    ];

    /// How many times more often it is done than what ends a connection.
    const fn weight(self) -> u64 {
        match self {
            Self::Bye | Self::Close | Self::Garbage => 1,
            Self::Publish => 30,
            _ => 8,
        }
    }
}

impl History {
    /// Lets a client do something.
    pub fn act(&mut self, number: usize) -> Result<(), Violation> {
        let client = &self.clients[number];
        if client.is_away() {
            return self.connect(number);
        }
        if !client.may_speak() {
            // Who has said all waits for the end, or goes.
            if self.rng.one_of(1, 20) {
                self.forget(number);
            }
            return Ok(());
        }
        if !client.tail.is_empty() {
            if self.rng.one_of(1, 3) {
                self.clients[number].finish_message();
            }
            return Ok(());
        }
        match client.phase {
            Phase::Http(None) => self.act_in_http(number),
            Phase::Http(Some(_)) if !self.rng.one_of(1, 4) => {}
            Phase::Http(Some(_)) | Phase::WebSocket(_) => self.act_in_websocket(number),
            Phase::Stream(_) => self.act_in_stream(number),
            Phase::Away => {}
        }
        Ok(())
    }

    fn act_in_http(&mut self, number: usize) {
        let drawn = self.rng.below(20);
        self.trace.note(format_args!("{number} acts in HTTP: {drawn}"));
        let requests = self.rng.below(4);
        let body = usize_of(self.rng.below(90));
        let topics = (0..TOPICS).filter(|_| self.rng.one_of(1, 3)).collect();
        let client = &mut self.clients[number];
        match drawn {
            0..=3 => (0..requests).for_each(|_| client.request(0)),
            4 => client.request(body),
            5 => {
                client.write(b"NONSENSE\r\n\r\n", true);
                client.faults.garbage = true;
            }
            6 => client.begin_request(),
            _ => client.upgrade(topics),
        }
    }

    fn act_in_websocket(&mut self, number: usize) {
        let act = self.draw_act();
        self.trace.note(format_args!("{number} acts: {act:?}"));
        let topic = self.rng.below(TOPICS);
        let filler = usize_of(self.rng.choose(&[0, 3, 50, 130, 600]));
        let count = 1 + self.rng.below(20);
        let kind = self.rng.below(8);
        let kept = 1 + usize_of(self.rng.below(20));
        let to = 1 + u32::try_from(self.rng.below(u64::from(self.last_conn))).expect("few");
        let client = &mut self.clients[number];
        match act {
            Act::Publish => client.publish(topic, filler),
            Act::PublishMuch => (0..count).for_each(|_| client.publish(topic, filler)),
            Act::Echo => client.echo(filler, 1, 0),
            Act::EchoInPieces => client.echo(filler, usize_of(count), 0),
            Act::Begin => client.echo(filler, 1 + usize_of(count) / 4, kept),
            Act::Ping => client.control(Opcode::Ping, b"anybody there?"),
            Act::Pong => client.control(Opcode::Pong, b"unasked"),
            Act::Whisper => {
                let words = Words::Whisper { from: client.conn, seq: client.next_seq(), to };
                client.say(words, filler, 1, 0);
            }
            Act::Join => client.join(topic),
            Act::Leave => client.quit(topic),
            Act::Bye => {
                client.faults.bye = true;
                client.say(Words::Bye { code: 4_000 }, 0, 1, 0);
            }
            Act::Close => {
                let payload = encoder::close_payload(CloseCode::NORMAL, "done");
                client.control(Opcode::Close, &payload);
            }
            Act::Garbage => {
                let max = self.plan.limits.session.websocket.message_bytes_max;
                client.write(&garbage(kind, max), true);
                client.faults.garbage = true;
            }
        }
    }

    fn draw_act(&mut self) -> Act {
        let weight = |act: Act, taste: u64| act.weight() * taste;
        let tastes = Act::ALL.into_iter().zip(self.plan.tastes);
        let total = tastes.clone().map(|(act, taste)| weight(act, taste)).sum();
        let mut drawn = self.rng.below(total);
        for (act, taste) in tastes {
            if drawn < weight(act, taste) {
                return act;
            }
            drawn -= weight(act, taste);
        }
        Act::Publish
    }
}

impl History {
    /// Lets another thread use its handle: to publish, or to close somebody.
    pub fn call(&mut self) -> Result<(), Violation> {
        match self.rng.below(8) {
            0 => self.dismiss_somebody(),
            1 | 2 if self.plan.is_pressed => self.press_somehow(),
            _ => self.publish_from_outside(),
        }
    }

    /// Lets somebody measure that there is much memory or little.
    fn press_somehow(&mut self) -> Result<(), Violation> {
        let pressure =
            self.rng.choose(&[Pressure::Low, Pressure::Low, Pressure::High, Pressure::Severe]);
        self.press(pressure)
    }

    /// Tells every worker how short memory is.
    pub fn press(&mut self, pressure: Pressure) -> Result<(), Violation> {
        self.trace.note(format_args!("memory: {pressure:?}"));
        let told = match (self.plan.plant, pressure) {
            (Plant::ForgottenRelief, Pressure::Low)
            | (Plant::ForgottenShortage, Pressure::High | Pressure::Severe) => Ok(()),
            _ => self.carriers.handle.press(pressure),
        };
        self.was_severe |= pressure == Pressure::Severe;
        if told.is_err() && !self.is_draining() {
            return Err(format!("nobody heard that memory is {pressure:?}"));
        }
        for core in &mut self.cores {
            core.shortage.order(pressure != Pressure::Low);
            core.check_woken()?;
        }
        Ok(())
    }

    fn publish_from_outside(&mut self) -> Result<(), Violation> {
        let topic = self.rng.below(TOPICS);
        self.last_call += 1;
        let words = Words::Publish { from: 0, seq: self.last_call, topic };
        let published =
            self.carriers.handle.publish(&topic_name(topic), Message::Text(&words.say(9)));
        self.trace.note(format_args!("a call publishes to {topic}: {published:?}"));
        if published.is_ok() {
            // It is accepted by the topic's own worker, later, in this order.
            self.journal.borrow_mut().accept(0, self.last_call, topic, OUTSIDE);
            // Whose mail it is is the mesh's secret, but it is somebody's.
            let mut cores = self.cores.iter().filter(|core| !core.has_exited());
            if cores.all(|core| core.check_woken().is_err()) {
                return Err("everybody sleeps over a call".to_owned());
            }
        }
        Ok(())
    }

    fn dismiss_somebody(&mut self) -> Result<(), Violation> {
        let number = self.below(self.clients.len());
        let client = &mut self.clients[number];
        // Whoever speaks HTTP cannot be closed so.
        let Some(wire) = client.wire.as_ref().filter(|_| client.is_talking()) else {
            return Ok(());
        };
        let core = wire.worker;
        let worker = WorkerId::new(u8::try_from(core).expect("few workers"));
        let closed = self.carriers.handle.close(worker, wire.key, CloseCode::NORMAL);
        client.faults.bye = true;
        self.trace.note(format_args!("a call closes {number}: {closed:?}"));
        self.cores[core].check_woken()
    }
}

impl Client {
    /// Publishes to a topic, to which it need not be subscribed.
    pub fn publish(&mut self, topic: u64, filler: usize) {
        let words = Words::Publish { from: self.conn, seq: self.next_seq(), topic };
        self.say(words, filler, 1, 0);
    }

    /// Asks for an echo, in frames, the last bytes of which may come later.
    pub fn echo(&mut self, filler: usize, frames: usize, kept: usize) {
        let words = Words::Echo { from: self.conn, seq: self.next_seq() };
        self.say(words, filler, frames, kept);
    }

    fn join(&mut self, topic: u64) {
        let is_open = matches!(self.phase, Phase::WebSocket(_));
        if is_open && !self.topics.contains_key(&topic) {
            self.topics.insert(topic, super::client::Subscription::default());
            self.say(Words::Join { topic }, 0, 1, 0);
        }
    }

    fn quit(&mut self, topic: u64) {
        if let Some(subscription) = self.topics.get_mut(&topic)
            && subscription.answered.is_some()
            && !std::mem::replace(&mut subscription.leaving, true)
        {
            self.say(Words::Leave { topic }, 0, 1, 0);
        }
    }

    /// Begins a request whose end comes later.
    fn begin_request(&mut self) {
        let seq = self.next_seq();
        let path = format!("/n/{}/{seq}", self.conn);
        self.answers.push_back(format!("{path} {} ", origin::address(self.conn)));
        self.write(format!("GET {path} HTTP/1.1\r\nHost").as_bytes(), false);
        self.tail = b": sim\r\n\r\n".to_vec();
    }
}
