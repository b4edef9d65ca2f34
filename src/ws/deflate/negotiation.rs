//! What client and server agree on before the first frame (RFC 7692 §5 and §7.1).

use std::fmt;
use std::num::NonZeroU8;

use super::extensions::{Extension, Extensions, Malformed, Value};

/// How far back a deflated message may point: a window of 2^8 to 2^15 bytes (RFC 7692 §7.1.2).
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct WindowBits(NonZeroU8);

impl WindowBits {
    /// The smallest window.
    pub const MIN: Self = Self(NonZeroU8::new(8).expect("not zero"));
    /// The largest window, which holds where none is agreed on.
    pub const MAX: Self = Self(NonZeroU8::new(15).expect("not zero"));

    /// The window of that size.
    pub const fn new(bits: u8) -> Option<Self> {
        match NonZeroU8::new(bits) {
            Some(bits) if 8 <= bits.get() && bits.get() <= 15 => Some(Self(bits)),
            _ => None,
        }
    }

    /// Its size, as a power of two.
    pub const fn get(self) -> u8 {
        self.0.get()
    }

    /// Reads a value, which has no leading zeros.
    fn read(value: &Value<'_>) -> Option<Self> {
        let mut digits = value.bytes();
        let bits = match (digits.next(), digits.next(), digits.next()) {
            (Some(digit @ b'8'..=b'9'), None, None) => digit - b'0',
            (Some(b'1'), Some(digit @ b'0'..=b'5'), None) => 10 + digit - b'0',
            _ => return None,
        };
        Self::new(bits)
    }
}

/// What a client says of its own window.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ClientWindow {
    /// It would obey any bound.
    Any,
    /// It will use no larger one.
    Bits(WindowBits),
}

/// The parameters of an offer or of an answer; by default there are none (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Parameters {
    /// The server forgets each message before the next.
    pub server_no_context_takeover: bool,
    /// The client forgets each message before the next.
    pub client_no_context_takeover: bool,
    /// The largest window the server may use.
    pub server_max_window_bits: Option<WindowBits>,
    /// The largest window the client may use, or that it can obey one.
    pub client_max_window_bits: Option<ClientWindow>,
}

impl Parameters {
    /// These and one more, unless that one is unknown, came before, or has a value that it may not
    /// have.
    pub(super) fn with(mut self, name: &[u8], value: Option<Value<'_>>) -> Option<Self> {
        match (name, value) {
            (b"server_no_context_takeover", None) if !self.server_no_context_takeover => {
                self.server_no_context_takeover = true;
            }
            (b"client_no_context_takeover", None) if !self.client_no_context_takeover => {
                self.client_no_context_takeover = true;
            }
            (b"server_max_window_bits", Some(value)) if self.server_max_window_bits.is_none() => {
                self.server_max_window_bits = Some(WindowBits::read(&value)?);
            }
            (b"client_max_window_bits", value) if self.client_max_window_bits.is_none() => {
                self.client_max_window_bits = Some(match value {
                    None => ClientWindow::Any,
                    Some(value) => ClientWindow::Bits(WindowBits::read(&value)?),
                });
            }
            _ => return None,
        }
        Some(self)
    }

    /// Appends the value of a field that offers or answers this.
    pub(in crate::ws) fn encode(self, out: &mut Vec<u8>) {
        let mut say = |text: &str| out.extend_from_slice(text.as_bytes());
        say("permessage-deflate");
        if self.server_no_context_takeover {
            say("; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            say("; client_no_context_takeover");
        }
        if let Some(bits) = self.server_max_window_bits {
            say(&format!("; server_max_window_bits={}", bits.get()));
        }
        match self.client_max_window_bits {
            Some(ClientWindow::Bits(bits)) => {
                say(&format!("; client_max_window_bits={}", bits.get()));
            }
            Some(ClientWindow::Any) => say("; client_max_window_bits"),
            None => {}
        }
    }

    /// Whether a server may answer this offer so (RFC 7692 §7.1.1 and §7.1.2).
    fn admits(self, answer: Self) -> bool {
        let forgets = answer.server_no_context_takeover || !self.server_no_context_takeover;
        let server_window = match (self.server_max_window_bits, answer.server_max_window_bits) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(most), Some(chosen)) => chosen <= most,
        };
        let client_window = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (_, None) | (Some(ClientWindow::Any), Some(ClientWindow::Bits(_))) => true,
            (Some(ClientWindow::Bits(most)), Some(ClientWindow::Bits(chosen))) => chosen <= most,
            (None, Some(_)) | (Some(_), Some(ClientWindow::Any)) => false,
        };
        forgets && server_window && client_window
    }
}

