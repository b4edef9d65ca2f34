//! What the control plane tells of certificates: when they end, and how reading them again went.

use std::fmt::Write;
use std::time::{Duration, Instant};

/// The certificates of one listener, and how reading them again has gone.
#[derive(Clone, Debug)]
pub struct Certificates {
    /// Where the listener is.
    pub listener: String,
    /// The first name of each, and how long it lasts from now on; `None` if it has ended.
    pub left: Vec<(String, Option<Duration>)>,
    /// How often they were read again and taken.
    pub reloads: u64,
    /// How often they could not be.
    pub failures: u64,
}

/// What was told last, and when.
#[derive(Debug, Default)]
pub(super) struct Told {
    all: Vec<Certificates>,
    at: Option<Instant>,
}

impl Told {
    pub(super) fn new(all: Vec<Certificates>, now: Instant) -> Self {
        Self { all, at: Some(now) }
    }

    /// Appends the figures as they are at the time `now` in the text format of Prometheus.
    pub(super) fn encode(&self, now: Instant, page: &mut String) {
        let Some(at) = self.at else { return };
        let passed = now.saturating_duration_since(at);
        begin(page, "certificate_ends_seconds", "gauge", "Seconds until a certificate ends.");
        for told in &self.all {
            for (name, left) in &told.left {
                let left = left.map_or(0, |left| left.saturating_sub(passed).as_secs());
                let (listener, name) = (escaped(&told.listener), escaped(name));
                let labels = format!("{{listener=\"{listener}\",certificate=\"{name}\"}}");
                line(page, format_args!("corecast_certificate_ends_seconds{labels} {left}"));
            }
        }
        let help = "Times that certificates were read again and taken.";
        self.count(page, "certificate_reloads_total", help, |told| told.reloads);
        let help = "Times that certificates could not be read again, and the old ones stayed.";
        self.count(page, "certificate_reload_failures_total", help, |told| told.failures);
    }

    fn count(&self, page: &mut String, name: &str, help: &str, of: fn(&Certificates) -> u64) {
        begin(page, name, "counter", help);
        for told in &self.all {
            let (listener, count) = (escaped(&told.listener), of(told));
            line(page, format_args!("corecast_{name}{{listener=\"{listener}\"}} {count}"));
        }
    }
}

fn begin(page: &mut String, name: &str, kind: &str, help: &str) {
    line(page, format_args!("# HELP corecast_{name} {help}"));
    line(page, format_args!("# TYPE corecast_{name} {kind}"));
}

fn line(page: &mut String, line: std::fmt::Arguments<'_>) {
    writeln!(page, "{line}").expect("a string takes every line");
}

/// `text` in one line that ends no quotation.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::real_now;

    #[test]
    fn what_is_left_becomes_less_and_never_less_than_nothing() {
        let now = real_now();
        let left =
            vec![("a \"b\"".to_owned(), Some(Duration::from_secs(100))), ("past".to_owned(), None)];
        let listener = "127.0.0.1:8443".to_owned();
        let told = Told::new(vec![Certificates { listener, left, reloads: 3, failures: 1 }], now);
        for (passed, left) in [(0, 100), (40, 60), (1_000, 0)] {
            let mut page = String::new();
            told.encode(now + Duration::from_secs(passed), &mut page);
            let labels = "listener=\"127.0.0.1:8443\",certificate";
            let line = format!("ends_seconds{{{labels}=\"a \\\"b\\\"\"}} {left}\n");
            assert!(page.contains(&line), "{page}");
            assert!(page.contains(&format!("ends_seconds{{{labels}=\"past\"}} 0\n")), "{page}");
            assert!(page.contains("reloads_total{listener=\"127.0.0.1:8443\"} 3\n"), "{page}");
            assert!(page.contains("failures_total{listener=\"127.0.0.1:8443\"} 1\n"), "{page}");
        }
    }

    #[test]
    fn a_server_without_certificates_tells_nothing_of_them() {
        let mut page = String::new();
        Told::default().encode(real_now(), &mut page);
        assert_eq!(page, "");
    }
}
