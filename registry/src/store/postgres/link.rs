//! Connections to the server: one that writes and holds the database for this node, and what every
//! connection is told first.

use super::fault::fault;
use super::limits;
use crate::Error;
use crate::store::ServerUrl;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};
use std::str::FromStr as _;
use std::time::Duration;

/// By this number nodes lock a database (`muster` and a 1, in ASCII).
const LOCK: i64 = 0x006d_7573_7465_7231;

/// How a database is reached. What sqlx keeps in it has a password.
pub(super) fn options(url: &ServerUrl) -> Result<PgConnectOptions, Error> {
    let options = PgConnectOptions::from_str(url.secret()).map_err(|e| {
        // What could not be read is not repeated: it may be a part of the password.
        let _ = e;
        Error::operator(
            "the URL of --store cannot be read",
            "give `postgres://USER@HOST:PORT/DATABASE`, with signs such as `/` in it as %2F",
        )
    })?;
    Ok(options
        .application_name("muster")
        .statement_cache_capacity(limits::STATEMENTS)
        .disable_statement_logging()
        .options([
            ("search_path", "ledger,directory"),
            ("client_min_messages", "warning"),
            // A node whose machine is gone holds the database no longer than this.
            ("tcp_keepalives_idle", limits::KEEPALIVE_IDLE),
            ("tcp_keepalives_interval", limits::KEEPALIVE_INTERVAL),
            ("tcp_keepalives_count", limits::KEEPALIVE_COUNT),
        ]))
}

/// A connection, or a word why there is none within the time that anybody waits.
pub(super) async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    match tokio::time::timeout(limits::CONNECT, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(fault),
        Err(_) => Err(Error::Away("no connection in time".into())),
    }
}

/// A connection that holds the database. Until the server has noticed that the node before this one
/// is gone, it is tried again.
pub(super) async fn connect_alone(options: &PgConnectOptions) -> Result<PgConnection, Error> {
    const TRY: &str = "SELECT pg_try_advisory_lock($1)";
    let mut connection = connect(options).await?;
    for _ in 0..limits::LOCK_ATTEMPTS {
        let held: bool =
            sqlx::query_scalar(TRY).bind(LOCK).fetch_one(&mut connection).await.map_err(fault)?;
        if held {
            return Ok(connection);
        }
        tokio::time::sleep(limits::LOCK_PAUSE).await;
    }
    let _ = connection.close().await;
    Err(Error::operator(
        "another node uses this database",
        "stop it first, or give this one a database of its own",
    ))
}

/// Refuses a server that could lose what it acknowledged, or keep it otherwise than it was given.
pub(super) async fn check_server(connection: &mut PgConnection) -> Result<(), Error> {
    const SQL: &str = "SELECT current_setting('fsync'), current_setting('synchronous_commit'), \
        current_setting('server_encoding'), current_setting('server_version_num')::bigint, \
        current_setting('server_version'), current_setting('full_page_writes')";
    let (fsync, synchronous, encoding, number, version, pages): (
        String,
        String,
        String,
        i64,
        String,
        String,
    ) = sqlx::query_as(SQL).fetch_one(connection).await.map_err(fault)?;
    if number < limits::OLDEST_SERVER {
        return Err(Error::operator(
            format!("the database server is PostgreSQL {version}"),
            "muster needs 13 or a newer one",
        ));
    }
    for (setting, value) in [("fsync", &fsync), ("synchronous_commit", &synchronous)] {
        if value == "off" {
            return Err(Error::operator(
                format!("`{setting}` of the database is off: it may lose what it acknowledged"),
                format!("set `{setting} = on`, in postgresql.conf or by ALTER DATABASE or ROLE"),
            ));
        }
    }
    if encoding != "UTF8" {
        return Err(Error::operator(
            format!("the database keeps text as {encoding}"),
            "make it with `CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0`",
        ));
    }
    if pages == "off" {
        tracing::warn!(
            "`full_page_writes` of the database is off: unless its file system writes whole pages, \
             a power failure damages it"
        );
    }
    Ok(())
}

/// Waits between two attempts to reach the server again.
pub(super) async fn pause(attempt: u32) {
    let pause = limits::RECONNECT_PAUSE.saturating_mul(attempt.max(1));
    tokio::time::sleep(Duration::min(pause, limits::RECONNECT_LONGEST)).await;
}
