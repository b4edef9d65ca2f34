//! The service whose limits are reached: it echoes, joins as many topics as a message has bytes,
//! and fails or closes where it is told to.

use corecast::base::Key;
use corecast::http::{Response, Status};
use corecast::hub::TopicName;
use corecast::session::CloseReason;
use corecast::worker::{Caller, Context, Incoming, Service, Verdict};
use corecast::ws::{CloseCode, Message};

/// One worker's service. What a connection is for is the name of the topic in its path.
pub struct Subject;

type Cx<'a> = Context<'a, TopicName>;

impl Service for Subject {
    type State = TopicName;

    fn upgrade(&mut self, request: &Incoming<'_>, cx: &mut Cx<'_>) -> Verdict<TopicName> {
        let topic = TopicName::new(request.head.path().trim_start_matches('/')).unwrap();
        assert_ne!(topic.as_str(), "panic-upgrade", "asked for");
        let _ = cx.subscribe(request.key, &topic).unwrap();
        leave(topic.as_str(), "close-upgrade", request.key, cx);
        Verdict::accept(topic)
    }

    fn request(&mut self, request: &Incoming<'_>, _: &mut Cx<'_>) -> Response {
        assert_ne!(request.head.path(), "/panic-request", "asked for");
        Response::new(Status::NO_CONTENT)
    }

    fn opened(&mut self, key: Key, cx: &mut Cx<'_>) {
        let topic = cx.state(key).cloned().unwrap();
        assert_ne!(topic.as_str(), "panic-opened", "asked for");
        leave(topic.as_str(), "close-opened", key, cx);
    }

    fn message(&mut self, key: Key, message: Message<'_>, cx: &mut Cx<'_>) {
        assert_ne!(message.payload(), b"panic", "asked for");
        let topic = cx.state(key).cloned().unwrap();
        leave(topic.as_str(), "close-message", key, cx);
        match topic.as_str() {
            "echo" => drop(cx.send(key, message)),
            "topics" => {
                for number in 1..message.payload().len() {
                    let name = TopicName::new(&number.to_string()).unwrap();
                    if cx.subscribe(key, &name).is_err() {
                        let _ = cx.send(key, Message::Text("one too many"));
                    }
                }
            }
            _ => cx.publish(&topic, message),
        }
    }

    fn connected(&mut self, _: &Caller<'_>, _: &mut Cx<'_>) -> Option<TopicName> {
        TopicName::new("stream").ok()
    }

    fn bytes(&mut self, key: Key, bytes: &[u8], cx: &mut Cx<'_>) {
        let _ = cx.write(key, bytes);
    }

    fn closed(&mut self, key: Key, topic: TopicName, _: CloseReason, cx: &mut Cx<'_>) {
        assert_ne!(topic.as_str(), "panic-closed", "asked for");
        leave(topic.as_str(), "close-closed", key, cx);
    }
}

/// Closes the connection whose `topic` asks for it `here`, twice, and goes on as if it had not.
fn leave(topic: &str, here: &str, key: Key, cx: &mut Cx<'_>) {
    if topic == here {
        cx.close(key, CloseCode::NORMAL, "as you wish");
        cx.close(key, CloseCode::NORMAL, "once more");
        let _ = cx.send(key, Message::Text("too late"));
    }
}
