use crate::Error;
use crate::limits::DID_CHARS;
use std::fmt;
use std::str::FromStr;

/// The text of a DID of any method that obeys the ABNF of DID Core 1.0 §3.1.
///
/// ```text
/// did                = "did:" method-name ":" method-specific-id
/// method-name        = 1*method-char          ; %x61-7A / DIGIT
/// method-specific-id = *( *idchar ":" ) 1*idchar
/// idchar             = ALPHA / DIGIT / "." / "-" / "_" / pct-encoded
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DidText {
    text: String,
    /// Length of the method's name.
    method: usize,
}

const SCHEME: &str = "did:";

impl DidText {
    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.text[SCHEME.len()..SCHEME.len() + self.method]
    }

    /// What follows `did:<method>:`.
    pub fn id(&self) -> &str {
        &self.text[SCHEME.len() + self.method + 1..]
    }
}

impl FromStr for DidText {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let fault = |why: &str| Error::InvalidDid(why.into());
        if text.len() > DID_CHARS {
            return Err(fault("longer than 2,048 characters"));
        }
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| fault("it does not begin with did:"))?;
        let (method, id) =
            rest.split_once(':').ok_or_else(|| fault("the method-specific part is missing"))?;
        if method.is_empty()
            || !method.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        {
            return Err(fault("the method's name is not lower-case letters and digits"));
        }
        if id.contains(['/', '?', '#']) {
            return Err(fault("this is a DID URL; give the DID alone, up to the first / ? or #"));
        }
        if !is_method_specific_id(id) {
            return Err(fault("the method-specific part has a character that may not be there"));
        }
        Ok(Self { text: text.into(), method: method.len() })
    }
}

fn is_method_specific_id(id: &str) -> bool {
    let mut bytes = id.bytes();
    while let Some(b) = bytes.next() {
        let fits = match b {
            b'%' => {
                let mut hex = || bytes.next().is_some_and(|b| b.is_ascii_hexdigit());
                hex() && hex()
            }
            b'.' | b'-' | b'_' | b':' => true,
            _ => b.is_ascii_alphanumeric(),
        };
        if !fits {
            return false;
        }
    }
    !id.is_empty() && !id.ends_with(':')
}

impl fmt::Display for DidText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
