//! Who does what: the parts of a scenario, and which connection plays which.
//!
//! Parts are dealt by a pattern that repeats over the numbers of connections, so that a fleet of
//! any size has the same mixture, also while it grows and shrinks.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use corecast::base::Rng;
use serde::Deserialize;

use crate::slow::Slow;
use crate::units::Rate;

/// The most that a part may weigh: what a mixture needs to be told to a thousandth.
const WEIGHTS_MAX: u64 = 10_000;

/// The most publishers of a part: every recipient follows each of them.
const PUBLISHERS_MAX: u32 = 1_000;

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// It answers heartbeats.
    Idle,
    /// It sends messages that come back to it.
    Echo(Rate),
    /// It gets what some of its part publish.
    Broadcast {
        /// How many publish: the first ones of the part.
        publishers: u32,
        /// How often each of them does.
        rate: Rate,
    },
}

/// Some of the connections, which do the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// What they do.
    pub role: Role,
    /// How many they are, beside the weights of the others.
    pub weight: u64,
    /// Where they connect to, if not where the URL says.
    pub path: Option<String>,
    /// Whether some of those that do not publish read slowly.
    pub slow: Option<Slow>,
}

/// All parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Cast {
    /// The number that our first connection has among all of the run.
    first: u32,
    name: String,
    parts: Vec<Part>,
    /// For each place of the pattern: the part, and how many places before have the same.
    pattern: Vec<(usize, u32)>,
    /// How many places each part has.
    places: Vec<u32>,
    /// How many publishers the parts before each one have, and all.
    publishers: Vec<u32>,
}

/// A connection's part, and its place in it.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its number among all connections of the run, also those of other machines.
    pub number: u32,
    /// The part.
    pub part: &'a Part,
    /// Which part it is.
    pub index: usize,
    /// How many connections with lower numbers have the same part.
    pub rank: u32,
    /// How many publishers the parts before it have: the number of its first one.
    pub publishers_before: u32,
    /// How slowly it reads, if it does.
    pub reads: Option<Slow>,
}

impl Role {
    /// The name it has on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Echo(_) => "echo",
            Self::Broadcast { .. } => "broadcast",
        }
    }

    /// How often each of those that send does so.
    pub const fn rate(self) -> Option<Rate> {
        match self {
            Self::Idle => None,
            Self::Echo(rate) | Self::Broadcast { rate, .. } => Some(rate),
        }
    }

    /// How many publish.
    pub const fn publishers(self) -> Option<u32> {
        match self {
            Self::Broadcast { publishers, .. } => Some(publishers),
            Self::Idle | Self::Echo(_) => None,
        }
    }

    /// Where corecast serves it.
    pub const fn path(self) -> &'static str {
        match self {
            Self::Idle | Self::Echo(_) => "/echo",
            Self::Broadcast { .. } => "/topics/loadgen",
        }
    }
}

impl Part {
    /// The name it has on the command line: that of its role, or what all of it do.
    pub fn name(&self) -> &'static str {
        match (self.role, self.slow) {
            (Role::Echo(_), Some(slow)) if slow.is_all() => "slow",
            _ => self.role.name(),
        }
    }

    /// All connections in `role`.
    pub const fn all(role: Role) -> Self {
        Self { role, weight: 1, path: None, slow: None }
    }
}

impl Cast {
    /// The cast of `parts`, dealt as `seed` says.
    ///
    /// # Errors
    ///
    /// What is wrong with the parts.
    pub fn new(name: &str, parts: Vec<Part>, seed: u64) -> Result<Self, String> {
        let common = parts.iter().fold(0, |common, part| divisor(common, part.weight)).max(1);
        let weights: Vec<u64> = parts.iter().map(|part| part.weight / common).collect();
        let sum = weights.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
        if !(1..=WEIGHTS_MAX).contains(&sum) {
            return Err("the weights of a mixture add up to a number from 1 to 10,000".to_owned());
        }
        let publishers = std::iter::once(0).chain(parts.iter().scan(0_u32, |sum, part| {
            *sum = sum.saturating_add(part.role.publishers().unwrap_or(0));
            Some(*sum)
        }));
        let publishers: Vec<_> = publishers.collect();
        let repeated = |(index, weight): (usize, &u64)| (0..*weight).map(move |_| index);
        let mut indices: Vec<usize> = weights.iter().enumerate().flat_map(repeated).collect();
        shuffle(&mut indices, seed);
        let mut places = vec![0; parts.len()];
        let deal = |index: usize| {
            let place = places.get_mut(index).map_or(0, |count| {
                *count += 1;
                *count - 1
            });
            (index, place)
        };
        let pattern = indices.into_iter().map(deal).collect();
        Ok(Self { first: 0, name: name.to_owned(), parts, pattern, places, publishers })
    }

    /// The name of the scenario.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The parts.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The same cast for connections that are the ones from `first` on of a larger run.
    pub fn numbered_from(self, first: u32) -> Self {
        Self { first, ..self }
    }

