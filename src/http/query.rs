//! Percent-encoding (RFC 3986 §2.1) and the pairs of a query.

use std::borrow::Cow;

/// Decodes the percent-encoding of a path segment or a value.
///
/// Returns `None` for an escape that is none, and for bytes that are no UTF-8.
pub fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut rest = text.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let [first, tail @ ..] = rest {
        let (byte, tail) = if *first == b'%' { escape(tail)? } else { (*first, tail) };
        decoded.push(byte);
        rest = tail;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// The pairs of a query such as `a=1&b`, decoded, where `+` is a space.
///
/// A name without `=` has an empty value; a pair that cannot be decoded is left out.
pub fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((decode_plus(name)?, decode_plus(value)?))
    })
}

fn decode_plus(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('+') {
        return decode(text);
    }
    decode(&text.replace('+', "%20")).map(|decoded| Cow::Owned(decoded.into_owned()))
}

/// The byte that two digits name, and what follows them.
fn escape(digits: &[u8]) -> Option<(u8, &[u8])> {
    let [high, low, rest @ ..] = digits else { return None };
    Some((nibble(*high)? << 4 | nibble(*low)?, rest))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_or_refused() {
        let table = [
            ("plain", Some("plain")),
            ("a%20b", Some("a b")),
            ("%C3%a9", Some("é")),
            ("a+b", Some("a+b")),
            ("%2F", Some("/")),
            ("%00", Some("\0")),
            ("%", None),
            ("%4", None),
            ("%G0", None),
            ("%+1", None),
            ("%ff", None),
        ];
        for (text, expected) in table {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn what_has_no_escape_is_not_copied() {
        assert!(matches!(decode("abc"), Some(Cow::Borrowed("abc"))));
    }

    #[test]
    fn a_query_is_read_pair_by_pair() {
        let table: [(&str, &[(&str, &str)]); 5] = [
            ("", &[]),
            ("a=1&b=2", &[("a", "1"), ("b", "2")]),
            ("a&&b=", &[("a", ""), ("b", "")]),
            ("q=x+y%2B&z=a=b", &[("q", "x y+"), ("z", "a=b")]),
            ("bad=%zz&good=1", &[("good", "1")]),
        ];
        for (query, expected) in table {
            let found: Vec<_> = pairs(query).collect();
            let found: Vec<_> = found.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(found, expected, "{query}");
        }
    }
}
