//! S-expressions, as libgcrypt reads and prints them.
//!
//! Sources: Rivest's S-expressions draft, and libgcrypt's `sexp.c` for what it prints. Of what that
//! reads, everything is read here that it or Guix writes, and nothing that can be read in two ways: no
//! display hints, no line breaks inside of values.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use zeroize::Zeroize;

use crate::hash::from_hex;

/// The longest expression that is read, in bytes.
pub const MAX_SEXP_LEN: usize = 16 << 10;
/// The most lists around an atom.
const MAX_DEPTH: usize = 16;

/// A list, or the bytes of an atom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sexp {
    /// Bytes, however they were written.
    Atom(Vec<u8>),
    /// Expressions between parentheses.
    List(Vec<Sexp>),
}

/// Why some bytes are no expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SexpError {
    /// Longer than [`MAX_SEXP_LEN`].
    #[error("{0} bytes; an expression has at most {MAX_SEXP_LEN}")]
    TooLong(usize),
    /// A character that stands for no byte.
    #[error("a character beyond Latin-1")]
    Character,
    /// Lists in lists in lists.
    #[error("more than {MAX_DEPTH} lists in one another")]
    TooDeep,
    /// It ends before it is whole.
    #[error("it breaks off")]
    Unfinished,
    /// Something follows it.
    #[error("something follows at byte {0}")]
    Trailing(usize),
    /// No expression begins or goes on like this.
    #[error("byte {0} cannot stand where it does")]
    Unexpected(usize),
}

impl Sexp {
    /// Reads one expression, which may have blanks around it.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(bytes: &[u8]) -> Result<Self, SexpError> {
        if bytes.len() > MAX_SEXP_LEN {
            return Err(SexpError::TooLong(bytes.len()));
        }
        let mut reader = Reader { bytes, at: 0 };
        let sexp = reader.sexp(0)?;
        reader.skip_blanks();
        if reader.at == bytes.len() { Ok(sexp) } else { Err(SexpError::Trailing(reader.at)) }
    }

    /// Reads one expression from a text in which, as in Guix's files, each character is a byte.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and a character beyond Latin-1.
    pub fn parse_text(text: &str) -> Result<Self, SexpError> {
        let bytes = text.chars().map(|char| u8::try_from(u32::from(char)).ok());
        let mut bytes = bytes.collect::<Option<Vec<u8>>>().ok_or(SexpError::Character)?;
        let sexp = Self::parse(&bytes);
        bytes.zeroize();
        sexp
    }

    /// What [`print`](Self::print) does, as a text in which each character is a byte.
    #[must_use]
    pub fn print_text(&self) -> String {
        self.print().into_iter().map(char::from).collect()
    }

    /// The text that libgcrypt prints in its advanced form, byte for byte.
    #[must_use]
    pub fn print(&self) -> Vec<u8> {
        let mut tokens = Vec::new();
        self.tokens(&mut tokens);
        let (mut out, mut depth) = (Vec::new(), 0);
        let indent = |out: &mut Vec<u8>, depth: usize| {
            out.push(b'\n');
            out.extend(std::iter::repeat_n(b' ', depth));
        };
        for (at, token) in tokens.iter().enumerate() {
            let next = tokens.get(at + 1);
            match token {
                Token::Open => {
                    if depth > 0 {
                        indent(&mut out, depth);
                    }
                    out.push(b'(');
                    depth += 1;
                }
                Token::Close => {
                    out.push(b')');
                    depth -= 1;
                    if !matches!(next, None | Some(Token::Open)) {
                        indent(&mut out, depth);
                    }
                }
                Token::Atom(bytes) => {
                    print_atom(bytes, &mut out);
                    if !matches!(next, None | Some(Token::Close)) {
                        out.push(b' ');
                    }
                }
            }
        }
        out.push(b'\n');
        out
    }

    /// What follows `name` in a list that begins with it.
    #[must_use]
    pub fn tagged(&self, name: &str) -> Option<&[Self]> {
        let Self::List(items) = self else { return None };
        let (first, rest) = items.split_first()?;
        (first.atom()? == name.as_bytes()).then_some(rest)
    }

    /// The bytes of an atom.
    #[must_use]
    pub fn atom(&self) -> Option<&[u8]> {
        match self {
            Self::Atom(bytes) => Some(bytes),
            Self::List(_) => None,
        }
    }

    /// A list that begins with `name`.
    #[must_use]
    pub fn tag(name: &str, rest: impl IntoIterator<Item = Self>) -> Self {
        Self::List(std::iter::once(Self::from(name)).chain(rest).collect())
    }

    fn tokens<'s>(&'s self, out: &mut Vec<Token<'s>>) {
        match self {
            Self::Atom(bytes) => out.push(Token::Atom(bytes)),
            Self::List(items) => {
                out.push(Token::Open);
                items.iter().for_each(|item| item.tokens(out));
                out.push(Token::Close);
            }
        }
    }
}

