//! Where the messages of a selftest go: an echo server of the least work that is one, over memory
//! or over a socket.
//!
//! ```text
//!   in memory:  driver -- Carrier: write --feed--> Sink --> read        one core for both
//!   loopback:   driver -- socket ====> House: read --feed--> Sink --> write   a core for each
//! ```

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use corecast::base::{Handler, Input, Key, Origin, Readiness, Request, Slab, Wake};
use corecast::http::{self, Reader};
use corecast::reactor::{Poller, Reactor, affinity};
use corecast::ws::handshake::accept;
use corecast::ws::{Decoder, Event, Limits, Opcode, Role, encoder};

use crate::driver::socket::{Socket, Sockets};
use crate::payload::PAYLOAD_LEN_MAX;

/// What a message may be.
const LIMITS: Limits = Limits { message_bytes_max: PAYLOAD_LEN_MAX, fragments_max: 1 };

/// How much is read at once.
const SCRATCH_LEN: usize = 128 * 1024;

/// One WebSocket that sends back what it gets: bytes in, bytes out.
pub struct Sink {
    reader: Reader,
    decoder: Decoder,
    is_upgraded: bool,
}

impl Sink {
    /// One that waits for the request.
    pub fn new() -> Self {
        Self { reader: Reader::default(), decoder: Decoder::new(Role::Server), is_upgraded: false }
    }

    /// Takes in `bytes`, and puts what answers them behind what is in `out`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidData`] for what no client of ours sends.
    pub fn feed(&mut self, bytes: &mut [u8], out: &mut Vec<u8>) -> io::Result<()> {
        let strange = || io::Error::from(ErrorKind::InvalidData);
        let mut input = Input::new(bytes);
        if !self.is_upgraded {
            let request = self.reader.next(&mut input, &http::Limits::default());
            let Some((head, _)) = request.map_err(|_| strange())? else { return Ok(()) };
            accept(&head).map_err(|_| strange())?.encode(None, None, out);
            self.is_upgraded = true;
        }
        while let Some(event) = self.decoder.next(&mut input, &LIMITS).map_err(|_| strange())? {
            if let Event::Binary(message) = event {
                encoder::encode(out, Opcode::Binary, &message);
            }
        }
        Ok(())
    }
}

/// A stream without a system: what is written is answered at once, and waits to be read.
pub struct Carrier {
    sink: Sink,
    arrived: Vec<u8>,
    answers: Vec<u8>,
    /// How much of the answers has been read.
    read: usize,
    /// Raised when there is something to read.
    has_news: Rc<Cell<bool>>,
}

impl Carrier {
    /// A stream that raises `has_news` when there is something to read.
    pub fn new(has_news: Rc<Cell<bool>>) -> Self {
        let (arrived, answers) = (Vec::new(), Vec::new());
        Self { sink: Sink::new(), arrived, answers, read: 0, has_news }
    }
}

impl Read for Carrier {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let waiting = self.answers.get(self.read..).unwrap_or_default();
        if waiting.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = io::copy(&mut waiting.take(buffer.len() as u64), &mut &mut *buffer)?;
        self.read += usize::try_from(len).expect("not more than the buffer holds");
        if self.read == self.answers.len() {
            self.answers.clear();
            self.read = 0;
        }
        Ok(usize::try_from(len).expect("as before"))
    }
}

impl Write for Carrier {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arrived.clear();
        self.arrived.extend_from_slice(bytes);
        self.sink.feed(&mut self.arrived, &mut self.answers)?;
        self.has_news.set(true);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Socket for Carrier {
    /// Without a system there is nothing to set.
    fn set(&self, _: &Sockets) -> io::Result<()> {
        Ok(())
    }
}

/// A server of sinks on a thread of its own, which ends when this value does.
pub struct Server {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    waker: Arc<dyn Wake>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts one on a free port of loopback, on the last core there is.
    ///
    /// # Errors
    ///
    /// What kept it from listening.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let poller = Poller::new()?;
        let (waker, is_over) = (poller.waker(), Arc::new(AtomicBool::new(false)));
        let reactor = Reactor::new(poller, vec![listener])?;
        let mut house = House::new(Arc::clone(&is_over));
        let thread = thread::Builder::new().name("sink".to_owned()).spawn(move || {
            let is_pinned = affinity::cores().last().is_none_or(|core| core.pin());
            log::debug!("the sink has a core of its own: {is_pinned}");
            if let Err(error) = reactor.run(&mut house) {
                log::error!("the sink: {error}");
            }
        })?;
        Ok(Self { address, is_over, waker, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        self.waker.wake();
        // A sink that has failed has said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// All sinks of a thread.
struct House {
    guests: Slab<Guest>,
    scratch: Box<[u8]>,
    is_over: Arc<AtomicBool>,
}

struct Guest {
    stream: TcpStream,
    sink: Sink,
    /// Answers that the socket has not taken.
    unsent: Vec<u8>,
}

impl House {
    fn new(is_over: Arc<AtomicBool>) -> Self {
        Self { guests: Slab::default(), scratch: vec![0; SCRATCH_LEN].into(), is_over }
    }
}

impl Guest {
    /// Reads what there is and answers it, with one write if the socket takes it.
    fn serve(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let mut out = mem::take(&mut self.unsent);
        let read = loop {
            match self.stream.read(scratch) {
                Ok(0) => break Err(ErrorKind::UnexpectedEof.into()),
                Ok(len) => {
                    let is_all = len < scratch.len();
                    self.sink.feed(scratch.split_at_mut(len).0, &mut out)?;
                    if is_all {
                        break Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        while !out.is_empty() {
            match self.stream.write(&out) {
                Ok(len) => drop(out.drain(..len)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        self.unsent = out;
        read
    }
}

impl Handler for House {
    type Stream = TcpStream;

    fn open(&mut self, stream: TcpStream, _: Origin, _: Instant) -> Option<Key> {
        Some(self.guests.insert(Guest { stream, sink: Sink::new(), unsent: Vec::new() }))
    }

    fn ready(&mut self, key: Key, readiness: Readiness, _: Instant) {
        let Some(guest) = self.guests.get_mut(key) else { return };
        if guest.serve(&mut self.scratch).is_err() || readiness.is_ended() {
            self.guests.remove(key);
        }
    }

    fn turn(&mut self, _: Instant) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }

    fn poll_request(&mut self) -> Option<Request> {
        self.is_over.load(Ordering::Acquire).then_some(Request::Exit)
    }
}
