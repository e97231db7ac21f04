//! The project's own vectors: the files are what this crate makes, and each, read from disk,
//! means what it says. `MUSTER_BLESS=1` writes them anew.

use crate::inputs::hex;
use crate::made;
use muster_identity::cbor::{Decode, Encode};
use muster_identity::{
    Acknowledgement, AgreementKey, Algorithm, Did, Error, Freshness, GatewayProof, Inception,
    Invite, Login, PossessionTerms, Presentation, PublicKey, Registration, SecretKey, Signature,
    SignedRead, Signer,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors").join(name)
}

fn on_disk(name: &str) -> Vec<PathBuf> {
    std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("identity-"))
        .collect()
}

#[test]
fn the_files_are_what_the_crate_makes() {
    let bless = std::env::var_os("MUSTER_BLESS").is_some();
    let mut made_files = BTreeSet::new();
    for vector in made::all() {
        let path = folder(vector.folder).join(format!("identity-{}.json", vector.name));
        let text = vector.render();
        if bless {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, text, "{}: MUSTER_BLESS=1 writes it", path.display());
        assert!(made_files.insert(path), "two vectors named {}", vector.name);
    }
    for name in ["valid", "invalid"] {
        for path in on_disk(name) {
            assert!(made_files.contains(&path), "{} is made by nothing", path.display());
        }
    }
}

struct File(Value);

impl File {
    fn read(path: &Path) -> Self {
        Self(serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap())
    }
    fn text(&self, name: &str) -> &str {
        self.0[name].as_str().unwrap_or_else(|| panic!("{name} in {:#}", self.0))
    }
    fn hex(&self, name: &str) -> Vec<u8> {
        hex(self.text(name))
    }
    fn key(&self) -> PublicKey {
        PublicKey::from_multikey(self.text("multikey")).unwrap()
    }
}

#[test]
fn every_valid_file_holds() {
    for path in on_disk("valid") {
        let file = File::read(&path);
        println!("{}", path.file_name().unwrap().to_string_lossy());
        match file.text("kind") {
            "inception" => inception(&file),
            "possession" => possession(&file).unwrap(),
            "presentation" => presentation(&file),
            "acknowledgement" => acknowledgement(&file),
            "registration" => registration(&file),
            "login" => login(&file),
            "invite" => invite(&file),
            "read" => read(&file),
            "gateway-proof" => {
                proof(&file).unwrap();
                let proof = GatewayProof::parse(file.text("token")).unwrap();
                assert_eq!(proof.operator().to_string(), file.text("operator"));
                assert_eq!(proof.iat().to_string(), file.text("iat"));
            }
            other => panic!("unknown kind {other}"),
        }
    }
}

fn inception(file: &File) {
    let raw = file.hex("public_key");
    let (key, algorithm) = match raw.len() {
        32 => (PublicKey::ed25519(raw.try_into().unwrap()).unwrap(), Algorithm::Ed25519),
        _ => (PublicKey::p256(&raw).unwrap(), Algorithm::P256),
    };
    let secret = Zeroizing::new(file.hex("secret").try_into().unwrap());
    assert_eq!(SecretKey::from_bytes(algorithm, &secret).unwrap().public_key(), key);
    assert_eq!(key, file.key());
    assert_eq!(key.to_multicodec(), file.hex("multicodec"));
    let inception = Inception::from_cbor(&file.hex("inception")).unwrap();
    assert_eq!(inception.key, key);
    assert_eq!(inception.to_cbor(), file.hex("inception"));
    assert_eq!(Did::of(&inception).to_string(), file.text("did"));
    assert_eq!(file.text("did").parse(), Ok(Did::of(&inception)));
}

fn possession(file: &File) -> Result<(), Error> {
    let device: Did = file.text("did").parse()?;
    let terms = PossessionTerms {
        network: &file.hex("network").try_into().unwrap(),
        manufacturer: &file.text("manufacturer").parse()?,
        challenge: &file.hex("challenge"),
        owner_recovery: file.0["owner_recovery"].as_bool().unwrap(),
    };
    assert_eq!(terms.message(&device), file.hex("message"));
    let signature = Signature(file.hex("signature").try_into().unwrap());
    terms.verify(&device, &file.key(), &signature).map(drop)
}

fn presentation(file: &File) {
    let p = Presentation::parse(file.text("token")).unwrap();
    assert_eq!(p.verify_signature(&file.key()), Ok(()));
    assert_eq!(p.key(), Ok(file.key()));
    assert_eq!(p.did().to_string(), file.text("did"));
    assert_eq!(p.audience().as_str(), file.text("audience"));
    assert_eq!(p.jti(), file.text("jti"));
    let freshness = match p.freshness() {
        Freshness::Window { iat, exp } => format!("{iat}..{exp}"),
        Freshness::Nonce(nonce) => nonce.clone(),
    };
    assert_eq!(freshness, file.text("freshness"));
}

fn acknowledgement(file: &File) {
    let a = Acknowledgement::parse(file.text("token")).unwrap();
    assert_eq!(a.verify_signature(&file.key()), Ok(()));
    assert_eq!(a.organisation().to_string(), file.text("organisation"));
    assert_eq!(a.key(), file.key().to_multicodec());
    let s = a.statement();
    assert_eq!(s.size.to_string(), file.text("size"));
    assert_eq!(s.log_root[..], file.hex("log_root"));
    assert_eq!(s.height.to_string(), file.text("height"));
    assert_eq!(format!("{} {} {}", s.checkpoint, s.adopted, s.made), file.text("times"));
    assert_eq!(s.mode.word(), file.text("mode"));
    assert_eq!(made::said_in(s.report.as_ref()), file.text("report"));
}

