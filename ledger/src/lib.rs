//! Operations, state, log, checkpoints and receipts: the pure core of the ledger.
