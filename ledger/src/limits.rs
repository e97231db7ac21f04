//! Every bound of the ledger, in one place, each with its reason. Served to clients as they
//! stand here, so that document and code cannot disagree.

crate::limits! {
    /// Devices in one batch. A leaf tree of 2^20 leaves has paths of 20 hashes, which keeps a
    /// device part under 900 bytes.
    pub const BATCH_DEVICES: u64 = 1 << 20 => "devices";

    /// Bytes of a leaf. C2SP entry bundles carry a 16-bit length; real leaves have about 170 bytes.
    pub const LEAF_BYTES: usize = 4_096 => "bytes";

    /// Leaves that nodes exchange at once: one row of a tile. With the longest leaves a megabyte, with
    /// ordinary ones 45 kB.
    pub const BUNDLE_LEAVES: u64 = 256 => "leaves";

    /// Bytes of a signed operation. The largest, a change of 32 keys, has about 5 kB.
    pub const OPERATION_BYTES: usize = 16_384 => "bytes";

    /// Operations in one block: what one commit can apply well within a block interval.
    pub const BLOCK_OPERATIONS: usize = 1_024 => "operations";

    /// Bytes of a block: below the 4 MiB that one proposal part may carry.
    pub const BLOCK_BYTES: usize = 1 << 20 => "bytes";

    /// How long an operation may wait for its block, in milliseconds (24 h): a signature that
    /// nobody used stops being a danger after a day.
    pub const OPERATION_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Holds of one power on one device or batch. Each power has room of its own, so that nobody
    /// keeps an owner from holding a device by filling the list with holds that soon run out.
    pub const HOLDS_OF_ONE_POWER: usize = 4 => "holds";

    /// Holds on one device or batch: owner, incident and governance have [`HOLDS_OF_ONE_POWER`] each.
    pub const HOLDS: usize = 3 * HOLDS_OF_ONE_POWER => "holds";

    /// Longest hold by a gateway's report of an incident, in milliseconds (7 days): a rival's false
    /// report must not stop a fleet, an owner has time to place a hold of its own.
    pub const INCIDENT_HOLD_MS: u64 = 7 * 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Keys a device may have had: a rotation a quarter for 32 years.
    pub const RETIRED_KEYS: usize = 128 => "keys";

    /// Present authentication keys of a device: one, or none after it was revoked.
    pub const PRESENT_KEYS: usize = 1 => "keys";

    /// Keys of an organisation.
    pub const ORGANISATION_KEYS: usize = 32 => "keys";

    /// Bytes of an organisation's label.
    pub const LABEL_BYTES: usize = 64 => "bytes";

    /// Models a grant may name.
    pub const GRANT_MODELS: usize = 64 => "models";

    /// Bytes of a model id.
    pub const MODEL_BYTES: usize = 64 => "bytes";

    /// Bytes of the reason given with a hold or a revocation. It is public: no personal data.
    pub const REASON_BYTES: usize = 128 => "bytes";

    /// Organisations of a network: each approves once what concerns all, and the state keeps who did.
    pub const ORGANISATIONS: usize = 64 => "organisations";

    /// Keys that an organisation begins with, at the least: one that was lost replaces no other.
    pub const FIRST_KEYS: usize = 2 => "keys";

    /// Longest time that an offer of a transfer stands, in milliseconds (30 days): a sale takes weeks,
    /// and what is offered for ever is forgotten.
    pub const OFFER_LIFETIME_MS: u64 = 30 * 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Validators of a network.
    pub const VALIDATORS: usize = 128 => "validators";

    /// Bytes of a checkpoint note: body and 128 signature lines of about 190 bytes.
    pub const NOTE_BYTES: usize = 32_768 => "bytes";

    /// Hashes in any Merkle path or state proof.
    pub const PATH_HASHES: usize = 256 => "hashes";

    /// Bytes of a serial number (kept private, only its commitment is public).
    pub const SERIAL_BYTES: usize = 128 => "bytes";

    /// How often a quiet head is signed again, in milliseconds.
    pub const HEARTBEAT_MS: u64 = 10_000 => "milliseconds";

    /// Furthest a live proposal's time may be from a validator's clock, in milliseconds.
    pub const CLOCK_DRIFT_MS: u64 = 10_000 => "milliseconds";

    /// Entries in a snapshot's list of whole records: every organisation, grant, batch and key that
    /// entered by an operation, and every device that is more than a row. Four times the devices of the
    /// largest batch.
    pub const SNAPSHOT_RECORDS: usize = 1 << 22 => "records";

    /// Bytes of one record in a snapshot: a device with 128 retired keys and 12 holds has under 6,000,
    /// a proposal that 63 organisations approved has under 11,000.
    pub const SNAPSHOT_RECORD_BYTES: usize = 16_384 => "bytes";

    /// Rows of devices in one piece of a snapshot, so that pieces can be read at once by all cores:
    /// some 160 kB.
    pub const SNAPSHOT_ROWS: usize = 4_096 => "rows";

    /// Pieces of a snapshot: sixteen million changed devices.
    pub const SNAPSHOT_PIECES: usize = 4_096 => "pieces";

    /// Bytes of a proposed action, which the state keeps until it is decided: the largest, a change of
    /// 32 keys or a device with its part, have under 5,000.
    pub const PROPOSED_BYTES: usize = 6_144 => "bytes";

    /// Shortest trust period that rules may set, in milliseconds (a day): below it every follower
    /// that is off for a night needs a pinned head.
    pub const TRUST_PERIOD_MIN_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Longest trust period that rules may set, in milliseconds (36,600 days): a hundred years, which
    /// no sum with a time exceeds. More would say that no head is ever too old.
    pub const TRUST_PERIOD_MAX_MS: u64 = 36_600 * 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Open proposals of an organisation: what people can look through. The state keeps them whole.
    pub const OPEN_PROPOSALS: usize = 16 => "proposals";

    /// Keys that may have to approve a proposal: more people are never at hand at once.
    pub const APPROVALS: usize = 8 => "keys";

    /// Least time between the announcement of a protocol version and its confirmation, in milliseconds
    /// (24 h): a key that was stolen over night cannot stop every program before anybody sees it.
    pub const UPGRADE_NOTICE_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Longest time that a proposal waits, in milliseconds (7 days): a weekend and a leave. What was
    /// proposed longer ago is judged anew.
    pub const PROPOSAL_LIFETIME_MS: u64 = 7 * 24 * 60 * 60 * 1_000 => "milliseconds";
}
