//! Just enough of Rust's syntax to tell code from words, and to read paths.

/// The code of a text: comments and what stands in quotes are blanked, lines stay where they are.
pub(super) fn code(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let (kept, blanked) = next(rest);
        out.push_str(&rest[..kept]);
        let gone = &rest[kept..kept + blanked];
        out.extend(gone.chars().map(|char| if char == '\n' { '\n' } else { ' ' }));
        rest = &rest[kept + blanked..];
    }
    out
}

/// How many bytes to keep, and how many to blank after them.
fn next(text: &str) -> (usize, usize) {
    if text.starts_with("//") {
        return (0, text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return (0, text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let hashes =
        text.strip_prefix('r').map_or(0, |raw| raw.len() - raw.trim_start_matches('#').len());
    if text.starts_with('r') && text[1 + hashes..].starts_with('"') {
        let close = format!("\"{}", "#".repeat(hashes));
        let start = hashes + 2;
        return (0, text[start..].find(&close).map_or(text.len(), |end| start + end + close.len()));
    }
    if text.starts_with('"') {
        return (0, quoted(text));
    }
    let mut chars = text.char_indices().map(|(at, char)| (at + char.len_utf8(), char));
    let (first, char) = chars.next().unwrap_or_default();
    // A character in quotes; otherwise the quote begins a lifetime.
    match (char, chars.next(), chars.next()) {
        ('\'', Some((_, '\\')), _) => (0, text[2..].find('\'').map_or(text.len(), |end| end + 3)),
        ('\'', Some(_), Some((end, '\''))) => (0, end),
        _ if char.is_alphanumeric() || char == '_' => (
            text.find(|char: char| !(char.is_alphanumeric() || char == '_')).unwrap_or(text.len()),
            0,
        ),
        _ => (first, 0),
    }
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Every path in some code, `use` lists spelled out, with its line.
pub(super) fn paths(code: &str) -> Vec<(usize, String)> {
    let tokens = tokens(code);
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        at = if is_name(tokens[at].1) { path(&tokens, at, "", &mut found) } else { at + 1 };
    }
    found
}

type Token<'c> = (usize, &'c str);

fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let word = rest.find(|char: char| !(char.is_alphanumeric() || char == '_'));
            let len = match word.unwrap_or(rest.len()) {
                0 if rest.starts_with("::") => 2,
                0 => rest.chars().next().map_or(1, char::len_utf8),
                word => word,
            };
            tokens.push((number + 1, &rest[..len]));
            rest = rest[len..].trim_start();
        }
    }
    tokens
}

fn is_name(token: &str) -> bool {
    token.starts_with(|char: char| char.is_alphabetic() || char == '_')
}

/// Reads the path that begins at a name, and answers with where it ends.
fn path(
    tokens: &[Token<'_>],
    start: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let text = |at: usize| tokens.get(at).map_or("", |(_, text)| text);
    let mut path = format!("{prefix}{}", text(start));
    let mut at = start + 1;
    while text(at) == "::" {
        if is_name(text(at + 1)) {
            path = format!("{path}::{}", text(at + 1));
            at += 2;
        } else if text(at + 1) == "{" {
            return group(tokens, at + 2, &format!("{path}::"), found);
        } else {
            at += 1;
            break;
        }
    }
    found.push((tokens[start].0, path));
    at
}

fn group(
    tokens: &[Token<'_>],
    start: usize,
    prefix: &str,
    found: &mut Vec<(usize, String)>,
) -> usize {
    let mut at = start;
    while let Some((_, token)) = tokens.get(at) {
        match *token {
            "}" => return at + 1,
            name if is_name(name) => at = path(tokens, at, prefix, found),
            _ => at += 1,
        }
    }
    at
}

#[test]
fn words_are_not_code_and_lists_are_spelled_out() {
    let text = r##"
        use std::{fs, io::{self, Read}}; // use tokio::fs
        let quote = '"'; let s: &'static str = "std::net \" std::env"; r#"a::"b"#;
        a::b(c::<d::E>(1..2), '\'', f'x');
    "##;
    let found: Vec<_> =
        paths(&code(text)).into_iter().filter(|(_, path)| path.contains("::")).collect();
    let expected =
        [(2, "std::fs"), (2, "std::io::self"), (2, "std::io::Read"), (4, "a::b"), (4, "d::E")];
    assert_eq!(found, expected.map(|(line, path)| (line, path.to_owned())));
}
