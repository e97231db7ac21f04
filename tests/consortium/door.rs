//! An access node that lies: it shows what an honest node says, and what clients bring it is never
//! passed on. What it acknowledges is made up.

use crate::cluster::Cluster;
use crate::network::{Network, now};
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_ledger::merkle::leaf_hash;
use muster_ledger::{Entry, EntryProof, Head, SignedOperation, cosign};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it answers to an operation.
#[derive(Clone)]
enum Lie {
    /// A proof that is good, about another operation.
    Another(EntryProof),
    /// A proof about this operation, under a head that one validator signed.
    OfOne,
    /// Nothing: it hangs up.
    Silence,
}

struct Door {
    url: String,
    lie: Arc<Mutex<Lie>>,
    _task: JoinSet<()>,
}

impl Door {
    async fn open(cluster: &Cluster, lie: Lie) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let behind = cluster.nodes[0].url()["http://".len()..].to_owned();
        let (lie, network) = (Arc::new(Mutex::new(lie)), cluster.network.clone());
        let mut task = JoinSet::new();
        let lies = lie.clone();
        task.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let lie = lies.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let (behind, network) = (behind.clone(), network.clone());
                open.spawn(async move { answer(stream, &behind, lie, &network).await.ok() });
            }
        });
        Self { url, lie, _task: task }
    }

    fn lies(&self, lie: Lie) {
        *self.lie.lock().unwrap_or_else(PoisonError::into_inner) = lie;
    }
}

/// Answers one request, and hangs up.
async fn answer(
    mut client: TcpStream,
    behind: &str,
    lie: Lie,
    network: &Network,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let end = loop {
        let end = request.windows(4).position(|four| four == b"\r\n\r\n");
        if let Some(end) = end {
            break end;
        }
        if client.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&request[..end]).into_owned();
    if !head.starts_with("POST /v1/operations") {
        let mut node = TcpStream::connect(behind).await?;
        let asked = format!("{head}\r\nconnection: close\r\n\r\n");
        node.write_all(asked.as_bytes()).await?;
        node.write_all(&request[end + 4..]).await?;
        copy(&mut node, &mut client).await?;
        return client.shutdown().await;
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let length = length.expect("a client says how long its operation is");
    while request.len() < end + 4 + length {
        client.read_buf(&mut request).await?;
    }
    let operation = SignedOperation(request[end + 4..].to_vec());
    let proof = match lie {
        Lie::Another(proof) => proof,
        Lie::OfOne => of_one(network, operation),
        Lie::Silence => return Ok(()),
    };
    let body = proof.to_cbor();
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    client.write_all(&[head.as_bytes(), &body].concat()).await?;
    client.shutdown().await
}

/// A log that has this operation and nothing else, signed by the fourth validator alone.
fn of_one(network: &Network, operation: SignedOperation) -> EntryProof {
    let entry = Entry { height: 1, time: now(), operation }.to_cbor();
    let head = Head {
        network: network.genesis.network(),
        size: 1,
        log_root: leaf_hash(&entry),
        height: 1,
        time: now(),
        state_root: [0; 32],
        validators: network.genesis.validators.hash(),
    };
    let checkpoint = cosign(&head, &network.validator(3)).expect("it signs").to_note();
    EntryProof { index: 0, entry, path: Vec::new(), checkpoint }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_false_acknowledgement_convinces_nobody() {
    let mut cluster = Cluster::running().await;
    let serials = cluster.enrol(0, "DOOR", 2).await;
    let [first, second] = [0, 1].map(|n: usize| cluster.network.did(&serials[n]).to_string());
    // A proof that is good: that of the enrolment itself.
    let did = cluster.network.did(&serials[0]);
    let receipt = cluster.client(0).receipt(&did).await.expect("a receipt");
    let door = Door::open(&cluster, Lie::Silence).await;
    let hold = ["hold", &first, "--node", &door.url];
    let before = cluster.size(0).await;
    let lies = [
        (Lie::Another(receipt.batch), "about another operation"),
        (Lie::OfOne, "proves nothing"),
        (Lie::Silence, "/v1/operations"),
    ];
    for (lie, words) in lies {
        door.lies(lie);
        let output = cluster.run(0, &hold).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(words), "{said}");
    }
    // Through an honest node it is done, and what the liar dropped never was.
    let url = cluster.nodes[2].url();
    cluster.json(0, &["hold", &second, "--node", &url]).await;
    cluster.agree(&[0, 1, 2, 3]).await;
    assert_eq!(cluster.size(0).await, before + 1);
    let log = cluster.log(3).await;
    let last = Entry::from_cbor(log.last().expect("an entry")).expect("an entry");
    let last = last.operation.verify().expect("a good operation");
    let target = last.operation().action.target().expect("a device");
    let muster_ledger::Target::Device(device) = target else { panic!("a batch") };
    assert_eq!(device.did.to_string(), second);
    cluster.is_sound(&crate::load::Written::default()).await;
}
