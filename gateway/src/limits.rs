//! Bounds of the gateway, each with its reason.

use std::time::Duration;

muster_ledger::limits! {
    /// Devices whose evidence is kept: about 60 MB, and a larger fleet than one gateway serves. The
    /// one not asked for longest makes room.
    pub const EVIDENCE: usize = 100_000 => "devices";

    /// Devices learned and kept on disk unless the operator says otherwise: about 250 MB.
    pub const LEARNED: u64 = 200_000 => "devices";

    /// Devices held on disk in all, loaded beforehand or learned: about 1 GB.
    pub const PRELOADED: u64 = 1_000_000 => "devices";

    /// Learned devices that wait to be written.
    pub const LEARNING: usize = 1_024 => "devices";

    /// Device parts loaded in one transaction: about 1 MB.
    pub const PRELOAD_CHUNK: usize = 1_024 => "device parts";

    /// DIDs remembered as not found. Beyond it the oldest is forgotten, and a node asked again.
    pub const NOT_FOUND: usize = 10_000 => "DIDs";

    /// How long a DID counts as not found: an enrolment reaches every gateway within seconds.
    pub const NOT_FOUND_FOR: Duration = Duration::from_secs(3) => "milliseconds";

    /// Questions to nodes at once: strangers must not take the line that the follower needs.
    pub const FETCHES: usize = 8 => "requests";

    /// How long a request waits for its turn and its answer from one node.
    pub const FETCH_WAIT: Duration = Duration::from_secs(3) => "milliseconds";

    /// Longest `Muster-Receipt` in characters: a device part of a batch of 2^20 devices has at most
    /// 900 bytes, 1,200 characters of base64url.
    pub const RECEIPT_CHARACTERS: usize = 1_400 => "characters";

    /// Evidence files kept. One is enough to convict; a node that lies all day must not fill a disk.
    pub const EVIDENCE_FILES: usize = 64 => "files";

    /// Requests at once that read the log of operations for a node that lost its disk: each keeps one
    /// thread and one disk busy, and one such node is rare enough.
    pub const RELAYS: usize = 2 => "requests";

    /// Shortest and longest pause before the next node is asked after a fault.
    pub const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5)) => "milliseconds at least, and at most";

    /// Entries of a node's log from which on a follower that has nothing asks for a snapshot: fewer are
    /// followed within a second or so, and then nothing needs to be taken on anybody's word.
    pub const SNAPSHOT_FROM: u64 = 4_096 => "entries";

    /// How often the snapshot of one node is fetched: once more after a line that broke or a snapshot
    /// that was false; then its operations are followed.
    pub const SNAPSHOT_TRIES: u32 = 2 => "times";

    /// How long a snapshot may take to arrive: 4.5 MB over a line of 128 kbit/s.
    pub const SNAPSHOT_WAIT: Duration = Duration::from_secs(300) => "milliseconds";

    /// A follower writes its own snapshot anew after so many entries: a start applies them in some
    /// tenths of a second.
    pub const SNAPSHOT_EVERY: u64 = 4_096 => "entries";

    /// But not before one entry for so many records of the state has come: a row has about 40 bytes, so
    /// each entry costs the disk at most 5 kB more, on a roll of any size; a start then applies 8,000
    /// entries for a million records.
    pub const SNAPSHOT_SHARE: u64 = 128 => "records for each entry";

    /// How old a head may be when a node hands it out, in milliseconds, before the next node is asked for
    /// a younger one: a head is signed each heartbeat, and one or two may be on the way.
    pub const LATE_HEAD_MS: u64 = 3 * muster_ledger::limits::HEARTBEAT_MS => "milliseconds";

    /// How much longer than the agreed wait a node may take to answer the feed.
    pub const FEED_GRACE: Duration = Duration::from_secs(10) => "milliseconds";

    /// How long a device that a node knows waits for the roll to hold its batch: some round trips
    /// of the feed.
    pub const CATCH_UP: Duration = Duration::from_secs(1) => "milliseconds";

    /// How far ahead the watermark is written, in seconds: one write to disk in so many seconds; a
    /// gateway that was killed refuses presentations made in as many.
    pub const WATERMARK_LEAD: u64 = 5 => "seconds";

    /// How far the machine's clock may be behind the checkpoint's time, in milliseconds: validators'
    /// clocks and ours are this close. Beyond it the clock is wrong.
    pub const CLOCK_TOLERANCE_MS: u64 = 60_000 => "milliseconds";

    /// Requests in a second, and at once, from one source, unless the operator says otherwise: a site
    /// behind one address. A refused one costs ten.
    pub const SOURCE_RATE: u32 = 1_000 => "requests in a second";

    /// What a refused request costs of its source's budget.
    pub const REFUSAL_COST: u32 = 10 => "requests";

    /// Look-ups in a second and at once from one source: a pallet of new devices.
    pub const SOURCE_LOOK_UPS: (u32, u32) = (20, 100) => "look-ups in a second, and at once";

    /// Look-ups in a second and at once from all: a new fleet meets its gateway within seconds, and a
    /// node answers several times as many.
    pub const LOOK_UPS: (u32, u32) = (500, 4_000) => "look-ups in a second, and at once";

    /// Look-ups in a second and at once about DIDs that are more than their key, so that anybody can
    /// name them: a share that leaves most to devices that signed.
    pub const UNSIGNED_LOOK_UPS: (u32, u32) = (50, 200) => "look-ups in a second, and at once";

    /// Buckets of a budget: 512 KiB; that two sources share one is rare.
    pub const BUCKETS: usize = 1 << 16 => "buckets";

    /// Between two acknowledgements to one node: with it at most two a second, and a burst of
    /// operations is acknowledged as one.
    pub const ACKNOWLEDGE_GAP: Duration = Duration::from_millis(500) => "milliseconds";

    /// Between two reports: a silent gateway shows within a minute or two, and 3,000 gateways bring a
    /// node 100 reports a second.
    pub const REPORT_EVERY: Duration = Duration::from_secs(30) => "milliseconds";

    /// How long a node may take to answer an acknowledgement.
    pub const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(10) => "milliseconds";

    /// Shortest and longest pause before a node that took no acknowledgement is told again.
    pub const ACKNOWLEDGE_AGAIN: (Duration, Duration) =
        (Duration::from_secs(1), Duration::from_secs(10)) => "milliseconds at least, and at most";

    /// Devices of which the next reports tell that they were seen: an hour of full reports and some
    /// hundred kB. The one seen longest ago makes room.
    pub const SEEN: usize = 8_192 => "devices";

    /// Rules in a topic file. Each question of a broker walks them all; with placeholders one rule
    /// serves any number of devices.
    pub const TOPIC_RULES: usize = 1_000 => "rules";

    /// Bytes of a topic file: as many rules, each of a generous line.
    pub const TOPIC_RULES_BYTES: usize = 512 * 1_024 => "bytes";

    /// Longest topic or filter: what an MQTT string can hold (MQTT 3.1.1 §1.5.3).
    pub const TOPIC_BYTES: usize = 65_535 => "bytes";

    /// MQTT sessions known at once, of devices that are there and of those that left: about 200 MB,
    /// and more clients than one broker on one machine serves. The one not used for longest makes
    /// room; if every one is a living connection, the next device is told to try later.
    pub const MQTT_SESSIONS: usize = 200_000 => "sessions";

    /// MQTT sessions of one device: its parts that connect by themselves, and a restart of each. Beyond
    /// them its own oldest that left makes room, so no device takes the place of others.
    pub const SESSIONS_OF_ONE: usize = 16 => "sessions";

    /// Longest client id in bytes: a DID of at most 60, and a word. The table of sessions keeps each; an
    /// MQTT string could have 64 KiB.
    pub const CLIENT_ID_BYTES: usize = 256 => "bytes";

    /// How long the body of a broker's question may take to arrive: it is on this machine.
    pub const MQTT_BODY_WAIT: Duration = Duration::from_secs(10) => "milliseconds";

    /// Longest body of a broker's question over HTTP: a topic of full length and a password, twice
    /// their size where they are escaped.
    pub const MQTT_BODY_BYTES: usize = 160 * 1_024 => "bytes";
}
