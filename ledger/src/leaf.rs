use crate::merkle::{Frontier, Hash, Tree, leaf_hash};
use crate::{BatchId, DevicePart, Error, Network, limits};
use alloc::vec::Vec;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use muster_identity::cbor::{Decode, Encode, Reader, Writer};
use muster_identity::{Did, Inception, PossessionTerms, PublicKey, Signature, sha256};
use sha2::Sha256;

/// One device in its batch: what it is, and why the enroller believes it.
///
/// CBOR map: 1 inception (its bytes), 2 evidence, 3 serial commitment; optional 4 `true`: the
/// current owner may recover the device, which counts only under the device's own possession
/// signature. No height, time or artefact of the import, so one file gives one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The device's inception; the DID is its hash.
    pub inception: Inception,
    /// Why it may be enrolled.
    pub evidence: Evidence,
    /// Commitment to the serial number.
    pub serial: SerialCommitment,
    /// Whether the current owner may recover the device.
    pub owner_recovery: bool,
}

/// Why the enroller believes that the key belongs to the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The device signed for it; every node checks the signature.
    Possession {
        /// The order's challenge.
        challenge: Vec<u8>,
        /// Over [`PossessionTerms`].
        signature: Signature,
    },
    /// The enroller vouches, having checked something outside the ledger.
    Vouched {
        /// What it checked.
        by: VouchedBy,
        /// SHA-256 of what it checked, if that is a document.
        digest: Option<[u8; 32]>,
    },
}

/// What an enroller checked before it vouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VouchedBy {
    /// Nothing but its own word for the row.
    Enroller = 0,
    /// A signed entry of the chip vendor's manifest.
    VendorManifest = 1,
    /// A device certificate with its chain.
    Certificate = 2,
    /// A certificate signing request.
    SigningRequest = 3,
}

/// What a network or a grant asks of the evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EvidencePolicy {
    /// The enroller's own word is enough.
    Enroller = 0,
    /// A document of the vendor's: manifest, certificate or signing request.
    Document = 1,
    /// The device's own signature.
    Possession = 2,
}

impl EvidencePolicy {
    /// Whether the evidence meets the policy.
    pub fn admits(self, evidence: &Evidence) -> bool {
        let strength = match evidence {
            Evidence::Possession { .. } => Self::Possession,
            Evidence::Vouched { by: VouchedBy::Enroller, .. } => Self::Enroller,
            Evidence::Vouched { .. } => Self::Document,
        };
        strength >= self
    }

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Enroller => "enroller",
            Self::Document => "document",
            Self::Possession => "possession",
        }
    }
}

impl Encode for EvidencePolicy {
    fn encode(&self, w: &mut Writer) {
        w.uint(*self as u64);
    }
}

impl Decode for EvidencePolicy {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        match r.uint()? {
            0 => Ok(Self::Enroller),
            1 => Ok(Self::Document),
            2 => Ok(Self::Possession),
            _ => Err(r.fault("an unknown evidence policy")),
        }
    }
}

/// HMAC-SHA256 of a serial number under a key that only its owner can derive. Disclosing the
/// key of one device reveals one serial.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SerialCommitment(pub [u8; 32]);

impl SerialCommitment {
    /// Commits to a serial: HMAC(HKDF(directory secret, DID), serial) (RFC 2104, RFC 5869).
    pub fn new(directory_secret: &[u8; 32], device: &Did, serial: &str) -> Self {
        let mut key = zeroize_array();
        Hkdf::<Sha256>::new(None, directory_secret)
            .expand_multi_info(&[b"muster/serial/1", device.digest()], &mut *key)
            .expect("32 bytes are a valid length for HKDF-SHA256");
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&*key).expect("HMAC takes keys of every length");
        mac.update(serial.as_bytes());
        Self(mac.finalize().into_bytes().into())
    }
}

fn zeroize_array() -> zeroize::Zeroizing<[u8; 32]> {
    zeroize::Zeroizing::new([0; 32])
}

impl Leaf {
    /// The device's DID.
    pub fn did(&self) -> Did {
        Did::of(&self.inception)
    }

