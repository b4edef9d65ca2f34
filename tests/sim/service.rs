//! The service under test: topics, echoes and whispers, each of which it notes in the journal.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use corecast::base::{Key, Map};
use corecast::http::{Response, Status};
use corecast::hub::{Subscribed, TopicName};
use corecast::session::CloseReason;
use corecast::worker::{Caller, Context, Incoming, Offer, Service, Verdict};
use corecast::ws::{CloseCode, Message};

use super::journal::{Conn, Journal};
use super::origin;
use super::plan::TOPICS;
use super::plant::{Plant, SELDOM};
use super::stream;
use super::words::Words;

/// One worker's service.
pub struct Subject {
    worker: usize,
    journal: Rc<RefCell<Journal>>,
    /// Where each connection of this worker is, or was: keys that have gone stay on purpose.
    directory: Map<Conn, Key>,
    /// Who is in each slot now, for the bug that forgets generations.
    slots: Map<usize, Key>,
    last: Option<Key>,
    plant: Plant,
}

/// What it keeps for a connection.
#[derive(Debug)]
pub struct State {
    conn: Conn,
    /// What its path asked for.
    topics: Vec<TopicName>,
    /// What it joined by a message, and has not been told yes for.
    joining: Vec<TopicName>,
}

type Cx<'a> = Context<'a, State>;

impl Subject {
    pub fn new(worker: usize, journal: Rc<RefCell<Journal>>, plant: Plant) -> Self {
        let (directory, slots) = (Map::default(), Map::default());
        Self { worker, journal, directory, slots, last: None, plant }
    }

    fn act(&mut self, key: Key, words: Words, message: Message<'_>, cx: &mut Cx<'_>) {
        match words {
            Words::Publish { from, seq, topic } => {
                self.journal.borrow_mut().accept(from, seq, topic, self.worker);
                let is_crossed = self.plant == Plant::CrossedTopic && seq.is_multiple_of(SELDOM);
                cx.publish(&topic_name(topic + u64::from(is_crossed)), message);
            }
            Words::Echo { .. } => {
                let to = match self.plant {
                    Plant::CrossedEcho => self.last.unwrap_or(key),
                    _ => key,
                };
                let _ = cx.send(to, message);
            }
            Words::Whisper { to, .. } => {
                if let Some(to) = self.directory.get(&to) {
                    let _ = cx.send(self.reached(*to), message);
                }
            }
            Words::Bye { code } => {
                let code = CloseCode::new(code).expect("clients choose codes that may be sent");
                if self.plant != Plant::ForgottenClose {
                    cx.close(key, code, "as you wish");
                }
            }
            Words::Join { topic } => {
                if cx.subscribe(key, &topic_name(topic)) != Ok(Subscribed::Waiting) {
                    let _ = cx.send(key, message);
                } else if let Some(state) = cx.state_mut(key) {
                    state.joining.push(topic_name(topic));
                }
            }
            Words::Leave { topic } => {
                cx.unsubscribe(key, &topic_name(topic));
                let _ = cx.send(key, message);
            }
        }
    }

    /// Notes who has come, and that it comes from where its client is.
    fn welcome(&mut self, conn: Conn, key: Key, address: SocketAddr) {
        self.directory.insert(conn, key);
        self.slots.insert(key.index(), key);
        let mut journal = self.journal.borrow_mut();
        journal.accepted += 1;
        if address != origin::address(conn) {
            journal.garbled = Some(format!("{conn} comes from {address}"));
        }
    }

    /// Whom a key leads to: the one it was made for, or nobody.
    fn reached(&self, key: Key) -> Key {
        match self.plant {
            Plant::ForgottenGeneration => self.slots.get(&key.index()).copied().unwrap_or(key),
            _ => key,
        }
    }
}

impl Service for Subject {
    type State = State;

    /// The path is `/ws/CONN/TOPICS`, with the numbers of topics between commas.
    fn upgrade(&mut self, request: &Incoming<'_>, cx: &mut Cx<'_>) -> Verdict<State> {
        let mut parts = request.head.path().split('/').skip(2);
        let conn = parts.next().and_then(|conn| conn.parse().ok());
        let Some(conn) = conn else { return Verdict::Refuse(Response::new(Status::NOT_FOUND)) };
        let topics = parts.next().unwrap_or_default().split(',').filter(|topic| !topic.is_empty());
        let topics: Vec<_> =
            topics.map(|topic| topic_name(topic.parse().expect("a number"))).collect();
        if self.plant != Plant::EarlyAnswer {
            for topic in &topics {
                let _ = cx.subscribe(request.key, topic).expect("few topics");
            }
        }
        self.welcome(conn, request.key, request.peer.address);
        Verdict::accept(State { conn, topics, joining: Vec::new() })
    }

    fn request(&mut self, request: &Incoming<'_>, _cx: &mut Cx<'_>) -> Response {
        let said = String::from_utf8_lossy(request.body);
        let (path, address) = (request.head.path(), request.peer.address);
        Response::text(Status::OK, format!("{path} {address} {said}"))
    }

    fn connected(&mut self, caller: &Caller<'_>, cx: &mut Cx<'_>) -> Option<State> {
        let conn = Conn::from(caller.peer.address.port());
        self.welcome(conn, caller.key, caller.peer.address);
        let _ = cx.write(caller.key, stream::welcome(conn).as_bytes());
        Some(State { conn, topics: Vec::new(), joining: Vec::new() })
    }

    fn bytes(&mut self, key: Key, bytes: &[u8], cx: &mut Cx<'_>) {
        if cx.write(key, bytes) != Offer::Queued {
            self.journal.borrow_mut().garbled = Some("more of a stream than it takes".to_owned());
        }
    }

    fn opened(&mut self, key: Key, cx: &mut Cx<'_>) {
        self.journal.borrow_mut().opened += 1;
        if self.plant == Plant::EarlyAnswer {
            let topics = cx.state(key).map(|state| state.topics.clone()).unwrap_or_default();
            for topic in topics {
                let _ = cx.subscribe(key, &topic).expect("few topics");
            }
        }
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Cx<'_>) {
        let text = String::from_utf8_lossy(message.payload());
        match Words::parse(&text) {
            Some(words) => self.act(key, words, message, cx),
            None => self.journal.borrow_mut().garbled = Some(text.into_owned()),
        }
        self.last = Some(key);
    }

    fn subscribed(&mut self, key: Key, topic: &TopicName, cx: &mut Cx<'_>) {
        let Some(state) = cx.state_mut(key) else { return };
        let Some(place) = state.joining.iter().position(|joining| joining == topic) else { return };
        state.joining.swap_remove(place);
        let topic = topic.as_str().trim_start_matches("topic ").parse().expect("a number");
        let _ = cx.send(key, Message::Text(&Words::Join { topic }.say(0)));
    }

    fn closed(&mut self, key: Key, state: State, reason: CloseReason, cx: &mut Cx<'_>) {
        let mut journal = self.journal.borrow_mut();
        journal.closed += 1 + u64::from(self.plant == Plant::DoubleClose);
        journal.endings.push((state.conn, reason));
        if self.slots.get(&key.index()) == Some(&key) {
            self.slots.remove(&key.index());
        }
        if self.plant == Plant::SwappedSubscriber
            && let Some(last) = self.last
        {
            for topic in 0..TOPICS {
                cx.unsubscribe(last, &topic_name(topic));
            }
        }
    }
}

/// What a topic is called.
pub fn topic_name(topic: u64) -> TopicName {
    TopicName::new(&format!("topic {topic}")).expect("a good name")
}
