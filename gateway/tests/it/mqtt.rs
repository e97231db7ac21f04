//! A broker's door: sessions, topics, cuts, and the questions over HTTP in EMQX's shape.

use crate::decisions::Site;
use crate::node::eventually;
use axum::body::{Body, to_bytes};
use axum::extract::ConnectInfo;
use http::{Request, Response, StatusCode};
use muster_gateway::{
    Access, BrokerDoor, ClientIds, Gateway, GatewayConfig, TopicRules, limits, mqtt_hook,
};
use muster_ledger::Target;
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tower::ServiceExt as _;

const RULES: &str = "any: publish t/{did}/#\nany: subscribe c/{did}/#\n";

fn door_of(site: &Site, ids: ClientIds, room: usize) -> BrokerDoor {
    let rules = TopicRules::parse(RULES).unwrap();
    BrokerDoor::with_room(site.gateway.clone(), rules, ids, room)
}

fn did(site: &Site, who: usize) -> String {
    site.devices[who].did.to_string()
}

/// A new password: presentation and device part.
fn password(site: &Site, who: usize, jti: u8) -> String {
    format!("{}~{}", site.token(who, jti), site.receipt(who))
}

impl Site {
    /// Revokes a device, and waits until the gateway knows.
    async fn revoke(&mut self, who: usize) {
        let size = self.gateway.status().size;
        self.world.revoke(Target::Device(self.devices[who].as_ref(Some(&self.parts[who]))));
        self.node.serve(&self.world, self.world.time);
        eventually(&self.gateway, move |g| g.status().size > size).await;
    }
}

/// Connects over a connection, or says why not.
async fn connect(
    site: &Site,
    door: &BrokerDoor,
    (who, jti): (usize, u8),
    client: &str,
    connection: usize,
) -> Result<(), &'static str> {
    let (user, password) = (did(site, who), password(site, who, jti));
    let answer = door.connect(client, &user, &password, Some(connection)).await;
    answer.map(|_| ()).map_err(|refusal| refusal.code())
}

fn may(door: &BrokerDoor, client: &str, user: &str, access: Access, topic: &str) -> &'static str {
    door.allow(client, user, access, topic).map_or_else(|refusal| refusal.code(), |()| "allowed")
}

#[tokio::test]
async fn a_client_id_is_the_devices_own() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::default(), 10);
    let (mine, other) = (did(&site, 0), did(&site, 1));
    for client in ["", "x", &other, &format!("{mine}x"), &format!("{other}/{mine}"), &mine[1..]] {
        assert_eq!(connect(&site, &door, (0, 1), client, 1).await, Err("client-id"), "{client}");
    }
    // The presentation was not used up.
    assert_eq!(connect(&site, &door, (0, 1), &mine, 1).await, Ok(()));
    assert_eq!(connect(&site, &door, (0, 2), &format!("{mine}/2"), 2).await, Ok(()));
    // The user name counts, not what the client id begins with.
    let answer = door.connect(&other, &other, &password(&site, 0, 3), None).await;
    assert_eq!(answer.unwrap_err().code(), "other-device");
    let any = door_of(&site, ClientIds::Any, 10);
    assert_eq!(connect(&site, &any, (0, 4), "x", 1).await, Ok(()));
}

