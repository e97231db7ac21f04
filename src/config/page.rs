//! The table of keys in `docs/config.md`, written from the command line's own table.

use super::table::{self, Key, Section};
use clap::Arg;
use std::fmt::Write as _;
use std::path::PathBuf;

const BEGIN: &str = "<!-- keys: MUSTER_BLESS=1 cargo test -p muster config::page -->\n";
const END: &str = "<!-- end of keys -->\n";

fn table() -> String {
    let mut out = String::new();
    for section in Section::ALL {
        let (name, command) = (section.name(), section.command());
        let head = match (name, command) {
            ("", _) => "Above the first section, for every command:".to_owned(),
            (name, Some(command)) => format!("`[{name}]`, for `muster {command}`:"),
            (name, None) => format!("`[{name}]`, for every command:"),
        };
        let _ = write!(out, "\n{head}\n\n| key | value | default | |\n|---|---|---|---|\n");
        let whole = table::command();
        let of = command.map_or(Some(&whole), |name| whole.find_subcommand(name));
        let args: Vec<&Arg> = of.expect("a command").get_arguments().collect();
        for key in table::keys(section) {
            let arg = args.iter().find(|arg| arg.get_id() == key.id.as_str()).expect("its option");
            row(&mut out, &key, arg);
        }
    }
    out
}

fn row(out: &mut String, key: &Key, arg: &Arg) {
    let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
    let possible = arg.get_possible_values();
    let value = match possible.as_slice() {
        [] | [_] => key.kind.words().to_owned(),
        _ if key.kind == table::Kind::Switch => key.kind.words().to_owned(),
        some => {
            some.iter().map(|v| format!("`\"{}\"`", v.get_name())).collect::<Vec<_>>().join(" or ")
        }
    };
    let default = arg.get_default_values().iter().map(|v| format!("`{}`", text(v)));
    let default = default.collect::<Vec<_>>().join(", ");
    let mut help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    if !help.ends_with('.') {
        help.push('.');
    }
    if key.name != key.option {
        let _ = write!(help, " `--{}`.", key.option);
    }
    if let Some(name) = arg.get_env() {
        let _ = write!(help, " Environment: `{}`.", text(name));
    }
    let help = help.replace('|', "\\|");
    let _ = writeln!(out, "| `{}` | {value} | {default} | {help} |", key.name);
}

#[test]
fn the_page_names_every_key() {
    // Not env!: two checkouts may share a target directory.
    let root = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where the package is");
    let path = PathBuf::from(root).join("docs/config.md");
    let page = std::fs::read_to_string(&path).expect("docs/config.md is there");
    let begin = page.find(BEGIN).expect("the page has a place for the keys") + BEGIN.len();
    let end = page.find(END).expect("the table has an end");
    let right = format!("{}{}\n{}", &page[..begin], table(), &page[end..]);
    if std::env::var_os("MUSTER_BLESS").is_some() {
        std::fs::write(&path, &right).expect("written");
    } else {
        assert_eq!(page, right, "docs/config.md is old: MUSTER_BLESS=1 writes it");
    }
}
