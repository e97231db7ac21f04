//! The registry from outside, on real files.

mod attacks;
mod audit;
mod clock;
mod console;
mod coverage;
mod durability;
mod enrol;
mod feed;
mod fixtures;
mod folder;
mod governance;
mod load;
mod lots;
mod network;
mod readers;
mod restore;
mod standing;
mod together;
mod uploads;
mod verdicts;
