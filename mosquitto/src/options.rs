//! `plugin_opt_...` of `mosquitto.conf`.

use muster_gateway::{ClientIds, PinnedHead};
use muster_identity::Audience;
use std::path::PathBuf;

/// Why the plugin does not start; each is the operator's to mend.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("plugin_opt_{0} is not known; the options are {known}", known = known())]
    Unknown(String),
    #[error("plugin_opt_{0} is missing; add it below the line `plugin ...`")]
    Missing(&'static str),
    #[error("plugin_opt_{0} is there twice; keep one")]
    Twice(&'static str),
    #[error("plugin_opt_{name} {value:?}: {cure}")]
    Value { name: &'static str, value: String, cure: &'static str },
    #[error("plugin_opt_{name} {path}: {why}")]
    File { name: &'static str, path: PathBuf, why: String },
    #[error("{0}")]
    Gateway(#[from] muster_gateway::Error),
    #[error("no thread for the gateway: {0}; see what the machine is short of")]
    Runtime(std::io::Error),
}

/// Whoever is no device: a user name that is no DID, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Not let in.
    Refuse,
    /// Left to what else the broker has: `password_file` and `acl_file`, another plugin.
    Defer,
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) genesis: PathBuf,
    pub(crate) dir: PathBuf,
    pub(crate) nodes: Vec<String>,
    pub(crate) audience: Audience,
    pub(crate) rules: PathBuf,
    pub(crate) max_roll_age_ms: u64,
    pub(crate) client_ids: ClientIds,
    pub(crate) others: Others,
    pub(crate) without_tls: bool,
    pub(crate) pinned: Option<PinnedHead>,
}

const NAMES: [&str; 10] = [
    "genesis",
    "dir",
    "node",
    "audience",
    "rules",
    "max_age",
    "client_id",
    "others",
    "without_tls",
    "trust",
];

fn known() -> String {
    NAMES.map(|name| format!("plugin_opt_{name}")).join(", ")
}

impl Options {
    /// Reads the pairs of name and value that the broker hands over.
    pub(crate) fn parse(given: &[(String, String)]) -> Result<Self, Fault> {
        if let Some((name, _)) = given.iter().find(|(name, _)| !NAMES.contains(&name.as_str())) {
            return Err(Fault::Unknown(crate::log::shown(name)));
        }
        let one = |name: &'static str| {
            let mut values = given.iter().filter(|(given, _)| given == name);
            match (values.next(), values.next()) {
                (_, Some(_)) => Err(Fault::Twice(name)),
                (found, None) => Ok(found.map(|(_, value)| value.trim().to_owned())),
            }
        };
        let needed = |name| one(name)?.filter(|v| !v.is_empty()).ok_or(Fault::Missing(name));
        let choice = |name, yes: &str, no: &str, cure| match one(name)? {
            None => Ok(false),
            Some(value) if value == yes => Ok(true),
            Some(value) if value == no => Ok(false),
            Some(value) => Err(Fault::Value { name, value, cure }),
        };
        let audience = needed("audience")?;
        let nodes: Vec<String> = needed("node")?
            .split(',')
            .map(|url| url.trim().to_owned())
            .filter(|url| !url.is_empty())
            .collect();
        let any = choice("client_id", "any", "did", "write `did` or `any`")?;
        let defer = choice("others", "defer", "refuse", "write `refuse` or `defer`")?;
        Ok(Self {
            genesis: needed("genesis")?.into(),
            dir: needed("dir")?.into(),
            nodes,
            audience: audience.parse().map_err(|_| Fault::Value {
                name: "audience",
                value: audience,
                cure: "write the name that the devices dial, without spaces and quotes",
            })?,
            rules: needed("rules")?.into(),
            max_roll_age_ms: max_age(one("max_age")?)?,
            client_ids: if any { ClientIds::Any } else { ClientIds::Own },
            others: if defer { Others::Defer } else { Others::Refuse },
            without_tls: choice("without_tls", "true", "false", "write `true` or `false`")?,
            pinned: one("trust")?.map(pinned).transpose()?,
        })
    }
}

/// Seconds in the file, as on the command line; an hour unless told otherwise.
fn max_age(text: Option<String>) -> Result<u64, Fault> {
    let Some(value) = text else { return Ok(60 * 60 * 1_000) };
    let seconds = value.parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1_000));
    let cure = "write seconds as a whole number, such as 3600";
    seconds.ok_or(Fault::Value { name: "max_age", value, cure })
}

fn pinned(value: String) -> Result<PinnedHead, Fault> {
    let read = || {
        let (size, root) = value.split_once(':')?;
        let root = data_encoding::BASE64.decode(root.as_bytes()).ok()?;
        Some(PinnedHead { size: size.parse().ok()?, log_root: root.try_into().ok()? })
    };
    let cure = "write number of entries, `:` and log root in base64, as `muster ledger status` has";
    read().ok_or(Fault::Value { name: "trust", value, cure })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(extra: &[(&str, &str)]) -> Vec<(String, String)> {
        let base = [
            ("genesis", "/g"),
            ("dir", "/d"),
            ("node", "http://127.0.0.1:1, http://127.0.0.1:2"),
            ("audience", "broker.example"),
            ("rules", "/r"),
        ];
        let base =
            base.iter().filter(|(name, _)| !extra.iter().any(|(n, v)| n == name && v.is_empty()));
        let all = base.chain(extra.iter().filter(|(_, value)| !value.is_empty()));
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_usual_options() {
        let options = Options::parse(&given(&[])).expect("good options");
        assert_eq!(options.nodes, ["http://127.0.0.1:1", "http://127.0.0.1:2"]);
        assert_eq!(options.max_roll_age_ms, 3_600_000);
        assert_eq!((options.client_ids, options.others), (ClientIds::Own, Others::Refuse));
        assert!(!options.without_tls && options.pinned.is_none());
        let options = Options::parse(&given(&[
            ("max_age", "60"),
            ("client_id", "any"),
            ("others", "defer"),
            ("without_tls", "true"),
            ("trust", "7:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ]))
        .expect("good options");
        assert_eq!(options.max_roll_age_ms, 60_000);
        assert_eq!((options.client_ids, options.others), (ClientIds::Any, Others::Defer));
        let head = options.pinned.expect("a head");
        assert_eq!((head.size, head.log_root[31]), (7, 31));
    }

    #[test]
    fn a_fault_names_the_option_and_the_cure() {
        let table: [(&[(&str, &str)], &str); 11] = [
            (
                &[("gensis", "/g")],
                "plugin_opt_gensis is not known; the options are plugin_opt_genesis",
            ),
            (&[("genesis", "")], "plugin_opt_genesis is missing"),
            (&[("rules", "")], "plugin_opt_rules is missing"),
            (&[("audience", "")], "plugin_opt_audience is missing"),
            (&[("node", "")], "plugin_opt_node is missing"),
            (&[("dir", "/e")], "plugin_opt_dir is there twice"),
            (&[("max_age", "1h")], "write seconds"),
            (&[("client_id", "mine")], "write `did` or `any`"),
            (&[("others", "allow")], "write `refuse` or `defer`"),
            (&[("without_tls", "yes")], "write `true` or `false`"),
            (&[("trust", "7")], "write number of entries"),
        ];
        for (extra, words) in table {
            let error = Options::parse(&given(extra)).expect_err("a fault").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
