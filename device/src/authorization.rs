use alloc::{format, string::String, string::ToString};
use core::fmt;
use data_encoding::BASE64URL_NOPAD;
use muster_identity::Did;

/// A presentation with the device part of the receipt, as the protocols carry them.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    user_name: String,
    token: String,
    receipt: Option<String>,
}

impl Authorization {
    pub(crate) fn new(did: &Did, token: String, device_part: &[u8]) -> Self {
        let receipt = (!device_part.is_empty()).then(|| BASE64URL_NOPAD.encode(device_part));
        Self { user_name: did.to_string(), token, receipt }
    }

    /// The presentation alone.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The value of the HTTP header `Authorization` (RFC 9110 §11.6.2): `Muster <presentation>`.
    pub fn http(&self) -> String {
        format!("Muster {}", self.token)
    }

    /// The value of the HTTP header `Muster-Receipt`, if the device has a receipt.
    pub fn http_receipt(&self) -> Option<&str> {
        self.receipt.as_deref()
    }

    /// The MQTT user name: the DID.
    pub fn mqtt_user_name(&self) -> &str {
        &self.user_name
    }

    /// The MQTT password: the presentation, and if the device has a receipt `~` and its device
    /// part. `~` occurs neither in a JWS nor in base64url.
    pub fn mqtt_password(&self) -> String {
        match &self.receipt {
            Some(receipt) => format!("{}~{receipt}", self.token),
            None => self.token.clone(),
        }
    }
}

/// A token that nobody has seen is as good as the key for its minute: it is not shown.
impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorization(of {})", self.user_name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::sha256;

    #[test]
    fn the_forms_of_http_and_mqtt() {
        let did = Did::from_digest(sha256(&[]));
        let bare = Authorization::new(&did, "a.b.c".into(), &[]);
        assert_eq!(bare.http(), "Muster a.b.c");
        assert_eq!(bare.http_receipt(), None);
        assert_eq!(bare.mqtt_password(), "a.b.c");
        assert_eq!(bare.mqtt_user_name(), did.to_string());

        let with = Authorization::new(&did, "a.b.c".into(), &[0xfb, 0xff]);
        assert_eq!(with.http(), "Muster a.b.c");
        assert_eq!(with.http_receipt(), Some("-_8"));
        assert_eq!(with.mqtt_password(), "a.b.c~-_8");
        assert!(!format!("{with:?}").contains("a.b.c"));
    }
}