#[tokio::test]
async fn topics_are_the_sessions_and_the_rolls_to_allow() {
    let mut site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 10);
    let (mine, other) = (did(&site, 0), did(&site, 1));
    let (own, foreign) = (format!("t/{mine}/a"), format!("t/{other}/a"));
    assert_eq!(may(&door, &mine, &mine, Access::Publish, &own), "no-session");
    assert_eq!(connect(&site, &door, (0, 1), &mine, 1).await, Ok(()));
    assert_eq!(may(&door, &mine, &mine, Access::Publish, &own), "allowed");
    assert_eq!(may(&door, &mine, &mine, Access::Publish, &foreign), "topic");
    assert_eq!(may(&door, &mine, &mine, Access::Receive, &own), "topic");
    assert_eq!(may(&door, &mine, &mine, Access::Subscribe, &format!("c/{mine}/+")), "allowed");
    assert_eq!(may(&door, &mine, &mine, Access::Subscribe, "c/#"), "topic");
    // Neither another user name nor another client id has this session.
    assert_eq!(may(&door, &mine, &other, Access::Publish, &own), "no-session");
    assert_eq!(may(&door, &format!("{mine}/2"), &mine, Access::Publish, &own), "no-session");

    door.set_rules(TopicRules::parse("any: publish other").unwrap());
    assert_eq!(may(&door, &mine, &mine, Access::Publish, &own), "topic");
    assert_eq!(may(&door, &mine, &mine, Access::Publish, "other"), "allowed");
    site.revoke(0).await;
    assert_eq!(may(&door, &mine, &mine, Access::Publish, "other"), "revoked");
}

#[tokio::test]
async fn a_cut_names_living_connections_once() {
    let mut site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 10);
    let mine = did(&site, 0);
    let (second, gone) = (format!("{mine}/2"), format!("{mine}/gone"));
    assert_eq!(connect(&site, &door, (0, 1), &mine, 1).await, Ok(()));
    // Taken over: the end of the old connection, told afterwards, is not that of the new one.
    assert_eq!(connect(&site, &door, (0, 2), &mine, 2).await, Ok(()));
    door.end(&mine, 1);
    assert_eq!(connect(&site, &door, (0, 3), &second, 3).await, Ok(()));
    assert_eq!(connect(&site, &door, (0, 4), &gone, 4).await, Ok(()));
    door.end(&gone, 4);
    assert_eq!(connect(&site, &door, (1, 5), &did(&site, 1), 5).await, Ok(()));
    // What is gone is still asked about: a will, a message that waits.
    assert_eq!(may(&door, &gone, &mine, Access::Publish, &format!("t/{mine}/will")), "allowed");
    assert_eq!(door.cut(), []);

    site.revoke(0).await;
    let mut cut = door.cut();
    cut.sort_by_key(|cut| cut.connection);
    let named: Vec<_> =
        cut.iter().map(|c| (c.client.as_str(), c.connection, c.rejected.code())).collect();
    assert_eq!(named, [(mine.as_str(), 2, "revoked"), (&second, 3, "revoked")]);
    assert_eq!(door.cut(), []);
    assert_eq!(door.len(), 1);
    assert_eq!(may(&door, &gone, &mine, Access::Publish, &format!("t/{mine}/will")), "no-session");
}

#[tokio::test]
async fn a_stale_roll_cuts_everybody() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 10);
    assert_eq!(connect(&site, &door, (0, 1), &did(&site, 0), 1).await, Ok(()));
    assert_eq!(connect(&site, &door, (1, 1), &did(&site, 1), 2).await, Ok(()));
    site.clock.set(site.clock.ms() + 3_600_001);
    let codes: Vec<_> = door.cut().iter().map(|cut| cut.rejected.code()).collect();
    assert_eq!(codes, ["stale-roll", "stale-roll"]);
}

#[tokio::test]
async fn who_left_makes_room_and_who_is_there_does_not() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 2);
    let dids: Vec<String> = (0..4).map(|who| did(&site, who)).collect();
    assert_eq!(connect(&site, &door, (0, 1), &dids[0], 1).await, Ok(()));
    assert_eq!(connect(&site, &door, (1, 1), &dids[1], 2).await, Ok(()));
    assert_eq!(connect(&site, &door, (2, 1), &dids[2], 3).await, Err("full"));
    // The same client once more needs no room.
    assert_eq!(connect(&site, &door, (0, 2), &dids[0], 4).await, Ok(()));
    door.end(&dids[1], 2);
    assert_eq!(connect(&site, &door, (2, 2), &dids[2], 5).await, Ok(()));
    let own = |who: usize| format!("t/{}/a", dids[who]);
    assert_eq!(may(&door, &dids[1], &dids[1], Access::Publish, &own(1)), "no-session");
    assert_eq!(may(&door, &dids[0], &dids[0], Access::Publish, &own(0)), "allowed");
    // Of those that left, the one not used for longest goes.
    door.end(&dids[0], 4);
    door.end(&dids[2], 5);
    assert_eq!(may(&door, &dids[0], &dids[0], Access::Publish, &own(0)), "allowed");
    assert_eq!(connect(&site, &door, (3, 1), &dids[3], 6).await, Ok(()));
    assert_eq!(may(&door, &dids[2], &dids[2], Access::Publish, &own(2)), "no-session");
    assert_eq!(may(&door, &dids[0], &dids[0], Access::Publish, &own(0)), "allowed");
    assert_eq!(door.len(), 2);
}

