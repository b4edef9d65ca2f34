//! What strangers wrote, as it may be shown on a terminal or in a log.

use std::time::{Duration, SystemTime};

use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::ASN1Time;
use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

/// `text` with an escape for everything that could end a line or steer a terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut shown, c| {
        if c.is_control() || is_direction(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
        shown
    })
}

/// Whether `c` changes the direction of what stands behind it, and so what a line seems to say.
const fn is_direction(c: char) -> bool {
    matches!(c, '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// A distinguished name as `CN=Ann, O=Example`, in the order in which it is written there.
///
/// Values are escaped as RFC 4514 §2.4 says, so that nobody can seem to have another attribute by
/// putting `, O=Example` into a name.
pub(super) fn distinguished_name(name: &X509Name<'_>) -> String {
    name.iter_rdn().map(relative_name).collect::<Vec<_>>().join(", ")
}

fn relative_name(name: &RelativeDistinguishedName<'_>) -> String {
    name.iter().map(attribute).collect::<Vec<_>>().join("+")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let kind = oid2abbrev(attribute.attr_type(), oid_registry())
        .map_or_else(|_| attribute.attr_type().to_id_string(), str::to_owned);
    match attribute.as_str() {
        Ok(value) => format!("{kind}={}", escape(value)),
        Err(_) => format!("{kind}=#{}", hex(attribute.as_slice(), "")),
    }
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let is_special = "\"+,;<>\\=".contains(c) || (at == 0 && "# ".contains(c));
        if is_special {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    printable(&escaped)
}

/// Capital hexadecimal digits, with something between the bytes.
pub(super) fn hex(bytes: &[u8], between: &str) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(between)
}

/// A moment as `2026-11-22 21:05:09 UTC`.
pub fn date(time: SystemTime) -> String {
    let seconds = i64::try_from(unix_seconds(time)).unwrap_or(i64::MAX);
    let Ok(time) = ASN1Time::from_timestamp(seconds) else {
        return "beyond the year 9999".to_owned();
    };
    let time = time.to_datetime();
    let (month, day) = (u8::from(time.month()), time.day());
    let (hour, minute, second) = time.to_hms();
    format!("{:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC", time.year())
}

/// The time of a certificate. What lies before 1970 is taken for its beginning.
pub(super) fn system_time(time: ASN1Time) -> SystemTime {
    let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Seconds since 1970, none before.
pub(super) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_so_that_they_sort() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (1_795_381_509, "2026-11-22 21:05:09 UTC"),
            (253_402_300_799, "9999-12-31 23:59:59 UTC"),
            (253_402_300_800, "beyond the year 9999"),
        ] {
            assert_eq!(date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(printable("a\u{1b}[2Jb\n\u{202e}ä"), "a\\u{1b}[2Jb\\n\\u{202e}ä");
    }

    #[test]
    fn a_value_cannot_seem_to_be_two_attributes() {
        assert_eq!(escape("Ann, O=Example"), "Ann\\, O\\=Example");
        assert_eq!(escape("#1 a+b"), "\\#1 a\\+b");
    }
}
