//! Student's t: how far a mean of few may lie from the truth.

/// Beyond this many steps the continued fraction has converged, or never will.
const STEPS_MAX: u32 = 300;

/// The value below which a share `p` of Student's distribution with `freedom` degrees lies.
///
/// `p` lies between 0 and 1, `freedom` above 0.
pub fn quantile(p: f64, freedom: f64) -> f64 {
    if p < 0.5 {
        return -quantile(1.0 - p, freedom);
    }
    let mut high = 1.0;
    // With one degree of freedom the tail is that of 1/t: this ends after some 50 steps.
    while share_below(high, freedom) < p && high < 1e16 {
        high *= 2.0;
    }
    let mut low = 0.0;
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        if share_below(middle, freedom) < p { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The share of Student's distribution with `freedom` degrees that lies below `t`.
pub fn share_below(t: f64, freedom: f64) -> f64 {
    let tail = beta(freedom / (freedom + t * t), freedom / 2.0, 0.5) / 2.0;
    if t < 0.0 { tail } else { 1.0 - tail }
}

/// The regularized incomplete beta function.
fn beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    let front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    // The fraction converges fast on one side of the mean; the other side follows by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        front.exp() * fraction(x, a, b) / a
    } else {
        1.0 - front.exp() * fraction(1.0 - x, b, a) / b
    }
}

/// The continued fraction of the incomplete beta function, by Lentz' method.
fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let apart = |number: f64| if number.abs() < TINY { TINY } else { number };
    let mut ratio = 1.0;
    let mut inverse = 1.0 / apart(1.0 - (a + b) * x / (a + 1.0));
    let mut product = inverse;
    for step in (1..STEPS_MAX).map(f64::from) {
        let even = step * (b - step) * x / ((a + 2.0 * step - 1.0) * (a + 2.0 * step));
        let odd = -(a + step) * (a + b + step) * x / ((a + 2.0 * step) * (a + 2.0 * step + 1.0));
        let before = product;
        for term in [even, odd] {
            inverse = 1.0 / apart(1.0 + term * inverse);
            ratio = apart(1.0 + term / ratio);
            product *= inverse * ratio;
        }
        if (product - before).abs() < 1e-15 * product.abs() {
            break;
        }
    }
    product
}

/// The logarithm of the gamma function of a positive number (Lanczos).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 6] = [
        76.180_091_729_471_46,
        -86.505_320_329_416_77,
        24.014_098_240_830_91,
        -1.231_739_572_450_155,
        0.120_865_097_386_617_9e-2,
        -0.539_523_938_495_3e-5,
    ];
    let base = x + 5.5;
    let base = base - (x + 0.5) * base.ln();
    let series = (1..).zip(TERMS).fold(1.000_000_000_190_015, |sum, (step, term): (u32, f64)| {
        sum + term / (x + f64::from(step))
    });
    -base + (std::f64::consts::TAU.sqrt() * series / x).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (p, freedom, t) in [
            (0.975, 1.0, 12.706_2),
            (0.975, 2.0, 4.302_7),
            (0.975, 4.0, 2.776_4),
            (0.975, 10.0, 2.228_1),
            (0.975, 30.0, 2.042_3),
            (0.95, 5.0, 2.015_0),
            (0.995, 9.0, 3.249_8),
            (0.975, 1e6, 1.960_0),
            (0.5, 3.0, 0.0),
            (0.025, 10.0, -2.228_1),
        ] {
            let found = quantile(p, freedom);
            assert!((found - t).abs() < 1e-4, "{p} {freedom}: {found} and not {t}");
        }
    }

    #[test]
    fn with_one_degree_it_is_cauchys() {
        for t in [-3.0_f64, -0.5, 0.0, 0.1, 1.0, 10.0, 1e6] {
            let cauchy = 0.5 + t.atan() / std::f64::consts::PI;
            assert!((share_below(t, 1.0) - cauchy).abs() < 1e-9, "{t}");
        }
    }
}