#[tokio::test]
async fn one_device_does_not_take_the_sessions_of_others() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, limits::SESSIONS_OF_ONE + 4);
    let (first, many) = (did(&site, 0), did(&site, 1));
    let enter = async |who: usize, jti: u8, client: &str| {
        let (user, password) = (did(&site, who), password(&site, who, jti));
        let answer = door.connect(client, &user, &password, None).await;
        answer.map(|_| ()).map_err(|refusal| refusal.code())
    };
    assert_eq!(enter(0, 1, &first).await, Ok(()));
    let name = |n: u8| format!("{many}/{n}");
    for n in 0..40 {
        assert_eq!(enter(1, n, &name(n)).await, Ok(()), "{n}");
    }
    assert!(door.standing(&first, &first).is_ok());
    assert_eq!(door.len(), 1 + limits::SESSIONS_OF_ONE);
    // Its own oldest made room.
    let oldest = 40 - u8::try_from(limits::SESSIONS_OF_ONE).unwrap();
    assert!(door.standing(&name(oldest), &many).is_ok());
    assert_eq!(door.standing(&name(oldest - 1), &many).unwrap_err().code(), "no-session");

    // A client id is kept, so it is short. The presentation is not used up by a long one.
    let longest = format!("{many}/{}", "x".repeat(limits::CLIENT_ID_BYTES - many.len() - 1));
    assert_eq!(enter(1, 41, &format!("{longest}x")).await, Err("client-id"));
    assert_eq!(enter(1, 41, &longest).await, Ok(()));
    let any = door_of(&site, ClientIds::Any, 10);
    assert_eq!(connect(&site, &any, (1, 42), &"x".repeat(257), 1).await, Err("client-id"));
}

#[tokio::test]
async fn living_connections_of_a_device_are_bounded_and_not_replaced() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 100);
    let mine = did(&site, 0);
    let name = |n: usize| format!("{mine}/{n}");
    for n in 0..limits::SESSIONS_OF_ONE {
        let jti = u8::try_from(n).unwrap();
        assert_eq!(connect(&site, &door, (0, jti), &name(n), n).await, Ok(()), "{n}");
    }
    assert_eq!(connect(&site, &door, (0, 100), &mine, 100).await, Err("full"));
    assert_eq!(connect(&site, &door, (1, 1), &did(&site, 1), 101).await, Ok(()));
    // The same client once more needs no room; one that left makes it.
    assert_eq!(connect(&site, &door, (0, 101), &name(3), 102).await, Ok(()));
    door.end(&name(7), 7);
    assert_eq!(connect(&site, &door, (0, 102), &mine, 103).await, Ok(()));
    assert_eq!(door.standing(&name(7), &mine).unwrap_err().code(), "no-session");
    assert!(door.standing(&name(3), &mine).is_ok());
    assert_eq!(door.len(), limits::SESSIONS_OF_ONE + 1);
}

