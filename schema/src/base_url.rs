//! Addresses of servers, under which things lie: `https://b.example` or `http://b.example:8484/pool`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::wire_text::wire_text;

/// The longest address that is read, in bytes.
pub const MAX_BASE_URL_LEN: usize = 512;

/// The scheme, the host and perhaps a path, without a final slash. There is neither a user in it nor
/// a query, nor anything that would end a line, a list or a quotation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BaseUrl(Box<str>);

/// Why a text is no address of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BaseUrlError {
    /// Longer than [`MAX_BASE_URL_LEN`].
    #[error("an address has at most {MAX_BASE_URL_LEN} bytes")]
    TooLong,
    /// Neither `http://` nor `https://`.
    #[error("write it as https://b.example or http://127.0.0.1:8484")]
    Scheme,
    /// A host that is none, or a user or a password beside it.
    #[error("the host is a name or an IP address, perhaps with a port, and nothing else")]
    Host,
    /// A query, a fragment, or a character that a path does not have.
    #[error("after the host there is a path, and neither a query nor a fragment")]
    Path,
}

impl BaseUrl {
    /// The address, without a final slash.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether what is asked there, and answered, is for nobody else to read or change.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The address of something that lies there; `path` begins without a slash.
    #[must_use]
    pub fn join(&self, path: &str) -> String {
        format!("{self}/{path}")
    }
}

impl FromStr for BaseUrl {
    type Err = BaseUrlError;

    fn from_str(text: &str) -> Result<Self, BaseUrlError> {
        if text.len() > MAX_BASE_URL_LEN {
            return Err(BaseUrlError::TooLong);
        }
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let rest = rest.ok_or(BaseUrlError::Scheme)?;
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if !is_authority(authority) {
            return Err(BaseUrlError::Host);
        }
        if !path.bytes().all(is_of_path) || path.contains("//") {
            return Err(BaseUrlError::Path);
        }
        Ok(Self(text.trim_end_matches('/').into()))
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A host and perhaps a port.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host.bytes().all(is_of_ip_6).then_some(host), port),
        None => {
            let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (host.bytes().all(is_of_name).then_some(host), port)
        }
    };
    let port_is_one = |port: &str| {
        port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|it| it > 0)
    };
    host.is_some_and(|host| !host.is_empty())
        && (port.is_empty() || port.strip_prefix(':').is_some_and(port_is_one))
}

fn is_of_ip_6(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_')
}

/// RFC 3986, section 3.3, without what separates or quotes elsewhere.
fn is_of_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/-._~%!$&()*+;=:@".contains(&byte)
}

wire_text!(BaseUrl, "https://b.example");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_and_print_without_a_final_slash() {
        for (text, printed) in [
            ("https://b.example/", "https://b.example"),
            ("http://127.0.0.1:8484", "http://127.0.0.1:8484"),
            ("https://[2001:db8::1]/", "https://[2001:db8::1]"),
            ("https://b.example:65535/a/b-c_d~%20/", "https://b.example:65535/a/b-c_d~%20"),
        ] {
            let url: BaseUrl = text.parse().unwrap();
            assert_eq!(url.as_str(), printed);
            assert_eq!(url.to_string().parse(), Ok(url));
        }
        let url: BaseUrl = "https://b.example/a/".parse().unwrap();
        assert!(url.is_https());
        assert_eq!(url.join("nar/x"), "https://b.example/a/nar/x");
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        let long = format!("https://{}", "a".repeat(MAX_BASE_URL_LEN));
        for (text, error) in [
            ("", BaseUrlError::Scheme),
            ("b.example", BaseUrlError::Scheme),
            ("file:///etc", BaseUrlError::Scheme),
            ("HTTP://b.example", BaseUrlError::Scheme),
            (" https://b.example", BaseUrlError::Scheme),
            ("https://", BaseUrlError::Host),
            ("https:///nar", BaseUrlError::Host),
            ("https://me@b.example", BaseUrlError::Host),
            ("https://me:word@b.example", BaseUrlError::Host),
            ("https://b.example?x", BaseUrlError::Host),
            ("https://b.example:", BaseUrlError::Host),
            ("https://b.example:0", BaseUrlError::Host),
            ("https://b.example:65536", BaseUrlError::Host),
            ("https://b.example:+1", BaseUrlError::Host),
            ("https://[::1", BaseUrlError::Host),
            ("https://[::g]", BaseUrlError::Host),
            ("https://[::1]x", BaseUrlError::Host),
            ("http://[::1]:1//", BaseUrlError::Path),
            ("https://b.example/?x", BaseUrlError::Path),
            ("https://b.example/#x", BaseUrlError::Path),
            ("https://b.example/a b", BaseUrlError::Path),
            ("https://b.example/a,b", BaseUrlError::Path),
            ("https://b.example/a\nSig: x", BaseUrlError::Path),
            ("https://b.example/\"", BaseUrlError::Path),
            (&long, BaseUrlError::TooLong),
        ] {
            assert_eq!(text.parse::<BaseUrl>(), Err(error), "{text}");
        }
    }
}
