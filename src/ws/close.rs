//! Why a connection ends, as the two sides tell each other.

use std::borrow::Cow;
use std::fmt;

use super::Fault;
use super::header::CONTROL_PAYLOAD_MAX;

/// A code that may stand in a close frame (RFC 6455 §7.4).
///
/// Codes that only describe what was seen from outside (1005, 1006, 1015), those without a meaning
/// and those out of range cannot be made.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose was fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server goes down, or the browser leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(1002);
    /// The peer sent a kind of message that is not accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A payload was not what its type says, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self(1007);
    /// The peer broke a rule of ours.
    pub const POLICY: Self = Self(1008);
    /// A message was too big.
    pub const TOO_BIG: Self = Self(1009);
    /// We failed.
    pub const INTERNAL: Self = Self(1011);
    /// The server restarts; come again.
    pub const RESTART: Self = Self(1012);
    /// The server cannot keep up with this peer now; come again later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);

    /// The code of that number, if it may be sent.
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// Its number.
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a close frame says, if it says anything (RFC 6455 §5.5.1).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloseFrame<'a> {
    /// Why, for programs.
    pub code: CloseCode,
    /// Why, for people.
    pub reason: Cow<'a, str>,
}

impl<'a> CloseFrame<'a> {
    /// The longest reason, in bytes: what a control frame holds besides the code.
    pub(super) const REASON_LEN_MAX: usize = CONTROL_PAYLOAD_MAX - 2;

    /// Reads the payload of a close frame. An empty one says nothing and is `None`.
    pub fn parse(payload: &'a [u8]) -> Result<Option<Self>, Fault> {
        let (code, reason) = match payload {
            [] => return Ok(None),
            [_] => return Err(Fault::TruncatedCloseCode),
            [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        };
        let code = CloseCode::new(code).ok_or(Fault::ReservedCloseCode)?;
        let reason = str::from_utf8(reason).map_err(|_| Fault::InvalidUtf8)?;
        Ok(Some(Self { code, reason: Cow::Borrowed(reason) }))
    }

    /// The same, independent of the bytes it was read from.
    pub fn into_owned(self) -> CloseFrame<'static> {
        CloseFrame { code: self.code, reason: Cow::Owned(self.reason.into_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_that_may_be_sent_can_be_made() {
        let valid = |code: &u16| CloseCode::new(*code).is_some();
        let ranges: Vec<u16> = (0..=u16::MAX).filter(valid).collect();
        let expected: Vec<u16> = (1000..=1003).chain(1007..=1014).chain(3000..=4999).collect();
        assert_eq!(ranges, expected);
    }

    #[test]
    fn a_payload_is_read() {
        let table: [(&[u8], u16, &str); 3] = [
            (b"\x03\xE8", 1000, ""),
            (b"\x03\xE8bye", 1000, "bye"),
            (b"\x0F\xA0\xC3\xA9", 4000, "é"),
        ];
        for (payload, code, reason) in table {
            let frame = CloseFrame::parse(payload).unwrap().unwrap();
            assert_eq!((frame.code.get(), &*frame.reason), (code, reason));
            assert_eq!(frame.clone().into_owned(), frame);
        }
        assert_eq!(CloseFrame::parse(b""), Ok(None));
    }

    #[test]
    fn a_payload_that_breaks_a_rule_is_refused() {
        let table: [(&[u8], Fault); 5] = [
            (b"\x03", Fault::TruncatedCloseCode),
            (b"\x03\xED", Fault::ReservedCloseCode),
            (b"\x00\x00", Fault::ReservedCloseCode),
            (b"\x03\xE8\xC3", Fault::InvalidUtf8),
            (b"\x03\xED\xC3", Fault::ReservedCloseCode),
        ];
        for (payload, fault) in table {
            assert_eq!(CloseFrame::parse(payload), Err(fault), "{payload:?}");
        }
    }
}
