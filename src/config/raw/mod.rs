//! As written: what flags, environment and file say, before anybody asks what it means.

mod keys;
mod nearest;
mod written;

use clap::Args;
use toml::{Table, Value};

use super::ConfigError;
use crate::base::Map;
use keys::Place;
use nearest::nearest;
use written::Slot;

pub(super) use keys::{
    Defences, Keys, Limits, Listeners, Operation, Proxies, Publishing, Tls, WebSockets,
};
pub use written::Written;

/// What the name of a variable of the environment begins with.
const PREFIX: &str = "CORECAST_";

/// The variable that names the file is no part of what may stand in it.
const CONFIG_FILE: &str = "CONFIG";

/// What a container platform sets by itself for a service of our name.
const SERVICE_LINKS: [&str; 2] = ["PORT", "SERVICE"];

/// What the tables of a file that are listeners are called.
const LISTENER: &str = "listener";

/// The configuration as it was written, in text, with what was not written left out.
#[derive(Args, Clone, Debug, Default, Eq, PartialEq)]
pub struct RawConfig {
    #[command(flatten)]
    pub(super) listeners: Listeners,
    #[command(flatten)]
    pub(super) proxies: Proxies,
    #[command(flatten)]
    pub(super) tls: Tls,
    #[command(flatten)]
    pub(super) websockets: WebSockets,
    #[command(flatten)]
    pub(super) publishing: Publishing,
    #[command(flatten)]
    pub(super) limits: Limits,
    #[command(flatten)]
    pub(super) defences: Defences,
    #[command(flatten)]
    pub(super) operation: Operation,
    /// Listeners with options of their own, which only a file has.
    #[arg(skip)]
    pub(super) tables: Vec<RawListener>,
}

/// A table `[[listener]]` as it was written. What it leaves out, the keys beside it say.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct RawListener {
    pub(super) place: Place,
    pub(super) proxies: Proxies,
    pub(super) tls: Tls,
    pub(super) websockets: WebSockets,
}

impl RawConfig {
    /// Reads the `text` of a TOML file, called `place` in complaints.
    pub fn from_file(place: &str, text: &str) -> Result<Self, ConfigError> {
        let mut table: Table = text.parse().map_err(|error| not_toml(place, text, &error))?;
        let tables = match table.remove(LISTENER) {
            Some(tables) => RawListener::read_all(place, tables)?,
            None => Vec::new(),
        };
        let mut raw = Self { tables, ..Self::default() };
        fill(&mut raw.groups(), &Source::file(place), table, &[LISTENER])?;
        Ok(raw)
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
        let mut raw = Self::default();
        fill(&mut raw.groups(), &Source::ENVIRONMENT, entries, &[])?;
        Ok(raw)
    }

    /// What was written here, and in `other` where nothing was written here.
    ///
    /// A list of addresses names all listeners of its kind: where there is one here, the tables of
    /// that kind in `other` do not count, as its list does not.
    pub fn or(self, other: Self) -> Self {
        let mut tables = self.tables;
        let said = [
            ("http", &self.listeners.listen),
            ("https", &self.listeners.listen_tls),
            ("stream-echo", &self.listeners.listen_stream),
        ];
        let is_named = |table: &RawListener| {
            let kind = table.place.kind.as_ref().map(Written::as_str);
            said.iter().any(|(name, list)| list.is_some() && kind == Some(*name))
        };
        tables.extend(other.tables.into_iter().filter(|table| !is_named(table)));
        Self {
            listeners: self.listeners.or(other.listeners),
            proxies: self.proxies.or(other.proxies),
            tls: self.tls.or(other.tls),
            websockets: self.websockets.or(other.websockets),
            publishing: self.publishing.or(other.publishing),
            limits: self.limits.or(other.limits),
            defences: self.defences.or(other.defences),
            operation: self.operation.or(other.operation),
            tables,
        }
    }

    fn groups(&mut self) -> [&mut dyn Keys; 8] {
        [
            &mut self.listeners,
            &mut self.proxies,
            &mut self.tls,
            &mut self.websockets,
            &mut self.publishing,
            &mut self.limits,
            &mut self.defences,
            &mut self.operation,
        ]
    }
}

impl RawListener {
    /// Reads the `tables` of the file that is called `place` in complaints.
    fn read_all(place: &str, tables: Value) -> Result<Vec<Self>, ConfigError> {
        let wrong = || ConfigError::Malformed {
            place: place.to_owned(),
            reason: format!("{LISTENER}: write one table [[{LISTENER}]] for each listener"),
        };
        let Value::Array(tables) = tables else { return Err(wrong()) };
        let read = |(table, number): (Value, usize)| match table {
            Value::Table(table) => Self::read(&format!("{place}, listener {number}"), table),
            _ => Err(wrong()),
        };
        tables.into_iter().zip(1..).map(read).collect()
    }

    fn read(place: &str, table: Table) -> Result<Self, ConfigError> {
        let mut raw = Self::default();
        let groups: &mut [&mut dyn Keys] =
            &mut [&mut raw.place, &mut raw.proxies, &mut raw.tls, &mut raw.websockets];
        fill(groups, &Source::file(place), table, &[])?;
        Ok(raw)
    }
}

/// Where keys are written, and how they are spelled there.
struct Source<'a> {
    place: &'a str,
    /// Spells the name of a key.
    spell: fn(&str) -> String,
    /// Makes of a key as it was written what [`Source::spell`] would.
    tidy: fn(&str) -> String,
}

impl<'a> Source<'a> {
    /// Variables in capitals.
    const ENVIRONMENT: Self = Self {
        place: "environment",
        spell: |name| format!("{PREFIX}{}", name.to_ascii_uppercase()),
        tidy: str::to_owned,
    };

