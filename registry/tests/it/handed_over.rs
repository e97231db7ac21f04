//! Batches and devices that changed hands: whose they are, and who brought them once.

use crate::network::{Device, Network, admin, codes, genesis, rows, secret};
use muster_identity::{Did, Inception, SecretKey, Signer as _};
use muster_ledger::{
    AcceptTransfer, Action, Admission, Admit, Approve, Capabilities, Capability, EvidencePolicy,
    Grant, GrantId, NewKey, OfferId, OfferTransfer, OrgKey, Propose, Revoke, Target, Time,
    UploadRequest, View as _,
};
use muster_registry::{DeviceSearch, Reader};

/// Another organisation, in the network.
struct East {
    did: Did,
    key: SecretKey,
}

impl East {
    async fn admitted(network: &Network) -> Self {
        let (root, key) = (secret("east root"), secret("east"));
        let inception = Inception::from_key(root.public_key());
        let (id, did) = (network.genesis.network(), Did::of(&inception));
        let new = |key: &SecretKey, can: &[Capability]| {
            let public = key.public_key();
            let proof = key.sign(&NewKey::message(&id, &did, Admission::SEQ, &public)).unwrap();
            (NewKey { key: public, proof }, Capabilities::of(can))
        };
        let works = [Capability::Enrol, Capability::Operate, Capability::Approve];
        let keys = vec![new(&root, &[Capability::Root]), new(&key, &works)];
        let admission = Admission::sign(&id, inception, "East".into(), keys, &root).unwrap();
        let seq = seq(network);
        network.act(Action::Admit(Admit { seq, admission })).await.unwrap();
        Self { did, key }
    }

    async fn upload(&self, network: &Network, grant: GrantId) -> String {
        let request = UploadRequest {
            network: network.genesis.network(),
            organisation: self.did,
            valid_until: Time(network.host_now() + 3_600_000),
            grant,
            model: "T-1".into(),
            rows: 10,
            rehearsal: false,
            nonce: network.random(),
        };
        let signed = request.sign(&self.key).unwrap();
        network.registry.open_upload(&signed).await.unwrap().upload
    }

    async fn takes_over(&self, network: &Network, target: Target, seq: u64) {
        let expires = Time(network.host_now() + 3_600_000);
        let offer = OfferTransfer { target: target.clone(), to: self.did, seq, expires };
        let signed = network.operation(network.owner(), Action::OfferTransfer(offer), &admin());
        network.registry.submit(signed.clone(), None).await.unwrap();
        let offer = OfferId(signed.verify().unwrap().proposal().0);
        let accept = Action::AcceptTransfer(AcceptTransfer { target, offer });
        let signed = network.operation(self.did, accept, &self.key);
        network.registry.submit(signed, None).await.unwrap();
    }
}

/// A network that can take in organisations: its validators are all of its first one.
async fn network(evidence: EvidencePolicy) -> Network {
    let mut genesis = genesis(100, evidence);
    let validator = OrgKey {
        key: secret("validator").public_key(),
        capabilities: Capabilities::of(&[Capability::Validator]),
    };
    genesis.organisation.keys.push(validator);
    Network::of(genesis).await
}

/// The first organisation's change counter.
fn seq(network: &Network) -> u64 {
    let chain = network.registry.chain().unwrap();
    chain.state().organisation(&network.owner()).unwrap().unwrap().seq
}

