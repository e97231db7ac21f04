#![cfg(unix)]

use crate::network::Network;
use std::fs::{Permissions, metadata, set_permissions};
use std::os::unix::fs::PermissionsExt as _;

#[tokio::test]
async fn only_the_owner_looks_into_the_folder() {
    let mut network = Network::new().await;
    network.enrol(&network.devices(0..2)).await;
    let dir = network.dir.path().to_owned();
    let mode = |name: &str| metadata(dir.join(name)).unwrap().permissions().mode() & 0o777;
    let files = ["ledger.db", "directory.db", "index.db", "signed-head", "lock"];
    assert_eq!(mode("."), 0o700);
    for name in files.into_iter().chain(["ledger.db-wal", "directory.db-wal", "index.db-wal"]) {
        assert_eq!(mode(name), 0o600, "{name}");
    }
    network.registry.close().await;
    // A folder that was made, or put back, with an open hand.
    set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    for name in files {
        set_permissions(dir.join(name), Permissions::from_mode(0o644)).unwrap();
    }
    network.reopen().await.unwrap();
    assert_eq!(mode("."), 0o700);
    for name in files {
        assert_eq!(mode(name), 0o600, "{name}");
    }
}
