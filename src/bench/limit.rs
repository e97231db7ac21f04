//! The limit of this machine: the work that cannot be left out, done by others' crates alone.
//! Bytes go in, times come out, and nothing of ours is used (a test holds that).

pub(super) mod http;
pub(super) mod inserts;
pub(super) mod loopback;
pub(super) mod pages;
pub(super) mod signatures;

#[cfg(test)]
mod tests {
    /// Else the limit would be measured with the code it is the limit of.
    #[test]
    fn nothing_of_ours_is_used() {
        let files = [
            include_str!("limit/http.rs"),
            include_str!("limit/inserts.rs"),
            include_str!("limit/loopback.rs"),
            include_str!("limit/pages.rs"),
            include_str!("limit/signatures.rs"),
        ];
        for file in files {
            for word in ["muster_", "crate::", "super::"] {
                assert!(!file.contains(word), "{word} in {}", file.lines().next().unwrap_or(""));
            }
        }
    }
}
