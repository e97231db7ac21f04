//! The project's own vectors: what other implementations read. The files are what this crate
//! makes from fixed seeds, and each, read from disk, means what it says.
//! `MUSTER_WRITE_VECTORS=1` writes them anew.

mod check;
mod consortium;
mod cose;
mod flawed;
mod flawed_parts;
mod flawed_proofs;
mod governance;
mod made;

use data_encoding::HEXLOWER;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One vector: a flat JSON object of strings, numbers, booleans and lists of strings.
pub(crate) struct Vector {
    folder: &'static str,
    name: String,
    fields: Vec<(&'static str, String)>,
    /// The bytes under test, for those that are CBOR of one kind.
    pub(crate) sample: Option<(&'static str, Vec<u8>)>,
}

impl Vector {
    fn valid(kind: &'static str, name: &str, about: &str) -> Self {
        let vector = Self { folder: "valid", name: name.into(), fields: vec![], sample: None };
        vector.text("kind", kind).text("about", about)
    }

    fn invalid(kind: &'static str, flaw: &str, fault: &str) -> Self {
        let vector = Self { folder: "invalid", name: flaw.into(), fields: vec![], sample: None };
        vector.text("kind", kind).text("fault", fault)
    }

    fn raw(mut self, name: &'static str, json: String) -> Self {
        self.fields.push((name, json));
        self
    }

    fn text(self, name: &'static str, value: impl ToString) -> Self {
        let json = serde_json::to_string(&value.to_string()).unwrap();
        self.raw(name, json)
    }

    fn hex(self, name: &'static str, bytes: &[u8]) -> Self {
        self.text(name, HEXLOWER.encode(bytes))
    }

    /// Bytes under test, which the mutation tests start from too.
    fn cbor(mut self, kind: &'static str, bytes: Vec<u8>) -> Self {
        self = self.hex(kind, &bytes);
        self.sample = Some((kind, bytes));
        self
    }

    fn number(self, name: &'static str, value: u64) -> Self {
        self.raw(name, value.to_string())
    }

    fn list(self, name: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        let lines: Vec<_> = values.into_iter().map(|v| format!("    \"{v}\"")).collect();
        self.raw(name, format!("[\n{}\n  ]", lines.join(",\n")))
    }

    fn render(&self) -> String {
        let lines: Vec<_> =
            self.fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name)
}

fn on_disk(name: &str) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("ledger-"))
        .collect();
    paths.sort();
    paths
}

/// Every valid vector, for the tests that start from good bytes.
pub(crate) fn valid() -> Vec<Vector> {
    made::all().into_iter().chain(governance::all()).chain(consortium::all()).collect()
}

#[test]
fn the_files_are_what_the_crate_makes() {
    let write = std::env::var_os("MUSTER_WRITE_VECTORS").is_some();
    let mut files = BTreeSet::new();
    let flawed = [
        flawed::all(),
        flawed_parts::all(),
        flawed_proofs::all(),
        governance::flawed(),
        consortium::flawed(),
    ];
    for vector in valid().into_iter().chain(flawed.into_iter().flatten()) {
        let path = folder(vector.folder).join(format!("ledger-{}.json", vector.name));
        let text = vector.render();
        if write {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{}: MUSTER_WRITE_VECTORS=1 writes it", path.display());
        assert!(files.insert(path), "two vectors named {}", vector.name);
    }
    for name in ["valid", "invalid"] {
        for path in on_disk(name) {
            assert!(files.contains(&path), "{} is made by nothing", path.display());
        }
    }
}
