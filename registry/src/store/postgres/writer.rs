//! The one connection that writes. It holds the database for this node, and it settles what became
//! of a commit whose answer was lost.

use super::fault::{fault, is_lost};
use super::{limits, link};
use crate::Error;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::timeout;

/// Whoever writes takes turns here.
pub(super) struct Writer {
    link: Arc<Mutex<Link>>,
    /// Nothing begins any more.
    closed: AtomicBool,
    /// Nobody waits any more for a server that is away.
    closing: Arc<AtomicBool>,
}

struct Link {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
    /// How often nodes had opened this database when this one did: a higher number says that
    /// another node wrote meanwhile.
    opened: i64,
}

/// A transaction under way. Dropped, it takes its connection along, and the server undoes it.
pub(super) struct Write {
    link: OwnedMutexGuard<Link>,
    connection: PgConnection,
    /// Of this write: no other has it, whatever becomes of this one.
    number: i64,
    closing: Arc<AtomicBool>,
}

/// The writer's connection, read from: whatever was being written before is done.
pub(super) struct Look {
    link: OwnedMutexGuard<Link>,
    connection: PgConnection,
}

impl Writer {
    /// `connection` holds the database since it was opened for the `opened`th time.
    pub(super) fn new(options: PgConnectOptions, connection: PgConnection, opened: i64) -> Self {
        let link = Link { options, connection: Some(connection), opened };
        let (closed, closing) = Default::default();
        Self { link: Arc::new(Mutex::new(link)), closed, closing }
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<Link>, Error> {
        if self.closed.load(SeqCst) {
            return Err(Error::Closing);
        }
        let turn = timeout(limits::PATIENCE, self.link.clone().lock_owned()).await;
        let turn = turn.map_err(|_| Error::Away("a write before this one waits for it".into()))?;
        if self.closed.load(SeqCst) { Err(Error::Closing) } else { Ok(turn) }
    }

    /// Begins a transaction. A connection that has gone since it was used last is made anew:
    /// nothing was written by then.
    pub(super) async fn begin(&self) -> Result<Write, Error> {
        let mut link = self.turn().await?;
        let (mut connection, kept) = link.take().await?;
        let number = match begin(&mut connection, link.opened).await {
            Err(error) if kept && is_lost(&error) => {
                connection = link.connect().await?;
                begin(&mut connection, link.opened).await?
            }
            begun => begun?,
        };
        Ok(Write { link, connection, number, closing: self.closing.clone() })
    }

    /// Waits for the write that is under way, to read what it left.
    pub(super) async fn look(&self) -> Result<Look, Error> {
        let mut link = self.turn().await?;
        let (mut connection, kept) = link.take().await?;
        if kept && sqlx::Connection::ping(&mut connection).await.is_err() {
            connection = link.connect().await?;
        }
        Ok(Look { link, connection })
    }

    /// Nobody waits for a server that is away any more.
    pub(super) fn closing(&self) {
        self.closing.store(true, SeqCst);
    }

    /// Lets go of the database, after the write that is under way.
    pub(super) async fn close(&self) {
        self.closing();
        self.closed.store(true, SeqCst);
        if let Some(connection) = self.link.lock().await.connection.take() {
            let _ = sqlx::Connection::close(connection).await;
        }
    }
}

impl Link {
    /// A connection, and whether it was kept since the last time.
    async fn take(&mut self) -> Result<(PgConnection, bool), Error> {
        match self.connection.take() {
            Some(connection) => Ok((connection, true)),
            None => Ok((self.connect().await?, false)),
        }
    }

