//! Our codecs as the client of the suite's fuzzing server: `tests/autobahn/run --client`.
//!
//! Asks how many cases there are, echoes whatever the server says in each, and asks for the report.

use std::env;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use corecast::base::Input;
use corecast::tls::Random;
use corecast::ws::deflate::{ClientWindow, Deflater, Inflater, Parameters};
use corecast::ws::handshake::ClientHandshake;
use corecast::ws::{
    CloseFrame, Decoder, Event, Fault, FrameHeader, Limits, MaskKey, Message, Opcode, Role,
    encoder, unmask,
};

/// Messages of 16 MiB in pieces of 64 bytes.
const LIMITS: Limits = Limits { message_bytes_max: 32 << 20, fragments_max: 1_000_000 };

/// A server that says nothing for so long has forgotten us.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let address = arguments.next().ok_or("the address of the server is missing")?;
    let offers = arguments.next().as_deref() == Some("--deflate");
    let mut count = 0;
    Client::open(&address, "/getCaseCount", false)?.hear(|message, _| {
        count = String::from_utf8_lossy(message.payload()).parse().unwrap_or(0);
        Ok(())
    })?;
    for case in 1..=count {
        let target = format!("/runCase?case={case}&agent=corecast");
        // What a case does to us is the suite's to judge; the next one is to follow in any case.
        if let Err(error) = Client::open(&address, &target, offers)
            .and_then(|mut client| client.hear(|message, pen| pen.say(message)))
        {
            eprintln!("case {case}: {error}");
        }
    }
    Client::open(&address, "/updateReports?agent=corecast", false)?.hear(|_, _| Ok(()))
}

/// What is written with.
struct Pen {
    stream: TcpStream,
    random: Random,
    deflater: Option<Deflater>,
}

/// One WebSocket.
struct Client {
    pen: Pen,
    decoder: Decoder,
    inflater: Option<Inflater>,
    /// What came behind the answer to the handshake.
    early: Vec<u8>,
}

impl Client {
    fn open(address: &str, target: &str, offers: bool) -> Result<Self, Box<dyn Error>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut random = Random::new();
        let mut handshake = ClientHandshake::new(random.draw(), address, target, &[], &[]);
        if offers {
            let client_max_window_bits = Some(ClientWindow::Any);
            let offer = Parameters { client_max_window_bits, ..Parameters::default() };
            handshake = handshake.offering_deflate(offer);
        }
        let mut request = Vec::new();
        handshake.encode(&mut request);
        stream.write_all(&request)?;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let len = stream.read(&mut buffer)?;
            if len == 0 {
                return Err("the server closed before it answered".into());
            }
            let mut input = Input::new(buffer.split_at_mut(len).0);
            let Some(accepted) =
                handshake.read(&mut input).map_err(|fault| format!("{fault:?}"))?
            else {
                continue;
            };
            let deflater = accepted.deflate.map(|agreed| Deflater::new(agreed.client()));
            return Ok(Self {
                early: input.take_all().to_vec(),
                decoder: Decoder::new(Role::Client).with_deflate(accepted.deflate),
                inflater: accepted.deflate.map(|agreed| Inflater::new(agreed.server())),
                pen: Pen { stream, random, deflater },
            });
        }
    }

    /// Listens until the server closes, and tells `each` what it says.
    fn hear(
        &mut self,
        mut each: impl FnMut(Message<'_>, &mut Pen) -> Result<(), Box<dyn Error>>,
    ) -> Result<(), Box<dyn Error>> {
        let mut bytes = std::mem::take(&mut self.early);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match self.take_in(&mut bytes, &mut each) {
                Ok(true) => return Ok(()),
                Ok(false) => {}
                Err(Trouble::Peer(fault)) => {
                    let payload = encoder::close_payload(fault.close_code(), fault.as_str());
                    return self.pen.write(Opcode::Close, false, &payload);
                }
                Err(Trouble::World(error)) => return Err(error),
            }
            let len = match self.pen.stream.read(&mut buffer) {
                Ok(len) => len,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => 0,
                Err(error) => return Err(error.into()),
            };
            if len == 0 {
                return Ok(());
            }
            bytes = buffer.split_at(len).0.to_vec();
        }
    }

    /// Acts on what has arrived; tells whether that was the end.
    fn take_in(
        &mut self,
        bytes: &mut [u8],
        each: &mut impl FnMut(Message<'_>, &mut Pen) -> Result<(), Box<dyn Error>>,
    ) -> Result<bool, Trouble> {
        let mut input = Input::new(bytes);
        while let Some(event) = self.decoder.next(&mut input, &LIMITS)? {
            match event {
                Event::Text(text) => each(Message::Text(&text), &mut self.pen)?,
                Event::Binary(bytes) => each(Message::Binary(&bytes), &mut self.pen)?,
                Event::Deflated(message) => {
                    let inflater = self.inflater.as_mut().ok_or(Fault::ReservedBits)?;
                    let message = inflater.inflate(&message, LIMITS.message_bytes_max)?;
                    each(message, &mut self.pen)?;
                }
                Event::Ping(payload) => self.pen.write(Opcode::Pong, false, &payload)?,
                Event::Pong(_) => {}
                Event::Close(frame) => {
                    let code = frame.map(|CloseFrame { code, .. }| code.get().to_be_bytes());
                    let payload = code.as_ref().map_or(&[][..], |code| code.as_slice());
                    self.pen.write(Opcode::Close, false, payload)?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

impl Pen {
    /// Says a message, deflated if that was agreed on and helps.
    fn say(&mut self, message: Message<'_>) -> Result<(), Box<dyn Error>> {
        let shorter = self.deflater.as_mut().and_then(|pen| pen.deflate(message.payload()));
        let shorter = shorter.map(<[u8]>::to_vec);
        let payload = shorter.as_deref().unwrap_or(message.payload());
        self.write(message.opcode(), shorter.is_some(), payload)
    }

    fn write(
        &mut self,
        opcode: Opcode,
        compressed: bool,
        payload: &[u8],
    ) -> Result<(), Box<dyn Error>> {
        let key = MaskKey(self.random.draw());
        let payload_len = payload.len() as u64;
        let header = FrameHeader { fin: true, compressed, opcode, mask: Some(key), payload_len };
        let mut payload = payload.to_vec();
        unmask(&mut payload, key, 0);
        Ok(self.stream.write_all(&[header.encode().as_slice(), &payload].concat())?)
    }
}

/// Why a connection cannot go on.
enum Trouble {
    /// The peer broke the protocol.
    Peer(Fault),
    /// The connection is broken.
    World(Box<dyn Error>),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Peer(fault)
    }
}

impl From<Box<dyn Error>> for Trouble {
    fn from(error: Box<dyn Error>) -> Self {
        Self::World(error)
    }
}
