//! Several nodes on loopback, each with its own store, engine and exchange, in one process.

mod put_back;
mod town;
mod writing;
