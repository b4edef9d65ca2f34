//! The universal scalability law (Gunther 1993): what more cores, or more clients, bring.
//!
//! ```text
//!                    gamma n                        alpha: waiting for each other
//!   x(n) = ---------------------------------        beta:  agreeing with each other
//!          1 + alpha (n - 1) + beta n (n - 1)       both 0: proportional; beta 0: Amdahl's law
//! ```

use super::search;

/// The law with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// What one brings.
    pub gamma: f64,
    /// Contention.
    pub alpha: f64,
    /// Coherency.
    pub beta: f64,
}

/// Which parameters may differ from zero.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shape {
    /// Twice as many bring twice as much.
    Linear,
    /// A part cannot be shared.
    Amdahl,
    /// And agreeing costs, so that more may bring less.
    Usl,
}

impl Shape {
    /// From the simplest.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Amdahl, Self::Usl];

    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Amdahl => "amdahl",
            Self::Usl => "usl",
        }
    }

    const fn parameters(self) -> u32 {
        match self {
            Self::Linear => 1,
            Self::Amdahl => 2,
            Self::Usl => 3,
        }
    }
}

impl Law {
    /// The law of this `shape` that is nearest to the `points`, each how many and what all brought.
    ///
    /// `None` if nothing was brought at all.
    pub fn fit(shape: Shape, points: &[(f64, f64)]) -> Option<Self> {
        let last = points.iter().map(|(n, _)| *n).fold(1.0, f64::max);
        // The parameters at which the law begins to bend within the points, so that steps are of
        // their size; squares keep them from becoming negative.
        let (alpha_scale, beta_scale) = (1.0 / last, 1.0 / (last * last));
        let law = |[a, b]: [f64; 2]| {
            let alpha = if shape == Shape::Linear { 0.0 } else { a * a * alpha_scale };
            let beta = if shape == Shape::Usl { b * b * beta_scale } else { 0.0 };
            scaled(alpha, beta, points)
        };
        let squares = |at| law(at).map_or(f64::INFINITY, |law| law.squares(points));
        let found = [[0.1, 0.1], [1.0, 0.1], [1.0, 1.0], [3.0, 3.0]]
            .map(|start| search::lowest(squares, start, [0.3, 0.3]));
        let best = found.into_iter().min_by(|one, other| squares(*one).total_cmp(&squares(*other)));
        law(best?)
    }

    /// What `n` bring.
    pub fn at(&self, n: f64) -> f64 {
        self.gamma * share(self.alpha, self.beta, n)
    }

    /// How many bring the most, if more bring less from there on.
    pub fn peak(&self) -> Option<f64> {
        (self.beta > 0.0 && self.alpha < 1.0).then(|| ((1.0 - self.alpha) / self.beta).sqrt())
    }

    /// Akaike's criterion for few points: lower is the better bet.
    #[allow(clippy::cast_precision_loss)] // some points
    pub fn aicc(&self, shape: Shape, points: &[(f64, f64)]) -> f64 {
        let n = points.len() as f64;
        // The variance is a parameter, too.
        let k = f64::from(shape.parameters() + 1);
        let variance = (self.squares(points) / n).max(f64::MIN_POSITIVE);
        n * variance.ln() + 2.0 * k + 2.0 * k * (k + 1.0) / (n - k - 1.0)
    }

    /// The squares of the distances of the points.
    fn squares(&self, points: &[(f64, f64)]) -> f64 {
        points.iter().map(|(n, x)| (x - self.at(*n)).powi(2)).sum()
    }
}

/// The law with the best gamma for given others, which has a closed form.
fn scaled(alpha: f64, beta: f64, points: &[(f64, f64)]) -> Option<Law> {
    let product: f64 = points.iter().map(|(n, x)| x * share(alpha, beta, *n)).sum();
    let square: f64 = points.iter().map(|(n, _)| share(alpha, beta, *n).powi(2)).sum();
    let gamma = product / square;
    (gamma.is_finite() && gamma > 0.0).then_some(Law { gamma, alpha, beta })
}

fn share(alpha: f64, beta: f64, n: f64) -> f64 {
    n / (1.0 + alpha * (n - 1.0) + beta * n * (n - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SPEC SDM 91 on a `SPARCcenter` 2000: users, and scripts an hour.
    const SDM91: [(f64, f64); 7] = [
        (1.0, 64.9),
        (18.0, 995.9),
        (36.0, 1652.4),
        (72.0, 1853.2),
        (108.0, 1828.9),
        (144.0, 1775.0),
        (216.0, 1702.2),
    ];

    #[test]
    fn sdm91_comes_out_as_published() {
        let law = Law::fit(Shape::Usl, &SDM91).unwrap();
        // The R package usl: limit of alpha 36.064, peak 96.520.
        assert!((1.0 / law.alpha - 36.064).abs() < 0.01, "{law:?}");
        assert!((law.peak().unwrap() - 96.52).abs() < 0.01, "{law:?}");
        assert!((law.gamma - 89.995).abs() < 0.01, "{law:?}");
        let aicc = |shape| Law::fit(shape, &SDM91).unwrap().aicc(shape, &SDM91);
        assert!(aicc(Shape::Amdahl) < aicc(Shape::Linear));
        assert!(aicc(Shape::Usl) > aicc(Shape::Amdahl), "seven points do not pay for three");
        let three_times = [SDM91; 3].concat();
        let aicc = |shape| Law::fit(shape, &three_times).unwrap().aicc(shape, &three_times);
        assert!(aicc(Shape::Usl) < aicc(Shape::Amdahl), "three times as many do");
    }

    #[test]
    fn exact_points_give_their_parameters_back() {
        let truth = Law { gamma: 1.0, alpha: 0.02, beta: 0.02 };
        let points: Vec<_> = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0].map(|n| (n, truth.at(n))).into();
        assert!((points[1].1 - 1.8868).abs() < 1e-4, "as in the tests of the R package");
        let law = Law::fit(Shape::Usl, &points).unwrap();
        assert!((law.alpha - 0.02).abs() < 1e-6 && (law.beta - 0.02).abs() < 1e-6, "{law:?}");
    }

    #[test]
    fn a_parameter_never_becomes_negative() {
        // Faster than proportional: a cache that several share.
        let points: Vec<_> = (1..8).map(f64::from).map(|n| (n, n.powf(1.2))).collect();
        let law = Law::fit(Shape::Usl, &points).unwrap();
        assert!(law.alpha >= 0.0 && law.beta >= 0.0 && law.alpha < 1e-6, "{law:?}");
        assert_eq!(Law::fit(Shape::Usl, &[(1.0, 0.0), (2.0, 0.0)]), None);
        let line = Law::fit(Shape::Linear, &points).unwrap();
        assert_eq!((line.alpha, line.peak()), (0.0, None));
    }
}
