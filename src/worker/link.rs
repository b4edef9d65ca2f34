//! The way to a peer: a stream, and TLS on it where the listener asks for it.

use std::io::{self, ErrorKind};

use crate::base::Stream;
use crate::tls::Tls;

/// A stream, and what TLS knows of it. Reading and writing use the core's scratch.
pub(super) struct Link<S> {
    stream: S,
    pub(super) tls: Option<Tls>,
    /// Where it stands among those that keep their keys set up, if it does.
    pub(super) seat: Option<u16>,
}

/// What reading gave.
#[derive(Debug)]
pub(super) enum Received {
    /// `len` bytes are at the front of the scratch, the last `fresh` of which have just been read
    /// (those before them had been kept); `all` if nothing more waits.
    Bytes { len: usize, fresh: usize, all: bool },
    /// Nothing now.
    Nothing,
    /// The peer has ended its writing.
    End,
    /// The stream is broken.
    Broken,
}

impl<S: Stream> Link<S> {
    pub(super) const fn new(stream: S, tls: Option<Tls>) -> Self {
        Self { stream, tls, seat: None }
    }

    /// Reads up to `len_max` bytes to the front of `scratch`, behind what TLS has kept of an
    /// unfinished record.
    pub(super) fn receive(&mut self, scratch: &mut [u8], len_max: usize) -> Received {
        let kept = self.tls.as_mut().map_or(0, |tls| tls.restore(scratch));
        let (_, free) = scratch.split_at_mut(kept);
        let free_len = free.len().min(len_max);
        let (free, _) = free.split_at_mut(free_len);
        loop {
            return match self.stream.read(free) {
                Ok(0) => Received::End,
                Ok(fresh) => Received::Bytes { len: kept + fresh, fresh, all: fresh < free_len },
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // What was kept has been taken out, so it has to go through TLS once more.
                Err(error) if error.kind() == ErrorKind::WouldBlock && kept > 0 => {
                    Received::Bytes { len: kept, fresh: 0, all: true }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
                Err(_) => Received::Broken,
            };
        }
    }

    /// Writes as much of `bytes` as the socket takes. Returns how much that was.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => written += len,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Says that nothing more will be written.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.stream.finish()
    }

    /// Whether TLS still shakes hands.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(Tls::is_handshaking)
    }
}
