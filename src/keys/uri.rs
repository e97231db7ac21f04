//! Addresses of keys in security tokens (RFC 7512), read strictly: a part that this reader does
//! not know could have narrowed the choice of a key, so it is refused, not passed over.

use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Longest address. Labels are at most 32 bytes; paths are what needs room.
const URI_BYTES: usize = 4_096;

/// The address of a key in a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TokenUri {
    text: String,
    /// Label of the token.
    pub(super) token: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) manufacturer: Option<String>,
    pub(super) model: Option<String>,
    pub(super) slot: Option<u64>,
    /// Label of the key.
    pub(super) object: Option<String>,
    /// `CKA_ID` of the key.
    pub(super) id: Option<Vec<u8>>,
    /// The library that speaks to the token.
    pub(super) module: Option<PathBuf>,
    /// The file with its PIN.
    pub(super) pin_source: Option<PathBuf>,
}

impl TokenUri {
    /// As it was given. It holds no secret: `pin-value` is refused.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    fn set(&mut self, name: &str, value: Vec<u8>, query: bool) -> Result<(), String> {
        let text = |value: Vec<u8>| {
            String::from_utf8(value).map_err(|_| format!("{name} is not UTF-8 text"))
        };
        match (query, name) {
            (false, "token") => once(&mut self.token, name, text(value)?),
            (false, "serial") => once(&mut self.serial, name, text(value)?),
            (false, "manufacturer") => once(&mut self.manufacturer, name, text(value)?),
            (false, "model") => once(&mut self.model, name, text(value)?),
            (false, "slot-id") => {
                let value = text(value)?;
                let digits = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let slot = value.parse().ok().filter(|_| digits);
                once(&mut self.slot, name, slot.ok_or("slot-id is a number")?)
            }
            (false, "object") => once(&mut self.object, name, text(value)?),
            (false, "id") => once(&mut self.id, name, value),
            (false, "type") => match text(value)?.as_str() {
                "private" => Ok(()),
                other => Err(format!("type={other}: a key that signs is of type=private")),
            },
            (true, "module-path") => {
                let path = PathBuf::from(text(value)?);
                absolute(&path, name)?;
                once(&mut self.module, name, path)
            }
            (true, "pin-source") => {
                let value = text(value)?;
                // RFC 7512 §2.4: a file by URI or by name. A program to run (`|`) is not taken.
                let path = value.strip_prefix("file:").unwrap_or(&value);
                let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
                absolute(&path, name)?;
                once(&mut self.pin_source, name, path)
            }
            (true, "pin-value") => Err(
                "pin-value shows the PIN to everybody on this machine: put it into a file of mode \
                 0600 and say pin-source=file:/PATH"
                    .into(),
            ),
            _ => Err(format!(
                "{name} is not known; there are token, serial, manufacturer, model, slot-id, \
                 object, id, type, and after ? module-path and pin-source"
            )),
        }
    }
}

fn once<T>(place: &mut Option<T>, name: &str, value: T) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{name} stands twice")),
    }
}

fn absolute(path: &Path, name: &str) -> Result<(), String> {
    if path.is_absolute() { Ok(()) } else { Err(format!("{name} is an absolute path of a file")) }
}

impl FromStr for TokenUri {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > URI_BYTES {
            return Err(format!("an address has at most {URI_BYTES} bytes"));
        }
        let rest = text.strip_prefix("pkcs11:").ok_or("an address begins with pkcs11:")?;
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let mut uri = Self { text: text.to_owned(), ..Self::default() };
        let mut of_type = false;
        for (part, in_query) in parts(path, ';', false).chain(parts(query.unwrap_or(""), '&', true))
        {
            let (name, value) =
                part.split_once('=').ok_or(format!("{part}: a name, =, a value"))?;
            if name == "type" && std::mem::replace(&mut of_type, true) {
                return Err("type stands twice".into());
            }
            let value = decode(value, in_query).map_err(|why| format!("{name}: {why}"))?;
            uri.set(name, value, in_query)?;
        }
        if uri.object.is_none() && uri.id.is_none() {
            return Err("which key? name it by object=LABEL or id=%01%02".into());
        }
        Ok(uri)
    }
}

