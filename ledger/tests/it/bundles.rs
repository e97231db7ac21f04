use muster_identity::cbor::Encode as _;
use muster_identity::{Algorithm, Inception, SecretKey, Signer as _, sha256};
use muster_ledger::merkle::{Tree, leaf_hash};
use muster_ledger::{Bundle, Evidence, Leaf, SerialCommitment, VouchedBy, limits};

/// Leaves in their order. Their keys count up; nothing here verifies a signature.
fn leaves(count: u64) -> Vec<Vec<u8>> {
    let leaf = |n: u64| {
        let seed = zeroize::Zeroizing::new(sha256(&[&n.to_be_bytes()]));
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &seed).unwrap().public_key();
        let inception = Inception::from_key(key);
        let evidence = Evidence::Vouched { by: VouchedBy::Enroller, digest: None };
        let (serial, owner_recovery) = (SerialCommitment([0; 32]), false);
        Leaf { inception, evidence, serial, owner_recovery }
    };
    let mut all: Vec<Leaf> = (0..count).map(leaf).collect();
    all.sort_by_key(Leaf::did);
    all.iter().map(|leaf| leaf.to_cbor()).collect()
}

fn root_of(leaves: &[Vec<u8>]) -> [u8; 32] {
    let mut tree = Tree::default();
    leaves.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
    tree.root()
}

/// All bundles, with paths made from the roots of every 256 leaves.
fn bundles(leaves: &[Vec<u8>]) -> Vec<Bundle> {
    let parts: Vec<&[Vec<u8>]> = leaves.chunks(limits::BUNDLE_LEAVES as usize).collect();
    let mut upper = Tree::default();
    parts.iter().for_each(|part| upper.push(root_of(part)));
    let size = upper.size();
    let bundle = |(index, part): (u64, &&[Vec<u8>])| Bundle {
        leaves: part.to_vec(),
        path: upper.inclusion(index, size).unwrap(),
    };
    (0..).zip(&parts).map(bundle).collect()
}

#[test]
fn bundles_lead_to_the_root_of_all_leaves() {
    let most = leaves(1_300);
    for count in [1, 255, 256, 257, 511, 512, 513, 768, 769, 1_025, 1_300_usize] {
        let leaves = &most[..count];
        let (root, all) = (root_of(leaves), bundles(leaves));
        assert_eq!(all.len() as u64, Bundle::count(count as u64));
        for (index, bundle) in (0..).zip(&all) {
            bundle.verify(&root, count as u64, index).unwrap();
            let elsewhere = bundle.verify(&root, count as u64, index + 1);
            assert!(elsewhere.is_err(), "{count} leaves, place {index}");
        }
    }
}

#[test]
fn what_is_not_the_batch_is_refused() {
    let all = leaves(600);
    let (root, good) = (root_of(&all), bundles(&all).swap_remove(1));
    let refused = |bundle: Bundle| bundle.verify(&root, 600, 1).is_err();
    assert!(!refused(good.clone()));
    let mut bent = good.clone();
    bent.leaves[7][40] ^= 1;
    assert!(refused(bent));
    let mut short = good.clone();
    short.leaves.pop();
    assert!(refused(short));
    let mut longer = good.clone();
    longer.path.push([0; 32]);
    assert!(refused(longer));
    let mut cut = good.clone();
    cut.path.pop();
    assert!(refused(cut));
    assert!(good.verify(&root, 600, u64::MAX).is_err());
    assert!(good.verify(&root, 0, 0).is_err());
    // In another order they may have a root; a batch has none such.
    let mut turned = all.clone();
    turned.swap(0, 1);
    let first = bundles(&turned).swap_remove(0);
    assert!(first.verify(&root_of(&turned), 600, 0).is_err());
}
