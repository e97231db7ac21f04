//! The BFT engine (Malachite): which proposal the validators decide at each height.

mod codec;
mod context;
mod heard;
mod limits;
mod sign_state;
mod signing;
