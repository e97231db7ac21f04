//! DID resolution of every method behind one interface.
