//! A fleet in which everything differs, and what a search must find in it.

use crate::network::{Device, Network, admin, codes, secret};
use muster_api::{DeviceRow, Row, Rows};
use muster_identity::Did;
use muster_ledger::{
    Action, BatchId, EvidencePolicy, Grant, Hold, HoldId, NewKey, Power, Revoke, RevokeKey, Rotate,
    Status, Target, Time, UploadRequest,
};
use muster_registry::{DeviceSearch, Registry};

/// A device as the test knows it.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) did: Did,
    pub(crate) serial: String,
    pub(crate) lot: Option<String>,
    pub(crate) model: &'static str,
    pub(crate) batch: BatchId,
    /// Place of its batch in the log.
    pub(crate) entry: u64,
    pub(crate) state: Status,
    pub(crate) keys: Vec<String>,
}

pub(crate) struct Fleet {
    pub(crate) network: Network,
    pub(crate) known: Vec<Known>,
    next: u64,
}

/// Texts that mean something to a database, a terminal or a page.
pub(crate) const HOSTILE: [&str; 10] = [
    "%",
    "_",
    "'; DROP TABLE serials; --",
    "\"",
    "\u{202e}gnp.exe",
    "a\0b",
    "<script>",
    "\u{10ffff}",
    "SN-%",
    "\\",
];

fn serial(n: u64) -> String {
    match n % 11 {
        0 => format!("{}{n}", HOSTILE[(n / 11 % 10) as usize]),
        1 => format!("z6Mk-{n}"),
        2 => format!("lot {n}"),
        _ => format!("SN-{n:05}"),
    }
}

fn lot(n: u64) -> Option<String> {
    match n % 7 {
        0 => None,
        1 => Some("SN-0".into()),
        n => Some(format!("lot {n}")),
    }
}

impl Fleet {
    pub(crate) async fn new() -> Self {
        let network = Network::with(100_000, EvidencePolicy::Enroller).await;
        Self { network, known: Vec::new(), next: 0 }
    }

    /// Enrols so many devices of a model as a batch.
    pub(crate) async fn enrol(&mut self, count: u64, model: &'static str) -> BatchId {
        let network = &self.network;
        let range = self.next..self.next + count;
        self.next += count;
        let devices: Vec<Device> = range.map(Device::vouched).collect();
        let grant = match model {
            "T-1" => network.genesis.grant_id(),
            _ => {
                let seq = self.network.registry.chain().unwrap();
                let owner = network.owner();
                use muster_ledger::View as _;
                let seq = seq.state().organisation(&owner).unwrap().unwrap().seq;
                let action = Action::Grant(Grant {
                    seq,
                    organisation: owner,
                    models: vec![model.into()],
                    count,
                    expires: Time(network.host_now() + 86_400_000),
                    evidence: EvidencePolicy::Enroller,
                });
                network.act(action).await.unwrap();
                Grant::id(&network.genesis.network(), &owner, seq)
            }
        };
        let request = UploadRequest {
            network: network.genesis.network(),
            organisation: network.owner(),
            valid_until: Time(network.host_now() + 3_600_000),
            grant,
            model: model.into(),
            rows: count,
            rehearsal: false,
            nonce: network.random(),
        };
        let upload = network.registry.open_upload(&request.sign(&admin()).unwrap()).await.unwrap();
        let row = |device: &Device| {
            let (number, leaf) = (device.number, device.leaf.clone());
            Row { number, leaf, serial: serial(number), lot: lot(number) }
        };
        let rows = Rows(devices.iter().map(row).collect());
        let verdicts = network.registry.stage(&upload.upload, rows).await.unwrap();
        assert!(codes(&verdicts).iter().all(|code| *code == "staged"), "{verdicts:?}");
        network.registry.seal(&upload.upload).await.unwrap();
        let mut enrol = network.enrolment(&devices);
        (enrol.model, enrol.grant) = (model.into(), grant);
        let batch = enrol.batch(&network.genesis.network());
        let signed = network.operation(network.owner(), Action::Enrol(enrol), &admin());
        let proof = network.registry.submit(signed, Some(&upload.upload)).await.unwrap();
        let entry = proof.index;
        self.known.extend(devices.iter().map(|device| Known {
            did: device.did,
            serial: serial(device.number),
            lot: lot(device.number),
            model,
            batch,
            entry,
            state: Status::Active,
            keys: vec![device.key().public_key_text()],
        }));
        batch
    }

    pub(crate) async fn target(&self, n: usize) -> Target {
        self.network.target(&Device::vouched(n as u64)).await
    }

    fn becomes(&mut self, n: usize, state: Status) {
        self.known[n].state = self.known[n].state.max(state);
    }

    pub(crate) async fn revoke(&mut self, n: usize) {
        let target = self.target(n).await;
        self.network.act(Action::Revoke(Revoke { target, reason: "lost".into() })).await.unwrap();
        self.becomes(n, Status::Revoked);
    }