fn parts(text: &str, by: char, query: bool) -> impl Iterator<Item = (&str, bool)> {
    let none = text.is_empty();
    text.split(by).filter(move |_| !none).map(move |part| (part, query))
}

/// Percent decoding, and the characters that RFC 7512 §2.3 lets stand for themselves.
fn decode(value: &str, query: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let mut digit =
                    || bytes.next().and_then(|b| char::from(b).to_digit(16)).map(|d| d as u8);
                let (high, low) = (digit(), digit());
                let (high, low) = high.zip(low).ok_or("after % come two hexadecimal digits")?;
                out.push(high << 4 | low);
            }
            b if b.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=".contains(&b) => out.push(b),
            b'&' if !query => out.push(byte),
            b'/' | b'?' | b'|' if query => out.push(byte),
            _ => return Err(format!("{:?} is written %{byte:02X}", char::from(byte))),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<TokenUri, String> {
        text.parse()
    }

    #[test]
    fn an_address_is_read_in_full() {
        let text = "pkcs11:token=The%20factory;serial=0a;manufacturer=Snake+Oil;model=1;slot-id=7;\
                    object=line%3B1;id=%01%ff;type=private\
                    ?module-path=/usr/lib/p11.so&pin-source=file:/run/pin";
        let expected = TokenUri {
            text: text.into(),
            token: Some("The factory".into()),
            serial: Some("0a".into()),
            manufacturer: Some("Snake+Oil".into()),
            model: Some("1".into()),
            slot: Some(7),
            object: Some("line;1".into()),
            id: Some(vec![1, 255]),
            module: Some("/usr/lib/p11.so".into()),
            pin_source: Some("/run/pin".into()),
        };
        assert_eq!(read(text), Ok(expected));
        for source in ["file:///run/pin", "/run/pin"] {
            let uri = read(&format!("pkcs11:object=a?pin-source={source}")).expect("an address");
            assert_eq!(uri.pin_source, Some("/run/pin".into()), "{source}");
        }
    }

    #[test]
    fn what_could_mean_another_key_is_refused() {
        for (text, why) in [
            ("pkcs11:", "which key"),
            ("pkcs11:token=a", "which key"),
            ("pkcs11:object", "a name, ="),
            ("pkcs11:object=a;", "a name, ="),
            ("pkcs11:object=a;object=b", "twice"),
            ("pkcs11:object=a;type=private;type=private", "twice"),
            ("pkcs11:object=a;type=public", "type=private"),
            ("pkcs11:object=a;x-vendor=1", "not known"),
            ("pkcs11:object=a;slot-id=+1", "a number"),
            ("pkcs11:object=a;slot-id=", "a number"),
            ("pkcs11:object=a b", "%20"),
            ("pkcs11:object=%4", "two hexadecimal"),
            ("pkcs11:object=%+1", "two hexadecimal"),
            ("pkcs11:object=%ff", "UTF-8"),
            ("pkcs11:object=a/b", "%2F"),
            ("pkcs11:object=a?pin-value=1234", "pin-source"),
            ("pkcs11:object=a?pin-source=|cat", "absolute"),
            ("pkcs11:object=a?module-path=p11.so", "absolute"),
            ("pkcs11:object=a?module-name=p11", "not known"),
            ("pkcs11:object=a?token=b", "not known"),
            ("pkcs11:object=a?pin-source=/a&pin-source=/b", "twice"),
            ("PKCS11:object=a", "begins with"),
        ] {
            let told = read(text).expect_err(text);
            assert!(told.contains(why), "{text}: {told}");
        }
        assert!(read(&format!("pkcs11:object={}", "a".repeat(URI_BYTES))).is_err());
    }
}
