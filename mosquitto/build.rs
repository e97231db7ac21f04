//! Keeps the library in memory once it is loaded: the broker unloads plugins at its end, when
//! threads and thread-local values of ours may still point into it.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
