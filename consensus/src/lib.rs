//! The ledger among several organisations: BFT consensus, and leaves that travel beside it.
