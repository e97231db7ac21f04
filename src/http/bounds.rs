//! `GET /v1/limits`.

use muster_api::{LimitsView, limits};

/// Every bound of the code that answers.
pub(crate) fn all_limits() -> LimitsView {
    LimitsView::of(&[
        ("ledger", muster_ledger::limits::all()),
        ("api", limits::all()),
        ("verifier", muster_verifier::limits::all()),
        ("gateway", muster_gateway::limits::all()),
    ])
}

#[cfg(test)]
mod tests {
    use super::all_limits;
    use muster_api::LimitValue;
    use std::collections::BTreeSet;

    /// Constants that stand in the code of a crate's limits.
    fn constants(text: &str) -> Vec<&str> {
        let lines = text.lines().filter_map(|line| line.trim().strip_prefix("pub const "));
        lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name).collect()
    }

    #[test]
    fn every_bound_is_served_with_unit_and_reason() {
        let view = all_limits();
        let crates = [
            ("ledger", include_str!("../../ledger/src/limits.rs")),
            ("api", include_str!("../../api/src/limits.rs")),
            ("verifier", include_str!("../../verifier/src/limits.rs")),
            ("gateway", include_str!("../../gateway/src/limits.rs")),
        ];
        for (of, text) in crates {
            let served: Vec<_> = view.limits.iter().filter(|limit| limit.of == of).collect();
            let names: Vec<&str> = served.iter().map(|limit| limit.name.as_str()).collect();
            assert_eq!(names, constants(text), "{of}");
            assert!(names.len() > 5, "{of}: constants are looked for in vain");
            for limit in served {
                assert!(!limit.unit.is_empty() && limit.reason.len() > 10, "{}", limit.name);
                assert!(!limit.reason.contains('`') || limit.reason.matches('`').count() % 2 == 0);
                let two = matches!(limit.value, LimitValue::Two(_));
                assert_eq!(two, limit.unit.contains(", and "), "{}: {}", limit.name, limit.unit);
            }
        }
        let of: BTreeSet<&str> = view.limits.iter().map(|limit| limit.of.as_str()).collect();
        assert_eq!(of.len(), crates.len());
    }

    #[test]
    fn numbers_are_those_of_the_code() {
        let view = all_limits();
        let value = |of: &str, name: &str| {
            let found = view.limits.iter().find(|limit| limit.of == of && limit.name == name);
            found.expect(name).value
        };
        use LimitValue::{One, Two};
        assert_eq!(value("ledger", "BATCH_DEVICES"), One(1 << 20));
        assert_eq!(value("api", "NODE_PORT"), One(7_700));
        assert_eq!(value("gateway", "FETCH_WAIT"), One(3_000));
        assert_eq!(value("gateway", "BACKOFF"), Two([200, 5_000]));
        assert_eq!(value("gateway", "LOOK_UPS"), Two([500, 4_000]));
    }

    /// Every route stands in the page that says who may ask it.
    #[test]
    fn every_route_has_its_line() {
        let page = include_str!("../../docs/formats/http.md");
        let code = [include_str!("node.rs"), include_str!("gateways.rs")].concat();
        let routes: BTreeSet<&str> = code
            .split('"')
            .filter(|text| text.starts_with('/') && text.bytes().all(|b| b.is_ascii_graphic()))
            .collect();
        assert!(routes.len() > 20 && routes.contains("/v1/lots"), "{routes:?}");
        for route in routes {
            let ends = ["`", "[", "?"].map(|end| format!("{route}{end}"));
            assert!(ends.iter().any(|line| page.contains(line)), "{route} is not in http.md");
        }
    }
}
