use crate::formats::Field;
use std::borrow::Cow;

/// Why one row is refused: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// A stable word for scripts.
    pub code: Cow<'static, str>,
    /// The field, `row` for the row as a whole.
    pub field: &'static str,
    /// In words.
    pub reason: String,
    /// What to do.
    pub cure: &'static str,
}

/// Every code with its field and cure, in the order of `docs/formats/manifests.md`.
const CURES: &[(&str, &str, &str)] = &[
    ("row-too-long", "row", "check for a quote that is never closed, or split the row"),
    ("encoding", "row", "save the file as UTF-8"),
    ("not-json", "row", "write one JSON object a line; the file may be cut short here"),
    ("nested-list", "row", "give that list alone, as a file of its own"),
    ("unclosed-quote", "row", "close the quote, and double every quote inside a quoted cell"),
    ("columns", "row", "give the row as many cells as the header; the file may be cut short here"),
    ("duplicate-field", "row", "name each field once"),
    ("type", "row", "write the value as text, in quotes"),
    ("serial-missing", "serial", "give every device a serial number"),
    ("serial", "serial", "use 1 to 128 bytes of printable characters"),
    ("public-key", "publicKey", "give a Multikey (z6Mk... or zDn...) of Ed25519 or P-256"),
    ("key-type", "keyType", "set keyType to Ed25519 or P-256"),
    ("possession-form", "possession", "give the 64-byte signature in base64url, beside the key"),
    (
        "bad-possession",
        "possession",
        "check the challenge, the manufacturer's DID and the network that the line signed for",
    ),
    ("challenge", "challenge", "use at most 32 bytes"),
    (
        "recovery",
        "recovery",
        "write `owner`, or the Multikey of a recovery key, beside the device's possession",
    ),
    ("lot", "lot", "use 1 to 64 bytes of printable characters"),
    ("order", "order", "use 1 to 64 bytes of printable characters"),
    ("station", "station", "use 1 to 64 bytes of printable characters"),
    ("result", "result", "use pass, rework or scrap"),
    ("counter", "counterBefore", "use whole numbers, the second not below the first"),
    ("in-rework", "result", "feed the row again when the device has passed"),
    (
        "scrap-without-key",
        "result",
        "nothing, if it never had a key; else give its key, so that nobody can enrol it",
    ),
    ("model", "model", "use 1 to 64 characters of printable ASCII"),
    ("model-missing", "model", "add a field `model`, or name it with --model"),
    ("other-model", "model", "enrol each model by its own command, or leave --model away"),
    ("cut-short", "row", "fetch the file again; the entries before are good"),
    ("jws", "row", "fetch the manifest again from the vendor, and give it unchanged"),
    ("jws-alg", "protected", "fetch the manifest again; only ES256 is accepted"),
    ("unique-id-mismatch", "header", "fetch the manifest again; an entry may have been edited"),
    ("manifest-version", "payload", "versions 1 and 2 are read; ask for one of them"),
    ("timestamp", "payload", "fetch the manifest again from the vendor, and give it unchanged"),
    ("unknown-signer", "protected", "name a folder with the signer's certificate by --signer DIR"),
    ("bad-signature", "signature", "fetch the manifest again; the entry was changed after signing"),
    ("signer-expired", "protected", "ask the vendor why; do not enrol the devices"),
    ("public-key-set", "publicKeySet", "ask the vendor for a manifest with P-256 keys"),
    ("slot", "publicKeySet", "name the slot to enrol by --slot N"),
    ("x5c", "publicKeySet", "ask the vendor about the certificate; do not enrol the device"),
    ("certificate", "certificate", "ask for the certificate again, in PEM or DER"),
    ("pem", "certificate", "give certificates or signing requests, whole and unchanged"),
    ("csr", "csr", "let the device make the request again (PKCS#10)"),
    ("csr-signature", "csr", "let the device make the request again; it was changed"),
    (
        "fdo-voucher",
        "row",
        "give the device's certificate or signing request; in the voucher it is OVDevCertChain",
    ),
    (
        "bare-key",
        "publicKey",
        "write it beside the device's serial number, in a table with the column publicKey",
    ),
    ("revocation-list", "row", "put it into the folder of --trust"),
    (
        "pkcs7",
        "certificate",
        "take the certificates out (openssl pkcs7 -print_certs) and give those",
    ),
    ("rsa-key", "publicKey", "let the device make a key of Ed25519 or P-256 beside its RSA key"),
    (
        "endorsement-key",
        "certificate",
        "let the TPM make a key of P-256 that signs, and enrol that, by --keys or a request",
    ),
    ("ca-certificate", "certificate", "put it into the folder of --trust, and enrol devices"),
    ("key-usage", "certificate", "ask the issuer for a certificate with digitalSignature"),
    ("certificate-expired", "certificate", "ask the issuer for a new certificate of the device"),
    ("certificate-signature", "certificate", "ask the issuer; do not enrol the device"),
    ("certificate-chain", "certificate", "ask the issuer for its chain, and mend --trust by it"),
    ("unknown-issuer", "certificate", "name a folder with the issuer's certificate by --trust DIR"),
    (
        "issuer-algorithm",
        "certificate",
        "let the device sign for its key (possession), or ask for an issuer with P-256, P-384 or RSA",
    ),
    ("revoked-by-issuer", "certificate", "ask the issuer why; do not enrol the device"),
    ("matter-id", "certificate", "ask the issuer; do not enrol the device"),
    ("key-missing", "publicKeySet", "read the key on the line and give it by --keys FILE"),
    ("other-key", "publicKey", "find out which device the line read"),
    ("duplicate-row", "row", "remove the second copy"),
    ("duplicate-key", "publicKey", "find out which device has the key; no two may share one"),
    ("duplicate-serial", "serial", "find out which device has the serial number"),
    ("evidence", "possession", "let the line collect the device's signature, as the grant asks"),
    ("enrolled-elsewhere", "publicKey", "find out who enrolled the device before you"),
    ("uploading-elsewhere", "row", "wait for the other import, or until it expires, and try again"),
    ("malformed-leaf", "row", "report this: importer and node disagree about the format"),
];