    pub(crate) async fn hold(&mut self, n: usize, until: Option<Time>) -> HoldId {
        let target = self.target(n).await;
        let id = HoldId(self.network.random());
        let (power, seen, reason) = (Power::Owner, 0, String::new());
        let hold = Hold { target, id, power, until, seen, reason };
        self.network.act(Action::Hold(hold)).await.unwrap();
        self.becomes(n, Status::Held);
        id
    }

    pub(crate) async fn hold_batch(&mut self, batch: BatchId) {
        let id = HoldId(self.network.random());
        let (target, power, until) = (Target::Batch(batch), Power::Owner, None);
        let hold = Hold { target, id, power, until, seen: 0, reason: String::new() };
        self.network.act(Action::Hold(hold)).await.unwrap();
        for n in (0..self.known.len()).filter(|n| self.known[*n].batch == batch).collect::<Vec<_>>()
        {
            self.becomes(n, Status::Held);
        }
    }

    pub(crate) async fn rotate(&mut self, n: usize) {
        let device = Device::vouched(n as u64);
        let new = secret(&format!("later {n}"));
        let reference = self.network.reference(&device).await;
        use muster_identity::Signer as _;
        let key = new.public_key();
        let message = NewKey::message(&self.network.genesis.network(), &device.did, 0, &key);
        let key = NewKey { key, proof: new.sign(&message).unwrap() };
        let rotate = Rotate { device: reference, seq: 0, key, next_key: None };
        let signed = self.network.operation(device.did, Action::Rotate(rotate), &device.key());
        self.network.registry.submit(signed, None).await.unwrap();
        self.known[n].keys.push(new.public_key_text());
    }

    pub(crate) async fn revoke_key(&mut self, n: usize) {
        use muster_identity::Signer as _;
        let device = Device::vouched(n as u64);
        let key = device.key().public_key();
        let device = self.network.reference(&device).await;
        self.network.act(Action::RevokeKey(RevokeKey { device, key })).await.unwrap();
    }

    /// Until the index has caught up.
    pub(crate) async fn settle(&self) {
        let search =
            DeviceSearch { text: Some("z6Mk".into()), limit: 1, ..DeviceSearch::default() };
        while self.network.registry.find_devices(&search).await.unwrap().building {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// What a search must find, in its order: the rule, in its plainest form.
    pub(crate) fn expected(&self, search: &DeviceSearch) -> Vec<&Known> {
        let private = search.organisation == Some(self.network.owner());
        let lot = |known: &Known| known.lot.clone().filter(|_| private);
        let fits = |known: &&Known| {
            search.model.as_ref().is_none_or(|model| model == known.model)
                && search.owner.is_none_or(|owner| owner == self.network.owner())
                && search.batch.is_none_or(|batch| batch == known.batch)
                && search.state.is_none_or(|state| state == known.state)
                && search.lot.as_ref().is_none_or(|of| lot(known).as_ref() == Some(of))
        };
        let text = search.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
        let by_batch = |k: &Known| (std::cmp::Reverse(k.entry), *k.did.digest());
        let mut found: Vec<_> = self.known.iter().filter(fits).collect();
        let Some(text) = text else {
            found.sort_by_key(|known| by_batch(known));
            return found;
        };
        let place = |known: &Known| {
            let did = known.did.to_string();
            let id = did.strip_prefix("did:muster:").unwrap();
            let begins = (text.starts_with("did:") && did.starts_with(text))
                || (text.starts_with('z') && id.starts_with(text));
            let nothing = (std::cmp::Reverse(0), [0; 32]);
            let none = String::new();
            if private && known.serial.starts_with(text) {
                return Some((0, known.serial.clone(), nothing));
            }
            if lot(known).as_deref() == Some(text) {
                return Some((1, none, by_batch(known)));
            }
            if begins {
                return Some((2, none, (std::cmp::Reverse(0), *known.did.digest())));
            }
            let key = known.keys.iter().filter(|key| key.starts_with(text)).min()?;
            Some((3, key.clone(), nothing))
        };
        let mut placed: Vec<_> = found.into_iter().filter_map(|k| Some((place(k)?, k))).collect();
        placed.sort_by(|a, b| a.0.cmp(&b.0));
        placed.into_iter().map(|(_, known)| known).collect()
    }
}

/// All rows of a search by pages, and the total that the first one told.
pub(crate) async fn all(
    registry: &Registry,
    search: &DeviceSearch,
) -> (Vec<DeviceRow>, Option<u64>) {
    let mut search = search.clone();
    let (mut rows, mut total, mut first) = (Vec::new(), None, true);
    loop {
        let page = registry.find_devices(&search).await.unwrap();
        assert!(page.rows.len() <= 100);
        rows.extend(page.rows);
        if std::mem::take(&mut first) {
            total = page.total;
        }
        match page.next {
            Some(next) => search.after = Some(next),
            None => return (rows, total),
        }
    }
}

/// The Multikey of a secret key.
trait KeyText {
    fn public_key_text(&self) -> String;
}

impl KeyText for muster_identity::SecretKey {
    fn public_key_text(&self) -> String {
        use muster_identity::Signer as _;
        self.public_key().to_multikey()
    }
}
