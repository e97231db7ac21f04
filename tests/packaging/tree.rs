//! The files of this repository.

use std::path::PathBuf;
use std::{env, fs};

/// The root of the repository. Not `env!`: two checkouts may share a target directory.
pub(crate) fn root() -> PathBuf {
    env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is").into()
}

/// A file of it.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}
