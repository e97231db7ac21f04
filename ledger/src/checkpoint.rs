//! Checkpoints: C2SP tlog-checkpoint notes with extension lines, signed by C2SP
//! `cosignature/v1`. The text is the format; nothing else is signed.

use crate::{Network, Time, ValidatorSet, limits};
use alloc::{format, string::String, vec::Vec};
use core::fmt::Write as _;
use data_encoding::BASE64;
use muster_identity::{PublicKey, Signature, Signer, SignerError, sha256};

/// What a checkpoint states: the head of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The network.
    pub network: Network,
    /// Number of log entries.
    pub size: u64,
    /// Root of the log.
    pub log_root: [u8; 32],
    /// Height of the last block.
    pub height: u64,
    /// When the head was signed; at least the last block's time.
    pub time: Time,
    /// Root of the state.
    pub state_root: [u8; 32],
    /// Hash of the set that signs the next checkpoint.
    pub validators: [u8; 32],
}

impl Head {
    /// Whether both state the same ledger, whatever the time of signing.
    pub fn same_ledger(&self, other: &Self) -> bool {
        Self { time: other.time, ..*self } == *other
    }

    /// The note's text, up to and including the last line's end.
    pub fn body(&self) -> String {
        format!(
            "muster/{}\n{}\n{}\nheight {}\ntime {}\nstate {}\nvalidators {}\nprotocol {}\n",
            self.network,
            self.size,
            BASE64.encode(&self.log_root),
            self.height,
            self.time.0,
            BASE64.encode(&self.state_root),
            BASE64.encode(&self.validators),
            crate::operation::PROTOCOL,
        )
    }

    fn parse(body: &str) -> Result<Self, NoteFault> {
        let mut lines = body.lines();
        let mut line = || lines.next().ok_or(NoteFault::Shape("a line is missing"));
        let network = line()?
            .strip_prefix("muster/")
            .and_then(|hex| hex.parse().ok())
            .ok_or(NoteFault::Shape("the origin is muster/<genesis hash>"))?;
        let size = number(line()?)?;
        let log_root = hash(line()?)?;
        let height = number(extension(line()?, "height ")?)?;
        let time = Time(number(extension(line()?, "time ")?)?);
        let state_root = hash(extension(line()?, "state ")?)?;
        let validators = hash(extension(line()?, "validators ")?)?;
        if number(extension(line()?, "protocol ")?)? != crate::operation::PROTOCOL {
            return Err(NoteFault::Upgrade);
        }
        let head = Self { network, size, log_root, height, time, state_root, validators };
        // One text for one head: this refuses leading zeros, other line ends, further lines.
        if head.body() == body {
            Ok(head)
        } else {
            Err(NoteFault::Shape("not the one form of its content"))
        }
    }
}

fn number(text: &str) -> Result<u64, NoteFault> {
    text.parse().map_err(|_| NoteFault::Shape("a number is malformed"))
}

fn hash(text: &str) -> Result<[u8; 32], NoteFault> {
    BASE64
        .decode(text.as_bytes())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(NoteFault::Shape("a hash is 32 bytes in base64"))
}

fn extension<'a>(line: &'a str, name: &str) -> Result<&'a str, NoteFault> {
    line.strip_prefix(name).ok_or(NoteFault::Shape(
        "the extension lines are height, time, state, validators, protocol",
    ))
}

/// Why a checkpoint is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteFault {
    /// Not a checkpoint of this form.
    #[error("checkpoint: {0}")]
    Shape(&'static str),
    /// Of a later protocol version.
    #[error("checkpoint: upgrade needed, it is of another protocol version")]
    Upgrade,
    /// Of another network.
    #[error("checkpoint: it belongs to another network")]
    Network,
    /// Not enough validators signed.
    #[error("checkpoint: {good} of {needed} needed validator signatures are good")]
    Quorum {
        /// Good signatures by distinct validators.
        good: usize,
        /// How many make a quorum.
        needed: usize,
    },
}

/// A checkpoint as received: parsed, its signatures not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    head: Head,
    lines: Vec<Line>,
}

/// A signature line. Signers of other kinds write blobs of other lengths, so it keeps the blob
/// as it is (C2SP signed-note: signatures by unknown keys are ignored).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    name: String,
    blob: Vec<u8>,
}

