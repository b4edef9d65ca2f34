//! As written: what flags, environment and file say, before anybody asks what it means.

use clap::{Arg, ArgAction, Args, Command};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use toml::{Table, Value};

use super::ConfigError;

/// What the name of a variable of the environment begins with.
const PREFIX: &str = "CORECAST_";

/// The variable that names the file is no part of what may stand in it.
const CONFIG_FILE: &str = "CONFIG";

/// What a container platform sets by itself for a service of our name.
const SERVICE_LINKS: [&str; 2] = ["PORT", "SERVICE"];

/// The configuration as it was written, in text, with what was not written left out.
///
/// This is the one list of keys: a flag, a key of the file and a variable of the environment all
/// come from the name of a field here, and their help from its comment.
#[derive(Args, Clone, Debug, Default, Eq, PartialEq, serde::Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct RawConfig {
    /// Serve http and ws on this address; repeatable [default: 127.0.0.1:8080]
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<Vec<Written>>,
    /// Serve https and wss on this address; repeatable [default: 127.0.0.1:8443]
    #[arg(long, value_name = "IP:PORT")]
    pub listen_tls: Option<Vec<Written>>,
    /// Certificate chain in PEM [default: a development certificate, made once]
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<Written>,
    /// Private key of the certificate in PEM
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<Written>,
    /// How many worker threads [default: auto, which is one a core, more if --max-conns needs them]
    #[arg(long, value_name = "N|auto")]
    pub workers: Option<Written>,
    /// How many connections to make room for [default: what the file limit allows]
    #[arg(long, value_name = "N")]
    pub max_conns: Option<Written>,
    /// Offer this WebSocket subprotocol; repeatable, in order of preference
    #[arg(long, value_name = "NAME")]
    pub subprotocol: Option<Vec<Written>>,
    /// Bearer token of backends that publish by POST; better given as `CORECAST_PUBLISH_KEY`
    #[arg(long, value_name = "TOKEN")]
    pub publish_key: Option<Written>,
    /// Let WebSocket clients publish [default: only while every listener is on loopback]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
          default_missing_value = "true")]
    pub allow_publish: Option<Written>,
    /// Serve metrics and health on this address [default: 127.0.0.1:9090]
    #[arg(long, value_name = "IP:PORT|off")]
    pub admin: Option<Written>,
    /// How long connections may take to end when the server shuts down [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub drain_timeout: Option<Written>,
    /// Ping a connection after this long a silence [default: 25s]
    #[arg(long, value_name = "TIME")]
    pub heartbeat: Option<Written>,
    /// Close a connection that leaves more than this unread [default: 256KiB]
    #[arg(long, value_name = "BYTES")]
    pub outbox_bytes: Option<Written>,
    /// The largest message a client may send [default: 64KiB]
    #[arg(long, value_name = "BYTES")]
    pub message_bytes: Option<Written>,
}

impl RawConfig {
    /// Reads the `text` of a TOML file, called `place` in complaints.
    pub fn from_file(place: &str, text: &str) -> Result<Self, ConfigError> {
        let table: Table = text.parse().map_err(|error| not_toml(place, text, &error))?;
        let dashed = |(key, value): (String, Value)| (key.replace('_', "-"), value);
        Self::read(place, table.into_iter().map(dashed), str::to_owned)
    }

    /// Reads the variables of an environment that begin with `CORECAST_`.
    ///
    /// `CORECAST_PORT…` and `CORECAST_SERVICE…` are ignored: Kubernetes gives them to every
    /// container beside a service called corecast.
    pub fn from_env(
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let is_ours = |variable: &str| {
            variable.strip_prefix(PREFIX).is_some_and(|suffix| {
                let first = suffix.split('_').next().unwrap_or_default();
                suffix != CONFIG_FILE && !SERVICE_LINKS.contains(&first)
            })
        };
        let ours = variables.into_iter().filter(|(variable, _)| is_ours(variable));
        let entries = ours.map(|(variable, text)| (variable, Value::String(text)));
        Self::read("environment", entries, variable_of)
    }

