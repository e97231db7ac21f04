//! Key files sealed by a passphrase: by every way that a passphrase comes, and with OpenSSL as
//! the second reader and writer.

use crate::muster::Muster;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output, Stdio};

const PASSPHRASE: &str = "correct horse battery staple";
const ORGANISATION: [&str; 5] = [
    "keys/root.pem",
    "keys/recovery.pem",
    "keys/admin.pem",
    "keys/admin2.pem",
    "keys/node-copy.pem",
];

fn openssl(muster: &Muster, args: &[&str]) -> Output {
    Command::new("openssl").args(args).current_dir(muster.home()).output().expect("openssl runs")
}

#[test]
fn init_seals_every_key_and_openssl_opens_them() {
    let mut muster = Muster::new();
    fs::write(muster.path("pass"), format!("{PASSPHRASE}\nmore\n")).expect("written");
    fs::write(muster.path("node-pass"), "of the node").expect("written");
    let words = muster.refused(&["init", "--seal"], 1);
    assert!(words.contains("--passphrase-file"), "{words}");
    assert!(!muster.home().join("FORMAT").exists(), "nothing was begun");
    let made = muster.json(&[
        "init",
        "--seal",
        "--passphrase-file",
        "pass",
        "--node-passphrase-file",
        "node-pass",
    ]);
    assert_eq!((&made["sealed"], &made["node_sealed"]), (&true.into(), &true.into()));
    for file in ORGANISATION {
        let path = muster.home().join(file);
        let text = fs::read_to_string(&path).expect("the key file");
        assert!(text.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"), "{file}: {text}");
        assert_eq!(fs::metadata(&path).expect("it").permissions().mode() & 0o777, 0o600, "{file}");
        let pass = format!("pass:{PASSPHRASE}");
        let opened = openssl(&muster, &["pkcs8", "-in", file, "-passin", &pass]);
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        // What OpenSSL took out is the key that Muster shows.
        fs::write(muster.path("plain.pem"), &opened.stdout).expect("written");
        let plain = muster.json(&["key", "show", "plain.pem"]);
        let shown = ["key", "show", path.to_str().expect("text"), "--passphrase-file", "pass"];
        let sealed = muster.json(&shown);
        assert_eq!(plain["key"], sealed["key"]);
        assert_eq!((&plain["sealed"], &sealed["sealed"]), (&false.into(), &true.into()));
        assert!(
            !openssl(&muster, &["pkcs8", "-in", file, "-passin", "pass:wrong"]).status.success()
        );
    }

    // The node opens its key with nobody near: without its passphrase, or by that of the
    // organisation, it does not start.
    let words = muster.refused(&["serve", "--listen", "127.0.0.1:0"], 1);
    assert!(words.contains("node.pem") && words.contains("MUSTER_PASSPHRASE"), "{words}");
    let words =
        muster.refused(&["serve", "--listen", "127.0.0.1:0", "--passphrase-file", "pass"], 1);
    assert!(words.contains("wrong passphrase"), "{words}");
    let node = muster.serve(&["serve", "--passphrase-file", "node-pass"]);

    // The daily key signs by the environment, by a file, by a descriptor; not by another word.
    let revoke = |muster: &Muster, name: &str| {
        let row = muster.line(&["device", "new", name, "--model", "m"]);
        fs::write(muster.path("row.jsonl"), row).expect("written");
        ["enrol", "row.jsonl", "--node", &node.url, "--json"].map(str::to_owned)
    };
    let row = revoke(&muster, "a.pem");
    let row: Vec<&str> = row.iter().map(String::as_str).collect();
    let words = muster.refused(&row, 1);
    assert!(words.contains("admin.pem is sealed"), "{words}");
    let mut child = muster
        .command(&[&row[..], &["--passphrase-fd", "0"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{PASSPHRASE}").expect("written");
    drop(input);
    assert!(child.wait_with_output().expect("it ends").status.success());
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    let row = muster.line(&["device", "new", "b.pem", "--model", "m"]);
    fs::write(muster.path("b.jsonl"), row).expect("written");
    let told = muster.json(&["enrol", "b.jsonl", "--node", &node.url]);
    assert_eq!(told["enrolled"], 1);
    // A key that is made is sealed by the passphrase that is given.
    muster.json(&[
        "org",
        "key",
        "add",
        "line.pem",
        "--can",
        "enrol",
        "--node",
        &node.url,
        "--sign-with",
        "home/keys/root.pem",
    ]);
    assert_eq!(muster.json(&["key", "show", "line.pem"])["sealed"], true);
    muster.set("MUSTER_PASSPHRASE", "wrong");
    let words = muster.refused(&["key", "show", "line.pem"], 1);
    assert!(words.contains("wrong passphrase"), "{words}");
    // A service manager's file is the last resort: whatever else is said goes before it.
    muster.set("MUSTER_PASSPHRASE_FILE", "pass");
    let words = muster.refused(&["key", "show", "line.pem"], 1);
    assert!(words.contains("wrong passphrase"), "{words}");
    muster.set("MUSTER_PASSPHRASE", "");
    assert_eq!(muster.json(&["key", "show", "line.pem"])["sealed"], true);
    let words = muster.refused(&["key", "show", "line.pem", "--passphrase-file", "node-pass"], 1);
    assert!(words.contains("wrong passphrase"), "{words}");
}

#[test]
fn keys_are_sealed_and_unsealed_in_place() {
    let mut muster = Muster::new();
    let output = muster.output(&["init", "--json"]);
    assert!(output.status.success());
    let warned = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(warned.contains("UNSEALED") && warned.contains("muster key seal"), "{warned}");
    let key = "home/keys/admin.pem";
    let before = muster.json(&["key", "show", key]);
    // Also an unsealed file is one that OpenSSL reads.
    let read = openssl(&muster, &["pkey", "-in", "keys/admin.pem", "-noout"]);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let words = muster.refused(&["key", "seal", key], 1);
    assert!(words.contains("a passphrase is needed"), "{words}");
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    assert_eq!(muster.json(&["key", "seal", key])["key"], before["key"]);
    let words = muster.refused(&["key", "seal", key], 1);
    assert!(words.contains("sealed already"), "{words}");
    assert_eq!(muster.json(&["key", "unseal", key])["sealed"], false);
    assert_eq!(muster.json(&["key", "show", key])["key"], before["key"]);
    let text = fs::read_to_string(muster.path(key)).expect("the file");
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----"));
    let left: Vec<_> = fs::read_dir(muster.path("home/keys")).expect("the folder").collect();
    assert_eq!(left.len(), 6, "nothing is left beside: {left:?}");
    // A key is never written over another.
    let words = muster.refused(&["key", "new", key], 1);
    assert!(words.contains("never written over"), "{words}");
}

#[test]
fn what_openssl_sealed_is_read() {
    let mut muster = Muster::new();
    muster.json(&["init", "--unsealed"]);
    muster.set("MUSTER_PASSPHRASE", PASSPHRASE);
    let pass = format!("pass:{PASSPHRASE}");
    for (name, make) in [
        ("ed", &["genpkey", "-algorithm", "ed25519", "-out", "ed.pem"][..]),
        (
            "p256",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-out",
                "p256.pem",
            ],
        ),
    ] {
        assert!(openssl(&muster, make).status.success());
        let plain = format!("{name}.pem");
        for (how, options) in [("pbkdf2", &["-v2", "aes-256-cbc"][..]), ("scrypt", &["-scrypt"])] {
            let sealed = format!("{name}-{how}.pem");
            let to = ["pkcs8", "-topk8", "-in", &plain, "-out", &sealed, "-passout", &pass];
            assert!(openssl(&muster, &[&to[..], options].concat()).status.success());
            let show = |file: &str| muster.json(&["key", "show", &format!("home/{file}")]);
            assert_eq!(show(&sealed)["key"], show(&plain)["key"], "{sealed}");
        }
    }
}

/// `script` gives the command a terminal of its own, on which somebody types.
#[test]
fn a_terminal_is_asked_and_does_not_show_what_is_typed() {
    let muster = Muster::new();
    let binary = env!("CARGO_BIN_EXE_muster");
    let typed = |command: &str, lines: &[&str]| {
        let mut child = Command::new("script")
            .args(["-qec", &format!("{binary} --home home {command}"), "/dev/null"])
            .current_dir(muster.path(""))
            .env_remove("MUSTER_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs (package bsdutils)");
        let mut input = child.stdin.take().expect("piped");
        let mut output = child.stdout.take().expect("piped");
        let (mut said, mut piece) = (String::new(), [0; 1_024]);
        let mut lines = lines.iter();
        loop {
            let n = output.read(&mut piece).expect("the terminal is read");
            said.push_str(&String::from_utf8_lossy(&piece[..n]));
            // Typed when it is asked for: before that a terminal shows what is typed.
            if said.ends_with(": ")
                && let Some(line) = lines.next()
            {
                // The terminal is told not to show it right after it is asked for.
                std::thread::sleep(std::time::Duration::from_millis(500));
                writeln!(input, "{line}").expect("typed");
            }
            if n == 0 {
                break;
            }
        }
        (child.wait().expect("it ends").success(), said)
    };
    let (well, said) = typed("init", &[PASSPHRASE, PASSPHRASE]);
    assert!(well && said.contains("sealed by your passphrase"), "{said}");
    assert!(said.contains("New passphrase") && !said.contains("horse"), "{said}");
    let (well, said) = typed("key show home/keys/root.pem", &["wrong", PASSPHRASE]);
    assert!(well && said.contains("does not open") && said.contains("sealed by"), "{said}");
    assert!(!said.contains("horse"), "{said}");
}

#[cfg(not(feature = "pkcs11"))]
#[test]
fn a_token_needs_a_build_that_knows_tokens() {
    let words = Muster::new().refused(&["key", "show", "pkcs11:object=a"], 1);
    assert!(words.contains("cargo build --release --features pkcs11"), "{words}");
}