fn registration(file: &File) {
    let r = Registration::parse(file.text("token")).unwrap();
    assert_eq!(r.verify_signature(&file.key()), Ok(()));
    assert_eq!(r.organisation().to_string(), file.text("organisation"));
    let said = r.registered();
    let holder = said.holder.as_ref();
    assert_eq!(said.gateway, file.text("gateway"));
    assert_eq!(said.made.to_string(), file.text("made"));
    assert_eq!(holder.map_or(String::new(), |h| h.key.to_multikey()), file.text("key"));
    assert_eq!(holder.map_or("", |h| &h.site), file.text("site"));
}

fn login(file: &File) {
    let l = Login::parse(file.text("token")).unwrap();
    assert_eq!(l.verify_signature(&file.key()), Ok(()));
    assert_eq!(l.organisation().to_string(), file.text("organisation"));
    assert_eq!(l.key(), file.key().to_multicodec());
    let terms = l.terms();
    assert_eq!(terms.audience.as_str(), file.text("audience"));
    assert_eq!(terms.nonce, file.text("nonce"));
    assert_eq!(format!("{}..{}", terms.iat, terms.exp), file.text("window"));
    assert_eq!(terms.jti, file.text("jti"));
    assert_eq!(terms.network[..], file.hex("network"));
}

fn invite(file: &File) {
    let i = Invite::parse(file.text("token")).unwrap();
    assert_eq!(i.verify_signature(&file.key()), Ok(()));
    assert_eq!(i.organisation().to_string(), file.text("organisation"));
    assert_eq!(i.key(), file.key().to_multicodec());
    let terms = i.terms();
    assert_eq!(terms.network[..], file.hex("network"));
    assert_eq!(terms.jti, file.text("jti"));
    assert_eq!(format!("{}..{}", terms.iat, terms.exp), file.text("window"));
    assert_eq!(terms.role.word(), file.text("role"));
    assert_eq!(terms.name, file.text("name"));
    let secret = file.hex("secret");
    assert!(i.opens(&secret) && !i.opens(&secret[1..]) && !i.opens(&terms.secret_hash));
}

fn read(file: &File) {
    let r = SignedRead::parse(file.text("token")).unwrap();
    assert_eq!(r.verify_signature(&file.key()), Ok(()));
    assert_eq!(r.organisation().to_string(), file.text("organisation"));
    assert_eq!(r.key(), file.key().to_multicodec());
    let asked = r.asked();
    assert_eq!(asked.audience.as_str(), file.text("audience"));
    assert_eq!(asked.target, file.text("target"));
    assert_eq!(format!("{} {}", asked.iat, asked.exp), file.text("times"));
    assert_eq!(asked.jti, file.text("jti"));
}

#[test]
fn every_invalid_file_is_refused_for_its_flaw() {
    for path in on_disk("invalid") {
        let file = File::read(&path);
        let verdict: Result<(), Error> = match file.text("kind") {
            "public-key" => {
                PublicKey::from_multicodec(&file.hex("multicodec")).map(drop).map_err(Error::from)
            }
            "agreement-key" => AgreementKey::from_multicodec(&file.hex("multicodec"))
                .map(drop)
                .map_err(Error::from),
            "multikey" => {
                PublicKey::from_multikey(file.text("multikey")).map(drop).map_err(Error::from)
            }
            "did" => file.text("did").parse::<Did>().map(drop),
            "inception" => Inception::from_cbor(&file.hex("inception")).map(drop),
            "possession" => possession(&file),
            "presentation" => verify(&file),
            "acknowledgement" => Acknowledgement::parse(file.text("token"))
                .map_err(Error::from)
                .and_then(|a| a.verify_signature(&file.key())),
            "registration" => Registration::parse(file.text("token"))
                .map_err(Error::from)
                .and_then(|r| r.verify_signature(&file.key())),
            "login" => Login::parse(file.text("token"))
                .map_err(Error::from)
                .and_then(|l| l.verify_signature(&file.key())),
            "invite" => Invite::parse(file.text("token"))
                .map_err(Error::from)
                .and_then(|i| i.verify_signature(&file.key())),
            "read" => SignedRead::parse(file.text("token"))
                .map_err(Error::from)
                .and_then(|r| r.verify_signature(&file.key())),
            "gateway-proof" => proof(&file),
            other => panic!("unknown kind {other}"),
        };
        let found = verdict.map_err(|error| error.code());
        assert_eq!(found, Err(file.text("fault")), "{}", path.display());
    }
}

fn proof(file: &File) -> Result<(), Error> {
    let device = file.text("device").parse().unwrap();
    GatewayProof::parse(file.text("token"))?.verify(&file.key(), &device, file.text("presentation"))
}

/// As a verifier that knows the device's key, but one that reports an inadmissible key first.
fn verify(file: &File) -> Result<(), Error> {
    let p = Presentation::parse(file.text("token"))?;
    p.key()?;
    p.verify_signature(&file.key())
}
