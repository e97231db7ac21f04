//! What is built for others, and what is said of it: packages, units, the container file, the
//! operating page followed word for word in a clean Debian, the threat model's tests.

mod container;
mod machine;
mod operating;
mod packages;
mod small;
mod threats;
mod tree;
