//! The page for people.

use crate::result::{Linear, Models};
use crate::units;

/// Writes the page of `models`, made of so many runs, of which so many were invalid.
pub(super) fn page(models: &Models, runs: usize, invalid: usize) -> String {
    let mut lines = vec![format!("FIT         {runs} runs")];
    if invalid > 0 {
        lines.push(format!("            in {invalid} of them the generator did not keep pace"));
    }
    lines.push(String::new());
    for (name, model) in &models.linear {
        lines.extend(of_resource(name, model));
    }
    for (name, reason) in &models.refusals {
        lines.push(format!("{name:<12}{reason}"));
    }
    if let Some(law) = &models.usl {
        let [low, high] = law.beta_within;
        lines.push(format!(
            "{:<12}{}; gamma {:.4}, alpha {:.4}, beta {:.3e} (95 % of cases {low:.3e} to \
             {high:.3e})",
            "usl", law.text, law.gamma, law.alpha, law.beta
        ));
    }
    lines.push(String::new());
    lines.push(models.planning.as_ref().map_or_else(
        || "PLAN        none: no resource has a model".to_owned(),
        |planning| format!("PLAN        {}", planning.text),
    ));
    lines.join("\n") + "\n"
}

fn of_resource(name: &str, model: &Linear) -> Vec<String> {
    let unit = |value: f64| amount(value, &model.unit);
    let [least, most] = model.range.map(|conns| format!("{conns:.0}"));
    let shape = match model.curvature_chance {
        _ if !model.is_straight => "NOT LINEAR",
        Some(_) => "no curvature",
        None => "exact",
    };
    let mut lines = vec![format!(
        "{name:<12}{} + {} a connection (se {}), R2 {:.4}, {} runs of {least} to {most}, {shape}",
        unit(model.a),
        unit(model.b),
        unit(model.se_b),
        model.r2,
        model.points.len(),
    )];
    for (term, factor, error) in &model.terms {
        lines.push(format!(
            "            + {} for each of: {term} (se {})",
            unit(*factor),
            unit(*error)
        ));
    }
    lines
}

/// An amount that may be negative and small.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bytes
fn amount(value: f64, unit: &str) -> String {
    let sign = if value < 0.0 { "-" } else { "" };
    let size = value.abs();
    match unit {
        "bytes" => format!("{sign}{}", units::bytes(size.round() as u64)),
        "cores" => format!("{sign}{:.3} CPU-ms/s", size * 1e3),
        _ => format!("{sign}{size:.3} {unit}"),
    }
}
