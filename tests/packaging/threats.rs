//! The threat model names the test that holds each defence; each of them exists and is a test.

use crate::tree::{read, root};
use std::fs;

/// `file.rs::name` pairs in the text.
fn named(text: &str) -> Vec<(String, String)> {
    let tokens = text.split('`').skip(1).step_by(2);
    let pairs = tokens.filter_map(|token| token.split_once(".rs::"));
    pairs.map(|(file, name)| (format!("{file}.rs"), name.to_owned())).collect()
}

/// Whether the file has a test of this name: a function right below an attribute that makes one,
/// or a property, or a line of `rules_hold!`.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let named = |line: &str| line.contains(&format!("fn {name}("));
    let is_test = |line: &str| {
        let attribute = line.strip_prefix("#[").unwrap_or_default();
        attribute.starts_with("test]") || attribute.starts_with("tokio::test")
    };
    let found = lines.iter().enumerate().any(|(n, line)| {
        let above = lines[..n].iter().rev().take_while(|line| line.starts_with(['#', '/']));
        named(line) && above.into_iter().any(|line| is_test(line))
    });
    let rules = text.split_once("rules_hold! {").and_then(|(_, rest)| rest.split_once('}'));
    found || rules.is_some_and(|(rules, _)| rules.split([',', '\n']).any(|r| r.trim() == name))
}

#[test]
fn every_named_test_exists() {
    let page = read("docs/threat-model.md");
    let named = named(&page);
    assert!(named.len() > 60, "{}", named.len());
    let mut absent = Vec::new();
    for (file, name) in named {
        let text = fs::read_to_string(root().join(&file)).unwrap_or_default();
        if !has_test(&text, &name) {
            absent.push(format!("{file}::{name}"));
        }
    }
    assert!(absent.is_empty(), "docs/threat-model.md names no test:\n  {}", absent.join("\n  "));
}

#[test]
fn every_invariant_has_its_chapter() {
    let page = read("docs/threat-model.md");
    let security = read("SECURITY.md");
    let (_, invariants) = security.split_once("## Invariants").expect("a chapter");
    let (invariants, _) = invariants.split_once("\n## ").expect("its end");
    let names = invariants.lines().filter_map(|line| line.strip_prefix("- **")?.split_once(".**"));
    let names: Vec<&str> = names.map(|(name, _)| name.split(',').next().expect("a word")).collect();
    assert!(names.len() >= 7, "{names:?}");
    for name in names {
        let chapter = page.split(&format!("### {name}")).nth(1);
        let chapter = chapter.unwrap_or_else(|| panic!("no chapter for {name}"));
        let chapter = chapter.split("\n### ").next().expect("text");
        assert!(self::named(chapter).len() >= 3, "{name}: fewer than three tests hold it");
    }
}

#[test]
fn what_is_no_test_is_not_found() {
    let text = "fn helper() {}\n#[test]\nfn real() {}\n#[tokio::test]\nasync fn waits() {}\n";
    assert!(has_test(text, "real") && has_test(text, "waits"));
    assert!(!has_test(text, "helper") && !has_test(text, "rea"));
    assert_eq!(named("`a/b.rs::c` and `d`"), [("a/b.rs".into(), "c".into())]);
}
