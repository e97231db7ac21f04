//! Questions of a broker over HTTP, in the shape of EMQX and in that of amqtt
//! (`amqtt.contrib.http`); both at once, since their fields do not collide.

use crate::headers::Refused;
use crate::mqtt::Refusal;
use crate::sidecar::{is_near, problem};
use crate::{Access, BrokerDoor, Session, limits};
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use muster_api::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

/// The routes `POST /v1/mqtt/authenticate` and `POST /v1/mqtt/acl`. They answer a broker on this
/// machine alone, known by the extension `ConnectInfo` of the request; who has none is refused.
pub fn mqtt_hook(door: BrokerDoor) -> Router {
    Router::new()
        .route("/v1/mqtt/authenticate", post(authenticate))
        .route("/v1/mqtt/acl", post(acl))
        .route_layer(from_fn(this_machine))
        .with_state(door)
}

/// Refuses a peer elsewhere. A question about a topic brings nothing that only the broker has, and
/// a broker names no source that could be bounded: whoever asks here is believed.
async fn this_machine(request: Request, next: Next) -> Response {
    if is_near(&request) == Some(true) {
        return next.run(request).await;
    }
    let words = "these routes answer a broker on this machine alone";
    let cure = "run the gateway beside the broker, and let it ask 127.0.0.1 or the socket file";
    problem(&Problem::new(403, "not-this-machine", words).cure(cure))
}

/// What is asked. EMQX writes `clientid`, amqtt `client_id`; fields that a broker's template adds
/// beyond these are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(alias = "client_id")]
    clientid: Option<String>,
    username: Option<String>,
    password: Option<String>,
    topic: Option<String>,
    action: Option<String>,
    /// amqtt: 1 receive, 2 publish, 4 subscribe; a number in JSON, text in a form.
    acc: Option<Value>,
}

impl Asked {
    /// From JSON or a form, as the content type says.
    async fn read(headers: &HeaderMap, body: Body) -> Option<Self> {
        // Not by an extractor: its 413 would be no answer to a broker, and EMQX lets through what
        // nobody decided unless `no_match = deny`.
        let body = to_bytes(body, limits::MQTT_BODY_BYTES);
        // One that trickles in must not hold its connection for ever.
        let body = timeout(limits::MQTT_BODY_WAIT, body).await.ok()?.ok()?;
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        match kind {
            "application/x-www-form-urlencoded" => form(&body),
            _ => serde_json::from_slice(&body).ok(),
        }
    }

    fn access(&self) -> Option<Access> {
        let acc = match &self.acc {
            Some(Value::String(text)) => Some(text.as_str().to_owned()),
            Some(number) => Some(number.to_string()),
            None => None,
        };
        match (self.action.as_deref(), acc.as_deref()) {
            (Some("publish"), None) | (None, Some("2")) => Some(Access::Publish),
            (Some("subscribe"), None) | (None, Some("4")) => Some(Access::Subscribe),
            (None, Some("1")) => Some(Access::Receive),
            _ => None,
        }
    }
}

/// A form (URL Standard §5.1); a field twice is nobody's word.
fn form(body: &[u8]) -> Option<Asked> {
    let mut asked = Asked::default();
    for pair in body.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let (name, value) = (decoded(&pair[..at])?, pair.get(at + 1..).unwrap_or_default());
        let value = decoded(value)?;
        let field = match name.as_str() {
            "clientid" | "client_id" => &mut asked.clientid,
            "username" => &mut asked.username,
            "password" => &mut asked.password,
            "topic" => &mut asked.topic,
            "action" => &mut asked.action,
            "acc" if asked.acc.is_none() => {
                asked.acc = Some(Value::String(value));
                continue;
            }
            "acc" => return None,
            _ => continue,
        };
        if field.replace(value).is_some() {
            return None;
        }
    }
    Some(asked)
}

fn decoded(text: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [*rest.next()?, *rest.next()?];
                data_encoding::HEXLOWER_PERMISSIVE.decode(&pair).ok()?[0]
            }
            byte => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

