use super::*;

fn read(bytes: &[u8]) -> Result<(u64, Option<bool>)> {
    let mut r = Reader::new(bytes);
    let mut m = r.map()?;
    let a = m.required(1)?.uint()?;
    let b = m.optional(3)?.map(|r| r.bool()).transpose()?;
    m.end()?;
    r.end()?;
    Ok((a, b))
}

#[test]
fn fields_are_ordered_known_and_complete() {
    assert_eq!(read(&[0xa1, 1, 7]), Ok((7, None)));
    assert_eq!(read(&[0xa2, 1, 7, 3, 0xf5]), Ok((7, Some(true))));
    for (bytes, flaw) in [
        (&[0xa0][..], "missing"),
        (&[0xa2, 3, 0xf5, 1, 7], "order"),
        (&[0xa2, 1, 7, 1, 7], "repeated"),
        (&[0xa2, 1, 7, 4, 7], "unknown"),
        (&[0xa1, 1, 7, 0], "trailing"),
        (&[0xa1, 1, 0x18, 7], "long form"),
        (&[0xb8, 1, 1, 7], "long map head"),
        (&[0xbf, 1, 7, 0xff], "indefinite"),
        (&[0xa1, 1], "cut"),
    ] {
        assert!(read(bytes).is_err(), "{flaw} was accepted");
    }
}

#[test]
fn strings_and_integers_are_shortest_and_definite() {
    assert_eq!(Reader::new(&[0x42, 1, 2]).bytes(9).unwrap(), &[1, 2]);
    assert!(Reader::new(&[0x58, 2, 1, 2]).bytes(9).is_err());
    assert!(Reader::new(&[0x5f, 0x41, 1, 0xff]).bytes(9).is_err());
    assert!(Reader::new(&[0x42, 1, 2]).bytes(1).is_err());
    assert!(Reader::new(&[0x61, 0xff]).text(9).is_err());
    assert_eq!(Reader::new(&[0x26]).int().unwrap(), -7);
    assert_eq!(Reader::new(&[0x38, 0x18]).int().unwrap(), -25);
    assert!(Reader::new(&[0x38, 0x06]).int().is_err());
    assert!(Reader::new(&[0xc0, 0x01]).uint().is_err());
    assert!(Reader::new(&[0xf9, 0, 0]).uint().is_err());
}