/// Whether a server lets messages point back into those before them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Takeover {
    /// Each message stands for itself, and no connection keeps a window.
    Never,
    /// As the client offers: better compression, for up to 450 KB a connection.
    Offered,
}

/// What both sides agreed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreement(Parameters);

impl Agreement {
    /// How a server with that policy accepts an offer; we can do whatever one may ask for.
    pub(in crate::ws) fn new(offer: Parameters, takeover: Takeover) -> Self {
        let never = takeover == Takeover::Never;
        Self(Parameters {
            server_no_context_takeover: never || offer.server_no_context_takeover,
            client_no_context_takeover: never || offer.client_no_context_takeover,
            // A bound that is left out is one that is not kept, so it is repeated.
            server_max_window_bits: offer.server_max_window_bits,
            client_max_window_bits: offer
                .client_max_window_bits
                .filter(|window| *window != ClientWindow::Any),
        })
    }

    /// How the server deflates what it sends.
    pub fn server(self) -> Context {
        Context {
            window_bits: self.0.server_max_window_bits.unwrap_or(WindowBits::MAX),
            takeover: !self.0.server_no_context_takeover,
        }
    }

    /// How the client deflates what it sends.
    pub fn client(self) -> Context {
        let window_bits = match self.0.client_max_window_bits {
            Some(ClientWindow::Bits(bits)) => bits,
            Some(ClientWindow::Any) | None => WindowBits::MAX,
        };
        Context { window_bits, takeover: !self.0.client_no_context_takeover }
    }

    /// Whether either side keeps a context from message to message.
    pub fn has_takeover(self) -> bool {
        self.server().takeover || self.client().takeover
    }

    /// Appends the value of the field that says so to the client.
    pub(in crate::ws) fn encode(self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

/// As the server's answer has it.
impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = Vec::new();
        self.encode(&mut value);
        f.write_str(&String::from_utf8_lossy(&value))
    }
}

/// How one side deflates.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Context {
    /// How far back a message points.
    pub window_bits: WindowBits,
    /// Whether it may point into the messages before it.
    pub takeover: bool,
}

/// There is no sense in what a server answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::ws) struct Disagreement;

impl From<Malformed> for Disagreement {
    fn from(_: Malformed) -> Self {
        Self
    }
}

/// The first of a client's offers that could be agreed to (RFC 7692 §5.1). Each of `fields` is a
/// list of extensions.
pub(in crate::ws) fn offered<'h>(
    fields: impl Iterator<Item = &'h [u8]>,
) -> Result<Option<Parameters>, Malformed> {
    let mut first = None;
    for field in fields {
        let mut extensions = Extensions::new(field);
        while let Some(extension) = extensions.next()? {
            if let (None, Extension::Deflate(offer)) = (first, extension) {
                first = Some(offer);
            }
        }
    }
    Ok(first)
}

