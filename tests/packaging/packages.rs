//! The packages: what is in them, that they are signed and made again alike, and that they go into
//! a clean Debian and out of it again.

use crate::machine::Machine;
use crate::tree::root;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The packages of this checkout, with the binary that the tests have already.
pub(crate) fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| make("packages"))
}

fn make(name: &str) -> PathBuf {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&out);
    let key = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-key.pem");
    if !key.exists() {
        // The key of a release is one of ours: `openssl` signs with it.
        ran(Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["key", "new", "--unsealed"])
            .arg(&key));
    }
    let mut package = Command::new(env!("CARGO"));
    package.args(["run", "--quiet", "--locked", "--package", "xtask", "--", "package"]);
    package.args(["--binary", env!("CARGO_BIN_EXE_muster"), "--sign-with"]).arg(&key);
    ran(package.arg("--out").arg(&out).current_dir(root()));
    out
}

fn ran(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    let wrong = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{told}{wrong}");
    told
}

/// The Debian package of the whole.
pub(crate) fn deb() -> PathBuf {
    let files =
        fs::read_dir(packages()).expect("packages").map(|file| file.expect("a file").path());
    let mut debs = files.filter(|file| file.extension().is_some_and(|end| end == "deb"));
    debs.next().expect("a package was made")
}

#[test]
fn checksums_are_signed_and_a_changed_file_shows() {
    let copy = tempfile::tempdir().expect("a folder");
    ran(Command::new("cp").arg("-r").arg(packages()).arg(copy.path()));
    let dir = copy.path().join("packages");
    // As docs/packages.md has it.
    let check = "openssl pkeyutl -verify -pubin -inkey SHA256SUMS.pub -rawin -in SHA256SUMS \
                 -sigfile SHA256SUMS.sig && sha256sum --check --quiet SHA256SUMS";
    assert!(crate::tree::read("docs/packages.md").contains(&check.replace(" && ", "\n")));
    let checked = || Command::new("sh").args(["-c", check]).current_dir(&dir).output().expect("sh");
    assert!(checked().status.success(), "{:?}", checked());
    let sums = fs::read_to_string(dir.join("SHA256SUMS")).expect("sums");
    assert_eq!(sums.lines().count(), fs::read_dir(&dir).expect("files").count() - 3, "{sums}");

    let deb = dir.join(deb().file_name().expect("a name"));
    let mut bytes = fs::read(&deb).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&deb, bytes).expect("written");
    assert!(!checked().status.success(), "a changed package");
    fs::write(dir.join("SHA256SUMS"), sums.replace('1', "2")).expect("written");
    assert!(!checked().status.success(), "changed sums");
}

#[test]
fn the_same_binary_gives_the_same_packages() {
    // One after the other: they are made in one place.
    let first = packages();
    let again = make("packages-again");
    let sums = |dir: &Path| fs::read_to_string(dir.join("SHA256SUMS")).expect("sums");
    assert_eq!(sums(first), sums(&again));
}

#[test]
fn the_bill_names_every_crate_that_is_linked() {
    let bill = fs::read_dir(packages()).expect("packages").map(|file| file.expect("a file").path());
    let bill = bill.into_iter().find(|file| file.to_string_lossy().ends_with(".cdx.json"));
    let bill = fs::read(bill.expect("a bill")).expect("read");
    let bill: Value = serde_json::from_slice(&bill).expect("JSON");
    assert_eq!((&bill["bomFormat"], &bill["specVersion"]), (&"CycloneDX".into(), &"1.5".into()));
    let mut named = BTreeSet::new();
    for part in bill["components"].as_array().expect("components") {
        let purl = part["purl"].as_str().expect("a purl");
        assert!(part["licenses"][0]["expression"].is_string(), "{purl}");
        // A crate of ours has no checksum, since it has no registry.
        let ours = part["name"].as_str().expect("a name").starts_with("muster-");
        assert_eq!(part["hashes"][0]["content"].is_string(), !ours, "{purl}");
        assert!(named.insert(purl.to_owned()), "{purl} twice");
    }
    let tree = ["tree", "--locked", "--package", "muster", "--edges", "normal", "--prefix", "none"];
    let tree = ran(Command::new(env!("CARGO")).args(tree).args(["--features", "pkcs11"]));
    let linked: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().expect("a version")))
        .map(|(name, version)| format!("pkg:cargo/{name}@{version}"))
        .filter(|purl| !purl.starts_with("pkg:cargo/muster@"))
        .collect();
    assert_eq!(named, linked);
    for edge in bill["dependencies"].as_array().expect("dependencies") {
        for to in edge["dependsOn"].as_array().expect("a list") {
            assert!(named.contains(to.as_str().expect("a purl")), "{edge}");
        }
    }
}

