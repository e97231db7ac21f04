use core::{fmt, str::FromStr};
use data_encoding::HEXLOWER;
use muster_identity::Error;
use muster_identity::cbor::{Decode, Encode, Reader, Writer};

/// A fixed-size identifier: bytes on the ledger, lower-case hexadecimal for people.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $size:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $size]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&HEXLOWER.encode(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                HEXLOWER
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or(Error::Bound {
                        what: stringify!($name),
                        bound: concat!($size, " bytes in lower-case hexadecimal"),
                    })
            }
        }

        impl Encode for $name {
            fn encode(&self, w: &mut Writer) {
                w.bytes(&self.0);
            }
        }

        impl Decode for $name {
            fn decode(r: &mut Reader<'_>) -> Result<Self, Error> {
                Ok(Self(r.array_of()?))
            }
        }
    };
}

id!(
    /// A network: the SHA-256 of its genesis.
    Network, 32
);
id!(
    /// A batch: the hash of network, grant, root and count, so it is accepted once.
    BatchId, 32
);
id!(
    /// A grant: the hash of network, issuer and the issuer's change counter.
    GrantId, 32
);
id!(
    /// A hold, chosen at random by whoever places it.
    HoldId, 16
);
id!(
    /// A proposal: the SHA-256 of what the signature of the operation that made it covers.
    ProposalId, 32
);
id!(
    /// An offer of a transfer: as a proposal's, of the operation that made it or proposed it.
    OfferId, 32
);
id!(
    /// The SHA-256 of a signed operation's bytes.
    OperationHash, 32
);
