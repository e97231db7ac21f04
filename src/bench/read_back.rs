//! A manifest as the limit needs it: signatures and columns as plain bytes, made before the
//! limit's clock starts.

use super::cores;
use super::limit::inserts::{Bare, Row};
use super::limit::signatures::{self, Ed25519, Es256};
use super::manifest::Manifest;
use crate::cli::BenchFormat;
use anyhow::{Context as _, Result, anyhow, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_identity::cbor::Encode as _;
use muster_identity::{Did, Inception, PossessionTerms, PublicKey, Signature, sha256};
use muster_ledger::limits::BATCH_DEVICES;
use muster_ledger::{Evidence, Genesis, Leaf, SerialCommitment, VouchedBy};
use serde::Deserialize;
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// Rows prepared at once: their messages are some 50 MiB.
const PORTION: usize = 65_536;

/// The limit of an enrolment.
pub(super) struct Limit {
    pub(super) signatures: Duration,
    pub(super) inserts: Duration,
}

impl Limit {
    /// In seconds. Signatures and inserts may overlap, so the longer of the two.
    pub(super) fn seconds(&self) -> f64 {
        self.signatures.max(self.inserts).as_secs_f64()
    }
}

/// Whose devices they are.
pub(super) struct Owner {
    pub(super) genesis: Genesis,
    pub(super) directory_secret: Zeroizing<[u8; 32]>,
}

/// Reads the manifest again and measures: all signatures verified, all columns inserted bare
/// into files in `dir`.
pub(super) fn measure(manifest: &Manifest, owner: &Owner, dir: &Path) -> Result<Limit> {
    let bare = Bare::create(dir)?;
    let mut limit = Limit { signatures: Duration::ZERO, inserts: Duration::ZERO };
    let (mut rows, mut batch) = (Vec::new(), 0);
    let mut insert = |rows: &mut Vec<Row>| -> Result<()> {
        batch += 1;
        rows.sort_unstable_by_key(|row| row.name);
        limit.inserts += bare.batch(batch, rows)?;
        rows.clear();
        Ok(())
    };
    let mut lines = lines(manifest)?;
    let mut read = 0;
    loop {
        let portion = lines.by_ref().take(PORTION).collect::<Result<Vec<_>>>()?;
        if portion.is_empty() {
            break;
        }
        read += portion.len() as u64;
        let (signed, columns) = prepare(&portion, manifest.format, owner)?;
        limit.signatures += signed.verify(manifest)?;
        for row in columns {
            rows.push(row);
            if rows.len() as u64 == BATCH_DEVICES {
                insert(&mut rows)?;
            }
        }
    }
    if !rows.is_empty() {
        insert(&mut rows)?;
    }
    ensure!(read == manifest.devices, "the manifest has {read} rows again");
    Ok(limit)
}

/// The rows of the file as text, numbered from 1.
fn lines(manifest: &Manifest) -> Result<impl Iterator<Item = Result<(i64, String)>>> {
    let file = File::open(&manifest.file).context("the manifest is gone")?;
    let lines = BufReader::with_capacity(1 << 20, file).lines();
    // A header; the brackets of an array, which stand alone.
    let header = usize::from(manifest.format == BenchFormat::Csv);
    let rows = lines.skip(header).filter(|line| !matches!(line.as_deref(), Ok("[" | "]")));
    Ok((1..).zip(rows).map(|(number, line)| Ok((number, line?))))
}

enum Signed {
    Ed25519(Vec<Ed25519>),
    Es256(Vec<Es256>),
}

impl Signed {
    fn verify(&self, manifest: &Manifest) -> Result<Duration> {
        match self {
            Self::Ed25519(all) => signatures::ed25519(all),
            Self::Es256(all) => {
                let vendor = manifest.vendor.as_ref().context("nobody signed the manifest")?;
                signatures::es256(&vendor.key, all)
            }
        }
    }
}

fn prepare(
    lines: &[(i64, String)],
    format: BenchFormat,
    owner: &Owner,
) -> Result<(Signed, Vec<Row>)> {
    Ok(match format {
        BenchFormat::Microchip => {
            let both = cores::map(lines, |(number, line)| entry(*number, line, owner))?;
            let (signed, rows) = both.into_iter().unzip();
            (Signed::Es256(signed), rows)
        }
        BenchFormat::Jsonl | BenchFormat::Csv => {
            let both = cores::map(lines, |(number, line)| {
                let row = if format == BenchFormat::Csv { cells(line)? } else { members(line)? };
                device(*number, row, owner)
            })?;
            let (signed, rows) = both.into_iter().unzip();
            (Signed::Ed25519(signed), rows)
        }
    })
}

/// A row of JSON lines or CSV.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Text<'a> {
    serial: &'a str,
    public_key: &'a str,
    possession: &'a str,
    challenge: &'a str,
    lot: &'a str,
}

