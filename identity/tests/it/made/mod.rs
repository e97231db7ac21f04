//! How the project's own vectors are made. The files under `tests/vectors` are what other
//! implementations read; this regenerates them and the comparison keeps both honest.

mod gateways;
mod inceptions;
mod keys;
mod people;
mod possession;
mod presentations;
mod proofs;
mod reads;

pub(crate) use gateways::said_in;

use data_encoding::HEXLOWER;

/// One vector: a flat JSON object of strings and booleans, in a fixed order.
pub(crate) struct Vector {
    /// `valid` or `invalid`.
    pub(crate) folder: &'static str,
    /// The name of the file without `identity-` and `.json`.
    pub(crate) name: String,
    fields: Vec<(&'static str, String)>,
}

impl Vector {
    fn valid(kind: &'static str, name: &str, about: &str) -> Self {
        Self { folder: "valid", name: format!("{kind}-{name}"), fields: Vec::new() }
            .text("kind", kind)
            .text("about", about)
    }

    fn invalid(kind: &'static str, name: &str, fault: &str) -> Self {
        Self { folder: "invalid", name: format!("{kind}-{name}"), fields: Vec::new() }
            .text("kind", kind)
            .text("fault", fault)
    }

    fn text(mut self, name: &'static str, value: impl ToString) -> Self {
        self.fields.push((name, serde_json::to_string(&value.to_string()).unwrap()));
        self
    }

    fn hex(self, name: &'static str, bytes: &[u8]) -> Self {
        self.text(name, HEXLOWER.encode(bytes))
    }

    fn bool(mut self, name: &'static str, value: bool) -> Self {
        self.fields.push((name, value.to_string()));
        self
    }

    /// The text of the file.
    pub(crate) fn render(&self) -> String {
        let lines: Vec<_> =
            self.fields.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}

/// All of them.
pub(crate) fn all() -> Vec<Vector> {
    [
        keys::valid(),
        keys::invalid(),
        inceptions::invalid(),
        possession::valid(),
        possession::invalid(),
        presentations::valid(),
        presentations::invalid(),
        gateways::valid(),
        gateways::invalid(),
        people::valid(),
        people::invalid(),
        proofs::valid(),
        proofs::invalid(),
        reads::valid(),
        reads::invalid(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
