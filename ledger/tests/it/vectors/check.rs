//! Reads the files and checks what they say, as another implementation would.

use super::on_disk;
use data_encoding::HEXLOWER;
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{Did, Inception, PublicKey};
use muster_ledger::merkle::{Frontier, Hash, leaf_hash, root_from_path, verify_consistency};
use muster_ledger::{
    Action, Alone, BatchRecord, Block, Chain, Changes, Checkpoint, DevicePart, DeviceRecord, Enrol,
    Entry, EntryProof, Genesis, GrantRecord, Leaf, LeafTree, Members, OrganisationRecord,
    OversightRecord, ProposalRecord, ProtocolRecord, Receipt, Rules, SerialCommitment,
    SignedOperation, Snapshot, Standing, State, StateKey, StateProof, UploadRequest, ValidatorSet,
};
use serde_json::Value;
use std::path::Path;

pub(super) struct File(Value);

type Verdict = Result<(), String>;

fn fault(error: impl ToString) -> String {
    error.to_string()
}

impl File {
    fn read(path: &Path) -> Self {
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} in {:#}", self.0))
    }
    fn hex(&self, name: &str) -> Vec<u8> {
        HEXLOWER.decode(self.text(name).as_bytes()).unwrap()
    }
    fn hash(&self, name: &str) -> Hash {
        self.hex(name).try_into().unwrap()
    }
    fn number(&self, name: &str) -> u64 {
        self.0[name].as_u64().unwrap_or_else(|| panic!("{name} in {:#}", self.0))
    }
    fn list(&self, name: &str) -> Vec<&str> {
        self.0[name].as_array().unwrap().iter().map(|v| v.as_str().unwrap()).collect()
    }
    fn hexes(&self, name: &str) -> Vec<Vec<u8>> {
        self.list(name).iter().map(|v| HEXLOWER.decode(v.as_bytes()).unwrap()).collect()
    }
    fn parse<T: core::str::FromStr<Err: core::fmt::Debug>>(&self, name: &str) -> T {
        self.text(name).parse().unwrap()
    }

    /// Whether the thing itself is good; panics if the rest of the file does not fit.
    fn verdict(&self) -> Verdict {
        match self.text("kind") {
            "genesis" => self.genesis(),
            "operation" => self.operation(),
            "upload" => self.upload(),
            "leaf" => self.leaf(),
            "batch" => self.batch(),
            "device-part" => self.device_part(),
            "entry" => self.entry(),
            "block" => self.block(),
            "log" => self.log(),
            "checkpoint" => self.checkpoint(),
            "history" => self.history(),
            "state" => self.state(),
            "record" => self.record(),
            "state-proof" => self.state_proof(),
            "snapshot" => self.snapshot(),
            "entry-proof" => self.entry_proof(),
            "receipt" => self.receipt(),
            other => panic!("unknown kind {other}"),
        }
    }

    fn genesis(&self) -> Verdict {
        let genesis = Genesis::from_cbor(&self.hex("genesis")).map_err(fault)?;
        assert_eq!(genesis.to_cbor(), self.hex("genesis"));
        assert_eq!(genesis.network(), self.parse("network"));
        assert_eq!(genesis.organisation_did(), self.parse("organisation"));
        assert_eq!(genesis.grant_id(), self.parse("grant"));
        assert_eq!(genesis.state().root(), self.hash("state_root"));
        assert_eq!(genesis.validators.hash(), self.hash("validators_hash"));
        Ok(())
    }

