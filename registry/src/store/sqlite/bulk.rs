use super::fault::fault;
use crate::Error;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use std::sync::OnceLock;

/// Rows of one statement: enough that a statement's own cost does not count, few enough that its
/// values stay below SQLite's 32,766.
const TOGETHER: usize = 256;

/// Rows of one statement where fewer are left: a block seldom has more.
const SOME: usize = 16;

/// A statement that is being given its values.
pub(super) type Binding = Query<'static, Sqlite, SqliteArguments>;

/// `INSERT` of many rows by few statements.
pub(super) struct Insert {
    /// Up to `VALUES`.
    head: &'static str,
    /// One row. Its parameters have no numbers: SQLite would look each up among all as a name.
    row: &'static str,
    /// What follows the rows.
    tail: &'static str,
    many: OnceLock<String>,
    some: OnceLock<String>,
    one: OnceLock<String>,
}

impl Insert {
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        let many = OnceLock::new();
        Self { head, row, tail, many, some: OnceLock::new(), one: OnceLock::new() }
    }

    fn sql(&self, rows: usize) -> String {
        format!("{} VALUES {} {}", self.head, vec![self.row; rows].join(","), self.tail)
    }

    /// Inserts the items; gives the number of rows that were written.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        items: &[T],
        bind: impl Fn(Binding, &T) -> Result<Binding, Error>,
    ) -> Result<u64, Error> {
        let mut written = 0;
        let (many, rest) = items.as_chunks::<TOGETHER>();
        let (some, rest) = rest.as_chunks::<SOME>();
        let many = many.iter().map(<[T; TOGETHER]>::as_slice);
        let some = some.iter().map(<[T; SOME]>::as_slice);
        for part in many.chain(some).chain(rest.chunks(1)) {
            let sql = match part.len() {
                TOGETHER => self.many.get_or_init(|| self.sql(TOGETHER)),
                SOME => self.some.get_or_init(|| self.sql(SOME)),
                _ => self.one.get_or_init(|| self.sql(1)),
            };
            let mut query = sqlx::query(sql.as_str());
            for item in part {
                query = bind(query, item)?;
            }
            let done = query.execute(&mut *connection).await.map_err(fault)?;
            written += done.rows_affected();
        }
        Ok(written)
    }
}
