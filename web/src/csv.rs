//! Files for spreadsheets (RFC 4180).

/// A spreadsheet takes a cell that begins so for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// Writes a line.
pub(crate) fn line<T: AsRef<str>>(cells: &[T], out: &mut String) {
    for (i, text) in cells.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        cell(text.as_ref(), out);
    }
    out.push_str("\r\n");
}

/// A cell (RFC 4180 §2, rules 5 to 7) that no spreadsheet takes for a formula.
fn cell(text: &str, out: &mut String) {
    let guard = if text.starts_with(FORMULA) { "'" } else { "" };
    if text.contains([',', '"', '\r', '\n']) {
        out.push('"');
        out.push_str(guard);
        out.push_str(&text.replace('"', "\"\""));
        out.push('"');
    } else {
        out.push_str(guard);
        out.push_str(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        cell(text, &mut out);
        out
    }

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        assert_eq!(written("SN-1"), "SN-1");
        assert_eq!(written("a,b"), "\"a,b\"");
        assert_eq!(written("a\"b"), "\"a\"\"b\"");
        assert_eq!(written("a\r\nb"), "\"a\r\nb\"");
        assert_eq!(written("a,\"b\"\n"), "\"a,\"\"b\"\"\n\"");
    }

    #[test]
    fn no_cell_is_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "=HYPERLINK(1)"] {
            assert_eq!(written(text), format!("'{text}"));
        }
        assert_eq!(written("=HYPERLINK(\"a\",\"b\")"), "\"'=HYPERLINK(\"\"a\"\",\"\"b\"\")\"");
        assert_eq!(written("\rx"), "\"'\rx\"");
    }
}
