//! What our readers and others make of the same bytes. Where they disagree, a row of
//! `disagreements.txt` must say why.
// Each test uses the comparisons it needs.
#![allow(dead_code)]

use std::sync::LazyLock;

use corecast::base::Input;
use corecast::http::{Limits, Reader, RequestHead};
use corecast::ws::handshake;

use super::{rfc6455, rfc9112};

/// Small, so that they are reached: no more than the reader of RFC 9112 says may have them.
const LIMITS: Limits = Limits {
    head_bytes_max: 300,
    headers_max: 8,
    target_bytes_max: 80,
    body_bytes_max: BODY_BYTES_MAX,
};

const BODY_BYTES_MAX: usize = 64;

/// What was agreed on by accepting.
const ACCEPTS: &str = "accepts";

/// More is needed to tell.
const WAITS: &str = "waits";

/// httparse does not say why in words of ours.
const HTTPARSE_REFUSES: &str = "refuses";

/// Two verdicts on the same bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Disagreement {
    pub(crate) with: String,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

/// A row of the list.
#[derive(Debug)]
pub(crate) struct Explained {
    pub(crate) disagreement: Disagreement,
    pub(crate) example: Vec<u8>,
}

/// The rows of the list.
pub(crate) static EXPLAINED: LazyLock<Vec<Explained>> = LazyLock::new(|| {
    let rows = include_str!("disagreements.txt").lines();
    rows.filter(|row| !row.is_empty() && !row.starts_with('#')).map(row).collect()
});

fn row(row: &str) -> Explained {
    let cells: Vec<&str> = row.split(" | ").collect();
    let [with, ours, theirs, example, why] = cells[..] else { panic!("five cells: {row}") };
    assert!(!why.is_empty(), "a reason: {row}");
    let [with, ours, theirs] = [with, ours, theirs].map(str::to_owned);
    Explained { disagreement: Disagreement { with, ours, theirs }, example: unescape(example) }
}

/// The bytes that the escapes of Rust's byte strings stand for.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let escape = if c == '\\' { rest.next() } else { None };
        bytes.push(match escape {
            None => u8::try_from(c).expect("an example in Latin letters"),
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('0') => 0,
            Some('x') => {
                let digits: String = rest.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).expect("two digits")
            }
            Some(other) => panic!("an escape that is not known: {other}"),
        });
    }
    bytes
}

/// Fails where somebody disagrees with us on the head in `bytes` and the list does not say why.
pub(crate) fn check_head(bytes: &[u8]) {
    for found in heads(bytes) {
        let is_explained = EXPLAINED.iter().any(|row| row.disagreement == found);
        assert!(is_explained, "{found:?} on {:?}", bytes.escape_ascii().to_string());
    }
}

/// Every disagreement on the request that `bytes` begin with.
pub(crate) fn heads(bytes: &[u8]) -> Vec<Disagreement> {
    let reference = rfc9112::head(bytes);
    let (ours, head, consumed) = ours(bytes, reference.is_some());
    let mut found = Vec::new();
    let mut disagree = |with: &str, theirs: String| {
        let refuses = |verdict: &str| ![ACCEPTS, WAITS].contains(&verdict);
        let both_refuse = refuses(&ours) && refuses(&theirs);
        // Who refuses need not know how it ends. We look for the end first, httparse does not.
        let is_early =
            refuses(&ours) && theirs == WAITS || ours == WAITS && theirs == HTTPARSE_REFUSES;
        if ours != theirs && !both_refuse && !is_early {
            found.push(Disagreement { with: with.to_owned(), ours: ours.clone(), theirs });
        }
    };
    disagree("httparse", httparse_verdict(bytes, head.as_ref(), consumed));
    let theirs = match &reference {
        None => WAITS.to_owned(),
        Some(Err(rule)) => format!("{rule:?}"),
        Some(Ok(read)) => match &head {
            Some(head) if !is_same(read, head, consumed) => "reads otherwise".to_owned(),
            _ => ACCEPTS.to_owned(),
        },
    };
    disagree("RFC 9112", theirs);
    if let (Some(Ok(read)), Some(head)) = (&reference, &head) {
        found.extend(upgrades(read, head));
    }
    found
}

/// Our verdict, with the head if it is accepted and how many bytes that took.
fn ours(bytes: &[u8], head_is_whole: bool) -> (String, Option<RequestHead>, usize) {
    let (mut reader, mut arrived) = (Reader::default(), bytes.to_vec());
    // Behind a head that is whole comes what may be its body.
    if head_is_whole {
        arrived.resize(arrived.len() + BODY_BYTES_MAX, b'b');
    }
    let len = arrived.len();
    let mut input = Input::new(&mut arrived);
    match reader.next(&mut input, &LIMITS) {
        Err(refusal) => (format!("{refusal:?}"), None, 0),
        Ok(None) => (WAITS.to_owned(), None, 0),
        Ok(Some((head, body))) => {
            assert_eq!(body.len(), head.body_len());
            (ACCEPTS.to_owned(), Some(head), len - input.len() - body.len())
        }
    }
}

fn httparse_verdict(bytes: &[u8], ours: Option<&RequestHead>, consumed: usize) -> String {
    let mut slots = [httparse::EMPTY_HEADER; 200];
    let mut parsed = httparse::Request::new(&mut slots);
    let len = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return WAITS.to_owned(),
        Err(_) => return HTTPARSE_REFUSES.to_owned(),
    };
    let same = |head: &RequestHead| {
        let fields = parsed.headers.iter().map(|field| (field.name, field.value.trim_ascii()));
        len == consumed
            && parsed.path == Some(head.target())
            && parsed.version == Some(head.minor_version())
            && fields.eq(head.headers())
    };
    let verdict = if ours.is_none_or(same) { ACCEPTS } else { "reads otherwise" };
    verdict.to_owned()
}

fn is_same(read: &rfc9112::Head, head: &RequestHead, consumed: usize) -> bool {
    let fields = read.fields.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
    read.len == consumed
        && read.target == head.target()
        && read.minor_version == head.minor_version()
        && read.body_len == Some(head.body_len() as u128)
        && fields.eq(head.headers())
        && corecast::http::Method::from(&*read.method) == head.method()
}

/// The disagreement on whether a request becomes a WebSocket, if there is one.
fn upgrades(read: &rfc9112::Head, head: &RequestHead) -> Option<Disagreement> {
    let ours = handshake::accept(head);
    let theirs = rfc6455::upgrade(read);
    let ours_told = match &ours {
        Ok(_) => ACCEPTS.to_owned(),
        Err(refusal) => format!("{refusal:?}"),
    };
    let theirs_told = match (&theirs, &ours) {
        (Err(requirement), _) => format!("requirement {requirement}"),
        (Ok(key), Ok(upgrade)) if !proves(upgrade, key) => "proves otherwise".to_owned(),
        (Ok(_), _) => ACCEPTS.to_owned(),
    };
    let is_agreed = ours_told == theirs_told || (ours.is_err() && theirs.is_err());
    let with = "RFC 6455".to_owned();
    (!is_agreed).then_some(Disagreement { with, ours: ours_told, theirs: theirs_told })
}

/// Whether the answer carries the proof that tungstenite computes of `key`.
fn proves(upgrade: &handshake::Upgrade, key: &[u8]) -> bool {
    let mut answer = Vec::new();
    upgrade.encode(None, None, &mut answer);
    let proof = tungstenite::handshake::derive_accept_key(key);
    String::from_utf8_lossy(&answer).contains(&format!("Sec-WebSocket-Accept: {proof}\r\n"))
}
