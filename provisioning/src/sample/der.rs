//! Just enough DER (X.690) to make certificates for samples and tests.

use muster_identity::{PublicKey, Signer, SignerError, sha256};

const SEQUENCE: u8 = 0x30;
/// AlgorithmIdentifier of ecdsa-with-SHA256 (RFC 5758 §3.2).
pub const ECDSA_SHA256: &[u8] = b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02";
/// AlgorithmIdentifier of a key of P-256 (RFC 5480 §2.1.1).
pub const P256_KEY: &[u8] =
    b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

/// What a certificate says.
pub(super) struct Certificate<'a> {
    pub(super) subject: &'a str,
    pub(super) issuer: &'a str,
    pub(super) key: &'a PublicKey,
    pub(super) serial: &'a [u8],
    /// As `YYYYMMDDHHMMSSZ`.
    pub(super) not_before: &'a str,
    pub(super) not_after: &'a str,
    pub(super) ca: bool,
}

/// A subject key identifier (RFC 7093 §2, method 1).
pub(super) fn key_id(key: &PublicKey) -> [u8; 20] {
    let digest = sha256(&[&uncompressed(key)]);
    std::array::from_fn(|i| digest[i])
}

/// The point of a P-256 key: 4, x, y.
pub(super) fn uncompressed(key: &PublicKey) -> Vec<u8> {
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key.raw());
    let key = key.expect("samples have keys of P-256");
    key.to_sec1_point(false).as_bytes().to_vec()
}

impl Certificate<'_> {
    /// The certificate in DER, signed by `issuer` (ECDSA with SHA-256).
    pub(super) fn sign(&self, issuer: &dyn Signer) -> Result<Vec<u8>, SignerError> {
        let basic: &[u8] = if self.ca { b"\x30\x03\x01\x01\xff" } else { b"\x30\x00" };
        let extensions = tlv(
            SEQUENCE,
            &[
                &extension(b"\x06\x03\x55\x1d\x13", basic),
                &extension(b"\x06\x03\x55\x1d\x0e", &tlv(4, &[&key_id(self.key)])),
            ],
        );
        let signed = tlv(
            SEQUENCE,
            &[
                b"\xa0\x03\x02\x01\x02",
                &integer(self.serial),
                ECDSA_SHA256,
                &name(self.issuer),
                &tlv(SEQUENCE, &[&time(self.not_before), &time(self.not_after)]),
                &name(self.subject),
                &tlv(SEQUENCE, &[P256_KEY, &tlv(3, &[&[0], &uncompressed(self.key)])]),
                &tlv(0xa3, &[&extensions]),
            ],
        );
        let signature = issuer.sign(&signed)?;
        let (r, s) = signature.0.split_at(32);
        let signature = tlv(SEQUENCE, &[&integer(r), &integer(s)]);
        Ok(tlv(SEQUENCE, &[&signed, ECDSA_SHA256, &tlv(3, &[&[0], &signature])]))
    }
}

fn extension(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[oid, &tlv(4, &[value])])
}

fn name(common: &str) -> Vec<u8> {
    let pair = tlv(SEQUENCE, &[b"\x06\x03\x55\x04\x03", &tlv(0x0c, &[common.as_bytes()])]);
    tlv(SEQUENCE, &[&tlv(0x31, &[&pair])])
}

/// UTCTime to the year 2049, then GeneralizedTime (RFC 5280 §4.1.2.5).
pub fn time(text: &str) -> Vec<u8> {
    match text.strip_prefix("20") {
        Some(short) if short < "50" => tlv(0x17, &[short.as_bytes()]),
        _ => tlv(0x18, &[text.as_bytes()]),
    }
}

/// A positive integer without leading zeros (X.690 §8.3.2).
pub fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count().min(bytes.len() - 1);
    let bytes = &bytes[zeros..];
    let sign: &[u8] = if bytes[0] & 0x80 != 0 { &[0] } else { &[] };
    tlv(2, &[sign, bytes])
}

/// A tag, its length and value.
pub fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let value = parts.concat();
    let length = value.len();
    let mut out = vec![tag];
    match length {
        0..0x80 => out.push(length as u8),
        0x80..0x100 => out.extend([0x81, length as u8]),
        0x100..0x1_0000 => out.extend([0x82, (length >> 8) as u8, length as u8]),
        _ => out.extend([0x83, (length >> 16) as u8, (length >> 8) as u8, length as u8]),
    }
    out.extend(value);
    out
}
