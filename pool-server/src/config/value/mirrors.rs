//! Mirrors, and addresses to be told to clients.

use schema::api::MAX_MIRRORS;
use schema::base_url::{BaseUrl, BaseUrlError};
use schema::tlog::note::{NoteKeyError, SignatureKind, VerifierKey};

use super::{Form, Kind};

/// Another server that keeps a copy of this pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// Where it is.
    pub url: BaseUrl,
    /// By which it cosigns the checkpoints that it has copied.
    pub key: VerifierKey,
}

/// Mirrors, each with its address and its key.
pub(in crate::config) struct Mirrors;
impl Kind for Mirrors {
    type Value = Vec<Mirror>;
    const HOLDER: &'static str = "URL VKEY,…";
    const FORM: Form = Form::List;

    fn parse(text: &str) -> Result<Vec<Mirror>, String> {
        let mut mirrors: Vec<Mirror> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let mirror = parse_mirror(part)?;
            let same = |it: &Mirror| it.url == mirror.url || it.key.name() == mirror.key.name();
            if mirrors.iter().any(same) {
                return Err(format!("{part:?} has the address or the name of one before it"));
            }
            mirrors.push(mirror);
        }
        if mirrors.len() > MAX_MIRRORS {
            return Err(format!("{} mirrors; at most {MAX_MIRRORS} are named", mirrors.len()));
        }
        Ok(mirrors)
    }

    fn print(value: &Vec<Mirror>) -> String {
        let mirror = |it: &Mirror| format!("{} {}", it.url, it.key);
        value.iter().map(mirror).collect::<Vec<_>>().join(",")
    }
}

fn parse_mirror(text: &str) -> Result<Mirror, String> {
    let (url, key) = text.split_once(' ').ok_or_else(|| {
        format!("{text:?}: write the mirror's address, a space, and the key it cosigns with")
    })?;
    let url = url.parse().map_err(|why: BaseUrlError| format!("{url:?}: {why}"))?;
    let key: VerifierKey =
        key.trim().parse().map_err(|why: NoteKeyError| format!("{key:?}: {why}"))?;
    if key.kind() != SignatureKind::Cosignature {
        return Err(format!("{} is not a mirror's key: it signs notes without a time", key.name()));
    }
    Ok(Mirror { url, key })
}

/// The address of a server, or nothing.
pub(in crate::config) struct OptionalUrl;
impl Kind for OptionalUrl {
    type Value = Option<BaseUrl>;
    const HOLDER: &'static str = "URL";

    fn parse(text: &str) -> Result<Option<BaseUrl>, String> {
        let url = (!text.is_empty()).then(|| text.parse()).transpose();
        url.map_err(|why: BaseUrlError| why.to_string())
    }

    fn print(value: &Option<BaseUrl>) -> String {
        value.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// What is done about NARs that are not here but elsewhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbsentNars {
    /// Their paths are not shown.
    Refuse,
    /// Whoever asks for one is sent to where it is.
    Redirect,
    /// They are brought when they are asked for.
    Pull,
}

/// An [`AbsentNars`].
pub(in crate::config) struct AbsentNarsName;
impl Kind for AbsentNarsName {
    type Value = AbsentNars;
    const HOLDER: &'static str = "WHAT";

    fn parse(text: &str) -> Result<AbsentNars, String> {
        match text {
            "refuse" => Ok(AbsentNars::Refuse),
            "redirect" => Ok(AbsentNars::Redirect),
            "pull" => Ok(AbsentNars::Pull),
            _ => Err("write refuse, redirect or pull".into()),
        }
    }

    fn print(value: &AbsentNars) -> String {
        let name = match value {
            AbsentNars::Refuse => "refuse",
            AbsentNars::Redirect => "redirect",
            AbsentNars::Pull => "pull",
        };
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "b.example/mirror+KEYID+KEY";

    fn key(name: &str) -> String {
        use schema::key::SecretKey;
        use schema::tlog::cosignature::Cosigner;
        let secret = SecretKey::from_seed("m".parse().unwrap(), &[7; 32]);
        Cosigner::new(name.parse().unwrap(), secret.into()).unwrap().verifier().to_string()
    }

    #[test]
    fn mirrors_read_and_print() {
        let (one, other) = (key("b.example/mirror"), key("c.example/mirror"));
        let text = format!("https://b.example/ {one}, http://c.example:8484/pool  {other},");
        let mirrors = Mirrors::parse(&text).unwrap();
        let printed = Mirrors::print(&mirrors);
        assert_eq!(printed, format!("https://b.example {one},http://c.example:8484/pool {other}"));
        assert_eq!(Mirrors::parse(&printed), Ok(mirrors));
        assert_eq!(Mirrors::parse(""), Ok(Vec::new()));
    }

    #[test]
    fn what_names_no_mirror_is_refused() {
        let one = key("b.example/mirror");
        let log = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        for (text, why) in [
            (one.clone(), "write the mirror's address"),
            ("https://b.example".to_owned(), "write the mirror's address"),
            (format!("b.example {one}"), "write it as https://b.example"),
            (format!("https://b.example/?x {one}"), "neither a query"),
            (format!("https://b.example {KEY}"), "not the base64"),
            (format!("https://b.example {log}"), "is not a mirror's key"),
            (format!("https://b.example {one},https://b.example/ {}", key("c")), "of one before"),
            (format!("https://b.example {one},https://c.example {one}"), "of one before"),
        ] {
            let told = Mirrors::parse(&text).expect_err(&text);
            assert!(told.contains(why), "{text}: {told}");
        }
        let many = (0..17).map(|at| format!("https://b{at}.example {}", key(&format!("m{at}"))));
        let many = many.collect::<Vec<_>>().join(",");
        assert!(Mirrors::parse(&many).unwrap_err().contains("at most 16"));
    }
}
