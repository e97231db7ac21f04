//! `muster bench`.

use clap::{Args, Subcommand, ValueEnum, value_parser};
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum Bench {
    /// A manifest enrolled by a node and a client of their own, while devices are revoked.
    Enrol(BenchEnrol),
    /// Start-up, resolution and receipts of a node with many devices.
    Resolve(BenchResolve),
    /// Decisions in process, on one core, beside bare verifications of signatures.
    Authenticate(BenchAuthenticate),
    /// A gateway over HTTP, beside a bare server that verifies one signature.
    Gateway(BenchGateway),
    /// The bare server of `bench gateway`.
    #[command(hide = true)]
    Bare(BenchBare),
    /// From the acknowledgement of a revocation to the first refusal at a gateway.
    Revoke(BenchRevoke),
    /// What consoles ask of a node with many devices: searches, counts, effects.
    Console(BenchConsole),
    /// Several validators on this machine, beside one node that decides alone.
    Consortium(BenchConsortium),
}

#[derive(Args)]
pub(crate) struct BenchConsortium {
    /// Validators, each a process of its own.
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u64).range(4..=16))]
    pub(crate) nodes: u64,
    /// Devices of the batch that is enrolled while devices are revoked.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(100..=1_048_576))]
    pub(crate) devices: u64,
    /// Operations that are submitted one after the other.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u64).range(10..=100_000))]
    pub(crate) operations: u64,
    /// Operations that are under way at once where many are.
    #[arg(long, default_value_t = 512, value_parser = value_parser!(u64).range(1..=2_048))]
    pub(crate) in_flight: u64,
    /// For how many seconds.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Seconds of quiet.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) quiet: u64,
    /// Blocks that one node is behind; none leaves that out.
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u64).range(0..=100_000))]
    pub(crate) blocks: u64,
    /// Folder to work in, new or empty; it is kept. By default one below the system's folder for
    /// temporary files, which is removed.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BenchConsole {
    /// Devices on the node's ledger, in ten batches.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(100..=10_000_000))]
    pub(crate) devices: u64,
    /// Questions of each kind.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(10..=1_000_000))]
    pub(crate) questions: u64,
    /// Folder for the node; it is kept, and a node of an earlier run is used again. By default one
    /// below the system's folder for temporary files, which is removed.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BenchRevoke {
    /// Devices to revoke, one by one.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(10..=1_000_000))]
    pub(crate) devices: u64,
    /// Further gateways that follow the node, each asked about each device.
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u64).range(0..=1_000))]
    pub(crate) followers: u64,
}

#[derive(Args)]
pub(crate) struct BenchAuthenticate {
    /// Devices of the batch from which devices are drawn. A batch has at most 1,048,576.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(100..=1_048_576))]
    pub(crate) devices: u64,
    /// How many of them are revoked.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(1..=1_048_576))]
    pub(crate) revoked: u64,
    /// Devices revoked beside the batch, to see what a long list costs those in good standing.
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) others: u64,
    /// Decisions of each kind.
    #[arg(long, default_value_t = 50_000, value_parser = value_parser!(u64).range(100..=1_000_000))]
    pub(crate) decisions: u64,
}

#[derive(Args)]
pub(crate) struct BenchGateway {
    /// Devices that present themselves in turn.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(100..=100_000))]
    pub(crate) devices: u64,
    /// Requests to each of the two servers.
    #[arg(long, default_value_t = 50_000, value_parser = value_parser!(u64).range(100..=400_000))]
    pub(crate) requests: u64,
    /// Forged and unknown presentations, sent while honest devices go on; none by default.
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u64).range(0..=100_000_000))]
    pub(crate) flood: u64,
}

#[derive(Args)]
pub(crate) struct BenchBare {
    /// Where to listen.
    #[arg(long)]
    pub(crate) listen: SocketAddr,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchFormat {
    /// JSON lines, each device with its own signature.
    Jsonl,
    /// CSV, each device with its own signature.
    Csv,
    /// Microchip manifest, each entry signed by the vendor.
    Microchip,
}

#[derive(Args)]
pub(crate) struct BenchEnrol {
    /// Devices of the manifest. A command reads at most 4,194,304 rows.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(100..=4_194_304))]
    pub(crate) devices: u64,
    /// Format of the manifest.
    #[arg(long, value_enum, default_value = "jsonl")]
    pub(crate) format: BenchFormat,
    /// An empty database, `postgres://USER@HOST:PORT/DATABASE`: the same is enrolled into it, by a
    /// node of its own, beside the one with files. It keeps what was written. The password by
    /// PGPASSWORD or a .pgpass file.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Folder to work in, new or empty; it is kept. By default one below the system's folder for
    /// temporary files, which is removed.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BenchResolve {
    /// Devices on the node's ledger.
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u64).range(100..=100_000_000))]
    pub(crate) devices: u64,
    /// A second node with so many devices, asked in turn with the first, to compare.
    #[arg(long, value_parser = value_parser!(u64).range(100..=100_000_000))]
    pub(crate) against: Option<u64>,
    /// Questions of each kind.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u64).range(100..=10_000_000))]
    pub(crate) questions: u64,
    /// Folder for the nodes; it is kept, and a node of an earlier run is used again. By default
    /// one below the system's folder for temporary files, which is removed.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,
}
