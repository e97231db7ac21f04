//! The factory's key in an HSM: SoftHSM2, in a folder of the test.

use crate::muster::Muster;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Where Debian puts it, on any architecture.
fn module() -> String {
    let found = ["/usr/lib/softhsm/libsofthsm2.so"].into_iter().find(|p| Path::new(p).exists());
    found.expect("package softhsm2 is installed (cargo xtask test does it)").to_owned()
}

/// A token of its own, named `factory`, with its PIN in a file.
fn with_token() -> Muster {
    let mut muster = Muster::new();
    fs::create_dir(muster.path("tokens")).expect("a folder");
    let tokens = muster.path("tokens");
    let conf = format!("directories.tokendir = {}\nobjectstore.backend = file\n", tokens.display());
    fs::write(muster.path("softhsm2.conf"), conf).expect("written");
    muster.set("SOFTHSM2_CONF", muster.path("softhsm2.conf").display().to_string());
    for label in ["factory", "other"] {
        let made = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label, "--pin", "1234", "--so-pin", "5678"])
            .env("SOFTHSM2_CONF", muster.path("softhsm2.conf"))
            .output()
            .expect("softhsm2-util runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    fs::write(muster.path("pin"), "1234\n").expect("written");
    muster
}

fn address(muster: &Muster, object: &str) -> String {
    let (module, pin) = (module(), muster.path("pin"));
    format!(
        "pkcs11:token=factory;object={object}?module-path={module}&pin-source=file:{}",
        pin.display()
    )
}

#[test]
fn a_key_in_a_token_enrols_and_revokes() {
    let muster = with_token();
    muster.json(&["init", "--unsealed"]);
    let node = muster.serve(&["serve"]);
    let at_node = ["--node", &node.url];
    for algorithm in ["ed25519", "p256"] {
        let key = address(&muster, algorithm);
        let made = muster.json(&["key", "new", &key, "--algorithm", algorithm]);
        assert_eq!(
            (&made["algorithm"], &made["sealed"]),
            (&algorithm.into(), &serde_json::Value::Null)
        );
        assert_eq!(muster.json(&["key", "show", &key])["key"], made["key"]);
        let words = muster.refused(&["key", "new", &key, "--algorithm", algorithm], 1);
        assert!(words.contains("such a key already"), "{words}");

        // Not before the organisation takes it in.
        let pem = format!("{algorithm}.pem");
        let row = muster.line(&["device", "new", &pem, "--model", "m"]);
        let file = format!("{algorithm}.jsonl");
        fs::write(muster.path(&file), row).expect("written");
        let enrol = [&["enrol", &file, "--sign-with", &key], &at_node[..]].concat();
        assert!(!muster.output(&enrol).status.success());
        let add = ["org", "key", "add", &key, "--can", "enrol,operate"];
        let by_root = ["--sign-with", "home/keys/root.pem"];
        let added = muster.json(&[&add[..], &by_root, &at_node].concat());
        assert_eq!(added["key"], made["key"]);
        assert_eq!(muster.json(&enrol)["enrolled"], 1);
        let did = muster.line(&["device", "did", &pem]);
        muster.json(&[&["revoke", &did, "--sign-with", &key], &at_node[..]].concat());
        let shown = muster.json(&[&["show", &did], &at_node[..]].concat());
        assert_eq!(shown["device"]["standing"], "revoked");
    }
    node.stop();
    assert_eq!(muster.json(&["ledger", "audit"])["clean"], true);
}

#[test]
fn a_token_that_does_not_fit_is_told_apart() {
    let mut muster = with_token();
    let key = address(&muster, "line");
    muster.json(&["key", "new", &key]);
    let refused = |muster: &Muster, key: &str, why: &str, status: i32| {
        let words = muster.refused(&["key", "show", key], status);
        assert!(words.contains(why), "{key}: {words}");
    };
    refused(&muster, &key.replace("object=line", "object=lane"), "no such key", 1);
    refused(&muster, &key.replace("token=factory", "token=fabric"), "no token fits", 1);
    refused(&muster, &key.replace("token=factory;", ""), "2 tokens fit", 1);
    refused(&muster, &key.replace("libsofthsm2", "libnothing"), "PKCS #11", 1);
    refused(&muster, &format!("{key}&pin-value=1234"), "pin-value", 2);
    fs::write(muster.path("pin"), "4321\n").expect("written");
    refused(&muster, &key, "refuses the PIN", 1);

    // The PIN and the library from the environment.
    let bare = "pkcs11:token=factory;object=line";
    refused(&muster, bare, "module-path", 1);
    muster.set("MUSTER_PKCS11_MODULE", module());
    refused(&muster, bare, "MUSTER_PIN", 1);
    muster.set("MUSTER_PIN", "1234");
    assert_eq!(muster.json(&["key", "show", bare])["algorithm"], "ed25519");
}

/// A key that was made elsewhere, by the vendor's tool.
#[test]
fn an_imported_key_is_the_key_of_its_file() {
    let muster = with_token();
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"])
        .arg(muster.path("p256.pem"))
        .output()
        .expect("openssl runs");
    assert!(made.status.success());
    let imported = Command::new("softhsm2-util")
        .args([
            "--import", "p256.pem", "--token", "factory", "--label", "imported", "--id", "a1",
            "--pin", "1234",
        ])
        .current_dir(muster.path(""))
        .env("SOFTHSM2_CONF", muster.path("softhsm2.conf"))
        .output()
        .expect("softhsm2-util runs");
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let file = muster.json(&["key", "show", "p256.pem"]);
    let by_id = address(&muster, "imported").replace("object=imported", "id=%a1");
    for key in [address(&muster, "imported"), by_id] {
        assert_eq!(muster.json(&["key", "show", &key])["key"], file["key"], "{key}");
    }
}
