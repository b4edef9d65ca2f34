//! What idle connections hold: `cargo test --test deflate holds -- --nocapture` prints it.

use corecast::worker::Limits;

use crate::alloc;
use crate::prose;
use crate::support::{Crew, OFF, ON, TAKEOVER};

const CONNECTIONS: usize = 10_000;

/// For the windows of both directions and what zlib needs to fill them.
const CONTEXT_BYTES_MAX: isize = 450_000;

#[test]
fn an_idle_connection_that_may_deflate_holds_what_others_hold() {
    let [plain, deflating] = [OFF, ON].map(|via| each_holds(via, CONNECTIONS));
    println!("{CONNECTIONS} idle connections hold {plain} bytes each");
    println!("{CONNECTIONS} idle connections that may deflate hold {deflating} bytes each");
    assert!(deflating * 10 <= plain * 11, "more than a tenth above the others");
}

#[test]
fn a_connection_that_keeps_a_context_holds_no_more_than_is_said() {
    let bytes = each_holds(TAKEOVER, 50);
    println!("a connection that keeps a context holds {bytes} bytes");
    assert!(bytes <= CONTEXT_BYTES_MAX, "{bytes}");
}

/// What each connection adds to what a worker holds, with a subscription, after it has spoken and
/// been answered.
fn each_holds(via: u32, count: usize) -> isize {
    (held(via, 1 + count) - held(via, 1)) / isize::try_from(count).unwrap()
}

/// What a worker with so many such connections holds.
fn held(via: u32, count: usize) -> isize {
    let mut crew = Crew::new(1, Limits::default());
    let mut clients = Vec::with_capacity(count);
    for _ in 0..count {
        let mut client = crew.client(0, via, "/topic+echo", "permessage-deflate");
        match &client.agreed {
            Some(_) => client.say_deflated(&prose(300)),
            None => client.say(corecast::ws::Opcode::Binary, &prose(300)),
        }
        crew.tell(&client);
        assert_eq!(client.hear(), [(prose(300), client.agreed.is_some())]);
        // What the client holds is none of the worker's.
        clients.push(client);
    }
    let before = alloc::held();
    drop(crew);
    before - alloc::held()
}
