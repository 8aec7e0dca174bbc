//! Credentials in a request's header.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use super::Secret;
use crate::rejected::Rejected;

/// The token a request brings: as `Bearer`, or as the password of `Basic`, which is how netrc
/// sends it. Absent without an `Authorization` header.
///
/// # Errors
/// 401 for a header that cannot hold a token.
pub(super) fn secret(headers: &HeaderMap) -> Result<Option<Secret>, Rejected> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("more than one Authorization header"));
    }
    let text = value.to_str().map_err(|_| bad("the Authorization header is not ASCII"))?;
    let (scheme, rest) = text.split_once(' ').ok_or_else(|| bad("nothing follows the scheme"))?;
    let secret = if scheme.eq_ignore_ascii_case("bearer") {
        Secret::parse(rest.trim())
    } else if scheme.eq_ignore_ascii_case("basic") {
        password(rest.trim()).and_then(|password| Secret::parse(&password))
    } else {
        return Err(bad("the scheme is neither Bearer nor Basic"));
    };
    secret.map(Some).ok_or_else(|| {
        bad("what was sent is not a token")
            .hint("a token begins with npt_; with Basic, or in a netrc file, it is the password")
    })
}

/// RFC 7617, section 2: the user's name has no colon, the password may.
fn password(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    decoded.split_once(':').map(|(_, password)| password.to_owned())
}

fn bad(detail: &str) -> Rejected {
    Rejected::unauthorized("bad_credentials", detail)
}
