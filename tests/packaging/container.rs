//! The container file. No image can be built where these tests run, so they hold what can be held:
//! what is copied exists, the binary needs no library that the last stage lacks, and the commands
//! in it are commands.

use crate::tree::{read, root};
use std::process::Command;

/// Libraries that `distroless/cc-debian12` has.
const IN_IMAGE: [&str; 5] =
    ["linux-vdso.so.1", "libgcc_s.so.1", "libm.so.6", "libc.so.6", "ld-linux-"];

fn lines() -> Vec<String> {
    let text = read("packaging/Containerfile").replace("\\\n", "");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

#[test]
fn what_is_copied_exists() {
    let mut made_by_build = 0;
    for line in lines() {
        let Some(copied) = line.strip_prefix("COPY ") else { continue };
        let words: Vec<&str> = copied.split(' ').filter(|word| !word.starts_with("--")).collect();
        if copied.contains("--from=build") {
            let run = lines().into_iter().find(|line| line.starts_with("RUN ")).expect("a build");
            assert!(run.split(' ').any(|word| word == words[0]), "{}: nothing makes it", words[0]);
            made_by_build += 1;
        } else {
            assert!(root().join(words[0]).exists(), "{}", words[0]);
        }
    }
    assert_eq!(made_by_build, 2);
}

#[test]
fn the_last_stage_has_every_library() {
    let ldd = Command::new("ldd").arg(env!("CARGO_BIN_EXE_muster")).output().expect("ldd runs");
    let needed = String::from_utf8(ldd.stdout).expect("text");
    assert!(needed.lines().count() >= 3, "{needed}");
    for line in needed.lines() {
        let known = IN_IMAGE.iter().any(|name| line.contains(name));
        assert!(known, "{line}: not in gcr.io/distroless/cc-debian12");
    }
}

#[test]
fn versions_users_and_commands_fit_together() {
    let text = lines().join("\n");
    let version = read("Cargo.toml");
    let (_, version) = version.split_once("rust-version = \"").expect("a version");
    let version = version.split('"').next().expect("a version");
    assert!(text.contains(&format!("rust:{version}-bookworm")), "not the compiler of Cargo.toml");
    assert!(text.contains("\nUSER 65532:65532") && text.contains(":nonroot"));
    let ports = [muster_api::limits::NODE_PORT, muster_api::limits::GATEWAY_PORT];
    assert!(text.contains(&format!("EXPOSE {} {}", ports[0], ports[1])));
    for command in [&["ledger", "status", "--help"][..], &["serve", "--help"]] {
        let help = Command::new(env!("CARGO_BIN_EXE_muster")).args(command).output();
        assert!(help.expect("it runs").status.success(), "{command:?}");
    }
}
