//! Just enough of Rust's grammar to look at code without its comments, its literals and its
//! unit tests. Line breaks stay where they are, so findings can name the line.

/// The text with comments and the insides of string and character literals made blank.
pub(super) fn bare(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = literal_or_comment(&chars, at);
        if end > at {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        } else {
            out.push(chars[at]);
            at += 1;
        }
    }
    out
}

/// Where the comment or literal that begins at `at` ends; `at` itself if none begins there.
fn literal_or_comment(chars: &[char], at: usize) -> usize {
    let after = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let find = |from: usize, stop: &dyn Fn(usize) -> bool| {
        (from..chars.len()).find(|i| stop(*i)).unwrap_or(chars.len())
    };
    let in_word = at > 0 && is_word(chars[at - 1]);
    match (chars[at], after(at + 1)) {
        ('/', '/') => find(at, &|i| chars[i] == '\n'),
        ('/', '*') => {
            let (mut depth, mut i) = (0, at);
            while i < chars.len() {
                match (chars[i], after(i + 1)) {
                    ('/', '*') => (depth, i) = (depth + 1, i + 2),
                    ('*', '/') => (depth, i) = (depth - 1, i + 2),
                    _ => i += 1,
                }
                if depth == 0 {
                    break;
                }
            }
            i
        }
        ('"', _) => quoted(chars, at + 1, '"'),
        ('r', '"' | '#') if !in_word || chars[at - 1] == 'b' => {
            let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
            if after(at + 1 + hashes) != '"' {
                return at; // a raw identifier
            }
            let closes = |i: usize| chars[i] == '"' && (1..=hashes).all(|n| after(i + n) == '#');
            (find(at + 2 + hashes, &closes) + 1 + hashes).min(chars.len())
        }
        // A character, unless it is a lifetime: 'a' and '\n', but not 'a.
        ('\'', '\\') => quoted(chars, at + 1, '\''),
        ('\'', _) if after(at + 2) == '\'' => at + 3,
        _ => at,
    }
}

fn quoted(chars: &[char], mut at: usize, quote: char) -> usize {
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

/// Bare code without the items marked `#[cfg(test)]`.
pub(super) fn without_tests(bare: &str) -> String {
    let mut code = bare.to_owned();
    for mark in ["#[cfg(test)]", "#[cfg(all(test"] {
        while let Some(start) = code.find(mark) {
            let item = start + mark.len();
            let end = match code[item..].find(['{', ';']) {
                Some(n) if code.as_bytes()[item + n] == b'{' => item + n + block(&code[item + n..]),
                Some(n) => item + n + 1,
                None => code.len(),
            };
            let blank: String =
                code[start..end].chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
            code.replace_range(start..end, &blank);
        }
    }
    code
}

/// Length of the block that the text begins with.
fn block(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Identifiers, keywords and numbers, each with its line.
pub(super) fn words(bare: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = bare.lines().enumerate();
    lines.flat_map(|(n, line)| {
        line.split(|c| !is_word(c)).filter(|word| !word.is_empty()).map(move |word| (n + 1, word))
    })
}

/// The modules of `std` that code names, also inside `use std::{fs, net::IpAddr};`.
pub(super) fn std_modules(bare: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    for (at, _) in bare.match_indices("std::") {
        if bare[..at].ends_with(is_word) {
            continue;
        }
        let line = bare[..at].matches('\n').count() + 1;
        let rest = bare[at + "std::".len()..].trim_start();
        if rest.starts_with('{') {
            let mut depth = 0;
            let group = &rest[1..block(rest).max(2) - 1];
            let outermost = |c: char| {
                match c {
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    _ => {}
                }
                c == ',' && depth == 0
            };
            found.extend(group.split(outermost).map(|item| (line, first_word(item.trim()))));
        } else {
            found.push((line, first_word(rest)));
        }
    }
    found
}

fn first_word(text: &str) -> &str {
    text.split(|c| !is_word(c)).next().unwrap_or_default()
}

/// Whether the word, or the text around the dot, is a floating-point type or number.
pub(super) fn floats(bare: &str) -> Vec<usize> {
    let is_float = |word: &str| {
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        let decimal = number && !word.starts_with("0x");
        let exponent = |(head, tail): (&str, &str)| {
            [head, tail].iter().all(|part| part.bytes().all(|b| b.is_ascii_digit() || b == b'_'))
        };
        matches!(word, "f32" | "f64")
            || decimal && (word.ends_with("f32") || word.ends_with("f64"))
            || decimal && word.split_once(['e', 'E']).is_some_and(exponent)
    };
    let mut lines: Vec<usize> =
        words(bare).filter(|(_, word)| is_float(word)).map(|(line, _)| line).collect();
    // `1.5`, but neither the range `1..5` nor the field `pair.0.1`.
    for (n, line) in bare.lines().enumerate() {
        let dotted = line.match_indices('.').any(|(at, _)| {
            let head = line[..at].trim_end_matches(|c: char| c.is_ascii_digit() || c == '_');
            let digits = head.len() < at && !head.ends_with(|c| c == '.' || is_word(c));
            digits && line[at + 1..].starts_with(|c: char| c.is_ascii_digit())
        });
        if dotted {
            lines.push(n + 1);
        }
    }
    lines
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
