//! What more cores, or more subscribers, bring: the law that suffices, and when none is told.

use std::collections::BTreeMap;

use corecast::base::Rng;

use super::points::Point;
use crate::model::usl::{Law, Shape};
use crate::result::Usl;

/// So many different numbers tell the three parameters, and what is left over.
const LEVELS_MIN: usize = 6;

/// So many runs of each tell how runs differ.
const REPEATS_MIN: usize = 3;

/// How often runs are drawn again for a band.
const DRAWS: usize = 1_000;

/// Nothing is told beyond this many times the most that was measured.
const REACH: f64 = 2.0;

/// At how many places a band is told.
const BAND_STEPS: u32 = 40;

/// If the most is not this much more than the least, something else held it back.
const GAIN_MIN: f64 = 1.05;

/// A number that is the same each time, so that the same files always come to the same.
const SEED: u64 = 1;

/// All runs by their number of cores, or of subscribers.
type Levels = BTreeMap<u64, Vec<f64>>;

/// The law of `points`.
///
/// # Errors
///
/// Why none is told.
pub(super) fn fit(points: &[Point]) -> Result<Usl, String> {
    let (over, levels) = levels(points);
    let counts: Vec<_> = levels.keys().map(u64::to_string).collect();
    let fewest = levels.values().map(Vec::len).min().unwrap_or(0);
    if levels.len() < LEVELS_MIN || fewest < REPEATS_MIN {
        let found = match counts.len() {
            0 => "none was told (loadgen sweep --cores 1,2,4,..)".to_owned(),
            n => {
                format!("there are {n} ({}), the least repeated {fewest} times", counts.join(", "))
            }
        };
        return Err(format!(
            "refused over {over}: three parameters take {LEVELS_MIN} different numbers of {over}, \
             each {REPEATS_MIN} times, and {found}"
        ));
    }
    let means: Vec<_> = levels.values().map(|runs| mean(runs)).collect();
    let least = means.iter().copied().fold(f64::INFINITY, f64::min);
    let most = means.iter().copied().fold(0.0, f64::max);
    if most < least * GAIN_MIN {
        return Err(format!(
            "refused over {over}: about {most:.0} messages a second came with every number of \
             them, so it was the load and not the {over} that held them back"
        ));
    }
    law(over, &levels).ok_or_else(|| format!("refused over {over}: no messages came"))
}

/// Over what the runs differ, and what came a second.
fn levels(points: &[Point]) -> (&'static str, Levels) {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // cores and connections
    let number = |it: f64| it.round().max(0.0) as u64;
    let mut levels = Levels::new();
    let (mut by_cores, mut by_subscribers) = (Levels::new(), Levels::new());
    for point in points {
        if let Some(cores) = point.cores {
            by_cores.entry(number(cores)).or_default().push(point.messages_out);
        }
        if point.is_broadcast {
            by_subscribers.entry(number(point.conns)).or_default().push(point.messages_out);
        }
    }
    let over = if by_cores.len() > 1 || by_subscribers.len() < 2 {
        levels.append(&mut by_cores);
        "cores"
    } else {
        levels.append(&mut by_subscribers);
        "subscribers"
    };
    (over, levels)
}

fn law(over: &str, levels: &Levels) -> Option<Usl> {
    let points = flat(levels);
    let laws = Shape::ALL.map(|shape| Some((shape, Law::fit(shape, &points)?)));
    let laws: Vec<_> = laws.into_iter().collect::<Option<_>>()?;
    let aicc = |(shape, law): &(Shape, Law)| law.aicc(*shape, &points);
    let (shape, law) = *laws.iter().min_by(|one, other| aicc(one).total_cmp(&aicc(other)))?;
    let drawn = drawn(levels, shape);
    let betas = drawn.iter().map(|(_, whole)| whole.beta).collect();
    let beta_within = within(betas)?;
    #[allow(clippy::cast_precision_loss)] // cores and connections
    let ends = (*levels.keys().next()? as f64, *levels.keys().next_back()? as f64);
    // Below this the law does not bend by a millionth within twice what was measured.
    let nothing = 1e-6 / (REACH * ends.1).powi(2);
    let is_retrograde = beta_within.first().is_some_and(|low| *low > nothing);
    let peak = law.peak().filter(|peak| is_retrograde && *peak < ends.1);
    Some(Usl {
        over: over.to_owned(),
        law: shape.name().to_owned(),
        gamma: law.gamma,
        alpha: law.alpha,
        beta: law.beta,
        beta_within,
        peak,
        aicc: laws.iter().map(|it| (it.0.name().to_owned(), aicc(it))).collect(),
        points: points.iter().map(|(n, x)| [*n, *x]).collect(),
        band: band(&law, &drawn, ends),
        text: sentence(over, shape, law.peak(), peak, is_retrograde, ends.1),
    })
}

