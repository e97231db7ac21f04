//! What this build is, in words: whoever reports a fault or plans an upgrade needs it.

use std::sync::LazyLock;

/// What `muster --version` prints behind the name.
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        format!(
            "{}\nfeatures  {}\nprotocol  {}\nstore     {}",
            env!("CARGO_PKG_VERSION"),
            features().join(" "),
            muster_ledger::PROTOCOL,
            store(),
        )
    });
    &LONG
}

/// The features that were built in.
fn features() -> Vec<&'static str> {
    let known =
        [("node", cfg!(feature = "node")), ("gateway", true), ("pkcs11", cfg!(feature = "pkcs11"))];
    known.into_iter().filter(|(_, here)| *here).map(|(name, _)| name).collect()
}

/// Format of a node's store.
#[cfg(feature = "node")]
fn store() -> String {
    format!("format {}", muster_registry::STORE_FORMAT)
}

#[cfg(not(feature = "node"))]
fn store() -> String {
    "none: this build runs no node".into()
}
