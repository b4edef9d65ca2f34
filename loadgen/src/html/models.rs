//! What several runs taught: lines and laws with their bands, and how far they may be followed.

use super::axis::{Axis, Unit};
use super::number;
use super::part::Part;
use super::plot::{Ink, Plot, Point};
use super::subject::Subject;
use super::table::{Cell, Table};
use super::timeline::closed;
use crate::result::{Linear, Usl};

const TITLE: &str = "Models";

/// How far beyond the measured range a line is drawn, at most.
const REACH_MAX: f64 = 10.0;

/// How far the true line is from the one found in 95 of 100 cases, in standard errors.
const DEVIATIONS: f64 = 1.96;

/// Points of a curve.
const STEPS: u64 = 40;

/// The models of what connections cost, and of what more cores or subscribers bring.
pub fn models(run: &Subject<'_>) -> Part {
    let Some(models) = &run.document.models else {
        let about = "No model was made of several runs (loadgen sweep, then loadgen fit).";
        return Part::new("models", TITLE, about);
    };
    let planned = models.planning.as_ref().map(|planning| planning.text.as_str());
    let about = format!(
        "{}{}The range that was measured is shaded; what lies beyond is dashed, and for planning \
         only.",
        planned.unwrap_or_default(),
        if planned.is_some() { " " } else { "" }
    );
    let mut part = Part::new("models", TITLE, about);
    for (resource, linear) in &models.linear {
        if let Some(plot) = line(resource, linear) {
            part.plot(in_words(resource, linear), plot);
        }
    }
    if let Some(usl) = &models.usl {
        part.plot(usl.text.clone(), law(usl));
    }
    let mut refusals = Table::new("refusals", &[("model", None), ("why there is none", None)]);
    let refused = models.refusals.iter();
    refusals.rows = refused
        .map(|(model, reason)| vec![Cell::word(model.as_str()), Cell::word(reason.as_str())])
        .collect();
    part.table(table(&models.linear));
    part.table(refusals);
    part
}

/// A resource by connections.
fn line(resource: &str, linear: &Linear) -> Option<Plot> {
    let [low, high] = linear.range;
    let end = linear.conns.filter(|conns| conns.is_finite()).unwrap_or(high);
    let end = end.clamp(high, high * REACH_MAX);
    if high <= 0.0 || linear.points.is_empty() {
        return None;
    }
    let at = |conns: f64| linear.a + linear.b * conns;
    let reach = |conns: f64| DEVIATIONS * linear.se_a.hypot(linear.se_b * conns);
    let xs: Vec<f64> = (0..=STEPS).map(|n| end * number::of(n) / number::of(STEPS)).collect();
    let found = linear.points.iter().map(|[_, value]| *value).fold(0.0, f64::max);
    let most = xs.iter().map(|x| at(*x) + reach(*x)).fold(found, f64::max);
    let unit = if linear.unit == "bytes" { Unit::Bytes } else { Unit::Count };
    let name = format!("{resource}, {}", linear.unit);
    let x = Axis::from_zero("connections", Unit::Count, end);
    let mut plot = Plot::new(x, Axis::from_zero(&name, unit, most));
    plot.band(low, high, "measured", Some(Ink::Phase));
    let upper: Vec<Point> = xs.iter().map(|x| (*x, at(*x) + reach(*x))).collect();
    let lower: Vec<Point> = xs.iter().map(|x| (*x, (at(*x) - reach(*x)).max(0.0))).collect();
    plot.area(upper.into_iter().chain(lower.into_iter().rev()).collect(), Ink::Wash(1));
    plot.line(vec![(low, at(low)), (high, at(high))], Ink::Line(1));
    plot.line(vec![(high, at(high)), (end, at(end))], Ink::Dashed(1));
    plot.line(vec![(0.0, at(0.0)), (low, at(low))], Ink::Dashed(1));
    for [conns, value] in &linear.points {
        plot.ring((*conns, *value), Ink::Line(1));
    }
    if let Some(limit) = linear.limit.filter(|limit| *limit <= most) {
        plot.line(vec![(0.0, limit), (f64::MAX, limit)], Ink::Bad);
        plot.end(limit, "limit", Ink::Bad);
    }
    plot.end(at(end), resource, Ink::Line(1));
    Some(plot)
}

