//! Values of a TOML file, and where they stand.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::{MAX_PARTS, PolicyError, time};

/// The file that is read.
#[derive(Clone, Copy)]
pub(super) struct Source<'t>(pub(super) &'t str);

impl Source<'_> {
    pub(super) fn error(self, offset: usize, what: String, hint: &str) -> PolicyError {
        PolicyError::at(self.0, offset, what, hint)
    }
}

/// A table whose keys are all known.
pub(super) struct Fields<'t> {
    source: Source<'t>,
    /// For people.
    name: String,
    offset: usize,
    table: &'t DeTable<'t>,
}

impl<'t> Fields<'t> {
    pub(super) fn new(
        source: Source<'t>,
        name: String,
        offset: usize,
        table: &'t DeTable<'t>,
        known: &[&str],
    ) -> Result<Self, PolicyError> {
        let unknown = table.keys().filter(|key| !known.contains(&&**key.get_ref()));
        if let Some(key) = unknown.min_by_key(|key| key.span().start) {
            let what = format!("unknown key {:?} in {name}", key.get_ref());
            let hint = format!("known there: {}", known.join(", "));
            return Err(source.error(key.span().start, what, &hint));
        }
        Ok(Self { source, name, offset, table })
    }

    pub(super) fn optional(&self, key: &str) -> Option<Field<'t>> {
        let (key, value) = self.table.get_key_value(key)?;
        Some(Field { source: self.source, name: key.get_ref().to_string(), value })
    }

    pub(super) fn required(&self, key: &str, hint: &str) -> Result<Field<'t>, PolicyError> {
        self.optional(key).ok_or_else(|| {
            self.source.error(self.offset, format!("{} has no {key}", self.name), hint)
        })
    }
}

/// A value, and what it is the value of.
pub(super) struct Field<'t> {
    source: Source<'t>,
    name: String,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Field<'t> {
    /// The value is not what it must be.
    pub(super) fn refuse(&self, why: &str, hint: &str) -> PolicyError {
        self.source.error(self.offset(), format!("{}: {why}", self.name), hint)
    }

    pub(super) fn offset(&self) -> usize {
        self.value.span().start
    }

    fn not_a(&self, wanted: &str) -> PolicyError {
        let found = self.value.get_ref().type_str();
        self.refuse(&format!("a TOML {found} cannot stand here"), &format!("write {wanted}"))
    }

    pub(super) fn is_list(&self) -> bool {
        self.value.get_ref().is_array()
    }

    pub(super) fn text(&self) -> Result<&'t str, PolicyError> {
        self.value.get_ref().as_str().ok_or_else(|| self.not_a("a text in quotes"))
    }

    /// A text that reads as something, `hint` being an example of it.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, hint: &str) -> Result<T, PolicyError> {
        let text = self.text()?;
        text.parse().map_err(|why: T::Err| self.refuse(&why.to_string(), hint))
    }

    pub(super) fn flag(&self) -> Result<bool, PolicyError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.not_a("true or false"))
    }

    /// A number from 1 to the largest that TOML has.
    pub(super) fn number(&self) -> Result<u64, PolicyError> {
        self.within(1..=i64::MAX.unsigned_abs(), "write a whole number, at least 1")
    }

    /// How many of `all` things, at least one.
    pub(super) fn count(&self, all: usize) -> Result<usize, PolicyError> {
        let hint = format!("write a number from 1 to {all}: so many members there are");
        let number = self.within(1..=all as u64, &hint)?;
        usize::try_from(number).map_err(|_| self.refuse("too large", &hint))
    }

    fn within(&self, range: RangeInclusive<u64>, hint: &str) -> Result<u64, PolicyError> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return Err(self.not_a("a whole number"));
        };
        let plain = (number.radix() == 10).then(|| number.as_str().parse().ok()).flatten();
        let fits = plain.filter(|number| range.contains(number));
        fits.ok_or_else(|| self.refuse(&format!("{number} is out of range"), hint))
    }

    /// Seconds, of a date and time with an offset.
    pub(super) fn posix(&self) -> Result<u64, PolicyError> {
        let hint = "write a whole second with an offset, such as 2027-03-01T00:00:00Z";
        let DeValue::Datetime(written) = self.value.get_ref() else {
            return Err(self.not_a("a date and time, such as 2027-03-01T00:00:00Z, without quotes"));
        };
        time::posix(written)
            .ok_or_else(|| self.refuse(&format!("{written} is no point in time"), hint))
    }

    /// The items of a list, at least one and not too many.
    pub(super) fn list(&self) -> Result<Vec<Self>, PolicyError> {
        let items = self.value.get_ref().as_array().ok_or_else(|| self.not_a("a list in [ ]"))?;
        if items.is_empty() {
            return Err(self.refuse("an empty list", "name at least one, or leave it out"));
        }
        if items.len() > MAX_PARTS {
            let what = format!("{} items in one list", items.len());
            return Err(self.refuse(&what, "at most 1024 are allowed"));
        }
        let item = |value| Self { source: self.source, name: self.name.clone(), value };
        Ok(items.iter().map(item).collect())
    }

    /// The items of a list, or the one that stands there alone.
    pub(super) fn one_or_more(self) -> Result<Vec<Self>, PolicyError> {
        if self.is_list() { self.list() } else { Ok(vec![self]) }
    }

    pub(super) fn fields(&self, known: &[&str]) -> Result<Fields<'t>, PolicyError> {
        let name = format!("[{}]", self.name);
        Fields::new(self.source, name, self.offset(), self.table()?, known)
    }

    /// The tables in a table, in the order of the file, each with its name.
    pub(super) fn named(&self) -> Result<Vec<(&'t str, Self)>, PolicyError> {
        let table = self.table()?;
        if table.len() > MAX_PARTS {
            let what = format!("{} of them", table.len());
            return Err(self.refuse(&what, "at most 1024 are allowed"));
        }
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let named = entries.into_iter().map(|(key, value)| {
            let name = format!("{}.{}", self.name, key.get_ref());
            (&**key.get_ref(), Self { source: self.source, name, value })
        });
        Ok(named.collect())
    }

    fn table(&self) -> Result<&'t DeTable<'t>, PolicyError> {
        self.value.get_ref().as_table().ok_or_else(|| self.not_a("a table"))
    }
}
