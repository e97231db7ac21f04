//! Nonces, sessions, rates and marks at the HTTP face.

use crate::decisions::Site;
use crate::face::{get, get_from, header};
use crate::node::eventually;
use http::StatusCode;
use muster_gateway::{Gateway, Rejected, Reporting, Verified};
use muster_identity::{Freshness, GatewayProof, Signer as _, present};
use muster_ledger::Target;
use muster_verifier::{Class, Rules};
use std::sync::Arc;

const HOUR: u64 = 3_600_000;

/// Of a device without a clock: it presents with what it was given.
fn with_nonce(site: &Site, who: usize, nonce: &str, jti: u8) -> String {
    let (device, fresh) = (&site.devices[who], Freshness::Nonce(nonce.into()));
    let audience = crate::world::audience();
    let token = present(&device.did, &audience, &fresh, &[jti; 16], &device.key).unwrap();
    format!("Muster {token}")
}

#[tokio::test]
async fn a_device_without_a_clock_asks_for_a_nonce_and_presents_with_it() {
    let site = Site::new().await;
    let receipt = site.receipt(0);
    let (answer, body) = get(&site, "/v1/nonce", &[]).await;
    assert_eq!((answer.status(), header(&answer, "cache-control")), (StatusCode::OK, "no-store"));
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["seconds"], 60);
    let nonce = body["nonce"].as_str().unwrap();
    let first = with_nonce(&site, 0, nonce, 1);
    let ask = async |token: &str| {
        let asked = [("authorization", token), ("muster-receipt", receipt.as_str())];
        let (answer, _) = get(&site, "/v1/authenticate", &asked).await;
        let nonce = header(&answer, "muster-nonce").to_owned();
        (answer.status().as_u16(), header(&answer, "muster-reason").to_owned(), nonce)
    };
    assert_eq!(ask(&first).await, (200, String::new(), String::new()));
    assert_eq!(ask(&first).await.1, "replayed");
    // A refusal that a nonce would mend brings one along.
    let (status, reason, given) = ask(&with_nonce(&site, 0, "bm9uZQ", 2)).await;
    assert_eq!((status, reason.as_str()), (401, "nonce-unknown"));
    assert_eq!(ask(&with_nonce(&site, 0, &given, 3)).await.0, 200);
    let (_, _, given) = ask("nothing").await;
    site.clock.set(site.clock.ms() + 60_000);
    assert_eq!(ask(&with_nonce(&site, 0, &given, 4)).await.1, "nonce-unknown");
    site.gateway.close().await;
}

