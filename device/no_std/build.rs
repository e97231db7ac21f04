//! Links nothing but the program: no start files and no C library. It has its own `_start`, and
//! stands at a fixed address, because nobody would relocate it.

fn main() {
    println!("cargo::rustc-link-arg-bins=-nostartfiles");
    println!("cargo::rustc-link-arg-bins=-static");
    println!("cargo::rustc-link-arg-bins=-no-pie");
    println!("cargo::rerun-if-changed=build.rs");
}
