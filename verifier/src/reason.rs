use muster_identity::{Did, PresentationFault};
use muster_ledger::Status;
use std::fmt;

/// Why a presentation is refused. The words say the cure; [`Self::code`] is stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The request carries none (the caller's fault).
    #[error("no presentation: send the header Authorization: Muster <presentation>")]
    Missing,
    /// It cannot be read (the caller's fault).
    #[error(
        "the presentation cannot be read: {0}; make a new one as docs/formats/presentation.md says"
    )]
    Malformed(PresentationFault),
    /// The user name is another device's (the caller's fault).
    #[error("the user name is not the DID of the presentation; send the DID that signed it")]
    OtherDevice,
    /// It names another audience (the caller's fault).
    #[error(
        "the presentation is for another audience; configure the device with the name of this gateway"
    )]
    WrongAudience,
    /// Its time is over (the caller's fault).
    #[error(
        "the presentation has expired; make a new one, and set the device's clock if this repeats"
    )]
    Expired,
    /// Its time is to come (the caller's fault).
    #[error("the presentation is not valid yet; set the device's clock")]
    NotYetValid,
    /// It brings a nonce where a time is expected (the caller's fault).
    #[error("this gateway takes no nonces; present with a time")]
    NonceNotAccepted,
    /// It brings a nonce that was not given out, or not to it (the caller's fault).
    #[error("the nonce is not one that this gateway expects; ask for a new one")]
    NonceUnknown,
    /// Devices of its class must bring a nonce (the caller's fault).
    #[error("devices of this class must present with a nonce; ask for one and present with it")]
    NonceRequired,
    /// A session token that is over, or of another gateway (the caller's fault).
    #[error("the session is over, or was opened elsewhere; present again")]
    Session,
    /// Nothing proves the device's enrolment (the caller's or the operator's fault).
    #[error(
        "the device is not on this gateway's roll; enrol it, or send its device part in Muster-Receipt"
    )]
    UnknownDevice,
    /// The device part does not prove this device (the caller's fault).
    #[error("the device part does not prove this device; fetch it again with its receipt")]
    BadDevicePart,
    /// Another key than the device's present one (the caller's fault).
    #[error(
        "the presentation names a key that is not the device's present key; sign with the present one"
    )]
    WrongKey,
    /// A key that was revoked (the caller's fault).
    #[error(
        "the key was revoked and never verifies again; the owner must give the device a new one"
    )]
    KeyRevoked,
    /// The signature is bad (the caller's fault).
    #[error("the signature does not verify; sign exactly the text that is sent")]
    BadSignature,
    /// It was used before (the caller's fault).
    #[error(
        "the presentation was used before, or may have been before this gateway started; make a new one for each request"
    )]
    Replayed,
    /// The memory is full (the caller's fault for one device, else the operator's).
    #[error(
        "too many presentations are remembered at present; wait a minute, and present less often"
    )]
    Busy,
    /// More than its source may ask (the caller's fault).
    #[error("too many requests, or too many refused ones, from this source; wait some seconds")]
    TooMany,
    /// No checkpoint was verified yet (the operator's fault).
    #[error("this gateway has not verified a head of the ledger yet; connect it to a node")]
    NotReady,
    /// A record of the roll cannot be read (our fault).
    #[error("this gateway's roll is damaged; let it follow the ledger anew")]
    Damaged,
    /// The device is who it says; the roll is too old to decide by (the operator's fault).
    #[error("this gateway's roll is too old to decide by; connect it to a node")]
    StaleRoll,
    /// The device is who it says; it is suspended.
    #[error("the device is held; its owner can release it")]
    Held,
    /// The device is who it says; it was revoked.
    #[error("the device was revoked for good")]
    Revoked,
    /// The device is who it says; its DID was deactivated.
    #[error("the device's DID was deactivated for good")]
    Deactivated,
}

impl Reason {
    /// The code of every reason, for counters that start at zero.
    pub const CODES: [&'static str; 24] = [
        "missing",
        "malformed",
        "other-device",
        "wrong-audience",
        "expired",
        "not-yet-valid",
        "nonce-not-accepted",
        "nonce-unknown",
        "nonce-required",
        "session",
        "unknown-device",
        "bad-device-part",
        "wrong-key",
        "key-revoked",
        "bad-signature",
        "replayed",
        "busy",
        "too-many",
        "not-ready",
        "damaged",
        "stale-roll",
        "held",
        "revoked",
        "deactivated",
    ];

    /// A stable word for headers, scripts and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed(_) => "malformed",
            Self::OtherDevice => "other-device",
            Self::WrongAudience => "wrong-audience",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::NonceNotAccepted => "nonce-not-accepted",
            Self::NonceUnknown => "nonce-unknown",
            Self::NonceRequired => "nonce-required",
            Self::Session => "session",
            Self::UnknownDevice => "unknown-device",
            Self::BadDevicePart => "bad-device-part",
            Self::WrongKey => "wrong-key",
            Self::KeyRevoked => "key-revoked",
            Self::BadSignature => "bad-signature",
            Self::Replayed => "replayed",
            Self::Busy => "busy",
            Self::TooMany => "too-many",
            Self::NotReady => "not-ready",
            Self::Damaged => "damaged",
            Self::StaleRoll => "stale-roll",
            Self::Held => "held",
            Self::Revoked => "revoked",
            Self::Deactivated => "deactivated",
        }
    }

    /// 403 where the device was authenticated and is refused all the same, else 401: another
    /// presentation by the same device cannot help in the first case (RFC 9110 §15.5.4).
    pub const fn http_status(self) -> u16 {
        match self {
            Self::StaleRoll | Self::Held | Self::Revoked | Self::Deactivated => 403,
            _ => 401,
        }
    }

    /// The refusal that a standing calls for.
    pub(crate) const fn of_status(status: Status) -> Option<Self> {
        match status {
            Status::Active => None,
            Status::Held => Some(Self::Held),
            Status::Revoked => Some(Self::Revoked),
            Status::Deactivated => Some(Self::Deactivated),
        }
    }
}

/// A presentation that was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    /// Why.
    pub reason: Reason,
    /// Who it is about. Only a claim, unless [`Reason::http_status`] is 403.
    pub did: Option<Did>,
}

impl Rejected {
    /// A refusal of something that names nobody yet.
    pub const fn new(reason: Reason) -> Self {
        Self { reason, did: None }
    }

    /// A refusal of what claims to be this device.
    pub const fn about(did: Did, reason: Reason) -> Self {
        Self { reason, did: Some(did) }
    }

    /// The reason's code.
    pub const fn code(&self) -> &'static str {
        self.reason.code()
    }

    /// 401 or 403.
    pub const fn http_status(&self) -> u16 {
        self.reason.http_status()
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.reason, f)
    }
}

impl std::error::Error for Rejected {}
