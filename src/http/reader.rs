//! Requests out of bytes, one after the other on a connection.
//!
//! ```text
//!   bytes -> head -> without a body ----------------------------> Heard::Request
//!                    with one ---> Heard::Head --await_body-----> Heard::Request
//!                                       `-----> refused: nothing of the body is ever kept
//! ```
//!
//! Invariant: memory held for an unfinished request is at most twice what has arrived of it; what
//! it declares costs nothing, and a body that nobody has agreed to none either.

use super::head::Gather;
use super::{Refusal, RequestHead};
use crate::base::Input;

/// How large a request may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The head with its empty line. 8 KiB is what browsers with many cookies stay under.
    pub head_bytes_max: usize,
    /// Header fields of a head.
    pub headers_max: usize,
    /// The target; what is longer gets 414 and not 431.
    pub target_bytes_max: usize,
    /// The body.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head_bytes_max: 8 * 1024,
            headers_max: 64,
            target_bytes_max: 4 * 1024,
            body_bytes_max: 64 * 1024,
        }
    }
}

/// What a reader has heard.
#[derive(Debug)]
pub enum Heard {
    /// A request with a body, of which nothing has been read: it may be refused now, or
    /// [awaited](Reader::await_body).
    Head(RequestHead),
    /// A whole request.
    Request(RequestHead, Vec<u8>),
}

/// Reads the requests of one connection, however they are cut.
#[derive(Debug, Default)]
pub struct Reader {
    head: Gather,
    unfinished: Option<Unfinished>,
}

/// A request whose body is still arriving.
#[derive(Debug)]
struct Unfinished {
    head: RequestHead,
    body: Vec<u8>,
}