#[tokio::test]
async fn nonces_and_sessions_end_with_the_process_that_gave_them() {
    let mut site = Site::with(|config| config.session_ms = HOUR).await;
    let verified = site.pass(0, 1).await;
    let (session, nonce) = (site.gateway.open_session(&verified).unwrap().0, site.gateway.nonce());
    site.gateway.close().await;
    // Other randomness, as another process has.
    site.clock.draw(7);
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    let code = async |authorization: String| {
        let (answer, _) =
            get(&site, "/v1/authenticate", &[("authorization", &authorization)]).await;
        header(&answer, "muster-reason").to_owned()
    };
    assert_eq!(code(format!("Muster-Session {session}")).await, "session");
    assert_eq!(code(with_nonce(&site, 0, &nonce, 2)).await, "nonce-unknown");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_session_is_opened_when_asked_for_and_ends_with_a_revocation() {
    let mut site = Site::with(|config| config.session_ms = HOUR).await;
    let (receipt, token) = (site.receipt(0), site.authorization(0, 1));
    let asked = [
        ("authorization", token.as_str()),
        ("muster-receipt", receipt.as_str()),
        ("muster-session", "open"),
    ];
    let (answer, _) = get(&site, "/v1/authenticate", &asked).await;
    assert_eq!(header(&answer, "muster-session-seconds"), "3600");
    let session = format!("Muster-Session {}", header(&answer, "muster-session"));
    let used = [("authorization", session.as_str()), ("muster-session", "open")];
    for _ in 0..3 {
        let (answer, _) = get(&site, "/v1/authenticate", &used).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(&answer, "muster-did"), site.devices[0].did.to_string());
        // A session opens no session, or a stolen one would live for ever.
        assert_eq!(header(&answer, "muster-session"), "");
    }
    let unasked = [("authorization", site.authorization(0, 2))];
    let unasked = unasked.each_ref().map(|(name, value)| (*name, value.as_str()));
    assert_eq!(header(&get(&site, "/v1/authenticate", &unasked).await.0, "muster-session"), "");

    site.world.revoke(Target::Device(site.devices[0].as_ref(Some(&site.parts[0]))));
    site.node.serve(&site.world, site.world.time);
    eventually(&site.gateway, |g| g.status().size == 2).await;
    let (answer, _) = get(&site, "/v1/authenticate", &used).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert_eq!(header(&answer, "muster-reason"), "revoked");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_listed_class_passes_by_an_old_roll_and_the_upstream_is_told() {
    let rules = Rules { max_roll_age_ms: HOUR, stale_until_ms: 24 * HOUR, nonce_required: false };
    let class = |model: &str| Class { models: vec![model.into()], rules, ..Class::default() };
    for (model, expected) in [("Probe*", 200), ("Pump*", 403)] {
        let site = Site::with(|config| config.policy.classes = vec![class(model)]).await;
        site.pass(0, 1).await;
        site.clock.set(site.world.time + 2 * HOUR);
        let token = site.authorization(0, 2);
        let (answer, _) = get(&site, "/v1/authenticate", &[("authorization", &token)]).await;
        assert_eq!(answer.status().as_u16(), expected, "{model}");
        assert_eq!(header(&answer, "muster-roll-age"), "7200");
        let (stale, reason) = (header(&answer, "muster-stale"), header(&answer, "muster-reason"));
        match expected {
            200 => assert_eq!((stale, reason), ("true", "")),
            _ => assert_eq!((stale, reason), ("", "stale-roll")),
        }
        let metrics = site.gateway.metrics();
        let counted = format!("muster_gateway_stale_total {}", u8::from(expected == 200));
        assert!(metrics.contains(&counted), "{metrics}");
        site.gateway.close().await;
    }
}

#[tokio::test]
async fn a_source_that_fails_is_soon_not_listened_to_and_others_are() {
    let site = Site::with(|config| config.source_rate = 100).await;
    let (bad, good) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
    let code =
        |answer: Result<Verified, Rejected>| answer.map_or_else(|r| r.code(), |_| "verified");
    let mut codes = std::collections::BTreeMap::<_, u32>::new();
    for _ in 0..50 {
        *codes.entry(code(site.from(bad, "a.b.c").await)).or_default() += 1;
    }
    let heard = codes["malformed"];
    // A refusal costs ten of a hundred.
    assert!((10..=13).contains(&heard), "{codes:?}");
    assert_eq!(codes["too-many"], 50 - heard);
    let token = site.authorization(0, 1);
    let token = token.strip_prefix("Muster ").unwrap();
    assert_eq!(code(site.from(bad, token).await), "too-many");
    assert_eq!(code(site.from(good, token).await), "verified");
    // Only 200, 401, 403 reach a proxy, whatever happens.
    let asked = [("authorization", "Muster a.b.c")];
    let (answer, _) = get_from(&site, "192.0.2.1:7", "/v1/authenticate", &asked).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    site.gateway.close().await;
}

#[tokio::test]
async fn strangers_cost_a_bounded_number_of_questions() {
    let site = Site::with(|config| config.source_rate = 0).await;
    let source = "192.0.2.1".parse().unwrap();
    let now = site.clock.seconds();
    for seed in 0..200 {
        let stranger = crate::world::Device::new(1_000 + seed);
        let token = stranger.presents(now, 1);
        let refused = site.from(source, &token).await.unwrap_err().code();
        assert!(matches!(refused, "unknown-device" | "busy"), "{refused}");
    }
    let asked = site.node.book.lock().unwrap().part_requests;
    assert!((100..150).contains(&asked), "{asked} questions for 200 strangers");
    // Whoever does not hold the key of the DID makes nobody ask.
    let (victim, thief) = (crate::world::Device::new(2_000), crate::world::Device::new(2_001));
    let token = victim.presents_with(&thief.key, now, 1);
    let before = site.node.book.lock().unwrap().part_requests;
    let other = "192.0.2.9".parse().unwrap();
    assert_eq!(site.from(other, &token).await.unwrap_err().code(), "unknown-device");
    let forged = victim.presents(now, 2).rsplit_once('.').unwrap().0.to_owned();
    let forged = format!("{forged}.{}", token.rsplit_once('.').unwrap().1);
    assert_eq!(site.from(other, &forged).await.unwrap_err().code(), "bad-signature");
    assert!(site.node.book.lock().unwrap().part_requests <= before + 1);
    site.gateway.close().await;
}

#[tokio::test]
async fn a_gateway_with_a_key_proves_itself_when_asked() {
    let key = crate::world::key(4_000);
    let (public, organisation) = (key.public_key(), muster_identity::Did::from_digest([9; 32]));
    let reporting = Reporting { organisation, signer: Arc::new(key), last_seen: false };
    let site = Site::with(|config| config.reporting = Some(reporting)).await;
    let (receipt, token) = (site.receipt(0), site.token(0, 1));
    let authorization = format!("Muster {token}");
    let asked = [
        ("authorization", authorization.as_str()),
        ("muster-receipt", receipt.as_str()),
        ("muster-prove", "gateway"),
    ];
    let (answer, _) = get(&site, "/v1/authenticate", &asked).await;
    let proof = GatewayProof::parse(header(&answer, "muster-proof")).unwrap();
    let did = site.devices[0].did;
    assert_eq!(proof.verify(&public, &did, &token), Ok(()));
    assert_eq!(*proof.operator(), organisation);
    assert_eq!(proof.iat(), site.clock.seconds());
    // Of no other gateway, device or presentation.
    let other = crate::world::key(4_001).public_key();
    assert!(proof.verify(&other, &did, &token).is_err());
    assert!(proof.verify(&public, &site.devices[1].did, &token).is_err());
    assert!(proof.verify(&public, &did, &site.token(0, 2)).is_err());
    // Nothing is proved to who is refused.
    assert_eq!(header(&get(&site, "/v1/authenticate", &asked).await.0, "muster-proof"), "");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_session_that_no_nonce_opened_does_not_pass_where_one_is_required() {
    let class = Class {
        paths: vec!["/locks".into()],
        rules: Rules { nonce_required: true, ..Rules::default() },
        ..Class::default()
    };
    let site = Site::with(|config| {
        config.session_ms = HOUR;
        config.policy.classes = vec![class];
    })
    .await;
    let receipt = site.receipt(0);
    let ask = async |authorization: &str, path: &str| {
        let asked = [
            ("authorization", authorization),
            ("muster-receipt", receipt.as_str()),
            ("muster-session", "open"),
            ("x-original-uri", path),
        ];
        let (answer, _) = get(&site, "/v1/authenticate", &asked).await;
        let said = |name| header(&answer, name).to_owned();
        (said("muster-reason"), format!("Muster-Session {}", said("muster-session")))
    };
    let (reason, by_time) = ask(&site.authorization(0, 1), "/status").await;
    assert_eq!(reason, "");
    assert_eq!(ask(&by_time, "/status").await.0, "");
    assert_eq!(ask(&by_time, "/locks/1").await.0, "nonce-required");
    let nonce = site.gateway.nonce();
    let (reason, by_nonce) = ask(&with_nonce(&site, 0, &nonce, 2), "/locks/1").await;
    assert_eq!(reason, "");
    assert_eq!(ask(&by_nonce, "/locks/1").await.0, "");
    site.gateway.close().await;
}

#[tokio::test]
async fn what_is_the_operators_is_told_on_this_machine_only() {
    let site = Site::new().await;
    assert_eq!(get(&site, "/v1/status", &[]).await.0.status(), StatusCode::OK);
    let (answer, _) = get_from(&site, "192.0.2.1:9", "/v1/status", &[]).await;
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    site.gateway.close().await;
}

#[tokio::test]
async fn one_network_is_one_source_however_many_addresses_it_has() {
    let site = Site::with(|config| config.source_rate = 100).await;
    let mut heard = 0;
    for host in 0..200 {
        let source = format!("2001:db8::{host:x}").parse().unwrap();
        heard += u32::from(site.from(source, "a.b.c").await.unwrap_err().code() == "malformed");
    }
    assert!((10..=15).contains(&heard), "{heard} of 200");
    let elsewhere = "2001:db8:0:1::1".parse().unwrap();
    assert_eq!(site.from(elsewhere, "a.b.c").await.unwrap_err().code(), "malformed");
    site.gateway.close().await;
}

#[tokio::test]
async fn devices_that_ended_do_not_fill_the_memory() {
    let mut site = Site::new().await;
    site.world.revoke(Target::Device(site.devices[0].as_ref(Some(&site.parts[0]))));
    site.node.serve(&site.world, site.world.time);
    eventually(&site.gateway, |g| g.status().size == 2).await;
    for jti in 0..100 {
        assert_eq!(site.code(&site.authorization(0, jti), None).await, "revoked");
        // The same again is no replay: it is refused for good.
        assert_eq!(site.code(&site.authorization(0, jti), None).await, "revoked");
    }
    assert_eq!(site.gateway.status().presentations, 0);
    site.gateway.close().await;
}