async fn authenticate(State(door): State<BrokerDoor>, headers: HeaderMap, body: Body) -> Response {
    let Some(asked) = Asked::read(&headers, body).await else { return refused("unreadable") };
    let (client, user, password) = (asked.clientid, asked.username, asked.password);
    let (Some(client), Some(user), Some(password)) = (client, user, password) else {
        return refused("missing");
    };
    match door.connect(&client, &user, &password, None).await {
        Ok(session) => allowed(Some(&session)),
        Err(refusal) => told(refusal),
    }
}

async fn acl(State(door): State<BrokerDoor>, headers: HeaderMap, body: Body) -> Response {
    let Some(asked) = Asked::read(&headers, body).await else { return refused("unreadable") };
    let access = asked.access();
    let (client, user, topic) = (asked.clientid, asked.username, asked.topic);
    let (Some(client), Some(user), Some(topic), Some(access)) = (client, user, topic, access)
    else {
        return refused("missing");
    };
    match door.allow(&client, &user, access, &topic) {
        Ok(()) => allowed(None),
        Err(refusal) => told(refusal),
    }
}

/// EMQX reads `result` and `client_attrs`, amqtt reads `ok`.
fn allowed(session: Option<&Session>) -> Response {
    let mut answer = json!({ "result": "allow", "ok": true });
    if let Some(session) = session {
        let names = session.names();
        answer["is_superuser"] = json!(false);
        answer["client_attrs"] = json!({
            "did": names.did, "owner": names.owner, "model": names.model, "batch": names.batch,
        });
    }
    axum::Json(answer).into_response()
}

fn told(refusal: Refusal) -> Response {
    let did = match &refusal {
        Refusal::Rejected(rejected) => rejected.did,
        _ => None,
    };
    answer(Refused { code: refusal.code(), did })
}

fn refused(code: &'static str) -> Response {
    answer(Refused { code, did: None })
}

fn answer(refused: Refused) -> Response {
    let body = json!({ "result": "deny", "ok": false, "reason": refused.code });
    (Extension(refused), axum::Json(body)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_were_meant() {
        let asked = form(b"client_id=a%2Fb&username=did%3amuster%3Az&topic=x+y%23&acc=4&z=1&");
        let asked = asked.expect("a form");
        assert_eq!(asked.clientid.as_deref(), Some("a/b"));
        assert_eq!(asked.username.as_deref(), Some("did:muster:z"));
        assert_eq!(asked.topic.as_deref(), Some("x y#"));
        assert_eq!(asked.access(), Some(Access::Subscribe));
        assert_eq!(form(b"password").and_then(|asked| asked.password).as_deref(), Some(""));
        for bad in
            [&b"username=%"[..], b"username=%4", b"username=%zz", b"username=%ff", b"%f=1", b"\xff"]
        {
            assert!(form(bad).is_none(), "{bad:?}");
        }
        for twice in ["clientid=a&client_id=b", "username=a&username=a", "acc=1&acc=2"] {
            assert!(form(twice.as_bytes()).is_none(), "{twice}");
        }
    }

    #[test]
    fn only_one_word_says_what_is_wanted() {
        let access = |text: &str| serde_json::from_str::<Asked>(text).ok()?.access();
        assert_eq!(access(r#"{"action":"publish"}"#), Some(Access::Publish));
        assert_eq!(access(r#"{"action":"subscribe"}"#), Some(Access::Subscribe));
        assert_eq!(access(r#"{"acc":1}"#), Some(Access::Receive));
        assert_eq!(access(r#"{"acc":"2"}"#), Some(Access::Publish));
        for bad in [
            "{}",
            r#"{"action":"all"}"#,
            r#"{"action":"publish","acc":2}"#,
            r#"{"acc":3}"#,
            r#"{"acc":6}"#,
            r#"{"acc":2.0}"#,
            r#"{"acc":[2]}"#,
            r#"{"action":"publish","action":"publish"}"#,
        ] {
            assert_eq!(access(bad), None, "{bad}");
        }
    }
}
