//! Keys in a security token or HSM, by PKCS #11 (v3.0). The private key never leaves it.

use super::passphrase::Passphrases;
use super::uri::TokenUri;
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as TokenError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use muster_identity::{Algorithm, PublicKey, Signature, Signer, SignerError, sha256};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const MODULE_VARIABLE: &str = "MUSTER_PKCS11_MODULE";

/// `namedCurve` of P-256 (RFC 5480 §2.1.1.1), as `CKA_EC_PARAMS` carries it.
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// Ed25519 as `CKA_EC_PARAMS`: its OID (RFC 8410 §3), or the curve's name, which some tokens want
/// (PKCS #11 v3.0 §2.3.10 allows both).
const ED25519: [&[u8]; 2] = [&[6, 3, 0x2b, 0x65, 0x70], b"\x13\x0cedwards25519"];

/// A key of a token, logged in.
pub(super) struct TokenKey {
    session: Mutex<Session>,
    private: ObjectHandle,
    public: PublicKey,
}

impl Signer for TokenKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        let fault = |what: String| SignerError(what);
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let signed = match self.public.algorithm() {
            Algorithm::Ed25519 => {
                let how = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
                session.sign(&how, self.private, message)
            }
            // Every token knows the bare mechanism; the hash is made here.
            Algorithm::P256 => session.sign(&Mechanism::Ecdsa, self.private, &sha256(&[message])),
            _ => return Err(fault("this kind of key is not signed with in tokens".into())),
        };
        let bytes = signed.map_err(|e| fault(told(&e)))?;
        let bytes: [u8; 64] = bytes
            .try_into()
            .map_err(|_| fault("the token's signature does not have 64 bytes".into()))?;
        let signature = Signature(bytes);
        // The public key is another object of the token, and might be of another key.
        self.public
            .verify(message, &signature)
            .map_err(|_| fault("the token's signature is not one of its public key".into()))?;
        Ok(signature)
    }
}

/// Opens the key at an address.
pub(super) fn open(uri: &TokenUri, passphrases: &Passphrases) -> Result<TokenKey> {
    let (session, label) = log_in(uri, passphrases, false)?;
    let private = one(&session, uri, ObjectClass::PRIVATE_KEY, &label)?;
    let public = public_key(&session, uri, private, &label)?;
    Ok(TokenKey { session: Mutex::new(session), private, public })
}

/// Makes a key in the token, which cannot be read out of it.
pub(super) fn make(uri: &TokenUri, algorithm: Algorithm, passphrases: &Passphrases) -> Result<()> {
    let object = uri.object.as_deref().context("a new key has a label: say object=LABEL")?;
    let (session, label) = log_in(uri, passphrases, true)?;
    let there = session.find_objects(&template(uri, ObjectClass::PRIVATE_KEY)).map_err(told_of)?;
    ensure!(there.is_empty(), "token {label:?} has such a key already");
    let id = match &uri.id {
        Some(id) => id.clone(),
        None => crate::host::random::<16>().to_vec(),
    };
    let named =
        [Attribute::Token(true), Attribute::Label(object.as_bytes().to_vec()), Attribute::Id(id)];
    let private = [
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
    ];
    let private = [&named[..], &private].concat();
    let (how, curves): (_, &[&[u8]]) = match algorithm {
        Algorithm::Ed25519 => (Mechanism::EccEdwardsKeyPairGen, &ED25519),
        Algorithm::P256 => (Mechanism::EccKeyPairGen, &[P256]),
        _ => bail!("tokens are asked for Ed25519 and P-256 keys"),
    };
    let mut fault = None;
    for curve in curves {
        let public = [
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(curve.to_vec()),
        ];
        let public = [&named[..], &public].concat();
        match session.generate_key_pair(&how, &public, &private) {
            Ok(_) => return Ok(()),
            Err(e) => fault = fault.or(Some(told_of(e))),
        }
    }
    Err(fault
        .unwrap_or_else(|| anyhow!("no curve was tried"))
        .context("the token makes no such key"))
}

