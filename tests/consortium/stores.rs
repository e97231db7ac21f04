//! Members that keep their ledger in a PostgreSQL server of their own, among others that have files.

use crate::cluster::Cluster;
use crate::crash::{QUIET, caught_up};
use crate::load::Load;
use crate::server::{PASSWORD, Server};
use tokio::time::sleep;

/// The members with a server; the other two have files.
const IN_SERVERS: [usize; 2] = [2, 3];

/// Four members of whom two have a database server each, and the servers.
async fn mixed() -> (Cluster, [Server; 2]) {
    let mut cluster = Cluster::new().await;
    let servers = IN_SERVERS.map(|node| {
        let server = Server::start();
        let store = server.address(&server.new_database());
        cluster.nodes[node].more = vec!["--store".into(), store];
        cluster.nodes[node].password = Some(PASSWORD);
        server
    });
    for node in 0..cluster.nodes.len() {
        cluster.nodes[node].start();
    }
    for node in 0..cluster.nodes.len() {
        cluster.serves(node).await;
    }
    (cluster, servers)
}

/// The node is killed, then its server, then both at once; and both servers at the same time, which
/// leaves no quorum.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_in_postgres_lose_nothing_whatever_is_killed() {
    let (mut cluster, mut servers) = mixed().await;
    for node in IN_SERVERS {
        assert!(!cluster.nodes[node].home.join("node/ledger.db").exists());
    }
    // Through a member with files, and through one with a server.
    let files = cluster.enrol(0, "FILE", 64).await;
    let served = cluster.enrol(2, "SERVED", 64).await;
    cluster.agree(&[0, 1, 2, 3]).await;
    for (through, serial) in [(3, &files[0]), (1, &served[0])] {
        let (did, url) = (cluster.network.did(serial), cluster.nodes[through].url());
        cluster.json(through, &["revoke", &did.to_string(), "--node", &url]).await;
    }
    let serials = [&files[1..], &served[1..]].concat();
    let load = Load::start(&cluster, serials, &[0, 1, 2, 3], 2, true).await;
    load.goes_on(&cluster, 20).await;

    // The node alone.
    cluster.nodes[2].kill();
    load.goes_on(&cluster, 20).await;
    cluster.nodes[2].start();
    caught_up(&cluster, 2, 0).await;
    load.goes_on(&cluster, 10).await;

    // Its server alone: the node waits for it, the others go on, nobody starts anything again.
    servers[0].kill();
    load.goes_on(&cluster, 20).await;
    servers[0].run(&[]);
    caught_up(&cluster, 2, 0).await;
    load.goes_on(&cluster, 10).await;

    // Both at once.
    cluster.nodes[3].kill();
    servers[1].kill();
    load.goes_on(&cluster, 20).await;
    servers[1].run(&[]);
    cluster.nodes[3].start();
    caught_up(&cluster, 3, 0).await;

    // Two of four without a store: nothing can be acknowledged.
    servers.iter_mut().for_each(Server::kill);
    sleep(QUIET).await;
    let count = load.count();
    sleep(QUIET).await;
    assert_eq!(load.count(), count, "two of four acknowledged something");
    servers.iter_mut().for_each(|server| server.run(&[]));
    load.goes_on(&cluster, 20).await;

    let written = load.stop().await;
    cluster.is_sound(&written).await;
    for serial in [&files[0], &served[0]] {
        let did = cluster.network.did(serial);
        for node in 0..cluster.nodes.len() {
            let view = cluster.client(node).device(&did).await.expect("a device");
            assert_eq!(view.standing, "revoked", "{serial} at node {}", node + 1);
        }
    }
    // Whoever lost its store blames nobody else for that.
    for node in &cluster.nodes {
        assert!(!node.said("cannot be followed"), "{}", node.last_words());
    }
    for (server, killed) in servers.iter().zip([2, 2]) {
        let crashes = server.log().matches("database system was not properly shut down").count();
        assert_eq!(crashes, killed, "{}", server.log());
    }
    for node in IN_SERVERS {
        cluster.nodes[node].stop().await;
        let store = cluster.nodes[node].more[1].clone();
        let audit = cluster.json(node, &["ledger", "audit", "--store", &store]).await;
        assert_eq!(audit["clean"], true, "{audit}");
        assert_eq!(audit["devices"], 128, "{audit}");
    }
}