fn members(line: &str) -> Result<Text<'_>> {
    Ok(serde_json::from_str(line)?)
}

fn cells(line: &str) -> Result<Text<'_>> {
    let cells: Vec<&str> = line.split(',').collect();
    let [serial, public_key, possession, challenge, lot, _] = cells[..] else {
        return Err(anyhow!("a row of {} cells", cells.len()));
    };
    Ok(Text { serial, public_key, possession, challenge, lot })
}

fn device(number: i64, text: Text<'_>, owner: &Owner) -> Result<(Ed25519, Row)> {
    let key = PublicKey::from_multikey(text.public_key)?;
    let signature = signature(text.possession)?;
    let terms = PossessionTerms {
        network: &owner.genesis.network().0,
        manufacturer: &owner.genesis.organisation_did(),
        challenge: text.challenge.as_bytes(),
        owner_recovery: false,
    };
    let signed = Ed25519 {
        key: key.raw().try_into().context("not a key of Ed25519")?,
        message: terms.message(&Did::of(&Inception::from_key(key))),
        signature,
    };
    let challenge = text.challenge.as_bytes().to_vec();
    let evidence = Evidence::Possession { challenge, signature: Signature(signature) };
    Ok((signed, row(number, key, evidence, text.serial, text.lot, owner)))
}

/// An entry of a Microchip manifest.
fn entry(number: i64, line: &str, owner: &Owner) -> Result<(Es256, Row)> {
    let entry: Value = serde_json::from_str(line.trim_end_matches(','))?;
    let [protected, payload, text] = [&entry["protected"], &entry["payload"], &entry["signature"]]
        .map(|member| member.as_str().unwrap_or_default());
    let message = format!("{protected}.{payload}");
    let says: Value = serde_json::from_slice(&BASE64URL_NOPAD.decode(payload.as_bytes())?)?;
    let jwk = &says["publicKeySet"]["keys"][0];
    let [x, y] = [&jwk["x"], &jwk["y"]].map(|member| member.as_str().unwrap_or_default());
    let x = BASE64URL_NOPAD.decode(x.as_bytes())?;
    let y = BASE64URL_NOPAD.decode(y.as_bytes())?;
    let key = PublicKey::p256(&[&[4], &x[..], &y[..]].concat())?;
    let digest = sha256(&[message.as_bytes(), b".", text.as_bytes()]);
    let evidence = Evidence::Vouched { by: VouchedBy::VendorManifest, digest: Some(digest) };
    let [serial, lot] = [&says["uniqueId"], &says["groupId"]]
        .map(|member| member.as_str().unwrap_or_default().to_owned());
    let row = row(number, key, evidence, &serial, &lot, owner);
    Ok((Es256 { message: message.into_bytes(), signature: signature(text)? }, row))
}

fn signature(text: &str) -> Result<[u8; 64]> {
    let bytes = BASE64URL_NOPAD.decode(text.as_bytes())?;
    bytes.try_into().map_err(|_| anyhow!("not a signature of 64 bytes"))
}

/// The columns of a device, with the leaf that the ledger would have.
fn row(
    number: i64,
    key: PublicKey,
    evidence: Evidence,
    serial: &str,
    lot: &str,
    owner: &Owner,
) -> Row {
    let inception = Inception::from_key(key);
    let did = Did::of(&inception);
    let commitment = SerialCommitment::new(&owner.directory_secret, &did, serial);
    let leaf = Leaf { inception, evidence, serial: commitment, owner_recovery: false };
    Row {
        name: head(did.digest()),
        leaf: leaf.to_cbor(),
        // A device that is its key and nothing else claims both by one name.
        claim: head(did.digest()),
        serial: serial.to_owned(),
        lot: lot.to_owned(),
        number,
    }
}

fn head(digest: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|i| digest[i])
}