#[tokio::test]
async fn without_look_ups_no_node_is_asked() {
    let site = Site::new().await;
    site.node.know(&site.devices[0].did, &site.parts[0]);
    let dir = tempfile::tempdir().unwrap();
    let config = GatewayConfig { dir: dir.path().into(), look_ups: false, ..site.config.clone() };
    let gateway = Gateway::start(config).await.unwrap();
    eventually(&gateway, Gateway::ready).await;
    let rules = TopicRules::parse(RULES).unwrap();
    let door = BrokerDoor::new(gateway.clone(), rules, ClientIds::Own);
    let (mine, token) = (did(&site, 0), site.token(0, 1));
    let answer = door.connect(&mine, &mine, &token, None).await;
    assert_eq!(answer.unwrap_err().code(), "unknown-device");
    assert_eq!(site.asked(), 0);
    assert!(door.connect(&mine, &mine, &password(&site, 0, 2), None).await.is_ok());
    // Known from now on.
    assert!(door.connect(&mine, &mine, &site.token(0, 3), None).await.is_ok());
    assert_eq!(site.asked(), 0);
    gateway.close().await;
}

/// The body that EMQX makes of the sample's template for this path: every value is text.
fn filled(path: &str, values: &[(&str, &str)]) -> String {
    let sample = include_str!("../../../docs/samples/emqx/emqx.conf");
    let (_, after) = sample.split_once(path).expect("the sample asks this path");
    let (_, body) = after.split_once("body {").expect("with a body");
    let body = body.lines().skip(1).map(str::trim).take_while(|line| *line != "}");
    let mut json = serde_json::Map::new();
    for line in body {
        let (name, template) = line.split_once(" = ").expect("name = template");
        let known = |(name, _): &&(&str, &str)| template == format!("\"${{{name}}}\"");
        let (_, value) = values.iter().find(known).expect("a placeholder that EMQX knows");
        json.insert(name.to_owned(), json!(value));
    }
    assert_eq!(json.len(), values.len());
    Value::Object(json).to_string()
}

/// Asks the hook from somewhere.
async fn hook(
    door: &BrokerDoor,
    peer: Option<&str>,
    path: &str,
    body: impl Into<Body>,
) -> Response<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    let mut request = request.body(body.into()).unwrap();
    if let Some(peer) = peer {
        let peer: SocketAddr = peer.parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(peer));
    }
    mqtt_hook(door.clone()).oneshot(request).await.unwrap()
}

/// Asks the hook as EMQX does.
async fn emqx(door: &BrokerDoor, path: &str, body: impl Into<Body>) -> Value {
    let (parts, body) = hook(door, Some("127.0.0.1:9"), path, body).await.into_parts();
    assert_eq!(parts.status, StatusCode::OK);
    assert_eq!(parts.headers["content-type"], "application/json");
    serde_json::from_slice(&to_bytes(body, 10_000).await.unwrap()).unwrap()
}