/// A session of the one token that fits the address, logged in; and the token's label.
fn log_in(uri: &TokenUri, passphrases: &Passphrases, write: bool) -> Result<(Session, String)> {
    let module = match (&uri.module, env::var_os(MODULE_VARIABLE)) {
        (Some(module), _) => module.clone(),
        (None, Some(module)) => module.into(),
        (None, None) => bail!(
            "which library speaks to the token? Say ?module-path=/PATH.so in the address, or set \
             {MODULE_VARIABLE}"
        ),
    };
    let module = load(&module)?;
    let mut found: Vec<(Slot, String)> = Vec::new();
    for slot in module.get_slots_with_initialized_token().map_err(told_of)? {
        let info = module.get_token_info(slot).map_err(told_of)?;
        let fits = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|w| w == is);
        if fits(&uri.token, info.label())
            && fits(&uri.serial, info.serial_number())
            && fits(&uri.manufacturer, info.manufacturer_id())
            && fits(&uri.model, info.model())
            && uri.slot.is_none_or(|wanted| wanted == slot.id())
        {
            found.push((slot, info.label().to_owned()));
        }
    }
    let (slot, label) = match found.as_slice() {
        [one] => one.clone(),
        [] => bail!("no token fits the address: is it plugged in, and is its label right?"),
        several => bail!(
            "{} tokens fit the address; name one by token= or serial=: {}",
            several.len(),
            several.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(", ")
        ),
    };
    let session = if write { module.open_rw_session(slot) } else { module.open_ro_session(slot) };
    let session = session.map_err(told_of)?;
    let pin = passphrases.pin(&label, uri.pin_source.as_deref())?;
    let pin = AuthPin::new(pin.text().into());
    match session.login(UserType::User, Some(&pin)) {
        // Logging in is the process's, not the session's (PKCS #11 v3.0 §5.6.8).
        Ok(()) | Err(TokenError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
        Err(TokenError::Pkcs11(RvError::PinIncorrect, _)) => {
            bail!("token {label:?} refuses the PIN; after a few wrong ones it locks")
        }
        Err(e) => return Err(told_of(e)),
    }
    Ok((session, label))
}

/// A library is started once in a process and serves until its end (PKCS #11 v3.0 §5.4.1).
fn load(file: &Path) -> Result<Pkcs11> {
    static LOADED: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = loaded.get(file) {
        return Ok(module.clone());
    }
    let started = Pkcs11::new(file).and_then(|module| {
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(module)
    });
    let module = started
        .map_err(told_of)
        .with_context(|| format!("{} does not speak PKCS #11", file.display()))?;
    loaded.insert(file.to_owned(), module.clone());
    Ok(module)
}

fn template(uri: &TokenUri, class: ObjectClass) -> Vec<Attribute> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(uri.object.as_ref().map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(uri.id.as_ref().map(|id| Attribute::Id(id.clone())));
    template
}

fn one(session: &Session, uri: &TokenUri, class: ObjectClass, label: &str) -> Result<ObjectHandle> {
    match session.find_objects(&template(uri, class)).map_err(told_of)?.as_slice() {
        [one] => Ok(*one),
        [] => bail!("token {label:?} has no such key; `muster key new` makes one at this address"),
        several => bail!("{} keys of token {label:?} fit; name one by id=", several.len()),
    }
}

/// The public key that belongs to a private one: the object with the same id, else the same
/// address (PKCS #11 v3.0 §4.6: the ids of a pair are equal).
fn public_key(
    session: &Session,
    uri: &TokenUri,
    private: ObjectHandle,
    label: &str,
) -> Result<PublicKey> {
    let mut id = None;
    for attribute in session.get_attributes(private, &[AttributeType::Id]).map_err(told_of)? {
        if let Attribute::Id(bytes) = attribute {
            id = Some(bytes).filter(|bytes| !bytes.is_empty());
        }
    }
    let public = match id {
        Some(id) => {
            let same = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id)];
            session.find_objects(&same).map_err(told_of)?.first().copied()
        }
        None => one(session, uri, ObjectClass::PUBLIC_KEY, label).ok(),
    };
    let public = public.with_context(|| {
        format!("token {label:?} has the private key without its public key: import that too, with the same id")
    })?;
    let (mut kind, mut params, mut point) = (None, Vec::new(), Vec::new());
    let wanted = [AttributeType::KeyType, AttributeType::EcParams, AttributeType::EcPoint];
    for attribute in session.get_attributes(public, &wanted).map_err(told_of)? {
        match attribute {
            Attribute::KeyType(it) => kind = Some(it),
            Attribute::EcParams(bytes) => params = bytes,
            Attribute::EcPoint(bytes) => point = bytes,
            _ => {}
        }
    }
    // CKA_EC_POINT is a DER OCTET STRING; some tokens give the bare point.
    let raw = match point.as_slice() {
        [4, length, rest @ ..] if usize::from(*length) == rest.len() && rest.len() < 128 => rest,
        bare => bare,
    };
    let key = match kind {
        Some(KeyType::EC_EDWARDS) => {
            ensure!(
                ED25519.contains(&params.as_slice()),
                "the key is of another curve: Ed25519 is taken"
            );
            PublicKey::ed25519(raw.try_into().context("its public key does not have 32 bytes")?)
        }
        Some(KeyType::EC) => {
            ensure!(params == P256, "the key is of another curve: P-256 is taken");
            PublicKey::p256(raw)
        }
        _ => bail!("the key is of another kind: Ed25519 and P-256 are taken"),
    };
    key.map_err(|e| anyhow!("its public key: {e}"))
}

fn told(e: &TokenError) -> String {
    match e {
        TokenError::Pkcs11(code, function) => format!("the token answers {code:?} to {function:?}"),
        other => other.to_string(),
    }
}

fn told_of(e: TokenError) -> anyhow::Error {
    anyhow!(told(&e))
}
