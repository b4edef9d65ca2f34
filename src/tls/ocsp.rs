//! What an authority says of a certificate's validity (OCSP, RFC 6960), as far as a server must
//! know it to staple it: for which certificate it speaks, whether it says that all is well, and for
//! how long.
//!
//! The signature is for clients to verify. A server that staples what is stale or concerns another
//! certificate only turns its clients away, so that is found out before.

use std::time::{Duration, SystemTime};

use x509_parser::asn1_rs::{Any, Class, Tag};
use x509_parser::prelude::FromDer;
use x509_parser::time::ASN1Time;

/// A response of an authority.
#[derive(Debug)]
pub(super) struct OcspResponse {
    /// The whole, as it is sent.
    pub(super) der: Vec<u8>,
    answers: Vec<Answer>,
}

/// What is said of one certificate.
#[derive(Debug)]
pub(super) struct Answer {
    serial: Vec<u8>,
    pub(super) is_good: bool,
    /// When better is known, if that is said.
    pub(super) until: Option<SystemTime>,
}

impl OcspResponse {
    /// Reads the response `der`, if it is one and was successful.
    pub(super) fn read(der: Vec<u8>) -> Option<Self> {
        let answers = answers(&der)?;
        Some(Self { der, answers })
    }

    /// What it says of the certificate with the number `serial`, as that is encoded.
    pub(super) fn answer(&self, serial: &[u8]) -> Option<&Answer> {
        self.answers.iter().find(|answer| answer.serial == serial)
    }
}

/// The answers in an `OCSPResponse` (RFC 6960 §4.2.1).
fn answers(der: &[u8]) -> Option<Vec<Answer>> {
    let mut response = Fields::of_sequence(der)?;
    let is_successful = response.universal(Tag::Enumerated)?.data == [0];
    let mut bytes = Fields(response.tagged(0).filter(|_| is_successful)?.data);
    let mut bytes = Fields(bytes.universal(Tag::Sequence)?.data);
    bytes.universal(Tag::Oid)?;
    let mut basic = Fields::of_sequence(bytes.universal(Tag::OctetString)?.data)?;
    let mut signed = Fields(basic.universal(Tag::Sequence)?.data);
    // The version, if it is not the first, and who responds: by name or by key.
    let _ = signed.tagged(0);
    signed.tagged(1).or_else(|| signed.tagged(2))?;
    signed.universal(Tag::GeneralizedTime)?;
    let mut list = Fields(signed.universal(Tag::Sequence)?.data);
    let mut answers = Vec::new();
    while !list.0.is_empty() {
        answers.push(answer(Fields(list.universal(Tag::Sequence)?.data))?);
    }
    Some(answers)
}

/// A `SingleResponse`.
fn answer(mut fields: Fields<'_>) -> Option<Answer> {
    let mut certificate = Fields(fields.universal(Tag::Sequence)?.data);
    certificate.universal(Tag::Sequence)?;
    certificate.universal(Tag::OctetString)?;
    certificate.universal(Tag::OctetString)?;
    let serial = certificate.universal(Tag::Integer)?.data.to_vec();
    let is_good = fields.tagged(0).is_some();
    if !is_good {
        fields.tagged(1).or_else(|| fields.tagged(2))?;
    }
    fields.universal(Tag::GeneralizedTime)?;
    let until = match fields.tagged(0) {
        Some(next) => Some(time(next.data)?),
        None => None,
    };
    Some(Answer { serial, is_good, until })
}

fn time(der: &[u8]) -> Option<SystemTime> {
    let (_, time) = ASN1Time::from_der(der).ok()?;
    let seconds = u64::try_from(time.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The encoded fields of a sequence, one after the other.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The fields of the sequence that `der` is.
    fn of_sequence(der: &'a [u8]) -> Option<Self> {
        Some(Self(Fields(der).universal(Tag::Sequence)?.data))
    }

    /// Takes the next field, which must have this tag.
    fn universal(&mut self, tag: Tag) -> Option<Any<'a>> {
        self.take(Class::Universal, tag)
    }

    /// Takes the next field if it has this number from its context.
    fn tagged(&mut self, number: u32) -> Option<Any<'a>> {
        self.take(Class::ContextSpecific, Tag(number))
    }

    fn take(&mut self, class: Class, tag: Tag) -> Option<Any<'a>> {
        let (rest, field) = Any::from_der(self.0).ok()?;
        (field.class() == class && field.tag() == tag).then(|| {
            self.0 = rest;
            field
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field with this first byte.
    fn field(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let head = match u8::try_from(len).unwrap() {
            short @ ..0x80 => vec![tag, short],
            long => vec![tag, 0x81, long],
        };
        [&head[..], content].concat()
    }

    fn sequence(fields: &[Vec<u8>]) -> Vec<u8> {
        field(0x30, &fields.concat())
    }

    /// What an authority says of the certificate with this number.
    fn single(serial: &[u8], status: u8, until: Option<&str>) -> Vec<u8> {
        let number = sequence(&[
            sequence(&[]),
            field(0x04, &[1; 20]),
            field(0x04, &[2; 20]),
            field(0x02, serial),
        ]);
        let next = until.map(|until| field(0xA0, &field(0x18, until.as_bytes())));
        let this = field(0x18, b"20260101000000Z");
        sequence(&[number, vec![status, 0], this, next.unwrap_or_default()])
    }

    fn response(outcome: u8, version: &[u8], singles: &[Vec<u8>]) -> Vec<u8> {
        let signed = sequence(&[
            version.to_vec(),
            field(0xA2, &field(0x04, &[3; 20])),
            field(0x18, b"20260101000000Z"),
            sequence(singles),
        ]);
        let basic = sequence(&[signed, sequence(&[]), field(0x03, &[0])]);
        let oid = field(0x06, &[0x2B, 6, 1, 5, 5, 7, 0x30, 1, 1]);
        let bytes = field(0xA0, &sequence(&[oid, field(0x04, &basic)]));
        sequence(&[field(0x0A, &[outcome]), bytes])
    }

    #[test]
    fn a_response_says_of_whom_it_speaks_how_well_and_for_how_long() {
        let singles = [single(&[0, 200], 0x80, Some("20260102000000Z")), single(&[7], 0x82, None)];
        for version in [&[][..], &[0xA0, 3, 2, 1, 0]] {
            let response = OcspResponse::read(response(0, version, &singles)).unwrap();
            let first = response.answer(&[0, 200]).unwrap();
            let day = Duration::from_secs(1_767_312_000);
            assert_eq!(first.until, Some(SystemTime::UNIX_EPOCH + day));
            assert!(first.is_good);
            let second = response.answer(&[7]).unwrap();
            assert!(!second.is_good && second.until.is_none());
            assert!(response.answer(&[200]).is_none());
        }
    }

    #[test]
    fn a_refusal_and_a_part_are_no_response() {
        let singles = [single(&[1], 0x80, Some("20260102000000Z"))];
        assert!(OcspResponse::read(response(6, &[], &singles)).is_none());
        assert!(OcspResponse::read(vec![0x30, 3, 0x0A, 1, 1]).is_none());
        let whole = response(0, &[], &singles);
        for cut in 0..whole.len() {
            assert!(OcspResponse::read(whole[..cut].to_vec()).is_none(), "cut at {cut}");
        }
    }
}
