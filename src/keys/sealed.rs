//! Key files sealed by a passphrase: PKCS#8 `EncryptedPrivateKeyInfo` (RFC 5958 §3) in PEM, by
//! PBES2 (RFC 8018 §6.2) with scrypt (RFC 7914) and AES-256-CBC. `openssl pkcs8` reads them.

use super::passphrase::{Opened, Passphrase};
use crate::host::random;
use anyhow::{Result, anyhow, bail};
use muster_identity::SecretKey;
use pkcs8::der::pem::PemLabel as _;
use pkcs8::pkcs5::pbes2::{Kdf, Parameters};
use pkcs8::pkcs5::{EncryptionScheme, scrypt};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfo, PrivateKeyInfoRef, SecretDocument,
};
use zeroize::Zeroizing;

/// What a guess costs: 16 MiB, five times over. OpenSSL 3 refuses scrypt of 32 MiB or more, so
/// the memory stays below and the passes make up for it (OWASP's list gives N=2^14, r=8, p=5 as
/// equal to its first choice).
const LOG_N: u8 = 14;
const BLOCK_SIZE: u32 = 8;
const PASSES: u32 = 5;

/// Most memory that opening a file may take (bytes): a file that was swapped must not exhaust
/// the machine. Eight times what OpenSSL allows.
const OPENING_MEMORY: u64 = 256 * 1_024 * 1_024;

/// Most passes of scrypt over that memory, for the same reason.
const OPENING_PASSES: u16 = 16;

/// Most rounds of PBKDF2, which other tools seal with: about ten seconds.
const OPENING_ROUNDS: u32 = 10_000_000;

/// Whether the text is a sealed key, by its label (RFC 7468 §11).
pub(super) fn is_sealed(pem: &str) -> bool {
    pem.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----")
}

/// Seals a key.
pub(super) fn seal(key: &SecretKey, passphrase: &Passphrase) -> Result<Zeroizing<String>> {
    let fault = |e| anyhow!("the key cannot be sealed: {e}");
    let pem = key.to_pem()?;
    let (_, plain) = SecretDocument::from_pem(&pem).map_err(|e| fault(e.to_string()))?;
    let info = PrivateKeyInfoRef::try_from(plain.as_bytes()).map_err(|e| fault(e.to_string()))?;
    // Version 1, without the public key: what OpenSSL 3.0 reads.
    let info: PrivateKeyInfoRef<'_> = PrivateKeyInfo::new(info.algorithm, info.private_key);
    let cost = scrypt::Params::new(LOG_N, BLOCK_SIZE, PASSES).map_err(|e| fault(e.to_string()))?;
    let how = Parameters::generate_scrypt_aes256cbc(cost, &random::<16>(), random())
        .map_err(|e| fault(e.to_string()))?;
    let sealed =
        info.encrypt_with_params(how, passphrase.bytes()).map_err(|e| fault(e.to_string()))?;
    sealed
        .to_pem(EncryptedPrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)
        .map_err(|e| fault(e.to_string()))
}

/// Opens a sealed key: one of ours, or one that `openssl pkcs8 -topk8` made.
pub(super) fn open(pem: &str, passphrase: &Passphrase) -> Result<Opened<SecretKey>> {
    let (label, document) =
        SecretDocument::from_pem(pem).map_err(|e| anyhow!("it is no PEM block: {e}"))?;
    EncryptedPrivateKeyInfoRef::validate_pem_label(label)
        .map_err(|e| anyhow!("it is no sealed key: {e}"))?;
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
        .map_err(|e| anyhow!("it is no sealed key (RFC 5958): {e}"))?;
    check_cost(&sealed.encryption_algorithm)?;
    // Nothing tells a wrong passphrase from damage: the padding, or what is inside, is wrong.
    let Ok(plain) = sealed.decrypt(passphrase.bytes()) else {
        return Ok(Opened::WrongPassphrase);
    };
    let Ok(pem) = plain.to_pem(PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF) else {
        return Ok(Opened::WrongPassphrase);
    };
    Ok(SecretKey::from_pem(&pem).map(Opened::Key)?)
}

fn check_cost(scheme: &EncryptionScheme) -> Result<()> {
    let EncryptionScheme::Pbes2(parameters) = scheme else {
        bail!("it is sealed by PBES1, which is broken: seal it again with a newer tool");
    };
    let fits = match &parameters.kdf {
        Kdf::Scrypt(p) => {
            let memory = p.cost_parameter.saturating_mul(u64::from(p.block_size) * 128);
            memory <= OPENING_MEMORY && p.parallelization <= OPENING_PASSES
        }
        Kdf::Pbkdf2(p) => p.iteration_count <= OPENING_ROUNDS,
        _ => bail!("it is sealed by a way that is not known here"),
    };
    if !fits {
        bail!("opening it would take more memory or time than a key file may ask for");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::new_key;
    use muster_identity::{Algorithm, Signer as _};

    fn opened(pem: &str, passphrase: &str) -> Opened<SecretKey> {
        open(pem, &Passphrase::new(passphrase).expect("a passphrase")).expect("a sealed key")
    }

    #[test]
    fn what_is_sealed_opens_by_its_passphrase_alone() {
        let words = Passphrase::new("correct horse").expect("a passphrase");
        for algorithm in [Algorithm::Ed25519, Algorithm::P256] {
            let key = new_key(algorithm);
            let pem = seal(&key, &words).expect("sealed");
            assert!(is_sealed(&pem) && !is_sealed(&key.to_pem().expect("PEM")));
            let Opened::Key(again) = opened(&pem, "correct horse") else { panic!("it opens") };
            assert_eq!(again.public_key(), key.public_key());
            assert!(matches!(opened(&pem, "correct horse "), Opened::WrongPassphrase));
            assert_ne!(*pem, *seal(&key, &words).expect("sealed"), "its salt is random");
        }
    }

    #[test]
    fn a_file_that_would_exhaust_the_machine_is_refused() {
        let scrypt = |log_n, r, p| {
            let cost = scrypt::Params::new(log_n, r, p).expect("parameters");
            let how = Parameters::generate_scrypt_aes256cbc(cost, &[0; 16], [0; 16]);
            check_cost(&EncryptionScheme::Pbes2(how.expect("parameters")))
        };
        assert!(scrypt(LOG_N, BLOCK_SIZE, PASSES).is_ok());
        assert!(scrypt(18, 8, 1).is_ok());
        assert!(
            scrypt(19, 8, 1).is_err() && scrypt(30, 8, 1).is_err() && scrypt(14, 8, 17).is_err()
        );
        let rounds = |n| {
            let how = Parameters::generate_pbkdf2_sha256_aes256cbc(n, &[0; 16], [0; 16]);
            check_cost(&EncryptionScheme::Pbes2(how.expect("parameters")))
        };
        assert!(rounds(OPENING_ROUNDS).is_ok() && rounds(OPENING_ROUNDS + 1).is_err());
    }

    #[test]
    fn other_files_are_refused_with_a_reason() {
        let words = Passphrase::new("x").expect("a passphrase");
        for text in [
            "",
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
        ] {
            assert!(open(text, &words).is_err());
        }
        let plain = new_key(Algorithm::Ed25519).to_pem().expect("PEM");
        assert!(open(&plain, &words).is_err(), "it has another label");
    }
}
