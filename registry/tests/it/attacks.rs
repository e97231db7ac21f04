//! What a hostile or unlucky importer might do to an upload.

use crate::network::{Device, Network, admin, codes, rows, secret_of};
use muster_api::{Row, Rows};
use muster_identity::cbor::{Decode as _, Writer};
use muster_identity::{Algorithm, Did, PossessionTerms, Signer as _, sha256};
use muster_ledger::{Action, Evidence, EvidencePolicy, Leaf};
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

/// A P-256 key behind the head of a byte string of 34, with a good signature over that.
fn forged(network: &Network, n: u64) -> Row {
    let device = Device::new(network, n, Algorithm::P256);
    let key = secret_of(Algorithm::P256, &device.name);
    let mut inception = b"\xa1\x01\x58\x22".to_vec();
    inception.extend(key.public_key().to_multicodec());
    let did = Did::from_digest(sha256(&[&inception]));
    let id = network.genesis.network();
    let terms = PossessionTerms {
        network: &id.0,
        manufacturer: &network.owner(),
        challenge: b"order 1",
        owner_recovery: false,
    };
    let signature = terms.sign(&did, &key).unwrap();
    let mut w = Writer::default();
    w.map(3);
    w.uint(1).bytes(&inception);
    w.uint(2).value(&Evidence::Possession { challenge: b"order 1".to_vec(), signature });
    w.uint(3).bytes(&[5; 32]);
    Row { number: n, leaf: w.into_bytes(), serial: format!("F-{n}"), lot: None }
}

#[tokio::test]
async fn a_leaf_is_read_as_every_node_reads_it() {
    let network = Network::new().await;
    let row = forged(&network, 5);
    assert!(Leaf::from_cbor(&row.leaf).is_err());
    let upload = network.upload(3).await;
    let verdicts = network.registry.stage(&upload, Rows(vec![row])).await.unwrap();
    assert_eq!(codes(&verdicts), ["public-key"]);
    // Whatever byte of a good leaf is turned, both ways of reading agree.
    let good = network.device(1).leaf;
    let (id, owner) = (network.genesis.network(), network.owner());
    for at in 0..good.len() {
        for bit in [0x01, 0x20, 0x80] {
            let mut leaf = good.clone();
            leaf[at] ^= bit;
            let slow = Leaf::from_cbor(&leaf).is_ok_and(|leaf| leaf.check(&id, &owner).is_ok());
            assert_eq!(Leaf::read_checked(&leaf, &id, &owner).is_ok(), slow, "byte {at}");
        }
    }
}

#[tokio::test]
async fn a_serial_number_is_taken_over_once() {
    let network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    let named = |n| Row { serial: "S".into(), ..Device::vouched(n).row() };
    let rehearsal = network.registry.open_upload(&network.request(3, true)).await.unwrap().upload;
    network.registry.stage(&rehearsal, Rows(vec![named(1)])).await.unwrap();
    network.registry.seal(&rehearsal).await.unwrap();
    let upload = network.upload(3).await;
    network.registry.stage(&upload, Rows(vec![named(2), named(3)])).await.unwrap();
    let refused = network.registry.seal(&upload).await.unwrap().refused;
    assert_eq!(refused.iter().map(|v| v.row).collect::<Vec<_>>(), [3]);
    assert_eq!(network.registry.seal(&upload).await.unwrap().count, 1);
}

/// A row that comes while serial numbers are entered is not among them, so it is not sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_come_while_an_upload_is_sealed() {
    let network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    let first = [Device::vouched(900_000)];
    network.enrol(&first).await;
    let many: Vec<Device> = (0..8_192).map(Device::vouched).collect();
    for wait in [1_u64, 5, 10, 20, 40, 80, 160] {
        let upload = network.upload(20_000).await;
        for part in many.chunks(4_096) {
            network.registry.stage(&upload, rows(part)).await.unwrap();
        }
        // Sent twice: the seal reads the store.
        network.registry.stage(&upload, rows(&many[..1])).await.unwrap();
        let double =
            Row { serial: first[0].serial.clone(), ..Device::vouched(500_000 + wait).row() };
        let (sealed, _) = tokio::join!(network.registry.seal(&upload), async {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            network.registry.stage(&upload, Rows(vec![double])).await
        });
        match sealed {
            Ok(sealed) => assert!(sealed.count == 8_192 || !sealed.refused.is_empty(), "{wait}"),
            Err(problem) => assert_eq!(problem.code(), "changed", "{wait}"),
        }
        network.registry.drop_upload(&upload).await.unwrap();
    }
}

/// Its author must not sign anew, and need not wonder.
#[tokio::test]
async fn an_enrolment_asked_for_again_while_its_head_is_unsigned() {
    let network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    let upload = network.upload(3).await;
    let mine = [Device::vouched(1)];
    network.registry.stage(&upload, rows(&mine)).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    network.signer.gone.store(true, SeqCst);
    let enrol = Action::Enrol(network.enrolment(&mine));
    let signed = network.operation(network.owner(), enrol, &admin());
    for _ in 0..2 {
        let problem = network.registry.submit(signed.clone(), Some(&upload)).await.unwrap_err();
        assert_eq!((problem.status, problem.code()), (503, "unsigned"));
    }
}

/// What the first half of an eviction's commit leaves, if the second never comes: the upload that
/// lost the row finds it out.
#[tokio::test]
async fn half_an_eviction() {
    let mut network = Network::with(2_000_000, EvidencePolicy::Enroller).await;
    let upload = network.upload(3).await;
    let mine = [Device::vouched(1), Device::vouched(2)];
    network.registry.stage(&upload, rows(&mine)).await.unwrap();
    network.registry.close().await;
    let url = format!("sqlite://{}", network.dir.path().join("directory.db").display());
    let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
    sqlx::query("UPDATE serials SET upload = 77 WHERE row = 1").execute(&pool).await.unwrap();
    pool.close().await;
    network.reopen().await.unwrap();
    assert_eq!(network.registry.seal(&upload).await.unwrap_err().code(), "lost");
    // A sealed upload keeps its rows from other uploads, however long it is idle.
    let sealed = network.upload(3).await;
    let other = [Device::vouched(5)];
    network.registry.stage(&sealed, rows(&other)).await.unwrap();
    network.registry.seal(&sealed).await.unwrap();
    network.pass(muster_api::limits::UPLOAD_IDLE_MS + 1).await;
    let late = network.upload(3).await;
    let verdicts = network.registry.stage(&late, rows(&other)).await.unwrap();
    assert_eq!(codes(&verdicts), ["uploading-elsewhere"]);
    network.submit_batch(&sealed, &other).await.unwrap();
}
