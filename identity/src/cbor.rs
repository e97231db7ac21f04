//! Deterministic CBOR (RFC 8949 §4.2.1), strict both ways. `minicbor` reads and writes the
//! items; this module adds the rule it does not enforce: there is exactly one encoding.
//!
//! Accepted: integers in shortest form, definite byte and text strings, arrays, maps whose
//! keys are unsigned integers in ascending order, and booleans. Nothing else: no floats, tags,
//! null, indefinite lengths, unknown map keys or trailing bytes.

use crate::Error;
use alloc::{string::String, vec::Vec};
use minicbor::{Decoder, Encoder, data::Type};

type Result<T> = core::result::Result<T, Error>;

/// A value with one deterministic encoding.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, w: &mut Writer);

    /// The whole encoding.
    fn to_cbor(&self) -> Vec<u8> {
        let mut w = Writer::default();
        self.encode(&mut w);
        w.into_bytes()
    }
}

/// A value that can be read back from its deterministic encoding.
pub trait Decode: Sized {
    /// Reads one value.
    fn decode(r: &mut Reader<'_>) -> Result<Self>;

    /// Reads the whole input; trailing bytes are an error.
    fn from_cbor(bytes: &[u8]) -> Result<Self> {
        whole(Reader::new(bytes))
    }

    /// As [`Self::from_cbor`], for bytes that were read and checked before ([`Reader::again`]).
    fn from_cbor_again(bytes: &[u8]) -> Result<Self> {
        whole(Reader::again(bytes))
    }
}

fn whole<T: Decode>(mut r: Reader<'_>) -> Result<T> {
    let value = T::decode(&mut r)?;
    r.end()?;
    Ok(value)
}

/// Writes items in shortest form.
pub struct Writer(Encoder<Vec<u8>>);

impl Default for Writer {
    fn default() -> Self {
        Self(Encoder::new(Vec::new()))
    }
}

/// Writing to a `Vec` cannot fail.
const INFALLIBLE: &str = "a Vec accepts every write";

impl Writer {
    /// Writes behind what a buffer holds: for whoever encodes a million values one after the other.
    pub fn behind(buffer: Vec<u8>) -> Self {
        Self(Encoder::new(buffer))
    }

    /// An unsigned integer.
    pub fn uint(&mut self, n: u64) -> &mut Self {
        self.0.u64(n).expect(INFALLIBLE);
        self
    }
    /// A signed integer.
    pub fn int(&mut self, n: i64) -> &mut Self {
        self.0.i64(n).expect(INFALLIBLE);
        self
    }
    /// A byte string.
    pub fn bytes(&mut self, b: &[u8]) -> &mut Self {
        self.0.bytes(b).expect(INFALLIBLE);
        self
    }
    /// A text string.
    pub fn text(&mut self, s: &str) -> &mut Self {
        self.0.str(s).expect(INFALLIBLE);
        self
    }
    /// A boolean.
    pub fn bool(&mut self, b: bool) -> &mut Self {
        self.0.bool(b).expect(INFALLIBLE);
        self
    }
    /// The head of an array of `n` items.
    pub fn array(&mut self, n: usize) -> &mut Self {
        self.0.array(n as u64).expect(INFALLIBLE);
        self
    }
    /// The head of a map of `n` pairs; keys must follow in ascending order.
    pub fn map(&mut self, n: usize) -> &mut Self {
        self.0.map(n as u64).expect(INFALLIBLE);
        self
    }
    /// A nested value.
    pub fn value(&mut self, v: &impl Encode) -> &mut Self {
        v.encode(self);
        self
    }
    /// An array of nested values.
    pub fn list<T: Encode>(&mut self, items: &[T]) -> &mut Self {
        self.array(items.len());
        for item in items {
            item.encode(self);
        }
        self
    }
    /// The bytes written so far.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0.into_writer()
    }
}

/// Reads items and refuses every encoding but the deterministic one.
pub struct Reader<'b> {
    inner: Decoder<'b>,
    again: bool,
}

impl<'b> Reader<'b> {
    /// Starts at the first byte.
    pub fn new(bytes: &'b [u8]) -> Self {
        Self { inner: Decoder::new(bytes), again: false }
    }