/// What the blob of a `cosignature/v1` holds.
struct Cosignature {
    key_id: [u8; 4],
    /// Unix seconds.
    time: u64,
    signature: Signature,
}

/// Signs a head as a validator (C2SP `cosignature/v1`): one line of the note.
pub fn cosign(head: &Head, signer: &dyn Signer) -> Result<Checkpoint, SignerError> {
    let key = signer.public_key();
    let time = head.time.seconds();
    let signature = signer.sign(cosigned(time, &head.body()).as_bytes())?;
    let name = key.to_multikey();
    let blob = [&key_id(&name, &key)[..], &time.to_be_bytes(), &signature.0].concat();
    Ok(Checkpoint { head: *head, lines: Vec::from([Line { name, blob }]) })
}

fn origin(network: &Network) -> String {
    format!("muster/{network}")
}

fn cosigned(time: u64, body: &str) -> String {
    format!("cosignature/v1\ntime {time}\n{body}")
}

/// SHA-256(name ‖ LF ‖ 0x04 ‖ key), first four bytes: the id of a cosignature key.
fn key_id(name: &str, key: &PublicKey) -> [u8; 4] {
    let hash = sha256(&[name.as_bytes(), b"\n", &[4], key.raw()]);
    [hash[0], hash[1], hash[2], hash[3]]
}

impl Checkpoint {
    /// Reads a note. Lines of signers it does not know are kept and ignored.
    pub fn parse(note: &str) -> Result<Self, NoteFault> {
        if note.len() > limits::NOTE_BYTES {
            return Err(NoteFault::Shape("longer than 32,768 bytes"));
        }
        let (body, lines) =
            note.split_once("\n\n").ok_or(NoteFault::Shape("no empty line before signatures"))?;
        let head = Head::parse(&note[..body.len() + 1])?;
        let lines = lines.strip_suffix('\n').ok_or(NoteFault::Shape("the last line is cut"))?;
        let lines = lines.split('\n').map(Line::parse).collect::<Result<_, _>>()?;
        Ok(Self { head, lines })
    }

    /// What it states, unchecked.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The note.
    pub fn to_note(&self) -> String {
        let mut note = self.head.body();
        note.push('\n');
        for line in &self.lines {
            writeln!(note, "— {} {}", line.name, BASE64.encode(&line.blob))
                .expect("a String accepts every write");
        }
        note
    }

    /// Takes the signature lines of a checkpoint of the same head that are not here yet.
    pub fn join(&mut self, other: &Self) {
        if self.head == other.head {
            let fresh: Vec<_> =
                other.lines.iter().filter(|line| !self.lines.contains(line)).cloned().collect();
            self.lines.extend(fresh);
        }
    }

    /// The same head with the good signatures of these validators alone: what a stranger added is
    /// not carried any further.
    pub fn only(&self, validators: &ValidatorSet) -> Self {
        self.signed_only(validators).0
    }

    /// How many lines it has, good or not, and how many of them bear the name of one of these.
    pub fn lines(&self, validators: &ValidatorSet) -> (usize, usize) {
        let names: Vec<_> = validators.0.iter().map(PublicKey::to_multikey).collect();
        let named = self.lines.iter().filter(|line| names.contains(&line.name)).count();
        (self.lines.len(), named)
    }

    /// As [`Self::only`], and whose signatures those are: each is verified once.
    pub fn signed_only(&self, validators: &ValidatorSet) -> (Self, Vec<PublicKey>) {
        let good = self.signers(validators);
        let names: Vec<_> = good.iter().map(|key| key.to_multikey()).collect();
        let lines = self.lines.iter().filter(|line| names.contains(&line.name)).cloned().collect();
        (Self { head: self.head, lines }, good)
    }

    /// Which of these validators signed.
    pub fn signers(&self, validators: &ValidatorSet) -> Vec<PublicKey> {
        let body = self.head.body();
        validators.0.iter().filter(|key| self.signed_by(key, &body)).copied().collect()
    }

    /// Checks the head whose block changed the validators, for whoever knows the set before and
    /// sees no operations: a quorum of the old ones signed that the new ones follow, and a quorum
    /// of the new ones signed too. From here on the new set is the known one.
    pub fn verify_handover(
        &self,
        network: &Network,
        known: &ValidatorSet,
        next: &ValidatorSet,
    ) -> Result<QuorumCheckpoint, NoteFault> {
        if next.hash() != self.head.validators {
            return Err(NoteFault::Shape("these are not the validators that it names"));
        }
        self.verify(network, known)?;
        self.verify(network, next)
    }

