//! Bytes in both directions, until the server ends.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;

use super::connection::{BACKLOG_BYTES_MAX, Connection, End};
use super::failure::Failure;

/// How much of the input is read at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// Sends what `input` gives, and writes what comes to `output`, which is flushed after each piece.
///
/// The end of the input ends our half of the connection; the end of the server's half ends it all.
/// Who does not read is not written to: neither side is read faster than the other takes it.
///
/// # Errors
///
/// [`Failure::Truncated`] if the server's end may be somebody else's; [`Failure::Local`] if input
/// or output fail; or why the connection broke.
pub fn relay(
    mut connection: Connection,
    mut input: File,
    output: &mut dyn Write,
) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut has_ended = false;
    loop {
        connection.take(|arrived| write(output, arrived.take_all()))?;
        match connection.end() {
            Some(End::Proper) => break,
            Some(End::Truncated) => return Err(Failure::Truncated),
            None => {}
        }
        let may_send = !has_ended && connection.backlog() < BACKLOG_BYTES_MAX;
        let turn = connection.turn([may_send.then(|| input.as_fd())], None)?;
        if turn.ready == [true] {
            match input.read(&mut chunk) {
                Ok(0) => {
                    connection.finish();
                    has_ended = true;
                }
                Ok(len) => connection.send(chunk.split_at(len).0)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::Local(error)),
            }
        }
    }
    connection.finish();
    connection.drain()
}

fn write(output: &mut dyn Write, bytes: &[u8]) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    output.write_all(bytes).and_then(|()| output.flush()).map_err(Failure::Local)
}
