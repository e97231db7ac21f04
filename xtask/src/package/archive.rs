//! The archive for systems without Debian's packages: the binary, the units, the documents.

use super::{Workshop, done};
use crate::shell::{Result, program, root};
use std::fs;
use std::path::Path;

/// What goes into it, from the root of the repository.
const CONTENT: [&str; 7] = [
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "SECURITY.md",
    "docs",
    "packaging/etc",
    "packaging/systemd",
];

pub(super) fn write(shop: &Workshop, out: &Path) -> Result<()> {
    let name = format!("muster-{}-linux-{}", shop.version, std::env::consts::ARCH);
    let staged = shop.target.join(&name);
    let fault = |e: std::io::Error| format!("{}: {e}", staged.display());
    if staged.exists() {
        fs::remove_dir_all(&staged).map_err(fault)?;
    }
    fs::create_dir_all(&staged).map_err(fault)?;
    done(program("strip").arg("-o").arg(staged.join("muster")).arg(shop.binary()))?;
    for part in CONTENT {
        done(program("cp").arg("-r").arg(root().join(part)).arg(&staged))?;
    }
    for (file, to) in [("muster.sysusers", "sysusers.conf"), ("muster.tmpfiles", "tmpfiles.conf")] {
        fs::copy(root().join("packaging/debian").join(file), staged.join("systemd").join(to))
            .map_err(fault)?;
    }
    let tar = out.join(format!("{name}.tar"));
    let mut pack = program("tar");
    pack.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"]);
    pack.arg(format!("--mtime=@{}", shop.epoch)).arg("-cf").arg(&tar);
    done(pack.arg("-C").arg(&shop.target).arg(&name))?;
    // -n: neither the name nor the time of the moment go in.
    done(program("gzip").args(["-n", if shop.tried { "-1" } else { "-9" }, "-f"]).arg(&tar))
}
