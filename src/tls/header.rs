//! Where records begin and end in the bytes that arrive (RFC 8446 §5.1).

use super::fault::Fault;

/// Type, legacy version, length.
pub(super) const HEADER_BYTES: usize = 5;

/// How much plaintext a record carries at most (RFC 8446 §5.1).
pub(super) const FRAGMENT_BYTES_MAX: usize = 1 << 14;

/// The longest body of a TLS 1.3 record (RFC 8446 §5.2).
pub(super) const TLS13_BODY_BYTES_MAX: usize = FRAGMENT_BYTES_MAX + 256;

/// The longest body that rustls takes: that of a TLS 1.2 record (RFC 5246 §6.2.3), less one.
pub(super) const TLS12_BODY_BYTES_MAX: usize = FRAGMENT_BYTES_MAX + 2_047;

/// The length of the record at the front of `bytes`, with its header, as soon as that is known.
///
/// The body need not have come; so a record that is too long is refused before it is waited for.
pub(super) fn record_len(bytes: &[u8], body_bytes_max: usize) -> Result<Option<usize>, Fault> {
    let [typ, version_major, _, high, low, ..] = *bytes else { return Ok(None) };
    // Change cipher spec, alert, handshake, application data, heartbeat.
    if !(20..=24).contains(&typ) || version_major != 3 {
        return Err(Fault::Malformed);
    }
    let body = usize::from(u16::from_be_bytes([high, low]));
    if body > body_bytes_max {
        return Err(Fault::RecordOverflow);
    }
    Ok(Some(HEADER_BYTES + body))
}

/// Moves the front of a record that was kept to the front of `scratch`; says how long it is.
pub(super) fn restore(unfinished: &mut Box<[u8]>, scratch: &mut [u8]) -> usize {
    let bytes = std::mem::take(unfinished);
    let (front, room) = scratch.split_at_mut(bytes.len());
    assert!(!room.is_empty(), "the scratch holds a whole record");
    front.copy_from_slice(&bytes);
    bytes.len()
}

/// The first `len` of `bytes`.
pub(super) fn front(bytes: &mut [u8], len: usize) -> &mut [u8] {
    bytes.split_at_mut(len).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_measured_by_its_header_alone() {
        let header = [23, 3, 3, 0x40, 0x11];
        for cut in 0..header.len() {
            assert_eq!(record_len(&header[..cut], TLS13_BODY_BYTES_MAX), Ok(None), "cut at {cut}");
        }
        assert_eq!(record_len(&header, TLS13_BODY_BYTES_MAX), Ok(Some(0x4011 + 5)));
    }

    #[test]
    fn a_record_at_the_limit_passes_and_one_byte_more_does_not() {
        assert_eq!(record_len(&[23, 3, 3, 0x41, 0], TLS13_BODY_BYTES_MAX), Ok(Some(0x4105)));
        let overflow = record_len(&[23, 3, 3, 0x41, 1], TLS13_BODY_BYTES_MAX);
        assert_eq!(overflow, Err(Fault::RecordOverflow));
    }

    #[test]
    fn what_is_not_tls_is_refused_by_its_first_bytes() {
        for bytes in [b"GET /", b"\x16\x02\x01\x00\x10", b"\x80\x2e\x01\x00\x02"] {
            assert_eq!(record_len(bytes, TLS12_BODY_BYTES_MAX), Err(Fault::Malformed));
        }
    }
}
