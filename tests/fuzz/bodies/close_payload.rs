//! The payload of a close frame: what RFC 6455 §5.5.1 makes of it, and what we write of our own.

use corecast::ws::{CloseCode, CloseFrame, encoder};

use crate::rfc6455;

pub fn run(bytes: &[u8]) {
    let ours = CloseFrame::parse(bytes).map(|frame| frame.map(CloseFrame::into_owned));
    assert_eq!(ours, rfc6455::close(bytes));
    if let Ok(Some(frame)) = &ours
        && bytes.len() <= 125
    {
        assert_eq!(encoder::close_payload(frame.code, &frame.reason), bytes);
    }
    // Any reason can be told, if not all of it.
    let reason = String::from_utf8_lossy(bytes);
    let payload = encoder::close_payload(CloseCode::NORMAL, &reason);
    let told = CloseFrame::parse(&payload).unwrap().expect("a code was written");
    assert!(payload.len() <= 125 && reason.starts_with(&*told.reason));
    assert!(reason.len() - told.reason.len() < 4 || payload.len() > 121, "cut too short");
}
