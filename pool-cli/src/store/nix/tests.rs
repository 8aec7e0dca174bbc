use std::fs;

use schema::hash::NarHash;

use super::super::{Location, Store};
use super::*;

/// As Nix 2.8 lays it out, without triggers.
const SCHEMA: &str = "
    create table ValidPaths (
        id integer primary key autoincrement not null, path text unique not null,
        hash text not null, registrationTime integer not null, deriver text, narSize integer,
        ultimate integer, sigs text, ca text);
    create table Refs (
        referrer integer not null, reference integer not null, primary key (referrer, reference));
    pragma journal_mode = wal;";

struct Made {
    root: tempfile::TempDir,
    writer: Connection,
}

fn base(letter: char, name: &str) -> String {
    format!("{}-{name}", letter.to_string().repeat(32))
}

fn path(letter: char, name: &str) -> StorePath {
    format!("/nix/store/{}", base(letter, name)).parse().unwrap()
}

impl Made {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let database = root.path().join(NIX_DATABASE);
        fs::create_dir_all(database.parent().unwrap()).unwrap();
        fs::create_dir_all(root.path().join("nix/store")).unwrap();
        let writer = Connection::open(&database).unwrap();
        writer.execute_batch(SCHEMA).unwrap();
        Self { root, writer }
    }

    fn add(&self, id: i64, path: &StorePath, references: &[i64]) {
        let hash = format!("sha256:{}", NarHash::of(path.to_string().as_bytes()).to_hex());
        self.writer
            .execute(
                "insert into ValidPaths values (?, ?, ?, 0, ?, 120, 0, null, ?)",
                (id, path.to_string(), hash, "", ""),
            )
            .unwrap();
        for reference in references {
            self.writer.execute("insert into Refs values (?, ?)", (id, reference)).unwrap();
        }
    }

    fn open(&self) -> Store {
        Store::open(&Location::Root(self.root.path().to_owned()), &[]).unwrap()
    }
}

fn names(closure: &[PathInfo]) -> Vec<&str> {
    closure.iter().map(|info| info.claim.path().base().name()).collect()
}

#[test]
fn a_closure_holds_each_path_once_and_the_wanted_ones_first() {
    let made = Made::new();
    let (app, lib, base, other) =
        (path('a', "app"), path('b', "lib"), path('c', "base"), path('d', "other"));
    made.add(1, &base, &[1]);
    made.add(2, &lib, &[1]);
    made.add(3, &app, &[1, 2, 3]);
    made.add(4, &other, &[]);
    let closure = made.open().closure(&[app.clone(), lib.clone(), app.clone()]).unwrap();
    assert_eq!(names(&closure), ["app", "lib", "base"]);
    assert_eq!(closure[0].claim.references().len(), 3);
    assert_eq!(closure[0].claim.nar_size(), 120);
    assert_eq!(closure[0].claim.nar_hash(), NarHash::of(app.to_string().as_bytes()));
    assert_eq!((closure[0].deriver.clone(), closure[0].ca.clone()), (None, None));
}

#[test]
fn derivers_and_content_addresses_are_read_where_there_are_any() {
    let made = Made::new();
    made.add(1, &path('a', "app"), &[]);
    let drv = path('b', "app.drv");
    made.writer
        .execute("update ValidPaths set deriver = ?, ca = 'text:sha256:x'", [drv.to_string()])
        .unwrap();
    let info = made.open().closure(&[path('a', "app")]).unwrap().remove(0);
    assert_eq!(info.deriver.as_ref(), Some(drv.base()));
    assert_eq!(info.ca.as_deref(), Some("text:sha256:x"));
    made.writer.execute("update ValidPaths set deriver = 'unknown-deriver'", []).unwrap();
    assert_eq!(made.open().closure(&[path('a', "app")]).unwrap()[0].deriver, None);
    // Guix's table has no such column.
    made.writer.execute("alter table ValidPaths drop column ca", []).unwrap();
    assert_eq!(made.open().closure(&[path('a', "app")]).unwrap()[0].ca, None);
}

#[test]
fn what_is_missing_or_broken_is_named() {
    let made = Made::new();
    made.add(1, &path('a', "app"), &[1, 77]);
    made.add(2, &path('b', "sizeless"), &[]);
    made.writer.execute("update ValidPaths set narSize = null where id = 2", []).unwrap();
    let store = made.open();
    for (asked, word) in [
        (path('d', "gone"), "dddd-gone is not valid"),
        (path('a', "app"), "aaaa-app"),
        (path('b', "sizeless"), "bbbb-sizeless"),
    ] {
        let error = format!("{:#}", store.closure(&[asked]).unwrap_err());
        assert!(error.contains(word), "{error}");
    }
    assert!(store.holds(&path('a', "app")).unwrap());
    assert!(!store.holds(&path('d', "gone")).unwrap());
}

#[test]
fn a_database_in_a_read_only_directory_is_read() {
    let made = Made::new();
    made.add(1, &path('a', "app"), &[]);
    let Made { root, writer } = made;
    // A closed database has no files beside it, and here none can be made.
    writer.close().unwrap();
    let dir = root.path().join("nix/var/nix/db");
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    // Keeps even root from making the file that a WAL needs, as a read-only file system would.
    std::os::unix::fs::symlink("nowhere", dir.join("db.sqlite-shm")).unwrap();
    assert!(Database::open_as(&dir.join("db.sqlite"), "mode=ro").is_err());
    let store = Store::open(&Location::Root(root.path().to_owned()), &[]).unwrap();
    assert_eq!(names(&store.closure(&[path('a', "app")]).unwrap()), ["app"]);
}

#[test]
fn no_database_is_an_error_that_says_where_it_looked() {
    let root = tempfile::tempdir().unwrap();
    let error = Store::open(&Location::Root(root.path().to_owned()), &[]).unwrap_err();
    assert!(error.to_string().contains("nix/var/nix/db/db.sqlite"));
    assert!(crate::exit::hint(&error).unwrap().contains("--store"));
}

#[test]
fn files_that_changed_or_vanished_are_named() {
    let made = Made::new();
    made.add(1, &path('a', "app"), &[]);
    let store = made.open();
    let claim = store.closure(&[path('a', "app")]).unwrap().remove(0).claim;
    let error = format!("{:#}", store.mismatch(&claim));
    assert!(error.contains("aaaa-app") && error.contains("No such file"), "{error}");
    fs::write(made.root.path().join("nix/store").join(base('a', "app")), "changed").unwrap();
    let error = format!("{:#}", store.mismatch(&claim));
    let mut nar = Vec::new();
    store.dump(&claim, &mut nar).unwrap();
    let hashes = [claim.nar_hash(), NarHash::of(&nar)].map(|hash| hash.to_string());
    assert!(hashes.iter().all(|hash| error.contains(hash)), "{error}");
}