    /// What connection `number` does.
    pub fn place(&self, number: u32) -> Place<'_> {
        let number = number.saturating_add(self.first);
        let len = u32::try_from(self.pattern.len()).unwrap_or(u32::MAX);
        let in_pattern = self.pattern.get((number % len) as usize);
        let (index, before) = in_pattern.copied().expect("a remainder is within the pattern");
        let (part, places) = self
            .parts
            .get(index)
            .zip(self.places.get(index))
            .expect("a pattern names its parts only");
        let rank = number / len * places + before;
        let publishes = part.role.publishers().is_some_and(|publishers| rank < publishers);
        let reads = part.slow.filter(|slow| !publishes && slow.takes(rank));
        Place {
            number,
            part,
            index,
            rank,
            publishers_before: self.publishers_of(index).start,
            reads,
        }
    }

    /// Whether nobody sends anything.
    pub fn is_idle(&self) -> bool {
        self.parts.iter().all(|part| part.role == Role::Idle)
    }

    /// How many publish, if there is a broadcast.
    pub fn publishers(&self) -> Option<u32> {
        self.publishers.last().copied().filter(|publishers| *publishers > 0)
    }

    /// The numbers of those that publish to part `index`.
    pub fn publishers_of(&self, index: usize) -> Range<u32> {
        let before = |index: usize| self.publishers.get(index).copied().unwrap_or(0);
        before(index)..before(index + 1)
    }

    /// Whether some read slowly.
    pub fn slow(&self) -> Option<Slow> {
        self.parts.iter().find_map(|part| part.slow)
    }

    /// How many of `conns` connections have part `index`.
    pub fn count(&self, index: usize, conns: u32) -> u32 {
        let len = u32::try_from(self.pattern.len()).unwrap_or(u32::MAX);
        let places = self.places.get(index).copied().unwrap_or(0);
        let rest = (0..conns % len).filter(|place| {
            self.pattern.get(*place as usize).is_some_and(|(part, _)| *part == index)
        });
        conns / len * places + u32::try_from(rest.count()).unwrap_or(0)
    }

    /// Says what cannot be with `conns` connections.
    pub fn check(&self, conns: u32) -> Result<(), String> {
        for (index, part) in self.parts.iter().enumerate() {
            let Some(publishers) = part.role.publishers() else { continue };
            let most = self.count(index, conns).min(PUBLISHERS_MAX);
            if !(1..=most).contains(&publishers) {
                return Err(
                    "from 1 to the number of connections that broadcast, and 1,000 at most"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }
}

impl fmt::Display for Cast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [only] = self.parts.as_slice() else {
            f.write_str(&self.name)?;
            for part in &self.parts {
                write!(f, " {}={}", part.name(), part.weight)?;
            }
            return Ok(());
        };
        match only.role {
            Role::Idle => f.write_str(&self.name),
            Role::Echo(rate) => write!(f, "{}, {rate} a connection", self.name),
            Role::Broadcast { publishers, rate } => {
                write!(f, "{}, {publishers} publishing {rate}", self.name)
            }
        }?;
        only.slow.map_or(Ok(()), |slow| write!(f, ", {slow} reading slowly"))
    }
}

/// A mixture as a file tells it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    part: Vec<WrittenPart>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPart {
    does: String,
    weight: u64,
    rate: Option<String>,
    publishers: Option<u32>,
    path: Option<String>,
    slow: Option<String>,
}

/// Reads the mixture of a TOML file: tables `[[part]]` with `does`, `weight`, and `rate`,
/// `publishers`, `path` and `slow` where they are others than `usual` says for the role.
///
/// # Errors
///
/// The file, and what is wrong with it.
pub fn read(
    path: &Path,
    usual: impl Fn(&str) -> Result<Part, String>,
) -> Result<Vec<Part>, String> {
    let in_file = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|error| in_file(&error))?;
    let written: Written = toml::from_str(&text).map_err(|error| in_file(&error.message()))?;
    let part = |written: WrittenPart| {
        let rate = written.rate.map(|rate| rate.parse()).transpose()?;
        let usual = usual(&written.does)?;
        let slow = written.slow.map(|slow| slow.parse()).transpose()?;
        let role = match usual.role {
            Role::Idle => Role::Idle,
            Role::Echo(usual) => Role::Echo(rate.unwrap_or(usual)),
            Role::Broadcast { publishers, rate: usual } => Role::Broadcast {
                publishers: written.publishers.unwrap_or(publishers),
                rate: rate.unwrap_or(usual),
            },
        };
        let slow = slow.or(usual.slow).filter(|_| role != Role::Idle);
        Ok(Part { role, weight: written.weight, path: written.path, slow })
    };
    let parts: Result<_, String> = written.part.into_iter().map(part).collect();
    parts.map_err(|error| in_file(&error))
}

