//! What `--print-config` prints.

use crate::proxy::printed::{Setup, Which, Word};

fn setup(state: &str) -> Setup {
    let text = |text: &str| Word::Text(text.to_owned());
    Setup {
        listen: "127.0.0.1:8485".parse().unwrap(),
        key: "narpool-proxy-0123abcd:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=".parse().unwrap(),
        state: state.into(),
        program: "/opt/na\"r 100%/pool".into(),
        words: vec![
            text("--policy"),
            Word::File("policy", "/home/me/50%/policy.toml".into()),
            text("--pool"),
            text("https://a/$x${y}"),
        ],
    }
}

#[test]
fn nix_trusts_the_proxy_and_nothing_else() {
    let text = setup("/var/lib/narpool-proxy").print(Which::NixConf).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "substituters = http://127.0.0.1:8485",
            "trusted-public-keys = \
             narpool-proxy-0123abcd:O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=",
            "trusted-substituters =",
            "require-sigs = true",
            "narinfo-cache-negative-ttl = 0",
        ]
    );
}

#[test]
fn command_lines_mean_what_was_said() {
    let text = setup("/var/lib/narpool-proxy").print(Which::Systemd).unwrap();
    for line in [
        "ListenStream=127.0.0.1:8485",
        "ExecStart=\"/opt/na\\\"r 100%%/pool\" proxy --policy ${CREDENTIALS_DIRECTORY}/policy \
         --pool \"https://a/$$x$${y}\"",
        "LoadCredential=policy:/home/me/50%%/policy.toml",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
    ] {
        assert!(text.lines().any(|it| it == line), "{line}\n{text}");
    }
    let text = setup("/var/lib/narpool-proxy").print(Which::NixOs).unwrap();
    for line in [
        "ExecStart = \"\\\"/opt/na\\\\\\\"r 100%%/pool\\\" proxy --policy \
         \\${CREDENTIALS_DIRECTORY}/policy --pool \\\"https://a/$$x$\\${y}\\\"\";",
        "LoadCredential = [ \"policy:/home/me/50%%/policy.toml\" ];",
        "ProtectSystem = \"strict\";",
    ] {
        assert!(text.lines().any(|it| it.trim() == line), "{line}\n{text}");
    }
}

#[test]
fn a_key_that_the_unit_does_not_find_is_told() {
    for which in [Which::Systemd, Which::NixOs, Which::All] {
        assert!(!setup("/var/lib/narpool-proxy").print(which).unwrap().contains("wrong key"));
        assert!(setup("/home/me/state").print(which).unwrap().contains("wrong key"));
    }
}

#[test]
fn guix_is_told_of_one_key_and_one_server() {
    let mut setup = setup("/var/lib/narpool-proxy");
    let q = "8D156F295D24B0D9A86FA5741A840FF2D24F60F7B6C4134814AD55625971B394";
    assert!(setup.print(Which::Guix).is_err());
    setup.key = format!("narpool-proxy-0123abcd:ecdsa:{q}").parse().unwrap();
    assert!(setup.print(Which::NixConf).is_err());
    let text = setup.print(Which::All).unwrap();
    for line in [
        "guix-daemon --substitute-urls=http://127.0.0.1:8485 --discover=no".to_owned(),
        "(substitute-urls '(\"http://127.0.0.1:8485\"))".to_owned(),
        "ListenStream=127.0.0.1:8485".to_owned(),
        format!("(q #{q}#)"),
    ] {
        assert!(text.lines().any(|it| it.trim() == line), "{line}\n{text}");
    }
    assert!(!text.contains("nix.conf"), "{text}");
}
