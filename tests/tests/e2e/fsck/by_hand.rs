//! Each kind of damage, done by hand.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rocksdb::{ColumnFamily, DB, IteratorMode, Options};
use tests::client::Client;

use super::damage::flip;
use super::scene::{NARS, Scene, fsck, hash, is_clean, start, upload};

/// Something that is done to a stopped pool.
struct Case {
    /// What is found then, among others perhaps.
    kind: &'static str,
    /// What is done about it.
    done: &'static str,
    harm: fn(&Path),
}

/// Damage that is repaired without anybody's help: everything is served as before.
const MENDED: [Case; 9] = [
    Case { kind: "word_missing", done: "mended", harm: |data| lose(data, "paths") },
    Case { kind: "row_senseless", done: "left", harm: |data| spoil(data, "paths", &[9]) },
    Case { kind: "path_unlisted", done: "mended", harm: |data| lose(data, "nar_paths") },
    Case { kind: "path_unlisted", done: "mended", harm: list_wrongly },
    Case { kind: "entry_unlisted", done: "mended", harm: |data| lose(data, "logged") },
    Case { kind: "claim_missing", done: "mended", harm: |data| lose(data, "claims") },
    Case { kind: "claim_damaged", done: "mended", harm: |data| spoil(data, "claims", b"1;/nix") },
    Case { kind: "tile_wrong", done: "mended", harm: |data| spoil(data, "tiles", &[7; 8192]) },
    Case { kind: "file_stray", done: "removed", harm: stray },
];

/// Damage that costs NARs, which are served again once they have come again.
const BROUGHT_AGAIN: [Case; 4] = [
    Case {
        kind: "nar_missing",
        done: "withdrawn",
        harm: |data| fs::remove_file(file(data)).unwrap(),
    },
    Case { kind: "nar_cut", done: "withdrawn", harm: cut },
    Case { kind: "nar_damaged", done: "withdrawn", harm: |data| flip(&file(data), 100, 1) },
    Case { kind: "file_contradicted", done: "mended", harm: lose_blob },
];

/// Damage that nothing here can repair.
const LEFT: [Case; 2] = [
    Case { kind: "entry_missing", done: "left", harm: |data| lose(data, "entries") },
    Case { kind: "entry_damaged", done: "left", harm: |data| spoil(data, "entries", &[1; 20]) },
];

fn file(data: &Path) -> PathBuf {
    let name = format!("{}.nar.zst", hash(7).to_nix32());
    data.join("blobs/nar").join(name)
}

fn cut(data: &Path) {
    File::options().write(true).open(file(data)).unwrap().set_len(1000).unwrap();
}

fn age(file: &Path) {
    let then = SystemTime::now() - Duration::from_secs(7200);
    File::options().write(true).open(file).unwrap().set_modified(then).unwrap();
}

fn stray(data: &Path) {
    for name in ["stray", &format!("{}.nar.xz", hash(7).to_nix32())] {
        let file = data.join("blobs/nar").join(name);
        fs::write(&file, "stray").unwrap();
        age(&file);
    }
}

fn edit(data: &Path, family: &str, edit: impl FnOnce(&DB, &ColumnFamily)) {
    let (index, options) = (data.join("index"), Options::default());
    let families = DB::list_cf(&options, &index).unwrap();
    let database = DB::open_cf(&options, &index, families).unwrap();
    edit(&database, database.cf_handle(family).unwrap());
}

/// A row in the middle of the family, so that it is missed.
fn middle(database: &DB, family: &ColumnFamily) -> Vec<u8> {
    let rows = database.iterator_cf(family, IteratorMode::Start);
    let mut keys: Vec<Vec<u8>> = rows.map(|row| row.unwrap().0.into_vec()).collect();
    keys.swap_remove(keys.len() / 2)
}

fn lose(data: &Path, family: &str) {
    edit(data, family, |database, family| {
        database.delete_cf(family, middle(database, family)).unwrap();
    });
}

fn spoil(data: &Path, family: &str, value: &[u8]) {
    edit(data, family, |database, family| {
        database.put_cf(family, middle(database, family), value).unwrap();
    });
}

fn list_wrongly(data: &Path) {
    edit(data, "nar_paths", |database, family| {
        let mut key = middle(database, family);
        key[5] ^= 1;
        database.put_cf(family, key, []).unwrap();
    });
}

fn lose_blob(data: &Path) {
    edit(data, "blobs", |database, family| database.delete_cf(family, hash(7).as_bytes()).unwrap());
    age(&file(data));
}

