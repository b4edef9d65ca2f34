//! A configuration file: a complaint of one line that names the file or the key, or a configuration
//! within its bounds; and the same after it has been written anew.

use corecast::config::{ConfigError, RawConfig};
use toml::Table;

pub fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let raw = match RawConfig::from_file("corecast.toml", text) {
        Ok(raw) => raw,
        Err(error) => return complain(&error, text),
    };
    let table: Table = text.parse().expect("what we read is TOML");
    let again = RawConfig::from_file("again", &toml::to_string(&table).unwrap());
    assert_eq!(again.as_ref(), Ok(&raw), "the same values, written otherwise");
    assert_eq!(raw.clone().or(RawConfig::default()), raw);
    assert_eq!(RawConfig::default().or(raw.clone()), raw);
    match raw.check() {
        Ok(config) => {
            let limits = &config.limits;
            let message = limits.session.websocket.message_bytes_max;
            assert!((1..=64 << 20).contains(&message));
            assert!(limits.outbox.bytes_max > message);
            assert!((1_000..=3_600_000).contains(&limits.heartbeat_ms));
            assert!(config.drain_timeout.as_secs() <= 3_600);
        }
        Err(error) => complain(&error, text),
    }
}

/// A complaint has one line, however many the file has, and says where or what.
fn complain(error: &ConfigError, text: &str) {
    let said = error.to_string();
    match error {
        ConfigError::Malformed { place, .. } | ConfigError::UnknownKey { place, .. } => {
            assert!(place.starts_with("corecast.toml"), "{said}");
        }
        ConfigError::BadValue { key, .. } => assert!(said.contains(key)),
        _ => {}
    }
    // What was written is shown as it was written.
    let is_quoted = text.contains("\\n") || text.contains("\\r") || text.contains("\\u");
    let lines_written = text.lines().count() > 1 && text.contains("\"\"\"") || text.contains("'''");
    assert!(said.lines().count() == 1 || is_quoted || lines_written, "{said}");
}
