//! Who a certificate or signing request is about.

use super::Certificate;
use data_encoding::HEXUPPER;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Any, Tag, Tagged as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, HardwareModuleName};
use x509_cert::name::Name;

/// id-at-commonName and id-at-serialNumber (X.520 §6.2.2, §6.2.9).
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const SERIAL_NUMBER: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.5");
/// Matter vendor id and product id (Matter Core §6.1.1).
const MATTER_VENDOR: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.37244.2.1");
const MATTER_PRODUCT: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.37244.2.2");

/// Maker, model and version of a TPM.
const TPM: [ObjectIdentifier; 3] = [
    ObjectIdentifier::new_unwrap("2.23.133.2.1"),
    ObjectIdentifier::new_unwrap("2.23.133.2.2"),
    ObjectIdentifier::new_unwrap("2.23.133.2.3"),
];

/// What a subject's name says about a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// The attribute `serialNumber` (IEEE 802.1AR §8.6).
    pub serial_number: Option<String>,
    /// The common name.
    pub common_name: Option<String>,
    /// Matter's vendor id, as an attribute or within the common name (Matter Core §6.2.2.2).
    pub vendor: Option<u16>,
    /// Matter's product id, likewise.
    pub product: Option<u16>,
}

impl Subject {
    /// Reads a name; attributes that are not text count as absent.
    pub fn of(name: &Name) -> Self {
        let find = |oid: ObjectIdentifier| {
            let mut all = name.iter().filter(|attribute| attribute.oid == oid);
            all.find_map(|attribute| text(&attribute.value)).filter(|text| !text.is_empty())
        };
        let common_name = find(COMMON_NAME);
        let inside = |mark: &str| hex_id(common_name.as_deref()?.split_once(mark)?.1.get(..4)?);
        Self {
            serial_number: find(SERIAL_NUMBER),
            vendor: find(MATTER_VENDOR).and_then(|t| hex_id(&t)).or_else(|| inside("Mvid:")),
            product: find(MATTER_PRODUCT).and_then(|t| hex_id(&t)).or_else(|| inside("Mpid:")),
            common_name,
        }
    }

    /// The product as a model, `VVVV-PPPP`.
    pub fn matter_model(&self) -> Option<String> {
        Some(format!("{:04X}-{:04X}", self.vendor?, self.product?))
    }
}

/// A name as text for people: like RFC 4514, the common name first, since a message shows only the
/// beginning, and Matter's ids by name.
pub fn name_text(name: &Name) -> String {
    let subject = Subject::of(name);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(subject.common_name.map(|text| format!("CN={text}")));
    for (oid, label) in [(MATTER_VENDOR, "VID"), (MATTER_PRODUCT, "PID")] {
        let id = name.iter().filter(|attribute| attribute.oid == oid).find_map(|a| text(&a.value));
        parts.extend(id.map(|id| format!("{label}={id}")));
    }
    let known = [COMMON_NAME, MATTER_VENDOR, MATTER_PRODUCT];
    parts.extend(name.iter().filter(|a| !known.contains(&a.oid)).map(ToString::to_string));
    parts.join(",")
}

/// Whether the certificate names a TPM (2.23.133.2.1 to .3 in a directoryName, TCG EK Credential
/// Profile §3.2.9).
pub fn names_a_tpm(certificate: &Certificate) -> bool {
    let names = certificate.parsed().tbs_certificate().get_extension::<SubjectAltName>();
    let Ok(Some((_, names))) = names else { return false };
    names.0.iter().any(|name| match name {
        GeneralName::DirectoryName(name) => name.iter().any(|a| TPM.contains(&a.oid)),
        _ => false,
    })
}

/// The serial number of the device of a certificate: that of the subject, else its common name,
/// else that of the hardware module (RFC 4108 §5), else, in Matter, product and number of the
/// certificate.
pub fn device_serial(certificate: &Certificate) -> Option<String> {
    let tbs = certificate.parsed().tbs_certificate();
    let subject = Subject::of(tbs.subject());
    let matter = || {
        let number = HEXUPPER.encode(certificate.serial());
        Some(format!("{}-{number}", subject.matter_model()?))
    };
    let named = subject.serial_number.clone().or_else(|| subject.common_name.clone());
    named.or_else(|| hardware_serial(certificate)).or_else(matter)
}

fn hardware_serial(certificate: &Certificate) -> Option<String> {
    let names = certificate.parsed().tbs_certificate().get_extension::<SubjectAltName>();
    let (_, names) = names.ok()??;
    let serial = names.0.iter().find_map(|name| {
        let GeneralName::OtherName(other) = name else { return None };
        HardwareModuleName::from_other_name(other).ok()?
    })?;
    let bytes = serial.hw_serial_num.as_bytes();
    let printable = !bytes.is_empty() && bytes.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
    Some(match printable {
        true => String::from_utf8_lossy(bytes).into_owned(),
        false => HEXUPPER.encode(bytes),
    })
}

/// Four hexadecimal digits in capitals (Matter Core §6.1.1).
fn hex_id(text: &str) -> Option<u16> {
    let is_id = text.len() == 4 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'));
    is_id.then(|| u16::from_str_radix(text, 16).ok())?
}

/// A string of any kind that names have (X.520 §6.1).
fn text(value: &Any) -> Option<String> {
    let bytes = value.value();
    match value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString => {
            str::from_utf8(bytes).ok().map(|text| text.trim().into())
        }
        Tag::BmpString => {
            let units = bytes.chunks(2).map(|pair| pair.try_into().map(u16::from_be_bytes).ok());
            String::from_utf16(&units.collect::<Option<Vec<_>>>()?).ok()
        }
        _ => None,
    }
}