/// Reads a mixture such as `idle=80,echo=20`.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse(
    text: &str,
    usual: impl Fn(&str) -> Result<Part, String>,
) -> Result<Vec<Part>, String> {
    let part = |part: &str| {
        let (name, weight) = part.split_once('=').ok_or("expected ROLE=WEIGHT,ROLE=WEIGHT")?;
        let weight = weight.trim().parse().map_err(|_| format!("`{weight}` is no weight"))?;
        Ok(Part { weight, ..usual(name.trim())? })
    };
    text.split(',').map(part).collect()
}

fn divisor(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { divisor(other, one % other) }
}

/// Deals the places anew (Fisher and Yates).
fn shuffle(places: &mut [usize], seed: u64) {
    let mut rng = Rng::new(seed);
    for last in (1..places.len()).rev() {
        let chosen = usize::try_from(rng.below(last as u64 + 1)).unwrap_or(last);
        places.swap(last, chosen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual(name: &str) -> Result<Part, String> {
        let rate: Rate = "2/s".parse()?;
        Ok(Part::all(match name {
            "idle" => Role::Idle,
            "echo" => Role::Echo(rate),
            "broadcast" => Role::Broadcast { publishers: 2, rate },
            _ => return Err(format!("`{name}` is no role")),
        }))
    }

    fn cast(text: &str) -> Cast {
        Cast::new("mix", parse(text, usual).unwrap(), 7).unwrap()
    }

    #[test]
    fn a_mixture_is_the_same_at_every_size() {
        let cast = cast("idle=80,echo=15,broadcast=5");
        for conns in [20, 1_000, 20_000] {
            let counts = [0, 1, 2].map(|index| cast.count(index, conns));
            assert_eq!(counts, [conns / 5 * 4, conns / 20 * 3, conns / 20]);
        }
        assert_eq!(cast.to_string(), "mix idle=80 echo=15 broadcast=5");
    }

    #[test]
    fn ranks_count_the_connections_of_a_part() {
        let cast = cast("idle=3,echo=2,broadcast=4");
        let mut seen = [0; 3];
        for number in 0..1_000 {
            let place = cast.place(number);
            assert_eq!(place.rank, seen[place.index], "connection {number}");
            seen[place.index] += 1;
            let counts = [0, 1, 2].map(|index| cast.count(index, number + 1));
            assert_eq!(counts, seen);
        }
    }

    #[test]
    fn each_broadcast_has_publishers_of_its_own() {
        let cast = cast("idle=1,broadcast=2,broadcast=3");
        assert_eq!(cast.publishers(), Some(4));
        assert_eq!([0, 1, 2].map(|part| cast.publishers_of(part)), [0..0, 0..2, 2..4]);
        let places = (0..600).map(|number| cast.place(number)).filter(|place| place.index == 2);
        assert!(places.clone().all(|place| place.publishers_before == 2));
        assert_eq!(places.count(), 300);
    }

    #[test]
    fn publishers_never_read_slowly() {
        let part = Part { slow: "50%:1k/s".parse().ok(), ..usual("broadcast").unwrap() };
        let cast = Cast::new("broadcast", vec![part], 1).unwrap();
        let slow: Vec<_> = (0..8).map(|number| cast.place(number).reads.is_some()).collect();
        assert_eq!(slow, [false, false, false, true, false, true, false, true]);
    }

    #[test]
    fn what_cannot_be_mixed_is_refused() {
        for (text, complaint) in
            [("idle", "ROLE=WEIGHT"), ("idle=much", "no weight"), ("sleep=1", "`sleep` is no role")]
        {
            let error = parse(text, usual).unwrap_err();
            assert!(error.contains(complaint), "{text}: {error}");
        }
        for (text, complaint) in
            [("idle=0", "from 1 to 10,000"), ("idle=9999,echo=20000", "from 1 to 10,000")]
        {
            let error = Cast::new("mix", parse(text, usual).unwrap(), 7).unwrap_err();
            assert!(error.contains(complaint), "{text}: {error}");
        }
        assert!(cast("idle=99,broadcast=1").check(100).is_err(), "one cannot be two publishers");
        assert!(cast("idle=99,broadcast=1").check(200).is_ok());
    }

    #[test]
    fn a_file_tells_what_differs_from_the_usual() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mix.toml");
        let written = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read(&path, usual)
        };
        let parts = written(
            "[[part]]\ndoes = 'echo'\nweight = 3\nrate = '5/s'\n\
             [[part]]\ndoes = 'broadcast'\nweight = 1\npublishers = 9\npath = '/topics/x'\n\
             slow = '10%:1k/s'\n",
        );
        let parts = parts.unwrap();
        assert_eq!(parts[0].role, Role::Echo("5/s".parse().unwrap()));
        assert_eq!(
            (parts[1].role.publishers(), parts[1].path.as_deref()),
            (Some(9), Some("/topics/x"))
        );
        assert_eq!((parts[0].slow, parts[1].slow), (None, "10%:1k/s".parse().ok()));
        for text in ["[[part]]\ndoes = 'echo'", "[[part]]\ndoes='x'\nweight=1", "parts = []", "["] {
            let error = written(text).unwrap_err();
            assert!(error.contains("mix.toml: "), "{text}: {error}");
        }
    }
}