    /// What was written here, and in `other` where nothing was written here.
    pub fn or(self, other: Self) -> Self {
        Self {
            listen: self.listen.or(other.listen),
            listen_tls: self.listen_tls.or(other.listen_tls),
            tls_cert: self.tls_cert.or(other.tls_cert),
            tls_key: self.tls_key.or(other.tls_key),
            workers: self.workers.or(other.workers),
            max_conns: self.max_conns.or(other.max_conns),
            subprotocol: self.subprotocol.or(other.subprotocol),
            publish_key: self.publish_key.or(other.publish_key),
            allow_publish: self.allow_publish.or(other.allow_publish),
            admin: self.admin.or(other.admin),
            drain_timeout: self.drain_timeout.or(other.drain_timeout),
            heartbeat: self.heartbeat.or(other.heartbeat),
            outbox_bytes: self.outbox_bytes.or(other.outbox_bytes),
            message_bytes: self.message_bytes.or(other.message_bytes),
        }
    }

    /// Takes `entries` for the keys whose names they have, as `place` would `spell` them.
    ///
    /// Where a key takes a list, a text is a list with commas.
    fn read(
        place: &str,
        entries: impl Iterator<Item = (String, Value)>,
        spell: fn(&str) -> String,
    ) -> Result<Self, ConfigError> {
        let keys = keys();
        let mut table = Table::new();
        for (written, value) in entries {
            let Some(key) = keys.iter().find(|key| spell(&key.name) == written) else {
                let spelled = keys.iter().map(|key| spell(&key.name));
                let nearest = spelled.min_by_key(|name| edits(name, &written)).unwrap_or_default();
                let place = place.to_owned();
                return Err(ConfigError::UnknownKey { place, key: written, nearest });
            };
            let value = if key.is_list { as_list(value) } else { value };
            table.insert(key.name.clone(), value);
        }
        table.try_into().map_err(|error| not_written(place, &error))
    }
}

/// A value as it was written; a number or a truth of a file is kept as its text.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Written(String);

