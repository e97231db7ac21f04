//! Base58btc of short values (multibase draft §4.1, alphabet `z`): two stand in every token and
//! three in every answer of a gateway, and a general coder spends more time on them than hashing the
//! token takes. Five digits at a time, in place, of bounded length. `multibase` is the oracle of the
//! tests, and writes what is longer.

use alloc::string::String;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// Digits of a group: 58^5 is the greatest power of 58 below 2^32.
const GROUP: usize = 5;

/// Longest text after the `z`, and longest value: a multibase text of 64 characters has room for
/// every key and DID of this version.
const LONGEST: usize = 63;
const WORDS: usize = LONGEST.div_ceil(4);

/// The digit of each character; `NONE` where it is none.
const DIGITS: [u8; 256] = {
    let mut digits = [NONE; 256];
    let mut digit = 0;
    while digit < 58 {
        digits[ALPHABET[digit] as usize] = digit as u8;
        digit += 1;
    }
    digits
};
const NONE: u8 = 0xff;

/// A short value, in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bytes {
    /// The value, then zeros.
    bytes: [u8; LONGEST],
    len: usize,
}

impl core::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Decodes a multibase text that begins with `z`; nothing if it is longer than 64 characters or
/// holds another character.
pub(crate) fn decode(text: &str) -> Option<Bytes> {
    let text = text.strip_prefix('z')?.as_bytes();
    if text.len() > LONGEST {
        return None;
    }
    // Each leading `1` is a zero byte of its own.
    let zeros = text.iter().take_while(|c| **c == ALPHABET[0]).count();
    let (mut words, mut used) = ([0u32; WORDS], 0);
    let digits = &text[zeros..];
    let (first, rest) = digits.split_at(digits.len() % GROUP);
    for group in core::iter::once(first).chain(rest.chunks_exact(GROUP)) {
        let (mut value, mut scale) = (0u32, 1u32);
        for character in group {
            let digit = DIGITS[usize::from(*character)];
            if digit == NONE {
                return None;
            }
            value = value * 58 + u32::from(digit);
            scale *= 58;
        }
        let mut carry = u64::from(value);
        for word in &mut words[..used] {
            carry += u64::from(*word) * u64::from(scale);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            words[used] = carry as u32;
            used += 1;
        }
    }
    let head = used.checked_sub(1).map_or(4, |top| words[top].leading_zeros() as usize / 8);
    let (mut bytes, mut len) = ([0; LONGEST], zeros);
    let all = words[..used].iter().rev().flat_map(|word| word.to_be_bytes());
    for byte in all.skip(head) {
        bytes[len] = byte;
        len += 1;
    }
    Some(Bytes { bytes, len })
}

/// The value as a multibase text, which begins with `z`.
pub(crate) fn encode(bytes: &[u8]) -> String {
    // 63 digits hold 46 bytes.
    const MOST: usize = 46;
    const SCALE: u64 = 58u64.pow(GROUP as u32);
    if bytes.len() > MOST {
        return multibase::encode(multibase::Base::Base58Btc, bytes);
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    // The value in words, the first one short.
    let (mut words, rest) = ([0u32; MOST.div_ceil(4)], &bytes[zeros..]);
    let (first, whole) = rest.split_at(rest.len() % 4);
    let mut used = 0;
    for word in core::iter::once(first).filter(|word| !word.is_empty()).chain(whole.chunks_exact(4))
    {
        words[used] = word.iter().fold(0, |word, byte| word << 8 | u32::from(*byte));
        used += 1;
    }
    // Groups of digits from the end, until nothing is left.
    let (mut text, mut begin, mut top) = ([ALPHABET[0]; LONGEST + GROUP], LONGEST + GROUP, 0);
    while top < used {
        let mut carry = 0u64;
        for word in &mut words[top..used] {
            carry = carry << 32 | u64::from(*word);
            *word = (carry / SCALE) as u32;
            carry %= SCALE;
        }
        while top < used && words[top] == 0 {
            top += 1;
        }
        for place in text[begin - GROUP..begin].iter_mut().rev() {
            *place = ALPHABET[(carry % 58) as usize];
            carry /= 58;
        }
        begin -= GROUP;
    }
    // The last group may begin with zeros, which are no digits.
    let digits = &text[begin..];
    let nothing = digits.iter().take_while(|digit| **digit == ALPHABET[0]).count();
    let ones = core::iter::repeat_n(ALPHABET[0], zeros);
    let all = ones.chain(digits[nothing..].iter().copied());
    let mut out = String::with_capacity(1 + LONGEST);
    out.push('z');
    out.extend(all.map(char::from));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use multibase::Base::Base58Btc;
    use proptest::prelude::*;

    /// Agrees with the oracle on any text, refusals included.
    #[track_caller]
    fn agrees(text: &str) {
        let oracle = multibase::decode(text).ok().map(|(_, bytes)| bytes);
        assert_eq!(decode(text).map(|bytes| bytes.to_vec()), oracle, "{text:?}");
    }

    #[test]
    fn edges_are_those_of_the_oracle() {
        let longest = [b'z'; LONGEST];
        let longest = core::str::from_utf8(&longest).unwrap();
        let ones = "1".repeat(LONGEST);
        for digits in
            ["", "1", "11", "2", "12", "z", "JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG"]
        {
            agrees(&format!("z{digits}"));
        }
        agrees(&format!("z{longest}"));
        agrees(&format!("z{ones}"));
        agrees(&format!("z{}", &longest[1..]).replace("zz", "z1"));
        for bad in ["0", "O", "I", "l", " ", "é", "2\u{0}", "222222l", "+", "z-"] {
            agrees(&format!("z{bad}"));
        }
        for bytes in [vec![], vec![0], vec![0; 63], vec![0xff; 46], vec![1; 34], vec![0, 0, 1]] {
            agrees(&multibase::encode(Base58Btc, &bytes));
        }
    }

    #[test]
    fn what_is_too_long_to_be_short_is_written_too() {
        for len in 0..80 {
            for byte in [0, 1, 0xff] {
                let bytes = vec![byte; len];
                assert_eq!(encode(&bytes), multibase::encode(Base58Btc, &bytes), "{bytes:?}");
            }
        }
    }

    #[test]
    fn what_is_too_long_or_of_another_base_is_refused() {
        assert!(decode(&"z".repeat(LONGEST + 1)).is_some());
        assert!(decode(&"z".repeat(LONGEST + 2)).is_none());
        for text in ["", "u2", "Z2", "2"] {
            assert!(decode(text).is_none(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn decoding_agrees(digits in "[1-9A-HJ-NP-Za-km-z]{0,63}") {
            agrees(&format!("z{digits}"));
        }

        #[test]
        fn decoding_agrees_with_leading_ones(ones in 0usize..40, digits in "[1-9A-HJ-NP-Za-km-z]{0,23}") {
            agrees(&format!("z{}{digits}", "1".repeat(ones)));
        }

        #[test]
        fn decoding_agrees_on_any_characters(digits in "\\PC{0,15}") {
            agrees(&format!("z{digits}"));
        }

        #[test]
        fn what_is_written_is_read(zeros in 0usize..8, bytes in prop::collection::vec(any::<u8>(), 0..38)) {
            let bytes = [vec![0; zeros], bytes].concat();
            let text = multibase::encode(Base58Btc, &bytes);
            prop_assert_eq!(&*decode(&text).unwrap(), &bytes[..]);
            prop_assert_eq!(encode(&bytes), text);
        }
    }
}
