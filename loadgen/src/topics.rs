//! The topics that the subscribers of a broadcast share out among themselves, by weight.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

use crate::cast::{Part, Role};

/// A topic, as a file tells it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// Its name, or the whole path where one connects to it.
    name: String,
    /// How many subscribe to it, beside the others.
    weight: u64,
    /// How many publish to it, if not as many as to the others.
    publishers: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    topic: Vec<Topic>,
}

impl Topic {
    /// Where one connects to it: corecast serves topics by their names.
    fn path(&self) -> String {
        let is_path = self.name.starts_with('/');
        if is_path { self.name.clone() } else { format!("/topics/{}", self.name) }
    }
}

/// Reads the topics of a TOML file: tables `[[topic]]` with `name`, `weight`, and `publishers`
/// where they are others than usual.
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn read(path: &Path) -> Result<Vec<Topic>, String> {
    let in_file = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| in_file(&error))?;
    let written: Written = toml::from_str(&text).map_err(|error| in_file(&error.message()))?;
    if written.topic.is_empty() {
        return Err(in_file(&"it names no topic"));
    }
    for (number, Topic { name, weight, .. }) in written.topic.iter().enumerate() {
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(in_file(&format!("`{name}` is no name: it has letters and signs only")));
        }
        if *weight == 0 {
            return Err(in_file(&format!("`{name}` needs a weight above 0")));
        }
        if written.topic.iter().take(number).any(|topic| topic.name == *name) {
            return Err(in_file(&format!("`{name}` stands there twice")));
        }
    }
    Ok(written.topic)
}

/// Makes a part for each of `topics` of every broadcast among `parts`. The others stay, and weigh
/// as much beside them as before.
///
/// # Errors
///
/// If there is no broadcast, or the numbers are absurd.
pub fn share_out(parts: Vec<Part>, topics: &[Topic]) -> Result<Vec<Part>, String> {
    if parts.iter().all(|part| part.role.publishers().is_none()) {
        return Err("topics are for a broadcast, and nothing is broadcast".to_owned());
    }
    let absurd = || "the weights are too large".to_owned();
    let whole = topics.iter().try_fold(0_u64, |sum, topic| sum.checked_add(topic.weight));
    let whole = whole.ok_or_else(absurd)?;
    let mut shared = Vec::new();
    for part in parts {
        let Role::Broadcast { publishers, rate } = part.role else {
            let weight = part.weight.checked_mul(whole).ok_or_else(absurd)?;
            shared.push(Part { weight, ..part });
            continue;
        };
        for topic in topics {
            let publishers = topic.publishers.unwrap_or(publishers);
            shared.push(Part {
                role: Role::Broadcast { publishers, rate },
                weight: part.weight.checked_mul(topic.weight).ok_or_else(absurd)?,
                path: Some(topic.path()),
                slow: part.slow,
            });
        }
    }
    Ok(shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> Result<Vec<Topic>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("topics.toml");
        std::fs::write(&path, text).unwrap();
        read(&path)
    }

    const TWO: &str = "[[topic]]\nname = 'news'\nweight = 3\n\
                       [[topic]]\nname = '/other/sport'\nweight = 1\npublishers = 5\n";

    #[test]
    fn topics_share_the_subscribers_by_weight() {
        let role = Role::Broadcast { publishers: 1, rate: "1/s".parse().unwrap() };
        let parts =
            [(Role::Idle, 9), (role, 1)].map(|(role, weight)| Part { weight, ..Part::all(role) });
        let parts = share_out(parts.into(), &written(TWO).unwrap()).unwrap();
        let told: Vec<_> = parts
            .iter()
            .map(|part| (part.weight, part.path.as_deref(), part.role.publishers()))
            .collect();
        assert_eq!(
            told,
            [
                (36, None, None),
                (3, Some("/topics/news"), Some(1)),
                (1, Some("/other/sport"), Some(5))
            ]
        );
        let idle = vec![Part::all(Role::Idle)];
        assert!(
            share_out(idle, &written(TWO).unwrap()).unwrap_err().contains("nothing is broadcast")
        );
    }

    #[test]
    fn a_file_that_makes_no_sense_is_named_with_the_reason() {
        for (text, reason) in [
            ("", "missing field"),
            ("topic = []", "names no topic"),
            ("[[topic]]\nname = 'a b'\nweight = 1", "`a b` is no name"),
            ("[[topic]]\nname = 'a'\nweight = 0", "`a` needs a weight"),
            ("[[topic]]\nname = 'a'\nweight = 1\ncolour = 'red'", "unknown field"),
            ("[[topic]]\nname='a'\nweight=1\n[[topic]]\nname='a'\nweight=1", "twice"),
        ] {
            let error = written(text).unwrap_err();
            assert!(error.contains(reason) && error.contains("topics.toml: "), "{text}: {error}");
        }
    }
}
