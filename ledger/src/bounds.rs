//! Bounds that are served as they stand in the code: one macro defines a constant and names it in
//! the table, so that a document, a node's answer and the code cannot disagree.

use core::time::Duration;

/// A bound: its name, value, unit and reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// The constant's name.
    pub name: &'static str,
    /// The number, and for a bound of two the second one.
    pub value: (u64, Option<u64>),
    /// What it counts.
    pub unit: &'static str,
    /// What it bounds, and why so.
    pub reason: &'static str,
}

/// Whatever a constant of a bound may be.
pub trait Number: Copy {
    /// As it is served; a time in milliseconds.
    fn number(self) -> (u64, Option<u64>);
}

macro_rules! numbers {
    ($($kind:ty),*) => {
        $(impl Number for $kind {
            fn number(self) -> (u64, Option<u64>) {
                (u64::try_from(self).unwrap_or(u64::MAX), None)
            }
        })*
    };
}

numbers!(u16, u32, u64, usize);

impl Number for Duration {
    fn number(self) -> (u64, Option<u64>) {
        (u64::try_from(self.as_millis()).unwrap_or(u64::MAX), None)
    }
}

impl<T: Number> Number for (T, T) {
    fn number(self) -> (u64, Option<u64>) {
        (self.0.number().0, Some(self.1.number().0))
    }
}

/// Defines constants, each with its reason above it and its unit behind it, and the function
/// `all()` that lists them.
#[macro_export]
macro_rules! limits {
    ($($(#[doc = $reason:literal])+ pub const $name:ident: $kind:ty = $value:expr => $unit:literal;)+) => {
        $($(#[doc = $reason])+ pub const $name: $kind = $value;)+

        /// Every bound of this module.
        pub fn all() -> ::std::vec::Vec<$crate::Bound> {
            ::std::vec![$($crate::Bound {
                name: ::core::stringify!($name),
                value: $crate::Number::number($name),
                unit: $unit,
                reason: ::core::concat!($($reason),+).trim_ascii(),
            }),+]
        }
    };
}
