//! What is private stays with its owner: serial numbers, what the line says, names of people. They
//! are looked for in all that passed between members, on the wire and after decryption, and in all
//! that the others keep; and found where they must be, so that the search is one that finds.

use crate::cluster::Cluster;
use crate::front::Front;
use crate::link::Link;
use crate::listener::Listener;
use crate::network::{MODEL, NODES};
use crate::node::Node;
use crate::wire::{Wire, files_with, forms, has_any, nothing_passes_by};
use muster_api::{Client, ClientError, LotQuery, Reach};
use muster_identity::cbor::Encode as _;
use muster_ledger::SerialCommitment;
use muster_provisioning::sample::{Order, row};
use serde_json::{Value, json};
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Stdio};

/// More than one bundle of leaves.
const DEVICES: usize = 300;

/// Serial numbers begin so.
const SERIAL: &str = "KQ7-serial";
/// What the line says besides.
const LINE: [(&str, &str); 3] =
    [("lot", "KQ7-north-reel"), ("order", "KQ7-order-4711"), ("station", "KQ7-bench-nine")];
/// Who works for the owner.
const PERSON: &str = "Agnes KQ7 Underwood";

/// The node whose member owns the devices.
const OWNER: usize = 0;
/// A member whose ledger is in a database server.
#[cfg(feature = "postgres")]
const IN_SERVER: usize = 3;

fn serials() -> Vec<String> {
    (0..DEVICES).map(|n| format!("{SERIAL}-{n:04}")).collect()
}

/// A factory's file with all that it knows.
fn manifest(cluster: &Cluster) -> String {
    let network = &cluster.network;
    let (id, manufacturer) = (network.genesis.network(), network.genesis.organisation_did());
    let order = Order {
        network: &id,
        manufacturer: &manufacturer,
        challenge: "challenge-1",
        model: Some(MODEL),
        lot: None,
    };
    let mut text = String::new();
    for (n, serial) in serials().iter().enumerate() {
        let row = row(&network.device(serial), serial, &order).expect("a row");
        let mut row: Value = serde_json::from_str(&row).expect("JSON");
        for (member, word) in LINE {
            row[member] = json!(word);
        }
        row["result"] = json!("pass");
        (row["counterBefore"], row["counterAfter"]) = (json!(n), json!(n + 1));
        text.push_str(&format!("{row}\n"));
    }
    let file = cluster.path("factory.jsonl");
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
    out.as_mut().expect("a new file").write_all(text.as_bytes()).expect("written");
    file.to_str().expect("text").to_owned()
}

/// A process that ends with the test.
struct Gateway {
    process: Child,
    url: String,
}

impl Gateway {
    /// In the folder of a member, following a node.
    fn start(cluster: &Cluster, member: usize, node: &str) -> Self {
        let listen = format!("127.0.0.1:{}", crate::ports::free(1));
        let args = ["gateway", "--audience", "gate.example", "--node", node, "--listen", &listen];
        let mut command =
            cluster.nodes[member].command(&[&args[..], &["--metrics", "off"]].concat());
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self { process: process.expect("the binary runs"), url: format!("http://{listen}") }
    }

