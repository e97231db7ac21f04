use super::fields::Field;
use super::secrets::{bare, shown};
use crate::Error;
use crate::limits::COLUMNS;

/// `--map FIELD=COLUMN`: which columns of a foreign table the fields are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    pairs: Vec<(Field, Column)>,
}

/// A column as the user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Column {
    /// By its name in the header.
    Named(String),
    /// By its place, from 0, in a table without a header.
    Place(usize),
}

impl Mapping {
    /// From the words of the command line: `FIELD=NAME`, or `FIELD=#N` with N from 1 for a table
    /// without a header.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, Error> {
        let fault = |why: String| Error::Argument { what: "--map", why };
        let mut pairs: Vec<(Field, Column)> = Vec::new();
        for word in words.iter().map(AsRef::as_ref) {
            let (field, column) = word
                .split_once('=')
                .filter(|(_, column)| !column.trim().is_empty())
                .ok_or_else(|| fault(format!("`{}` is not FIELD=COLUMN", shown(word))))?;
            let field = Field::named(field).ok_or_else(|| {
                let names: Vec<_> = Field::ALL.iter().map(|field| field.name()).collect();
                fault(format!("`{}` is no field; there are {}", shown(field), names.join(", ")))
            })?;
            let column = match column.trim().strip_prefix('#') {
                None => Column::Named(column.trim().into()),
                Some(place) => match place.parse() {
                    Ok(n @ 1..=COLUMNS) => Column::Place(n - 1),
                    _ => return Err(fault("a place is #1 to #256".into())),
                },
            };
            if pairs.iter().any(|(known, _)| *known == field) {
                return Err(fault(format!("`{}` stands twice", field.name())));
            }
            if pairs.iter().any(|(_, known)| *known == column) {
                return Err(fault(format!("the column `{}` stands twice", shown(word))));
            }
            pairs.push((field, column));
        }
        let places = pairs.iter().filter(|(_, c)| matches!(c, Column::Place(_))).count();
        if places != 0 && places != pairs.len() {
            let why = "name all columns, or give all by place (then the file has no header)";
            return Err(fault(why.into()));
        }
        if places != 0 && !pairs.iter().any(|(field, _)| field.may_name_a_device()) {
            return Err(fault("say which column is the serial number: serial=#N".into()));
        }
        Ok(Self { pairs })
    }

    /// Whether columns are given by place, so that the first line is a row like others.
    pub(super) fn is_by_place(&self) -> bool {
        self.pairs.iter().any(|(_, column)| matches!(column, Column::Place(_)))
    }

    /// The field of each of so many columns, by place; or the place that there is not.
    pub(super) fn of_places(&self, count: usize) -> Result<Vec<Option<Field>>, usize> {
        let mut fields = vec![None; count];
        for (field, column) in &self.pairs {
            if let Column::Place(place) = column {
                *fields.get_mut(*place).ok_or(place + 1)? = Some(*field);
            }
        }
        Ok(fields)
    }

    /// The field of each name; or the name that is mapped and not there.
    pub(super) fn of_names(&self, names: &[String]) -> Result<Vec<Option<Field>>, String> {
        let mut fields = vec![None; names.len()];
        for (field, column) in &self.pairs {
            let Column::Named(wanted) = column else { continue };
            let exact = names.iter().position(|name| name.trim() == wanted);
            let like = || names.iter().position(|name| bare(name) == bare(wanted));
            let place = exact.or_else(like).ok_or_else(|| wanted.clone())?;
            fields[place] = Some(*field);
        }
        Ok(fields)
    }

    /// The field that is mapped to a name, exactly.
    pub(super) fn of_name(&self, name: &str) -> Option<Field> {
        let fits = |column: &Column| matches!(column, Column::Named(c) if c == name.trim());
        self.pairs.iter().find(|(_, column)| fits(column)).map(|(field, _)| *field)
    }

    /// Whether a column is named for the field.
    pub(super) fn names(&self, field: Field) -> bool {
        self.pairs.iter().any(|(known, _)| *known == field)
    }
}
