//! Weighted linear least squares, by orthogonal columns and not by normal equations, which lose
//! half of the digits.

use super::student;

/// A column that is left with less than this part of itself is a mixture of those before it.
const COLLINEAR: f64 = 1e-9;

/// A plane through points.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// The factor of each column.
    pub coefficients: Vec<f64>,
    /// How far each of these may be off: its standard error.
    pub errors: Vec<f64>,
    /// The standard deviation of a point of weight 1 around the plane.
    pub deviation: f64,
    /// Points beyond those that it takes.
    pub freedom: f64,
    /// The part of the variation of the points that the plane explains.
    pub r2: f64,
    /// For each column what it has of the orthogonal ones before it, and of its own.
    triangle: Vec<Vec<f64>>,
}

impl Fit {
    /// The plane that is nearest to the `values`, each of which belongs to a row of `columns`, with
    /// so much weight. A column of ones is the constant.
    ///
    /// `None` with too few points to tell how far they are off, or if a column follows from the
    /// others.
    pub fn new(columns: &[Vec<f64>], values: &[f64], weights: &[f64]) -> Option<Self> {
        let freedom = values.len().checked_sub(columns.len()).filter(|freedom| *freedom > 0)?;
        let roots: Vec<_> = weights.iter().map(|weight| weight.sqrt()).collect();
        let weighed = |column: &[f64]| -> Vec<f64> {
            column.iter().zip(&roots).map(|(value, root)| value * root).collect()
        };
        let (mut basis, mut triangle): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (Vec::new(), Vec::new());
        for column in columns {
            let mut column = weighed(column);
            let before = length(&column);
            let mut parts = remove(&basis, &mut column);
            let after = length(&column);
            if after.is_nan() || after <= COLLINEAR * before {
                return None;
            }
            parts.push(after);
            basis.push(column.iter().map(|value| value / after).collect());
            triangle.push(parts);
        }
        let mut residuals = weighed(values);
        let parts = remove(&basis, &mut residuals);
        let coefficients = solve(&triangle, parts)?;
        let squares: f64 = residuals.iter().map(|value| value * value).sum();
        #[allow(clippy::cast_precision_loss)] // some points
        let freedom = freedom as f64;
        let mut fit = Self {
            coefficients,
            errors: Vec::new(),
            deviation: (squares / freedom).sqrt(),
            freedom,
            r2: 1.0 - squares / variation(values, weights),
            triangle,
        };
        let unit = |at: usize| (0..columns.len()).map(move |it| f64::from(u8::from(it == at)));
        let errors = (0..columns.len()).map(|at| fit.error_at(&unit(at).collect::<Vec<_>>()));
        fit.errors = errors.collect();
        Some(fit)
    }

    /// The plane's value at `row`.
    pub fn at(&self, row: &[f64]) -> f64 {
        dot(&self.coefficients, row)
    }

    /// How far in 95 of 100 cases a new point of this `weight` lies from the plane at `row`: half a
    /// prediction interval.
    pub fn reach(&self, row: &[f64], weight: f64) -> f64 {
        let error = self.error_at(row).hypot(self.deviation / weight.sqrt());
        error * student::quantile(0.975, self.freedom)
    }

    /// The chance to find the coefficient at `at` as far from zero if it is zero.
    pub fn chance(&self, at: usize) -> f64 {
        let (Some(value), Some(error)) = (self.coefficients.get(at), self.errors.get(at)) else {
            return 1.0;
        };
        2.0 * (1.0 - student::share_below((value / error).abs(), self.freedom))
    }

    /// The standard error of the plane at `row`.
    fn error_at(&self, row: &[f64]) -> f64 {
        let mut solved: Vec<f64> = Vec::with_capacity(row.len());
        for (parts, value) in self.triangle.iter().zip(row) {
            let own = parts.last().copied().unwrap_or(f64::NAN);
            solved.push((value - dot(parts, &solved)) / own);
        }
        self.deviation * length(&solved)
    }
}

