//! The head of a message: gathering it from pieces, and finding its fields again afterwards.
//!
//! Invariant: each byte of a head is looked at once while it is gathered and once when it is
//! parsed, so a head that drips in costs what a head costs that comes whole.

use std::mem;
use std::ops::Range;

use crate::base::Input;

/// Why a head was given up before it could be parsed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum HeadFault {
    /// A line ended without a carriage return.
    BareLineFeed,
    /// The limit was reached within the first line.
    LongFirstLine,
    /// The limit was reached within the fields.
    LongHead,
}

/// Gathers the bytes of one head after the other, in whatever pieces they arrive.
#[derive(Debug, Default)]
pub(super) struct Gather {
    bytes: Vec<u8>,
    /// Lines that have ended and were not empty.
    lines: usize,
    /// The part of the current line that has arrived.
    line_len: usize,
    last: u8,
    /// Bytes looked at so far, which is what the promise about dripping heads is measured by.
    #[cfg(test)]
    pub(super) scanned: usize,
}

impl Gather {
    /// Takes what belongs to the head off `input`, and gives the head once it is whole.
    ///
    /// What follows the head stays in `input`. A head longer than `bytes_max` is refused.
    pub(super) fn next(
        &mut self,
        input: &mut Input<'_>,
        bytes_max: usize,
    ) -> Result<Option<Vec<u8>>, HeadFault> {
        let room = bytes_max.saturating_sub(self.bytes.len());
        let (visible, beyond) = input.rest().split_at(room.min(input.len()));
        if let Some(len) = self.scan(visible)? {
            self.bytes.extend_from_slice(input.take(len));
            return Ok(Some(mem::take(self).bytes));
        }
        if !beyond.is_empty() {
            return Err(self.overflow());
        }
        self.bytes.extend_from_slice(input.take_all());
        Ok(None)
    }

    /// Whether nothing has arrived since the last whole head.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Looks for the empty line that ends the head, and tells how many of `bytes` come before its
    /// end.
    ///
    /// Empty lines before the first line are no end (RFC 9112 §2.2).
    fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadFault> {
        for (byte, count) in bytes.iter().zip(1..) {
            #[cfg(test)]
            {
                self.scanned += 1;
            }
            if *byte == b'\n' && self.end_line()? {
                return Ok(Some(count));
            }
            self.line_len += usize::from(*byte != b'\n');
            self.last = *byte;
        }
        Ok(None)
    }

    /// Accounts for a line that ends here, and tells whether the head ends with it.
    fn end_line(&mut self) -> Result<bool, HeadFault> {
        // A peer before us may take a lone line feed for part of a value (RFC 9112 §2.2).
        if self.last != b'\r' {
            return Err(HeadFault::BareLineFeed);
        }
        let is_blank = self.line_len == 1;
        let is_end = is_blank && self.lines > 0;
        self.lines += usize::from(!is_blank);
        self.line_len = 0;
        Ok(is_end)
    }

    fn overflow(&self) -> HeadFault {
        if self.lines == 0 { HeadFault::LongFirstLine } else { HeadFault::LongHead }
    }
}

/// A part of a head, by its place.
pub(super) type Span = Range<usize>;

/// Where `part` lies in `whole`, out of which it was cut.
pub(super) fn span(whole: &[u8], part: &[u8]) -> Span {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    debug_assert!(start + part.len() <= whole.len(), "a part lies within its whole");
    start..start + part.len()
}

/// The bytes of a head, and where its fields lie in them.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    spans: Vec<(Span, Span)>,
}

impl Fields {
    /// The places of `parsed`, which was cut out of `bytes`.
    pub(super) fn locate(bytes: &[u8], parsed: &[httparse::Header<'_>]) -> Vec<(Span, Span)> {
        let place = |field: &httparse::Header<'_>| {
            (span(bytes, field.name.as_bytes()), span(bytes, field.value.trim_ascii()))
        };
        parsed.iter().map(place).collect()
    }

    pub(super) fn new(bytes: Vec<u8>, spans: Vec<(Span, Span)>) -> Self {
        Self { bytes, spans }
    }

    /// All of the head.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes at `span`.
    pub(super) fn part(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.clone()).unwrap_or_default()
    }

    /// The text at `span`; nothing if the bytes there are no text.
    pub(super) fn text(&self, span: &Span) -> &str {
        str::from_utf8(self.part(span)).unwrap_or_default()
    }

    /// All fields in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.spans.iter().map(|(name, value)| (self.text(name), self.part(value)))
    }

    /// The values of all fields of that name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The members of a field that is a list, over all its lines (RFC 9110 §5.6.1).
    pub(super) fn members(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.all(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    fn gather(bytes: &[u8], max: usize) -> (Result<Option<Vec<u8>>, HeadFault>, usize) {
        let mut bytes = bytes.to_vec();
        let mut input = Input::new(&mut bytes);
        let head = Gather::default().next(&mut input, max);
        (head, input.len())
    }

    #[test]
    fn what_follows_a_head_is_left_alone() {
        let (head, left) = gather(&[HEAD, b"rest"].concat(), 100);
        assert_eq!((head, left), (Ok(Some(HEAD.to_vec())), 4));
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
        assert_eq!(gather(HEAD, HEAD.len()).0, Ok(Some(HEAD.to_vec())));
        assert_eq!(gather(HEAD, HEAD.len() - 1).0, Err(HeadFault::LongHead));
        assert_eq!(gather(HEAD, 15).0, Err(HeadFault::LongFirstLine));
        assert_eq!(gather(&HEAD[..HEAD.len() - 1], HEAD.len() - 1).0, Ok(None));
    }

    #[test]
    fn a_head_is_found_at_every_split() {
        let lead = [b"\r\n\r\n", HEAD].concat();
        for cut in 0..=lead.len() {
            let mut bytes = lead.clone();
            let (front, back) = bytes.split_at_mut(cut);
            let mut gather = Gather::default();
            let first = gather.next(&mut Input::new(front), 100).unwrap();
            let second = gather.next(&mut Input::new(back), 100).unwrap();
            assert_eq!(first.or(second).as_deref(), Some(&*lead), "cut at {cut}");
            assert!(gather.is_empty());
        }
    }

    #[test]
    fn a_bare_line_feed_is_a_fault_wherever_it_stands() {
        for bytes in ["\n", "GET / HTTP/1.1\n", "GET / HTTP/1.1\r\nA: b\n", "GET /\r\n\n"] {
            assert_eq!(gather(bytes.as_bytes(), 100).0, Err(HeadFault::BareLineFeed), "{bytes:?}");
        }
    }

    #[test]
    fn a_list_is_read_over_all_its_lines() {
        let bytes = b"GET / HTTP/1.1\r\nA: x,, y\r\nB: n\r\na: z \r\n\r\n".to_vec();
        let mut slots = [httparse::EMPTY_HEADER; 4];
        let mut parsed = httparse::Request::new(&mut slots);
        parsed.parse(&bytes).unwrap();
        let spans = Fields::locate(&bytes, parsed.headers);
        let fields = Fields::new(bytes, spans);
        assert_eq!(fields.members("A").collect::<Vec<_>>(), [b"x", b"y", b"z"]);
        assert_eq!(fields.iter().count(), 3);
    }
}
