use super::document::{Document, Papers};
use super::key_text::KeyText;
use super::secrets::{bare, shown};
use super::x509::{self, Kind};
use crate::limits::WARNINGS;
use std::collections::BTreeSet;

/// The fields of a row, by the same names in every format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// Serial number; required.
    Serial,
    /// The device's public key; without it the row waits.
    PublicKey,
    /// What kind of key a raw `publicKey` is.
    KeyType,
    /// The device's possession signature.
    Possession,
    /// The challenge it signed.
    Challenge,
    /// Who may give the device another key.
    Recovery,
    /// Lot, reel or work order.
    Lot,
    /// Model id.
    Model,
    /// The device's certificate, which has its key.
    Certificate,
    /// The device's signing request (PKCS#10), which has its key.
    Csr,
    /// Certificates of issuers, from the device's up.
    Chain,
    /// Order that the device was made for.
    Order,
    /// Station of the line.
    Station,
    /// Test result.
    Result,
    /// The station's counter before the device.
    CounterBefore,
    /// The station's counter after it.
    CounterAfter,
}

/// Names that other tools have for a field. They count where the field's own name is absent, the
/// first of them that is there.
const ALIASES: [(Field, &str); 54] = [
    (Field::Serial, "uniqueid"),
    (Field::Serial, "serialnumber"),
    (Field::Serial, "serialnum"),
    (Field::Serial, "mac"),
    (Field::Serial, "macaddress"),
    (Field::Serial, "deveui"),
    (Field::Serial, "imei"),
    (Field::Serial, "iotcdeviceid"),
    (Field::Serial, "deviceid"),
    (Field::Serial, "registrationid"),
    (Field::Serial, "nodeid"),
    (Field::Serial, "thingname"),
    (Field::Certificate, "cert"),
    (Field::Certificate, "certs"),
    (Field::Certificate, "certpem"),
    (Field::Certificate, "certificatepem"),
    (Field::Certificate, "devicecertificate"),
    (Field::Certificate, "devicecert"),
    (Field::Certificate, "daccert"),
    (Field::Certificate, "pem"),
    (Field::Chain, "paicert"),
    (Field::Chain, "certificatechain"),
    (Field::Chain, "cacert"),
    (Field::Chain, "cacertificate"),
    (Field::Chain, "cacertificatepem"),
    (Field::Chain, "intermediatecert"),
    (Field::Csr, "certificatesigningrequest"),
    (Field::Csr, "certificaterequest"),
    (Field::Csr, "csrpem"),
    (Field::Csr, "pkcs10"),
    (Field::Order, "workorder"),
    (Field::Order, "workordernumber"),
    (Field::Order, "productionorder"),
    (Field::Order, "manufacturingorder"),
    (Field::Order, "ordernumber"),
    (Field::Order, "orderno"),
    (Field::Order, "orderid"),
    (Field::Station, "stationid"),
    (Field::Station, "stationname"),
    (Field::Station, "teststation"),
    (Field::Station, "workstation"),
    (Field::Station, "tester"),
    (Field::Result, "testresult"),
    (Field::Result, "testoutcome"),
    (Field::Result, "finalresult"),
    (Field::Result, "passfail"),
    (Field::CounterBefore, "counterstart"),
    (Field::CounterBefore, "startcounter"),
    (Field::CounterBefore, "countbefore"),
    (Field::CounterBefore, "precounter"),
    (Field::CounterAfter, "counterend"),
    (Field::CounterAfter, "endcounter"),
    (Field::CounterAfter, "countafter"),
    (Field::CounterAfter, "postcounter"),
];

