//! The lab's Guix machines do what real ones do, among themselves: no pool takes part.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use tempfile::TempDir;
use tests::deadline::wait_for;
use tests::guix::{Machine, Publisher, downloads};
use tests::lab::place_for_machines;

/// A machine that has built the closure and has a key, with the closure's top and the public key.
fn builder(place: &TempDir, name: &str, flavour: Option<&str>) -> (Machine, String, String) {
    let machine = Machine::new(&place.path().join(name));
    let top = machine.build_closure(flavour);
    let key = machine.generate_key();
    (machine, top, key)
}

fn named<'c>(closure: &'c [String], name: &str) -> &'c str {
    closure.iter().find(|item| item.ends_with(name)).expect("the closure has one of this name")
}

/// The narinfo of an item.
fn narinfo(publisher: &Publisher, item: &str) -> String {
    let hash = &item["/gnu/store/".len()..][..32];
    let reply = publisher.get(&format!("/{hash}.narinfo"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.headers.contains("content-type: application/x-nix-narinfo"), "{reply:?}");
    reply.body
}

#[test]
fn a_machine_takes_what_an_authorised_one_has_built_and_nothing_else() {
    let place = place_for_machines();
    let (alice, top, key) = builder(&place, "alice", None);
    let publisher = alice.publish(&[]);
    let bob = Machine::with_servers(&place.path().join("bob"), &[&publisher.url()]);

    let refused = bob.ensure(&top);
    assert!(refused.stderr.contains("does not exist and cannot be created"), "{refused:?}");
    let _ = refused.failed();
    assert!(!bob.holds(&top));

    bob.authorize(&key);
    let ensured = bob.ensure(&top);
    let closure = alice.closure(&top);
    assert_eq!(closure.len(), 6, "{closure:?}");
    let mut fetched: Vec<String> = downloads(&ensured).into_iter().map(|got| got.item).collect();
    fetched.sort();
    assert_eq!(fetched, sorted(&closure), "{ensured:?}");
    for download in downloads(&ensured) {
        let url = format!("{}/nar/gzip/{}", publisher.url(), &download.item[11..]);
        assert_eq!(download.url, url);
    }
    let _ = ensured.ok();
    assert_eq!(sorted(&bob.closure(&top)), sorted(&closure));
    let _ = bob.verify().ok();

    let licence = bob.files_of(named(&closure, "-licence"));
    fs::set_permissions(&licence, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&licence, "All rights reserved.\n").unwrap();
    assert!(bob.verify().failed().contains("was modified!"));
}

fn sorted(items: &[String]) -> Vec<String> {
    let mut items = items.to_vec();
    items.sort();
    items
}

#[test]
fn a_flavour_is_another_nar_under_the_same_path() {
    let place = place_for_machines();
    let (alice, top, _) = builder(&place, "alice", None);
    let (bob, same, _) = builder(&place, "bob", Some("hops"));
    assert_eq!(top, same);
    let closure = alice.closure(&top);
    let flavoured = named(&closure, "-flavoured");
    let items: Vec<&str> = closure.iter().map(String::as_str).collect();
    let hashes = alice.nar_hashes(&items).into_iter().zip(bob.nar_hashes(&items));
    for (item, (one, other)) in items.iter().zip(hashes) {
        assert_eq!(one == other, *item != flavoured, "{item}");
    }

    let (one, other) = (alice.publish(&[]), bob.publish(&[]));
    let (urls, carol) = ([one.url(), other.url()], Machine::new(&place.path().join("carol")));
    let urls = urls.each_ref().map(String::as_str);
    assert_eq!(carol.challenge(&urls, &top).code, 0);
    assert_eq!(carol.challenge(&urls, flavoured).code, 2);
    assert_eq!(alice.challenge(&urls[1..], flavoured).code, 2);
    let alone = carol.challenge(&urls[..1], flavoured);
    assert_eq!(alone.code, 1, "{alone:?}");
}

#[test]
fn narinfos_say_what_the_store_knows_and_who_signed() {
    let place = place_for_machines();
    let (alice, top, key) = builder(&place, "alice", None);
    let closure = alice.closure(&top);
    let publisher = alice.publish(&["-C", "zstd", "-C", "gzip"]);
    for (item, references, derived) in
        [("-licence", 0, false), ("-notice", 1, false), ("-shapes", 1, true), ("-app-1.0", 4, true)]
    {
        let item = named(&closure, item);
        let text = narinfo(&publisher, item);
        assert!(
            text.starts_with(&format!("StorePath: {item}\nNarHash: {}\n", alice.nar_hash(item)))
        );
        let line = text.lines().find_map(|line| line.strip_prefix("References: ")).unwrap();
        assert_eq!(line.split_whitespace().count(), references, "{text}");
        assert_eq!(text.contains("\nDeriver: "), derived, "{text}");
        assert!(text.contains("\nSignature: 1;alice;"), "{text}");
        assert_eq!(text.matches("\nURL: nar/").count(), 2, "{text}");
    }
    assert_eq!(publisher.get("/signing-key.pub").body, key);
    let secret = fs::read_to_string(alice.secret_key_file()).unwrap();
    assert!(secret.starts_with("(private-key") && secret.contains("(d #"));
    let _ = publisher.get(&format!("/{}.narinfo", "0".repeat(32)));
    assert!(publisher.log().contains(": 404"), "{}", publisher.log());
}

#[test]
fn a_cache_bakes_first_and_then_tells_sizes() {
    let place = place_for_machines();
    let (alice, top, _) = builder(&place, "alice", None);
    let cache = ["--cache=/var/cache/publish", "-C", "zstd", "-C", "gzip", "-C", "lzip"];
    let publisher = alice.publish(&[&cache[..], &["--cache-bypass-threshold=0"]].concat());
    let target = format!("/{}.narinfo", &top["/gnu/store/".len()..][..32]);

    let first = publisher.get(&target);
    assert_eq!(first.status, 404, "{first:?}");
    assert!(first.headers.contains("x-baking: 1"), "{first:?}");
    let baked =
        wait_for("the oven", || Some(publisher.get(&target)).filter(|reply| reply.status == 200));
    for compression in ["zstd", "gzip", "lzip"] {
        let lines = format!("Compression: {compression}\nFileSize: ");
        assert!(baked.body.contains(&lines), "{baked:?}");
    }
    // By default only what is large is baked first.
    let eager = alice.publish(&[&cache[..], &["--cache=/var/cache/eager"]].concat());
    let text = narinfo(&eager, &top);
    assert!(!text.contains("FileSize"), "{text}");
}

#[test]
fn narinfos_are_asked_for_without_a_daemon_and_cached() {
    let place = place_for_machines();
    let (alice, top, key) = builder(&place, "alice", None);
    let publisher = alice.publish(&[]);
    let (url, bob) = (publisher.url(), Machine::new(&place.path().join("bob")));
    let urls = [url.as_str()];
    assert_eq!(bob.substitute_query(&urls, &[&top]).ok(), "\n");
    let _ = bob.substitute(&urls, &top).failed();

    bob.authorize(&key);
    let told = bob.substitute_query(&urls, &[&top]).ok();
    assert!(told.starts_with(&format!("{top}\n/gnu/store/")), "{told}");
    let done = bob.substitute(&urls, &top).ok();
    assert!(done.starts_with(&format!("success {} ", alice.nar_hash(&top))), "{done}");
    assert!(bob.substituted(&top).join("bin/app").exists());
    assert!(!bob.holds(&top));

    let asked = || publisher.log().matches(".narinfo").count();
    assert_eq!(asked(), 1, "{}", publisher.log());
    bob.forget();
    let _ = bob.substitute_query(&urls, &[&top]).ok();
    assert_eq!(asked(), 2, "{}", publisher.log());
}

#[test]
fn weather_tells_what_servers_lack() {
    let place = place_for_machines();
    let (alice, top, key) = builder(&place, "alice", None);
    let publisher = alice.publish(&[]);
    let (url, bob) = (publisher.url(), Machine::new(&place.path().join("bob")));
    bob.write_acl(&format!("(acl (entry {key} (tag (guix import))))"));
    let fine = bob.weather(&[&url], &[&top]);
    assert!(!fine.stderr.contains("unauthorized"), "{fine:?}");
    assert!(fine.ok().contains("100.0% substitutes available (1 out of 1)"));
    let absent = format!("/gnu/store/{}-absent", "0".repeat(32));
    let cloudy = bob.weather(&[&url], &[&top, &absent]);
    assert_eq!(cloudy.code, 1, "{cloudy:?}");
    assert!(cloudy.stdout.contains("50.0% substitutes available (1 out of 2)"), "{cloudy:?}");
    assert!(cloudy.stdout.contains(&absent), "{cloudy:?}");
}

#[test]
fn nothing_of_a_machine_runs_on_after_it() {
    let place = place_for_machines();
    let (alice, _, _) = builder(&place, "alice", None);
    let publisher = alice.publish(&[]);
    let (dir, address) = (alice.dir().to_owned(), publisher.address());
    let socket = dir.join("var/guix/daemon-socket/socket");
    assert!(UnixStream::connect(&socket).is_ok(), "the daemon listens");
    drop((alice, publisher));
    assert!(UnixStream::connect(&socket).is_err(), "the daemon is gone");
    assert!(std::net::TcpStream::connect(address).is_err(), "guix publish is gone");
    fs::remove_dir_all(dir).unwrap();
}
