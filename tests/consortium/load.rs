//! Clients that write, one operation after the other, by the rule that clients have: what was not
//! answered is sent again, the same bytes, perhaps to another node. Whatever is acknowledged is
//! kept and looked for in the end.

use crate::cluster::{ANSWER, Cluster};
use crate::network::{Network, now};
use muster_api::{Client, ClientError};
use muster_identity::{Did, SecretKey, sha256};
use muster_ledger::{
    Action, DevicePart, DeviceRef, EntryProof, Hold, HoldId, Operation, OperationHash, Power,
    Release, SignedOperation, Target,
};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Between an answer and the next operation.
const PAUSE: Duration = Duration::from_millis(20);

/// Before what was not answered is sent again.
const AGAIN: Duration = Duration::from_millis(100);

/// How long an operation may wait: also by a clock that is an hour ahead.
const VALID_MS: u64 = 12 * 3_600_000;

/// What a client has in hand: the place of an entry, its bytes, and what it proves.
#[derive(Debug, Clone)]
pub(crate) struct Acknowledged {
    pub(crate) index: u64,
    pub(crate) entry: Vec<u8>,
    pub(crate) node: usize,
}

/// What the clients did.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) acknowledged: Vec<Acknowledged>,
    /// Refused after it had been sent before without an answer: it was in the log already.
    pub(crate) unanswered: Vec<OperationHash>,
    /// The longest that an operation took, however often it was sent.
    pub(crate) longest: Duration,
}

/// A device that operations are about.
struct Device {
    did: Did,
    part: DevicePart,
    seq: u64,
    /// The log size under which its last change was proved.
    seen: u64,
}

/// What is told of the head of a node.
type Saw = dyn Fn(usize, &str) + Send + Sync;

/// Who may send operations to whom, and what becomes of the answers.
#[derive(Clone)]
pub(crate) struct Pen {
    network: Arc<Network>,
    clients: Arc<Vec<Client>>,
    saw: Arc<Saw>,
}

/// What came of an operation.
pub(crate) enum Outcome {
    Acknowledged(Acknowledged),
    /// It is in the log, and whoever said so did not know when it came there.
    There,
    /// Refused as it was sent the first time: the code, and what was said.
    Refused(String, String),
    /// Nobody asked for an answer any more.
    Left,
}

impl Pen {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let clients = (0..cluster.nodes.len()).map(|node| cluster.client(node)).collect();
        let saw = Arc::new(cluster.watch.saw());
        Self { network: cluster.network.clone(), clients: Arc::new(clients), saw }
    }

    /// Signs what an author does.
    pub(crate) fn sign(&self, author: Did, key: &SecretKey, action: Action) -> SignedOperation {
        let (network, valid_until) = (self.network.genesis.network(), now().plus_ms(VALID_MS));
        let operation = Operation { network, author, valid_until, action };
        operation.sign(key).expect("a key in memory signs")
    }

    /// Sends an operation until it is answered for good, first to one node and then to the next of
    /// them in turn; for as long as `go_on` says. A node whose log is shorter than what the client
    /// knows to be in it cannot judge, and is asked again later.
    pub(crate) async fn submit(
        &self,
        operation: &SignedOperation,
        nodes: &[usize],
        known: u64,
        go_on: impl Fn() -> bool,
    ) -> Outcome {
        let mut was_sent = false;
        for node in nodes.iter().copied().cycle() {
            if !go_on() {
                return Outcome::Left;
            }
            match timeout(ANSWER, self.clients[node].submit_operation(operation)).await {
                Ok(Ok(proof)) => return self.acknowledged(operation, node, proof),
                Ok(Err(ClientError::Refused(problem))) if problem.status < 500 => {
                    let view = crate::cluster::answered(self.clients[node].network()).await;
                    if view.is_ok_and(|view| view.size < known) {
                        sleep(AGAIN).await;
                        continue;
                    }
                    if was_sent {
                        return Outcome::There;
                    }
                    return Outcome::Refused(problem.code().to_owned(), problem.to_string());
                }
                // Nobody can tell whether it was taken: also not from a 503, which may have come
                // after the operation was passed on.
                _ => was_sent = true,
            }
            sleep(AGAIN).await;
        }
        unreachable!("a cycle of nodes has no end")
    }

    /// An acknowledgement counts if it proves what was asked for.
    fn acknowledged(&self, operation: &SignedOperation, node: usize, proof: EntryProof) -> Outcome {
        let genesis = &self.network.genesis;
        let entry = proof.verify(&genesis.network(), &genesis.validators);
        let entry = entry.unwrap_or_else(|e| panic!("node {} proves nothing: {e}", node + 1));
        assert_eq!(entry.operation.hash(), operation.hash(), "it is about another operation");
        (self.saw)(node, &proof.checkpoint);
        Outcome::Acknowledged(Acknowledged { index: proof.index, entry: proof.entry, node })
    }

    /// A device as the first operation on it names it.
    async fn device(&self, serial: &str, node: usize) -> Device {
        let did = self.network.did(serial);
        let part = crate::cluster::answered(self.clients[node].device_part(&did)).await;
        let part = part.unwrap_or_else(|e| panic!("{serial} is enrolled: {e}"));
        Device { did, part, seq: 0, seen: 0 }
    }
}