impl Field {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::Serial,
        Self::PublicKey,
        Self::KeyType,
        Self::Possession,
        Self::Challenge,
        Self::Recovery,
        Self::Lot,
        Self::Model,
        Self::Certificate,
        Self::Csr,
        Self::Chain,
        Self::Order,
        Self::Station,
        Self::Result,
        Self::CounterBefore,
        Self::CounterAfter,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Serial => "serial",
            Self::PublicKey => "publicKey",
            Self::KeyType => "keyType",
            Self::Possession => "possession",
            Self::Challenge => "challenge",
            Self::Recovery => "recovery",
            Self::Lot => "lot",
            Self::Model => "model",
            Self::Certificate => "certificate",
            Self::Csr => "csr",
            Self::Chain => "chain",
            Self::Order => "order",
            Self::Station => "station",
            Self::Result => "result",
            Self::CounterBefore => "counterBefore",
            Self::CounterAfter => "counterAfter",
        }
    }

    /// The field of this name; case, blanks, `_` and `-` do not matter.
    pub fn named(name: &str) -> Option<Self> {
        let exact = Self::ALL.into_iter().find(|field| field.name() == name);
        exact.or_else(|| {
            let name = bare(name);
            Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(&name))
        })
    }

    /// What other tools call the field: how good a name it is, the lower the better.
    pub(super) fn alias(name: &str) -> Option<(Self, usize)> {
        let name = bare(name);
        let rank = ALIASES.iter().position(|(_, alias)| *alias == name)?;
        Some((ALIASES[rank].0, rank))
    }

    /// Whether a row with this field alone may say which device it is.
    pub(super) fn may_name_a_device(self) -> bool {
        matches!(self, Self::Serial | Self::Certificate | Self::Csr)
    }

    /// The field that an unknown name may have meant.
    fn near(name: &str) -> Option<Self> {
        let name = bare(name);
        let likely = |field: &Self| {
            let known = bare(field.name());
            let distance = distance(&name, &known);
            name.contains(&known) || distance * 2 <= name.chars().count().max(known.len())
        };
        let mut fields: Vec<_> = Self::ALL.into_iter().filter(likely).collect();
        fields.sort_by_key(|field| distance(&name, &bare(field.name())));
        fields.first().copied()
    }
}

/// Levenshtein's distance; the names are short.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A row as the file has it: texts, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Draft {
    /// Where the row begins, from 1.
    pub line: u64,
    /// Serial number.
    pub serial: Option<String>,
    /// Public key.
    pub public_key: Option<KeyText>,
    /// Kind of a raw key.
    pub key_type: Option<Box<str>>,
    /// Possession signature.
    pub possession: Option<String>,
    /// Challenge.
    pub challenge: Option<String>,
    /// Who may give the device another key.
    pub recovery: Option<Box<str>>,
    /// Lot.
    pub lot: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Certificates of the issuers of one in the row.
    pub chain: Option<Box<str>>,
    /// The document that says the rest, in formats that have one.
    pub document: Option<Document>,
    /// What the line says of the making, if it says anything.
    pub making: Option<Box<Making>>,
}

/// What the line says of a device's making: texts, none of them checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Making {
    /// Order.
    pub order: Option<String>,
    /// Station.
    pub station: Option<String>,
    /// Test result.
    pub result: Option<String>,
    /// The station's counter before the device.
    pub counter_before: Option<String>,
    /// The station's counter after it.
    pub counter_after: Option<String>,
}

impl Draft {
    /// Bytes of its texts, so that a share of rows stays bounded.
    pub(crate) fn size(&self) -> usize {
        let size = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let own = [&self.serial, &self.possession, &self.challenge, &self.lot, &self.model];
        let making = self.making.as_ref().map_or(0, |m| {
            let said = [&m.order, &m.station, &m.result, &m.counter_before, &m.counter_after];
            said.into_iter().map(size).sum()
        });
        own.into_iter().map(size).sum::<usize>()
            + self.public_key.as_ref().map_or(0, KeyText::size)
            + self.key_type.as_ref().map_or(0, |text| text.len())
            + self.recovery.as_ref().map_or(0, |text| text.len())
            + self.chain.as_ref().map_or(0, |chain| chain.len())
            + self.document.as_ref().map_or(0, Document::size)
            + making
    }

