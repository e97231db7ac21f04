//! Several nodes, one ledger. The scenarios are written for any [`cluster::Cluster`].

mod cluster;
mod doubts;
mod keys;
mod leaves;
mod lockstep;
mod scenarios;
