use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use std::borrow::Cow;

/// A text on its way into the database or out of it. PostgreSQL takes every character in a text
/// but U+0000 (<https://www.postgresql.org/docs/current/datatype-character.html>), and a serial
/// number may have one: it stands there as U+0001 U+0001, and U+0001 as U+0001 U+0002. Texts
/// keep their order so, byte by byte, and all others stand as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text(pub(super) String);

impl Text {
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Texts as an array of a statement.
    pub(super) fn all<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<Self> {
        texts.map(Self::of).collect()
    }
}

fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', '\u{1}']) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 1);
    for character in text.chars() {
        match character {
            '\0' => out.push_str("\u{1}\u{1}"),
            '\u{1}' => out.push_str("\u{1}\u{2}"),
            other => out.push(other),
        }
    }
    Cow::Owned(out)
}

/// None: nobody wrote it so.
fn unescaped(text: String) -> Option<String> {
    if !text.contains('\u{1}') {
        return Some(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        out.push(match character {
            '\u{1}' => match rest.next()? {
                '\u{1}' => '\0',
                '\u{2}' => '\u{1}',
                _ => return None,
            },
            other => other,
        });
    }
    Some(out)
}

impl Type<Postgres> for Text {
    fn type_info() -> PgTypeInfo {
        <str as Type<Postgres>>::type_info()
    }

    fn compatible(ty: &PgTypeInfo) -> bool {
        <str as Type<Postgres>>::compatible(ty)
    }
}

impl PgHasArrayType for Text {
    fn array_type_info() -> PgTypeInfo {
        <String as PgHasArrayType>::array_type_info()
    }
}

impl Encode<'_, Postgres> for Text {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<Postgres>>::encode(&*escaped(&self.0), buffer)
    }
}

impl Decode<'_, Postgres> for Text {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let text = <String as Decode<Postgres>>::decode(value)?;
        unescaped(text).map(Self).ok_or_else(|| "a text that was not written so".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_and_keep_their_order() {
        let mut texts: Vec<String> = Vec::new();
        let signs = ["\0", "\u{1}", "\u{2}", "a", "\u{10ffff}"];
        for one in signs {
            texts.push(one.into());
            for two in signs {
                texts.push(format!("{one}{two}"));
                texts.extend(signs.iter().map(|three| format!("{one}{two}{three}")));
            }
        }
        texts.push(String::new());
        texts.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        let kept: Vec<String> = texts.iter().map(|text| escaped(text).into_owned()).collect();
        assert!(kept.is_sorted_by(|a, b| a.as_bytes() < b.as_bytes()));
        assert!(kept.iter().all(|text| !text.contains('\0')));
        let back: Vec<Option<String>> = kept.into_iter().map(unescaped).collect();
        assert_eq!(back, texts.into_iter().map(Some).collect::<Vec<_>>());
        assert_eq!(unescaped("\u{1}x".into()), None);
        assert_eq!(unescaped("\u{1}".into()), None);
    }
}