    /// As [`Self::new`], for bytes that this program or a quorum read and checked before, such as
    /// records of the state. Whether a key is a point of its curve is not computed again, which
    /// costs half of a signature's verification; every verification by the key finds out anyway.
    pub fn again(bytes: &'b [u8]) -> Self {
        Self { inner: Decoder::new(bytes), again: true }
    }

    /// A value that is the whole of a byte string in these bytes.
    pub fn nested<T: Decode>(&self, bytes: &[u8]) -> Result<T> {
        whole(Reader { inner: Decoder::new(bytes), again: self.again })
    }

    /// Whether these bytes were checked before.
    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    /// Refuses trailing bytes.
    pub fn end(&self) -> Result<()> {
        if self.inner.position() == self.inner.input().len() {
            Ok(())
        } else {
            Err(self.fault("bytes after the end of the value"))
        }
    }

    /// An error at the current position, for shapes only the caller can judge.
    pub fn fault(&self, reason: &'static str) -> Error {
        Error::Cbor { at: self.inner.position(), reason }
    }

    /// The bytes consumed since `start` (a value of [`Self::position`]).
    pub fn since(&self, start: usize) -> &'b [u8] {
        &self.inner.input()[start..self.inner.position()]
    }

    /// Offset of the next item.
    pub fn position(&self) -> usize {
        self.inner.position()
    }

    /// Reads one head with `read`, checks that it took as many bytes as the shortest form of `n`.
    fn head<T>(
        &mut self,
        expected: &'static str,
        read: impl FnOnce(&mut Decoder<'b>) -> core::result::Result<T, minicbor::decode::Error>,
        argument_and_body: impl FnOnce(&T) -> (u64, usize),
    ) -> Result<T> {
        let at = self.inner.position();
        let value = read(&mut self.inner).map_err(|_| Error::Cbor { at, reason: expected })?;
        let (argument, body) = argument_and_body(&value);
        if self.inner.position() - at == head_len(argument) + body {
            Ok(value)
        } else {
            Err(Error::Cbor { at, reason: "a number or length not in shortest form" })
        }
    }

    /// An unsigned integer.
    pub fn uint(&mut self) -> Result<u64> {
        self.head("expected an unsigned integer", |d| d.u64(), |n| (*n, 0))
    }

    /// An unsigned integer of at most `max`.
    pub fn uint_max(&mut self, max: u64) -> Result<u64> {
        let at = self.inner.position();
        let n = self.uint()?;
        if n <= max { Ok(n) } else { Err(Error::Cbor { at, reason: "a number above its limit" }) }
    }

    /// A signed integer.
    pub fn int(&mut self) -> Result<i64> {
        self.head(
            "expected an integer",
            |d| d.i64(),
            |n| {
                // RFC 8949 §3.1: a negative n is written as -1-n.
                (if *n < 0 { (-1 - *n) as u64 } else { *n as u64 }, 0)
            },
        )
    }

    /// A byte string of at most `max` bytes.
    pub fn bytes(&mut self, max: usize) -> Result<&'b [u8]> {
        let at = self.inner.position();
        let b = self.head(
            "expected a byte string of definite length",
            |d| d.bytes(),
            |b| (b.len() as u64, b.len()),
        )?;
        if b.len() <= max {
            Ok(b)
        } else {
            Err(Error::Cbor { at, reason: "a byte string above its limit" })
        }
    }

    /// A byte string of exactly `N` bytes.
    pub fn array_of<const N: usize>(&mut self) -> Result<[u8; N]> {
        let at = self.inner.position();
        self.bytes(N)?
            .try_into()
            .map_err(|_| Error::Cbor { at, reason: "a byte string of the wrong length" })
    }

    /// A text string of at most `max` bytes.
    pub fn text(&mut self, max: usize) -> Result<&'b str> {
        let at = self.inner.position();
        let s = self.head(
            "expected a UTF-8 text string of definite length",
            |d| d.str(),
            |s| (s.len() as u64, s.len()),
        )?;
        if s.len() <= max {
            Ok(s)
        } else {
            Err(Error::Cbor { at, reason: "a text above its limit" })
        }
    }

    /// An owned text string of at most `max` bytes.
    pub fn string(&mut self, max: usize) -> Result<String> {
        Ok(self.text(max)?.into())
    }

    /// A boolean.
    pub fn bool(&mut self) -> Result<bool> {
        self.head("expected a boolean", |d| d.bool(), |_| (0, 0))
    }

    /// The head of an array of at most `max` items.
    pub fn array(&mut self, max: usize) -> Result<usize> {
        let at = self.inner.position();
        let n = self.head(
            "expected an array of definite length",
            |d| d.array()?.ok_or_else(|| minicbor::decode::Error::message("indefinite")),
            |n| (*n, 0),
        )?;
        if n <= max as u64 {
            Ok(n as usize)
        } else {
            Err(Error::Cbor { at, reason: "an array above its limit" })
        }
    }

    /// The head of an array of exactly `n` items.
    pub fn tuple(&mut self, n: usize) -> Result<()> {
        let at = self.inner.position();
        if self.array(n)? == n {
            Ok(())
        } else {
            Err(Error::Cbor { at, reason: "an array of the wrong length" })
        }
    }

    /// An array of at most `max` nested values.
    pub fn list<T: Decode>(&mut self, max: usize) -> Result<Vec<T>> {
        let n = self.array(max)?;
        (0..n).map(|_| T::decode(self)).collect()
    }

    /// A nested value.
    pub fn value<T: Decode>(&mut self) -> Result<T> {
        T::decode(self)
    }

    /// Whether the next item is a byte string (for the few fields that are one of two types).
    pub fn next_is_bytes(&self) -> bool {
        matches!(self.inner.datatype(), Ok(Type::Bytes))
    }

    /// Opens a map; read its fields in ascending order and close it with [`Fields::end`].
    pub fn map(&mut self) -> Result<Fields<'_, 'b>> {
        let left = self.head(
            "expected a map of definite length",
            |d| d.map()?.ok_or_else(|| minicbor::decode::Error::message("indefinite")),
            |n| (*n, 0),
        )?;
        Ok(Fields { reader: self, left, next: None })
    }
}