    /// Words with dashes, or with underscores.
    const fn file(place: &'a str) -> Self {
        Self { place, spell: dashed, tidy: dashed }
    }
}

/// How a key is spelled on the command line and in a file.
pub(super) fn dashed(name: &str) -> String {
    name.replace('_', "-")
}

/// Keeps `entries` where those of `groups` are kept whose names they have. What may stand `beside`
/// them has been taken already.
fn fill(
    groups: &mut [&mut dyn Keys],
    source: &Source<'_>,
    entries: impl IntoIterator<Item = (String, Value)>,
    beside: &[&str],
) -> Result<(), ConfigError> {
    let mut seen: Map<String, String> = Map::default();
    for (written, value) in entries {
        let key = (source.tidy)(&written);
        let place = source.place.to_owned();
        // A file knows no order, so that nobody could say which of the two counts.
        if let Some(other) = seen.insert(key.clone(), written.clone()) {
            let reason = format!("{other} and {written} are the same key: write one of them");
            return Err(ConfigError::Malformed { place, reason });
        }
        let Some(slot) = groups.iter_mut().find_map(|group| slot(*group, source, &key)) else {
            let names = groups.iter().flat_map(|group| group.names()).chain(beside);
            let nearest = nearest(names.map(|name| (source.spell)(name)), &key);
            return Err(ConfigError::UnknownKey { place, key, nearest });
        };
        slot.fill(value).map_err(|wanted| ConfigError::Malformed {
            place,
            reason: format!("{key}: {wanted}"),
        })?;
    }
    Ok(())
}

/// Where `group` keeps what `source` spells as `key`.
fn slot<'a>(group: &'a mut dyn Keys, source: &Source<'_>, key: &str) -> Option<&'a mut dyn Slot> {
    let name = group.names().iter().find(|name| (source.spell)(name) == key)?;
    group.slot(name)
}

/// Only the first line of what the parser says: the others draw the place that is named already.
fn not_toml(place: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let reason = error.message().lines().next().unwrap_or_default().to_owned();
    ConfigError::Malformed { place: format!("{place}, line {line}"), reason }
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
        assert_eq!(raw.operation.workers, Some("4".into()));
        assert_eq!(raw.publishing.allow_publish, Some("true".into()));
        assert_eq!(raw.operation.admin, Some("off".into()));
        assert_eq!(raw.listeners.listen, Some(list(&["a", "b"])));
        assert_eq!(raw.listeners.listen_tls, None);
    }

    #[test]
    fn a_file_may_write_underscores_and_a_list_of_one_without_brackets() {
        let raw = RawConfig::from_file("f", "listen_tls = '::1'\n").unwrap();
        assert_eq!(raw.listeners.listen_tls, Some(list(&["::1"])));
        let twice = [
            "listen_tls = '::1'\nlisten-tls = '::2'",
            "[[listener]]\ntls-cert = 'a'\ntls_cert = 'b'",
        ];
        for text in twice {
            let complaint = RawConfig::from_file("f", text).unwrap_err().to_string();
            let is_named = |key: &str| complaint.contains(key) && complaint.contains(&dashed(key));
            assert!(is_named("listen_tls") || is_named("tls_cert"), "{complaint}");
        }
    }

    #[test]
    fn a_variable_holds_a_list_with_commas() {
        let raw = env(&[("CORECAST_LISTEN", "a, b"), ("CORECAST_MAX_CONNS", "9")]).unwrap();
        assert_eq!(raw.listeners.listen, Some(list(&["a", "b"])));
        assert_eq!(raw.limits.max_conns, Some("9".into()));
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
        let flags = RawConfig::from_file("flags", "workers = 1").unwrap();
        let file = RawConfig::from_file("f", "workers = 2\nadmin = 'off'").unwrap();
        let merged = flags.or(file);
        assert_eq!(
            (merged.operation.workers, merged.operation.admin),
            (Some("1".into()), Some("off".into()))
        );
    }

    #[test]
    fn a_file_has_tables_of_listeners() {
        let text = "tls-cert = 'a'\n[[listener]]\naddress = 'b'\nkind = 'https'\n\
                    tls_cert = 'c'\n[[listener]]\n";
        let raw = RawConfig::from_file("f", text).unwrap();
        let [first, second] = &raw.tables[..] else { panic!("{raw:?}") };
        assert_eq!(first.place.address, Some("b".into()));
        assert_eq!(first.tls.tls_cert, Some(vec!["c".into()]));
        assert_eq!(*second, RawListener::default());
    }

    #[test]
    fn what_is_wrong_in_a_table_is_told_with_its_number() {
        let rows = [
            ("[[listener]]\n[[listener]]\nadress = 'a'", "f, listener 2: unknown key `adress`"),
            ("[[listener]]\nworkers = 1", "f, listener 1: unknown key `workers`"),
            ("[[listener]]\nkind = 1.5", "f, listener 1: kind: write"),
            ("[listener]\nkind = 'http'", "[[listener]]"),
            ("listener = ['a']", "[[listener]]"),
            ("listner = 1", "`listener`"),
        ];
        for (text, words) in rows {
            let message = RawConfig::from_file("f", text).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn a_list_of_addresses_wins_over_tables_of_its_kind() {
        let table = |kind| format!("[[listener]]\naddress = 'a'\nkind = '{kind}'\n");
        let file = RawConfig::from_file("f", &(table("http") + &table("https"))).unwrap();
        let merged = RawConfig::from_file("flags", "listen = 'b'").unwrap().or(file.clone());
        let [left] = &merged.tables[..] else { panic!("{merged:?}") };
        assert_eq!(left.place.kind, Some("https".into()));
        assert_eq!(RawConfig::default().or(file).tables.len(), 2);
    }
}