/// Does it, sees that it is told, and that nothing is changed by that; then has it repaired.
fn repair(scene: &Scene, case: &Case) -> tempfile::TempDir {
    let copy = scene.copy();
    (case.harm)(copy.path());
    let found = fsck(copy.path(), &["--deep"]);
    assert_eq!(found.code, 1, "{}: {found:?}", case.kind);
    assert!(found.has(case.kind), "{}: {found:?}", case.kind);
    assert!(found.findings.iter().all(|(_, _, done)| done == "left"), "{found:?}");
    let again = fsck(copy.path(), &["--deep"]);
    assert_eq!(again.findings, found.findings, "{}", case.kind);
    let found = fsck(copy.path(), &["--deep", "--repair"]);
    let done = found.findings.iter().find(|(kind, ..)| kind == case.kind);
    assert_eq!(done.unwrap().2, case.done, "{found:?}");
    copy
}

#[tokio::test]
async fn what_contradicts_the_ledger_is_made_again_from_it() {
    let scene = Scene::new().await;
    is_clean(&scene.whole());
    for case in MENDED {
        let copy = repair(&scene, &case);
        is_clean(copy.path());
        let server = start(copy.path()).unwrap();
        scene.truth.is_whole(&Client::new(&server)).await;
        server.stop();
    }
}

#[tokio::test]
async fn what_is_lost_is_told_until_it_comes_again() {
    let scene = Scene::new().await;
    for case in BROUGHT_AGAIN {
        let copy = repair(&scene, &case);
        assert_eq!(fsck(copy.path(), &["--deep"]).code, 0, "{}", case.kind);
        let server = start(copy.path()).unwrap();
        let (admin, client) = (Client::admin(&server), Client::new(&server));
        let untold = scene.truth.holds(&client, &Default::default()).await;
        assert!(untold.contains(&scene.truth.nar_of(7)), "{}: {untold:?}", case.kind);
        // The NAR, its listing, and the narinfo in two views.
        assert_eq!(untold.len(), 4, "{}: {untold:?}", case.kind);
        for number in 0..NARS {
            upload(&admin, number).await;
        }
        scene.truth.is_whole(&client).await;
        server.stop();
        is_clean(copy.path());
    }
}

#[tokio::test]
async fn what_cannot_be_repaired_stays_as_it_is() {
    let scene = Scene::new().await;
    for case in LEFT {
        let copy = repair(&scene, &case);
        let found = fsck(copy.path(), &["--deep"]);
        assert!(found.has(case.kind), "{}: {found:?}", case.kind);
    }
}

#[tokio::test]
async fn a_head_that_does_not_read_is_told() {
    let scene = Scene::new().await;
    let copy = scene.copy();
    let heads = copy.path().join("heads/attestations");
    flip(&heads, newest_slot(&heads) + 40, 1);
    let found = fsck(copy.path(), &[]);
    assert!(found.has("log_contradicted"), "{found:?}");
    // There is another, and the entries after it are signed anew.
    let server = start(copy.path()).unwrap();
    scene.truth.is_whole(&Client::new(&server)).await;
}

/// Where the head begins that was signed last: of two, the larger.
fn newest_slot(heads: &Path) -> u64 {
    let size = |slot: &[u8]| -> u64 {
        String::from_utf8_lossy(slot).lines().nth(1).unwrap().parse().unwrap()
    };
    let slots: Vec<u64> = fs::read(heads).unwrap().chunks(4096).map(size).collect();
    if slots[1] > slots[0] { 4096 } else { 0 }
}

#[tokio::test]
async fn a_fresh_stray_may_belong_to_somebody() {
    let scene = Scene::new().await;
    let copy = scene.copy();
    let stray = copy.path().join("blobs/nar/stray");
    fs::write(&stray, "stray").unwrap();
    let found = fsck(copy.path(), &["--repair"]);
    assert_eq!(found.findings, [("file_stray".into(), "nar/stray".into(), "left".into())]);
    assert!(stray.exists());
}

#[tokio::test]
async fn a_pool_that_is_served_is_looked_through_by_its_server() {
    let scene = Scene::new().await;
    let copy = scene.copy();
    let server = start(copy.path()).unwrap();
    let found = fsck(copy.path(), &["--deep"]);
    assert_eq!((found.code, found.findings.len()), (0, 0), "{found:?}");
    let stray = copy.path().join("blobs/nar/stray");
    fs::write(&stray, "stray").unwrap();
    let found = fsck(copy.path(), &[]);
    assert_eq!(found.findings, [("file_stray".into(), "nar/stray".into(), "left".into())]);
    assert_eq!(found.code, 1, "{found:?}");
    scene.truth.is_whole(&Client::new(&server)).await;
}
