//! The small build: what it leaves out. That its commands say how to get the rest is tested in
//! `src/commands/absent.rs`, which `cargo xtask ci` runs with the features of that build.

use std::process::Command;

/// What a gateway has no use for, by crate.
const LEFT_OUT: [&str; 8] = [
    "muster-registry",
    "muster-provisioning",
    "muster-did-methods",
    "muster-web",
    "sqlx",
    "libsqlite3-sys",
    "rusqlite",
    "rsa",
];

fn linked(features: &[&str]) -> Vec<String> {
    let tree = ["tree", "--locked", "--package", "muster", "--edges", "normal", "--prefix", "none"];
    let tree = Command::new(env!("CARGO")).args(tree).args(features).output().expect("cargo runs");
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let text = String::from_utf8(tree.stdout).expect("text");
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn a_gateway_alone_links_neither_store_nor_manifests() {
    let small = linked(&["--no-default-features", "--features", "gateway"]);
    let whole = linked(&[]);
    for name in LEFT_OUT {
        assert!(!small.iter().any(|linked| linked == name), "{name} is in the small build");
        let planned = name == "muster-web";
        assert!(planned || whole.iter().any(|linked| linked == name), "{name}: look for another");
    }
    assert!(small.iter().any(|linked| linked == "muster-gateway"));
}
