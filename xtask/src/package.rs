//! `cargo xtask package`: Debian packages, an archive, a bill of materials, checksums and their
//! signature. The same commit and the same compiler give the same bytes.

mod archive;
mod bill;
mod checksums;
mod tool;

pub(crate) use tool::ensure as ensure_tool;

use crate::shell::{Result, cargo, output_of, program, root, succeeds};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// What is to be made, as the command line says it.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    profile: String,
    /// A binary that is there already, packed as it is; then the other packages are not made.
    binary: Option<PathBuf>,
    key: Option<PathBuf>,
    out: PathBuf,
}

/// What stands behind each step: the version, where builds go, and the time of the commit.
struct Workshop {
    version: String,
    target: PathBuf,
    epoch: String,
    profile: String,
    tried: bool,
    cargo_deb: PathBuf,
}

/// Makes everything and says where it is.
pub(crate) fn run(options: &[&str]) -> Result<bool> {
    let order = Order::read(options)?;
    fs::create_dir_all(&order.out).map_err(|e| format!("{}: {e}", order.out.display()))?;
    let old = fs::read_dir(&order.out).map_err(|e| e.to_string())?.next();
    if let Some(old) = old.transpose().map_err(|e| e.to_string())? {
        let old = old.path();
        return Err(format!("{} is in the way: --out wants an empty folder", old.display()));
    }
    let shop = Workshop {
        version: version()?,
        target: root().join("target/packaging"),
        epoch: epoch()?,
        profile: order.profile.clone(),
        tried: order.binary.is_some(),
        cargo_deb: tool::ensure()?,
    };
    let whole = ["--features", "pkcs11"];
    match &order.binary {
        Some(binary) => shop.take(binary)?,
        None => shop.build(&[&["--package", "muster"], &whole[..]].concat())?,
    }
    shop.deb(&order.out, &[])?;
    archive::write(&shop, &order.out)?;
    bill::write(&shop.version, "muster", &whole, &order.out)?;
    if order.binary.is_none() {
        let small = ["--no-default-features", "--features", "gateway"];
        shop.build(&[&["--package", "muster"], &small[..]].concat())?;
        shop.deb(&order.out, &["--variant", "gateway"])?;
        bill::write(&shop.version, "muster-gateway", &small, &order.out)?;
        shop.build(&["--package", "muster-mosquitto"])?;
        shop.deb(&order.out, &["--package", "muster-mosquitto"])?;
    }
    checksums::write(&order.out, order.key.as_deref())?;
    println!("\npackages in {}", order.out.display());
    Ok(true)
}

impl Order {
    fn read(options: &[&str]) -> Result<Self> {
        let mut order = Self {
            profile: "dist".into(),
            binary: None,
            key: None,
            out: root().join("target/package"),
        };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let value = options.next().ok_or_else(|| format!("{option} wants a value"))?;
            let path =
                || env::current_dir().map(|here| here.join(value)).map_err(|e| e.to_string());
            match *option {
                "--profile" => order.profile = (*value).to_owned(),
                "--binary" => order.binary = Some(path()?),
                "--sign-with" => order.key = Some(path()?),
                "--out" => order.out = path()?,
                other => return Err(format!("package knows no option {other}")),
            }
        }
        if order.binary.is_some() {
            // Where cargo-deb looks for what it does not build.
            order.profile = "release".into();
        }
        Ok(order)
    }
}

impl Workshop {
    fn build(&self, what: &[&str]) -> Result<()> {
        let mut command = cargo(&["build", "--locked", "--profile", &self.profile]);
        command.args(what).env("CARGO_TARGET_DIR", &self.target);
        // Paths of this machine are no part of the product.
        let home = env::var("CARGO_HOME").or_else(|_| env::var("HOME").map(|h| h + "/.cargo"));
        let home = home.unwrap_or_else(|_| "/".into());
        let flags = format!(
            "--remap-path-prefix={}=/muster --remap-path-prefix={home}=/cargo",
            root().display()
        );
        done(command.env("RUSTFLAGS", flags).env("SOURCE_DATE_EPOCH", &self.epoch))
    }

    /// Puts a binary that was built elsewhere where the packages take it from.
    fn take(&self, binary: &Path) -> Result<()> {
        let to = self.binary();
        let copied = to.parent().map_or(Ok(()), fs::create_dir_all);
        let copied = copied.and_then(|()| fs::copy(binary, &to));
        copied.map(drop).map_err(|e| format!("{}: {e}", binary.display()))
    }

    fn binary(&self) -> PathBuf {
        self.target.join(&self.profile).join("muster")
    }

    fn deb(&self, out: &Path, what: &[&str]) -> Result<()> {
        let mut command = program(&self.cargo_deb.display().to_string());
        command.args(["deb", "--no-build", "--locked", "--strip", "--no-dbgsym"]);
        command.args(["--profile", &self.profile, "--output"]).arg(out).args(what);
        // What is made to be tried need not be small.
        command.args(self.tried.then_some("--fast"));
        command.env("CARGO_TARGET_DIR", &self.target).env("SOURCE_DATE_EPOCH", &self.epoch);
        done(&mut command)
    }
}

/// Runs a command that must succeed.
fn done(command: &mut std::process::Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    if succeeds(command)? { Ok(()) } else { Err(format!("{name} failed (see above)")) }
}

/// The version of the workspace, as its manifest says.
fn version() -> Result<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).map_err(|e| e.to_string())?;
    let (_, package) = manifest.split_once("[workspace.package]").ok_or("no workspace.package")?;
    let line = package.lines().find_map(|line| line.strip_prefix("version = \""));
    Ok(line.ok_or("no version")?.trim_end_matches('"').to_owned())
}

/// The time that everything in the packages has: that of the commit, unless one is given.
fn epoch() -> Result<String> {
    if let Ok(given) = env::var("SOURCE_DATE_EPOCH") {
        return Ok(given);
    }
    let mut commit = program("git");
    commit.args(["log", "-1", "--format=%ct"]);
    output_of(&mut commit)
        .ok_or_else(|| "no commit to take the time from: set SOURCE_DATE_EPOCH".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_others_refused() {
        let order = Order::read(&["--profile", "release", "--sign-with", "/k.pem"]).unwrap();
        assert_eq!((&*order.profile, order.key), ("release", Some("/k.pem".into())));
        assert_eq!(Order::read(&[]).unwrap().profile, "dist");
        assert!(Order::read(&["--out"]).unwrap_err().contains("wants a value"));
        assert!(Order::read(&["--what", "x"]).unwrap_err().contains("no option"));
    }

    #[test]
    fn the_version_is_that_of_this_package() {
        assert_eq!(version().unwrap(), env!("CARGO_PKG_VERSION"));
    }
}
