//! The pages of a node's console over HTTP, asked by somebody who is signed in, each beside a bare
//! server that answers as many bytes.

use super::{Console, any, lot, model};
use crate::bench::figure::{Figure, quantile};
use crate::bench::load::Connection;
use crate::bench::manifest::serial;
use crate::bench::process::Server;
use crate::demo::did_of;
use crate::home::Home;
use crate::host::{Machine, random};
use anyhow::{Context as _, Result, ensure};
use data_encoding::BASE64URL_NOPAD;
use muster_api::Host as _;
use muster_identity::{LoginTerms, Signer as _, log_in};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What is asked of us: a page in 50 ms at p99.
const ASKED_MS: f64 = 50.0;

/// Questions before the clock starts.
const WARM_UP: u64 = 10;

/// Pages that say nothing of devices are asked for less often: nothing in them varies.
const FEWER: u64 = 4;

/// How long the index may take after a start.
const SETTLING: Duration = Duration::from_secs(600);

/// A page, and what must stand in it.
struct Page {
    name: &'static str,
    path: String,
    holds: String,
}

/// Somebody who asks one page after the other over a connection that stays open.
struct Visitor {
    connection: Connection,
    host: String,
    cookie: String,
}

impl Visitor {
    /// A connection to a server, without a word about who asks.
    async fn anybody(server: &Server) -> Result<Self> {
        let host = server.http.url.strip_prefix("http://").context("it speaks plain HTTP")?;
        let connection = Connection::open(host.parse()?).await?;
        Ok(Self { connection, host: host.to_owned(), cookie: String::new() })
    }

    /// Signs in as the organisation's admin, by the key file as a browser does by its own.
    async fn admin(server: &Server, console: &Console, home: &Home) -> Result<Self> {
        let mut visitor = Self::anybody(server).await?;
        let origin = server.http.url.clone();
        let challenge = visitor.post("/console/challenge", &origin, "").await?.1;
        let challenge: Value = serde_json::from_slice(&challenge).context("a challenge")?;
        let nonce = challenge["nonce"].as_str().context("a nonce")?.to_owned();
        let iat = Machine.now().seconds();
        let terms = LoginTerms {
            audience: origin.parse()?,
            nonce,
            iat,
            exp: iat + 60,
            jti: BASE64URL_NOPAD.encode(&random::<16>()),
            network: console.registry.genesis().network().0,
        };
        let login = log_in(&console.owner, &terms, &home.key("keys/admin.pem")?)?;
        let body = json!({ "login": login }).to_string();
        let (head, _) = visitor.post("/console/session", &origin, &body).await?;
        let cookie = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("set-cookie").then(|| value.split(';').next())?
        });
        visitor.cookie = cookie.context("signing in set no cookie")?.to_owned();
        Ok(visitor)
    }

    /// Head and body of the answer to what changes something.
    async fn post(&mut self, path: &str, origin: &str, body: &str) -> Result<(String, Vec<u8>)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\norigin: {origin}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            self.host,
            body.len()
        );
        let status = self.connection.ask(request.as_bytes()).await?;
        let answer = self.connection.answer();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no head")?;
        let (head, body) = (String::from_utf8(answer[..end].to_vec())?, answer[end + 4..].to_vec());
        ensure!(
            (200..300).contains(&status),
            "{path} was answered with {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok((head, body))
    }

    /// Milliseconds until a page was there.
    async fn get(&mut self, path: &str) -> Result<f64> {
        let (host, cookie) = (&self.host, &self.cookie);
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\ncookie: {cookie}\r\n\r\n");
        let start = Instant::now();
        let status = self.connection.ask(request.as_bytes()).await?;
        let took = start.elapsed();
        ensure!(status == 200, "{path} was answered with {status}");
        Ok(took.as_secs_f64() * 1_000.0)
    }

    fn page_holds(&self, text: &str) -> bool {
        let (page, text) = (self.connection.answer(), text.as_bytes());
        page.windows(text.len()).any(|part| part == text)
    }
}

