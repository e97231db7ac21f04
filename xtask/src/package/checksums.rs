//! `SHA256SUMS` and its Ed25519 signature, which `openssl` alone checks (`docs/packages.md`).

use super::done;
use crate::shell::{Result, output_of, program};
use std::fs;
use std::path::Path;

const SUMS: &str = "SHA256SUMS";

pub(super) fn write(out: &Path, key: Option<&Path>) -> Result<()> {
    let mut names: Vec<String> = fs::read_dir(out)
        .map_err(|e| e.to_string())?
        .map(|file| file.map(|file| file.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()
        .map_err(|e| e.to_string())?;
    names.sort();
    let sums = output_of(program("sha256sum").current_dir(out).arg("--").args(&names));
    let sums = sums.ok_or("sha256sum failed")? + "\n";
    fs::write(out.join(SUMS), sums).map_err(|e| e.to_string())?;
    let Some(key) = key else {
        println!("{SUMS} is NOT signed: give the release key by --sign-with FILE");
        return Ok(());
    };
    let mut sign = program("openssl");
    sign.current_dir(out).args(["pkeyutl", "-sign", "-rawin", "-in", SUMS, "-inkey"]).arg(key);
    done(sign.args(["-out", "SHA256SUMS.sig"]))?;
    let mut public = program("openssl");
    public.current_dir(out).args(["pkey", "-pubout", "-in"]).arg(key);
    done(public.args(["-out", "SHA256SUMS.pub"]))
}