/// For secret keys, which must not stay in memory.
impl Zeroize for Sexp {
    fn zeroize(&mut self) {
        match self {
            Self::Atom(bytes) => bytes.zeroize(),
            Self::List(items) => items.iter_mut().for_each(Zeroize::zeroize),
        }
    }
}

impl From<&str> for Sexp {
    fn from(text: &str) -> Self {
        Self::Atom(text.as_bytes().to_vec())
    }
}

enum Token<'s> {
    Open,
    Close,
    Atom(&'s [u8]),
}

const TOKEN_SPECIALS: &[u8] = b"-./_:*+=";
const ESCAPED: [(u8, u8); 9] = [
    (b'b', 0x08),
    (b't', b'\t'),
    (b'v', 0x0b),
    (b'n', b'\n'),
    (b'f', 0x0c),
    (b'r', b'\r'),
    (b'"', b'"'),
    (b'\'', b'\''),
    (b'\\', b'\\'),
];

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || TOKEN_SPECIALS.contains(&byte)
}

/// Whether libgcrypt takes a byte for one of a text: by Latin-1's printable characters.
fn is_text(byte: u8) -> bool {
    let is_control = byte < 0x20 || (0x7f..=0xa0).contains(&byte);
    !is_control || ESCAPED.iter().any(|(_, meant)| *meant == byte)
}