    /// Sets a field; an empty text is none.
    pub(super) fn set(&mut self, field: Field, text: &str) {
        let text = Some(text.trim()).filter(|text| !text.is_empty()).map(String::from);
        match field {
            Field::Serial => self.serial = text,
            Field::PublicKey => self.public_key = text.map(KeyText::Text),
            Field::KeyType => self.key_type = text.map(Into::into),
            Field::Possession => self.possession = text,
            Field::Challenge => self.challenge = text,
            Field::Recovery => self.recovery = text.map(Into::into),
            Field::Lot => self.lot = text,
            Field::Model => self.model = text,
            // What it is counts, not what its column is called.
            Field::Certificate => self.paper(text, Kind::Certificate),
            Field::Csr => self.paper(text, Kind::Request),
            Field::Chain => self.chain = text.map(Into::into),
            Field::Order => self.making(text, |making| &mut making.order),
            Field::Station => self.making(text, |making| &mut making.station),
            Field::Result => self.making(text, |making| &mut making.result),
            Field::CounterBefore => self.making(text, |making| &mut making.counter_before),
            Field::CounterAfter => self.making(text, |making| &mut making.counter_after),
        }
    }

    /// A row that says nothing of the making costs nothing for it.
    fn making(&mut self, text: Option<String>, of: fn(&mut Making) -> &mut Option<String>) {
        if text.is_some() {
            *of(self.making.get_or_insert_default()) = text;
        }
    }

    /// Takes a certificate or signing request in the column of keys for what it is, and gives a
    /// certificate its chain.
    pub(super) fn settle(mut self) -> Self {
        if self.document.is_none()
            && let Some(KeyText::Text(text)) = &self.public_key
            && let Some(kind) = x509::kind_of_text(text)
        {
            let text = text.clone();
            self.public_key = None;
            self.paper(Some(text), kind);
        }
        if let (Some(chain), Some(Document::Certificate(papers))) =
            (&self.chain, &mut self.document)
        {
            papers.chain.push(chain.as_bytes().into());
        }
        self
    }

    /// A certificate stands before a request, which only led to it.
    fn paper(&mut self, text: Option<String>, likely: Kind) {
        let Some(text) = text else { return };
        let kind = x509::kind_of_text(&text).unwrap_or(likely);
        let bytes = text.into_bytes().into();
        match kind {
            Kind::Certificate => {
                let papers = Papers { certificate: bytes, chain: Vec::new() };
                self.document = Some(Document::Certificate(papers.into()));
            }
            Kind::Request if self.document.is_none() => {
                self.document = Some(Document::Request(bytes));
            }
            Kind::Request => {}
        }
    }
}

/// Unknown names that were told of already.
#[derive(Debug, Default)]
pub(super) struct Unknown(BTreeSet<String>);

impl Unknown {
    /// A warning about an unknown name, the first time.
    pub(super) fn warn(&mut self, line: u64, name: &str) -> Option<String> {
        let shown = shown(name);
        if self.0.len() >= WARNINGS || !self.0.insert(shown.clone()) {
            return None;
        }
        if names_a_certificate(name) {
            let why = "names a certificate and does not hold its key; give the certificate or key";
            return Some(format!("line {line}: `{shown}` {why}"));
        }
        let meant = Field::near(name).map(|f| format!("; did you mean `{}`?", f.name()));
        Some(format!("line {line}: `{shown}` is unknown and ignored{}", meant.unwrap_or_default()))
    }

    /// A warning that is given once.
    pub(super) fn once(&mut self, line: u64, text: &str) -> Option<String> {
        let new = self.0.len() < WARNINGS && self.0.insert(text.into());
        new.then(|| format!("line {line}: {text}"))
    }

    /// A warning about a name that would say what another says better, the first time.
    pub(super) fn lesser(&mut self, line: u64, name: &str, field: Field) -> Option<String> {
        let shown = shown(name);
        if self.0.len() >= WARNINGS || !self.0.insert(shown.clone()) {
            return None;
        }
        let field = field.name();
        Some(format!("line {line}: `{shown}` is not used: another name gives the `{field}`"))
    }
}

/// Whether a field is the id of a certificate in somebody's cloud, or its thumbprint.
pub(super) fn names_a_certificate(name: &str) -> bool {
    let name = bare(name);
    name == "certificateid" || name.contains("thumbprint") || name.contains("fingerprint")
}