    /// A new connection that holds the database, if no other node had it meanwhile.
    async fn connect(&self) -> Result<PgConnection, Error> {
        let mut connection = link::connect_alone(&self.options).await?;
        link::check_server(&mut connection).await?;
        let (opened, _) = turn(&mut connection).await?;
        if opened == self.opened { Ok(connection) } else { Err(taken()) }
    }
}

fn taken() -> Error {
    Error::operator(
        "another node opened this database while this one had lost its connection",
        "one database is for one node: stop the other one, then start this one again",
    )
}

/// How often the database was opened, and the number of the last write.
async fn turn(connection: &mut PgConnection) -> Result<(i64, i64), Error> {
    sqlx::query_as("SELECT opened, writes FROM ledger.turn")
        .fetch_one(connection)
        .await
        .map_err(fault)
}

/// Begins a transaction and numbers it. Of two writers, which behind a pooler of connections a
/// lock of a session does not keep apart, the one that opened the database before writes nothing.
async fn begin(connection: &mut PgConnection, opened: i64) -> Result<i64, Error> {
    const NUMBER: &str =
        "UPDATE ledger.turn SET writes = writes + 1 WHERE opened = $1 RETURNING writes";
    sqlx::raw_sql("BEGIN").execute(&mut *connection).await.map_err(fault)?;
    let number: Option<i64> =
        sqlx::query_scalar(NUMBER).bind(opened).fetch_optional(connection).await.map_err(fault)?;
    number.ok_or_else(taken)
}

impl Write {
    /// The connection to write by.
    pub(super) fn on(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Commits what was done, or undoes all of it if that failed.
    pub(super) async fn end<T, E: From<Error>>(self, done: Result<T, E>) -> Result<T, E> {
        match done {
            Ok(done) => self.commit().await.map(|()| done).map_err(E::from),
            Err(error) => {
                self.undo().await;
                Err(error)
            }
        }
    }

    /// Leaves no trace.
    pub(super) async fn undo(mut self) {
        // A connection that cannot even do this is let go of, and the server undoes it.
        if sqlx::raw_sql("ROLLBACK").execute(&mut self.connection).await.is_ok() {
            self.link.connection = Some(self.connection);
        }
    }

    async fn commit(mut self) -> Result<(), Error> {
        let done = sqlx::raw_sql("COMMIT").execute(&mut self.connection);
        let error = match timeout(limits::COMMIT, done).await {
            Ok(Ok(_)) => {
                self.link.connection = Some(self.connection);
                return Ok(());
            }
            Ok(Err(error)) => fault(error),
            Err(_) => Error::Away("no answer to a commit".into()),
        };
        if is_lost(&error) {
            let Self { mut link, connection, number, closing } = self;
            drop(connection);
            return settle(&mut link, number, &closing, error).await;
        }
        // The server said no: it has undone the transaction.
        self.undo().await;
        Err(error)
    }
}

/// What became of a commit without an answer. A connection that holds the database again proves
/// that the session before has ended, one way or the other; the number of the last write says
/// which. Until that is known nothing else is written, so this waits for the server as long as it
/// takes: whoever was told "not done" of a block that was would decide another one in its place.
async fn settle(
    link: &mut Link,
    number: i64,
    closing: &AtomicBool,
    lost: Error,
) -> Result<(), Error> {
    tracing::warn!("the answer to a commit was lost ({lost}); it is looked up");
    for attempt in 1.. {
        if closing.load(SeqCst) {
            return Err(Error::Closing);
        }
        let found = match link::connect_alone(&link.options).await {
            Ok(mut connection) => turn(&mut connection).await.map(|found| (connection, found)),
            Err(error) => Err(error),
        };
        match found {
            Ok((_, (opened, _))) if opened != link.opened => return Err(taken()),
            Ok((connection, (_, last))) => {
                link.connection = Some(connection);
                return if last >= number { Ok(()) } else { Err(lost) };
            }
            Err(error) => {
                if attempt == 1 {
                    tracing::error!("{error}; waiting for it");
                }
                link::pause(attempt).await;
            }
        }
    }
    Err(lost)
}

impl Look {
    /// The connection to read by.
    pub(super) fn on(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Gives what was read and keeps the connection, unless reading failed.
    pub(super) fn end<T>(mut self, found: Result<T, Error>) -> Result<T, Error> {
        if found.is_ok() {
            self.link.connection = Some(self.connection);
        }
        found
    }
}
