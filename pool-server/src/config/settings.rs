//! Collects settings from their sources, and remembers where each came from.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Config, Form, Invalid, KEYS, Key, VARIABLE_PREFIX};

/// How many letters of a variable may be wrong before it is taken for somebody else's: the prefix
/// is shared with the command-line client, and with whatever else there is.
const SLIP: usize = 2;

/// Values of keys. A source that is added later wins over those before it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    set: BTreeMap<&'static str, Setting>,
}

#[derive(Debug, Clone)]
struct Setting {
    text: String,
    /// For people: file and line, variable or flag.
    origin: String,
}

impl Settings {
    /// Adds what a TOML file sets.
    ///
    /// # Errors
    /// A file that cannot be read or parsed, an unknown key, a value that does not fit.
    pub fn add_file(&mut self, path: &Path) -> Result<(), Invalid> {
        let text = fs::read_to_string(path).map_err(|why| Invalid {
            place: Some(path.display().to_string()),
            what: format!("cannot be read: {why}"),
            hint: None,
        })?;
        self.add_toml(&path.display().to_string(), &text)
    }

    fn add_toml(&mut self, name: &str, text: &str) -> Result<(), Invalid> {
        let table = DeTable::parse(text).map_err(|why| Invalid {
            place: Some(place(name, text, why.span().map_or(0, |span| span.start))),
            what: why.message().to_owned(),
            hint: None,
        })?;
        let mut seen = BTreeMap::new();
        // By place, so that the first mistake of the file is the one reported.
        let mut pairs: Vec<_> = table.get_ref().iter().collect();
        pairs.sort_by_key(|(name, _)| name.span().start);
        for (written, value) in pairs {
            let at_name = place(name, text, written.span().start);
            let key = find(&written.get_ref().replace('_', "-")).ok_or_else(|| {
                unknown(at_name.clone(), written.get_ref(), |key| key.name.clone())
            })?;
            if let Some(before) = seen.insert(&key.name, at_name.clone()) {
                let what = format!("{} is set before, at {before}", key.name);
                return Err(Invalid { place: Some(at_name), what, hint: None });
            }
            let at_value = place(name, text, value.span().start);
            self.set(key, &value_text(key, value.get_ref(), &at_value)?, at_value)?;
        }
        Ok(())
    }

    /// Adds what variables set. Those that are no keys, and do not look like one with a slip in
    /// it, are passed over.
    ///
    /// # Errors
    /// A variable that looks like a key with a slip in it, a value that does not fit.
    pub fn add_variables(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), Invalid> {
        for (variable, text) in variables {
            if !variable.starts_with(VARIABLE_PREFIX) {
                continue;
            }
            let upper = variable.to_uppercase();
            let (letters, key) = nearest(&upper, Key::variable);
            if key.variable() == variable {
                self.set(key, &text, variable)?;
            } else if letters <= SLIP {
                return Err(unknown("environment".to_owned(), &variable, Key::variable));
            }
        }
        Ok(())
    }

    /// Adds what a flag sets.
    ///
    /// # Errors
    /// An unknown key, a value that does not fit.
    pub fn add_flag(&mut self, name: &str, text: &str) -> Result<(), Invalid> {
        let flag = format!("--{name}");
        let key = find(name).ok_or_else(|| {
            unknown("command line".to_owned(), &flag, |key| format!("--{}", key.name))
        })?;
        self.set(key, text, flag)
    }

    /// What all that amounts to.
    ///
    /// # Errors
    /// Values that do not fit one another.
    pub fn config(&self) -> Result<Config, Invalid> {
        Config::read(|name| self.text(find(name).unwrap_or_else(|| unreachable!("{name}"))).0)
            .map_err(|mut invalid| {
                let set = invalid.place.as_deref().and_then(|name| self.set.get(name));
                if let Some(setting) = set {
                    invalid.what = format!("{}: {}", setting.origin, invalid.what);
                }
                invalid
            })
    }

    fn set(&mut self, key: &'static Key, text: &str, origin: String) -> Result<(), Invalid> {
        match (key.normal)(text) {
            Ok(text) => {
                self.set.insert(&key.name, Setting { text, origin });
                Ok(())
            }
            Err(hint) => {
                let what = format!("{text:?} is no value for {}", key.name);
                Err(Invalid { place: Some(origin), what, hint: Some(hint) })
            }
        }
    }

    /// The value of a key, and where it is from.
    fn text(&self, key: &Key) -> (&str, &str) {
        match (self.set.get(&*key.name), key.default.strip_prefix('=').and_then(find)) {
            (Some(setting), _) => (&setting.text, &setting.origin),
            (None, Some(other)) => (self.text(other).0, "default"),
            (None, None) => (key.default, "default"),
        }
    }
}

/// Every key with its value, as a file that could be read again.
impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for key in KEYS.iter() {
            let (text, origin) = self.text(key);
            let quoted = |text: &str| toml::Value::from(text).to_string();
            let value = match key.form {
                Form::Number | Form::Flag => text.to_owned(),
                Form::List => {
                    let parts = text.split(',').filter(|part| !part.is_empty());
                    format!("[{}]", parts.map(quoted).collect::<Vec<_>>().join(", "))
                }
                Form::Text | Form::Size => quoted(text),
            };
            writeln!(f, "{} = {value}  # {origin}", key.name)?;
        }
        Ok(())
    }
}

fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// A TOML value as the text that a variable or flag would have.
fn value_text(key: &Key, value: &DeValue<'_>, place: &str) -> Result<String, Invalid> {
    match (value, key.form) {
        (DeValue::String(text), _) => return Ok(text.to_string()),
        (DeValue::Integer(number), Form::Number | Form::Size) => return Ok(number.to_string()),
        (DeValue::Boolean(flag), Form::Flag) => return Ok(flag.to_string()),
        (DeValue::Array(items), Form::List) => {
            let texts = items.iter().map(|item| item.get_ref().as_str());
            if let Some(texts) = texts.collect::<Option<Vec<_>>>() {
                return Ok(texts.join(","));
            }
        }
        _ => {}
    }
    let wanted = match key.form {
        Form::Text => "a string in quotes",
        Form::Number => "a number",
        Form::Size => "a number of bytes, or a string such as \"64MiB\"",
        Form::Flag => "true or false",
        Form::List => "a list of strings",
    };
    let what = format!("{} cannot be a TOML {}", key.name, value.type_str());
    Err(Invalid { place: Some(place.to_owned()), what, hint: Some(format!("write {wanted}")) })
}

fn unknown(place: String, written: &str, spell: impl Fn(&Key) -> String) -> Invalid {
    let (letters, key) = nearest(written, &spell);
    let near = letters <= written.len() / 2;
    let guess = if near { format!("did you mean {}? ", spell(key)) } else { String::new() };
    let hint = format!("{guess}`pool-server config-keys` lists all");
    Invalid { place: Some(place), what: format!("unknown key {written}"), hint: Some(hint) }
}

/// The key whose spelling is nearest to what is written, and how many letters they differ in.
fn nearest(written: &str, spell: impl Fn(&Key) -> String) -> (usize, &'static Key) {
    let distances = KEYS.iter().map(|key| (distance(&spell(key), written), key));
    distances.min_by_key(|(letters, _)| *letters).unwrap_or_else(|| unreachable!("there are keys"))
}

/// Levenshtein's distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, one) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

/// File, line and column, counted from one.
fn place(file: &str, text: &str, offset: usize) -> String {
    let before = &text[..offset.min(text.len())];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|&char| char != '\n').count() + 1;
    format!("{file}:{line}:{column}")
}

#[cfg(test)]
mod tests;
