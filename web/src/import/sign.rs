//! A key that is in somebody's browser. The pipeline asks for a signature and waits; the page
//! reads what it is asked for, and signs it or not.

use super::job::Job;
use super::limits;
use data_encoding::BASE64URL_NOPAD;
use muster_api::Problem;
use muster_identity::{PublicKey, Signature, Signer, SignerError};
use serde::Serialize;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// What waits to be signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Ask {
    /// Tells it from others of the same import.
    pub(crate) number: u64,
    /// The bytes that a signature covers (`Sig_structure`, RFC 9052 §4.4), base64url.
    pub(crate) bytes: String,
}

/// Where the answer goes.
pub(super) type Reply = SyncSender<Result<Signature, String>>;

/// The question that is open, if one is.
#[derive(Default)]
pub(super) struct Asking {
    next: u64,
    open: Option<(Ask, Vec<u8>, Reply)>,
}

impl Asking {
    pub(super) fn ask(&self) -> Option<Ask> {
        self.open.as_ref().map(|(ask, ..)| ask.clone())
    }

    fn put(&mut self, message: &[u8], reply: Reply) {
        self.next += 1;
        let ask = Ask { number: self.next, bytes: BASE64URL_NOPAD.encode(message) };
        self.open = Some((ask, message.to_vec(), reply));
    }

    /// Takes a signature, if it is one of what was asked; or hears why there is none.
    pub(super) fn answer(
        &mut self,
        number: u64,
        key: &PublicKey,
        answer: Result<Signature, String>,
    ) -> Result<(), Problem> {
        let Some((_, message, _)) = self.open.as_ref().filter(|(ask, ..)| ask.number == number)
        else {
            return Err(Problem::new(
                409,
                "not-asked",
                "nothing waits for this signature any more",
            ));
        };
        if let Ok(signature) = &answer {
            key.verify(message, signature).map_err(|_| {
                let title = "the signature does not fit what was asked for";
                Problem::new(400, "signature", title)
            })?;
        }
        if let Some((.., reply)) = self.open.take() {
            let _ = reply.try_send(answer);
        }
        Ok(())
    }

    /// Nobody answers any more.
    pub(super) fn give_up(&mut self, why: &str) {
        if let Some((.., reply)) = self.open.take() {
            let _ = reply.try_send(Err(why.into()));
        }
    }
}

/// The key of whoever began an import.
pub(super) struct InBrowser(pub(super) Arc<Job>);

impl Signer for InBrowser {
    fn public_key(&self) -> PublicKey {
        self.0.key
    }

    /// Waits: the pipeline asks for signatures on threads where that is no harm.
    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        let (reply, answer) = sync_channel(1);
        self.0.change(|state| state.asking.put(message, reply));
        if self.0.is_cancelled() {
            self.0.change(|state| state.asking.give_up("the import was cancelled"));
        }
        let answer = answer.recv_timeout(Duration::from_secs(limits::SIGN_SECONDS));
        self.0.change(|state| state.asking.give_up(""));
        answer
            .map_err(|e| match e {
                RecvTimeoutError::Timeout => "no page of the console signed in time".to_owned(),
                RecvTimeoutError::Disconnected => "the page is gone".to_owned(),
            })
            .flatten()
            .map_err(SignerError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_identity::{Algorithm, SecretKey};

    #[test]
    fn only_a_signature_of_what_was_asked_is_taken() {
        let key = |n| SecretKey::from_bytes(Algorithm::Ed25519, &[n; 32].into()).expect("a key");
        let (own, other) = (key(1), key(2));
        let mut asking = Asking::default();
        let (reply, answer) = sync_channel(1);
        asking.put(b"what is asked", reply);
        let ask = asking.ask().expect("open");
        assert_eq!(BASE64URL_NOPAD.decode(ask.bytes.as_bytes()).expect("bytes"), b"what is asked");
        let signed = |key: &SecretKey, what: &[u8]| Ok(key.sign(what).expect("signed"));
        let own_key = own.public_key();
        for (number, given) in [
            (ask.number + 1, signed(&own, b"what is asked")),
            (ask.number, signed(&own, b"something else")),
            (ask.number, signed(&other, b"what is asked")),
        ] {
            assert!(asking.answer(number, &own_key, given).is_err());
            assert!(asking.ask().is_some(), "it still waits");
        }
        asking.answer(ask.number, &own_key, signed(&own, b"what is asked")).expect("taken");
        assert!(answer.try_recv().expect("an answer").is_ok());
        assert!(asking.ask().is_none());
    }

    #[test]
    fn a_page_says_why_it_does_not_sign() {
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[1; 32].into()).expect("a key");
        let mut asking = Asking::default();
        let (reply, answer) = sync_channel(1);
        asking.put(b"what is asked", reply);
        let refused = Err("another grant".to_owned());
        asking.answer(1, &key.public_key(), refused.clone()).expect("taken");
        assert_eq!(answer.try_recv(), Ok(refused));
    }
}
