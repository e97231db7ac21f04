//! The console in a real browser: Debian's Chromium, driven by its chromedriver. Each test starts
//! what it needs and ends it by its process id.

mod accessible;
mod bench;
#[allow(dead_code, reason = "what a person does with a browser, whole")]
mod browser;
mod devices;
mod driver;
mod fleet;
mod imports;
mod keys;
mod modules;
#[allow(dead_code, reason = "shared with the end-to-end tests, which need more of it")]
#[path = "../it/muster.rs"]
mod muster;
mod pages;
mod people;
mod proposals;
mod revoking;
mod signatures;
mod site;
