//! The tests of this program once more, on a PostgreSQL server; and what only a server can do:
//! die, be held by another node, be set up wrongly.

use std::process::Command;

/// Whoever runs the tests says by this variable that ledgers are to be in PostgreSQL.
pub(crate) const ASKED: &str = "MUSTER_TEST_POSTGRES";

/// Modules whose tests say nothing of files.
const MODULES: [&str; 10] = [
    "attacks::", "clock::", "console::", "coverage::", "durability::", "enrol::", "feed::",
    "governance::", "lots::", "uploads::",
];

/// Tests that look into SQLite's files, or put copies of them back.
const OF_FILES: [&str; 0] = [];

#[test]
fn the_same_tests_pass() {
    if std::env::var_os(ASKED).is_some() {
        return;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.env(ASKED, "1").args(MODULES).args(["readers::", "standing::", "verdicts::"]);
    for name in OF_FILES {
        again.args(["--skip", name]);
    }
    let done = again.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    // It did run them.
    let ran = said.lines().find(|line| line.starts_with("test result: ok. ")).unwrap();
    let count: u32 = ran.split(' ').nth(3).unwrap().parse().unwrap();
    assert!(count > 60, "{ran}");
}