/// A law of scaling.
fn law(usl: &Usl) -> Plot {
    let measured = usl.points.iter().map(|[n, _]| *n).fold(0.0, f64::max);
    let end = usl.band.iter().map(|[n, ..]| *n).fold(measured, f64::max);
    let values = usl.points.iter().map(|[_, value]| *value);
    let most = values.chain(usl.band.iter().map(|[.., high]| *high)).fold(0.0, f64::max);
    let x = Axis::from_zero(&usl.over, Unit::Count, end);
    let mut plot = Plot::new(x, Axis::from_zero("messages a second", Unit::Count, most));
    let first = usl.points.iter().map(|[n, _]| *n).fold(measured, f64::min);
    plot.band(first, measured, "measured", Some(Ink::Phase));
    let upper: Vec<Point> = usl.band.iter().map(|[n, _, _, high]| (*n, *high)).collect();
    let lower = usl.band.iter().rev().map(|[n, _, low, _]| (*n, *low));
    plot.area(upper.into_iter().chain(lower).collect(), Ink::Wash(1));
    let curve = |is_in: &dyn Fn(f64) -> bool| -> Vec<Point> {
        let within = usl.band.iter().filter(|[n, ..]| is_in(*n));
        within.map(|[n, value, ..]| (*n, *value)).collect()
    };
    plot.line(curve(&|n| n <= measured), Ink::Line(1));
    plot.line(curve(&|n| n >= measured), Ink::Dashed(1));
    for [n, value] in &usl.points {
        plot.ring((*n, *value), Ink::Line(1));
    }
    if let Some([_, value, ..]) = usl.band.last() {
        plot.end(*value, &usl.law, Ink::Line(1));
    }
    if let Some(peak) = usl.peak.filter(|peak| *peak <= end) {
        plot.area(closed(vec![(peak, most), (peak + end / 400.0, most)], 0.0), Ink::Bad);
        plot.say_above((peak, most), "peak", Ink::Bad);
    }
    plot
}

fn in_words(resource: &str, linear: &Linear) -> String {
    let unit = if linear.unit == "bytes" { Unit::Bytes } else { Unit::Count };
    let said = |value: f64| match unit {
        Unit::Bytes => number::said(unit, number::whole(value)),
        _ => format!("{value:.6} {}", linear.unit),
    };
    let conns = linear.conns.filter(|conns| conns.is_finite()).map(number::whole);
    format!(
        "{resource}: {} ± {} a connection{}{}.",
        said(linear.b),
        said(DEVIATIONS * linear.se_b),
        conns.map_or_else(String::new, |conns| format!(
            "; used up by {} of them",
            number::said(Unit::Count, conns)
        )),
        if linear.is_straight { "" } else { "; not a straight line, so not to be followed" }
    )
}

fn table(linear: &std::collections::BTreeMap<String, Linear>) -> Table {
    let mut table = Table::new(
        "models",
        &[
            ("resource", None),
            ("unit", None),
            ("without any", None),
            ("a connection", None),
            ("standard error", None),
            ("R²", None),
            ("used up at", Some(Unit::Count)),
        ],
    );
    let real = |value: f64| Cell::word(format!("{value:.6}"));
    let row = |(name, it): (&String, &Linear)| {
        let conns = it.conns.filter(|conns| conns.is_finite());
        vec![
            Cell::word(name.as_str()),
            Cell::word(it.unit.as_str()),
            real(it.a),
            real(it.b),
            real(it.se_b),
            real(it.r2),
            Cell::Number(conns.map(f64::round)),
        ]
    };
    table.rows = linear.iter().map(row).collect();
    table
}