impl Device {
    fn target(&self) -> Target {
        let part = (self.seq == 0).then(|| Box::new(self.part.clone()));
        Target::Device(DeviceRef { did: self.did, part })
    }

    fn hold_id(&self) -> HoldId {
        let hash = sha256(&[b"hold", self.did.to_string().as_bytes(), &self.seq.to_be_bytes()]);
        let mut id = HoldId(Default::default());
        let length = id.0.len();
        id.0.copy_from_slice(&hash[..length]);
        id
    }
}

/// Clients at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    written: Arc<Mutex<Written>>,
    count: Arc<AtomicU64>,
    tasks: JoinSet<()>,
}

impl Load {
    /// Starts so many clients on each of these nodes. One that is not answered goes to the next
    /// node if `roams`, else it asks the same one again.
    pub(crate) async fn start(
        cluster: &Cluster,
        serials: Vec<String>,
        nodes: &[usize],
        clients: usize,
        roams: bool,
    ) -> Self {
        let pen = Pen::of(cluster);
        let mut devices = VecDeque::new();
        for serial in &serials {
            devices.push_back(pen.device(serial, nodes[0]).await);
        }
        let devices = Arc::new(Mutex::new(devices));
        let (stop, stopped) = watch::channel(false);
        let written = Arc::new(Mutex::new(Written::default()));
        let count = Arc::new(AtomicU64::new(0));
        let mut tasks = JoinSet::new();
        for first in 0..nodes.len() * clients {
            let mut route = nodes.to_vec();
            route.rotate_left(first % nodes.len());
            if !roams {
                route.truncate(1);
            }
            let client = Writer {
                pen: pen.clone(),
                devices: devices.clone(),
                route,
                written: written.clone(),
                count: count.clone(),
                stopped: stopped.clone(),
            };
            tasks.spawn(client.write());
        }
        Self { stop, written, count, tasks }
    }

    /// How many operations were acknowledged so far.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Waits until so many more are acknowledged.
    pub(crate) async fn goes_on(&self, cluster: &Cluster, more: u64) {
        let goal = self.count() + more;
        let what = format!("{goal} operations are acknowledged");
        cluster
            .until(&what, || async {
                match self.count() {
                    count if count >= goal => Ok(()),
                    count => Err(format!("{count} are")),
                }
            })
            .await;
    }

    /// No client begins another operation; waits for those under way.
    pub(crate) async fn stop(mut self) -> Written {
        self.stop.send_replace(true);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("a client found nothing wrong");
        }
        std::mem::take(&mut self.written.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

struct Writer {
    pen: Pen,
    devices: Arc<Mutex<VecDeque<Device>>>,
    route: Vec<usize>,
    written: Arc<Mutex<Written>>,
    count: Arc<AtomicU64>,
    stopped: watch::Receiver<bool>,
}

impl Writer {
    async fn write(self) {
        let author = self.pen.network.genesis.organisation_did();
        let admin = self.pen.network.admin();
        while let Some(mut device) = self.next() {
            // Held and released for ever, until nobody knows any more how it stands.
            loop {
                if *self.stopped.borrow() {
                    return;
                }
                let (target, id) = (device.target(), device.hold_id());
                let (seen, seq) = (device.seen, device.seq);
                let hold = Hold {
                    target,
                    id,
                    power: Power::Owner,
                    until: None,
                    seen,
                    reason: String::new(),
                };
                if !self.send(&mut device, self.pen.sign(author, &admin, Action::Hold(hold))).await
                {
                    break;
                }
                let target = device.target();
                let release = Release { target, hold: id, seq: seq + 1 };
                let release = self.pen.sign(author, &admin, Action::Release(release));
                if !self.send(&mut device, release).await {
                    break;
                }
            }
        }
    }

    fn next(&self) -> Option<Device> {
        if *self.stopped.borrow() {
            return None;
        }
        let next = self.devices.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        Some(next.expect("there are devices enough"))
    }

    /// Whether the device may be used further.
    async fn send(&self, device: &mut Device, operation: SignedOperation) -> bool {
        let begun = Instant::now();
        let outcome = self.pen.submit(&operation, &self.route, device.seen, || true).await;
        let goes_on = self.keep(device, &operation, outcome, begun.elapsed());
        sleep(PAUSE).await;
        goes_on
    }

    fn keep(
        &self,
        device: &mut Device,
        operation: &SignedOperation,
        outcome: Outcome,
        took: Duration,
    ) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.longest = written.longest.max(took);
        match outcome {
            Outcome::Acknowledged(acknowledged) => {
                device.seq += 1;
                device.seen = acknowledged.index + 1;
                written.acknowledged.push(acknowledged);
                self.count.fetch_add(1, Ordering::Relaxed);
                true
            }
            Outcome::There => {
                written.unanswered.push(operation.hash());
                false
            }
            Outcome::Refused(code, why) => {
                panic!("node {}: a good operation is refused: {code}: {why}", self.route[0] + 1)
            }
            Outcome::Left => unreachable!("it goes on"),
        }
    }
}
