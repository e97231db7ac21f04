//! Links without the start files of the C library: the program brings its own `_start`.

fn main() {
    println!("cargo::rustc-link-arg-bins=-nostartfiles");
    println!("cargo::rustc-link-arg-bins=-static");
    println!("cargo::rerun-if-changed=build.rs");
}
