//! Where a node's store is: in its folder, or in a database server.

use crate::Error;
use std::fmt;
use std::str::FromStr;

/// Where a node keeps ledger and directory. Neither `Display` nor `Debug` shows a password.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum StoreUrl {
    /// In files of SQLite in the node's folder.
    #[default]
    Folder,
    /// In a database of a PostgreSQL server, by its URL.
    Postgres(ServerUrl),
}

/// The URL of a database. What it may hold is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerUrl(String);

/// What URLs of PostgreSQL begin with.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

impl StoreUrl {
    /// Whether the URL has a password in it: on a command line every user of the machine reads it.
    pub fn has_password(&self) -> bool {
        match self {
            Self::Folder => false,
            Self::Postgres(url) => {
                url.user_and_password().contains(':') || url.names_password() || url.is_torn()
            }
        }
    }
}

impl ServerUrl {
    #[cfg(feature = "postgres")]
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    fn rest(&self) -> &str {
        SCHEMES.iter().find_map(|scheme| self.0.strip_prefix(scheme)).unwrap_or_default()
    }

    /// What stands before the server; a password may have any sign in it but `/` and `?`.
    fn authority(&self) -> &str {
        self.rest().split(['/', '?']).next().unwrap_or_default()
    }

    fn user_and_password(&self) -> &str {
        self.authority().rsplit_once('@').map_or("", |(user, _)| user)
    }

    /// A password with a sign in it that ends the part before the server: where it ends cannot be
    /// told, so nothing of it is shown.
    fn is_torn(&self) -> bool {
        self.rest().get(self.authority().len()..).is_some_and(|behind| behind.contains('@'))
    }

    fn names_password(&self) -> bool {
        self.rest().split_once('?').is_some_and(|(_, with)| with.contains("password"))
    }
}

/// A build that knows no servers was given one.
pub(crate) fn without(url: &ServerUrl) -> Error {
    Error::operator(
        format!("this muster was built without PostgreSQL, which {url} asks for"),
        "build it with `cargo build --release --features postgres`",
    )
}

impl FromStr for StoreUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text == "sqlite" {
            return Ok(Self::Folder);
        }
        let known = SCHEMES.iter().any(|scheme| text.starts_with(scheme));
        if !known {
            // What was given may hold a password, and is not repeated.
            return Err(Error::operator(
                "a store is `sqlite` or `postgres://USER@HOST:PORT/DATABASE`",
                "give one of them",
            ));
        }
        let url = ServerUrl(text.into());
        if cfg!(feature = "postgres") { Ok(Self::Postgres(url)) } else { Err(without(&url)) }
    }
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str("sqlite"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_torn() {
            return f.write_str("postgres://?");
        }
        let authority = self.authority();
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        let user = user.split(':').next().unwrap_or_default();
        let database = self.rest().split('?').next().unwrap_or_default();
        let database = database.strip_prefix(authority).unwrap_or_default();
        let at = if user.is_empty() { "" } else { "@" };
        write!(f, "postgres://{user}{at}{host}{database}")
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({self})")
    }
}

impl fmt::Debug for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerUrl({self})")
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_shown() {
        for (given, shown, has) in [
            ("postgres://localhost", "postgres://localhost", false),
            ("postgres://ann@db:5433/muster", "postgres://ann@db:5433/muster", false),
            ("postgresql://ann:p:w@x@db/muster?sslmode=require", "postgres://ann@db/muster", true),
            ("postgres://ann:se/cret@db/muster", "postgres://?", true),
            ("postgres:///muster?host=/run&password=secret", "postgres:///muster", true),
        ] {
            let url: StoreUrl = given.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.has_password()), (shown, has), "{given}");
            assert_eq!(format!("{url:?}"), format!("StoreUrl({shown})"));
        }
        for wrong in ["", "mysql://ann:secret@db", "ann:secret@db"] {
            let refused = wrong.parse::<StoreUrl>().unwrap_err().to_string();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
