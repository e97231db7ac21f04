//! The log's tree against the recursive definitions of RFC 9162 §2.1, written as they stand there.

use data_encoding::HEXLOWER;
use muster_identity::sha256;
use muster_ledger::merkle::{
    Frontier, Hash, Tree, empty_root, leaf_hash, root_from_path, verify_consistency,
};
use proptest::prelude::*;

/// The largest power of two smaller than n.
fn k(n: usize) -> usize {
    let mut k = 1;
    while k * 2 < n {
        k *= 2;
    }
    k
}

/// MTH(D_n), RFC 9162 §2.1.1.
fn mth(d: &[Vec<u8>]) -> Hash {
    match d.len() {
        0 => sha256(&[]),
        1 => sha256(&[&[0], &d[0]]),
        n => sha256(&[&[1], &mth(&d[..k(n)]), &mth(&d[k(n)..])]),
    }
}

/// PATH(m, D_n), RFC 9162 §2.1.3.1.
fn path(m: usize, d: &[Vec<u8>]) -> Vec<Hash> {
    let n = d.len();
    if n == 1 {
        return vec![];
    }
    let k = k(n);
    let (mut inner, sibling) =
        if m < k { (path(m, &d[..k]), mth(&d[k..])) } else { (path(m - k, &d[k..]), mth(&d[..k])) };
    inner.push(sibling);
    inner
}

/// SUBPROOF(m, D_n, b), RFC 9162 §2.1.4.1.
fn subproof(m: usize, d: &[Vec<u8>], b: bool) -> Vec<Hash> {
    let n = d.len();
    if m == n {
        return if b { vec![] } else { vec![mth(d)] };
    }
    let k = k(n);
    let (mut inner, sibling) = if m <= k {
        (subproof(m, &d[..k], b), mth(&d[k..]))
    } else {
        (subproof(m - k, &d[k..], false), mth(&d[..k]))
    };
    inner.push(sibling);
    inner
}

fn data(n: usize) -> Vec<Vec<u8>> {
    (0..n).map(|i| format!("leaf {i}").into_bytes()).collect()
}

fn tree(d: &[Vec<u8>]) -> Tree {
    let mut tree = Tree::default();
    d.iter().for_each(|leaf| tree.push(leaf_hash(leaf)));
    tree
}

/// The eight inputs and the roots that the Certificate Transparency test suites share.
#[test]
fn known_values() {
    let inputs = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ];
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(HEXLOWER.encode(&empty_root()), empty);
    let (mut tree, mut frontier) = (Tree::default(), Frontier::default());
    assert_eq!((tree.root(), frontier.root()), (empty_root(), empty_root()));
    for (input, root) in inputs.iter().zip(roots) {
        let leaf = leaf_hash(&HEXLOWER.decode(input.as_bytes()).unwrap());
        tree.push(leaf);
        frontier.push(leaf);
        assert_eq!(HEXLOWER.encode(&tree.root()), root);
        assert_eq!(HEXLOWER.encode(&frontier.root()), root);
    }
}

#[test]
fn roots_and_proofs_of_all_small_sizes() {
    const MAX: usize = 70;
    let d = data(MAX);
    let whole = tree(&d);
    let mut frontier = Frontier::default();
    for n in 0..=MAX {
        let root = mth(&d[..n]);
        assert_eq!((frontier.root(), frontier.size()), (root, n as u64), "size {n}");
        assert_eq!(whole.root_at(n as u64), Some(root), "size {n}");
        for m in 0..n {
            let leaf = leaf_hash(&d[m]);
            let found = whole.inclusion(m as u64, n as u64).unwrap();
            assert_eq!(found, path(m, &d[..n]), "leaf {m} of {n}");
            assert_eq!(root_from_path(leaf, m as u64, n as u64, &found), Ok(root));
        }
        for m in 1..=n {
            let found = whole.consistency(m as u64, n as u64).unwrap();
            assert_eq!(found, subproof(m, &d[..n], true), "{m} to {n}");
            let old = mth(&d[..m]);
            assert_eq!(verify_consistency(m as u64, &old, n as u64, &root, &found), Ok(()));
        }
        if n < MAX {
            frontier.push(leaf_hash(&d[n]));
        }
    }
    assert_eq!(whole.root_at(MAX as u64 + 1), None);
    assert_eq!(whole.inclusion(3, 3), None);
    assert_eq!(whole.inclusion(3, MAX as u64 + 1), None);
    assert_eq!(whole.consistency(0, 3), None);
    assert_eq!(whole.consistency(4, 3), None);
    assert_eq!(whole.consistency(4, MAX as u64 + 1), None);
}

