//! Who may read what: two organisations that use one node, and neither sees the other's rows.

use crate::network::{Device, Network, START, admin, secret};
use muster_api::{LineRecord, LineRecords, LineResult, LotQuery, Problem, limits};
use muster_identity::{
    Asked, Did, Holder, Mode, Registered, Report, SecretKey, Signer as _, Statement, acknowledge,
    register, sign_read,
};
use muster_ledger::{Action, ChangeKeys, EvidencePolicy, Revoke};
use muster_registry::{Covered, Reader};

const NODE: &str = "https://node.example";

fn word(serial: &str, lot: &str, result: LineResult) -> LineRecord {
    LineRecord { serial: serial.into(), lot: Some(lot.into()), result, ..LineRecord::default() }
}

fn registration(of: &Did, name: &str) -> String {
    let holder = Holder { key: secret(name).public_key(), site: format!("site of {name}") };
    let said = Registered { gateway: name.into(), holder: Some(holder), made: START };
    register(of, &said, &admin()).unwrap()
}

async fn saw(network: &Network, name: &str, device: &Device) {
    let head = *network.registry.head().unwrap().head();
    let said = Statement {
        size: head.size,
        log_root: head.log_root,
        height: head.height,
        checkpoint: head.time.0,
        adopted: START,
        made: START,
        mode: Mode::Live,
        report: Some(Report { seen: vec![(device.did, START)], ..Report::default() }),
    };
    let token = acknowledge(&network.owner(), &said, &secret(name)).unwrap();
    network.registry.acknowledge(&token).await.unwrap();
}

