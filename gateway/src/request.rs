use muster_identity::{Did, MAX_TOKEN, PresentationFault};
use muster_verifier::{Reason, Rejected};
use std::fmt;
use std::net::IpAddr;

/// What a request brings, as it came.
#[derive(Clone, Copy, Default)]
pub struct AuthRequest<'a> {
    /// The presentation.
    pub presentation: Option<&'a str>,
    /// A session token, instead of a presentation.
    pub session: Option<&'a str>,
    /// The device part of the receipt in base64url, if it came along.
    pub receipt: Option<&'a str>,
    /// The DID that the request names beside the presentation, such as an MQTT user name. It
    /// must be that of the presentation.
    pub user: Option<&'a str>,
    /// The header `X-Request-Id`, only if a trusted proxy set it.
    pub request_id: Option<&'a str>,
    /// Where it comes from: the peer, or what a trusted proxy says of it.
    pub source: Option<IpAddr>,
    /// What is asked for: the path of the original request in its one plain form, or the topic.
    pub path: Option<&'a str>,
    /// How: the method of the original request.
    pub method: Option<&'a str>,
}

impl<'a> AuthRequest<'a> {
    /// From the header `Authorization: Muster <presentation>` or `Muster-Session <token>`; the
    /// scheme in any case (RFC 9110 §11.1).
    pub fn from_authorization(value: &'a str) -> Result<Self, Rejected> {
        let missing = Rejected::new(Reason::Missing);
        let (scheme, token) = value.split_once(' ').ok_or(missing)?;
        let (request, token) = (Self::default(), Some(token.trim()));
        if scheme.eq_ignore_ascii_case("Muster") {
            Ok(Self { presentation: token, ..request })
        } else if scheme.eq_ignore_ascii_case("Muster-Session") {
            Ok(Self { session: token, ..request })
        } else {
            Err(missing)
        }
    }

    /// From the credentials of an MQTT CONNECT: the user name is the DID, the password the
    /// presentation, or the presentation, `~` and the device part.
    pub fn from_mqtt(user: &'a str, password: &'a str) -> Self {
        let (presentation, receipt) = match password.split_once('~') {
            Some((presentation, receipt)) => (presentation, Some(receipt)),
            None => (password, None),
        };
        Self { presentation: Some(presentation), receipt, user: Some(user), ..Self::default() }
    }

    /// The presentation, if there is one of a length that one can have.
    pub(crate) fn token(&self) -> Result<&'a str, Rejected> {
        let token = self.presentation.ok_or(Rejected::new(Reason::Missing))?;
        if token.len() > MAX_TOKEN {
            return Err(Rejected::new(Reason::Malformed(PresentationFault::TooLong)));
        }
        Ok(token)
    }

    /// Refuses a user name that is not the DID of the presentation. One DID has one text.
    pub(crate) fn check_user(&self, did: &Did) -> Result<(), Rejected> {
        match self.user {
            Some(user) if user != did.to_string() => {
                Err(Rejected::about(*did, Reason::OtherDevice))
            }
            _ => Ok(()),
        }
    }
}

/// The presentation is as good as the key for its minute: it is not shown.
impl fmt::Debug for AuthRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRequest")
            .field("user", &self.user)
            .field("request_id", &self.request_id)
            .field("source", &self.source)
            .field("path", &self.path)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}
