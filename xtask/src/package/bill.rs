//! The bill of materials: CycloneDX 1.5 as JSON, from what cargo says is linked and from the
//! checksums in `Cargo.lock`.

use crate::shell::{Result, cargo, output_of, root};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// A crate of the product.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    license: String,
    uses: BTreeSet<Id>,
}

/// Name and version.
type Id = (String, String);

pub(super) fn write(version: &str, name: &str, features: &[&str], out: &Path) -> Result<()> {
    let mut tree = cargo(&["tree", "--locked", "--package", "muster", "--edges", "normal"]);
    // Each crate once with what it uses; (*) stands where it comes again.
    tree.args(["--prefix", "depth", "--format", "\t{p}\t{l}"]).args(features);
    let tree = output_of(&mut tree).ok_or("cargo tree failed")?;
    let lock = fs::read_to_string(root().join("Cargo.lock")).map_err(|e| e.to_string())?;
    let text = json(version, name, &parts(&tree)?, &checksums(&lock));
    let file = out.join(format!("{name}-{version}.cdx.json"));
    fs::write(&file, text).map_err(|e| format!("{}: {e}", file.display()))
}

/// Reads `DEPTH \t NAME vVERSION (PATH) \t LICENSE` lines.
fn parts(tree: &str) -> Result<BTreeMap<Id, Part>> {
    let (mut parts, mut above): (BTreeMap<Id, Part>, Vec<Id>) = (BTreeMap::new(), Vec::new());
    for line in tree.lines() {
        let fault = || format!("cargo tree printed what is not known here: {line}");
        let mut fields = line.split('\t');
        let depth = fields.next().and_then(|n| n.parse::<usize>().ok()).ok_or_else(fault)?;
        let mut words = fields.next().ok_or_else(fault)?.split(' ');
        let name = words.next().ok_or_else(fault)?.to_owned();
        let version = words.next().and_then(|v| v.strip_prefix('v')).ok_or_else(fault)?.to_owned();
        let license = fields.next().ok_or_else(fault)?.trim_end_matches(" (*)").to_owned();
        let id = (name, version);
        above.truncate(depth);
        if let Some(user) = above.last().and_then(|user| parts.get_mut(user)) {
            user.uses.insert(id.clone());
        }
        above.push(id.clone());
        parts.entry(id).or_insert(Part { license, uses: BTreeSet::new() });
    }
    Ok(parts)
}

/// SHA-256 of each crate that came from the registry.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name = "), value("version = "), value("checksum = "))
        {
            found.insert((name, version), sum);
        }
    }
    found
}

fn json(
    version: &str,
    name: &str,
    parts: &BTreeMap<Id, Part>,
    sums: &BTreeMap<Id, String>,
) -> String {
    let purl = |(name, version): &Id| format!("pkg:cargo/{name}@{version}");
    let (mut components, mut dependencies) = (Vec::new(), Vec::new());
    for (id, part) in parts {
        let uses: Vec<String> = part.uses.iter().map(|id| text(&purl(id))).collect();
        let itself = text(&purl(id));
        dependencies.push(format!("{{\"ref\":{itself},\"dependsOn\":[{}]}}", uses.join(",")));
        if id.0 == "muster" {
            continue;
        }
        let mut component = format!(
            "{{\"type\":\"library\",\"bom-ref\":{itself},\"name\":{},\"version\":{},\"purl\":{itself}",
            text(&id.0),
            text(&id.1),
        );
        if !part.license.is_empty() {
            let spdx = part.license.replace('/', " OR ");
            let _ = write!(component, ",\"licenses\":[{{\"expression\":{}}}]", text(&spdx));
        }
        if let Some(sum) = sums.get(id) {
            let _ = write!(
                component,
                ",\"hashes\":[{{\"alg\":\"SHA-256\",\"content\":{}}}]",
                text(sum)
            );
        }
        components.push(component + "}");
    }
    let itself = text(&purl(&("muster".into(), version.into())));
    format!(
        "{{\"bomFormat\":\"CycloneDX\",\"specVersion\":\"1.5\",\"version\":1,\n\
         \"metadata\":{{\"component\":{{\"type\":\"application\",\"bom-ref\":{itself},\"name\":{},\
         \"version\":{},\"licenses\":[{{\"expression\":\"Apache-2.0\"}}]}}}},\n\
         \"components\":[\n{}\n],\n\"dependencies\":[\n{}\n]}}\n",
        text(name),
        text(version),
        components.join(",\n"),
        dependencies.join(",\n"),
    )
}

/// A JSON string.
fn text(plain: &str) -> String {
    let mut out = String::from('"');
    for c in plain.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_parts_with_what_they_use() {
        let tree = "0\tmuster v0.1.0 (/x)\tApache-2.0\n1\ta v1.0.0\tMIT/Apache-2.0\n\
            2\tb v2.0.0\tMIT\n1\tb v2.0.0\tMIT (*)\n1\tc v3.0.0 (proc-macro)\t\n";
        let parts = parts(tree).unwrap();
        let id = |name: &str, version: &str| (name.to_owned(), version.to_owned());
        let uses =
            |n: &str, v: &str| parts[&id(n, v)].uses.iter().map(|u| &*u.0).collect::<Vec<_>>();
        assert_eq!(uses("muster", "0.1.0"), ["a", "b", "c"]);
        assert_eq!(uses("a", "1.0.0"), ["b"]);
        assert_eq!(parts[&id("b", "2.0.0")].license, "MIT");
        let lock = "[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nchecksum = \"ab\"\n";
        let bill = json("0.1.0", "muster", &parts, &checksums(lock));
        assert!(bill.contains("\"expression\":\"MIT OR Apache-2.0\""), "{bill}");
        assert!(bill.contains("\"content\":\"ab\""), "{bill}");
        assert!(super::parts("no tree").is_err());
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(text("a\"\\\n"), "\"a\\\"\\\\\\u000a\"");
    }
}