/// The fields of one map. Reading them in ascending order makes order, repetition and
/// unknown keys one check: the next key is the wanted one, or a later one, or an error.
pub struct Fields<'a, 'b> {
    reader: &'a mut Reader<'b>,
    left: u64,
    next: Option<u64>,
}

impl<'b> Fields<'_, 'b> {
    fn peek(&mut self) -> Result<Option<u64>> {
        if self.next.is_none() && self.left > 0 {
            self.next = Some(self.reader.uint()?);
            self.left -= 1;
        }
        Ok(self.next)
    }

    /// The reader, placed at the value of `key`, or an error if the field is missing.
    pub fn required(&mut self, key: u64) -> Result<&mut Reader<'b>> {
        match self.peek()? {
            Some(found) if found == key => {
                self.next = None;
                Ok(self.reader)
            }
            Some(found) if found < key => {
                Err(self.reader.fault("an unknown, repeated or unordered map key"))
            }
            _ => Err(self.reader.fault("a required map key is missing")),
        }
    }

    /// As [`Self::required`], or `None` if the field is absent.
    pub fn optional(&mut self, key: u64) -> Result<Option<&mut Reader<'b>>> {
        match self.peek()? {
            Some(found) if found == key => {
                self.next = None;
                Ok(Some(self.reader))
            }
            Some(found) if found < key => {
                Err(self.reader.fault("an unknown, repeated or unordered map key"))
            }
            _ => Ok(None),
        }
    }

    /// Refuses fields that were not asked for.
    pub fn end(mut self) -> Result<()> {
        match self.peek()? {
            None => Ok(()),
            Some(_) => Err(self.reader.fault("an unknown, repeated or unordered map key")),
        }
    }
}

/// Length of the shortest head for an argument (RFC 8949 §3).
fn head_len(argument: u64) -> usize {
    match argument {
        0..=23 => 1,
        24..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

impl Encode for [u8; 32] {
    fn encode(&self, w: &mut Writer) {
        w.bytes(self);
    }
}

impl Decode for [u8; 32] {
    fn decode(r: &mut Reader<'_>) -> Result<Self> {
        r.array_of::<32>()
    }
}

#[cfg(test)]
mod tests;