    fn operation(&self) -> Verdict {
        let signed = SignedOperation(self.hex("signed"));
        let verified = signed.verify().map_err(fault)?;
        let operation = verified.operation();
        assert_eq!(operation.to_cbor(), self.hex("payload"));
        assert_eq!(operation.action.word(), self.text("action"));
        assert_eq!(operation.network, self.parse("network"));
        assert_eq!(operation.author, self.parse("author"));
        assert_eq!(operation.valid_until.0, self.number("valid_until"));
        assert_eq!(verified.key().to_multikey(), self.text("multikey"));
        assert_eq!(verified.hash(), self.parse("hash"));
        assert_eq!(verified.proposal(), self.parse("proposal"));
        let signature = muster_identity::Signature(*signed.0.last_chunk().unwrap());
        let signs = verified.key().verify(&self.hex("to_be_signed"), &signature);
        assert_eq!(signs, Ok(()), "the bytes that are signed");
        Ok(())
    }

    fn upload(&self) -> Verdict {
        let verified = UploadRequest::verify(&self.hex("signed")).map_err(fault)?;
        assert_eq!(verified.request().to_cbor(), self.hex("upload"));
        assert_eq!(verified.key().to_multikey(), self.text("multikey"));
        Ok(())
    }

    fn leaf(&self) -> Verdict {
        let bytes = self.hex("leaf");
        let (network, manufacturer) = (self.parse("network"), self.parse("manufacturer"));
        let at_once = Leaf::read_checked(&bytes, &network, &manufacturer);
        let leaf = Leaf::from_cbor(&bytes).map_err(fault).and_then(|leaf| {
            leaf.check(&network, &manufacturer).map_err(fault)?;
            Ok(leaf)
        });
        assert_eq!(at_once.ok().as_ref(), leaf.as_ref().ok(), "reading and checking in one");
        let leaf = leaf?;
        assert_eq!(leaf.to_cbor(), bytes);
        assert_eq!(Leaf::did_in(&bytes), Ok(leaf.did()));
        if let Some(key) = PublicKey::stated_ed25519(self.text("multikey"))
            && !leaf.owner_recovery
            && leaf.inception == Inception::from_key(leaf.inception.key)
        {
            let stated = Leaf::of_stated_key(&key, &leaf.evidence, |_| leaf.serial);
            assert_eq!(stated, (leaf.did(), bytes.clone()), "a leaf of a key not looked at");
        }
        assert_eq!(leaf.did(), self.parse("did"));
        assert_eq!(leaf.inception.to_cbor(), self.hex("inception"));
        assert_eq!(leaf.inception.key.to_multikey(), self.text("multikey"));
        let secret = self.hash("directory_secret");
        let serial = SerialCommitment::new(&secret, &leaf.did(), self.text("serial"));
        assert_eq!((serial, serial.0), (leaf.serial, self.hash("serial_commitment")));
        assert_eq!(leaf_hash(&bytes), self.hash("leaf_hash"));
        Ok(())
    }

    fn batch(&self) -> Verdict {
        let mut tree = LeafTree::default();
        for leaf in self.hexes("leaves") {
            let did = Leaf::from_cbor(&leaf).map_err(fault)?.did();
            tree.push(&did, &leaf).map_err(fault)?;
        }
        assert_eq!((tree.count(), tree.root()), (self.number("count"), self.hash("root")));
        let enrol = Enrol {
            grant: self.parse("grant"),
            model: self.text("model").into(),
            count: tree.count(),
            root: tree.root(),
        };
        let id = enrol.batch(&self.parse("network"));
        assert_eq!(id, self.parse("batch"));
        let (index, leaves) = (self.number("index"), self.hexes("leaves"));
        let part = tree.device_part(id, index, leaves[index as usize].clone()).unwrap();
        assert_eq!(part.to_cbor(), self.hex("device_part"));
        assert_eq!(self.device_part(), Ok(()));
        Ok(())
    }

    /// Against the root and count of the same file.
    fn device_part(&self) -> Verdict {
        let part = DevicePart::from_cbor(&self.hex("device_part")).map_err(fault)?;
        let (count, root) = (self.number("count"), self.hash("root"));
        let record = BatchRecord {
            owner: Did::from_digest([0; 32]),
            grant: self.parse("grant"),
            model: "m".into(),
            count,
            root,
            entry: 0,
            seq: 0,
            standing: Standing::default(),
            offer: None,
        };
        let enrolled = part.verify(&record).map_err(fault)?;
        assert_eq!(enrolled.did().to_string(), self.list("dids")[part.index as usize]);
        Ok(())
    }

