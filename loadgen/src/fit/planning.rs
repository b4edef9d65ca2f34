//! The sentence that machines are bought by.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::Target;
use super::points::Point;
use crate::result::{Linear, Planning};
use crate::units;

/// How many machines `users` take, each with as many connections as the scarcest resource of
/// `target` holds; `None` if no resource has a model.
pub(super) fn plan(
    points: &[Point],
    models: &BTreeMap<String, Linear>,
    target: &Target,
    users: u64,
) -> Option<Planning> {
    let holds = models.iter().filter_map(|(name, model)| Some((name, model, model.conns?)));
    let (binding, model, conns) = holds.min_by(|one, other| one.2.total_cmp(&other.2))?;
    let conns_per_machine = whole(conns);
    let most = points.iter().map(|point| point.conns).fold(0.0, f64::max);
    let extrapolation = conns / most;
    let needed = users.div_ceil(conns_per_machine.max(1));
    let machines = needed + 1;
    let mut text = format!("At {}: ", points.last().map_or("", |point| point.scenario.as_str()));
    let _ = write!(text, "{}. ", each(models, target).join(", "));
    let _ = write!(
        text,
        "With {:.0} % of each left free, one machine holds {} connections (binding: {}{}). ",
        target.headroom * 100.0,
        units::count(conns_per_machine),
        reason(binding, models, conns),
        interval(model),
    );
    let _ = write!(
        text,
        "For {} users: {} machines, one of them to spare. Measured to {}; factor of \
         extrapolation {extrapolation:.1}{}.",
        units::count(users),
        units::count(machines),
        units::count(whole(most)),
        if extrapolation > 1.0 { ": PLAN ONLY" } else { "" },
    );
    Some(Planning {
        conns_per_machine,
        binding: binding.clone(),
        headroom: target.headroom,
        users,
        machines,
        extrapolation,
        text,
    })
}

/// What each resource of the machine carries by itself, with the same part left free.
fn each(models: &BTreeMap<String, Linear>, target: &Target) -> Vec<String> {
    let carried = |(name, model): (&String, &Linear)| {
        let conns = units::count(whole(model.conns?));
        Some(match name.as_str() {
            "cpu" if target.cores == 1 => format!("1 core carries {conns}"),
            "cpu" => format!("{} cores carry {conns}", target.cores),
            "memory" => format!("{} carry {conns}", units::bytes(target.memory?)),
            "files" => format!("{} files carry {conns}", units::count(target.files?)),
            _ => return None,
        })
    };
    models.iter().filter_map(carried).collect()
}

/// What binds, and of memory how much the kernel takes.
fn reason(binding: &str, models: &BTreeMap<String, Linear>, conns: f64) -> String {
    let taken = |name| models.get(name).map(|model: &Linear| (model.a + model.b * conns).max(0.0));
    match (binding, taken("user"), taken("kernel")) {
        ("memory", Some(user), Some(kernel)) if user + kernel > 0.0 => {
            let share = kernel / (user + kernel) * 100.0;
            format!("memory, {share:.0} % of it the kernel's")
        }
        _ => binding.to_owned(),
    }
}

fn interval(model: &Linear) -> String {
    let count = |conns: f64| units::count(whole(conns));
    match model.conns_within {
        Some((low, Some(high))) if model.is_straight => {
            format!("; 95 % prediction interval {} to {}", count(low), count(high))
        }
        Some((low, None)) if model.is_straight => {
            format!("; in 95 % of cases {} or more", count(low))
        }
        _ if !model.is_straight => {
            "; not linear, so nothing is told beyond what was measured".into()
        }
        _ => String::new(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // fewer than 2^53 connections
fn whole(conns: f64) -> u64 {
    conns.max(0.0) as u64
}
