//! Documents that lie beside certificates and are none: each gets a word on what to do with it.

use crate::x509::Crl;

/// What it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Other {
    /// A FIDO Device Onboard ownership voucher.
    Voucher,
    /// A key that belongs to nobody.
    BareKey,
    /// A revocation list.
    RevocationList,
    /// Certificates in PKCS#7 (RFC 2315, RFC 5652).
    Pkcs7,
}

/// SEQUENCE { id-signedData (RFC 5652 §5.1).
const SIGNED_DATA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// Whether bytes begin like a voucher in CBOR (FIDO Device Onboard §3.4.1): of version 1.0.0 an
/// array of 4, the header first; of later ones an array of 5, the version first.
pub(super) fn is_voucher(head: &[u8]) -> bool {
    match head {
        [0x85, 0x18, version, 0x58 | 0x59 | 0x84..=0x88, ..] => *version >= FIRST,
        [0x84, 0x86, 0x18, version, 0x50, ..]
        | [0x84, 0x58, _, 0x86, 0x18, version, ..]
        | [0x84, 0x59, _, _, 0x86, 0x18, version, ..] => *version >= FIRST,
        _ => false,
    }
}

/// The protocol version 1.0.0 as the voucher has it.
const FIRST: u8 = 100;

impl Other {
    pub(super) fn of_label(label: &str) -> Option<Self> {
        match label {
            "OWNERSHIP VOUCHER" => Some(Self::Voucher),
            "PUBLIC KEY" | "RSA PUBLIC KEY" | "EC PUBLIC KEY" => Some(Self::BareKey),
            "X509 CRL" => Some(Self::RevocationList),
            "PKCS7" | "CMS" => Some(Self::Pkcs7),
            _ => None,
        }
    }

    pub(super) fn of_der(der: &[u8]) -> Option<Self> {
        let inner = super::kind::enter(der)?;
        if inner.starts_with(SIGNED_DATA) {
            return Some(Self::Pkcs7);
        }
        // SubjectPublicKeyInfo: SEQUENCE { OID ..., BIT STRING.
        let algorithm = matches!(inner, [0x30, length @ 7..=0x7f, 6, ..]
            if inner.get(usize::from(*length) + 2) == Some(&3));
        if algorithm {
            return Some(Self::BareKey);
        }
        // The version of a list is like the number of an old certificate.
        let like =
            super::kind::enter(inner).is_some_and(|list| matches!(list, [2, 1, 1, 0x30, ..]));
        (like && Crl::from_der(der.to_vec()).is_ok()).then_some(Self::RevocationList)
    }

    /// Code and reason of the refusal.
    pub(super) fn fault(self) -> (&'static str, &'static str) {
        match self {
            Self::Voucher => (
                "fdo-voucher",
                "a FIDO Device Onboard ownership voucher: it hands a device from owner to owner \
                 and is not its identity",
            ),
            Self::BareKey => ("bare-key", "a public key alone does not say which device it is of"),
            Self::RevocationList => ("revocation-list", "a revocation list, not a device"),
            Self::Pkcs7 => ("pkcs7", "certificates in PKCS#7 (.p7b) are not read"),
        }
    }
}
