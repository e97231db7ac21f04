//! Asking for what belongs to the organisation: questions are signed where a node wants that.

use crate::cli::ReadArg;
use crate::home::Home;
use crate::host::Machine;
use crate::keys::{KeyPlace, Keys};
use anyhow::{Context as _, Result};
use data_encoding::BASE64URL_NOPAD;
use muster_api::{Client, Host as _, SignsReads};
use muster_identity::{Asked, Did, MAX_LIFETIME, Signer, sign_read};
use std::sync::{Arc, Mutex, PoisonError};

/// A key of the organisation that is opened when the first question is to be signed.
struct Reader {
    keys: Arc<Keys>,
    place: KeyPlace,
    organisation: Did,
    opened: Mutex<Option<Arc<dyn Signer>>>,
}

impl Reader {
    fn key(&self) -> Result<Arc<dyn Signer>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*opened {
            return Ok(key.clone());
        }
        let key = self.keys.open(&self.place)?;
        Ok(opened.insert(key).clone())
    }

    fn signed(&self, origin: &str, target: &str) -> Result<String> {
        let key = self.key().context("name a key of the organisation with --sign-with")?;
        let now = Machine.now().0 / 1_000;
        let asked = Asked {
            audience: origin.parse().context("the node's address")?,
            target: target.into(),
            iat: now,
            exp: now + MAX_LIFETIME,
            jti: BASE64URL_NOPAD.encode(&Machine.random()),
        };
        sign_read(&self.organisation, &asked, &*key).context("signing failed")
    }
}

impl SignsReads for Reader {
    fn sign(&self, origin: &str, target: &str) -> Result<String, String> {
        self.signed(origin, target).map_err(|error| format!("{error:#}"))
    }
}

/// A client that signs as the organisation of the home folder, if there is one.
pub(crate) fn client(home: &Home, arg: &ReadArg) -> Result<Client> {
    let client = arg.node.client()?;
    Ok(signing(client, home, arg.sign_with.clone()))
}

/// Lets a client sign as the organisation of the home folder, if there is one.
pub(crate) fn signing(client: Client, home: &Home, key: Option<KeyPlace>) -> Client {
    let Ok(organisation) = home.organisation() else { return client };
    let place = key.unwrap_or_else(|| home.path("keys/admin.pem").into());
    client.signing(Arc::new(Reader {
        keys: home.keys().clone(),
        place,
        organisation,
        opened: Mutex::new(None),
    }))
}
