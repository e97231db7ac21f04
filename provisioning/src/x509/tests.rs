use super::*;

const CA: &[u8] = include_bytes!("tests/ca.pem");
const DEVICE: &[u8] = include_bytes!("tests/device.pem");
const ED25519: &[u8] = include_bytes!("tests/ed25519.pem");
const RSA: &[u8] = include_bytes!("tests/rsa.pem");

fn one(pem: &[u8]) -> Certificate {
    let [certificate] = <[_; 1]>::try_from(certificates(pem).unwrap()).unwrap();
    certificate
}

#[test]
fn a_chain_is_checked_by_names_and_signature() {
    let (ca, device) = (one(CA), one(DEVICE));
    device.check_issued_by(&ca).unwrap();
    ca.check_issued_by(&ca).unwrap();
    assert_eq!(device.check_issued_by(&device).unwrap_err(), X509Fault::OtherIssuer);
    let other = one(ED25519);
    let key = other.issuer_key().unwrap();
    assert_eq!(device.check_signature(key).unwrap_err(), X509Fault::SignatureAlgorithm);
    other.check_issued_by(&other).unwrap();
    let own = device.issuer_key().unwrap();
    assert_eq!(device.check_signature(own).unwrap_err(), X509Fault::Signature);
    assert!(ca.is_ca() && !device.is_ca());
}

#[test]
fn long_serials_and_the_year_9999_are_read() {
    let (ca, device) = (one(CA), one(DEVICE));
    assert_eq!(ca.serial().len(), 20);
    assert_eq!(device.not_after(), Time(253_402_300_799_000));
    assert!(device.is_valid_at(Time(253_402_300_799_999)));
    assert!(device.is_valid_at(device.not_before()));
    assert!(!device.is_valid_at(Time(device.not_before().0 - 1)));
    assert_eq!(device.subject_key_id().unwrap().len(), 20);
    assert!(device.extension("2.5.29.14").is_some() && device.extension("2.5.29.15").is_none());
}

#[test]
fn an_rsa_key_is_a_clear_refusal() {
    let rsa = one(RSA);
    assert_eq!(rsa.public_key().unwrap_err(), X509Fault::Rsa);
    assert!(rsa.public_key().unwrap_err().to_string().contains("RSA"));
    rsa.check_issued_by(&rsa).unwrap();
}

#[test]
fn pem_and_der_are_the_same_and_several_stand_in_one_file() {
    let device = one(DEVICE);
    assert_eq!(one(device.der()).sha256(), device.sha256());
    let both = [b"a comment\n", CA, DEVICE].concat();
    assert_eq!(certificates(&both).unwrap().len(), 2);
    let escaped = str::from_utf8(DEVICE).unwrap().replace('\n', "\\n");
    assert_eq!(one(escaped.as_bytes()).sha256(), device.sha256());
    let cut = &DEVICE[..DEVICE.len() - 30];
    assert_eq!(certificates(cut).unwrap_err(), X509Fault::Pem);
    assert_eq!(certificates(b"hello").unwrap_err(), X509Fault::Pem);
}

#[test]
fn no_bit_of_a_signed_certificate_can_change() {
    let (ca, device) = (one(CA), one(DEVICE));
    for at in 0..device.der().len() {
        let mut der = device.der().to_vec();
        der[at] ^= 1;
        if let Ok(changed) = Certificate::from_der(&der) {
            assert!(changed.check_issued_by(&ca).is_err(), "byte {at}");
        }
        assert!(Certificate::from_der(&device.der()[..at]).is_err(), "cut at {at}");
    }
    let longer = [device.der(), &[0]].concat();
    assert_eq!(Certificate::from_der(&longer).unwrap_err(), X509Fault::Malformed);
}

#[test]
fn bounds_hold() {
    let long = vec![0x30; CERTIFICATE_BYTES + 1];
    assert_eq!(certificates(&long).unwrap_err(), X509Fault::TooLong);
    let many = DEVICE.repeat(CERTIFICATES + 1);
    assert_eq!(certificates(&many).unwrap_err(), X509Fault::TooMany);
}

#[test]
fn only_one_form_of_an_ecdsa_signature_is_read() {
    let good = [&[0x30, 6, 2, 1, 5, 2, 1, 9][..]].concat();
    let signature = fixed_signature(&good).unwrap();
    assert_eq!((signature.0[31], signature.0[63]), (5, 9));
    for bad in [
        &[0x30, 7, 2, 1, 5, 2, 1, 9, 0][..],
        &[0x30, 6, 2, 1, 5, 2, 1, 9, 0],
        &[0x30, 7, 2, 2, 0, 5, 2, 1, 9],
        &[0x30, 6, 2, 1, 0x85, 2, 1, 9],
        &[0x30, 0],
        &[],
    ] {
        assert!(fixed_signature(bad).is_err(), "{bad:x?}");
    }
}

#[test]
fn issuers_of_older_kinds_are_checked_and_weak_ones_are_not() {
    let all = certificates(include_bytes!("tests/issuers.pem")).unwrap();
    let by = |issuer: &str| all.iter().find(|c| c.is_ca() && c.subject_text().contains(issuer));
    let mut seen = Vec::new();
    for device in all.iter().filter(|c| !c.is_ca()) {
        let name = device.subject_text();
        let issuer = all.iter().find(|c| c.is_ca() && c.subject() == device.issuer()).unwrap();
        let checked = device.check_issued_by(issuer);
        seen.push((name.trim_start_matches("SERIALNUMBER=").to_owned(), checked.err()));
        let mut der = device.der().to_vec();
        // Another key, and a signature that was changed.
        for at in [der.len() / 2, der.len() - 1] {
            der[at] ^= 1;
            let fault = Certificate::from_der(&der).and_then(|c| c.check_issued_by(issuer));
            assert!(fault.is_err(), "{name}");
            der[at] ^= 1;
        }
    }
    let good = ["a256", "a384", "b256", "b384", "b512", "c384"];
    let bad = [("e256", X509Fault::IssuerKey), ("pss", X509Fault::SignatureAlgorithm)];
    seen.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = good.map(|name| (name.to_owned(), None)).into_iter();
    let mut expected: Vec<_> =
        expected.chain(bad.map(|(name, fault)| (name.to_owned(), Some(fault)))).collect();
    expected.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(seen, expected);
    // An issuer's key is never a device's.
    assert_eq!(by("RSA issuer").unwrap().public_key().unwrap_err(), X509Fault::Rsa);
    assert_eq!(by("P-384 issuer").unwrap().public_key().unwrap_err(), X509Fault::KeyType);
}
