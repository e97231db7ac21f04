/// The path of a request's target, if it is its own one plain form. A path that a service may read
/// as another one (`//`, `..`, `;`, escapes that need not be; RFC 3986 §3.3, §6.2.2) is none: rules
/// by path cannot be got round.
pub fn plain_path(path: &str) -> Option<&str> {
    let path = path.split(['?', '#']).next()?;
    let segments = path.strip_prefix('/')?;
    let odd = |segment: &str| matches!(segment, "." | "..");
    let empty = segments.split('/').rev().skip(1).any(str::is_empty);
    (!empty
        && !segments.split('/').any(odd)
        && !path.contains(['\\', ';'])
        && escapes_are_needed(path))
    .then_some(path)
}

fn escapes_are_needed(path: &str) -> bool {
    path.split('%').skip(1).all(|rest| {
        let digits = rest.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).is_some_and(|byte| {
            let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            !unreserved && !b"/\\%".contains(&byte) && byte > 0x1f
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_two_readings_is_none() {
        for plain in ["/", "/a", "/a/b/", "/a%20b", "/a/.well-known", "/%c3%a9"] {
            assert_eq!(plain_path(plain), Some(plain));
        }
        for odd in [
            "", "a", "//", "//a", "/a//b", "/a/../b", "/./a", "/a/..", "/%61", "/a%2fb", "/a%2Eb",
            "/%5cb", "/a\\b", "/%2561", "/%", "/%4", "/%zz", "/%00", "/a;b",
        ] {
            assert_eq!(plain_path(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_query_is_no_part_of_the_path() {
        assert_eq!(plain_path("/a?b=/../c"), Some("/a"));
        assert_eq!(plain_path("/a#//"), Some("/a"));
    }
}
