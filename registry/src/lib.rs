//! The running ledger: store, consensus, commit, projections, queries.
