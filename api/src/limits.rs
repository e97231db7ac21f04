//! Bounds of the HTTP interface, each with its reason.

muster_ledger::limits! {
    /// Entries in one answer of the feed: some 300 kB of ordinary operations.
    pub const FEED_ENTRIES: u64 = 1_024 => "entries";

    /// Leaves of a batch in one answer: some 250 kB.
    pub const LEAVES_PAGE: u64 = 1_024 => "leaves";

    /// Bytes of a snapshot that a client reads: a million and a half changed devices. A follower of a
    /// larger ledger follows every operation.
    pub const SNAPSHOT_BYTES: usize = 64 << 20 => "bytes";

    /// Seconds for which a node hands out the same snapshot: followers that start together share one,
    /// and a stranger cannot have a new one made by every request.
    pub const SNAPSHOT_KEPT_SECONDS: u64 = 10 => "seconds";

    /// Seconds for which a node hands out the same snapshot while somebody still reads it: each further
    /// one is a copy in memory. A follower gets what came since in its first questions.
    pub const SNAPSHOT_READ_SECONDS: u64 = 60 => "seconds";

    /// Snapshots in memory at once: as many as there are slow readers of different ones. With as many in
    /// hand the newest is handed out, however old it is.
    pub const SNAPSHOT_COPIES: usize = 4 => "snapshots";

    /// Longest wait of a long poll in seconds: below the idle time-outs of common proxies.
    pub const FEED_WAIT_SECONDS: u64 = 25 => "seconds";

    /// Rows in one request of an upload.
    pub const UPLOAD_ROWS: usize = 4_096 => "rows";

    /// Rows refused by one seal, some: 8 MiB of verdicts. Further ones are found by the next.
    pub const SEAL_REFUSALS: usize = 65_536 => "rows";

    /// Bytes of one request of an upload: 4,096 ordinary rows are about 1 MiB.
    pub const UPLOAD_BYTES: usize = 4 << 20 => "bytes";

    /// Bytes of a lot or model in a row: a label, not a document.
    pub const LOT_BYTES: usize = 64 => "bytes";

    /// Line records in one request.
    pub const LINE_ROWS: usize = 4_096 => "records";

    /// Bytes of one request with line records: 4,096 with the longest texts.
    pub const LINE_BYTES: usize = 2 << 20 => "bytes";

    /// Bytes of an order or station: a label, not a document.
    pub const LINE_TEXT_BYTES: usize = 64 => "bytes";

    /// Lots in one answer: some 200 kB.
    pub const LOTS_PAGE: u64 = 256 => "lots";

    /// Questions about lots that are answered at once: below the node's four readers, since a report
    /// over millions of counts takes one for seconds.
    pub const LOT_REQUESTS: usize = 2 => "requests";

    /// Histories that are answered at once: each verifies every entry that it shows, so that more
    /// would take the processors from those who commit.
    pub const HISTORY_REQUESTS: usize = 4 => "requests";

    /// Devices of lots that one answer looks at: some 1 MB.
    pub const LOT_DEVICES_PAGE: u64 = 4_096 => "devices";

    /// Faults of counters that one lot names; further ones are counted.
    pub const COUNTER_FAULTS: usize = 20 => "faults";

    /// Uploads open at once, over all organisations: each holds rows on disk.
    pub const OPEN_UPLOADS: u64 = 256 => "uploads";

    /// Life of an upload in milliseconds (24 h): a factory shift and its repair.
    pub const UPLOAD_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// How long after its last rows an upload keeps them from newer uploads of its organisation, in
    /// milliseconds (10 min): a line that pauses goes on, one that was cut off is not in its own way.
    pub const UPLOAD_IDLE_MS: u64 = 10 * 60 * 1_000 => "milliseconds";

    /// Operations waiting for a block: a burst of four full blocks.
    pub const WAITING_OPERATIONS: usize = 4_096 => "operations";

    /// Changes in one answer of a history.
    pub const HISTORY_CHANGES: u64 = 1_000 => "changes";

    /// The node's port.
    pub const NODE_PORT: u16 = 7700 => "port";

    /// The gateway's port.
    pub const GATEWAY_PORT: u16 = 7701 => "port";

    /// The port for a node's metrics.
    pub const NODE_METRICS_PORT: u16 = 7702 => "port";

    /// The port for a gateway's metrics.
    pub const GATEWAY_METRICS_PORT: u16 = 7703 => "port";

    /// The port at which a node of a consortium exchanges operations and leaves; its engine votes at the
    /// next one.
    pub const EXCHANGE_PORT: u16 = 7710 => "port";

    /// Nodes that one node is told of: more than any consortium known has members, and few enough to dial.
    pub const PEERS: usize = 64 => "peers";

    /// Connections open at once: below half of the usual 1,024 file descriptors of a process, so
    /// that strangers' connections never keep the store or the follower from its files.
    pub const CONNECTIONS: usize = 448 => "connections";

    /// Connections of one address beyond this machine (of one /64 network of IPv6): a quarter, so that a
    /// site behind one address gets on, and no address keeps the others out.
    pub const CONNECTIONS_OF_ONE_SOURCE: usize = CONNECTIONS / 4 => "connections";

    /// Seconds for a request's head to arrive, and for which a quiet connection is kept.
    pub const IDLE_SECONDS: u64 = 10 => "seconds";

    /// Seconds for a request's body to arrive: 4 MiB over a slow line.
    pub const BODY_SECONDS: u64 = 60 => "seconds";

    /// Requests with rows that are read at once: 16 bodies of 4 MiB.
    pub const UPLOAD_REQUESTS: usize = 16 => "requests";

    /// Followers that wait for news at once; further ones are answered at once.
    pub const WAITING_FOLLOWERS: usize = 256 => "requests";

    /// Gateways of one organisation at a node: the largest fleet known has some 3,000 sites.
    pub const GATEWAYS: usize = 8_192 => "gateways";

    /// Acknowledged sizes that a node keeps of a gateway: with one an hour three weeks of them, and
    /// 16 kB of memory. For older entries it says since when at the latest.
    pub const ACKNOWLEDGED_SIZES: usize = 512 => "sizes";

    /// How long after its last word a gateway counts as silent, in milliseconds: three reports.
    pub const SILENT_AFTER_MS: u64 = 90_000 => "milliseconds";

    /// Acknowledgements of one gateway in a row, and one more each [`ACKNOWLEDGEMENT_EVERY_MS`].
    pub const ACKNOWLEDGEMENTS_AT_ONCE: u64 = 8 => "acknowledgements";

    /// Milliseconds that one acknowledgement stands for: twice as fast as gateways send them.
    pub const ACKNOWLEDGEMENT_EVERY_MS: u64 = 250 => "milliseconds";

    /// Age of a registration beyond which no node takes it, in milliseconds (24 h), as with
    /// operations: an ended one must be remembered for so long and no longer.
    pub const REGISTRATION_LIFETIME_MS: u64 = 24 * 60 * 60 * 1_000 => "milliseconds";

    /// Line records that are kept for each device that an organisation's grants allow: its last word,
    /// and three repairs before it. So a key with `enrol` fills no disk without bound.
    pub const LINE_ROWS_OF_A_DEVICE: u64 = 4 => "records";

    /// Signed reads of one organisation that a node remembers, so that none is good twice: eleven a
    /// second at the longest life and skew.
    pub const READS_REMEMBERED: usize = 1_024 => "reads";

    /// Furthest that the clock of whoever signs a read may be from the node's, in seconds: as with
    /// presentations.
    pub const READ_SKEW_SECONDS: u64 = 30 => "seconds";

    /// Questions about gateways that are answered at once: each looks at all of them.
    pub const GATEWAY_REQUESTS: usize = 4 => "requests";

    /// Acts of people that a node remembers: some 20 MB, years of signing in.
    pub const ACTS: u64 = 100_000 => "acts";

    /// Characters of what an act is about.
    pub const ACT_ABOUT: usize = 256 => "characters";

    /// The same act of the same key within so long is one act, in milliseconds (1 h).
    pub const ACT_FOLD_MS: u64 = 60 * 60 * 1_000 => "milliseconds";

    /// Newest acts among which the same one is looked for.
    pub const ACTS_FOLDED: u64 = 256 => "acts";

    /// People of an organisation at a node's console.
    pub const PEOPLE: usize = 256 => "people";

    /// Keys of one person: a browser at each of her desks, and a file.
    pub const KEYS_OF_A_PERSON: usize = 8 => "keys";

    /// Invitations that are open at once.
    pub const INVITES: usize = 64 => "invitations";

    /// Open invitations for further keys of one person: one that is used, and one that got lost.
    pub const FURTHER_INVITES: usize = 2 => "invitations";

    /// Keys whose access to a console was ended and that it remembers; beyond, the oldest is
    /// forgotten, long after it was removed from the ledger.
    pub const ENDED_KEYS: usize = 1_024 => "keys";

    /// Sessions of the console at once, of all people.
    pub const CONSOLE_SESSIONS: usize = 1_024 => "sessions";

    /// A session that nobody uses ends after so long, in milliseconds (30 min).
    pub const SESSION_IDLE_MS: u64 = 30 * 60 * 1_000 => "milliseconds";

    /// A session ends after so long in any case, in milliseconds (12 h): a working day.
    pub const SESSION_MS: u64 = 12 * 60 * 60 * 1_000 => "milliseconds";

    /// Challenges of signing in that wait to be answered; beyond, the oldest is forgotten.
    pub const CHALLENGES: usize = 4_096 => "challenges";

    /// How long a challenge may wait, in milliseconds.
    pub const CHALLENGE_MS: u64 = 60_000 => "milliseconds";

    /// Devices in one page of a search: what a reader takes in.
    pub const SEARCH_PAGE: u64 = 100 => "devices";

    /// Single devices that a selection names; whole batches do not count. Each becomes an operation,
    /// at some thousand a second half a minute of the ledger's work.
    pub const SELECTED_DEVICES: usize = 100_000 => "devices";

    /// Devices of an effect that are looked up among what gateways saw: half a second of reading.
    /// The effect says how many it looked at.
    pub const EFFECT_LOOKS: u64 = 131_072 => "devices";

    /// Targets of one effect: as many as a selection names.
    pub const EFFECT_TARGETS: usize = SELECTED_DEVICES => "targets";

    /// Entries in one page of the log: what a reader takes in.
    pub const LOG_PAGE: u64 = 100 => "entries";

    /// Entries that one page of the log looks through for those that match: a few milliseconds.
    pub const LOG_LOOKS: u64 = 1_024 => "entries";

    /// Days of which a node keeps hour by hour what gateways let through and refused.
    pub const ACTIVITY_DAYS: u64 = 90 => "days";

    /// Points in one answer about activity: 90 days by the hour.
    pub const ACTIVITY_POINTS: u64 = 24 * ACTIVITY_DAYS + 24 => "points";

    /// Events that wait for a slow watcher; older ones are left out, and it is told.
    pub const WAITING_EVENTS: usize = 256 => "events";
}