    fn entry(&self) -> Verdict {
        let bytes = self.hex("entry");
        let entry = Entry::from_cbor(&bytes).map_err(fault)?;
        assert_eq!((entry.height, entry.time.0), (self.number("height"), self.number("time")));
        assert_eq!(entry.operation.0, self.hex("operation"));
        assert_eq!(leaf_hash(&bytes), self.hash("leaf_hash"));
        Ok(())
    }

    fn block(&self) -> Verdict {
        let block = Block::from_cbor(&self.hex("block")).map_err(fault)?;
        assert_eq!(block.to_cbor(), self.hex("block"));
        assert_eq!((block.height, block.time.0), (self.number("height"), self.number("time")));
        let operations: Vec<_> = block.operations.into_iter().map(|o| o.0).collect();
        assert_eq!(operations, self.hexes("operations"));
        Ok(())
    }

    fn log(&self) -> Verdict {
        let hashes = |bytes: &[u8]| bytes.as_chunks::<32>().0.to_vec();
        let one = |bytes: &[u8]| Hash::try_from(bytes).unwrap();
        let (leaves, roots) = (self.hexes("leaf_hashes"), self.hexes("roots"));
        let (n, mut log) = (leaves.len() as u64, Frontier::default());
        assert_eq!(roots.len() as u64, n + 1);
        for (root, leaf) in roots.iter().zip(leaves.iter().map(Some).chain([None])) {
            assert_eq!(log.root()[..], root[..]);
            leaf.iter().for_each(|leaf| log.push(one(leaf)));
        }
        let root = log.root();
        for (i, path) in self.hexes("paths_at_10").iter().enumerate() {
            let found = root_from_path(one(&leaves[i]), i as u64, n, &hashes(path));
            assert_eq!(found, Ok(root));
        }
        for (i, proof) in self.hexes("consistency_to_10").iter().enumerate() {
            let old = one(&roots[i + 1]);
            assert_eq!(verify_consistency(i as u64 + 1, &old, n, &root, &hashes(proof)), Ok(()));
        }
        Ok(())
    }

    fn validators(&self) -> ValidatorSet {
        let keys = self.list("validators");
        ValidatorSet(keys.iter().map(|key| PublicKey::from_multikey(key).unwrap()).collect())
    }

    fn checkpoint(&self) -> Verdict {
        let note = Checkpoint::parse(self.text("note")).map_err(fault)?;
        assert_eq!(note.to_note(), self.text("note"));
        let good = note.verify(&self.parse("network"), &self.validators()).map_err(fault)?;
        let head = good.head();
        assert_eq!((head.size, head.height), (self.number("size"), self.number("height")));
        assert_eq!(head.time.0, self.number("time"));
        assert_eq!(head.log_root, self.hash("log_root"));
        assert_eq!(head.state_root, self.hash("state_root"));
        Ok(())
    }

    fn history(&self) -> Verdict {
        let genesis = Genesis::from_cbor(&self.hex("genesis")).map_err(fault)?;
        let entries = self.hexes("entries");
        let entries: Vec<_> = entries.iter().map(|e| Entry::from_cbor(e).unwrap()).collect();
        let mut chain = Chain::new(&genesis);
        for block in Block::from_entries(entries).map_err(fault)? {
            chain = chain.extend(&block).map_err(fault)?.0;
        }
        assert_eq!(chain.head(chain.time()).unwrap().body(), self.text("head"));
        Ok(())
    }

