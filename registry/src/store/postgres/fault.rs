use crate::Error;

/// What SQLSTATE class 57 says when the server ends a session or starts up
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>): admin_shutdown,
/// crash_shutdown, cannot_connect_now, idle_session_timeout.
const GOING: [&str; 4] = ["57P01", "57P02", "57P03", "57P05"];

/// Whose fault an error of the database is. None of these words names a password: sqlx says what
/// the server said, and the server is told the password only in a form that it cannot repeat.
pub(super) fn fault(error: sqlx::Error) -> Error {
    let text = error.to_string();
    match &error {
        sqlx::Error::PoolClosed => Error::Closing,
        sqlx::Error::Database(said) => by_code(said.code().as_deref().unwrap_or_default(), text),
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => Error::operator(
            format!("the database: {text}"),
            "correct the URL of --store, or what it names",
        ),
        sqlx::Error::Io(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::WorkerCrashed => Error::Away(text),
        _ => Error::Us(text),
    }
}

fn by_code(code: &str, text: String) -> Error {
    // Whole codes before their classes.
    match code {
        // disk_full, read_only_sql_transaction: the server takes no writes.
        "53100" | "25006" => return Error::Full(text),
        // data_corrupted, index_corrupted
        "XX001" | "XX002" => return Error::Damaged(text),
        code if GOING.contains(&code) => return Error::Away(text),
        // insufficient_privilege
        "42501" => {
            let cure = "give the node's role the right to make schemas in its database, and to \
                        own what it made: GRANT CREATE ON DATABASE ... TO ...";
            return Error::operator(format!("the database: {text}"), cure);
        }
        _ => {}
    }
    match code.get(..2).unwrap_or_default() {
        // Connection exceptions, insufficient resources (memory, connections).
        "08" | "53" => Error::Away(text),
        // Invalid authorization, invalid catalog name.
        "28" | "3D" => Error::operator(
            format!("the database: {text}"),
            "give --store the user and database that the server knows, and the password by \
             PGPASSWORD or a .pgpass file",
        ),
        // System errors outside of PostgreSQL: a disk that fails.
        "58" => Error::operator(format!("the database: {text}"), "look into the server's log"),
        _ => Error::Us(text),
    }
}

/// Whether the connection may be gone, and with it the answer.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(error, Error::Away(_))
}
