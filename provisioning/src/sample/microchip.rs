//! Makes Microchip manifests with a vendor of their own: the same seed gives the same files.

use super::der::{Certificate, key_id, uncompressed};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use muster_identity::{Algorithm, SecretKey, Signer, SignerError, sha256};
use serde_json::{Value, json};
use std::io::{self, Write};
use zeroize::Zeroizing;

/// A vendor: who signs entries and who issues device certificates.
#[derive(Debug)]
pub struct Vendor {
    seed: u64,
    signer: SecretKey,
    issuer: SecretKey,
    root: SecretKey,
    /// What entries say in `protected`.
    protected: String,
    /// The issuer's certificate in base64, for `x5c`.
    issuer_text: String,
}

/// What every entry of a manifest looks like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Version of the format, 1 or 2.
    pub version: u8,
    /// Keys of each chip, in slots from 0.
    pub slots: u8,
    /// Whether slot 0 has its certificate and the issuer's.
    pub x5c: bool,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of the signature is turned.
    BadSignature,
    /// `header` names another chip.
    OtherId,
    /// Somebody else signed it, and says who.
    UnknownSigner,
    /// The chip's keys are left out. (Not a fault: the row waits.)
    NoKeys,
    /// The chip of row 0 once more, its key as well.
    Duplicate,
    /// Signed before the signer's certificate was valid.
    TooEarly,
    /// The file ends in the middle of this entry.
    CutShort,
}

const FROM: &str = "20240307013228Z";
const FOR_EVER: &str = "99991231235959Z";
const TIME: &str = "2025-05-10T01:52:29.240Z";
const EARLY: &str = "2020-05-10T01:52:29.240Z";

impl Vendor {
    /// The vendor of a seed.
    pub fn new(seed: u64) -> Result<Self, SignerError> {
        let [signer, issuer, root] =
            ["signer", "issuer", "root"].map(|who| key(seed, who.as_bytes(), 0, 0));
        let issuer_certificate = Certificate {
            subject: "Sample issuer",
            issuer: "Sample root",
            key: &issuer.public_key(),
            serial: &[7],
            not_before: FROM,
            not_after: FOR_EVER,
            ca: true,
        };
        let issuer_text = BASE64.encode(&issuer_certificate.sign(&root)?);
        let mut vendor = Self { seed, signer, issuer, root, protected: String::new(), issuer_text };
        let certificate = vendor.signer_certificate()?;
        vendor.protected = protected(&key_id(&vendor.signer.public_key()), &certificate);
        Ok(vendor)
    }

    /// The certificate of the signer of entries, in DER: for `--signer DIR`.
    pub fn signer_certificate(&self) -> Result<Vec<u8>, SignerError> {
        own("Sample manifest signer", &self.signer)
    }

    /// The certificate above the issuer of device certificates, in DER: for `--signer DIR`.
    pub fn root_certificate(&self) -> Result<Vec<u8>, SignerError> {
        own("Sample root", &self.root)
    }

    /// The chip's id.
    pub fn unique_id(&self, row: u64) -> String {
        let digest = sha256(&[b"muster sample id", &self.seed.to_be_bytes(), &row.to_be_bytes()]);
        format!("0123{}01", HEXLOWER.encode(&digest[..6]))
    }

    /// The chip's private key in a slot.
    pub fn device_key(&self, row: u64, slot: u8) -> SecretKey {
        key(self.seed, b"device", row, slot)
    }

