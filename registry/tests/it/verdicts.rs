use crate::network::{Device, Network, codes, rows};
use muster_api::{Row, Rows, limits};
use muster_identity::Algorithm;
use muster_ledger::EvidencePolicy;

async fn stage(network: &Network, upload: &str, rows: Vec<Row>) -> Vec<String> {
    let verdicts = network.registry.stage(upload, Rows(rows)).await.unwrap();
    codes(&verdicts).into_iter().map(String::from).collect()
}

/// The rows that a seal refuses.
async fn refused(network: &Network, upload: &str) -> Vec<(u64, String)> {
    let sealed = network.registry.seal(upload).await.unwrap();
    assert!(sealed.refused.is_empty() || (sealed.count, sealed.root.as_str()) == (0, ""));
    let code = |v: muster_api::RowVerdict| (v.row, v.code.unwrap());
    sealed.refused.into_iter().map(code).collect()
}

fn renumbered(device: &Device, number: u64) -> Row {
    Row { number, ..device.row() }
}

fn reserialled(device: &Device, serial: &str) -> Row {
    Row { serial: serial.into(), ..device.row() }
}

#[tokio::test]
async fn what_is_enrolled_stays_unique() {
    let network = Network::new().await;
    let devices = network.devices(0..3);
    network.enrol(&devices).await;
    let upload = network.upload(10).await;
    let other_key = Row { serial: devices[1].serial.clone(), ..network.device(9).row() };
    let rows = vec![devices[0].row(), reserialled(&devices[0], "SN-x"), other_key];
    let verdicts = stage(&network, &upload, rows).await;
    assert_eq!(verdicts, ["already", "duplicate-key", "staged"]);
    assert_eq!(refused(&network, &upload).await, [(9, "duplicate-serial".into())]);
    // The key of an enrolled device in another inception: another DID, the same key.
    let mut leaf: muster_ledger::Leaf =
        muster_identity::cbor::Decode::from_cbor(&devices[0].leaf).unwrap();
    leaf.inception.next_key = Some([1; 32]);
    let verdict = stage(&network, &upload, vec![possessed(&network, &devices[0], leaf)]).await;
    assert_eq!(verdict, ["duplicate-key"]);
    assert_eq!(network.registry.seal(&upload).await.unwrap_err().code(), "leaves");
}

/// A row whose leaf the device signed for.
fn possessed(network: &Network, device: &Device, mut leaf: muster_ledger::Leaf) -> Row {
    let id = network.genesis.network();
    let terms = muster_identity::PossessionTerms {
        network: &id.0,
        manufacturer: &network.owner(),
        challenge: b"order 2",
        owner_recovery: false,
    };
    let signature = terms.sign(&leaf.did(), &device.key()).unwrap();
    leaf.evidence =
        muster_ledger::Evidence::Possession { challenge: b"order 2".to_vec(), signature };
    let leaf = muster_identity::cbor::Encode::to_cbor(&leaf);
    Row { number: 77, leaf, serial: "SN-77".into(), lot: None }
}

#[tokio::test]
async fn rows_of_one_upload() {
    let network = Network::new().await;
    let upload = network.upload(10).await;
    let devices = network.devices(0..4);
    let first = stage(&network, &upload, devices.iter().map(Device::row).collect()).await;
    assert_eq!(first, ["staged"; 4]);
    // Sent again, because the answer was lost.
    let again = stage(&network, &upload, devices.iter().map(Device::row).collect()).await;
    assert_eq!(again, ["staged"; 4]);
    // The same device in another row; the same key with another serial; a serial twice.
    let rows = vec![
        renumbered(&devices[0], 100),
        Row { serial: "SN-z".into(), ..renumbered(&devices[1], 101) },
        Row { serial: devices[2].serial.clone(), ..network.device(102).row() },
    ];
    let verdicts = stage(&network, &upload, rows).await;
    assert_eq!(verdicts, ["duplicate-row", "duplicate-key", "staged"]);
    // The same within one request.
    let (a, b) = (network.device(50), network.device(51));
    let rows = vec![
        a.row(),
        renumbered(&a, 60),
        Row { serial: a.serial.clone(), ..b.row() },
        Row { serial: "SN-y".into(), ..renumbered(&a, 61) },
    ];
    let verdicts = stage(&network, &upload, rows).await;
    assert_eq!(verdicts, ["staged", "duplicate-row", "staged", "duplicate-key"]);
    // A mended row: the number stays, the serial changes, and the old serial is free again.
    let mended = reserialled(&devices[3], "SN-mended");
    let freed = Row { serial: devices[3].serial.clone(), ..network.device(103).row() };
    assert_eq!(stage(&network, &upload, vec![mended, freed]).await, ["staged", "staged"]);
    // Of two devices with one serial number the row that comes first keeps it.
    let twice = [(102, "duplicate-serial".into()), (51, "duplicate-serial".into())];
    assert_eq!(refused(&network, &upload).await, twice);
    assert_eq!(network.registry.seal(&upload).await.unwrap().count, 6);
    let problem = network.registry.stage(&upload, rows_of(&network, 200)).await.unwrap_err();
    assert_eq!(problem.code(), "sealed");
}