/// What the `fields` of a server's answer say to the `offer` that was made, if one was made.
pub(in crate::ws) fn answered<'h>(
    fields: impl Iterator<Item = &'h [u8]>,
    offer: Option<Parameters>,
) -> Result<Option<Agreement>, Disagreement> {
    let mut agreement = None;
    for field in fields {
        let mut extensions = Extensions::new(field);
        while let Some(extension) = extensions.next()? {
            match (extension, offer) {
                (Extension::Deflate(answer), Some(offer))
                    if agreement.is_none() && offer.admits(answer) =>
                {
                    agreement = Some(Agreement(answer));
                }
                _ => return Err(Disagreement),
            }
        }
    }
    Ok(agreement)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Parameters = Parameters {
        server_no_context_takeover: false,
        client_no_context_takeover: false,
        server_max_window_bits: None,
        client_max_window_bits: None,
    };

    fn bits(bits: u8) -> WindowBits {
        WindowBits::new(bits).unwrap()
    }

    fn offer(text: &str) -> Option<Parameters> {
        let field = format!("permessage-deflate{text}");
        offered([field.as_bytes()].into_iter()).unwrap()
    }

    /// What a server answers to an offer.
    fn answer(text: &str, takeover: Takeover) -> String {
        let mut out = Vec::new();
        Agreement::new(offer(text).unwrap(), takeover).encode(&mut out);
        String::from_utf8(out).unwrap().replacen("permessage-deflate", "", 1)
    }

    #[test]
    fn an_agreement_fits_beside_a_role() {
        assert!(size_of::<Option<Agreement>>() <= 7);
    }

    #[test]
    fn a_window_is_two_to_the_eighth_up_to_the_fifteenth() {
        for number in 0..=u8::MAX {
            let text = format!("; server_max_window_bits={number}");
            let expected = (8..=15).contains(&number).then(|| bits(number));
            assert_eq!(offer(&text).map(|offer| offer.server_max_window_bits), expected.map(Some));
            assert_eq!(WindowBits::new(number), expected);
        }
        for text in ["08", "015", "+9", "1O", "150", "0x9", "-8", "8.", "9_"] {
            assert_eq!(offer(&format!("; client_max_window_bits={text}")), None, "{text}");
        }
    }

    #[test]
    fn a_parameter_comes_once_with_the_value_it_may_have() {
        let rows = [
            ("", Some(NONE)),
            (
                "; server_no_context_takeover; client_no_context_takeover",
                Some(Parameters {
                    server_no_context_takeover: true,
                    client_no_context_takeover: true,
                    ..NONE
                }),
            ),
            (
                "; client_max_window_bits; server_max_window_bits=\"10\"",
                Some(Parameters {
                    server_max_window_bits: Some(bits(10)),
                    client_max_window_bits: Some(ClientWindow::Any),
                    ..NONE
                }),
            ),
            ("; server_no_context_takeover=1", None),
            ("; client_no_context_takeover=true", None),
            ("; server_no_context_takeover; server_no_context_takeover", None),
            ("; client_max_window_bits; client_max_window_bits=9", None),
            ("; server_max_window_bits=9; server_max_window_bits=9", None),
            ("; server_max_window_bits", None),
            ("; Server_No_Context_Takeover", None),
            ("; unknown", None),
            ("; unknown=1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(offer(text), expected, "{text}");
        }
    }

    #[test]
    fn the_first_offer_that_makes_sense_is_taken() {
        let rows: [(&[&str], Option<Parameters>); 6] = [
            (&[], None),
            (&["x-webkit-deflate-frame"], None),
            (&["permessage-deflate; what"], None),
            (&["permessage-deflate; what, permessage-deflate"], Some(NONE)),
            (&["permessage-deflate; what", "permessage-bzip2, permessage-deflate"], Some(NONE)),
            (&["permessage-deflate, permessage-deflate; server_no_context_takeover"], Some(NONE)),
        ];
        for (fields, expected) in rows {
            let fields = fields.iter().map(|field| field.as_bytes());
            assert_eq!(offered(fields), Ok(expected));
        }
        let broken = ["permessage-deflate", "permessage-deflate; ="];
        assert_eq!(offered(broken.iter().map(|field| field.as_bytes())), Err(Malformed));
    }

    #[test]
    fn an_offer_is_answered_as_the_policy_says() {
        let no = "; server_no_context_takeover; client_no_context_takeover";
        let rows = [
            ("", no, ""),
            ("; client_max_window_bits", no, ""),
            ("; server_no_context_takeover", no, "; server_no_context_takeover"),
            ("; client_no_context_takeover", no, "; client_no_context_takeover"),
        ];
        for (offer, never, offered) in rows {
            assert_eq!(answer(offer, Takeover::Never), never, "{offer}");
            assert_eq!(answer(offer, Takeover::Offered), offered, "{offer}");
        }
        for window in 8..=15 {
            for name in ["server_max_window_bits", "client_max_window_bits"] {
                let offer = format!("; {name}={window}");
                assert_eq!(answer(&offer, Takeover::Offered), offer);
                assert_eq!(answer(&offer, Takeover::Never), format!("{no}{offer}"));
            }
        }
    }

    /// Every set of parameters, with three sizes of window.
    fn every() -> Vec<Parameters> {
        let servers = [None, Some(8), Some(11), Some(15)].map(|number| number.map(bits));
        let named = [8, 11, 15].map(|number| Some(ClientWindow::Bits(bits(number))));
        let clients = [None, Some(ClientWindow::Any)].into_iter().chain(named);
        let clients: Vec<_> = clients.collect();
        let mut every = Vec::new();
        for takeovers in 0..4 {
            for server_max_window_bits in servers {
                every.extend(clients.iter().map(|client_max_window_bits| Parameters {
                    server_no_context_takeover: takeovers & 1 != 0,
                    client_no_context_takeover: takeovers & 2 != 0,
                    server_max_window_bits,
                    client_max_window_bits: *client_max_window_bits,
                }));
            }
        }
        every
    }

    #[test]
    fn what_is_written_is_read_again() {
        for parameters in every() {
            let mut field = Vec::new();
            parameters.encode(&mut field);
            assert_eq!(offered([field.as_slice()].into_iter()), Ok(Some(parameters)));
        }
    }

    #[test]
    fn a_client_believes_whatever_our_server_answers() {
        for offer in every() {
            for takeover in [Takeover::Never, Takeover::Offered] {
                let agreement = Agreement::new(offer, takeover);
                let mut field = Vec::new();
                agreement.encode(&mut field);
                let believed = answered([field.as_slice()].into_iter(), Some(offer));
                assert_eq!(believed, Ok(Some(agreement)), "{offer:?}");
                let most = offer.server_max_window_bits.unwrap_or(WindowBits::MAX);
                assert!(agreement.server().window_bits <= most);
                assert_eq!(
                    agreement.has_takeover(),
                    takeover == Takeover::Offered
                        && !(offer.server_no_context_takeover && offer.client_no_context_takeover)
                );
            }
        }
    }

    #[test]
    fn a_client_believes_no_answer_that_exceeds_its_offer() {
        let rows = [
            ("", "; client_max_window_bits=10", false),
            ("", "; client_max_window_bits", false),
            ("", "; server_max_window_bits=10; server_no_context_takeover", true),
            ("", "; client_no_context_takeover", true),
            ("; server_no_context_takeover", "", false),
            ("; client_no_context_takeover", "", true),
            ("; server_max_window_bits=10", "", false),
            ("; server_max_window_bits=10", "; server_max_window_bits=11", false),
            ("; server_max_window_bits=10", "; server_max_window_bits=9", true),
            ("; client_max_window_bits", "; client_max_window_bits=15", true),
            ("; client_max_window_bits", "; client_max_window_bits", false),
            ("; client_max_window_bits=10", "; client_max_window_bits=11", false),
            ("; client_max_window_bits=10", "", true),
            ("", ", permessage-deflate", false),
            ("", ", foo", false),
            ("", "; foo", false),
            ("", ";", false),
        ];
        for (made, answer, is_believed) in rows {
            let field = format!("permessage-deflate{answer}");
            let heard = answered([field.as_bytes()].into_iter(), offer(made));
            assert_eq!(heard.is_ok(), is_believed, "{made:?} answered by {answer:?}");
        }
        let unasked = answered([&b"permessage-deflate"[..]].into_iter(), None);
        assert_eq!(unasked, Err(Disagreement));
        assert_eq!(answered([].into_iter(), Some(NONE)), Ok(None));
    }
}