    /// DID and bytes of the leaf of a bare Ed25519 key that nobody has looked at: whoever stages it
    /// verifies the possession signature ([`Self::read_checked`]), and with it the key.
    pub fn of_stated_key(
        key: &[u8; 32],
        evidence: &Evidence,
        serial: impl FnOnce(&Did) -> SerialCommitment,
    ) -> (Did, Vec<u8>) {
        let inception = [BARE_ED25519, key].concat();
        let did = Did::from_digest(sha256(&[&inception]));
        let mut w = Writer::default();
        write(&mut w, &inception, evidence, &serial(&did), false);
        (did, w.into_bytes())
    }

    /// The DID of the device in a leaf's bytes, which were checked before: nothing else is read.
    pub fn did_in(bytes: &[u8]) -> Result<Did, Error> {
        let parts = Parts::decode(&mut Reader::new(bytes))?;
        Ok(Did::from_digest(sha256(&[parts.inception])))
    }

    /// Reads a leaf and checks it as [`Self::check`] does. A bare key with its possession
    /// signature, which nearly every leaf is, is decompressed once.
    pub fn read_checked(
        bytes: &[u8],
        network: &Network,
        manufacturer: &Did,
    ) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes);
        let parts = Parts::decode(&mut reader)?;
        reader.end()?;
        if let (Some(key), Evidence::Possession { challenge, signature }) =
            (bare_ed25519(parts.inception), &parts.evidence)
        {
            let owner_recovery = parts.owner_recovery;
            let terms =
                PossessionTerms { network: &network.0, manufacturer, challenge, owner_recovery };
            let did = Did::from_digest(sha256(&[parts.inception]));
            let key = PublicKey::ed25519_verified(key, &terms.message(&did), signature)?;
            return Ok(parts.leaf(Inception::from_key(key)));
        }
        let inception = Inception::from_cbor(parts.inception)?;
        let leaf = parts.leaf(inception);
        leaf.check(network, manufacturer)?;
        Ok(leaf)
    }

    /// Checks what a node can check of a leaf alone: the possession signature, and that a
    /// recovery by the owner was agreed to by the device.
    pub fn check(&self, network: &Network, manufacturer: &Did) -> Result<(), Error> {
        match &self.evidence {
            Evidence::Possession { challenge, signature } => {
                let terms = PossessionTerms {
                    network: &network.0,
                    manufacturer,
                    challenge,
                    owner_recovery: self.owner_recovery,
                };
                terms.verify(&self.did(), &self.inception.key, signature)?;
                Ok(())
            }
            Evidence::Vouched { .. } if self.owner_recovery => Err(Error::Bound(
                "recovery by the owner needs the device's own possession signature",
            )),
            Evidence::Vouched { .. } => Ok(()),
        }
    }
}

impl Encode for Leaf {
    fn encode(&self, w: &mut Writer) {
        write(w, &self.inception.to_cbor(), &self.evidence, &self.serial, self.owner_recovery);
    }
}

fn write(
    w: &mut Writer,
    inception: &[u8],
    evidence: &Evidence,
    serial: &SerialCommitment,
    owner_recovery: bool,
) {
    w.map(if owner_recovery { 4 } else { 3 });
    w.uint(1).bytes(inception);
    w.uint(2).value(evidence);
    w.uint(3).bytes(&serial.0);
    if owner_recovery {
        w.uint(4).bool(true);
    }
}

/// The inception of a bare Ed25519 key up to the key's 32 bytes: a map of one, 1, a byte string
/// of 34, the multicodec prefix.
const BARE_ED25519: &[u8] = b"\xa1\x01\x58\x22\xed\x01";

/// The key of such an inception, and of no other.
fn bare_ed25519(inception: &[u8]) -> Option<&[u8; 32]> {
    inception.strip_prefix(BARE_ED25519)?.try_into().ok()
}

/// A leaf whose inception was not read yet.
struct Parts<'a> {
    inception: &'a [u8],
    evidence: Evidence,
    serial: SerialCommitment,
    owner_recovery: bool,
}

impl<'a> Parts<'a> {
    fn decode(r: &mut Reader<'a>) -> Result<Self, muster_identity::Error> {
        let mut m = r.map()?;
        let inception = m.required(1)?.bytes(limits::LEAF_BYTES)?;
        let evidence = m.required(2)?.value()?;
        let serial = SerialCommitment(m.required(3)?.array_of()?);
        let owner_recovery = match m.optional(4)? {
            None => false,
            Some(r) => match r.bool()? {
                true => true,
                false => return Err(r.fault("an absent recovery is left out")),
            },
        };
        m.end()?;
        Ok(Self { inception, evidence, serial, owner_recovery })
    }