fn print_atom(bytes: &[u8], out: &mut Vec<u8>) {
    let begins_as_text = bytes.first().is_none_or(|first| *first != 0 && *first < 0x80);
    if !begins_as_text || !bytes.iter().all(|byte| is_text(*byte)) {
        out.push(b'#');
        let digit = |nibble: u8| nibble + if nibble < 10 { b'0' } else { b'A' - 10 };
        out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]));
        out.push(b'#');
    } else if bytes.first().is_some_and(|first| !first.is_ascii_digit())
        && bytes.iter().all(|byte| is_token(*byte))
    {
        out.extend(bytes);
    } else {
        out.push(b'"');
        for byte in bytes {
            match ESCAPED.iter().find(|(_, meant)| meant == byte) {
                Some((letter, _)) => out.extend([b'\\', *letter]),
                None => out.push(*byte),
            }
        }
        out.push(b'"');
    }
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn sexp(&mut self, depth: usize) -> Result<Sexp, SexpError> {
        self.skip_blanks();
        match self.peek()? {
            b'(' if depth == MAX_DEPTH => Err(SexpError::TooDeep),
            b'(' => self.list(depth),
            b'"' => self.quoted().map(Sexp::Atom),
            b'#' => self.enclosed(b'#', from_hex).map(Sexp::Atom),
            b'|' => self.enclosed(b'|', |text| STANDARD.decode(text).ok()).map(Sexp::Atom),
            byte if byte.is_ascii_digit() => self.verbatim().map(Sexp::Atom),
            byte if is_token(byte) => {
                let rest = &self.bytes[self.at..];
                let len = rest.iter().take_while(|byte| is_token(**byte)).count();
                self.at += len;
                Ok(Sexp::Atom(rest[..len].to_vec()))
            }
            _ => Err(SexpError::Unexpected(self.at)),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Sexp, SexpError> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip_blanks();
            if self.peek()? == b')' {
                self.at += 1;
                return Ok(Sexp::List(items));
            }
            items.push(self.sexp(depth + 1)?);
        }
    }

    fn quoted(&mut self) -> Result<Vec<u8>, SexpError> {
        let mut out = Vec::new();
        self.at += 1;
        loop {
            match self.take()? {
                b'"' => return Ok(out),
                b'\\' => out.push(self.escape()?),
                b'\n' | b'\r' => return Err(SexpError::Unexpected(self.at - 1)),
                byte => out.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<u8, SexpError> {
        let letter = self.take()?;
        if letter == b'x' {
            let digits = [self.take()?, self.take()?];
            let byte = from_hex(&digits).and_then(|bytes| bytes.first().copied());
            return byte.ok_or(SexpError::Unexpected(self.at - 1));
        }
        let meant = ESCAPED.iter().find(|(known, _)| *known == letter).map(|(_, meant)| *meant);
        meant.ok_or(SexpError::Unexpected(self.at - 1))
    }

    /// What stands between two of `mark`.
    fn enclosed(
        &mut self,
        mark: u8,
        decode: impl Fn(&[u8]) -> Option<Vec<u8>>,
    ) -> Result<Vec<u8>, SexpError> {
        let start = self.at + 1;
        let len = self.bytes[start..].iter().position(|byte| *byte == mark);
        let end = start + len.ok_or(SexpError::Unfinished)?;
        self.at = end + 1;
        decode(&self.bytes[start..end]).ok_or(SexpError::Unexpected(start))
    }

    fn verbatim(&mut self) -> Result<Vec<u8>, SexpError> {
        let start = self.at;
        let mut len = 0_usize;
        while self.peek()?.is_ascii_digit() {
            len = len * 10 + usize::from(self.take()? - b'0');
            if len > MAX_SEXP_LEN {
                return Err(SexpError::Unfinished);
            }
        }
        let leading_zero = self.bytes[start] == b'0' && self.at > start + 1;
        if leading_zero || self.take()? != b':' {
            return Err(SexpError::Unexpected(start));
        }
        let rest = self.bytes.get(self.at..self.at + len).ok_or(SexpError::Unfinished)?;
        self.at += len;
        Ok(rest.to_vec())
    }

    fn skip_blanks(&mut self) {
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    }

    fn peek(&self) -> Result<u8, SexpError> {
        self.bytes.get(self.at).copied().ok_or(SexpError::Unfinished)
    }

    fn take(&mut self) -> Result<u8, SexpError> {
        let byte = self.peek()?;
        self.at += 1;
        Ok(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn atom(text: &[u8]) -> Vec<u8> {
        let Ok(Sexp::Atom(bytes)) = Sexp::parse(text) else { panic!("{text:?}") };
        bytes
    }

    #[test]
    fn one_value_has_many_spellings() {
        let spellings: [&[u8]; 6] =
            [b"abc", b"3:abc", b"#616263#", b"\"abc\"", b"|YWJj|", b" \"\\x61b\\x63\"\n"];
        for text in spellings {
            assert_eq!(atom(text), b"abc", "{text:?}");
        }
        assert_eq!(atom(b"\"\\b\\t\\v\\n\\f\\r\\\"\\'\\\\\""), b"\x08\t\x0b\n\x0c\r\"'\\");
        assert_eq!(atom(b"3:)(\""), b")(\"");
        assert_eq!(atom(b"0:"), b"");
    }

    #[test]
    fn it_prints_as_libgcrypt_does() {
        let sexp = Sexp::parse(b"(a(b c)(d #00FF# |MTIz| \"x y\" \"\")e)").unwrap();
        let expected = "(a \n (b c)\n (d #00FF# \"123\" \"x y\" \"\")\n e)\n";
        assert_eq!(String::from_utf8(sexp.print()).unwrap(), expected);
        assert_eq!(Sexp::parse(&sexp.print()), Ok(sexp));
    }

    #[test]
    fn anything_else_is_refused() {
        let deep = "(".repeat(MAX_DEPTH + 1) + &")".repeat(MAX_DEPTH + 1);
        let long = " ".repeat(MAX_SEXP_LEN + 1);
        for text in [
            "",
            " ",
            "(",
            ")",
            "(a",
            "(a))",
            "a b",
            "\"a",
            "\"\\q\"",
            "\"\\x6\"",
            "\"a\nb\"",
            "#6#",
            "#6g#",
            "#61",
            "|a|",
            "4:abc",
            "03:abc",
            "3abc",
            "99999999999:",
            "[a]b",
            "(a [b] c)",
            "{a}",
            &deep,
            &long,
        ] {
            assert!(Sexp::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