fn rows_of(network: &Network, n: u64) -> Rows {
    rows(&[network.device(n)])
}

#[tokio::test]
async fn rows_that_are_not_good() {
    let network = Network::new().await;
    let upload = network.upload(3).await;
    let good = network.device(0);
    let mut forged = network.device(1);
    // Before the serial commitment, 35 bytes, stands the signature.
    let last = forged.leaf.len() - 40;
    forged.leaf[last] ^= 1;
    let mut broken = network.device(2).row();
    broken.leaf.truncate(20);
    let bad = vec![broken, good.row(), forged.row(), Device::vouched(3).row()];
    let verdicts = network.registry.stage(&upload, Rows(bad)).await.unwrap();
    assert_eq!(codes(&verdicts), ["malformed-leaf", "staged", "bad-possession", "evidence"]);
    let numbers: Vec<_> = verdicts.verdicts.iter().map(|v| v.row).collect();
    assert_eq!(numbers, [2, 0, 1, 3]);
    let signed_by_another = {
        let (a, b) = (network.device(20), network.device(21));
        let leaf: muster_ledger::Leaf = muster_identity::cbor::Decode::from_cbor(&a.leaf).unwrap();
        possessed(&network, &b, leaf)
    };
    assert_eq!(stage(&network, &upload, vec![signed_by_another]).await, ["bad-possession"]);
    let p256 = Device::new(&network, 30, Algorithm::P256);
    let problem =
        network.registry.stage(&upload, rows_many(&network, &[p256], 31..34)).await.unwrap_err();
    assert_eq!(problem.code(), "too-many-rows");
    let many = Rows(vec![good.row(); limits::UPLOAD_ROWS + 1]);
    assert_eq!(network.registry.stage(&upload, many).await.unwrap_err().status, 413);
    let unknown = network.registry.stage("zz", rows(&[good])).await.unwrap_err();
    assert_eq!(unknown.status, 404);
}

fn rows_many(network: &Network, some: &[Device], more: std::ops::Range<u64>) -> Rows {
    rows(&[some, &network.devices(more)].concat())
}

#[tokio::test]
async fn uploads_beside_each_other() {
    let network = Network::new().await;
    let devices = network.devices(0..3);
    let all = || devices.iter().map(Device::row).collect::<Vec<_>>();
    let old = network.upload(10).await;
    assert_eq!(stage(&network, &old, all()).await, ["staged"; 3]);
    // An importer at work keeps its rows.
    let second = network.upload(10).await;
    assert_eq!(stage(&network, &second, all()).await, ["uploading-elsewhere"; 3]);
    network.pass(limits::UPLOAD_IDLE_MS + 1).await;
    // One that starts again later takes its rows over: one that was cut off before it sealed must
    // not be in its own way.
    let new = network.upload(10).await;
    let mended = Row { serial: devices[2].serial.clone(), ..network.device(8).row() };
    let rows = vec![devices[0].row(), mended];
    assert_eq!(stage(&network, &new, rows).await, ["staged"; 2]);
    assert_eq!(stage(&network, &old, vec![devices[0].row()]).await, ["uploading-elsewhere"]);
    assert_eq!(stage(&network, &new, vec![devices[1].row()]).await, ["staged"]);
    // Of serial numbers the upload that is sealed first keeps them.
    assert_eq!(network.registry.seal(&new).await.unwrap().count, 3);
    assert_eq!(refused(&network, &old).await, [(2, "duplicate-serial".into())]);
    assert_eq!(network.registry.seal(&old).await.unwrap_err().code(), "leaves");
    // A rehearsal takes nothing away.
    let rehearsal = network.registry.open_upload(&network.request(10, true)).await.unwrap().upload;
    assert_eq!(stage(&network, &rehearsal, all()).await[..2], ["uploading-elsewhere"; 2]);
    // After 24 hours an upload is over, and its rows are free.
    network.pass(limits::UPLOAD_LIFETIME_MS).await;
    let late = network.registry.seal(&new).await.unwrap_err();
    assert_eq!((late.code(), late.status), ("expired-upload", 410));
    network.enrol(&devices).await;
    assert_eq!(network.registry.seal(&new).await.unwrap_err().status, 404);
}

#[tokio::test]
async fn a_grant_may_ask_for_less() {
    let network = Network::with(10, EvidencePolicy::Enroller).await;
    network.enrol(&[Device::vouched(1), network.device(2)]).await;
}