/// No path of a size leads to its root from another place, with another length or another byte.
#[test]
fn altered_inclusion_proofs_fail() {
    let d = data(13);
    for n in 1..=d.len() as u64 {
        let (t, root) = (tree(&d), mth(&d[..n as usize]));
        for m in 0..n {
            let leaf = leaf_hash(&d[m as usize]);
            let good = t.inclusion(m, n).unwrap();
            let leads = |index, size, path: &[Hash]| {
                root_from_path(leaf, index, size, path).is_ok_and(|found| found == root)
            };
            assert!(leads(m, n, &good));
            for other in (0..n + 3).filter(|other| *other != m) {
                assert!(!leads(other, n, &good), "leaf {m} of {n} at {other}");
            }
            for level in 0..good.len() {
                for byte in 0..32 {
                    let mut bad = good.clone();
                    bad[level][byte] ^= 1;
                    assert!(!leads(m, n, &bad));
                }
                let mut short = good.clone();
                short.remove(level);
                assert!(!leads(m, n, &short));
            }
            for level in 0..=good.len() {
                let mut long = good.clone();
                long.insert(level, root);
                assert!(!leads(m, n, &long));
            }
            let endless = vec![root; 256];
            assert!(!leads(m, n, &endless));
        }
    }
    assert!(root_from_path([0; 32], 0, 0, &[]).is_err(), "an empty tree has no leaf");
    assert!(root_from_path([0; 32], u64::MAX, u64::MAX, &[]).is_err());
}

#[test]
fn altered_consistency_proofs_fail() {
    let d = data(17);
    let t = tree(&d);
    for new in 1..=d.len() as u64 {
        for old in 1..=new {
            let (a, b) = (t.root_at(old).unwrap(), t.root_at(new).unwrap());
            let good = t.consistency(old, new).unwrap();
            let holds = |old, a: &Hash, new, b: &Hash, proof: &[Hash]| {
                verify_consistency(old, a, new, b, proof).is_ok()
            };
            let flip = |hash: &Hash| {
                let mut hash = *hash;
                hash[31] ^= 0x80;
                hash
            };
            assert!(!holds(old, &flip(&a), new, &b, &good), "{old} to {new}");
            assert!(!holds(old, &a, new, &flip(&b), &good));
            for level in 0..good.len() {
                for byte in 0..32 {
                    let mut bad = good.clone();
                    bad[level][byte] ^= 1;
                    assert!(!holds(old, &a, new, &b, &bad));
                }
                assert!(!holds(old, &a, new, &b, &good[..level]));
            }
            for extra in [a, b] {
                assert!(!holds(old, &a, new, &b, &[&good[..], &[extra]].concat()));
                assert!(!holds(old, &a, new, &b, &[&[extra], &good[..]].concat()));
            }
            assert!(!holds(0, &a, new, &b, &good) && !holds(new + 1, &a, new, &b, &good));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn random_sizes(n in 1usize..600, at: prop::sample::Index, size: prop::sample::Index) {
        let d = data(n);
        let t = tree(&d);
        let mut frontier = Frontier::default();
        d.iter().for_each(|leaf| frontier.push(leaf_hash(leaf)));
        prop_assert_eq!(t.root(), mth(&d));
        prop_assert_eq!(frontier.root(), t.root());
        let size = size.index(n) + 1;
        let m = at.index(size);
        let found = t.inclusion(m as u64, size as u64).unwrap();
        prop_assert_eq!(&found, &path(m, &d[..size]));
        let root = root_from_path(leaf_hash(&d[m]), m as u64, size as u64, &found);
        prop_assert_eq!(root, Ok(mth(&d[..size])));
        let found = t.consistency(size as u64, n as u64).unwrap();
        prop_assert_eq!(&found, &subproof(size, &d, true));
        let holds = verify_consistency(
            size as u64, &t.root_at(size as u64).unwrap(), n as u64, &t.root(), &found,
        );
        prop_assert_eq!(holds, Ok(()));
    }

    #[test]
    fn arbitrary_numbers_never_panic(
        index: u64, size: u64, old: u64, new: u64, path: Vec<[u8; 32]>,
    ) {
        let _ = root_from_path([1; 32], index, size, &path);
        prop_assert!(verify_consistency(old, &[1; 32], new, &[2; 32], &path).is_err());
    }
}