    /// One entry, without comma.
    pub fn entry(
        &self,
        row: u64,
        shape: &Shape,
        damage: Option<Damage>,
    ) -> Result<String, SignerError> {
        let chip = if damage == Some(Damage::Duplicate) { 0 } else { row };
        let id = self.unique_id(chip);
        let organisation = json!({"organizationName": "Sample", "organizationalUnitName": "Chips"});
        let mut payload = json!({
            "version": shape.version,
            "model": "ATECC608C",
            "partNumber": "ATECC608C-SAMPLE",
            "manufacturer": organisation,
            "provisioner": organisation,
            "distributor": organisation,
            "groupId": format!("SAMPLE{}", self.seed),
            "provisioningTimestamp": if damage == Some(Damage::TooEarly) { EARLY } else { TIME },
            "uniqueId": id,
        });
        if damage != Some(Damage::NoKeys) && shape.slots > 0 {
            let keys = (0..shape.slots).map(|slot| self.jwk(chip, slot, &id, shape));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            payload["publicKeySet"] = json!({ "keys": keys });
        }
        let payload = BASE64URL_NOPAD.encode(payload.to_string().as_bytes());
        let stranger;
        let (signer, protected) = match damage {
            Some(Damage::UnknownSigner) => {
                stranger = key(self.seed, b"stranger", 0, 0);
                let certificate = own("Stranger", &stranger)?;
                (&stranger, protected(&key_id(&stranger.public_key()), &certificate))
            }
            _ => (&self.signer, self.protected.clone()),
        };
        let mut signature = signer.sign(format!("{protected}.{payload}").as_bytes())?;
        if damage == Some(Damage::BadSignature) {
            signature.0[40] ^= 1;
        }
        let other = self.unique_id(row.wrapping_add(1));
        let entry = json!({
            "payload": payload,
            "protected": protected,
            "header": { "uniqueId": if damage == Some(Damage::OtherId) { other } else { id } },
            "signature": BASE64URL_NOPAD.encode(&signature.0),
        });
        Ok(entry.to_string())
    }

    /// Writes a manifest of `rows` entries; `damage` says what is wrong with which. Stops behind
    /// the first entry that is to be cut short.
    pub fn write_manifest(
        &self,
        to: &mut dyn Write,
        rows: u64,
        shape: &Shape,
        damage: impl Fn(u64) -> Option<Damage>,
    ) -> io::Result<()> {
        to.write_all(b"[")?;
        for row in 0..rows {
            let damage = damage(row);
            let entry = self.entry(row, shape, damage).map_err(io::Error::other)?;
            to.write_all(if row == 0 { b"\n" } else { b",\n" })?;
            if damage == Some(Damage::CutShort) {
                return to.write_all(&entry.as_bytes()[..entry.len() / 2]);
            }
            to.write_all(entry.as_bytes())?;
        }
        to.write_all(b"\n]\n")
    }

    fn jwk(&self, row: u64, slot: u8, id: &str, shape: &Shape) -> Result<Value, SignerError> {
        let key = self.device_key(row, slot).public_key();
        let point = uncompressed(&key);
        let (x, y) = point[1..].split_at(32);
        let [x, y] = [x, y].map(|number| BASE64URL_NOPAD.encode(number));
        let mut jwk = json!({"kid": slot.to_string(), "kty": "EC", "crv": "P-256", "x": x, "y": y});
        if shape.x5c && slot == 0 {
            let certificate = Certificate {
                subject: &format!("sn{}", id.to_uppercase()),
                issuer: "Sample issuer",
                key: &key,
                serial: &[&[1], id.as_bytes()].concat(),
                not_before: FROM,
                not_after: FOR_EVER,
                ca: false,
            };
            let certificate = BASE64.encode(&certificate.sign(&self.issuer)?);
            jwk["x5c"] = json!([certificate, self.issuer_text]);
        }
        Ok(jwk)
    }
}

/// A certificate by its own key.
fn own(name: &str, key: &SecretKey) -> Result<Vec<u8>, SignerError> {
    let public = key.public_key();
    let certificate = Certificate {
        subject: name,
        issuer: name,
        key: &public,
        serial: &[1],
        not_before: FROM,
        not_after: FOR_EVER,
        ca: true,
    };
    certificate.sign(key)
}

fn protected(key_id: &[u8], certificate: &[u8]) -> String {
    let header = json!({
        "alg": "ES256",
        "kid": BASE64URL_NOPAD.encode(key_id),
        "typ": "JWT",
        "x5t#S256": BASE64URL_NOPAD.encode(&sha256(&[certificate])),
    });
    BASE64URL_NOPAD.encode(header.to_string().as_bytes())
}

fn key(seed: u64, what: &[u8], row: u64, slot: u8) -> SecretKey {
    let parts = [b"muster sample ", what, &seed.to_be_bytes(), &row.to_be_bytes(), &[slot]];
    let mut secret = Zeroizing::new(sha256(&parts));
    loop {
        match SecretKey::from_bytes(Algorithm::P256, &secret) {
            Ok(key) => return key,
            // One hash in 2^32 is no scalar of P-256.
            Err(_) => *secret = sha256(&[&*secret]),
        }
    }
}
