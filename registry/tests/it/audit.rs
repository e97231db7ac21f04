use crate::network::{Network, rows, secret};
use muster_identity::Signer as _;
use muster_ledger::{Action, NewKey, Revoke, Rotate, Target};
use muster_registry::audit;
use sqlx::{Row as _, SqlitePool};
use std::collections::BTreeSet;

/// A ledger with something in every table.
async fn busy() -> Network {
    let network = Network::new().await;
    let devices = network.devices(0..600);
    network.enrol(&devices[..520]).await;
    let second = network.enrol(&devices[520..]).await;
    let (device, key) = (&devices[3], secret("rotated"));
    let message = NewKey::message(&network.genesis.network(), &device.did, 0, &key.public_key());
    let key = NewKey { key: key.public_key(), proof: key.sign(&message).unwrap() };
    let reference = network.reference(device).await;
    let rotate = Rotate { device: reference, seq: 0, key, next_key: None };
    let signed = network.operation(device.did, Action::Rotate(rotate), &device.key());
    network.registry.submit(signed, None).await.unwrap();
    let revoke = Revoke { target: Target::Batch(second), reason: String::new() };
    network.act(Action::Revoke(revoke)).await.unwrap();
    // An upload that is under way is none of the audit's business.
    let upload = network.upload(10).await;
    network.registry.stage(&upload, rows(&network.devices(700..705))).await.unwrap();
    network.registry.seal(&upload).await.unwrap();
    network
}

#[tokio::test]
async fn a_clean_ledger_running_and_stopped() {
    let network = busy().await;
    let head = *network.registry.head().unwrap().head();
    let running = audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(running.findings, []);
    assert_eq!((running.entries, running.blocks, running.devices), (4, 4, 600));
    assert_eq!((running.log_root, running.state_root), (head.log_root, head.state_root));
    network.registry.close().await;
    let stopped = audit(network.dir.path(), &network.genesis).await.unwrap();
    assert_eq!(stopped, running);
    let nowhere = tempfile::tempdir().unwrap();
    assert!(audit(nowhere.path(), &network.genesis).await.is_err());
}

/// A column of a table whose rows the audit answers for.
struct Column {
    table: String,
    name: String,
    kind: String,
}

async fn columns(pool: &SqlitePool) -> Vec<Column> {
    const SQL: &str = "SELECT m.name AS tab, p.name AS col, p.type AS kind \
        FROM sqlite_schema m, pragma_table_info(m.name) p \
        WHERE m.type = 'table' AND m.name NOT IN ('uploads', 'used_requests', 'sqlite_sequence')";
    let all = sqlx::query(SQL).fetch_all(pool).await.unwrap();
    let column = |row: &sqlx::sqlite::SqliteRow| Column {
        table: row.get("tab"),
        name: row.get("col"),
        kind: row.get("kind"),
    };
    all.iter().map(column).collect()
}

/// Which row, and the statement's beginning that changes one byte of the column there.
fn flips(column: &Column, nth: u64) -> (String, String) {
    let Column { table, name, kind } = column;
    let key = match table.as_str() {
        "meta" | "state" => "key",
        "entries" => "idx",
        "blocks" => "height",
        "batches" => "no",
        "leaves" => "batch, name",
        "claims" => "digest",
        "tiles" => "batch, level, idx",
        "touched" => "subject, entry",
        other => panic!("a table without a test: {other}"),
    };
    // Rows of the upload under way are left out.
    let live = match table.as_str() {
        "leaves" | "tiles" => "WHERE batch IN (SELECT no FROM batches)",
        "claims" => "WHERE batch = 0 OR batch IN (SELECT no FROM batches)",
        _ => "",
    };
    let pick = format!(
        "({key}) = (SELECT {key} FROM {table} {live} ORDER BY {key} LIMIT 1 OFFSET \
         {nth} % (SELECT count(*) FROM {table} {live}))"
    );
    let at = format!("({nth} % length(b.x))");
    let byte = "instr('0123456789ABCDEF', substr(hex(b.x), 2 * k.i + 1, 1))";
    let flipped = match kind.as_str() {
        "INTEGER" => format!("{name} + 4096"),
        _ => format!(
            "(SELECT CAST(unhex(substr(hex(b.x), 1, 2 * k.i) || \
             substr('89ABCDEF01234567', {byte}, 1) || substr(hex(b.x), 2 * k.i + 2)) AS {kind}) \
             FROM (SELECT CAST({name} AS BLOB) AS x) b, (SELECT {at} AS i FROM \
             (SELECT CAST({name} AS BLOB) AS x) b) k)"
        ),
    };
    (pick, format!("UPDATE {table} SET {name} = {flipped} WHERE "))
}