/// Asks a node on the folder for every page, each so many times.
pub(super) async fn ask(console: &Console, home: &Home, questions: u64) -> Result<Vec<Figure>> {
    let (node, bare) = (Server::node(home).await?, Server::bare(home).await?);
    let mut limit = Visitor::anybody(&bare).await?;
    let mut admin = Visitor::admin(&node, console, home).await?;
    let first = serial("SN", 1);
    let start = Instant::now();
    while !(admin.get(&format!("/devices?q={first}")).await.is_ok() && admin.page_holds(&first)) {
        ensure!(start.elapsed() < SETTLING, "the node does not find its devices");
        sleep(Duration::from_millis(50)).await;
    }
    let mut figures = Vec::new();
    for kind in 0..console.pages(1)?.len() {
        let varies = console.pages(1)?[kind].path != console.pages(2)?[kind].path;
        let questions = if varies { questions } else { questions.div_ceil(FEWER) };
        let (mut times, mut beside, mut name) = (Vec::new(), Vec::new(), "");
        for question in 0..WARM_UP + questions {
            let mut pages = console.pages(any(console.devices))?;
            let page = pages.swap_remove(kind);
            let took = admin.get(&page.path).await.context(page.name)?;
            ensure!(admin.page_holds(&page.holds), "{} lacks {:?}", page.path, page.holds);
            let bytes = admin.connection.answer().len();
            let least = limit.get(&format!("/bytes/{bytes}")).await?;
            name = page.name;
            if question >= WARM_UP {
                times.push(took);
                beside.push(least);
            }
        }
        let figure = |what: &str, part| {
            Figure::new(format!("page: {name}, {what}"), quantile(&times, part), "ms")
        };
        figures.push(figure("p50", 0.50).limit(quantile(&beside, 0.50)));
        figures.push(figure("p99", 0.99).asked(ASKED_MS));
        let bare = format!("page: {name}, bare p99");
        figures.push(Figure::new(bare, quantile(&beside, 0.99), "ms"));
    }
    for server in [node, bare] {
        server.stop().await?;
    }
    Ok(figures)
}

impl Console {
    /// Every page, where it is about a device about this one.
    fn pages(&self, number: u64) -> Result<Vec<Page>> {
        let whole = serial("SN", number);
        let part: String = whole.chars().take(3 + (number % 6) as usize).collect();
        let key = self.key(number)?.public_key().to_multikey();
        let key_part: String = key.chars().take(5).collect();
        let did = did_of(&self.key(number)?).to_string();
        let batch = self.batches[number as usize % self.batches.len()];
        let (lot, model) = (lot(number), model(number));
        let after = self.place_behind(batch, number)?;
        let page = |name, path: String, holds: &str| Page { name, path, holds: holds.to_owned() };
        // A page that lists a device links to it.
        let row = "href=\"/devices/did:muster:";
        let devices =
            |name, query: String, holds: &str| page(name, format!("/devices?{query}"), holds);
        Ok(vec![
            page("overview", "/".into(), "</html>"),
            page("devices", "/devices".into(), row),
            devices("devices, in the middle", format!("after={after}"), row),
            devices("devices by a serial number", format!("q={whole}"), &whole),
            devices("devices by a part of it", format!("q={part}"), row),
            devices("devices by a part of a key", format!("q={key_part}"), row),
            devices("devices of a model", format!("model={model}"), row),
            devices("devices of a lot", format!("lot={lot}"), row),
            devices("devices that are revoked", "state=revoked".into(), row),
            devices("held devices of a model", format!("state=held&model={model}"), "</html>"),
            page("a device", format!("/devices/{did}"), &whole),
            page("batches", "/batches".into(), &batch.to_string()[..8]),
            page("a batch", format!("/batches/{batch}"), "</html>"),
            page("lots of a batch", format!("/batches/{batch}/lots"), "</html>"),
            page("approvals", "/approvals".into(), "</html>"),
            page("audit", "/audit".into(), "</html>"),
            page("gateways", "/gateways".into(), "</html>"),
            page("ledger", "/ledger".into(), "</html>"),
            page("organisation", "/organisation".into(), "</html>"),
            page("import", "/import".into(), "</html>"),
            page("revoking a device", format!("/revoke?did={did}"), "</html>"),
            page("revoking a lot", format!("/revoke?lot={lot}"), "</html>"),
            page("revoking a model", format!("/revoke?model={model}"), "</html>"),
        ])
    }
}