#[tokio::test]
async fn a_batch_that_changed_hands_is_enrolled_by_whoever_enrolled_it() {
    let network = network(EvidencePolicy::Enroller).await;
    let devices: Vec<Device> = (0..3).map(Device::vouched).collect();
    let batch = network.enrol(&devices).await;
    let east = East::admitted(&network).await;
    let (own, at) = (network.owner(), seq(&network));
    let grant_ends = Time(network.host_now() + 86_400_000);
    let grant = Grant {
        seq: at,
        organisation: east.did,
        models: vec!["T-1".into()],
        count: 10,
        expires: grant_ends,
        evidence: EvidencePolicy::Enroller,
    };
    let (action, expires, reason) = (Box::new(Action::Grant(grant)), grant_ends, String::new());
    let propose = Action::Propose(Propose { action, expires, reason });
    let signed = network.operation(network.owner(), propose, &admin());
    network.registry.submit(signed.clone(), None).await.unwrap();
    let proposal = signed.verify().unwrap().proposal();
    let approve = Action::Approve(Approve { proposal });
    let signed = network.operation(east.did, approve, &east.key);
    network.registry.submit(signed, None).await.unwrap();
    let grant = Grant::id(&network.genesis.network(), &own, at);
    let verdicts = async || {
        let mine = network.upload(10).await;
        let north = network.registry.stage(&mine, rows(&devices)).await.unwrap();
        let theirs = east.upload(&network, grant).await;
        let foreign = network.registry.stage(&theirs, rows(&devices)).await.unwrap();
        network.registry.drop_upload(&mine).await.unwrap();
        network.registry.drop_upload(&theirs).await.unwrap();
        (codes(&north).join(" "), codes(&foreign).join(" "))
    };
    let (already, elsewhere) = (["already"; 3].join(" "), ["enrolled-elsewhere"; 3].join(" "));
    assert_eq!(verdicts().await, (already.clone(), elsewhere.clone()));
    // The factory's file says the same as before; the new owner did not enrol them.
    east.takes_over(&network, Target::Batch(batch), 0).await;
    let view = network.registry.batch(&batch).await.unwrap().unwrap();
    assert_eq!(view.owner, east.did.to_string());
    assert_eq!(verdicts().await, (already, elsewhere));
}

#[tokio::test]
async fn a_device_that_changed_hands_is_shown_as_its_new_owners() {
    let network = network(EvidencePolicy::Possession).await;
    let devices = network.devices(0..3);
    network.enrol(&devices).await;
    let east = East::admitted(&network).await;
    let did = devices[1].did;
    let found = async |owner: Did| {
        let search = DeviceSearch { owner: Some(owner), ..DeviceSearch::default() };
        let page = network.registry.find_devices(&search).await.unwrap();
        let mut dids: Vec<_> = page.rows.into_iter().map(|row| (row.did, row.owner)).collect();
        dids.sort();
        dids
    };
    assert_eq!((found(network.owner()).await.len(), found(east.did).await.len()), (3, 0));
    let target = network.target(&devices[1]).await;
    east.takes_over(&network, target, 0).await;
    assert_eq!(found(east.did).await, [(did.to_string(), east.did.to_string())]);
    let rest = found(network.owner()).await;
    assert!(rest.len() == 2 && rest.iter().all(|(other, _)| *other != did.to_string()), "{rest:?}");
    // What its page is made of: the owner, the transfer, and the serial number for nobody but
    // whoever brought it.
    let view = async |who: Did| {
        let reading = network.registry.read_as(Reader::Organisation(who));
        reading.device(&did).await.unwrap().unwrap()
    };
    let (north, east_sees) = (view(network.owner()).await, view(east.did).await);
    for view in [&north, &east_sees] {
        assert_eq!((&view.owner, &*view.standing), (&east.did.to_string(), "active"));
        assert!(view.left.is_some());
    }
    assert_eq!((north.serial.as_ref(), east_sees.serial), (Some(&devices[1].serial), None));
    // A change of its batch does not reach it; its old owner's does not either.
    let revoke = |target| Action::Revoke(Revoke { target, reason: String::new() });
    let refused = network.act(revoke(network.target(&devices[1]).await)).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (403, "not-owner"));
    network.act(revoke(Target::Batch(north.batch.parse().unwrap()))).await.unwrap();
    assert_eq!(view(east.did).await.standing, "active");
    let signed = network.operation(east.did, revoke(network.target(&devices[1]).await), &east.key);
    network.registry.submit(signed, None).await.unwrap();
    assert_eq!(view(network.owner()).await.standing, "revoked");
}