    fn leaf(self, inception: Inception) -> Leaf {
        let Self { evidence, serial, owner_recovery, .. } = self;
        Leaf { inception, evidence, serial, owner_recovery }
    }
}

impl Decode for Leaf {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let parts = Parts::decode(r)?;
        let inception = r.nested(parts.inception)?;
        Ok(parts.leaf(inception))
    }
}

impl Encode for Evidence {
    fn encode(&self, w: &mut Writer) {
        match self {
            Self::Possession { challenge, signature } => {
                w.array(3).uint(1).bytes(challenge).value(signature);
            }
            Self::Vouched { by, digest: Some(digest) } => {
                w.array(3).uint(2).uint(*by as u64).bytes(digest);
            }
            Self::Vouched { by, digest: None } => {
                w.array(2).uint(2).uint(*by as u64);
            }
        }
    }
}

impl Decode for Evidence {
    fn decode(r: &mut Reader<'_>) -> Result<Self, muster_identity::Error> {
        let items = r.array(3)?;
        match (r.uint()?, items) {
            (1, 3) => Ok(Self::Possession {
                challenge: r.bytes(PossessionTerms::MAX_CHALLENGE)?.to_vec(),
                signature: r.value()?,
            }),
            (2, 2 | 3) => {
                let by = match r.uint()? {
                    0 => VouchedBy::Enroller,
                    1 => VouchedBy::VendorManifest,
                    2 => VouchedBy::Certificate,
                    3 => VouchedBy::SigningRequest,
                    _ => return Err(r.fault("an unknown kind of voucher")),
                };
                let digest = if items == 3 { Some(r.array_of()?) } else { None };
                if digest.is_none() != (by == VouchedBy::Enroller) {
                    return Err(
                        r.fault("a document is named by its digest, the enroller's word has none")
                    );
                }
                Ok(Self::Vouched { by, digest })
            }
            _ => Err(r.fault("unknown evidence")),
        }
    }
}

/// What every leaf of a batch must do: come after the one before, and have room.
fn admit(last: &mut Option<Did>, did: &Did, count: u64) -> Result<(), Error> {
    if last.as_ref().is_some_and(|last| last >= did) {
        return Err(Error::Bound("leaves must strictly increase by DID digest"));
    }
    if count == limits::BATCH_DEVICES {
        return Err(Error::Bound("a batch holds at most 1,048,576 devices"));
    }
    *last = Some(*did);
    Ok(())
}

/// Enough of a leaf tree to know its root: for whoever proves nothing from it.
#[derive(Debug, Default)]
pub struct LeafFrontier {
    frontier: Frontier,
    last: Option<Did>,
}

impl LeafFrontier {
    /// Appends the next leaf's hash.
    pub fn push_hash(&mut self, did: &Did, hash: Hash) -> Result<(), Error> {
        let size = self.size();
        admit(&mut self.last, did, size)?;
        self.frontier.push(hash);
        Ok(())
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The batch's root.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }
}

/// The leaf tree of one batch: leaves strictly increase by DID digest.
#[derive(Debug, Default)]
pub struct LeafTree {
    tree: Tree,
    last: Option<Did>,
}

impl LeafTree {
    /// Appends the next leaf's bytes; the caller knows its DID from decoding it.
    pub fn push(&mut self, did: &Did, leaf: &[u8]) -> Result<(), Error> {
        self.push_hash(did, leaf_hash(leaf))
    }

    /// As [`Self::push`], with the leaf already hashed.
    pub fn push_hash(&mut self, did: &Did, hash: Hash) -> Result<(), Error> {
        let count = self.count();
        admit(&mut self.last, did, count)?;
        self.tree.push(hash);
        Ok(())
    }

    /// Number of leaves.
    pub fn count(&self) -> u64 {
        self.tree.size()
    }

    /// The batch's root.
    pub fn root(&self) -> Hash {
        self.tree.root()
    }

    /// The device part of the receipt of leaf `index`.
    pub fn device_part(&self, batch: BatchId, index: u64, leaf: Vec<u8>) -> Option<DevicePart> {
        let path = self.tree.inclusion(index, self.count())?;
        Some(DevicePart { batch, index, leaf, path })
    }
}
