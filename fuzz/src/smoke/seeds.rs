//! Seeds: the files in `tests/vectors/{valid,invalid}` and `fuzz/seeds/TARGET`. A vector file is
//! JSON that holds many inputs, so every string of a text file is a seed too, and every string
//! of hexadecimal digits also as the bytes it stands for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Longest seed. Inputs above the decoders' own limits are refused at once and teach nothing.
const MAX_SEED: usize = 64 * 1024;
/// Most seeds: each is fed once before the clock starts.
const MAX_SEEDS: usize = 20_000;

/// The seeds of a target, in a fixed order.
pub fn load(target: &str) -> Vec<Vec<u8>> {
    let fuzz = folder();
    let mut files = Vec::new();
    // Both kinds: an invalid vector is one mutation away from a valid one.
    for dir in ["../tests/vectors/valid", "../tests/vectors/invalid"] {
        list(&fuzz.join(dir), &mut files);
    }
    list(&fuzz.join("seeds").join(target), &mut files);
    let mut seeds = BTreeSet::from([Vec::new()]);
    for file in files {
        let Ok(bytes) = fs::read(&file) else { continue };
        if let Ok(text) = str::from_utf8(&bytes) {
            seeds.extend(strings(text));
        }
        if bytes.len() <= MAX_SEED {
            seeds.insert(bytes);
        }
    }
    seeds.into_iter().take(MAX_SEEDS).collect()
}

/// The folder of the fuzz crate. Not `env!`: two checkouts may share a target directory.
pub fn folder() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into())
}

fn list(dir: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The strings of a text, in their own characters and, where they are hexadecimal, as bytes.
fn strings(text: &str) -> impl Iterator<Item = Vec<u8>> + '_ {
    text.split(|c: char| c == '"' || c.is_whitespace())
        .filter(|word| (4..=MAX_SEED).contains(&word.len()))
        .flat_map(|word| [Some(word.as_bytes().to_vec()), from_hex(word)])
        .flatten()
}

fn from_hex(word: &str) -> Option<Vec<u8>> {
    let digit = |b: &u8| char::from(*b).to_digit(16).map(|d| d as u8);
    let digits = word.as_bytes().iter().map(digit).collect::<Option<Vec<u8>>>()?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    Some(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_a_vector_are_seeds_as_text_and_as_bytes() {
        let found: Vec<_> =
            strings(r#"{"cbor": "a101f5f4", "odd": "abc", "x": "no-hex"}"#).collect();
        assert!(found.contains(&b"a101f5f4".to_vec()));
        assert!(found.contains(&vec![0xa1, 0x01, 0xf5, 0xf4]));
        assert!(found.contains(&b"no-hex".to_vec()));
        assert_eq!(from_hex("abc"), None);
    }
}
