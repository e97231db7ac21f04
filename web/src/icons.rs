//! The pictures of the pages, drawn by ourselves.

use std::fmt;

/// A picture beside words that say the same: it is hidden from those who listen.
pub(crate) struct Icon(&'static str);

/// The picture of a name.
pub(crate) fn icon(name: &str) -> Icon {
    Icon(match name {
        "mark" => r#"<path d="M4 19V6.5L12 13l8-6.5V19"/><path d="M4 19h4M16 19h4"/>"#,
        "menu" => r#"<path d="M4 7h16M4 12h16M4 17h16"/>"#,
        "overview" => {
            r#"<rect x="4" y="4" width="7" height="9" rx="1.5"/><rect x="13" y="4" width="7" height="5" rx="1.5"/><rect x="13" y="11" width="7" height="9" rx="1.5"/><rect x="4" y="15" width="7" height="5" rx="1.5"/>"#
        }
        "devices" => {
            r#"<rect x="7" y="7" width="10" height="10" rx="2"/><path d="M10 3v4M14 3v4M10 17v4M14 17v4M3 10h4M3 14h4M17 10h4M17 14h4"/>"#
        }
        "batches" => {
            r#"<path d="M12 3 3 7.5l9 4.5 9-4.5L12 3Z"/><path d="m3 12 9 4.5 9-4.5M3 16.5 12 21l9-4.5"/>"#
        }
        "import" => {
            r#"<path d="M12 3v11M8 10l4 4 4-4"/><path d="M4 16v3a2 2 0 0 0 2 2h12a2 2 0 0 0 2-2v-3"/>"#
        }
        "revoke" => r#"<circle cx="12" cy="12" r="8.5"/><path d="m6 6 12 12"/>"#,
        "approvals" => r#"<path d="M9 11.5 11.5 14 16 9"/><circle cx="12" cy="12" r="8.5"/>"#,
        "gateways" => r#"<path d="M5 21V10l7-6 7 6v11"/><path d="M10 21v-6h4v6"/>"#,
        "ledger" => {
            r#"<rect x="3" y="9" width="5" height="6" rx="1"/><rect x="16" y="9" width="5" height="6" rx="1"/><path d="M8 12h8"/>"#
        }
        "organisation" => {
            r#"<circle cx="9" cy="8" r="3.5"/><path d="M3 20c0-3.5 2.5-6 6-6s6 2.5 6 6"/><path d="M16 5.5a3.5 3.5 0 0 1 0 6M18 14.5c2 .8 3 2.8 3 5.5"/>"#
        }
        "audit" => r#"<path d="M8 4h8l3 3v13H5V4h3Z"/><path d="M8.5 11h7M8.5 15h7"/>"#,
        "theme" => {
            r#"<circle cx="12" cy="12" r="8.5"/><path d="M12 3.500v17a8.5 8.5 0 0 0 0-17Z" fill="currentColor"/>"#
        }
        "columns" => {
            r#"<rect x="4" y="5" width="16" height="14" rx="1.5"/><path d="M9.5 5v14M14.5 5v14"/>"#
        }
        "copy" => {
            r#"<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M15 5.5V5a1.5 1.5 0 0 0-1.5-1.5h-8A1.5 1.5 0 0 0 4 5v8.5A1.5 1.5 0 0 0 5.5 15H6"/>"#
        }
        _ => r#"<circle cx="12" cy="12" r="8.5"/>"#,
    })
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"<svg class="icon" viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">{}</svg>"#,
            self.0
        )
    }
}

/// It writes its own mark-up from the texts above alone.
impl askama::filters::HtmlSafe for Icon {}
