//! Names that say nothing, and files that have become too long.

use super::project::{File, Project};

/// They say where something was put, not what it is.
const EMPTY: [&str; 9] =
    ["common", "helper", "helpers", "manager", "misc", "service", "util", "utility", "utils"];

/// Lines of a source file without its tests.
const LONGEST: usize = 350;

pub(super) fn breaches(project: &Project) -> Vec<String> {
    let mut breaches = Vec::new();
    for file in project.sources("") {
        if file.name.ends_with("/mod.rs") {
            breaches.push(format!("{}: foo.rs beside foo/, not foo/mod.rs", file.name));
        }
        let lines = file.shipped().lines().count();
        if file.name.contains("/src/") && !file.name.ends_with("/tests.rs") && lines > LONGEST {
            breaches.push(format!("{}: {lines} lines; at most {LONGEST}", file.name));
        }
        let stem = file.name.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        let mut names = vec![stem.to_owned()];
        names.extend(declared(file));
        for name in
            names.iter().filter(|name| words(name).any(|word| EMPTY.contains(&word.as_str())))
        {
            breaches.push(format!("{}: {name} is a name that says nothing", file.name));
        }
    }
    breaches
}

/// What a file declares. Aliases are left out: foreign traits name those in them.
fn declared(file: &File) -> Vec<String> {
    let code = super::paths::code(&file.text);
    let words: Vec<&str> =
        code.split(|char: char| !(char.is_alphanumeric() || char == '_')).collect();
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let keyword = |word: &str| ["struct", "enum", "trait", "fn", "mod"].contains(&word);
    words.windows(2).filter(|pair| keyword(pair[0])).map(|pair| pair[1].to_owned()).collect()
}

/// The words of a name in snake or camel case.
fn words(name: &str) -> impl Iterator<Item = String> {
    let mut spread = String::new();
    for char in name.chars() {
        if char.is_uppercase() {
            spread.push('_');
        }
        spread.extend(char.to_lowercase());
    }
    let words: Vec<String> = spread.split('_').map(str::to_owned).collect();
    words.into_iter()
}