#[tokio::test]
async fn emqx_asks_and_is_always_answered() {
    let mut site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 10);
    let mine = did(&site, 0);
    let login = |jti| {
        let password = password(&site, 0, jti);
        let values = [("clientid", &*mine), ("username", &mine), ("password", &password)];
        filled("/v1/mqtt/authenticate", &values)
    };
    let answer = emqx(&door, "/v1/mqtt/authenticate", login(1)).await;
    assert_eq!((&answer["result"], &answer["is_superuser"]), (&json!("allow"), &json!(false)));
    assert_eq!(answer["client_attrs"]["did"], mine);
    assert_eq!(answer["client_attrs"]["model"], "Probe 3");
    let owner = site.world.genesis.organisation_did().to_string();
    assert_eq!(answer["client_attrs"]["owner"], owner);
    assert_eq!(answer["client_attrs"]["batch"].as_str().unwrap().len(), 64);
    let again = emqx(&door, "/v1/mqtt/authenticate", login(1)).await;
    assert_eq!((&again["result"], &again["reason"]), (&json!("deny"), &json!("replayed")));
    assert!(again.get("client_attrs").is_none());

    let ask = |topic, action| question(&mine, topic, action);
    let (own, commands) = (format!("t/{mine}/a"), format!("c/{mine}/#"));
    for (topic, action, result) in [
        (own.as_str(), "publish", "allow"),
        (&commands, "subscribe", "allow"),
        (&own, "subscribe", "deny"),
        ("#", "subscribe", "deny"),
        (&own, "all", "deny"),
    ] {
        let answer = emqx(&door, "/v1/mqtt/acl", ask(topic, action)).await;
        assert_eq!(answer["result"], result, "{action} {topic}: {answer}");
    }

    // Nothing that cannot be read is let through, or left undecided.
    let huge = format!(r#"{{"clientid":"{}"}}"#, "a".repeat(limits::MQTT_BODY_BYTES));
    for path in ["/v1/mqtt/authenticate", "/v1/mqtt/acl"] {
        for bad in
            ["", "{", "[]", "{}", r#"{"username":7}"#, r#"{"clientid":"a","clientid":"a"}"#, &huge]
        {
            let answer = emqx(&door, path, bad.to_owned()).await;
            assert_eq!((&answer["result"], &answer["ok"]), (&json!("deny"), &json!(false)));
        }
    }
    site.revoke(0).await;
    let answer = emqx(&door, "/v1/mqtt/acl", question(&mine, &own, "publish")).await;
    assert_eq!((&answer["result"], &answer["reason"]), (&json!("deny"), &json!("revoked")));
}

fn question(did: &str, topic: &str, action: &str) -> String {
    let values = [("clientid", did), ("username", did), ("topic", topic), ("action", action)];
    filled("/v1/mqtt/acl", &values)
}

#[tokio::test]
async fn the_hook_answers_a_broker_on_this_machine_alone() {
    let site = Site::new().await;
    let door = door_of(&site, ClientIds::Own, 10);
    let (mine, password) = (did(&site, 0), password(&site, 0, 1));
    let login = json!({ "clientid": mine, "username": mine, "password": password }).to_string();
    for peer in [Some("192.0.2.1:7"), Some("[2001:db8::1]:7"), Some("[::ffff:192.0.2.1]:7"), None] {
        for path in ["/v1/mqtt/authenticate", "/v1/mqtt/acl"] {
            let answer = hook(&door, peer, path, login.clone()).await;
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{peer:?} {path}");
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let problem = to_bytes(answer.into_body(), 10_000).await.unwrap();
            let problem: Value = serde_json::from_slice(&problem).unwrap();
            assert_eq!(problem["type"], "urn:muster:problem:not-this-machine");
            assert!(problem.to_string().contains("127.0.0.1"), "the cure: {problem}");
        }
    }
    // Nothing of it was looked at: the presentation is still good.
    assert!(door.is_empty());
    for (peer, jti) in [("[::1]:7", 2), ("[::ffff:127.0.0.1]:7", 3)] {
        let password = format!("{}~{}", site.token(0, jti), site.receipt(0));
        let login = json!({ "clientid": mine, "username": mine, "password": password });
        let answer = hook(&door, Some(peer), "/v1/mqtt/authenticate", login.to_string()).await;
        assert_eq!(answer.status(), StatusCode::OK, "{peer}");
    }
    assert_eq!(emqx(&door, "/v1/mqtt/authenticate", login).await["result"], "allow");
}

#[tokio::test]
async fn a_question_that_does_not_end_is_answered_in_time() {
    let site = Site::new().await;
    let routes = mqtt_hook(door_of(&site, ClientIds::Own, 10));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = routes.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let mut broker = TcpStream::connect(address).await.unwrap();
    let half = "POST /v1/mqtt/acl HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"username\":";
    broker.write_all(half.as_bytes()).await.unwrap();
    // From here on time passes as soon as everybody waits.
    tokio::time::pause();
    let asked = tokio::time::Instant::now();
    let mut answer = String::new();
    while !answer.contains("unreadable") {
        let mut piece = [0; 1_024];
        let read = timeout(2 * limits::MQTT_BODY_WAIT, broker.read(&mut piece)).await;
        let read = read.expect("an answer in time").unwrap();
        assert_ne!(read, 0, "closed after {answer}");
        answer.push_str(std::str::from_utf8(&piece[..read]).unwrap());
    }
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("deny"), "{answer}");
    assert!(asked.elapsed() >= limits::MQTT_BODY_WAIT, "{:?}", asked.elapsed());
}