impl Reader {
    /// The next request with its body, once it is whole, for those who take any body.
    ///
    /// Takes all of `input` while the request is unfinished, and not a byte beyond its end: frames
    /// that follow an upgrade stay where they are. After a refusal the reader is of no more use.
    pub fn next(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<(RequestHead, Vec<u8>)>, Refusal> {
        loop {
            match self.hear(input, limits)? {
                None => return Ok(None),
                Some(Heard::Request(head, body)) => return Ok(Some((head, body))),
                Some(Heard::Head(head)) => self.await_body(head),
            }
        }
    }

    /// The same for those who look at the head of a request first.
    pub fn hear(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<Heard>, Refusal> {
        if self.unfinished.is_none() {
            let Some(head) = self.begin(input, limits)? else { return Ok(None) };
            return Ok(Some(match head.body_len() {
                0 => Heard::Request(head, Vec::new()),
                _ => Heard::Head(head),
            }));
        }
        Ok(self.end(input).map(|(head, body)| Heard::Request(head, body)))
    }

    /// Goes on with the body of the request that `head` began.
    pub fn await_body(&mut self, head: RequestHead) {
        self.unfinished = Some(Unfinished { head, body: Vec::new() });
    }

    /// The request in hand with its body, if that ends in `input`.
    fn end(&mut self, input: &mut Input<'_>) -> Option<(RequestHead, Vec<u8>)> {
        let Unfinished { head, mut body } = self.unfinished.take()?;
        body.extend_from_slice(input.take(head.body_len() - body.len()));
        if body.len() < head.body_len() {
            self.unfinished = Some(Unfinished { head, body });
            return None;
        }
        Some((head, body))
    }

    /// Whether nothing of a request has arrived, so that silence is no slowness.
    pub fn is_idle(&self) -> bool {
        self.head.is_empty() && self.unfinished.is_none()
    }

    fn begin(
        &mut self,
        input: &mut Input<'_>,
        limits: &Limits,
    ) -> Result<Option<RequestHead>, Refusal> {
        let Some(bytes) = self.head.next(input, limits.head_bytes_max)? else { return Ok(None) };
        RequestHead::parse(bytes, limits).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;

    const POST: &[u8] = b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    const GET: &[u8] = b"GET /b HTTP/1.1\r\nHost: a\r\n\r\n";

    fn next(
        reader: &mut Reader,
        input: &mut Input<'_>,
    ) -> Result<Option<(RequestHead, Vec<u8>)>, Refusal> {
        reader.next(input, &Limits::default())
    }

    /// The requests that `pieces` make, all of which are taken.
    fn read(pieces: &[&[u8]]) -> Vec<(Method, Vec<u8>)> {
        let (mut reader, mut requests) = (Reader::default(), Vec::new());
        for piece in pieces {
            let mut piece = piece.to_vec();
            let mut input = Input::new(&mut piece);
            while let Some((head, body)) = next(&mut reader, &mut input).unwrap() {
                requests.push((head.method(), body));
            }
            assert!(input.is_empty());
        }
        assert!(reader.is_idle());
        requests
    }

    #[test]
    fn requests_follow_each_other_at_every_split() {
        let bytes = [POST, GET, POST].concat();
        let post = (Method::Post, b"hello".to_vec());
        let expected = vec![post.clone(), (Method::Get, Vec::new()), post];
        for cut in 0..=bytes.len() {
            let found = read(&[&bytes[..cut], &bytes[cut..]]);
            assert_eq!(found, expected, "cut at {cut}");
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(read(&single), expected);
    }

    #[test]
    fn nothing_of_a_body_is_read_before_its_head_is_agreed_to() {
        let mut bytes = POST.to_vec();
        let mut input = Input::new(&mut bytes);
        let mut reader = Reader::default();
        let said = reader.hear(&mut input, &Limits::default()).unwrap();
        let Some(Heard::Head(head)) = said else { panic!("{said:?}") };
        assert_eq!(input.rest(), b"hello");
        assert!(reader.unfinished.is_none(), "it may be refused without a trace");
        reader.await_body(head);
        let said = reader.hear(&mut input, &Limits::default()).unwrap();
        assert!(matches!(said, Some(Heard::Request(_, body)) if body == b"hello"));
    }

    #[test]
    fn what_follows_a_request_is_left_where_it_is() {
        let mut bytes = [GET, b"\x81\x80frames"].concat();
        let mut input = Input::new(&mut bytes);
        let mut reader = Reader::default();
        assert!(next(&mut reader, &mut input).unwrap().is_some());
        assert_eq!(input.rest(), b"\x81\x80frames");
    }

    #[test]
    fn a_reader_is_idle_until_something_has_arrived() {
        let mut reader = Reader::default();
        for (cut, byte) in POST.iter().enumerate() {
            assert_eq!(reader.is_idle(), cut == 0, "cut at {cut}");
            let request = next(&mut reader, &mut Input::new(&mut [*byte])).unwrap();
            assert_eq!(request.is_some(), cut == POST.len() - 1);
        }
        assert!(reader.is_idle());
    }

    #[test]
    fn a_head_that_drips_in_is_looked_at_no_more_often_than_a_whole_one() {
        let head = [b"GET / HTTP/1.1\r\nHost: a\r\nA: ", &[b'x'; 8_000][..]].concat();
        let mut whole = Reader::default();
        next(&mut whole, &mut Input::new(&mut head.clone())).unwrap();
        let mut dripped = Reader::default();
        for byte in &head {
            next(&mut dripped, &mut Input::new(&mut [*byte])).unwrap();
        }
        assert_eq!((whole.head.scanned, dripped.head.scanned), (head.len(), head.len()));
    }

    #[test]
    fn a_declared_body_costs_nothing_before_it_arrives() {
        let limits = Limits { body_bytes_max: usize::MAX, ..Limits::default() };
        let mut bytes =
            b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1099511627776\r\n\r\nx".to_vec();
        let mut reader = Reader::default();
        assert!(reader.next(&mut Input::new(&mut bytes), &limits).unwrap().is_none());
        assert!(reader.unfinished.unwrap().body.capacity() <= 16);
    }

    #[test]
    fn a_head_that_never_ends_is_refused_at_its_limit() {
        let table: [(&[u8], Refusal); 2] = [
            (b"GET /", Refusal::OversizedTarget),
            (b"GET / HTTP/1.1\r\nA: ", Refusal::OversizedHead),
        ];
        let max = Limits::default().head_bytes_max;
        for (front, refusal) in table {
            let mut reader = Reader::default();
            next(&mut reader, &mut Input::new(&mut front.to_vec())).unwrap();
            let mut rest = vec![b'x'; max - front.len()];
            assert!(next(&mut reader, &mut Input::new(&mut rest)).unwrap().is_none());
            let last = next(&mut reader, &mut Input::new(&mut [b'x']));
            assert_eq!(last.err(), Some(refusal));
        }
    }
}
