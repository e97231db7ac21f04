//! How the process does, by the names that client libraries of Prometheus give these.

use super::certificate;
use crate::listen::{self, Tls};
use muster_api::Exposition;
use std::fs;
use std::path::Path;

muster_api::metrics! {
    pub(super) table;

    /// The version that runs; always 1.
    BUILD: Gauge "muster_build_info" ["version"] in "1";
    /// Files that the process has open.
    FILES: Gauge "process_open_fds" [] in "files";
    /// Files that the process may open.
    MOST_FILES: Gauge "process_max_fds" [] in "files";
    /// Memory that the process has in use.
    MEMORY: Gauge "process_resident_memory_bytes" [] in "bytes";
    /// Processor time that the process used.
    PROCESSOR: Counter "process_cpu_seconds_total" [] in "seconds";
    /// Connections that are open, on all listeners.
    CONNECTIONS: Gauge "muster_connections" [] in "connections";
    /// Connections that were closed at once, because their address had its share.
    CONNECTIONS_REFUSED: Counter "muster_connections_refused_total" [] in "connections";
    /// Room on the disk of the server's folder.
    DISK_FREE: Gauge "muster_disk_free_bytes" [] in "bytes";
    /// Size of that disk.
    DISK_SIZE: Gauge "muster_disk_size_bytes" [] in "bytes";
    /// When the certificate of the server ends, since 1970; absent without one.
    CERTIFICATE: Gauge "muster_certificate_expiry_seconds" [] in "seconds";
}

/// All of it as text. What the system does not tell is left out.
pub(super) fn text(dir: &Path, tls: Option<&Tls>) -> String {
    let mut text = Exposition::default();
    text.many(&BUILD, [([env!("CARGO_PKG_VERSION").into()], 1)]);
    let files = fs::read_dir("/proc/self/fd").ok().map(|all| all.count());
    text.many(&FILES, files.map(|n| ([], n)));
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    text.many(&MOST_FILES, most.map(|n| ([], n)));
    text.many(&MEMORY, memory().map(|n| ([], n)));
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    text.one(&PROCESSOR, format!("{}.{:09}", time.tv_sec, time.tv_nsec));
    text.one(&CONNECTIONS, listen::open());
    text.one(&CONNECTIONS_REFUSED, listen::refused());
    let disk = rustix::fs::statvfs(dir).ok();
    let bytes = |blocks: Option<u64>| {
        Some(blocks?.saturating_mul(disk.as_ref()?.f_frsize)).map(|n| ([], n))
    };
    text.many(&DISK_FREE, bytes(disk.as_ref().map(|disk| disk.f_bavail)));
    text.many(&DISK_SIZE, bytes(disk.as_ref().map(|disk| disk.f_blocks)));
    let end = tls.and_then(Tls::leaf).and_then(|leaf| certificate::end(&leaf));
    text.many(&CERTIFICATE, end.map(|n| ([], n)));
    text.finish()
}

/// Resident memory, as Linux tells it.
fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}
