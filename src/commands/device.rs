#[cfg(feature = "node")]
pub(super) mod sample;

use super::Session;
use crate::cli::{AlgorithmArg, Device, DeviceDid, DevicePresent, DeviceRun, reach};
use crate::host::{Machine, random};
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_api::Host as _;
use muster_device::Device as Firmware;
use muster_identity::cbor::{Decode as _, Encode as _};
use muster_identity::{
    Algorithm, Audience, Did, Freshness, GatewayProof, Inception, PublicKey, Recovery, SecretKey,
    Signer as _, present,
};
use muster_ledger::{Leaf, Receipt};
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

pub(super) async fn run(session: &Session, command: Device) -> Result<ExitCode> {
    match command {
        Device::Sample(command) => super::node::sample(session, &command),
        Device::Did(arg) => did(session, &arg),
        Device::Present(arg) => show_presentation(session, &arg),
        Device::Run(arg) => dial(session, &arg).await,
    }
}

impl From<AlgorithmArg> for Algorithm {
    fn from(arg: AlgorithmArg) -> Self {
        match arg {
            AlgorithmArg::Ed25519 => Self::Ed25519,
            AlgorithmArg::P256 => Self::P256,
        }
    }
}

fn did(session: &Session, arg: &DeviceDid) -> Result<ExitCode> {
    let key = session.home.keys().read(&arg.device.key)?;
    // The owner's stands in the leaf, and leaves the DID as it is.
    let recovery = declared(arg.recovery.as_deref())?.filter(|r| matches!(r, Recovery::Key(_)));
    let inception = Inception { recovery, ..Inception::from_key(key.public_key()) };
    let device = Firmware::with_inception(key, inception);
    let did = device.did().to_string();
    let key = device.signer().public_key().to_multikey();
    Ok(session.output.result(&json!({ "did": did, "key": key }), &did))
}

/// Who may recover a device, as the command line says it.
pub(crate) fn declared(text: Option<&str>) -> Result<Option<Recovery>> {
    let read = |text: &str| {
        text.parse().context(
            "--recovery: write owner, or the Multikey of a recovery key, which `muster key show` \
             prints",
        )
    };
    text.map(read).transpose()
}

/// The DID a key speaks for: its own, unless another is named (after a rotation).
pub(crate) fn speaks_for(key: &SecretKey, named: Option<&str>) -> Result<Did> {
    match named {
        Some(did) => did.parse().context("--did"),
        None => Ok(Did::of(&Inception::from_key(key.public_key()))),
    }
}

fn show_presentation(session: &Session, arg: &DevicePresent) -> Result<ExitCode> {
    let key = session.home.keys().read(&arg.device.key)?;
    let did = speaks_for(&key, arg.did.as_deref())?;
    let audience: Audience = arg.audience.parse().context("--audience")?;
    let freshness = match &arg.nonce {
        Some(nonce) => Freshness::Nonce(nonce.clone()),
        None => window(arg.seconds),
    };
    let token = present(&did, &audience, &freshness, &random(), &key)?;
    let Some(file) = &arg.receipt else {
        let told = json!({ "presentation": token, "did": did.to_string() });
        return Ok(session.output.result(&told, &token));
    };
    let part = device_part(file, &did)?;
    let password = format!("{token}~{part}");
    let told = json!({
        "presentation": token, "did": did.to_string(), "device_part": part, "password": password,
    });
    Ok(session.output.result(&told, &password))
}

/// The device part of a receipt, in base64url, as gateways take it.
fn device_part(file: &Path, did: &Did) -> Result<String> {
    let name = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read {name}"))?;
    let receipt = Receipt::from_cbor(&bytes).with_context(|| format!("{name} is not a receipt"))?;
    let leaf = Leaf::from_cbor(&receipt.device.leaf).with_context(|| format!("{name}: leaf"))?;
    ensure!(leaf.did() == *did, "{name} is the receipt of another device");
    Ok(BASE64URL_NOPAD.encode(&receipt.device.to_cbor()))
}

/// Valid from this second on.
pub(crate) fn window(seconds: u64) -> Freshness {
    let iat = Machine.now().seconds();
    Freshness::Window { iat, exp: iat + seconds }
}

/// Authenticates at a URL again and again, with a new presentation each time.
async fn dial(session: &Session, arg: &DeviceRun) -> Result<ExitCode> {
    let key = session.home.keys().read(&arg.device.key)?;
    let did = speaks_for(&key, arg.did.as_deref())?;
    let audience: Audience = arg.audience.parse().context("--audience")?;
    let gateway = arg.gateway_key.as_deref().map(PublicKey::from_multikey).transpose();
    let gateway = gateway.map_err(muster_identity::Error::from).context("--gateway-key")?;
    let http = muster_api::http_client(&reach(arg.without_tls, arg.ca.as_deref())?)
        .map_err(anyhow::Error::msg)?
        .timeout(Duration::from_secs(30))
        .build()?;
    ensure!(
        arg.without_tls || arg.url.starts_with("https://") || muster_api::is_loopback(&arg.url),
        "{} is reached in the clear, where whoever sees a presentation can use it first: \
         use a loopback address, or say --without-tls",
        arg.url
    );
    let mut last = 0;
    for round in 1.. {
        let token = present(&did, &audience, &window(60), &random(), &key)?;
        let mut request = http.get(&arg.url).header("authorization", format!("Muster {token}"));
        if gateway.is_some() {
            request = request.header("muster-prove", "gateway");
        }
        let answer =
            request.send().await.with_context(|| format!("nobody answers at {}", arg.url))?;
        last = answer.status().as_u16();
        if let Some(key) = gateway.as_ref().filter(|_| last == 200) {
            let proof = answer.headers().get("muster-proof").and_then(|v| v.to_str().ok());
            let proof = proof.context("whoever answered does not prove that it is the gateway")?;
            let proof = GatewayProof::parse(proof).map_err(muster_identity::Error::from);
            proof
                .and_then(|proof| proof.verify(key, &did, &token))
                .context("whoever answered is not the gateway")?;
        }
        let reason =
            answer.headers().get("muster-reason").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let words = reason.as_deref().unwrap_or("let through");
        session.output.result(
            &json!({ "round": round, "status": last, "reason": reason }),
            format!("{round}: {last} {words}"),
        );
        if round == arg.count {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(arg.every)) => {}
            () = super::stop_signal() => break,
        }
    }
    Ok(if last == 200 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
