use std::time::Duration;

use super::*;

fn from_toml(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    settings.add_toml("pool.toml", text).map_err(|why| why.to_string())?;
    Ok(settings)
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn later_sources_win() {
    let mut settings =
        from_toml("priority = 1\nlisten = '[::1]:1'\nheader-timeout = '1s'").unwrap();
    settings.add_variables(variables(&[("NARPOOL_PRIORITY", "2"), ("HOME", "/")])).unwrap();
    settings.add_variables(variables(&[("NARPOOL_LISTEN", "[::1]:2")])).unwrap();
    settings.add_flag("listen", "[::1]:3").unwrap();
    let config = settings.config().unwrap();
    assert_eq!(config.header_timeout, Duration::from_secs(1));
    assert_eq!(config.priority, 2);
    assert_eq!(config.listen.to_string(), "[::1]:3");
    assert_eq!(config.drain_timeout, Duration::from_secs(30));
}

#[test]
fn every_key_is_understood_by_all_three_sources() {
    for key in KEYS.iter() {
        let default = Settings::default().text(key).0.to_owned();
        let normal = (key.normal)(&default).unwrap_or_else(|why| panic!("{}: {why}", key.name));
        assert_eq!(normal, default, "{}: the default is not spelled as we print it", key.name);
        let mut settings = Settings::default();
        settings.add_variables([(key.variable(), default.clone())]).unwrap();
        assert_eq!(settings.text(key), (&*default, &*key.variable()));
        settings.add_flag(&key.name, &default).unwrap();
        assert_eq!(settings.text(key).1, format!("--{}", key.name));
        let file = from_toml(&format!("{} = '{default}'", key.name)).unwrap();
        assert!(file.text(key).1.starts_with("pool.toml:1:"), "{}", file.text(key).1);
        assert!(key.help.ends_with('.') && !key.help.contains('|'), "{}", key.help);
    }
}

#[test]
fn what_is_printed_reads_back() {
    let text = "
        view-signers = ['alice', \"bob-1\"]
        view_k = 2
        max-nar-size = 1048576
        narinfo-max-age = '90m'
        private = true
        data = 'a \"b\" \\ c'
        log-level = 'info,pool_server=debug'
    ";
    let settings = from_toml(text).unwrap();
    let printed = settings.to_string();
    let again = from_toml(&printed).unwrap_or_else(|why| panic!("{why}\n{printed}"));
    assert_eq!(again.config().unwrap(), settings.config().unwrap());
    assert!(printed.contains("max-nar-size = \"1MiB\"  # pool.toml:4:24\n"), "{printed}");
    assert!(printed.contains("max-upload-size = \"1MiB\"  # default\n"), "{printed}");
    assert!(printed.contains("priority = 30  # default\n"), "{printed}");
    let config = settings.config().unwrap();
    assert_eq!((config.max_upload_size, config.view_k.get(), config.private), (1 << 20, 2, true));
    assert_eq!(config.data, Path::new("a \"b\" \\ c"));
}

#[test]
fn mistakes_are_told_with_place_and_remedy() {
    for (text, wanted) in [
        (
            "# the pool\npriority = 3\n lisen = 'x'",
            "pool.toml:3:2: unknown key lisen\nhint: did you mean listen? `pool-server config-keys` \
             lists all",
        ),
        ("[server]\nlisten = 'x'", "pool.toml:1:2: unknown key server\nhint: `pool-server"),
        (
            "listen = 8484",
            "pool.toml:1:10: listen cannot be a TOML integer\nhint: write a string in quotes",
        ),
        ("data = true", "pool.toml:1:8: data cannot be a TOML boolean\nhint: "),
        (
            "max-nar-size = '64G'",
            "pool.toml:1:16: \"64G\" is no value for max-nar-size\nhint: write bytes, as in",
        ),
        (
            "header-timeout = '0s'",
            "pool.toml:1:18: \"0s\" is no value for header-timeout\nhint: more",
        ),
        ("view-k = 0", "pool.toml:1:10: \"0\" is no value for view-k\nhint: write a number from 1"),
        ("private = 'yes'", "pool.toml:1:11: \"yes\" is no value for private\nhint: write true or"),
        (
            "view-signers = ['a', 'a']",
            "pool.toml:1:16: \"a,a\" is no value for view-signers\nhint: a is",
        ),
        (
            "view-signers = ['a', 1]",
            "pool.toml:1:16: view-signers cannot be a TOML array\nhint: write",
        ),
        ("log-level = 'info,,=x=y'", "pool.toml:1:13: \"info,,=x=y\" is no value for log-level"),
        (
            "store-dir = '/nix/../x'",
            "pool.toml:1:13: \"/nix/../x\" is no value for store-dir\nhint: ",
        ),
        (
            "token-limits = ['nars=1/1h', 'nars=2/1h']",
            "pool.toml:1:16: \"nars=1/1h,nars=2/1h\" is no value for token-limits\nhint: nars are",
        ),
        (
            "anonymous-requests = '10/0s'",
            "pool.toml:1:22: \"10/0s\" is no value for anonymous-requests\nhint: ",
        ),
        (
            "upload-share = 101",
            "pool.toml:1:16: \"101\" is no value for upload-share\nhint: write a number from 1 to",
        ),
        ("fronts = ['nginx']", "pool.toml:1:10: \"nginx\" is no value for fronts\nhint: "),
        ("priority = 3\npriority = 3", "pool.toml:2:1: "),
        ("view-k = 1\nview_k = 1", "pool.toml:2:1: view-k is set before, at pool.toml:1:1"),
        ("priority = ", "pool.toml:1:"),
    ] {
        let told = from_toml(text).expect_err(text);
        assert!(told.starts_with(wanted), "{text}\n{told}");
    }
}

#[test]
fn variables_and_flags_are_checked_as_well() {
    let mut settings = Settings::default();
    let told = settings.add_variables(variables(&[("NARPOOL_PRIVAT", "true")])).unwrap_err();
    assert_eq!(
        told.to_string(),
        "environment: unknown key NARPOOL_PRIVAT\nhint: did you mean NARPOOL_PRIVATE? \
         `pool-server config-keys` lists all"
    );
    assert!(settings.add_variables(variables(&[("NARPOOL_listen", "127.0.0.1:1")])).is_err());
    for other in ["SERVER", "TOKEN", "CONFIG", "CA_FILE", "LAB"] {
        settings.add_variables([(format!("NARPOOL_{other}"), "x".to_owned())]).unwrap();
    }
    let told = settings.add_variables(variables(&[("NARPOOL_VIEW_K", "x")])).unwrap_err();
    assert!(told.to_string().starts_with("NARPOOL_VIEW_K: \"x\" is no value"), "{told}");
    let told = settings.add_flag("max-uploads", "0").unwrap_err();
    assert!(told.to_string().starts_with("--max-uploads: \"0\" is no value"), "{told}");
    assert_eq!(settings.config().unwrap(), Config::default());
}

#[test]
fn values_must_fit_one_another() {
    let told = from_toml("tls-cert = 'c.pem'").unwrap().config().unwrap_err().to_string();
    assert!(told.starts_with("tls-key: missing"), "{told}");
    let told = from_toml("view-k = 3\nview-signers = ['a', 'b']").unwrap().config().unwrap_err();
    assert_eq!(told.to_string(), "view-k: pool.toml:1:10: 3 of 2 signers can never agree");
    let both = from_toml("tls-cert = 'c.pem'\ntls-key = 'k.pem'").unwrap().config().unwrap();
    assert_eq!(both.tls(), Some((Path::new("c.pem"), Path::new("k.pem"))));
}
