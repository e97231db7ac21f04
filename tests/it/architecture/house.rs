//! What the rules look at: the crates as cargo sees them and the source files.

use super::ROOMS;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::{env, fs};

/// A house: ours, or a sample.
#[derive(Default)]
pub(super) struct House {
    pub(super) crates: Vec<Member>,
    pub(super) files: Vec<File>,
}

/// A crate of the workspace.
#[derive(Default)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) dir: String,
    /// The text of its `Cargo.toml`.
    pub(super) manifest: String,
    /// The text of its own `clippy.toml`.
    pub(super) clippy: Option<String>,
    pub(super) dependencies: Vec<Dependency>,
    /// Every crate it is linked with, directly or not. Filled for pure crates only.
    pub(super) reaches: Vec<String>,
}

#[derive(Default)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// From a registry, in any version at all.
    pub(super) wildcard: bool,
    /// Tests only, so not part of what others link.
    pub(super) dev: bool,
}

/// A Rust source file.
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl House {
    /// The workspace this test belongs to.
    pub(super) fn ours() -> &'static Self {
        static OURS: OnceLock<House> = OnceLock::new();
        OURS.get_or_init(|| {
            // Not env!: two checkouts may share a target directory.
            let root = env::var("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
            let root = Path::new(&root);
            let mut house = Self { crates: members(root), files: Vec::new() };
            walk(root, "", &mut house.files);
            assert!(house.crates.len() > 5 && house.files.len() > 20, "the house was not found");
            house
        })
    }

    /// The source files of a crate, tests and examples aside.
    pub(super) fn sources(&self, dir: &str) -> impl Iterator<Item = &File> {
        let src = if dir.is_empty() { "src/".to_owned() } else { format!("{dir}/src/") };
        self.files.iter().filter(move |file| file.path.starts_with(&src))
    }
}

fn members(root: &Path) -> Vec<Member> {
    let metadata = cargo(root, &["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages.iter().map(|package| member(root, package)).collect()
}

fn member(root: &Path, package: &Value) -> Member {
    let name = package["name"].as_str().expect("a name").to_owned();
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    let folder = manifest.parent().expect("a folder");
    // Cargo prints resolved paths, the root may be a symbolic link.
    let real = |path: &Path| fs::canonicalize(path).expect("an existing folder");
    let dir = real(folder).strip_prefix(real(root)).map(|dir| dir.to_string_lossy().into_owned());
    let dir = dir.expect("members lie below the root");
    let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
    let dependencies = dependencies.map(|dependency| Dependency {
        name: dependency["name"].as_str().expect("a name").to_owned(),
        wildcard: dependency["req"] == "*" && !dependency["source"].is_null(),
        dev: dependency["kind"] == "dev",
    });
    let pure = ROOMS.iter().any(|room| room.pure && room.name == name);
    Member {
        dependencies: dependencies.collect(),
        manifest: fs::read_to_string(manifest).expect("a readable Cargo.toml"),
        clippy: fs::read_to_string(folder.join("clippy.toml")).ok(),
        reaches: if pure { reached(root, &name) } else { Vec::new() },
        name,
        dir,
    }
}

/// The crates that `package` is linked with, all features on.
fn reached(root: &Path, package: &str) -> Vec<String> {
    let options = ["--edges", "normal", "--prefix", "none", "--all-features", "--locked"];
    let tree = cargo(root, &[&["tree", "--package", package][..], &options].concat());
    tree.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

fn cargo(root: &Path, arguments: &[&str]) -> String {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(root).output().expect("cargo");
    let fault = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {fault}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn walk(dir: &Path, prefix: &str, files: &mut Vec<File>) {
    let entries = fs::read_dir(dir).expect("a readable folder").flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = entry.path();
        if name.starts_with('.') || name == "target" || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            walk(&path, &format!("{prefix}{name}/"), files);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("a readable source file");
            files.push(File { path: format!("{prefix}{name}"), text });
        }
    }
}
