//! Rules, proposals and a protocol version to come, on a running node.

use crate::network::{Device, Network, admin, genesis, secret};
use muster_identity::{SecretKey, Signer as _};
use muster_ledger::{
    Action, Approval, Approve, BatchId, Capabilities, Capability, ChangeKeys, Deactivate,
    EvidencePolicy, Genesis, NewKey, NextProtocol, OrgKey, ProposalId, Propose, Revoke, Target,
    UpgradeProtocol, View as _, WithdrawProposal, limits,
};
use muster_registry::Covered;

/// Another person, who operates and approves.
fn second() -> SecretKey {
    secret("second")
}

/// One organisation with every validator, two people, and a rule for more than two devices a day.
fn governed() -> Genesis {
    let mut genesis = genesis(1_000, EvidencePolicy::Possession);
    let key = |key: &SecretKey, can: &[Capability]| OrgKey {
        key: key.public_key(),
        capabilities: Capabilities::of(can),
    };
    genesis.organisation.keys.extend([
        key(&secret("validator"), &[Capability::Validator]),
        key(&second(), &[Capability::Operate, Capability::Approve]),
    ]);
    genesis.rules.approval = Some(Approval { devices: Some(2), people: 1, governance: false });
    genesis
}

fn revoke(batch: BatchId) -> Action {
    Action::Revoke(Revoke { target: Target::Batch(batch), reason: "recalled".into() })
}

async fn propose(network: &Network, action: Action) -> ProposalId {
    use muster_api::Host as _;
    let expires = network.host.now().plus_ms(3_600_000);
    let propose = Propose { action: Box::new(action), expires, reason: String::new() };
    let signed = network.operation(network.owner(), Action::Propose(propose), &admin());
    network.registry.submit(signed.clone(), None).await.unwrap();
    signed.verify().unwrap().proposal()
}

async fn standing(network: &Network, device: &Device) -> String {
    network.registry.device(&device.did).await.unwrap().unwrap().standing
}

#[tokio::test]
async fn what_is_approved_shows_as_what_it_did() {
    let mut network = Network::of(governed()).await;
    let devices = network.devices(0..3);
    let batch = network.enrol(&devices).await;
    let refused = network.act(revoke(batch)).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (409, "needs-approval"));
    let says = "this ends 3 devices; without approval an organisation ends 2 a day, and 0 were \
                ended today";
    assert_eq!(refused.title, says);
    assert!(refused.detail.unwrap().contains("you may hold at once"));

    let id = propose(&network, revoke(batch)).await;
    let open = network.registry.proposals().await.unwrap();
    assert_eq!((open.people, open.ended[0].today, open.proposals.len()), (1, 0, 1));
    let shown = &open.proposals[0];
    assert_eq!(shown.proposal, id.to_string());
    assert_eq!((shown.action.as_str(), shown.devices), ("revoke", Some(3)));
    assert_eq!(shown.target.as_deref(), Some(&*batch.to_string()));
    assert_eq!(shown.reason.as_deref(), Some("recalled"));
    assert_eq!(shown.key, admin().public_key().to_multikey());
    let signed = data_encoding::BASE64URL_NOPAD.decode(shown.signed.as_bytes()).unwrap();
    assert_eq!(muster_ledger::SignedOperation(signed).verify().unwrap().proposal(), id);

    let approve = || Action::Approve(Approve { proposal: id });
    let own = network.act(approve()).await.unwrap_err();
    assert_eq!((own.status, own.code()), (409, "own-approval"));
    assert_eq!(standing(&network, &devices[0]).await, "active");
    let proof = network.act_by(approve(), &second()).await.unwrap();
    assert_eq!(standing(&network, &devices[0]).await, "revoked");
    assert!(network.registry.proposals().await.unwrap().proposals.is_empty());

    // The device's history tells who proposed and who approved, its coverage what happened.
    let history = network.registry.history(devices[0].did.digest()).await.unwrap();
    let words: Vec<_> = history.iter().map(|change| change.action.as_str()).collect();
    assert_eq!(words, ["enrol", "approve"]);
    let approved = history[1].approved.as_ref().unwrap();
    assert_eq!(approved.proposal, id.to_string());
    assert_eq!((approved.action.as_str(), approved.carried_out), ("revoke", true));
    assert_eq!(approved.proposed_by, admin().public_key().to_multikey());
    assert_eq!(approved.approved_by, [second().public_key().to_multikey()]);
    assert_eq!(history[1].reason.as_deref(), Some("recalled"));
    for of in [Covered::Device(devices[1].did), Covered::Batch(batch), Covered::Entry(proof.index)]
    {
        let view = network.registry.coverage(of).await.unwrap();
        assert_eq!((view.entry, view.action.as_str()), (proof.index, "revoke"));
    }
    let of_proposal = network.registry.history(&id.0).await.unwrap();
    let words: Vec<_> = of_proposal.iter().map(|change| change.action.as_str()).collect();
    assert_eq!(words, ["propose", "approve"]);
    let view = network.registry.network().await.unwrap();
    let rule = view.rules.approval.unwrap();
    assert_eq!((rule.devices, rule.people, rule.governance), (Some(2), 1, false));

    // The store is what the entries give, and is read back.
    network.registry.close().await;
    let report = crate::network::audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(report.findings.len(), 0, "{:?}", report.findings);
    network.reopen().await.unwrap();
    assert_eq!(standing(&network, &devices[2]).await, "revoked");
}

