//! What tests need before they run: Debian packages and the vectors shared between projects.

use crate::shell::{Result, output_of, program, root, succeeds, target_dir};
use std::{env, fs, path::PathBuf};

/// Debian packages the tests need: the real programs that they start. Everything native of ours
/// is built from source by cargo with the C compiler that linking Rust needs anyway.
const DEBIAN_PACKAGES: &[&str] = &[
    // The proxies that `tests/proxies` puts in front of a gateway, and their client.
    "caddy",
    "curl",
    "haproxy",
    // What docs/consortium.md reads answers with.
    "jq",
    "nginx",
    "openssl",
    // The broker, its headers (the plugin's structures are compared with them) and its clients.
    "mosquitto",
    "mosquitto-dev",
    "mosquitto-clients",
    // An HSM in software, for keys in tokens.
    "softhsm2",
    // The browser of `tests/console` and who drives it.
    "chromium",
    "chromium-driver",
    // The database server that tests of the store start themselves, and who becomes its user.
    "postgresql",
    "util-linux",
    // The tests make an environment of their own for paho and amqtt.
    "python3-venv",
];

/// What `tests/consortium` needs: wrong clocks, and the limits of processes that run.
pub(crate) const FAULTS: &[&str] = &["faketime", "util-linux"];

/// The suites of shared vectors that tests read when they are there. A test whose suite is
/// absent passes without checking, so absence is always printed.
const VECTOR_SUITES: &[&str] = &[
    "azure-iot-central-csv",
    "cctv-ed25519",
    "did-key",
    "didwebvh",
    "eddsa-di",
    "fdo-vouchers",
    "jcs",
    "jose-cookbook",
    "matter-certs",
    "microchip-manifest",
    "microchip-manifest-608a",
    "sd-jwt-cases",
    "status-lists",
    "tpm-ek",
    "universal-resolver",
    "vc-jose-cose",
    "wycheproof",
];

/// What is installed by npm for tests alone, below `target`: nothing of it is in the repository.
/// axe-core tells what of a page people with other eyes, hands or tools cannot use.
const AXE: &str = "axe-core@4.14.1";

/// Prepares the tests. Returns the directory of shared vectors, if there is one.
pub(crate) fn run() -> Result<Option<PathBuf>> {
    ensure_apt(&[DEBIAN_PACKAGES, FAULTS].concat())?;
    ensure_npm(AXE)?;
    let vectors = vectors();
    match &vectors {
        Some(dir) => println!("setup: shared vectors in {}", dir.display()),
        None => println!("setup: no shared vectors (set MUSTER_VECTORS, or ../shared/vectors)"),
    }
    let absent = absent_suites(vectors.as_ref());
    if absent.is_empty() {
        println!("setup: all {} vector suites are present", VECTOR_SUITES.len());
    } else {
        println!("setup: {} vector suites are ABSENT, their tests check less:", absent.len());
        println!("setup:   {}", absent.join(", "));
    }
    Ok(vectors)
}

/// Installs the packages that are missing, saying which. Needs root; anyone else is told the
/// command to run.
pub(crate) fn ensure_apt(packages: &[&str]) -> Result<()> {
    let installed = |name: &str| {
        let mut query = program("dpkg-query");
        query.args(["--show", "--showformat=${db:Status-Status}", name]);
        output_of(&mut query).as_deref() == Some("installed")
    };
    let missing: Vec<&str> = packages.iter().copied().filter(|p| !installed(p)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let root_user = output_of(program("id").arg("-u")).as_deref() == Some("0");
    if !root_user || output_of(program("apt-get").arg("--version")).is_none() {
        return Err(format!("tests need these packages; run: sudo apt-get install {list}"));
    }
    println!("setup: installing {list}");
    let apt = |arguments: &[&str]| {
        succeeds(program("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if apt(&["update", "-q"])?
        && apt(&[&["install", "-qy", "--no-install-recommends"], missing.as_slice()].concat())?
    {
        Ok(())
    } else {
        Err(format!("apt-get could not install {list}"))
    }
}

/// Installs a package of npm below `target/tmp/npm`, unless it is there in this version.
fn ensure_npm(package: &str) -> Result<()> {
    let folder = target_dir().join("tmp/npm");
    let (name, version) = package.rsplit_once('@').unwrap_or((package, ""));
    let manifest = folder.join("node_modules").join(name).join("package.json");
    let stated = format!("\"version\": \"{version}\"");
    if fs::read_to_string(manifest).is_ok_and(|text| text.contains(&stated)) {
        return Ok(());
    }
    // Where npm came with Node.js itself, Debian's package of it would be in conflict.
    if output_of(program("npm").arg("--version")).is_none() {
        ensure_apt(&["npm"])?;
    }
    println!("setup: installing {package} of npm");
    let prefix = folder.to_string_lossy().into_owned();
    let options = ["install", "--prefix", &prefix, "--ignore-scripts", "--no-audit", "--no-fund"];
    if succeeds(program("npm").args(options).arg(package))? {
        Ok(())
    } else {
        Err(format!("npm could not install {package}; tests of accessibility need it"))
    }
}

fn vectors() -> Option<PathBuf> {
    let named = env::var_os("MUSTER_VECTORS").filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let dir = named.unwrap_or_else(|| root().join("../shared/vectors"));
    fs::canonicalize(dir).ok().filter(|dir| dir.is_dir())
}

fn absent_suites(vectors: Option<&PathBuf>) -> Vec<&'static str> {
    let present = |suite: &&&str| vectors.is_some_and(|dir| dir.join(suite).is_dir());
    VECTOR_SUITES.iter().filter(|suite| !present(suite)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_vectors_every_suite_is_named_absent() {
        assert_eq!(absent_suites(None), VECTOR_SUITES);
        assert_eq!(absent_suites(Some(&root().join("nowhere"))), VECTOR_SUITES);
    }

    #[test]
    fn no_packages_means_no_apt() {
        assert_eq!(ensure_apt(&[]), Ok(()));
    }
}
