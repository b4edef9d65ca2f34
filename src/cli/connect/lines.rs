//! Lines out of bytes that arrive in pieces.

/// More than any server takes for one message.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A line is longer than [`LINE_BYTES_MAX`].
#[derive(Debug, Eq, PartialEq)]
pub(super) struct TooLong;

/// Gathers lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The front of a line that has not ended.
    unfinished: Vec<u8>,
}

impl Lines {
    /// Gives `take` each line that `bytes` ends, without its line feed.
    pub(super) fn feed<E: From<TooLong>>(
        &mut self,
        mut bytes: &[u8],
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some(at) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(at);
            self.extend(line)?;
            take(&self.unfinished)?;
            self.unfinished.clear();
            bytes = rest.split_first().map_or(&[], |(_, rest)| rest);
        }
        Ok(self.extend(bytes)?)
    }

    /// The last line, if it did not end.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        Some(self.unfinished).filter(|line| !line.is_empty())
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.unfinished.len() + bytes.len() > LINE_BYTES_MAX {
            return Err(TooLong);
        }
        self.unfinished.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        for piece in pieces {
            let take = |line: &[u8]| {
                found.push(line.to_vec());
                Ok::<(), TooLong>(())
            };
            lines.feed(piece, take).unwrap();
        }
        found.extend(lines.finish());
        found
    }

    #[test]
    fn lines_are_the_same_at_every_split() {
        let text = b"one\n\ntwo words\r\nlast";
        let expected = [&b"one"[..], b"", b"two words\r", b"last"];
        for cut in 0..=text.len() {
            let (front, back) = text.split_at(cut);
            assert_eq!(lines(&[front, back]), expected, "cut at {cut}");
        }
        assert_eq!(lines(&[b"a\n"]), [b"a"]);
        assert_eq!(lines(&[]), [[0; 0]; 0]);
    }

    #[test]
    fn a_line_may_be_as_long_as_the_limit_and_no_longer() {
        let mut lines = Lines::default();
        let feed = |lines: &mut Lines, bytes: &[u8]| lines.feed(bytes, |_| Ok::<(), TooLong>(()));
        assert_eq!(feed(&mut lines, &vec![b'a'; LINE_BYTES_MAX]), Ok(()));
        assert_eq!(feed(&mut lines, b"\n"), Ok(()));
        assert_eq!(feed(&mut lines, &vec![b'a'; LINE_BYTES_MAX]), Ok(()));
        assert_eq!(feed(&mut lines, b"a"), Err(TooLong));
    }
}
