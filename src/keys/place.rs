use super::uri::TokenUri;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a private key is: in a file (PKCS#8 PEM), or in a security token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyPlace {
    /// A file.
    File(PathBuf),
    /// A token, by its address (RFC 7512).
    Token(Box<TokenUri>),
}

impl KeyPlace {
    /// Its words.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::File(file) => file.display().to_string(),
            Self::Token(uri) => uri.text().to_owned(),
        }
    }
}

impl From<PathBuf> for KeyPlace {
    fn from(file: PathBuf) -> Self {
        Self::File(file)
    }
}

impl FromStr for KeyPlace {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("pkcs11:") {
            return text.parse().map(|uri| Self::Token(Box::new(uri)));
        }
        if text.is_empty() {
            return Err("a file, or pkcs11: and the address of a key in a token".into());
        }
        Ok(Self::File(PathBuf::from(text)))
    }
}
