use crate::jws::{self, Signed};
use crate::sha256;
use crate::{Did, Error, PresentationFault as Fault, PublicKey, Signer, SignerError};
use alloc::format;
use alloc::string::String;
use data_encoding::BASE64URL_NOPAD;

/// The domain of gateways' proofs: the exact `typ` of the header (RFC 8725 §3.11).
const TYP: &str = "muster-gateway+jwt";

/// A gateway's proof of itself that was **parsed but not verified**: see [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayProof {
    signed: Signed,
    operator: Did,
    device: Did,
    presentation: [u8; 32],
    iat: u64,
}

impl GatewayProof {
    /// Reads a `muster-gateway+jwt`. Exactly the members this version defines, each once, are
    /// accepted.
    pub fn parse(token: &str) -> Result<Self, Fault> {
        let jws = jws::split(token, TYP)?;
        let mut claims = jws.claims()?;
        let device = claims.text("aud")?.parse().map_err(|_| Fault::Aud)?;
        let hash = claims.text("prs")?;
        let hash = BASE64URL_NOPAD.decode(hash.as_bytes()).map_err(|_| Fault::Base64("prs"))?;
        let presentation = hash.try_into().map_err(|_| Fault::Claim("prs"))?;
        let iat = claims.uint("iat")?;
        claims.end()?;
        Ok(Self { signed: jws.signed, operator: jws.did, device, presentation, iat })
    }

    /// Checks that the gateway that holds `key` received this very presentation of this device.
    /// A presentation is used once, so a proof is worth nothing for another. Whether `key` is the
    /// gateway's is for the device to know: it was configured with it, as with the audience.
    pub fn verify(&self, key: &PublicKey, device: &Did, presentation: &str) -> Result<(), Error> {
        if !self.signed.names(key) {
            return Err(Error::OtherKey);
        }
        if self.device != *device || self.presentation != sha256(&[presentation.as_bytes()]) {
            return Err(Error::OtherPresentation);
        }
        self.signed.verify(key)
    }

    /// The organisation that runs the gateway, as it says.
    pub fn operator(&self) -> &Did {
        &self.operator
    }

    /// When it was made (Unix seconds), by the gateway's clock: a device without a clock may set
    /// its own by it, once it is verified.
    pub fn iat(&self) -> u64 {
        self.iat
    }
}

/// Proves a gateway to a device: `presentation` is the SHA-256 of the one just received.
pub fn prove_gateway(
    operator: &Did,
    device: &Did,
    presentation: &[u8; 32],
    iat: u64,
    signer: &dyn Signer,
) -> Result<String, SignerError> {
    let hash = BASE64URL_NOPAD.encode(presentation);
    let claims = format!(r#"{{"iss":"{operator}","aud":"{device}","prs":"{hash}","iat":{iat}}}"#);
    jws::sign(TYP, operator, &claims, signer)
}
