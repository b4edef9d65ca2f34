//! The limit of open files: what does not fit is turned away and harms nobody, and with tables of
//! their own the workers hold more than one table does.

use std::net::SocketAddr;
use std::time::Instant;

use corecast::reactor::fds;

use crate::client::{Client, PATIENCE, Via, connect, get};
use crate::program::Program;

/// A client, unless the server has turned it away.
fn try_client(address: SocketAddr) -> Option<Client> {
    Client::over(connect(address), &Via::Plain, "/echo").ok()
}

/// A client, as soon as there is room for it.
fn client_in_time(address: SocketAddr) -> Client {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(client) = try_client(address) {
            return client;
        }
        assert!(Instant::now() < end, "there is no room again");
    }
}

/// Fills a server that may open `files` files, and makes room again.
fn overcrowd(files: u32, workers: &str) {
    let arguments = ["--listen=127.0.0.1:0", "--admin=127.0.0.1:0", "--workers", workers];
    let mut program = Program::start_with_files(files, &arguments);
    let address = program.address("http://");
    let mut clients: Vec<_> = (0..2 * files).filter_map(|_| try_client(address)).collect();
    assert!(clients.len() < files as usize, "{} clients in {files} files", clients.len());
    assert!(clients.len() > files as usize / 2, "only {} clients", clients.len());
    assert!(clients.iter_mut().all(|client| client.is_echoed("still here")));
    let health = get(program.admin_address(), "/health/ready");
    assert!(health.starts_with("HTTP/1.1 200 "), "operators still get in: {health}");

    clients.truncate(clients.len() - 10);
    clients.extend((0..10).map(|_| client_in_time(address)));
    assert!(clients.iter_mut().all(|client| client.is_echoed("here again")));
    drop(clients);
    program.signal("TERM");
    assert_eq!(program.exit_code(), Some(0));
}

#[test]
fn one_worker_survives_the_file_limit() {
    overcrowd(110, "1");
}

#[test]
fn workers_that_share_their_files_survive_the_limit() {
    overcrowd(130, "3");
}

/// On any machine: a table holds the wakers of as many workers as there are cores.
#[cfg(target_os = "linux")]
#[test]
fn workers_with_tables_of_their_own_hold_more_than_the_limit() {
    fds::raise_limit().unwrap();
    let arguments = ["--listen=127.0.0.1:0", "--admin=off", "--max-conns=800"];
    let mut program = Program::start_with_files(400, &arguments);
    assert!(program.has_said("open files: 400 each"));
    let address = program.address("http://");
    let connect = |_| Client::connect(address, &Via::Plain, "/echo");
    let mut clients: Vec<_> = (0..700).map(connect).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        assert!(client.is_echoed(&number.to_string()), "{number}");
    }
    program.signal("TERM");
    for client in clients {
        client.closed();
    }
    assert_eq!(program.exit_code(), Some(0));
}