fn sentence(
    over: &str,
    shape: Shape,
    extremum: Option<f64>,
    peak: Option<f64>,
    is_retrograde: bool,
    most: f64,
) -> String {
    let law = match shape {
        Shape::Linear => format!("more {over} bring proportionally more"),
        Shape::Amdahl => format!("a part is not shared among {over} (Amdahl's law)"),
        Shape::Usl => format!("{over} wait for each other and must agree (USL)"),
    };
    let term = match (peak, extremum) {
        (Some(peak), _) => format!("the most comes with {peak:.0}"),
        (None, _) if !is_retrograde => "no retrograde term is visible in this range".to_owned(),
        (None, Some(_)) => {
            format!("a peak is not told, as none beyond it was measured (to {most:.0})")
        }
        (None, None) => "it has no peak".to_owned(),
    };
    format!("{law}; {term}; nothing is told beyond {:.0}", REACH * most)
}

/// Laws of runs drawn again, each number keeping as many: of the shape that was chosen, and with
/// all parameters.
fn drawn(levels: &Levels, shape: Shape) -> Vec<(Law, Law)> {
    let mut rng = Rng::new(SEED);
    let laws = (0..DRAWS).filter_map(|_| {
        let again = levels.iter().map(|(n, runs)| (*n, again(runs, &mut rng)));
        let points = flat(&again.collect());
        Some((Law::fit(shape, &points)?, Law::fit(Shape::Usl, &points)?))
    });
    laws.collect()
}

/// As many runs, drawn from those of one number.
///
/// Distances from their mean are stretched, since the mean of few is nearer to them than the truth:
/// or three runs would look a third surer than they are.
#[allow(clippy::cast_precision_loss)] // some runs
fn again(runs: &[f64], rng: &mut Rng) -> Vec<f64> {
    let (mean, n) = (mean(runs), runs.len() as f64);
    let stretch = (n / (n - 1.0)).sqrt();
    let mut place = || usize::try_from(rng.below(runs.len() as u64)).unwrap_or(0);
    let drawn = (0..runs.len()).filter_map(|_| runs.get(place()).copied());
    drawn.map(|x| mean + (x - mean) * stretch).collect()
}

fn band(law: &Law, drawn: &[(Law, Law)], ends: (f64, f64)) -> Vec<[f64; 4]> {
    let (first, last) = (ends.0, REACH * ends.1);
    let places = (0..=BAND_STEPS)
        .map(|step| first + (last - first) * f64::from(step) / f64::from(BAND_STEPS));
    let row = |n: f64| {
        let [low, high] = within(drawn.iter().map(|(law, _)| law.at(n)).collect())?;
        Some([n, law.at(n), low, high])
    };
    places.filter_map(row).collect()
}

/// Between what 95 of 100 of `values` lie.
fn within(mut values: Vec<f64>) -> Option<[f64; 2]> {
    values.sort_unstable_by(f64::total_cmp);
    let outside = values.len() / 40;
    Some([*values.get(outside)?, *values.get(values.len().checked_sub(1 + outside)?)?])
}

#[allow(clippy::cast_precision_loss)] // cores and connections
fn flat(levels: &Levels) -> Vec<(f64, f64)> {
    levels.iter().flat_map(|(n, runs)| runs.iter().map(|x| (*n as f64, *x))).collect()
}

#[allow(clippy::cast_precision_loss)] // some runs
fn mean(runs: &[f64]) -> f64 {
    runs.iter().sum::<f64>() / runs.len() as f64
}
