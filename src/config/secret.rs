//! What never stands in the file, which is copied, shown and backed up.

/// Parts of names of what never stands in the file.
const SECRETS: &[&str] = &[
    "passphrase",
    "password",
    "passwd",
    "pass",
    "secret",
    "token",
    "pin",
    "private",
    "credential",
    "credentials",
    "pem",
];

/// Why a key that nobody knows is refused, if it looks like a secret.
pub(super) fn by_name(name: &str) -> Option<&'static str> {
    let mut parts = name.split(['-', '_', '.']).map(str::to_lowercase);
    parts.any(|part| SECRETS.contains(&part.as_str())).then_some(
        "this looks like a secret. None stands in a file of settings, which is copied, \
                shown and backed up: put it into a file of mode 0600 and name that file \
                (passphrase-file), or give a descriptor (passphrase-fd)",
    )
}

/// What URLs of databases begin with.
const DATABASES: [&str; 2] = ["postgres://", "postgresql://"];

/// Why a value must not stand in a file that many read, if so. The value itself is never shown.
pub(super) fn by_value(text: &str) -> Option<&'static str> {
    if let Some(rest) = DATABASES.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        // A database asks for a user, and for a password that it is given otherwise.
        let with_password = match rest.rsplit_once('@') {
            Some((user, _)) => user.contains([':', '/', '?']),
            None => false,
        };
        return (with_password || rest.contains("password")).then_some(
            "a password does not stand in a file of settings: give it by PGPASSWORD or by a \
             .pgpass file of mode 0600",
        );
    }
    let userinfo = || {
        let (_, rest) = text.split_once("://")?;
        rest.split(['/', '?', '#']).next()?.contains('@').then_some(())
    };
    if text.contains("PRIVATE KEY-----") {
        Some("a private key does not stand in a file of settings: name the file that holds it")
    } else if text.contains("pin-value") {
        Some("a PIN does not stand in a file of settings: say pin-source=file:/PATH")
    } else if userinfo().is_some() {
        Some("a name or password does not stand in an address: a node asks for none")
    } else {
        None
    }
}
