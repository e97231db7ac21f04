use super::{consensus, http, process};
use muster_api::Metric;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn all() -> Vec<(&'static str, Vec<Metric>)> {
    let both = [http::METRICS, process::METRICS].concat();
    vec![
        ("Of a node", muster_registry::metrics::METRICS.to_vec()),
        ("Of a node, about those who decide", consensus::METRICS.to_vec()),
        ("Of a gateway", muster_gateway::metrics::METRICS.to_vec()),
        ("Of both", both),
    ]
}

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

fn table(metrics: &[Metric]) -> String {
    let mut text =
        String::from("| name | type | labels | unit | what it says |\n|---|---|---|---|---|\n");
    for Metric { name, kind, unit, labels, help } in metrics {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, labels) = (kind.word(), labels.join(", "));
        text += &format!("| `{name}` | {kind} | {labels} | {unit} | {help} |\n");
    }
    text
}

/// The tables of `docs/metrics.md` are what the code declares; `MUSTER_BLESS=1` writes them anew.
#[test]
fn the_page_lists_what_is_declared() {
    const MARK: &str = "<!-- What follows is made from the code. -->\n";
    let page = docs("metrics.md");
    let found = fs::read_to_string(&page).expect("the page");
    let (words, tables) = found.split_once(MARK).expect("the page has its mark");
    let made: String = all()
        .iter()
        .map(|(title, metrics)| format!("\n## {title}\n\n{}", table(metrics)))
        .collect();
    if std::env::var_os("MUSTER_BLESS").is_some() {
        fs::write(&page, format!("{words}{MARK}{made}")).expect("written");
        return;
    }
    assert_eq!(tables, made, "MUSTER_BLESS=1 writes it");
}

#[test]
fn names_are_names_and_stand_once() {
    let mut names = BTreeSet::new();
    for metric in all().iter().flat_map(|(_, metrics)| metrics) {
        let name = metric.name;
        assert!(names.insert(name), "{name} twice");
        assert!(name.starts_with("muster_") || name.starts_with("process_"), "{name}");
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
        let counter = matches!(metric.kind, muster_api::Kind::Counter);
        assert_eq!(counter, name.ends_with("_total"), "{name}");
        assert!(metric.help.ends_with('.') && !metric.help.contains('\\'), "{name}");
    }
}

/// Every metric that a board or a rule asks for is declared, with the labels that are asked for.
#[test]
fn the_board_asks_for_what_there_is() {
    let declared: BTreeMap<&str, Metric> =
        all().into_iter().flat_map(|(_, metrics)| metrics).map(|m| (m.name, m)).collect();
    let file = docs("samples/grafana/muster.json");
    let text = fs::read_to_string(&file).expect("the board");
    let board: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut queries = Vec::new();
    for panel in board["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            queries.push(target["expr"].as_str().expect("a query").to_owned());
        }
    }
    assert!(queries.len() > 15, "{} queries", queries.len());
    let mut asked = BTreeSet::new();
    for query in &queries {
        let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let names = query.split(|c| !is_word(c));
        for name in names.filter(|n| n.starts_with("muster_") || n.starts_with("process_")) {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let metric = declared.get(name).or_else(|| declared.get(base?));
            let metric = metric.unwrap_or_else(|| panic!("{name} of {query:?} is not declared"));
            asked.insert(metric.name);
        }
        for by in query.split("by (").skip(1) {
            let labels = by.split(')').next().expect("a bracket").split(',').map(str::trim);
            for label in labels.filter(|label| !matches!(*label, "le" | "instance" | "job")) {
                let known =
                    declared.values().any(|m| query.contains(m.name) && m.labels.contains(&label));
                assert!(known, "{label} of {query:?}");
            }
        }
    }
    for needed in ["muster_failing", "muster_gateway_ready", "muster_certificate_expiry_seconds"] {
        assert!(asked.contains(needed), "{needed} is on no board");
    }
}
