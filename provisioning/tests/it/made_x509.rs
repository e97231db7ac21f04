//! Certificates, requests and revocation lists made up for tests.

use data_encoding::BASE64;
use muster_identity::{Algorithm, PublicKey, SecretKey, Signer as _};
pub(crate) use muster_provisioning::sample::der::tlv;
use muster_provisioning::sample::der::{ECDSA_SHA256, P256_KEY, integer, time};

const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";
const RSA_KEY: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

pub(crate) const CN: &[u8] = b"\x55\x04\x03";
pub(crate) const SERIAL: &[u8] = b"\x55\x04\x05";
/// 1.3.6.1.4.1.37244.2.1 and .2.2.
pub(crate) const VENDOR: &[u8] = b"\x2b\x06\x01\x04\x01\x82\xa2\x7c\x02\x01";
pub(crate) const PRODUCT: &[u8] = b"\x2b\x06\x01\x04\x01\x82\xa2\x7c\x02\x02";

pub(crate) fn name(parts: &[(&[u8], &str)]) -> Vec<u8> {
    let rdns: Vec<Vec<u8>> = parts
        .iter()
        .map(|(oid, text)| {
            let pair = tlv(0x30, &[&tlv(6, &[oid]), &tlv(0x0c, &[text.as_bytes()])]);
            tlv(0x31, &[&pair])
        })
        .collect();
    tlv(0x30, &rdns.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

pub(crate) fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { b"\x01\x01\xff" } else { b"" };
    tlv(0x30, &[&tlv(6, &[oid]), critical, &tlv(4, &[value])])
}

pub(crate) fn basic(ca: bool, longest: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { b"\x01\x01\xff" } else { b"" };
    let longest = longest.map_or(Vec::new(), |n| vec![2, 1, n]);
    extension(b"\x55\x1d\x13", true, &tlv(0x30, &[ca, &longest]))
}

/// keyUsage with these bits, the first byte only.
pub(crate) fn usage(bits: u8) -> Vec<u8> {
    extension(b"\x55\x1d\x0f", true, &tlv(3, &[&[bits.trailing_zeros() as u8, bits]]))
}

pub(crate) const DIGITAL_SIGNATURE: u8 = 0x80;
pub(crate) const KEY_ENCIPHERMENT: u8 = 0x20;
pub(crate) const CERT_SIGN: u8 = 0x04;
pub(crate) const CRL_SIGN: u8 = 0x02;

pub(crate) fn spki(key: &PublicKey) -> Vec<u8> {
    let algorithm = if key.algorithm() == Algorithm::P256 { P256_KEY } else { ED25519 };
    tlv(0x30, &[algorithm, &tlv(3, &[&[0], key.raw()])])
}

pub(crate) fn rsa_spki() -> Vec<u8> {
    let key = tlv(0x30, &[&integer(&[0xc5; 256]), &integer(&[1, 0, 1])]);
    tlv(0x30, &[RSA_KEY, &tlv(3, &[&[0], &key])])
}

fn algorithm(key: &SecretKey) -> &'static [u8] {
    if key.public_key().algorithm() == Algorithm::P256 { ECDSA_SHA256 } else { ED25519 }
}

fn sign(signed: &[u8], key: &SecretKey) -> Vec<u8> {
    let signature = key.sign(signed).expect("signs").0;
    let signature = match key.public_key().algorithm() {
        Algorithm::P256 => {
            let (r, s) = signature.split_at(32);
            tlv(0x30, &[&integer(r), &integer(s)])
        }
        _ => signature.to_vec(),
    };
    tlv(0x30, &[signed, algorithm(key), &tlv(3, &[&[0], &signature])])
}

/// What a certificate says.
#[derive(Clone)]
pub(crate) struct Cert {
    pub(crate) subject: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) extensions: Vec<Vec<u8>>,
}

impl Cert {
    pub(crate) fn new(
        subject: &[(&[u8], &str)],
        issuer: &[(&[u8], &str)],
        key: &SecretKey,
    ) -> Self {
        Self {
            subject: name(subject),
            issuer: name(issuer),
            spki: spki(&key.public_key()),
            serial: vec![1],
            from: "20240101000000Z",
            to: "99991231235959Z",
            extensions: vec![basic(false, None), usage(DIGITAL_SIGNATURE)],
        }
    }

    pub(crate) fn ca(mut self, longest: Option<u8>) -> Self {
        self.extensions = vec![basic(true, longest), usage(CERT_SIGN | CRL_SIGN)];
        self
    }

    pub(crate) fn sign(&self, issuer: &SecretKey) -> Vec<u8> {
        let extensions = self.extensions.iter().map(Vec::as_slice).collect::<Vec<_>>();
        let signed = tlv(
            0x30,
            &[
                b"\xa0\x03\x02\x01\x02",
                &integer(&self.serial),
                algorithm(issuer),
                &self.issuer,
                &tlv(0x30, &[&time(self.from), &time(self.to)]),
                &self.subject,
                &self.spki,
                &tlv(0xa3, &[&tlv(0x30, &extensions)]),
            ],
        );
        sign(&signed, issuer)
    }
}

/// A signing request of this subject and key, signed by a key that may be another.
pub(crate) fn request(subject: &[(&[u8], &str)], spki: &[u8], key: &SecretKey) -> Vec<u8> {
    let signed = tlv(0x30, &[b"\x02\x01\x00", &name(subject), spki, b"\xa0\x00"]);
    sign(&signed, key)
}

/// A revocation list of an issuer.
pub(crate) fn list(
    issuer: &[(&[u8], &str)],
    next: &str,
    serials: &[&[u8]],
    by: &SecretKey,
) -> Vec<u8> {
    let then = time("20250101000000Z");
    let entries: Vec<Vec<u8>> = serials.iter().map(|s| tlv(0x30, &[&integer(s), &then])).collect();
    let entries = tlv(0x30, &entries.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let parts: [&[u8]; 6] =
        [b"\x02\x01\x01", algorithm(by), &name(issuer), &then, &time(next), &entries];
    sign(&tlv(0x30, &parts), by)
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|l| str::from_utf8(l).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn cert_pem(der: &[u8]) -> String {
    pem("CERTIFICATE", der)
}
