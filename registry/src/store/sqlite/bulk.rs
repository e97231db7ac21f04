use super::fault::fault;
use crate::Error;
use sqlx::Sqlite;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use std::sync::OnceLock;

/// Rows of one statement: enough that a statement's own cost does not count, few enough that its
/// values stay below SQLite's 32,766.
const TOGETHER: usize = 256;

/// A statement that is being given its values.
pub(super) type Binding = Query<'static, Sqlite, SqliteArguments>;

/// `INSERT` of many rows by few statements. One parameter, `?1`, is the same in all rows; each
/// row has parameters of its own.
pub(super) struct Insert {
    /// Up to `VALUES`.
    head: &'static str,
    /// One row, with `*` where `?1` stands and `?` for its own parameters.
    row: &'static str,
    /// What follows the rows.
    tail: &'static str,
    many: OnceLock<String>,
    one: OnceLock<String>,
}

impl Insert {
    pub(super) const fn new(head: &'static str, row: &'static str, tail: &'static str) -> Self {
        Self { head, row, tail, many: OnceLock::new(), one: OnceLock::new() }
    }

    fn sql(&self, rows: usize) -> String {
        let mut sql = format!("{} VALUES ", self.head);
        let mut parameter = 1;
        for row in 0..rows {
            if row > 0 {
                sql.push(',');
            }
            for c in self.row.chars() {
                match c {
                    '*' => sql.push_str("?1"),
                    '?' => {
                        parameter += 1;
                        sql.push_str(&format!("?{parameter}"));
                    }
                    other => sql.push(other),
                }
            }
        }
        sql.push(' ');
        sql.push_str(self.tail);
        sql
    }

    /// Inserts the items; gives the number of rows that were written.
    pub(super) async fn run<T>(
        &'static self,
        connection: &mut SqliteConnection,
        common: i64,
        items: &[T],
        bind: impl Fn(Binding, &T) -> Result<Binding, Error>,
    ) -> Result<u64, Error> {
        let mut written = 0;
        let (groups, rest) = items.as_chunks::<TOGETHER>();
        let groups = groups.iter().map(<[T; TOGETHER]>::as_slice);
        for part in groups.chain(rest.chunks(1)) {
            let sql = match part.len() {
                TOGETHER => self.many.get_or_init(|| self.sql(TOGETHER)),
                _ => self.one.get_or_init(|| self.sql(1)),
            };
            let mut query = sqlx::query(sql.as_str()).bind(common);
            for item in part {
                query = bind(query, item)?;
            }
            let done = query.execute(&mut *connection).await.map_err(fault)?;
            written += done.rows_affected();
        }
        Ok(written)
    }
}
