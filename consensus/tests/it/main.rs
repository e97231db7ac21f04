//! Several nodes on loopback, each with its own store, engine and exchange, in one process.

mod town;
mod writing;
