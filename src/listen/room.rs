//! How many connections fit into the files that this process may open.

use muster_api::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are kept for everything but connections: the store and its readers, the signing
/// state, the log of operations, followers, listeners.
const OWN: u64 = 48;

/// Connections below which a server would be of no use.
const LEAST: u64 = 4;

/// Connections open at once. If the system grants this process fewer files than those need, the
/// rest of the callers wait, instead of keeping the node from the file that it signs by.
pub(super) fn connections() -> usize {
    let all = limits::CONNECTIONS as u64;
    let files = files(all + OWN);
    let fit = files.saturating_sub(OWN).max(LEAST).min(all);
    if fit < all {
        tracing::warn!(
            "this process may open {files} files, so {fit} connections are held at once instead of \
             {all}; raise the limit (`ulimit -n`, LimitNOFILE=)"
        );
    }
    usize::try_from(fit).unwrap_or(limits::CONNECTIONS)
}

/// How many files this process may open, after it asked for so many.
fn files(wanted: u64) -> u64 {
    let granted = getrlimit(Resource::Nofile);
    let Some(current) = granted.current.filter(|current| *current < wanted) else { return wanted };
    let more = granted.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let raised = Rlimit { current: Some(more), maximum: granted.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => more,
        Err(_) => current,
    }
}
