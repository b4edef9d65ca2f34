//! What a worker may use, and what a peer.

use std::time::Duration;

use crate::config::raw::{Defences, Limits as Written};
use crate::config::{ConfigError, rules};
use crate::worker::limits::Limits;

/// The longest header of a frame (RFC 6455 §5.2).
const FRAME_HEADER_BYTES_MAX: usize = 14;

/// Sets `place` to what was written, if anything was.
fn set<T>(place: &mut T, written: Option<T>) {
    if let Some(value) = written {
        *place = value;
    }
}

fn set_millis(place: &mut u64, written: Option<Duration>) {
    set(place, written.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX)));
}

/// The limits of a worker, but for what was written.
pub(super) fn check(written: Written, defences: Defences) -> Result<Limits, ConfigError> {
    let mut limits = Limits::default();
    set_millis(&mut limits.heartbeat_ms, rules::HEARTBEAT.one(written.heartbeat)?);
    set_millis(&mut limits.stream_idle_ms_max, rules::STREAM_IDLE.one(written.stream_idle)?);
    if let Some(bytes) = rules::OUTBOX_BYTES.one(written.outbox_bytes)? {
        limits.outbox.bytes_max = bytes;
        limits.outbox_bytes_pause = limits.outbox_bytes_pause.min(bytes);
    }
    if let Some(bytes) = rules::MESSAGE_BYTES.one(written.message_bytes)? {
        // What a backend posts becomes a message, so one bound holds for both.
        limits.session.websocket.message_bytes_max = bytes;
        limits.session.http.body_bytes_max = bytes;
    }
    defend(&mut limits, defences)?;
    hold_together(&limits)?;
    Ok(limits)
}

/// Sets what defends against peers that are slow, loud or many.
fn defend(limits: &mut Limits, written: Defences) -> Result<(), ConfigError> {
    set_millis(&mut limits.handshake_ms_max, rules::HANDSHAKE_TIME.one(written.handshake_time)?);
    set_millis(&mut limits.request_ms_max, rules::REQUEST_TIME.one(written.request_time)?);
    set_millis(&mut limits.keep_alive_ms_max, rules::KEEP_ALIVE.one(written.keep_alive)?);
    set_millis(&mut limits.message_ms_max, rules::MESSAGE_TIME.one(written.message_time)?);
    set_millis(&mut limits.pace.over_ms_max, rules::RATE_TIME.one(written.rate_time)?);
    set_millis(&mut limits.outbox_ms_max, rules::OUTBOX_TIME.one(written.outbox_time)?);
    set_millis(&mut limits.stall_ms_max, rules::STALL_TIME.one(written.stall_time)?);
    set_millis(&mut limits.close_ms_max, rules::CLOSE_TIME.one(written.close_time)?);
    let misses = rules::HEARTBEAT_MISSES.one(written.heartbeat_misses)?;
    set(&mut limits.heartbeat_misses_max, misses);
    let http = &mut limits.session.http;
    set(&mut http.head_bytes_max, rules::HEAD_BYTES.one(written.head_bytes)?);
    set(&mut http.headers_max, rules::HEADERS.one(written.headers)?);
    set(&mut http.target_bytes_max, rules::TARGET_BYTES.one(written.target_bytes)?);
    let fragments = rules::FRAGMENTS.one(written.fragments)?;
    set(&mut limits.session.websocket.fragments_max, fragments);
    let frames = rules::FRAMES_PER_SECOND.one(written.frames_per_second)?;
    set(&mut limits.pace.frames_per_second_max, frames);
    let bytes = rules::BYTES_PER_SECOND.one(written.bytes_per_second)?;
    set(&mut limits.pace.bytes_per_second_max, bytes);
    set(&mut limits.outbox.frames_max, rules::OUTBOX_FRAMES.one(written.outbox_frames)?);
    let topics = rules::TOPICS_PER_CONN.one(written.topics_per_conn)?;
    set(&mut limits.hub.topics_per_connection_max, topics);
    set(&mut limits.deflate_bytes_min, rules::DEFLATE_BYTES.one(written.deflate_bytes)?);
    let contexts = rules::DEFLATE_CONTEXTS.one(written.deflate_contexts)?;
    set(&mut limits.deflate_contexts_max, contexts);
    let connections = rules::CONNS_PER_ADDRESS.one(written.conns_per_address)?;
    set(&mut limits.addresses.connections_max, connections);
    let connects = rules::CONNECTS_PER_ADDRESS.one(written.connects_per_address)?;
    set(&mut limits.addresses.connects_per_second_max, connects);
    set(&mut limits.memory_stop_percent, rules::MEMORY_STOP.one(written.memory_stop)?);
    set(&mut limits.memory_shed_percent, rules::MEMORY_SHED.one(written.memory_shed)?);
    set(&mut limits.spare_files, rules::SPARE_FILES.one(written.spare_files)?);
    Ok(())
}

