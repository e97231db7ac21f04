//! A gateway without a node: what it learned, what was loaded beforehand, and a clock that lost
//! its time.

use crate::decisions::Site;
use crate::node::{NOBODY, config, eventually};
use muster_gateway::{Gateway, Preloaded};

#[tokio::test]
async fn a_device_that_proved_itself_once_is_known_after_a_restart_without_a_node() {
    let mut site = Site::new().await;
    site.pass(0, 1).await;
    site.gateway.close().await;
    site.config.nodes = vec![NOBODY.into()];
    site.clock.set(site.clock.ms() + 60_000);
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    assert_eq!(site.code(&site.authorization(0, 2), None).await, "verified");
    assert_eq!(site.code(&site.authorization(1, 2), None).await, "unknown-device");
    site.gateway.close().await;
}

#[tokio::test]
async fn nothing_is_learned_from_who_does_not_hold_the_key() {
    let site = Site::new().await;
    let token = site.devices[1].presents_with(&site.devices[0].key, site.clock.seconds(), 1);
    let token = format!("Muster {token}");
    assert_eq!(site.code(&token, Some(&site.receipt(1))).await, "wrong-key");
    site.gateway.close().await;
    assert_eq!(site.gateway.status().devices, 0);
}

#[tokio::test]
async fn devices_loaded_beforehand_are_known_on_the_first_day() {
    let mut site = Site::new().await;
    let mut foreign = site.parts[0].clone();
    foreign.batch.0[0] ^= 1;
    let mut altered = site.parts[1].clone();
    altered.path[0][0] ^= 1;
    let parts = [site.parts.clone(), vec![foreign, altered]].concat();
    let told = site.gateway.preload(&parts).unwrap();
    assert_eq!(told, Preloaded { kept: 4, unknown: 1, false_parts: 1 });
    site.gateway.close().await;
    site.config.nodes = vec![NOBODY.into()];
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    for who in 0..4 {
        assert_eq!(site.code(&site.authorization(who, 1), None).await, "verified");
    }
    site.gateway.close().await;
}

#[tokio::test]
async fn a_gateway_that_may_not_ask_does_not() {
    let site = Site::with(|config| config.look_ups = false).await;
    site.node.know(&site.devices[0].did, &site.parts[0]);
    assert_eq!(site.code(&site.authorization(0, 1), None).await, "unknown-device");
    assert_eq!(site.node.book.lock().unwrap().part_requests, 0);
    assert_eq!(site.code(&site.authorization(0, 2), Some(&site.receipt(0))).await, "verified");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_clock_back_in_1970_makes_no_old_roll_young() {
    let mut site = Site::new().await;
    site.pass(0, 1).await;
    site.gateway.close().await;

    // No network since boot: how old the roll is cannot be known, so it is too old.
    let nodes = std::mem::replace(&mut site.config.nodes, vec![NOBODY.into()]);
    site.clock.set(4_000);
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    assert!(!site.gateway.ready());
    let status = site.gateway.status();
    assert!(status.clock_behind);
    assert_eq!(status.roll_age_ms, Some(u64::MAX));
    let token = site.devices[0].presents(site.world.time / 1_000 + 25, 9);
    assert_eq!(site.code(&format!("Muster {token}"), None).await, "stale-roll");
    site.gateway.close().await;

    // A head that comes in tells the time: the quorum's word stands in for the clock.
    site.config.nodes = nodes;
    let now = site.world.time + 86_400_000;
    site.node.serve(&site.world, now);
    site.gateway = Gateway::start(site.config.clone()).await.unwrap();
    eventually(&site.gateway, Gateway::ready).await;
    assert!(site.gateway.status().clock_behind);
    let token = site.devices[0].presents(now / 1_000, 10);
    assert_eq!(site.code(&format!("Muster {token}"), None).await, "verified");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_clock_ahead_makes_the_roll_old() {
    let site = Site::new().await;
    site.clock.set(site.clock.ms() + 40 * 86_400_000);
    assert!(!site.gateway.ready());
    let token = site.authorization(0, 1);
    assert_eq!(site.code(&token, Some(&site.receipt(0))).await, "stale-roll");
    site.gateway.close().await;
}

#[tokio::test]
async fn a_new_folder_loads_nothing_before_a_head_is_verified() {
    let site = Site::new().await;
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path(), &site.world, &[NOBODY], &site.clock);
    let gateway = Gateway::start(config).await.unwrap();
    assert!(gateway.preload(&site.parts).is_err());
    gateway.close().await;
    site.gateway.close().await;
}