    fn state(&self) -> Verdict {
        let keys = self.hexes("keys").into_iter().map(|key| StateKey::from_bytes(&key).unwrap());
        let records = keys.zip(self.hexes("values").into_iter().map(Into::into));
        let state = State::default().with(&Changes(records.collect()));
        assert_eq!(state.root(), self.hash("root"));
        Ok(())
    }

    fn record(&self) -> Verdict {
        fn read<T: Encode + Decode>(bytes: &[u8]) -> Verdict {
            let record = T::from_cbor(bytes).map_err(fault)?;
            assert_eq!(record.to_cbor(), bytes);
            Ok(())
        }
        let bytes = self.hex("value");
        match self.text("record") {
            "rules" => read::<Rules>(&bytes),
            "validators" => read::<ValidatorSet>(&bytes),
            "organisation" => read::<OrganisationRecord>(&bytes),
            "grant" => read::<GrantRecord>(&bytes),
            "batch-record" => read::<BatchRecord>(&bytes),
            "device" => read::<DeviceRecord>(&bytes),
            "protocol" => read::<ProtocolRecord>(&bytes),
            "oversight" => read::<OversightRecord>(&bytes),
            "proposal" => read::<ProposalRecord>(&bytes),
            "members" => read::<Members>(&bytes),
            other => panic!("unknown record {other}"),
        }
    }

    fn snapshot(&self) -> Verdict {
        let genesis = Genesis::from_cbor(&self.hex("genesis")).unwrap();
        let bytes = self.hex("snapshot");
        let snapshot = Snapshot::parse(&bytes).map_err(fault)?;
        let (chain, _) =
            snapshot.check(&genesis.network(), &genesis.validators, &Alone).map_err(fault)?;
        assert_eq!(chain.state().root(), self.hash("state_root"));
        Ok(())
    }

    fn state_proof(&self) -> Verdict {
        let proof = StateProof::from_cbor(&self.hex("state_proof")).map_err(fault)?;
        let key = StateKey::from_bytes(&self.hex("key")).unwrap();
        let value = (!self.0["value"].is_null()).then(|| self.hex("value"));
        proof.verify(&self.hash("root"), &key, value.as_deref()).map_err(fault)
    }

    fn entry_proof(&self) -> Verdict {
        let genesis = Genesis::from_cbor(&self.hex("genesis")).unwrap();
        let proof = EntryProof::from_cbor(&self.hex("entry_proof")).map_err(fault)?;
        let entry = proof.verify(&genesis.network(), &genesis.validators).map_err(fault)?;
        assert_eq!(entry.index, self.number("index"));
        assert_eq!(entry.operation.operation().action.word(), self.text("action"));
        Ok(())
    }

    fn receipt(&self) -> Verdict {
        let genesis = Genesis::from_cbor(&self.hex("genesis")).unwrap();
        let receipt = Receipt::from_cbor(&self.hex("receipt")).map_err(fault)?;
        let verified = receipt.verify(&genesis).map_err(fault)?;
        assert_eq!(verified.device.did(), self.parse("did"));
        assert_eq!(verified.device.index(), self.number("index"));
        assert_eq!(verified.device.batch(), self.parse("batch"));
        assert_eq!(verified.manufacturer, self.parse("manufacturer"));
        assert_eq!(verified.entry.height, self.number("height"));
        let entry = verified.entry.operation.verify().unwrap();
        assert!(matches!(entry.operation().action, Action::Enrol(_)));
        Ok(())
    }
}

#[test]
fn every_valid_file_holds() {
    let files = on_disk("valid");
    assert!(files.len() > 25, "{} files", files.len());
    for path in files {
        assert_eq!(File::read(&path).verdict(), Ok(()), "{}", path.display());
    }
}

#[test]
fn every_invalid_file_is_refused_for_its_flaw() {
    let files = on_disk("invalid");
    assert!(files.len() > 60, "{} files", files.len());
    for path in files {
        let file = File::read(&path);
        assert_eq!(file.verdict(), Err(file.text("fault").to_owned()), "{}", path.display());
    }
}
