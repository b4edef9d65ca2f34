//! What the peers and the load that drives them have in common.

pub mod carrier;

use std::env;
use std::error::Error;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::process;
use std::str::FromStr;
use std::thread;

/// The longest payload whose length fits into the second byte of a frame (RFC 6455 §5.2).
pub const SHORT_PAYLOAD_MAX: usize = 125;

/// The mask bit of a frame's second byte, above the length.
pub const MASKED: u8 = 0x80;

/// What is wrong with a run, as a sentence for whoever started it.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The value of the argument after `name`; `None` if it was not given.
pub fn argument<T>(name: &str) -> Result<Option<T>, Failure>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let value = env::args().skip_while(|argument| argument != name).nth(1);
    let value = value.map(|value| value.parse::<T>()).transpose();
    value.map_err(|error| format!("{name}: {error}").into())
}

/// Where a server is told to listen by `--listen ADDRESS`; any free port of loopback by default.
pub fn listen_address() -> Result<SocketAddr, Failure> {
    Ok(argument("--listen")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0))))
}

/// Applies `key` to a payload from its beginning, which masks it or unmasks it.
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    let word = u32::from_ne_bytes(key);
    let (words, tail) = payload.as_chunks_mut();
    for bytes in words {
        *bytes = (u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key) {
        *byte ^= key;
    }
}

/// Tells on one line where the server listens, and lets it live until its standard input ends.
///
/// So it never outlives whoever started it.
pub fn serve_until_input_ends(address: SocketAddr) {
    println!("{address}");
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_twice_changes_nothing() {
        let mut payload = *b"seven b";
        mask(&mut payload, [1, 2, 3, 4]);
        assert_ne!(payload, *b"seven b");
        mask(&mut payload, [1, 2, 3, 4]);
        assert_eq!(payload, *b"seven b");
    }
}