#[tokio::test]
async fn a_proposal_that_is_withdrawn_shows_nowhere_else() {
    let network = Network::of(governed()).await;
    let devices = network.devices(0..3);
    let batch = network.enrol(&devices).await;
    let id = propose(&network, revoke(batch)).await;
    let withdraw = Action::WithdrawProposal(WithdrawProposal { proposal: id });
    network.act_by(withdraw, &second()).await.unwrap();
    let late = network.act_by(Action::Approve(Approve { proposal: id }), &second()).await;
    assert_eq!(late.unwrap_err().code(), "proposal-closed");
    let history = network.registry.history(devices[0].did.digest()).await.unwrap();
    assert_eq!(history.len(), 1);
    let covered = network.registry.coverage(Covered::Batch(batch)).await.unwrap_err();
    assert_eq!(covered.code(), "not-restricted");
    let unknown = Action::Approve(Approve { proposal: ProposalId([3; 32]) });
    let unknown = network.act_by(unknown, &second()).await.unwrap_err();
    assert_eq!((unknown.status, unknown.code()), (404, "unknown-proposal"));
}

/// Keys of devices are on the ledger by leaves alone, which `apply` does not see.
#[tokio::test]
async fn an_approved_key_is_as_unique_as_any() {
    let network = Network::of(governed()).await;
    let device = network.device(0);
    network.enrol(std::slice::from_ref(&device)).await;
    let key = device.key();
    let (id, owner) = (network.genesis.network(), network.owner());
    let public = key.public_key();
    let proof = key.sign(&NewKey::message(&id, &owner, 1, &public)).unwrap();
    let capabilities = Capabilities::of(&[Capability::Operate]);
    let add = vec![(NewKey { key: public, proof }, capabilities)];
    let proposal =
        propose(&network, Action::ChangeKeys(ChangeKeys { seq: 1, add, remove: vec![] })).await;
    let refused = network.act_by(Action::Approve(Approve { proposal }), &second()).await;
    assert_eq!(refused.unwrap_err().code(), "key-used");
    assert_eq!(network.registry.proposals().await.unwrap().proposals.len(), 1);
}

fn announce(seq: u64, height: u64) -> Action {
    let next = Some(NextProtocol { version: 2, height });
    Action::UpgradeProtocol(UpgradeProtocol { seq, next })
}

#[tokio::test]
async fn at_the_height_a_node_refuses_writes_and_goes_on_reading() {
    let mut network = Network::of(governed()).await;
    let devices = network.devices(0..2);
    network.enrol(&devices).await;
    network.act(announce(1, 5)).await.unwrap();
    let view = network.registry.network().await.unwrap().protocol;
    let next = view.next.unwrap();
    assert_eq!((view.version, next.height, next.confirm_from.is_some()), (1, 5, true));
    assert!(view.upgrade.unwrap().contains("for height 5 and not confirmed"));
    let early = network.act(announce(2, 5)).await.unwrap_err();
    assert!(early.title.contains("24 hours after that"), "{early}");
    // Blocks may be a few milliseconds ahead of the clock.
    network.pass(limits::UPGRADE_NOTICE_MS + 1_000).await;
    network.act(announce(2, 5)).await.unwrap();
    let view = network.registry.network().await.unwrap().protocol;
    assert_eq!((view.version, view.next.map(|next| next.height)), (1, Some(5)));
    let ahead = "the network goes to protocol 2 at height 5; this program knows up to 1";
    assert_eq!(view.upgrade.as_deref(), Some(ahead));
    let metrics = network.registry.metrics().await;
    assert!(metrics.contains("\nmuster_protocol_next_height 5\n"), "{metrics}");
    assert!(metrics.contains("\nmuster_upgrade_needed 0\n"), "{metrics}");

    // All goes on until then.
    let target = network.target(&devices[0]).await;
    network.act(Action::Deactivate(Deactivate { target })).await.unwrap();
    let head = *network.registry.head().unwrap().head();
    assert_eq!(head.height, 4);
    let target = network.target(&devices[1]).await;
    let refused = network.act(Action::Deactivate(Deactivate { target })).await.unwrap_err();
    assert_eq!((refused.status, refused.code()), (409, "upgrade-needed"));
    assert!(refused.title.contains("from block 5 on the network speaks protocol 2"), "{refused}");
    let upload = network.registry.open_upload(&network.request(1, false)).await.unwrap_err();
    assert_eq!(upload.code(), "upgrade-needed");
    // Who reads is answered; but the head gets no newer.
    network.pass(30_000).await;
    assert_eq!(*network.registry.head().unwrap().head(), head);
    assert_eq!(standing(&network, &devices[0]).await, "deactivated");
    let view = network.registry.network().await.unwrap().protocol;
    assert_eq!(view.upgrade, Some(format!("upgrade needed: {ahead}")));
    assert!(network.registry.metrics().await.contains("\nmuster_upgrade_needed 1\n"));
    // A start does not make it newer either.
    network.registry.close().await;
    network.reopen().await.unwrap();
    assert_eq!(*network.registry.head().unwrap().head(), head);
    assert_eq!(standing(&network, &devices[1]).await, "active");
}

#[tokio::test]
async fn an_announcement_can_be_taken_back() {
    let network = Network::of(governed()).await;
    network.act(announce(1, 3)).await.unwrap();
    network.act(Action::UpgradeProtocol(UpgradeProtocol { seq: 2, next: None })).await.unwrap();
    let before = network.registry.head().unwrap().head().time;
    network.pass(11_000).await;
    let devices = network.devices(0..1);
    network.enrol(&devices).await;
    assert!(network.registry.head().unwrap().head().time > before);
    assert_eq!(network.registry.chain().unwrap().state().protocol().unwrap().next, None);
}