/// Holds limits against each other that must fit.
fn hold_together(limits: &Limits) -> Result<(), ConfigError> {
    let message = limits.session.websocket.message_bytes_max + FRAME_HEADER_BYTES_MAX;
    let narrow = |key| ConfigError::TooNarrow { narrow: key, wide: rules::MESSAGE_BYTES.key };
    // A peer that reads everything at once can be sent the longest message.
    if message > limits.outbox.bytes_max {
        return Err(narrow(rules::OUTBOX_BYTES.key));
    }
    // One that sends it, and nothing else for a second, has not sent too fast.
    let rate = limits.pace.bytes_per_second_max.map(|rate| rate.get() as usize);
    if rate.is_some_and(|rate| message > rate) {
        return Err(narrow(rules::BYTES_PER_SECOND.key));
    }
    if limits.memory_shed_percent < limits.memory_stop_percent {
        let (low, high) = (rules::MEMORY_SHED.key, rules::MEMORY_STOP.key);
        return Err(ConfigError::Below { low, high });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::config::RawConfig;

    fn limits(text: &str) -> Result<Limits, ConfigError> {
        Ok(RawConfig::from_file("f", text).unwrap().check()?.limits)
    }

    #[test]
    fn every_limit_is_what_was_written() {
        let text = "handshake-time = '1s'\nrequest-time = '2s'\nkeep-alive = '3s'\n\
            head-bytes = '4k'\nheaders = 5\ntarget-bytes = '2k'\nfragments = 7\n\
            message-time = '8s'\nframes-per-second = 9\nbytes-per-second = '1m'\n\
            rate-time = '11s'\noutbox-frames = 16\noutbox-time = '13s'\nstall-time = '14s'\n\
            heartbeat-misses = 15\nclose-time = '16s'\ntopics-per-conn = 17\n\
            conns-per-address = 18\nconnects-per-address = 19\nmemory-stop = '20%'\n\
            memory-shed = 21\nspare-files = 22\ndeflate-bytes = '23'\ndeflate-contexts = 24\n";
        let found = limits(text).unwrap();
        let times = [
            found.handshake_ms_max,
            found.request_ms_max,
            found.keep_alive_ms_max,
            found.message_ms_max,
            found.pace.over_ms_max,
            found.outbox_ms_max,
            found.stall_ms_max,
            found.close_ms_max,
        ];
        assert_eq!(times, [1, 2, 3, 8, 11, 13, 14, 16].map(|seconds| seconds * 1_000));
        let http = found.session.http;
        let sizes = (http.head_bytes_max, http.headers_max, http.target_bytes_max);
        assert_eq!(sizes, (4_096, 5, 2_048));
        assert_eq!(found.session.websocket.fragments_max, 7);
        assert_eq!(found.pace.frames_per_second_max, NonZeroU32::new(9));
        assert_eq!(found.pace.bytes_per_second_max, NonZeroU32::new(1 << 20));
        assert_eq!((found.outbox.frames_max, found.heartbeat_misses_max), (16, 15));
        assert_eq!(found.hub.topics_per_connection_max, 17);
        assert_eq!(found.addresses.connections_max, NonZeroU32::new(18));
        assert_eq!(found.addresses.connects_per_second_max, NonZeroU32::new(19));
        assert_eq!((found.memory_stop_percent, found.memory_shed_percent), (20, 21));
        assert_eq!(found.spare_files, 22);
        assert_eq!((found.deflate_bytes_min, found.deflate_contexts_max), (23, 24));
    }

    #[test]
    fn what_is_off_by_default_can_be_turned_off() {
        let text = "frames-per-second = 'off'\nconns-per-address = 'off'";
        let found = limits(text).unwrap();
        assert_eq!(found.pace.frames_per_second_max, None);
        assert_eq!(found.addresses.connections_max, None);
    }

    #[test]
    fn a_second_of_bytes_holds_the_longest_message() {
        let error = limits("bytes-per-second = 65549").unwrap_err().to_string();
        assert!(error.contains("bytes-per-second"), "{error}");
        assert!(limits("bytes-per-second = 65550").is_ok());
    }

    #[test]
    fn nobody_is_sent_away_while_others_are_let_in() {
        let error = limits("memory-stop = 90\nmemory-shed = 89").unwrap_err().to_string();
        assert!(error.contains("memory-shed") && error.contains("memory-stop"), "{error}");
        assert!(limits("memory-stop = 90\nmemory-shed = 90").is_ok());
    }
}
