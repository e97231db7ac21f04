use crate::Error;
use alloc::string::{String, ToString};
use core::{fmt, str::FromStr};

/// The name of who a token is for: the name the device was configured to dial. A gateway
/// compares it byte by byte with its own, so a token for one is worthless at another
/// (RFC 7519 §4.1.3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Audience(String);

impl Audience {
    /// Longest name in bytes: a DNS name has at most 253 characters.
    pub const MAX: usize = 255;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Audience {
    type Err = Error;

    /// Printable ASCII without `"` and `\`: the name then has one form in JSON, in a header
    /// and in a log line.
    fn from_str(name: &str) -> Result<Self, Error> {
        let printable = |b: &u8| matches!(b, 0x21..=0x7e) && !matches!(b, b'"' | b'\\');
        if (1..=Self::MAX).contains(&name.len()) && name.as_bytes().iter().all(printable) {
            Ok(Self(name.to_string()))
        } else {
            Err(Error::Bound {
                what: "audience",
                bound: "1 to 255 printable ASCII characters without quotes and backslashes",
            })
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Audience({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_form() {
        for good in ["a", "gateway.example:8883", "mqtts://line-3/", &"x".repeat(255)] {
            assert_eq!(good.parse::<Audience>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a\"", "a\\", "\u{7f}", "é", "a\n", &"x".repeat(256)] {
            assert!(bad.parse::<Audience>().is_err(), "{bad:?}");
        }
    }
}
