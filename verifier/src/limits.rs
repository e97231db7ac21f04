//! Bounds of the verifier, each with its reason.

muster_ledger::limits! {
    /// Furthest that a device's clock may be from ours, in milliseconds: a cheap quartz that was set
    /// within the last month is closer.
    pub const MAX_SKEW_MS: u64 = 30_000 => "milliseconds";

    /// Oldest roll by which a gateway decides unless its operator says otherwise, in milliseconds:
    /// an hour bridges a restart or a lost line, and bounds how long a revoked device can go on.
    pub const MAX_ROLL_AGE_MS: u64 = 60 * 60 * 1_000 => "milliseconds";

    /// Presentations remembered in all: 11,000 a second at the longest life of 60 s and 30 s of
    /// skew; about 250 MB when full, each with a request id.
    pub const REMEMBERED: usize = 1 << 20 => "presentations";

    /// Presentations remembered of one device: 11 a second at the longest life. A device that leaks
    /// its key cannot take the memory of the others.
    pub const REMEMBERED_OF_ONE: u32 = 1_024 => "presentations";

    /// How long the same request may be asked again, in milliseconds: a proxy's sub-requests and
    /// retries come within a second or two.
    pub const SAME_REQUEST_MS: u64 = 5_000 => "milliseconds";

    /// Longest request id in bytes: a UUID has 36, W3C trace ids 55.
    pub const REQUEST_ID_BYTES: usize = 128 => "bytes";

    /// Life of a nonce in milliseconds: as long as a presentation with a time lives.
    pub const NONCE_LIFETIME_MS: u64 = 60_000 => "milliseconds";

    /// Longest session in milliseconds (a day). Each use is judged by the roll of its moment, so its
    /// length bounds only for how long a stolen one is of use.
    pub const SESSION_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Longest session token in characters: with the longest audience it has fewer.
    pub const SESSION_CHARACTERS: usize = 1_024 => "characters";
}
