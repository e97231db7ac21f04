/// Where a row stands in its file, from its first byte to behind its last, line end included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Bytes of the file before it.
    pub at: u64,
    /// Its bytes.
    pub length: u32,
}

impl Span {
    /// From one place to another; none if a row cannot be that long.
    pub(super) fn between(at: u64, end: u64) -> Option<Self> {
        let length = u32::try_from(end.checked_sub(at)?).ok()?;
        Some(Self { at, length })
    }

    /// The place behind it.
    pub fn end(self) -> u64 {
        self.at + u64::from(self.length)
    }
}
