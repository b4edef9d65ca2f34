//! The lowest point of a function of two numbers, without its slopes (Nelder and Mead 1965).

/// So many steps at most: two numbers take some hundred.
const STEPS_MAX: usize = 2_000;

/// A corner of the triangle that creeps down the function.
type Corner = (f64, [f64; 2]);

/// Where `function` is lowest, searched from `start` in steps of the size `step`.
pub fn lowest(function: impl Fn([f64; 2]) -> f64, start: [f64; 2], step: [f64; 2]) -> [f64; 2] {
    let [x, y] = start;
    let corner = |at: [f64; 2]| (function(at), at);
    let mut corners = [corner(start), corner([x + step[0], y]), corner([x, y + step[1]])];
    for _ in 0..STEPS_MAX {
        corners.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let [best, good, worst] = corners;
        if is_small(best, good, worst) {
            break;
        }
        let middle = between(best.1, good.1, 0.5);
        let reflected = corner(between(worst.1, middle, 2.0));
        let next = if reflected.0 < best.0 {
            lower(corner(between(worst.1, middle, 3.0)), reflected)
        } else if reflected.0 < good.0 {
            reflected
        } else {
            let halfway = if reflected.0 < worst.0 { 1.5 } else { 0.5 };
            corner(between(worst.1, middle, halfway))
        };
        corners = if next.0 < worst.0 {
            [best, good, next]
        } else {
            let shrunk = |from: Corner| corner(between(from.1, best.1, 0.5));
            [best, shrunk(good), shrunk(worst)]
        };
    }
    corners.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let [best, ..] = corners;
    best.1
}

/// Whether the corners are one point to all digits.
fn is_small(best: Corner, good: Corner, worst: Corner) -> bool {
    let near = |other: Corner| {
        best.1.iter().zip(other.1).all(|(one, other)| (one - other).abs() <= 1e-13 * one.abs())
    };
    near(good) && near(worst)
}

fn lower(one: Corner, other: Corner) -> Corner {
    if one.0 < other.0 { one } else { other }
}

/// The point so far on the way from one to another.
fn between(from: [f64; 2], to: [f64; 2], way: f64) -> [f64; 2] {
    let ([x, y], [to_x, to_y]) = (from, to);
    [x + way * (to_x - x), y + way * (to_y - y)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bottom_of_rosenbrocks_valley_is_found() {
        let valley = |[x, y]: [f64; 2]| (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2);
        let [x, y] = lowest(valley, [-1.2, 1.0], [0.5, 0.5]);
        assert!((x - 1.0).abs() < 1e-6 && (y - 1.0).abs() < 1e-6, "{x} {y}");
    }
}
