//! The device side: key slot, inception, possession, presentation. no_std.