    /// Whether a device passes, by the gateway's own word.
    async fn verdict(&self, cluster: &Cluster, serial: &str) -> Result<String, String> {
        let key = cluster.path("device.pem");
        if !key.exists() {
            let pem = cluster.network.device(serial).to_pem().expect("a key");
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key);
            file.as_mut().expect("a file").write_all(pem.as_bytes()).expect("written");
        }
        let key = key.to_str().expect("text");
        let args = ["device", "present", key, "--audience", "gate.example"];
        let shown = cluster.run(OWNER, &args).await;
        let token = String::from_utf8(shown.stdout).expect("text");
        let door = format!("{}/v1/authenticate", self.url);
        let client = muster_api::http_client(&Reach::default()).expect("a client");
        let asked = client.build().expect("a client").get(door);
        let asked = asked.header("authorization", format!("Muster {}", token.trim())).send().await;
        let answer = asked.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        Ok(format!("{status} {}", answer.text().await.map_err(|e| e.to_string())?))
    }

    async fn says(&self, cluster: &Cluster, serial: &str, words: &str) {
        let what = format!("the gateway says {words}");
        let said = || async {
            match self.verdict(cluster, serial).await? {
                said if said.contains(words) => Ok(()),
                said => Err(said),
            }
        };
        cluster.until(&what, said).await;
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Somebody who is not the owner asks the owner's node for everything that it answers.
async fn a_stranger_asks(cluster: &Cluster, url: &str) {
    let client = Client::new(url).expect("an address");
    let did = cluster.network.did(&serials()[7]);
    let view = client.device(&did).await.expect("a device");
    assert_eq!((view.serial, view.standing.as_str()), (None, "active"));
    client.receipt(&did).await.expect("a receipt");
    client.device_part(&did).await.expect("a device part");
    client.resolve_did(&did.to_string()).await.expect("a document");
    client.history(&did.to_string()).await.expect("its history");
    client.feed(0, 0, 0).await.expect("the log");
    client.snapshot().await.expect("a snapshot");
    client.network().await.expect("the network");
    client.consensus().await.expect("how it decides");
    for batch in client.batches().await.expect("the batches") {
        client.batch(&batch.batch).await.expect("a batch");
        client.leaves(&batch.batch, None).await.expect("its leaves");
    }
    let refused = |what: &str, answer: Result<(), ClientError>| match answer {
        Err(ClientError::Refused(problem)) => assert!(problem.status / 100 == 4, "{problem}"),
        other => panic!("a stranger is not refused {what}: {other:?}"),
    };
    refused("lots", client.lots(&LotQuery::default()).await.map(drop));
    let lot = LotQuery { lot: Some("a-lot".into()), ..LotQuery::default() };
    refused("devices of a lot", client.lot_devices(&lot).await.map(drop));
    refused("gateways", client.gateways().await.map(drop));
    // Who cannot sign the question gets what is public.
    let view = client.device_in_full(&did).await.expect("a device");
    assert_eq!(view.serial, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serials_line_and_names_stay_with_their_owner() {
    let (between, at_owner) = (Wire::default(), Wire::default());
    let mut cluster = Cluster::over(Some(&between)).await;
    // The others have no key of the owner.
    for node in (0..NODES).filter(|node| *node != OWNER) {
        fs::remove_dir_all(cluster.nodes[node].home.join("keys")).expect("removed");
    }
    // The owner's own way to its node, which signed questions must name; and the front door, behind
    // which everybody is a stranger.
    let http = |node: &Node| {
        let address = node.url()["http://".len()..].to_owned();
        address.parse::<SocketAddr>().expect("an address")
    };
    let own = Link::recorded(http(&cluster.nodes[OWNER]), 1, &at_owner).await;
    let front = Front::of(http(&cluster.nodes[OWNER])).await;
    let url = |link: &Link| format!("http://127.0.0.1:{}", link.port);
    cluster.nodes[OWNER].more = vec!["--public-url".into(), url(&own)];
    #[cfg(feature = "postgres")]
    let (server, database) = {
        let server = crate::server::Server::start();
        let database = server.new_database();
        cluster.nodes[IN_SERVER].more = vec!["--store".into(), server.address(&database)];
        cluster.nodes[IN_SERVER].password = Some(crate::server::PASSWORD);
        (server, database)
    };
    for node in &mut cluster.nodes {
        node.start();
    }
    for node in 0..NODES {
        cluster.serves(node).await;
    }
    let exchanges: Vec<SocketAddr> = cluster.nodes.iter().map(|node| node.exchange()).collect();
    let listener = Listener::start(&cluster.network, &exchanges).await;
    cluster
        .until("the listener has joined", || async {
            if listener.peers() == NODES { Ok(()) } else { Err(listener.peers().to_string()) }
        })
        .await;

    // The others' way to the owner's front door, and the owner's to another member's node.
    let to_owner = Link::recorded(front.address, 1, &between).await;
    let to_other = Link::recorded(http(&cluster.nodes[1]), 1, &between).await;
    let gateway = Gateway::start(&cluster, 2, &url(&to_owner));

    // The owner: a person, a factory's file, a revocation through another member's node.
    let root = cluster.nodes[OWNER].home.join("keys/root.pem");
    let mut key =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(root).expect("new");
    key.write_all(cluster.network.root().to_pem().expect("a key").as_bytes()).expect("written");
    let invite = ["org", "invite", "--name", PERSON, "--no-wait", "--node", &url(&own)];
    cluster.json(OWNER, &invite).await;
    let file = manifest(&cluster);
    let (enrol, at_own) = (["enrol", &file, "--node"], url(&own));
    let enrol = [&enrol[..], &[&at_own]].concat();
    let told = {
        let mut enrolling = Box::pin(cluster.json(OWNER, &enrol));
        loop {
            tokio::select! {
                told = &mut enrolling => break told,
                () = listener.ask_what_waits() => {}
            }
        }
    };
    assert_eq!(told["enrolled"], DEVICES, "{told}");
    cluster.agree(&[0, 1, 2, 3]).await;
    let all = serials();
    gateway.says(&cluster, &all[0], "200").await;
    let did = cluster.network.did(&all[0]).to_string();
    cluster.json(OWNER, &["revoke", &did, "--node", &url(&to_other)]).await;
    gateway.says(&cluster, &all[0], "revoked").await;
    a_stranger_asks(&cluster, &url(&to_owner)).await;

    // Every node gives the listener all leaves and the whole log.
    let batches = cluster.client(1).batches().await.expect("the batches");
    let [batch] = &batches[..] else { panic!("one batch: {batches:?}") };
    let batch = batch.batch.parse().expect("a batch");
    cluster
        .until("every node hands all leaves out", || async {
            match listener.ask_for_leaves(batch, DEVICES as u64).await {
                leaves if leaves == NODES * DEVICES => Ok(()),
                leaves => Err(format!("{leaves} leaves")),
            }
        })
        .await;
    let size = cluster.size(OWNER).await;
    cluster
        .until("every node hands the log out", || async {
            match listener.ask_for_the_log(size).await {
                NODES => Ok(()),
                nodes => Err(format!("{nodes} nodes do")),
            }
        })
        .await;
    // Nothing went another way than through the recorders.
    let ports: Vec<u16> = exchanges.iter().flat_map(|at| [at.port(), at.port() + 1]).collect();
    let connections = nothing_passes_by(&ports);
    assert!(connections >= NODES * (NODES - 1), "{connections} connections are recorded");

    drop(gateway);
    cluster.all_live();
    for node in &mut cluster.nodes {
        node.stop().await;
    }
    is_private(&cluster, &between, &at_owner, &listener.heard());
    #[cfg(feature = "postgres")]
    {
        let (dump, log) = (server.dump(&database), server.log());
        let leaf = commitment(&cluster, &all[7]);
        assert!(has_any(&dump, &forms(&leaf)), "the search finds what a database keeps");
        for word in words(&cluster) {
            let forms = forms(&word);
            let found = has_any(&dump, &forms) || has_any(log.as_bytes(), &forms);
            assert!(!found, "{} is in the database of a member", String::from_utf8_lossy(&word));
        }
    }
}

/// What nobody but the owner may have.
fn words(cluster: &Cluster) -> Vec<Vec<u8>> {
    let mut words = vec![SERIAL.into(), PERSON.into()];
    words.extend(LINE.map(|(_, word)| word.into()));
    words.push(cluster.network.directory_secret(OWNER).into());
    words
}

/// What others have of a serial number.
fn commitment(cluster: &Cluster, serial: &str) -> [u8; 32] {
    let secret = cluster.network.directory_secret(OWNER);
    SerialCommitment::new(&secret, &cluster.network.did(serial), serial).0
}

fn is_private(cluster: &Cluster, between: &Wire, at_owner: &Wire, heard: &[Vec<u8>]) {
    let owner = &cluster.nodes[OWNER].home;
    let others: Vec<_> = cluster.nodes.iter().skip(1).map(|node| &node.home).collect();
    for word in words(cluster) {
        let forms = forms(&word);
        let text = String::from_utf8_lossy(&word).into_owned();
        assert!(!files_with(owner, &word).is_empty(), "the search does not find {text} at home");
        assert!(!between.has(&word), "{text} passed between members");
        let told = heard.iter().find(|message| has_any(message, &forms));
        assert_eq!(told, None, "{text} was told to a stranger");
        for home in &others {
            let found = files_with(home, &word);
            assert!(found.is_empty(), "{text} is in {found:?} of another member");
        }
    }
    // The recorder and the search find what did pass: on the owner's own way to its node, between
    // members in the clear, and after decryption.
    for word in [SERIAL, PERSON].iter().chain(LINE.iter().map(|(_, word)| word)) {
        assert!(at_owner.has(word.as_bytes()), "{word} was not recorded where it passed");
    }
    let origin = format!("muster/{}", cluster.network.genesis.network());
    assert!(between.has(origin.as_bytes()), "a gateway's feed was not recorded");
    let did = cluster.network.did(&serials()[0]);
    assert!(between.has(did.to_string().as_bytes()), "what a stranger asked was not recorded");
    for serial in serials() {
        let commitment = commitment(cluster, &serial);
        let told = heard.iter().filter(|message| has_any(message, &[commitment.to_vec()])).count();
        assert!(told >= NODES, "the leaf of {serial} came {told} times");
    }
    let network = cluster.network.genesis.network().to_cbor();
    let operations =
        heard.iter().filter(|message| has_any(message, std::slice::from_ref(&network))).count();
    assert!(operations > 0, "no operation was heard");
    // Between each two nodes, in both directions.
    let (streams, least) = (between.seen(), NODES * (NODES - 1));
    let busy = streams.iter().filter(|stream| stream.len() > 1_000).count();
    assert!(busy >= least, "{busy} of {} streams have something of weight", streams.len());
}