#[test]
fn the_package_goes_in_runs_and_goes_out() {
    let Some(machine) = Machine::clean("installed") else { return };
    fs::copy(deb(), machine.path("/root/muster.deb")).expect("copied");
    // No systemd runs here: the package must not need it.
    machine.done("dpkg -i /root/muster.deb");
    let version = machine.done("muster --version");
    assert!(version.contains(env!("CARGO_PKG_VERSION")) && version.contains("store"), "{version}");
    machine.done("test \"$(stat -c %U:%a /var/lib/muster)\" = muster:700");
    machine.done("test \"$(stat -c %U:%a /var/lib/muster-gateway)\" = muster-gateway:700");
    // The sample as it was installed, but for ports that a test of this machine may hold.
    let node = "setpriv --reuid=muster --regid=muster --init-groups \
                muster --config /etc/muster/node.toml";
    machine.done(&format!("{node} init --unsealed"));
    machine.done(&format!("{node} config check"));
    let served = machine.done(&format!(
        "{node} serve --listen 127.0.0.1:0 --json > /tmp/told & server=$!
         for i in $(seq 100); do grep -q listening /tmp/told && break; sleep 0.1; done
         cat /tmp/told; kill $server; wait $server"
    ));
    let served: Value = serde_json::from_str(&served).expect("it says where it listens");
    assert!(served["listening"].as_str().expect("an address").starts_with("http://127.0.0.1"));
    machine.done(&format!("{node} ledger audit"));

    // Units: what systemd makes of them, and how much they may.
    for unit in ["muster-node", "muster-gateway", "muster-backup"] {
        machine
            .done(&format!("systemd-analyze verify --man=no /lib/systemd/system/{unit}.service"));
        let exposure = format!("/lib/systemd/system/{unit}.service");
        machine.done(&format!("systemd-analyze security --offline=true --threshold=20 {exposure}"));
    }
    machine.done("systemd-analyze verify --man=no /lib/systemd/system/muster-backup.timer");

    // What an operator wrote stays through an upgrade, and a ledger stays through a purge.
    machine.done("echo '# mine' >> /etc/muster/node.toml && dpkg -i /root/muster.deb");
    machine.done("grep -q mine /etc/muster/node.toml");
    machine.done("dpkg -r muster && test -e /etc/muster/node.toml && test ! -e /usr/bin/muster");
    let kept = machine.done("dpkg -P muster");
    assert!(kept.contains("/var/lib/muster is kept"), "{kept}");
    machine.done("test ! -e /etc/muster/node.toml && test -s /var/lib/muster/node/ledger.db");
    machine.done("test ! -e /var/lib/muster-gateway && test ! -e /var/backups/muster");
    let left = machine.done(
        "find / -xdev -name '*muster*' -not -path '/var/lib/muster*' -not -path '/root/*' \
        -not -path '/proc/*'",
    );
    assert_eq!(
        left.lines().filter(|line| !line.ends_with("/etc/muster-machine")).count(),
        0,
        "{left}"
    );
}
