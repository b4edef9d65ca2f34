//! What the flags of a scenario mean: who does what, and who leaves.

use std::path::Path;

use crate::args::{ScenarioArgs, TurnoverArgs};
use crate::cast::{self, Cast, Part, Role};
use crate::plan::Obstacle;
use crate::slow::Slow;
use crate::topics;
use crate::turnover::{Habits, Lifetime, Storm};

/// Who does what, with `conns` connections.
///
/// # Errors
///
/// The flag at fault, and what is wrong with it.
pub fn cast(args: &ScenarioArgs, conns: u32, seed: u64) -> Result<Cast, Obstacle> {
    let mixed = |flag| move |reason: String| Obstacle::Mixture { flag, reason };
    let (name, mut parts) = parts(args)?;
    // Where a part of its own reads slowly, the others do not.
    if let Some(slow) = args.slow.filter(|_| !parts.iter().any(|part| part.slow.is_some())) {
        let those_who_hear = parts.iter_mut().filter(|part| part.role != Role::Idle);
        let count = those_who_hear.map(|part| part.slow = Some(slow)).count();
        if count == 0 {
            return Err(mixed("--slow")("idle connections have nothing to read".to_owned()));
        }
    }
    if let Some(path) = &args.subs {
        let topics = topics::read(path).map_err(mixed("--subs"))?;
        parts = topics::share_out(parts, &topics).map_err(mixed("--subs"))?;
    }
    let cast = Cast::new(name, parts, seed).map_err(mixed("--mix"))?;
    let out_of_range = |allowed| Obstacle::OutOfRange { flag: "--publishers", allowed };
    cast.check(conns).map_err(out_of_range)?;
    Ok(cast)
}

/// The parts of the scenario, and what it is called.
fn parts(args: &ScenarioArgs) -> Result<(&str, Vec<Part>), Obstacle> {
    let mixed = |flag| move |reason: String| Obstacle::Mixture { flag, reason };
    let usual = |name: &str| part(args, name);
    let scenario = args.scenario.as_str();
    if let Some(mix) = &args.mix {
        return Ok(("mix", cast::parse(mix, usual).map_err(mixed("--mix"))?));
    }
    if Path::new(scenario).extension().is_some_and(|it| it == "toml") {
        return Ok(("mix", cast::read(Path::new(scenario), usual).map_err(mixed("--scenario"))?));
    }
    let only = match scenario {
        // Those who come and go do nothing else.
        "storm" | "churn" => Part::all(Role::Idle),
        "slow" => {
            let slow = Some(args.slow.unwrap_or(Slow::USUAL));
            Part { slow, ..Part::all(Role::Echo(args.rate)) }
        }
        _ => part(args, scenario).map_err(mixed("--scenario"))?,
    };
    Ok((scenario, vec![only]))
}

/// The part of a mixture that is called `name`.
fn part(args: &ScenarioArgs, name: &str) -> Result<Part, String> {
    Ok(Part::all(match name {
        "idle" => Role::Idle,
        "echo" => Role::Echo(args.rate),
        "broadcast" => {
            let publishers = u32::try_from(args.publishers).unwrap_or(u32::MAX);
            Role::Broadcast { publishers, rate: args.publish_rate }
        }
        "slow" => {
            let slow = Some(args.slow.unwrap_or(Slow::USUAL).all());
            return Ok(Part { slow, ..Part::all(Role::Echo(args.rate)) });
        }
        "storm" | "churn" => {
            return Err(format!(
                "who comes and goes is not a part of a mixture: use --scenario {name}, or --storm \
                 and --lifetime with any"
            ));
        }
        _ => {
            return Err(format!(
                "`{name}` is not idle, echo, broadcast, slow, storm, churn or a file of TOML"
            ));
        }
    }))
}

/// Who leaves, and comes back.
pub fn habits(scenario: &ScenarioArgs, args: &TurnoverArgs) -> Habits {
    let is = |name| scenario.mix.is_none() && scenario.scenario == name;
    Habits {
        storm: args.storm.or(is("storm").then_some(Storm::USUAL)),
        lifetime: args.lifetime.or(is("churn").then_some(Lifetime::USUAL)),
        reconnect: args.reconnect,
    }
}