/// Makes over to another organisation what is told of lot B, the second device and gateway `b`:
/// as if it had enrolled and registered them by this node.
async fn make_over(network: &Network, to: &Did) {
    let file = network.dir.path().join("directory.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let did = to.digest().to_vec();
    let insert = "INSERT INTO organisations(did) VALUES (?)";
    sqlx::query(insert).bind(&did).execute(&pool).await.unwrap();
    let theirs = "(SELECT max(no) FROM organisations)";
    for (table, which) in [
        ("line", "lot = 'B'"),
        ("serials", "serial = 'SN-0000001'"),
        ("serial_of", "serial = 'SN-0000001'"),
    ] {
        let sql = format!("UPDATE {table} SET organisation = {theirs} WHERE {which}");
        let done = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        assert_eq!(done.rows_affected(), 1, "{table}");
    }
    let sql = "UPDATE gateways SET organisation = ?, registration = ?, heard = NULL, told = NULL \
        WHERE name = 'b'";
    let query = sqlx::query(sql).bind(&did).bind(registration(to, "b"));
    assert_eq!(query.execute(&pool).await.unwrap().rows_affected(), 1);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn none_sees_the_others_rows() {
    let mut network = Network::with(100, EvidencePolicy::Enroller).await;
    let (ours, theirs) = (network.owner(), network.device(77).did);
    let fleet = [Device::vouched(0), Device::vouched(1)];
    network.enrol(&fleet).await;
    let upload = network.upload(1).await;
    let words = [("SN-0000000", "A"), ("SN-0000001", "B")];
    let words = words.map(|(serial, lot)| word(serial, lot, LineResult::Pass));
    network.registry.note_line(&upload, LineRecords(words.into())).await.unwrap();
    for (name, device) in [("a", &fleet[0]), ("b", &fleet[1])] {
        network.registry.register_gateway(&registration(&ours, name)).await.unwrap();
        saw(&network, name, device).await;
    }
    let revoke = Revoke { target: network.target(&fleet[0]).await, reason: String::new() };
    let entry = network.act(Action::Revoke(revoke)).await.unwrap().index;
    network.registry.close().await;
    make_over(&network, &theirs).await;
    network.reopen().await.unwrap();

    let all = LotQuery::default();
    let lots = async |reader| -> Result<Vec<String>, Problem> {
        let lots = network.registry.read_as(reader).lots(&all).await?.lots;
        Ok(lots.into_iter().map(|lot| lot.lot).collect())
    };
    let serials = async |reader| -> Result<Vec<String>, Problem> {
        let found = network.registry.read_as(reader).lot_devices(&all).await?.devices;
        Ok(found.into_iter().map(|device| device.serial).collect())
    };
    let gateways = |reader| -> Result<Vec<String>, Problem> {
        let view = network.registry.read_as(reader).gateways()?;
        Ok(view.gateways.into_iter().map(|gateway| gateway.gateway).collect())
    };
    let device = async |reader, n: usize| {
        let view = network.registry.read_as(reader).device(&fleet[n].did).await.unwrap().unwrap();
        let serial = view.serial.is_some();
        assert_eq!((view.lot.is_some(), view.last_seen.is_some()), (serial, serial));
        assert_eq!(view.last_seen_by.is_some(), serial);
        assert_eq!((view.model.as_str(), view.withheld), ("T-1", !serial));
        serial
    };

    let (us, them) = (Reader::Organisation(ours), Reader::Organisation(theirs));
    assert_eq!(lots(us).await.unwrap(), ["A"]);
    assert_eq!(lots(them).await.unwrap(), ["B"]);
    assert_eq!(serials(us).await.unwrap(), ["SN-0000000"]);
    assert_eq!(serials(them).await.unwrap(), ["SN-0000001"]);
    assert_eq!(
        (gateways(us).unwrap(), gateways(them).unwrap()),
        (vec!["a".into()], vec!["b".into()])
    );
    assert_eq!((device(us, 0).await, device(us, 1).await), (true, false));
    assert_eq!((device(them, 0).await, device(them, 1).await), (false, true));
    let coverage = async |reader| {
        let view = network.registry.read_as(reader).coverage(Covered::Entry(entry)).await;
        view.map(|view| (view.registered, view.gateways.len()))
    };
    assert_eq!(coverage(us).await, Ok((1, 1)));
    assert_eq!(coverage(them).await, Ok((0, 0)));
    // Whoever asks for the other's by name is told so.
    let query = LotQuery { organisation: Some(ours.to_string()), ..LotQuery::default() };
    let problem = network.registry.read_as(them).lots(&query).await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (403, "not-yours"));
    let problem = network.registry.read_as(them).lot_devices(&query).await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (403, "not-yours"));

    let nobody = Reader::Stranger;
    let refusals = [
        lots(nobody).await.unwrap_err(),
        serials(nobody).await.unwrap_err(),
        gateways(nobody).unwrap_err(),
        coverage(nobody).await.unwrap_err(),
    ];
    for problem in refusals {
        assert_eq!((problem.status, problem.code()), (401, "reader"));
        assert!(problem.detail.unwrap().contains("--sign-with"));
    }
    assert!(!device(nobody, 0).await);
    // Whoever runs the node sees all.
    assert_eq!(gateways(Reader::Operator).unwrap(), ["a", "b"]);
    assert!(device(Reader::Operator, 0).await && device(Reader::Operator, 1).await);
}

fn asked(network: &Network, jti: &str) -> Asked {
    use muster_api::Host as _;
    let iat = network.host.now().0 / 1_000;
    Asked {
        audience: NODE.parse().unwrap(),
        target: "/v1/lots?lot=A".into(),
        iat,
        exp: iat + 60,
        jti: jti.into(),
    }
}

fn read(network: &Network, asked: &Asked, key: &SecretKey) -> Result<Reader, Problem> {
    let token = sign_read(&network.owner(), asked, key).unwrap();
    network.registry.reader(&token, &[NODE.into()], "/v1/lots?lot=A")
}

#[track_caller]
fn refused(result: Result<Reader, Problem>, words: &str) {
    let problem = result.expect_err("it must be refused");
    assert_eq!((problem.status, problem.code()), (401, "reader"), "{problem}");
    assert!(problem.to_string().contains(words), "{problem}");
}

