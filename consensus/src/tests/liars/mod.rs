//! Three honest nodes and one validator whose every part is driven by hand, so that it can lie. In
//! each case the chain goes on, nobody forks, and what the liar signed twice is kept and shown.

mod blocks;
mod heads;
mod leaves;
mod liar;
mod network;
mod pages;
