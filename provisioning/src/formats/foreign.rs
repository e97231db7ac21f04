//! Files that are not read, and that people give all the same: each gets its name and a cure.

use crate::Error;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// An archive or packed file that is neither zip nor gzip.
    Packed(&'static str),
    /// A table of Excel before 2007.
    OldExcel,
    /// Text of two bytes a character.
    Utf16,
    /// PDF.
    Pdf,
    /// XML or HTML.
    Xml,
    /// A database of SQLite.
    Sqlite,
    /// A key store of Java, which holds private keys.
    JavaKeyStore,
}

/// How they begin.
const HEADS: [(&[u8], Foreign); 12] = [
    (b"BZh", Foreign::Packed("bzip2")),
    (b"\xfd7zXZ", Foreign::Packed("xz")),
    (b"7z\xbc\xaf\x27\x1c", Foreign::Packed("7-Zip")),
    (b"Rar!\x1a\x07", Foreign::Packed("RAR")),
    (b"\x28\xb5\x2f\xfd", Foreign::Packed("zstd")),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign::OldExcel),
    (b"\xff\xfe", Foreign::Utf16),
    (b"\xfe\xff", Foreign::Utf16),
    (b"%PDF-", Foreign::Pdf),
    (b"<", Foreign::Xml),
    (b"SQLite format 3\0", Foreign::Sqlite),
    (b"\xfe\xed\xfe\xed", Foreign::JavaKeyStore),
];

impl Foreign {
    pub(super) fn of(head: &[u8]) -> Option<Self> {
        if let Some((_, foreign)) = HEADS.iter().find(|(begin, _)| head.starts_with(begin)) {
            return Some(*foreign);
        }
        // Without a byte order mark: letters with a zero at one side.
        matches!(head, [0, b' '..=b'~', 0, ..] | [b' '..=b'~', 0, b' '..=b'~', 0, ..])
            .then_some(Self::Utf16)
    }

    /// The refusal of the file.
    pub(super) fn refuse(self, file: &str) -> Error {
        let (why, cure) = match self {
            Self::Packed(_) => ("is not unpacked", "unpack it, or pack it as tar, tar.gz or zip"),
            Self::OldExcel => ("is a file of old Excel", "save the table as CSV (UTF-8)"),
            Self::Utf16 => ("is UTF-16", "save it as UTF-8"),
            Self::Pdf => ("is a PDF", "ask for the list as CSV or JSON"),
            Self::Xml => ("is XML", "ask for the list as CSV or JSON"),
            Self::Sqlite => ("is a database", "export the table as CSV"),
            Self::JavaKeyStore => (
                "is a key store of Java, which is made for private keys",
                "export the certificates alone (keytool -exportcert -rfc)",
            ),
        };
        let kind = match self {
            Self::Packed(name) => format!(" of {name}"),
            _ => String::new(),
        };
        let why = format!("the file{kind} {why}");
        Error::Manifest { file: file.into(), why, cure: cure.into() }
    }
}