impl Written {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Written {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Written {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<'de> Deserialize<'de> for Written {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenVisitor)
    }
}

/// Takes a text, a whole number or a truth.
struct WrittenVisitor;

impl Visitor<'_> for WrittenVisitor {
    type Value = Written;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a text, a whole number, true or false")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Written, E> {
        Ok(Written(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Written, E> {
        Ok(Written(number.to_string()))
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Written, E> {
        Ok(Written(truth.to_string()))
    }
}

/// The name of a field of [`RawConfig`], as a flag without its dashes.
struct Key {
    name: String,
    is_list: bool,
}

/// Every key there is, as the flags have them.
fn keys() -> Vec<Key> {
    let command = RawConfig::augment_args(Command::new("corecast"));
    let key = |arg: &Arg| {
        let is_list = matches!(arg.get_action(), ArgAction::Append);
        arg.get_long().map(|name| Key { name: name.to_owned(), is_list })
    };
    command.get_arguments().filter_map(key).collect()
}

fn as_list(value: Value) -> Value {
    match value {
        Value::Array(_) => value,
        Value::String(text) => Value::Array(text.split(',').map(|one| one.trim().into()).collect()),
        one => Value::Array(vec![one]),
    }
}

/// How many letters to insert, remove or replace so that `a` becomes `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, a) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, b) in row.iter_mut().zip(std::iter::once('\0').chain(b.chars())).skip(1) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

/// How the environment spells `key`.
fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.to_ascii_uppercase().replace('-', "_"))
}

/// Only the first line of what the parser says: the others draw the place that is named already.
fn not_toml(place: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let reason = error.message().lines().next().unwrap_or_default().to_owned();
    ConfigError::Malformed { place: format!("{place}, line {line}"), reason }
}

/// What is no text, number or truth; the second line of what the reader says names the key.
fn not_written(place: &str, error: &toml::de::Error) -> ConfigError {
    let reason = error.to_string().trim().replace('\n', ", ");
    ConfigError::Malformed { place: place.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Result<RawConfig, ConfigError> {
        RawConfig::from_env(pairs.iter().map(|(key, text)| ((*key).into(), (*text).into())))
    }

    fn list(texts: &[&str]) -> Vec<Written> {
        texts.iter().map(|text| Written::from(*text)).collect()
    }

    #[test]
    fn a_file_has_texts_numbers_truths_and_lists() {
        let text = "workers = 4\nallow-publish = true\nadmin = 'off'\nlisten = ['a', 'b']\n";
        let raw = RawConfig::from_file("f", text).unwrap();
        assert_eq!(raw.workers, Some("4".into()));
        assert_eq!(raw.allow_publish, Some("true".into()));
        assert_eq!(raw.admin, Some("off".into()));
        assert_eq!(raw.listen, Some(list(&["a", "b"])));
        assert_eq!(raw.listen_tls, None);
    }

    #[test]
    fn a_file_may_write_underscores_and_a_list_of_one_without_brackets() {
        let raw = RawConfig::from_file("f", "listen_tls = '::1'\n").unwrap();
        assert_eq!(raw.listen_tls, Some(list(&["::1"])));
    }

    #[test]
    fn a_variable_holds_a_list_with_commas() {
        let raw = env(&[("CORECAST_LISTEN", "a, b"), ("CORECAST_MAX_CONNS", "9")]).unwrap();
        assert_eq!(raw.listen, Some(list(&["a", "b"])));
        assert_eq!(raw.max_conns, Some("9".into()));
    }

    #[test]
    fn variables_of_others_are_left_alone() {
        let raw = env(&[
            ("PATH", "/bin"),
            ("CORECAST_CONFIG", "corecast.toml"),
            ("CORECAST_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
            ("CORECAST_SERVICE_HOST", "10.0.0.1"),
        ]);
        assert_eq!(raw, Ok(RawConfig::default()));
    }

    #[test]
    fn an_unknown_key_is_told_its_nearest_neighbour() {
        let rows = [
            (RawConfig::from_file("f", "lisen = 'a'"), "f: unknown key `lisen`", "`listen`"),
            (RawConfig::from_file("f", "outbox-byte = 1"), "`outbox-byte`", "`outbox-bytes`"),
            (env(&[("CORECAST_WORKER", "1")]), "`CORECAST_WORKER`", "`CORECAST_WORKERS`"),
        ];
        for (outcome, unknown, nearest) in rows {
            let message = outcome.unwrap_err().to_string();
            assert!(message.contains(unknown) && message.contains(nearest), "{message}");
        }
    }

    #[test]
    fn what_is_not_toml_is_told_by_its_line() {
        let message = RawConfig::from_file("f", "workers = 1\n\nlisten = [\n").unwrap_err();
        assert!(message.to_string().starts_with("f, line "), "{message}");
        assert_eq!(message.to_string().lines().count(), 1);
    }

    #[test]
    fn a_value_of_a_wrong_kind_is_told_by_its_key() {
        let message = RawConfig::from_file("f", "workers = [1]").unwrap_err().to_string();
        assert!(message.contains("workers") && message.lines().count() == 1, "{message}");
    }

    #[test]
    fn what_was_written_first_wins_key_by_key() {
        let flags = RawConfig { workers: Some("1".into()), ..RawConfig::default() };
        let file = RawConfig::from_file("f", "workers = 2\nadmin = 'off'").unwrap();
        let merged = flags.or(file);
        assert_eq!((merged.workers, merged.admin), (Some("1".into()), Some("off".into())));
    }

    #[test]
    fn edits_are_counted() {
        let rows = [("", "", 0), ("", "ab", 2), ("listen", "lisen", 1), ("kitten", "sitting", 3)];
        for (a, b, count) in rows {
            assert_eq!((edits(a, b), edits(b, a)), (count, count), "{a} {b}");
        }
    }
}