#[tokio::test]
async fn a_signed_read_is_good_once_here_and_now() {
    let network = Network::new().await;
    let (key, ours) = (admin(), Ok(Reader::Organisation(network.owner())));
    assert_eq!(read(&network, &asked(&network, "one"), &key), ours);
    refused(read(&network, &asked(&network, "one"), &key), "asked before");
    assert_eq!(read(&network, &asked(&network, "two"), &key), ours);

    let other = Asked { audience: "https://evil.example".parse().unwrap(), ..asked(&network, "a") };
    refused(read(&network, &other, &key), "--public-url");
    let other = Asked { target: "/v1/lots?lot=B".into(), ..asked(&network, "b") };
    refused(read(&network, &other, &key), "another question");
    refused(read(&network, &asked(&network, "c"), &secret("stranger")), "no present key");
    let token = sign_read(&network.device(1).did, &asked(&network, "d"), &key).unwrap();
    refused(network.registry.reader(&token, &[NODE.into()], "/v1/lots?lot=A"), "no present key");
    refused(network.registry.reader("x.y.z", &[NODE.into()], "/v1/lots?lot=A"), "malformed");
    let (head, signature) = token.rsplit_once('.').unwrap();
    let good = sign_read(&network.owner(), &asked(&network, "e"), &key).unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    assert_ne!(head, signed);
    let forged = format!("{signed}.{signature}");
    refused(network.registry.reader(&forged, &[NODE.into()], "/v1/lots?lot=A"), "verify");

    // A key that is over reads nothing.
    let gateway = secret("gateway");
    network.host.advance(10);
    assert_eq!(read(&network, &asked(&network, "j"), &gateway), ours);
    let seq = network.registry.network().await.unwrap().organisations[0].seq;
    let change = ChangeKeys { seq, add: vec![], remove: vec![gateway.public_key()] };
    network.act(Action::ChangeKeys(change)).await.unwrap();
    refused(read(&network, &asked(&network, "k"), &gateway), "no present key");

    // Clocks may be off by so much and no more.
    let skew = limits::READ_SKEW_SECONDS * 1_000;
    let old = asked(&network, "f");
    network.host.advance(60_000 + skew - 1_000);
    assert_eq!(read(&network, &old, &key), ours);
    network.host.advance(1_000);
    refused(read(&network, &Asked { jti: "g".into(), ..old }, &key), "another time");
    let early = asked(&network, "h");
    network.host.set_back(skew);
    assert_eq!(read(&network, &early, &key), ours);
    network.host.set_back(1_000);
    refused(read(&network, &Asked { jti: "i".into(), ..early }, &key), "another time");
}

#[tokio::test]
async fn signed_reads_are_remembered_within_bounds() {
    let network = Network::new().await;
    let key = admin();
    for n in 0..limits::READS_REMEMBERED {
        read(&network, &asked(&network, &format!("n{n}")), &key).unwrap();
    }
    let problem = read(&network, &asked(&network, "more"), &key).unwrap_err();
    assert_eq!((problem.status, problem.code()), (429, "too-many-reads"));
    network.host.advance(91_000);
    read(&network, &asked(&network, "more"), &key).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn line_records_have_a_quota() {
    let devices = 10;
    let mut network = Network::with(devices, EvidencePolicy::Enroller).await;
    let most = devices * limits::LINE_ROWS_OF_A_DEVICE;
    let upload = network.upload(1).await;
    let tell = async |network: &Network, range: std::ops::Range<u64>, result| {
        let words = range.map(|n| word(&format!("S-{n}"), "A", result)).collect();
        network.registry.note_line(&upload, LineRecords(words)).await
    };
    tell(&network, 0..most - 5, LineResult::Pass).await.unwrap();
    // A change keeps the word before it as well.
    tell(&network, 0..3, LineResult::Rework).await.unwrap();
    let problem = tell(&network, most..most + 3, LineResult::Pass).await.unwrap_err();
    assert_eq!((problem.status, problem.code()), (409, "line-quota"));
    assert!(problem.title.contains("38") && problem.title.contains("room for 2"), "{problem}");
    // None of them was kept; what is known already is no further record.
    tell(&network, 0..most - 5, LineResult::Pass).await.unwrap();
    tell(&network, most..most + 2, LineResult::Pass).await.unwrap();
    assert_eq!(tell(&network, 99..100, LineResult::Pass).await.unwrap_err().code(), "line-quota");
    // Counted anew after a restart.
    network.registry.close().await;
    network.reopen().await.unwrap();
    assert_eq!(tell(&network, 99..100, LineResult::Pass).await.unwrap_err().code(), "line-quota");
}
