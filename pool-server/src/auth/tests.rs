use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderValue, StatusCode};
use tempfile::tempdir;

use super::*;
use crate::rejected::Error;

const NOW: u64 = 1_800_000_000;

fn headers(value: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())])
}

fn bearer(secret: &Secret) -> HeaderMap {
    headers(&format!("Bearer {}", secret.reveal()))
}

fn rejected(result: Result<Grant, Failure>) -> (StatusCode, &'static str) {
    match result {
        Err(Failure::Rejected(rejected)) => (rejected.status, rejected.code),
        other => panic!("{other:?}"),
    }
}

fn scopes(text: &str) -> Scopes {
    text.parse().unwrap()
}

#[test]
fn the_first_token_is_in_its_file_and_allows_everything() {
    let dir = tempdir().unwrap();
    assert!(!Tokens::exist_in(dir.path()));
    let tokens = Tokens::open(dir.path()).unwrap();
    let file = dir.path().join(ADMIN_TOKEN_FILE);
    let text = fs::read_to_string(&file).unwrap();
    for name in [ADMIN_TOKEN_FILE, "tokens.json", "tokens.lock"] {
        let mode = fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let grant = tokens.authenticate(&headers(&format!("bearer {}", text.trim())), NOW).unwrap();
    for scope in [Scope::Read, Scope::Upload, Scope::Attest, Scope::Admin] {
        grant.require(scope).unwrap();
    }
    let kept = fs::read_to_string(dir.path().join("tokens.json")).unwrap();
    assert!(!kept.contains(text.trim()) && kept.contains("sha256-"), "{kept}");
    drop(tokens);
    Tokens::open(dir.path()).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "a second start must not make another");
}

#[test]
fn a_token_is_taken_as_bearer_and_as_a_basic_password() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    let (secret, token) = tokens.create("ci", scopes("upload"), None, NOW).unwrap();
    let basic = format!("Basic {}", STANDARD.encode(format!("me:{}", secret.reveal())));
    for header in [bearer(&secret), headers(&basic)] {
        let grant = tokens.authenticate(&header, NOW).unwrap();
        assert_eq!(grant.token_id(), Some(&*token.id));
        grant.require(Scope::Upload).unwrap();
        let refused = grant.require(Scope::Attest).unwrap_err();
        assert_eq!((refused.status, refused.code), (StatusCode::FORBIDDEN, "scope_missing"));
    }
    let anonymous = tokens.authenticate(&HeaderMap::new(), NOW).unwrap();
    let refused = anonymous.require(Scope::Read).unwrap_err();
    assert_eq!((refused.status, refused.code), (StatusCode::UNAUTHORIZED, "token_required"));
}

#[test]
fn another_process_revokes_at_once() {
    let dir = tempdir().unwrap();
    let server = Tokens::open(dir.path()).unwrap();
    let command = Tokens::open(dir.path()).unwrap();
    let (secret, token) = command.create("ci", scopes("upload,attest"), None, NOW).unwrap();
    server.authenticate(&bearer(&secret), NOW).unwrap().require(Scope::Attest).unwrap();
    command.revoke(&token.id, NOW + 5).unwrap();
    let refused = rejected(server.authenticate(&bearer(&secret), NOW + 5));
    assert_eq!(refused, (StatusCode::UNAUTHORIZED, "token_revoked"));
    command.revoke(&token.id, NOW + 9).unwrap();
    assert_eq!(server.current().unwrap()[1].revoked_at, Some(NOW + 5));
    assert!(matches!(command.revoke("nope", NOW), Err(Failure::Rejected(_))));
}

#[test]
fn a_token_ends_with_the_second_it_expires() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    let (secret, _) = tokens.create("short", scopes("read"), Some(NOW + 60), NOW).unwrap();
    tokens.authenticate(&bearer(&secret), NOW + 59).unwrap().require(Scope::Read).unwrap();
    let refused = rejected(tokens.authenticate(&bearer(&secret), NOW + 60));
    assert_eq!(refused, (StatusCode::UNAUTHORIZED, "token_expired"));
}

