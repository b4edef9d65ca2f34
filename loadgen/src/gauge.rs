//! How many connections the server counts itself: a gauge of its page of metrics.
//!
//! Who measures a server and who operates it should see the same number, so both stand in the
//! report.

use std::sync::Arc;
use std::time::Duration;

use corecast::client::{Asker, Dialer, Question, Scheme, Url};
use corecast::tls::ClientConfig;
use corecast::tls::config::{Trust, returning_client_config};

/// How long the server may take to tell.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where a gauge is read.
#[derive(Clone, Debug)]
pub struct Gauge {
    url: Url,
    name: String,
    tls: Option<Arc<ClientConfig>>,
}

/// What was read at one moment, and what we counted then.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reading {
    /// The gauge's name.
    pub gauge: String,
    /// What the server counts, or why that is not known.
    pub server: Result<u64, String>,
    /// What we count.
    pub ours: u64,
}

impl Gauge {
    /// The gauge `name` of the page at `url`, whose server proves itself to `trust`.
    ///
    /// # Errors
    ///
    /// Why it cannot be read.
    pub fn new(
        url: &Url,
        name: &str,
        trust: impl FnOnce() -> Result<Trust, String>,
    ) -> Result<Self, String> {
        let tls = match url.scheme {
            Scheme::Http => None,
            Scheme::Https => {
                let config = returning_client_config(trust()?, None, &["http/1.1"]);
                Some(config.map_err(|error| error.to_string())?)
            }
            _ => return Err("metrics are at a URL of http or https".to_owned()),
        };
        Ok(Self { url: url.clone(), name: name.to_owned(), tls })
    }

    /// Reads it, where we count `ours`.
    pub fn read(&self, ours: u64) -> Reading {
        Reading { gauge: self.name.clone(), server: self.fetch(), ours }
    }

    fn fetch(&self) -> Result<u64, String> {
        let dialer = Dialer { tls: self.tls.clone(), server_name: None, timeout: PATIENCE };
        let question = Question {
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: None,
            wants_head: false,
        };
        let mut page = Vec::new();
        let status = Asker::new(dialer)
            .ask(&self.url, &question, &mut page, &mut |_| {})
            .map_err(|failure| failure.to_string())?;
        if status.0 != 200 {
            return Err(format!("it answers {}", status.0));
        }
        sum_of(&String::from_utf8_lossy(&page), &self.name)
            .ok_or_else(|| format!("there is no {} on the page", self.name))
    }
}

impl Reading {
    /// Whether both count the same.
    pub fn agrees(&self) -> bool {
        self.server == Ok(self.ours)
    }
}

/// The sum of all samples called `name` in a page of metrics (the text format of Prometheus).
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // counts far below 2^53
fn sum_of(page: &str, name: &str) -> Option<u64> {
    let value = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labels) => labels.rsplit_once('}')?.1,
            None => rest.strip_prefix([' ', '\t'])?,
        };
        rest.split_whitespace().next()?.parse::<f64>().ok()
    };
    let values: Vec<_> = page.lines().filter_map(value).collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>().round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_of_a_gauge_are_added_up_and_no_others() {
        let page = "# HELP open Connections.\n# TYPE open gauge\n\
                    open{worker=\"0\"} 3\nopen{worker=\"}1\"} 4 1700000000\n\
                    open_total 99\nopened 7\nwhole 1.2e3\n";
        for (name, sum) in
            [("open", Some(7)), ("open_total", Some(99)), ("whole", Some(1_200)), ("none", None)]
        {
            assert_eq!(sum_of(page, name), sum, "{name}");
        }
    }

    #[test]
    fn a_page_is_read_over_http_only() {
        let gauge = |url: &str| Gauge::new(&url.parse().unwrap(), "open", || Ok(Trust::Anyone));
        assert!(gauge("http://h/metrics").is_ok() && gauge("https://h/metrics").is_ok());
        assert!(gauge("ws://h/metrics").unwrap_err().contains("http or https"));
    }
}