/// For a code of a later node.
const UNKNOWN_CURE: &str = "see the reason";

impl RowFault {
    /// A fault with the field and cure that belong to its code.
    pub(crate) fn new(code: &'static str, reason: impl Into<String>) -> Self {
        let (field, cure) = look_up(code);
        Self { code: code.into(), field, reason: reason.into(), cure }
    }

    /// Why a row waits that says nothing but that it has no key.
    pub(crate) fn without_key() -> Self {
        Self::new("key-missing", "the row has no public key yet")
    }

    /// The same about a named field.
    pub(crate) fn of_field(mut self, field: &'static str) -> Self {
        self.field = field;
        self
    }

    /// What the node said of a row.
    pub(crate) fn by_node(code: Option<String>, detail: Option<String>) -> Self {
        let code = code.unwrap_or_else(|| "refused".into());
        let (field, cure) = look_up(&code);
        let reason = detail.unwrap_or_else(|| format!("the node refused the row: {code}"));
        Self { code: code.into(), field, reason, cure }
    }
}

impl RowFault {
    /// A fault that was written down and read again.
    pub(crate) fn recalled(code: &str, field: &str, reason: String) -> Self {
        let (own, cure) = look_up(code);
        let known = CURES.iter().find(|(name, ..)| *name == code);
        let code = known.map_or_else(|| code.to_owned().into(), |(name, ..)| (*name).into());
        let field = Field::ALL.iter().map(|field| field.name()).find(|name| *name == field);
        Self { code, field: field.unwrap_or(own), reason, cure }
    }
}

fn look_up(code: &str) -> (&'static str, &'static str) {
    let known = CURES.iter().find(|(name, ..)| *name == code);
    known.map_or(("row", UNKNOWN_CURE), |(_, field, cure)| (field, cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_documented_and_has_a_cure() {
        let page = include_str!("../../docs/formats/manifests.md");
        for (code, field, cure) in CURES {
            assert!(page.contains(&format!("`{code}`")), "{code} is not in manifests.md");
            assert!(!field.is_empty() && !cure.is_empty(), "{code}");
        }
    }

    #[test]
    fn a_code_of_a_later_node_is_passed_on() {
        let fault = RowFault::by_node(Some("brand-new".into()), None);
        assert_eq!((&*fault.code, fault.field), ("brand-new", "row"));
        assert!(fault.reason.contains("brand-new"));
    }
}