    /// Checks network and signatures: more than two thirds of the validators must have signed.
    pub fn verify(
        &self,
        network: &Network,
        validators: &ValidatorSet,
    ) -> Result<QuorumCheckpoint, NoteFault> {
        if self.head.network != *network {
            return Err(NoteFault::Network);
        }
        let body = self.head.body();
        let good = validators.0.iter().filter(|key| self.signed_by(key, &body)).count();
        let needed = validators.quorum();
        if good >= needed {
            Ok(QuorumCheckpoint(self.clone()))
        } else {
            Err(NoteFault::Quorum { good, needed })
        }
    }

    /// Whether a quorum signed a note of a later protocol version, whatever else it says: then it is
    /// time for a newer program. Anybody can write a note of which this is not known.
    pub fn is_later(note: &str, network: &Network, validators: &ValidatorSet) -> bool {
        let Some((body, lines)) = note.split_once("\n\n") else { return false };
        let body = &note[..body.len() + 1];
        let version = body.lines().find_map(|line| line.strip_prefix("protocol "));
        let later = version.and_then(|v| v.parse().ok()) > Some(crate::operation::PROTOCOL);
        if note.len() > limits::NOTE_BYTES
            || !later
            || body.lines().next() != Some(&*origin(network))
        {
            return false;
        }
        let lines: Vec<Line> = lines.lines().filter_map(|line| Line::parse(line).ok()).collect();
        let signed = |key: &&PublicKey| {
            let name = key.to_multikey();
            let id = key_id(&name, key);
            let named = lines.iter().filter(|line| line.name == name);
            named.filter_map(Line::cosignature).any(|c| {
                c.key_id == id
                    && key.verify(cosigned(c.time, body).as_bytes(), &c.signature).is_ok()
            })
        };
        validators.0.iter().filter(signed).count() >= validators.quorum()
    }

    fn signed_by(&self, key: &PublicKey, body: &str) -> bool {
        let name = key.to_multikey();
        let id = key_id(&name, key);
        let named = self.lines.iter().filter(|line| line.name == name);
        named.filter_map(Line::cosignature).filter(|c| c.key_id == id).any(|c| {
            // The signer states when it signed; it may not claim another second than the head.
            c.time == self.head.time.seconds()
                && key.verify(cosigned(c.time, body).as_bytes(), &c.signature).is_ok()
        })
    }
}

impl Line {
    fn parse(line: &str) -> Result<Self, NoteFault> {
        let fault = NoteFault::Shape("a signature line is malformed");
        let rest = line.strip_prefix("— ").ok_or(fault.clone())?;
        let (name, text) = rest.split_once(' ').ok_or(fault.clone())?;
        // The decoder reads padded pieces one after the other (`AA==AA==`): compare, so that a
        // line has one text.
        let blob = BASE64
            .decode(text.as_bytes())
            .ok()
            .filter(|blob| BASE64.encode(blob) == text)
            .ok_or(NoteFault::Shape("a signature is not in base64"))?;
        // A key id and at least one byte of signature; a name without spaces and plus signs.
        let odd = |c: char| c == '+' || c.is_whitespace() || c.is_control();
        if name.is_empty() || name.contains(odd) || blob.len() < 5 {
            return Err(fault);
        }
        Ok(Self { name: name.into(), blob })
    }

    fn cosignature(&self) -> Option<Cosignature> {
        let (key_id, rest) = self.blob.split_first_chunk::<4>()?;
        let (time, signature) = rest.split_first_chunk::<8>()?;
        Some(Cosignature {
            key_id: *key_id,
            time: u64::from_be_bytes(*time),
            signature: Signature(signature.try_into().ok()?),
        })
    }
}

/// A checkpoint that a quorum signed. Only [`Checkpoint::verify`] makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuorumCheckpoint(Checkpoint);

impl QuorumCheckpoint {
    /// What it states.
    pub fn head(&self) -> &Head {
        &self.0.head
    }

    /// The note.
    pub fn to_note(&self) -> String {
        self.0.to_note()
    }
}
