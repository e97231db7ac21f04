//! The known word that was probably meant.

/// The nearest of the known words, if it is near: a third of the letters may differ, and `_` counts
/// as `-`.
pub(super) fn near<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    let measured = known.map(|name| (distance(&word, name), name));
    let near = measured.filter(|(far, name)| *far <= name.len().max(word.len()).div_ceil(3));
    // Begun and not finished, as `audi` for `audience`, is nearer than it measures.
    near.min_by_key(|(far, name)| (if name.starts_with(&word) { 0 } else { *far }, *name))
        .map(|(_, name)| name)
}

/// Letters to change, add, leave out, or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        rows[i][0] = i;
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut least =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = least;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::near;

    const KNOWN: [&str; 5] = ["listen", "max-age", "tls-cert", "tls-key", "trust-proxy"];

    #[test]
    fn slips_find_the_word_that_was_meant() {
        for (slip, meant) in [
            ("lisen", "listen"),
            ("litsen", "listen"),
            ("Listen", "listen"),
            ("max_age", "max-age"),
            ("tls-crt", "tls-cert"),
            ("trustproxy", "trust-proxy"),
        ] {
            assert_eq!(near(slip, KNOWN.into_iter()), Some(meant), "{slip}");
        }
    }

    #[test]
    fn another_word_is_no_slip() {
        for other in ["colour", "x", "maximum-size-of-all", ""] {
            assert_eq!(near(other, KNOWN.into_iter()), None, "{other}");
        }
    }
}