#[test]
fn credentials_that_do_not_hold_are_401_and_never_told() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    let stranger = Secret::generate().unwrap();
    let refused = rejected(tokens.authenticate(&bearer(&stranger), NOW));
    assert_eq!(refused, (StatusCode::UNAUTHORIZED, "token_unknown"));
    let text = stranger.reveal();
    assert_eq!(text.len(), 47);
    for value in [
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        format!("Bearer {}", &text[..46]),
        format!("Bearer {text}="),
        format!("Digest {text}"),
        format!("Basic {text}"),
        format!("Basic {}", STANDARD.encode(text)),
        format!("Basic {}", STANDARD.encode(format!("{text}:"))),
        "Basic !!!".to_owned(),
    ] {
        let refused = tokens.authenticate(&headers(&value), NOW).unwrap_err();
        assert!(!format!("{refused} {refused:?}").contains(&text[..20]), "{refused:?}");
        assert_eq!(
            rejected(Err(refused)),
            (StatusCode::UNAUTHORIZED, "bad_credentials"),
            "{value}"
        );
    }
    let mut twice = bearer(&stranger);
    twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer x"));
    assert_eq!(rejected(tokens.authenticate(&twice, NOW)).1, "bad_credentials");
    assert_eq!(format!("{stranger:?}"), "Secret(..)");
}

#[test]
fn a_damaged_file_lets_nobody_in() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    let (secret, _) = tokens.create("x", scopes("admin"), None, NOW).unwrap();
    fs::write(dir.path().join("tokens.json"), "{\"tokens\": [").unwrap();
    let result = tokens.authenticate(&bearer(&secret), NOW);
    assert!(matches!(result, Err(Failure::Error(Error::Damaged(_)))), "{result:?}");
    assert!(Tokens::open(dir.path()).is_err());
}

#[test]
fn many_writers_lose_nothing() {
    let dir = tempdir().unwrap();
    Tokens::open(dir.path()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let tokens = Tokens::open(dir.path()).unwrap();
                for _ in 0..5 {
                    tokens.create("one of many", scopes("upload"), None, NOW).unwrap();
                }
            });
        }
    });
    assert_eq!(Tokens::open(dir.path()).unwrap().current().unwrap().len(), 21);
}

#[test]
fn labels_and_scopes_are_checked() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    for label in ["", "  ", "a\nb", &"x".repeat(101)] {
        let result = tokens.create(label, scopes("read"), None, NOW);
        assert!(matches!(result, Err(Failure::Rejected(_))), "{label:?}");
    }
    for text in ["", "all", "read,,upload", "Read"] {
        assert!(text.parse::<Scopes>().is_err(), "{text}");
    }
    assert_eq!(scopes("attest, upload").to_string(), "upload,attest");
}

#[test]
fn limits_are_kept_and_files_without_any_still_read() {
    let dir = tempdir().unwrap();
    let tokens = Tokens::open(dir.path()).unwrap();
    let (plain, _) = tokens.create("plain", scopes("upload"), None, NOW).unwrap();
    let file = dir.path().join("tokens.json");
    assert!(!fs::read_to_string(&file).unwrap().contains("limits"), "as older programs write it");
    let limits: Quota = "nars=5/1h,bytes=none".parse().unwrap();
    let create = |scope| {
        tokens.create_limited("limited", scopes(scope), limits.clone(), None, NOW).unwrap().0
    };
    let (limited, admin) = (create("upload"), create("admin"));
    assert!(fs::read_to_string(&file).unwrap().contains("\"limits\": \"bytes=none,nars=5/1h\""));
    let defaults: Quota = "bytes=1GiB/1d,attestations=7/1m".parse().unwrap();
    for (secret, wanted) in [
        (&plain, "bytes=1GiB/1d,attestations=7/1m"),
        (&limited, "bytes=none,nars=5/1h,attestations=7/1m"),
        (&admin, "bytes=none,nars=5/1h"),
    ] {
        let grant = Tokens::open(dir.path()).unwrap().authenticate(&bearer(secret), NOW).unwrap();
        let account = grant.account(&defaults).unwrap();
        assert_eq!(account.limits.to_string(), wanted);
        assert_eq!(grant.token_id(), Some(&*account.id));
    }
    let nobody = tokens.authenticate(&HeaderMap::new(), NOW).unwrap();
    assert!(nobody.account(&defaults).is_none());
}