/// Takes out of `column` what it has of each column of `basis`, and returns how much that was.
///
/// Once is not enough: what rounding leaves behind of a long part can be as large as a short rest.
fn remove(basis: &[Vec<f64>], column: &mut [f64]) -> Vec<f64> {
    let mut parts = vec![0.0; basis.len()];
    for _ in 0..2 {
        for (base, sum) in basis.iter().zip(&mut parts) {
            let part = dot(base, column);
            *sum += part;
            column.iter_mut().zip(base).for_each(|(value, base)| *value -= part * base);
        }
    }
    parts
}

/// Solves the triangle from its last column to its first.
fn solve(triangle: &[Vec<f64>], mut parts: Vec<f64>) -> Option<Vec<f64>> {
    let mut solved = Vec::new();
    for column in triangle.iter().rev() {
        let (own, others) = column.split_last()?;
        let value = parts.pop()? / own;
        parts.iter_mut().zip(others).for_each(|(part, other)| *part -= value * other);
        solved.push(value);
    }
    solved.reverse();
    Some(solved)
}

/// The weighted squares of the distances from the weighted mean.
fn variation(values: &[f64], weights: &[f64]) -> f64 {
    let mean = dot(values, weights) / weights.iter().sum::<f64>();
    values.iter().zip(weights).map(|(value, weight)| weight * (value - mean).powi(2)).sum()
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn length(column: &[f64]) -> f64 {
    dot(column, column).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_near(found: f64, certified: f64, digits: i32) {
        let off = (found / certified - 1.0).abs();
        assert!(off < 10f64.powi(-digits), "{found} and not {certified}");
    }

    fn fit(columns: &[Vec<f64>], values: &[f64]) -> Fit {
        Fit::new(columns, values, &vec![1.0; values.len()]).unwrap()
    }

    #[test]
    fn norris_comes_out_as_the_nist_certifies() {
        #[rustfmt::skip]
        const Y_X: [(f64, f64); 36] = [
            (0.1, 0.2), (338.8, 337.4), (118.1, 118.2), (888.0, 884.6), (9.2, 10.1),
            (228.1, 226.5), (668.5, 666.3), (998.5, 996.3), (449.1, 448.6), (778.9, 777.0),
            (559.2, 558.2), (0.3, 0.4), (0.1, 0.6), (778.1, 775.5), (668.8, 666.9),
            (339.3, 338.0), (448.9, 447.5), (10.8, 11.6), (557.7, 556.0), (228.3, 228.1),
            (998.0, 995.8), (888.8, 887.6), (119.6, 120.2), (0.3, 0.3), (0.6, 0.3),
            (557.6, 556.8), (339.3, 339.1), (888.0, 887.2), (998.5, 999.0), (778.9, 779.0),
            (10.2, 11.1), (117.6, 118.3), (228.9, 229.2), (668.4, 669.1), (449.2, 448.9),
            (0.2, 0.5),
        ];
        let (y, x): (Vec<_>, Vec<_>) = Y_X.iter().copied().unzip();
        let fit = fit(&[vec![1.0; 36], x], &y);
        is_near(fit.coefficients[0], -0.262_323_073_774_029, 11);
        is_near(fit.coefficients[1], 1.002_116_818_020_45, 13);
        is_near(fit.errors[0], 0.232_818_234_301_152, 11);
        is_near(fit.errors[1], 0.429_796_848_199_937e-3, 11);
        is_near(fit.deviation, 0.884_796_396_144_373, 11);
        is_near(fit.r2, 0.999_993_745_883_712, 13);
    }

    #[test]
    fn longley_comes_out_although_its_columns_are_nearly_alike() {
        const ROWS: [[f64; 7]; 16] = [
            [60_323.0, 83.0, 234_289.0, 2_356.0, 1_590.0, 107_608.0, 1947.0],
            [61_122.0, 88.5, 259_426.0, 2_325.0, 1_456.0, 108_632.0, 1948.0],
            [60_171.0, 88.2, 258_054.0, 3_682.0, 1_616.0, 109_773.0, 1949.0],
            [61_187.0, 89.5, 284_599.0, 3_351.0, 1_650.0, 110_929.0, 1950.0],
            [63_221.0, 96.2, 328_975.0, 2_099.0, 3_099.0, 112_075.0, 1951.0],
            [63_639.0, 98.1, 346_999.0, 1_932.0, 3_594.0, 113_270.0, 1952.0],
            [64_989.0, 99.0, 365_385.0, 1_870.0, 3_547.0, 115_094.0, 1953.0],
            [63_761.0, 100.0, 363_112.0, 3_578.0, 3_350.0, 116_219.0, 1954.0],
            [66_019.0, 101.2, 397_469.0, 2_904.0, 3_048.0, 117_388.0, 1955.0],
            [67_857.0, 104.6, 419_180.0, 2_822.0, 2_857.0, 118_734.0, 1956.0],
            [68_169.0, 108.4, 442_769.0, 2_936.0, 2_798.0, 120_445.0, 1957.0],
            [66_513.0, 110.8, 444_546.0, 4_681.0, 2_637.0, 121_950.0, 1958.0],
            [68_655.0, 112.6, 482_704.0, 3_813.0, 2_552.0, 123_366.0, 1959.0],
            [69_564.0, 114.2, 502_601.0, 3_931.0, 2_514.0, 125_368.0, 1960.0],
            [69_331.0, 115.7, 518_173.0, 4_806.0, 2_572.0, 127_852.0, 1961.0],
            [70_551.0, 116.9, 554_894.0, 4_007.0, 2_827.0, 130_081.0, 1962.0],
        ];
        let column = |at: usize| ROWS.iter().map(|row| row[at]).collect::<Vec<_>>();
        let mut columns = vec![vec![1.0; 16]];
        columns.extend((1..7).map(column));
        let fit = fit(&columns, &column(0));
        let certified = [
            (-3_482_258.634_595_82, 890_420.383_607_373),
            (15.061_872_271_373_3, 84.914_925_774_766_9),
            (-0.358_191_792_925_910e-1, 0.334_910_077_722_432e-1),
            (-2.020_229_803_816_83, 0.488_399_681_651_699),
            (-1.033_226_867_173_59, 0.214_274_163_161_675),
            (-0.511_041_056_535_807e-1, 0.226_073_200_069_370),
            (1_829.151_464_613_55, 455.478_499_142_212),
        ];
        let found = fit.coefficients.iter().zip(&fit.errors);
        for ((coefficient, error), (value, deviation)) in found.zip(certified) {
            is_near(*coefficient, value, 8);
            is_near(*error, deviation, 8);
        }
        is_near(fit.deviation, 304.854_073_561_965, 9);
        is_near(fit.r2, 0.995_479_004_577_296, 10);
    }

    #[test]
    fn a_heavy_point_counts_as_often_as_it_weighs() {
        let x = vec![1.0, 2.0, 3.0, 4.0];
        let weighed =
            Fit::new(&[vec![1.0; 4], x], &[1.0, 2.5, 2.0, 5.0], &[1.0, 1.0, 1.0, 2.0]).unwrap();
        let twice = fit(&[vec![1.0; 5], vec![1.0, 2.0, 3.0, 4.0, 4.0]], &[1.0, 2.5, 2.0, 5.0, 5.0]);
        is_near(weighed.coefficients[1], twice.coefficients[1], 12);
        is_near(weighed.coefficients[0], twice.coefficients[0], 12);
    }

    #[test]
    fn a_prediction_is_as_wide_as_the_textbook_says() {
        // x 1 to 5: mean 3, squares 10; at x = 6 the factor is sqrt(1 + 1/5 + 9/10).
        let fit = fit(&[vec![1.0; 5], vec![1.0, 2.0, 3.0, 4.0, 5.0]], &[2.1, 3.9, 6.2, 7.8, 10.1]);
        let reach = 3.182_446 * fit.deviation * 2.1_f64.sqrt();
        is_near(fit.reach(&[1.0, 6.0], 1.0), reach, 6);
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        let ones = vec![1.0; 4];
        assert_eq!(Fit::new(&[ones.clone(), ones.clone()], &[1.0; 4], &[1.0; 4]), None);
        assert_eq!(Fit::new(&[vec![1.0; 2], vec![1.0, 2.0]], &[1.0; 2], &[1.0; 2]), None);
    }
}
