//! The word that was meant.

/// The one of `words` that takes the fewest edits to become `written`.
pub(super) fn nearest(words: impl Iterator<Item = String>, written: &str) -> String {
    words.min_by_key(|word| edits(word, written)).unwrap_or_default()
}

/// How many letters to insert, remove or replace so that `a` becomes `b` (Levenshtein).
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, a) in a.chars().enumerate() {
        let (mut diagonal, mut left) = (i, i + 1);
        for (cell, b) in row.iter_mut().zip(std::iter::once('\0').chain(b.chars())).skip(1) {
            let replaced = diagonal + usize::from(a != b);
            diagonal = *cell;
            left = replaced.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        let rows = [("", "", 0), ("", "ab", 2), ("listen", "lisen", 1), ("kitten", "sitting", 3)];
        for (a, b, count) in rows {
            assert_eq!((edits(a, b), edits(b, a)), (count, count), "{a} {b}");
        }
    }
}
