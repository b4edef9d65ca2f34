//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).
//!
//! Invariant: each byte is looked at once or twice, whatever the field says, and nothing is kept of
//! what is read but places in it.

use super::Parameters;
use crate::ws::handshake::is_token_byte;

/// The one extension that we speak.
const NAME: &[u8] = b"permessage-deflate";

/// A field does not follow the grammar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::ws) struct Malformed;

/// One extension of a list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Extension {
    /// permessage-deflate, with parameters that it may have.
    Deflate(Parameters),
    /// permessage-deflate, with parameters that nobody could agree to (RFC 7692 §7).
    Unacceptable,
    /// One that we do not speak.
    Foreign,
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'h> {
    Token(&'h [u8]),
    /// What stands between quotes, with its backslashes.
    Quoted(&'h [u8]),
}

impl Value<'_> {
    /// Its bytes, as they are meant.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        let (raw, is_quoted) = match self {
            Self::Token(raw) => (*raw, false),
            Self::Quoted(raw) => (*raw, true),
        };
        let mut is_escaped = false;
        raw.iter().copied().filter(move |byte| {
            is_escaped = is_quoted && *byte == b'\\' && !is_escaped;
            !is_escaped
        })
    }
}

/// The extensions of one field, in its order.
pub(super) struct Extensions<'h> {
    rest: &'h [u8],
}

impl<'h> Extensions<'h> {
    pub(super) fn new(field: &'h [u8]) -> Self {
        Self { rest: field }
    }

    /// The next extension, or `None` at the end of the field. Empty members mean nothing
    /// (RFC 9110 §5.6.1).
    pub(super) fn next(&mut self) -> Result<Option<Extension>, Malformed> {
        self.skip(|byte| is_space(byte) || byte == b',');
        if self.rest.is_empty() {
            return Ok(None);
        }
        let is_ours = self.token()? == NAME;
        let parameters = self.parameters()?;
        if !self.rest.is_empty() && !self.eat(b',') {
            return Err(Malformed);
        }
        Ok(Some(match parameters {
            _ if !is_ours => Extension::Foreign,
            Some(parameters) => Extension::Deflate(parameters),
            None => Extension::Unacceptable,
        }))
    }

    /// The parameters up to the end of an extension, or `None` if it may not have them.
    fn parameters(&mut self) -> Result<Option<Parameters>, Malformed> {
        let mut parameters = Some(Parameters::default());
        while self.eat(b';') {
            let name = self.token()?;
            let value = if self.eat(b'=') { Some(self.value()?) } else { None };
            parameters = parameters.and_then(|before| before.with(name, value));
        }
        Ok(parameters)
    }

    fn value(&mut self) -> Result<Value<'h>, Malformed> {
        self.skip(is_space);
        let value = match self.rest {
            [b'"', rest @ ..] => {
                let len = quoted_len(rest).ok_or(Malformed)?;
                let (raw, after) = rest.split_at_checked(len).ok_or(Malformed)?;
                self.rest = after.get(1..).ok_or(Malformed)?;
                Value::Quoted(raw)
            }
            _ => Value::Token(self.token()?),
        };
        // Even between quotes nothing may stand but a token (RFC 6455 §9.1).
        let is_token = value.bytes().all(is_token_byte) && value.bytes().next().is_some();
        self.skip(is_space);
        if is_token { Ok(value) } else { Err(Malformed) }
    }

    fn token(&mut self) -> Result<&'h [u8], Malformed> {
        self.skip(is_space);
        let token = self.skip(is_token_byte);
        self.skip(is_space);
        if token.is_empty() { Err(Malformed) } else { Ok(token) }
    }

    /// Takes `byte` off the front, if it stands there.
    fn eat(&mut self, byte: u8) -> bool {
        match self.rest {
            [first, rest @ ..] if *first == byte => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    /// Takes all off the front that is wanted.
    fn skip(&mut self, is_wanted: impl Fn(u8) -> bool) -> &'h [u8] {
        let len = self.rest.iter().take_while(|byte| is_wanted(**byte)).count();
        let (front, rest) = self.rest.split_at(len);
        self.rest = rest;
        front
    }
}

/// Where the closing quote stands.
fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let mut is_escaped = false;
    bytes.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })
}

fn is_space(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &[u8]) -> Result<Vec<Extension>, Malformed> {
        let mut extensions = Extensions::new(field);
        let mut all = Vec::new();
        while let Some(extension) = extensions.next()? {
            all.push(extension);
        }
        Ok(all)
    }

    #[test]
    fn a_list_is_read_in_its_order() {
        let plain = Extension::Deflate(Parameters::default());
        let kept = Parameters { server_no_context_takeover: true, ..Parameters::default() };
        let rows: [(&[u8], Vec<Extension>); 7] = [
            (b"", vec![]),
            (b" ,\t, ", vec![]),
            (b"permessage-deflate", vec![plain]),
            (b"x-webkit-deflate-frame, permessage-deflate", vec![Extension::Foreign, plain]),
            (
                b",permessage-deflate\t;\tserver_no_context_takeover ,",
                vec![Extension::Deflate(kept)],
            ),
            (b"a;b;c=d;e=\"f\", g", vec![Extension::Foreign; 2]),
            (b"permessage-deflate;x, permessage-deflate", vec![Extension::Unacceptable, plain]),
        ];
        for (field, expected) in rows {
            assert_eq!(read(field), Ok(expected), "{}", field.escape_ascii());
        }
    }

    #[test]
    fn what_follows_no_grammar_is_refused() {
        let rows: [&[u8]; 16] = [
            b";",
            b"=",
            b"a;",
            b"a;;b",
            b"a;b=",
            b"a;=b",
            b"a;b=c=d",
            b"a b",
            b"a;b c",
            b"a;b=\"",
            b"a;b=\"c",
            b"a;b=\"c\\\"",
            b"a;b=\"\"",
            b"a;b=\"c d\"",
            b"a;b=\"c\"d",
            b"\"a\"",
        ];
        for field in rows {
            assert_eq!(read(field), Err(Malformed), "{}", field.escape_ascii());
        }
        for byte in (0..=u8::MAX).filter(|byte| !is_token_byte(*byte) && !b"\t ,;".contains(byte)) {
            assert_eq!(read(&[b'a', byte, b'a']), Err(Malformed), "{byte}");
        }
    }

    #[test]
    fn a_value_means_the_same_between_quotes() {
        let value = |field: &'static [u8]| {
            let value = Extensions::new(field).value().unwrap();
            value.bytes().collect::<Vec<u8>>()
        };
        assert_eq!(value(b"15"), b"15");
        assert_eq!(value(b"\"15\""), b"15");
        assert_eq!(value(b"\"1\\5\""), b"15");
    }
}