#[tokio::test]
async fn every_column_of_every_table_is_checked() {
    let network = busy().await;
    network.registry.close().await;
    let path = network.dir.path().join("ledger.db");
    let url = format!("sqlite://{}", path.display());
    let sound = std::fs::read(&path).unwrap();
    let pool = SqlitePool::connect(&url).await.unwrap();
    let columns = columns(&pool).await;
    pool.close().await;
    let tables: BTreeSet<_> = columns.iter().map(|c| c.table.as_str()).collect();
    assert_eq!(tables.len(), 9, "{tables:?}");
    for (n, column) in columns.iter().enumerate() {
        for nth in [0, 5 + n as u64] {
            let (pick, update) = flips(column, nth);
            let pool = SqlitePool::connect(&url).await.unwrap();
            let changed =
                sqlx::query(sqlx::AssertSqlSafe(update + &pick)).execute(&pool).await.unwrap();
            assert_eq!(changed.rows_affected(), 1, "{}.{}", column.table, column.name);
            pool.close().await;
            let report = audit(network.dir.path(), &network.genesis).await.unwrap();
            let named = report.findings.iter().any(|f| f.table == column.table);
            assert!(named, "{}.{} {nth}: {:?}", column.table, column.name, report.findings);
            std::fs::write(&path, &sound).unwrap();
        }
    }
    assert_eq!(audit(network.dir.path(), &network.genesis).await.unwrap().findings, []);
}

#[tokio::test]
async fn missing_and_extra_rows_are_named() {
    let network = busy().await;
    network.registry.close().await;
    let path = network.dir.path().join("ledger.db");
    let url = format!("sqlite://{}", path.display());
    let sound = std::fs::read(&path).unwrap();
    let cases = [
        ("DELETE FROM entries WHERE idx = 1", "entries"),
        ("DELETE FROM entries WHERE idx = 3", "entries"),
        ("DELETE FROM blocks WHERE height = 2", "blocks"),
        ("INSERT INTO blocks VALUES (9, 9, 9, x'00', x'00')", "blocks"),
        ("DELETE FROM state WHERE key = x'02'", "state"),
        ("INSERT INTO state VALUES (x'FF', x'00')", "state"),
        ("DELETE FROM batches WHERE no = 1", "batches"),
        ("INSERT INTO batches VALUES (99, randomblob(32))", "batches"),
        (
            "DELETE FROM leaves WHERE name = (SELECT min(name) FROM leaves WHERE batch = 1)",
            "leaves",
        ),
        ("DELETE FROM leaves WHERE batch = 2", "batches"),
        ("INSERT INTO leaves SELECT 77, name, leaf FROM leaves WHERE batch = 2", "leaves"),
        ("DELETE FROM tiles WHERE batch = 1 AND level = 1", "tiles"),
        (
            "INSERT INTO tiles SELECT 88, level, idx, first, hashes FROM tiles WHERE batch = 1",
            "tiles",
        ),
        ("DELETE FROM claims WHERE batch = 0", "claims"),
        ("INSERT INTO claims VALUES (randomblob(16), 1)", "claims"),
        ("DELETE FROM touched WHERE entry = 2", "touched"),
        ("INSERT INTO touched VALUES (randomblob(32), 1)", "touched"),
        ("DELETE FROM meta WHERE key = 'format'", "meta"),
    ];
    for (sql, table) in cases {
        let pool = SqlitePool::connect(&url).await.unwrap();
        assert!(sqlx::query(sql).execute(&pool).await.unwrap().rows_affected() > 0, "{sql}");
        pool.close().await;
        let report = audit(network.dir.path(), &network.genesis).await.unwrap();
        assert!(report.findings.iter().any(|f| f.table == table), "{sql}: {:?}", report.findings);
        std::fs::write(&path, &sound).unwrap();
    }
}

#[tokio::test]
async fn declarations_are_checked() {
    let network = busy().await;
    network.registry.close().await;
    let declarations = [
        ("ledger.db", "CREATE TRIGGER t AFTER INSERT ON batches BEGIN DELETE FROM leaves; END"),
        ("ledger.db", "CREATE TABLE more(x)"),
        ("ledger.db", "CREATE INDEX more ON touched(entry)"),
        ("ledger.db", "CREATE VIEW more AS SELECT 1"),
        ("ledger.db", "DROP INDEX tile_of"),
        ("directory.db", "CREATE TRIGGER t AFTER INSERT ON serials BEGIN SELECT 1; END"),
    ];
    for (file, sql) in declarations {
        let path = network.dir.path().join(file);
        let sound = std::fs::read(&path).unwrap();
        let pool = SqlitePool::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        sqlx::query(sql).execute(&pool).await.unwrap();
        pool.close().await;
        let report = audit(network.dir.path(), &network.genesis).await.unwrap();
        let named: Vec<_> = report.findings.iter().map(|f| (f.table, &f.row)).collect();
        assert_eq!(named.len(), 1, "{sql}: {named:?}");
        assert!(named[0].0 == "sqlite_schema" && named[0].1.starts_with(file), "{sql}: {named:?}");
        std::fs::write(&path, &sound).unwrap();
    }
    assert_eq!(audit(network.dir.path(), &network.genesis).await.unwrap().findings, []);
}
