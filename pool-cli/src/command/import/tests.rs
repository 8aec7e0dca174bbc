mod ends;
mod pool;

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use schema::claim::Claim;
use schema::compression::Compression;
use schema::guix::ecdsa::EcdsaSecret;
use schema::hash::NarHash;
use schema::key::SecretKey;
use schema::narinfo::{Delivery, guix, nix};
use schema::store_path::{BaseName, HashPart, StorePath};

use self::pool::Pool;
use super::signed::Other;
use super::*;
use crate::cli::Archive;
use crate::compress::Method;
use crate::decode::tests::packed;
use crate::source::tests::scripted::{Asked, Reply, Scripted, bytes, quiet};

const SOON: Duration = Duration::from_millis(5);
const WAITS: Waits = Waits {
    first: SOON,
    longest: SOON,
    baking: Duration::from_millis(200),
    again: SOON,
    again_at_last: SOON,
    list: SOON,
};
const ZSTD: Compression = Compression::Zstd;

/// A path that a source has.
#[derive(Clone)]
struct Has {
    base: BaseName,
    dir: StoreDir,
    nar: Vec<u8>,
    claim: Claim,
    narinfo: String,
}

fn base(seed: u8) -> BaseName {
    format!("{}-p{seed}", HashPart::from_bytes([seed; 20])).parse().unwrap()
}

fn claim(dir: &StoreDir, seed: u8, nar: &[u8], references: &[u8]) -> Claim {
    let path = StorePath::new(dir.clone(), base(seed));
    let references = references.iter().map(|seed| base(*seed)).collect();
    Claim::new(path, NarHash::of(nar), nar.len() as u64, references).unwrap()
}

fn place(seed: u8, compression: Compression) -> Delivery {
    let url = format!("nar/{}/{}", compression.name(), base(seed));
    Delivery { url, compression, file_hash: None, file_size: None }
}

/// In a binary cache of Nix's, signed by these.
fn of_nix(seed: u8, references: &[u8], keys: &[&SecretKey]) -> Has {
    let (dir, nar) = (StoreDir::nix(), bytes(seed.into(), 5000));
    let claim = claim(&dir, seed, &nar, references);
    let signed: Vec<_> = keys.iter().map(|key| key.sign(claim.signed_bytes().as_bytes())).collect();
    let lines = signed.iter().map(|it| (it.name(), it.signature()));
    let narinfo = nix::print(&claim, &place(seed, ZSTD), (None, None), lines);
    Has { base: base(seed), dir, nar, claim, narinfo }
}

/// Where `guix publish` has it, in these compressions.
fn of_guix(seed: u8, key: &SecretKey, compressions: &[Compression]) -> Has {
    let (dir, nar) = (StoreDir::guix(), bytes(seed.into(), 5000));
    let claim = claim(&dir, seed, &nar, &[]).in_guix(None);
    let signature = key.sign(claim.signed_bytes().as_bytes());
    let mut places = compressions.iter().map(|it| place(seed, *it));
    let by = (signature.name(), &key.public(), signature.signature());
    let by = Some((by.0, by.1.guix().unwrap(), by.2));
    let mut narinfo = guix::print(&claim, None, by, &places.next().unwrap());
    for Delivery { url, compression, .. } in places {
        narinfo.push_str(&format!("URL: {url}\nCompression: {compression}\n"));
    }
    Has { base: base(seed), dir, nar, claim, narinfo }
}

impl Has {
    fn narinfo_path(&self) -> String {
        format!("/{}.narinfo", self.base.hash_part())
    }

    /// The compression in which this is asked for, if it is.
    fn asked_for_in(&self, path: &str) -> Option<Compression> {
        let rest = path.strip_prefix("/nar/")?.strip_suffix(self.base.as_str())?;
        rest.trim_end_matches('/').parse().ok()
    }
}

fn answer(all: &[Has], asked: &Asked) -> Reply {
    if asked.path == "/nix-cache-info" {
        let dir = all.first().map_or_else(StoreDir::nix, |has| has.dir.clone());
        return Reply::File(format!("StoreDir: {dir}\n").into_bytes());
    }
    for has in all {
        if asked.path == has.narinfo_path() {
            return Reply::File(has.narinfo.clone().into_bytes());
        }
        if let Some(compression) = has.asked_for_in(&asked.path) {
            return Reply::File(packed(compression, &has.nar));
        }
    }
    Reply::Head("404 Not Found")
}

async fn source(all: Vec<Has>) -> Scripted {
    Scripted::answering(move |asked| answer(&all, asked)).await
}

fn nix_key(name: &str) -> SecretKey {
    SecretKey::from_seed(name.parse().unwrap(), &[name.len() as u8; 32])
}

fn guix_key() -> SecretKey {
    let secret = EcdsaSecret::from_random(&[9; 64]).unwrap();
    SecretKey::of_guix("berlin-1".parse().unwrap(), secret)
}

fn all_of(seeds: &[u8]) -> Import {
    let paths = seeds.iter().map(|seed| base(*seed).hash_part().to_string().into());
    Import {
        source: None,
        paths: paths.collect(),
        all_from: None,
        closure: false,
        follow: None,
        jobs: Some(4),
        archive: Archive { file: None, key: None, compression: Method::None },
    }
}

async fn importer(import: Import, from: &Scripted, to: &Pool) -> Result<Importer> {
    let server = Some(to.server.clone());
    let global = Global { server, token_file: None, ca_file: None, json: false, quiet: true };
    let import = Import { source: Some(from.access.server.clone()), ..import };
    Importer::new(&import, &global, WAITS, quiet()).await
}

/// Imports, and tells what came of it.
async fn imported(import: Import, from: &Scripted, to: &Pool) -> Report {
    let mut importer = importer(import, from, to).await.unwrap();
    importer.run().await.unwrap();
    importer.report
}

/// Imports what a list says until what is waited for has come about.
async fn follow_until(importer: &mut Importer, watched: impl Future<Output = ()>) {
    let patience = tokio::time::sleep(Duration::from_secs(60));
    tokio::select! {
        ended = importer.run() => panic!("it goes on: {ended:?}"),
        () = watched => {}
        () = patience => panic!("it does not come about"),
    }
}

fn nars_asked(source: &Scripted) -> usize {
    source.asked().iter().filter(|path| path.starts_with("/nar/")).count()
}

#[tokio::test]
async fn what_nix_signed_is_imported_as_it_came_and_the_second_time_nothing_is_fetched() {
    let (alice, bob) = (nix_key("alice"), nix_key("bob"));
    let has = [of_nix(1, &[], &[&alice, &bob]), of_nix(2, &[], &[&bob])];
    let (source, pool) = (source(has.to_vec()).await, Pool::start().await);
    pool.enrol(&bob.public());
    let report = imported(all_of(&[1, 2, 1]), &source, &pool).await;
    let summary = report.summary;
    assert_eq!((summary.paths, summary.nars_fetched, summary.nars_known), (2, 2, 0));
    assert_eq!((summary.attestations_new, summary.attestations_known), (2, 0));
    assert_eq!(summary.nar_bytes, 10_000);
    pool.with(|state| {
        let (compression, file) = &state.nars[&has[0].claim.nar_hash()];
        assert_eq!((*compression, file), (ZSTD, &packed(ZSTD, &has[0].nar)));
    });
    let again = imported(all_of(&[1, 2]), &source, &pool).await;
    assert_eq!(again.exit(), Exit::Yes);
    let summary = again.summary;
    assert_eq!((summary.paths, summary.nars_fetched, summary.nars_known), (2, 0, 2));
    assert_eq!((summary.attestations_new, summary.attestations_known), (0, 2));
    assert_eq!((nars_asked(&source), pool.with(|state| state.uploads)), (2, 2));
    assert!(source.asked_all().iter().all(|asked| !asked.token));
}

#[tokio::test]
async fn what_guix_signed_is_imported_in_the_best_compression_by_get_alone() {
    let key = guix_key();
    let has = of_guix(3, &key, &[Compression::Gzip, Compression::Lzip, Compression::None]);
    let (source, pool) = (source(vec![has.clone()]).await, Pool::start().await);
    pool.enrol(&key.public());
    let report = imported(all_of(&[3]), &source, &pool).await;
    assert_eq!((report.exit(), report.summary.attestations_new), (Exit::Yes, 1));
    pool.with(|state| {
        assert_eq!(state.nars[&has.claim.nar_hash()].0, Compression::Lzip);
        assert_eq!(state.attested[0].signed.as_deref(), Some(&*has.claim.signed_bytes()));
    });
    assert!(source.asked().iter().all(|path| path.starts_with('/')), "{:?}", source.asked());
}

#[tokio::test]
async fn who_is_not_enrolled_is_told_and_nothing_is_fetched() {
    let (alice, key) = (nix_key("alice"), guix_key());
    for (has, told) in [
        (of_nix(1, &[], &[&alice]), Other::Name("alice".into())),
        (of_guix(2, &key, &[ZSTD]), Other::Guix(unnamed(&key))),
    ] {
        let seed = if has.dir == StoreDir::nix() { 1 } else { 2 };
        let (source, pool) = (source(vec![has]).await, Pool::start().await);
        let report = imported(all_of(&[seed]), &source, &pool).await;
        assert_eq!((report.exit(), report.summary.unattested), (Exit::No, 1));
        assert_eq!((nars_asked(&source), report.summary.paths), (0, 0));
        assert_eq!(report.others().collect::<Vec<_>>(), [&told]);
    }
}

/// How a key of Guix's is spoken of that nobody has named.
fn unnamed(key: &SecretKey) -> String {
    key.public().to_string().replace("berlin-1:", "NAME:")
}

#[tokio::test]
async fn a_signature_that_does_not_verify_is_an_error_and_nothing_is_taken() {
    let (alice, bob, key) = (nix_key("alice"), nix_key("bob"), guix_key());
    let pool = Pool::start().await;
    pool.enrol(&alice.public());
    pool.enrol(&bob.public());
    pool.enrol(&key.public());
    // One good signature does not help.
    let mut has = of_nix(1, &[2], &[&alice, &bob]);
    let good = of_nix(3, &[], &[&alice, &bob]);
    let line =
        |has: &Has| has.narinfo.lines().find(|it| it.starts_with("Sig: bob")).unwrap().to_owned();
    has.narinfo = has.narinfo.replace(&line(&has), &line(&good));
    let source_of_nix = source(vec![has, of_nix(2, &[], &[&alice]), good]).await;
    let import = Import { closure: true, ..all_of(&[1, 3]) };
    let report = imported(import, &source_of_nix, &pool).await;
    assert_eq!((report.summary.refused, report.summary.paths), (1, 1));
    assert_eq!((report.exit(), nars_asked(&source_of_nix)), (Exit::No, 1));

    let mut has = of_guix(1, &key, &[ZSTD]);
    has.narinfo = has.narinfo.replacen("NarSize: 5000", "NarSize: 5001", 1);
    let source_of_guix = source(vec![has]).await;
    let report = imported(all_of(&[1]), &source_of_guix, &pool).await;
    assert_eq!((report.summary.refused, nars_asked(&source_of_guix)), (1, 0));
}

#[tokio::test]
async fn what_rsa_signed_is_carried_and_counts_for_nothing() {
    let mut has = of_guix(1, &guix_key(), &[ZSTD]);
    let text = "(signature (data (flags pkcs1) (hash sha256 #00#)) (sig-val (rsa (s #01#))) \
                (public-key (rsa (n #01#) (e #010001#))))";
    // In base 64, by hand: there is no encoder at home here.
    let digits = base64(text.as_bytes());
    let line = has.narinfo.lines().find(|it| it.starts_with("Signature: ")).unwrap().to_owned();
    has.narinfo = has.narinfo.replace(&line, &format!("Signature: 1;old;{digits}"));
    let (source, pool) = (source(vec![has.clone()]).await, Pool::start().await);
    let report = imported(all_of(&[1]), &source, &pool).await;
    assert_eq!((report.exit(), report.summary.rsa, report.summary.paths), (Exit::Yes, 1, 1));
    pool.with(|state| {
        assert!(state.nars.contains_key(&has.claim.nar_hash()) && state.attested.is_empty());
    });
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for at in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= group.len() { digit as char } else { '=' });
        }
    }
    out
}

#[tokio::test]
async fn a_closure_is_followed_each_path_once_and_what_is_not_there_is_told() {
    let alice = nix_key("alice");
    let has = [(1, &[1, 2, 3][..]), (2, &[3, 4]), (3, &[2])];
    let has = has.map(|(seed, references)| of_nix(seed, references, &[&alice]));
    let (source, pool) = (source(has.to_vec()).await, Pool::start().await);
    pool.enrol(&alice.public());
    let report = imported(Import { closure: true, ..all_of(&[1]) }, &source, &pool).await;
    assert_eq!((report.summary.paths, report.summary.absent), (3, 1));
    assert_eq!(report.exit(), Exit::No);
    assert_eq!(source.asked().iter().filter(|it| it.ends_with(".narinfo")).count(), 4);
}

#[tokio::test]
async fn baking_is_waited_for_but_not_for_ever() {
    let key = guix_key();
    let (pool, asked) = (Pool::start().await, AtomicUsize::new(0));
    pool.enrol(&key.public());
    let has = [of_guix(1, &key, &[ZSTD]), of_guix(2, &key, &[ZSTD])];
    let source = Scripted::answering(move |it| {
        let bakes = it.path == has[1].narinfo_path()
            || it.path == has[0].narinfo_path() && asked.fetch_add(1, Ordering::Relaxed) < 3;
        if bakes { Reply::Head("404 Not Found\r\nX-Baking: 1") } else { answer(&has, it) }
    })
    .await;
    let report = imported(all_of(&[1, 2]), &source, &pool).await;
    assert_eq!((report.summary.paths, report.summary.failed), (1, 1));
    assert_eq!(report.exit(), Exit::CouldNotTell);
}

#[tokio::test]
async fn a_nar_that_broke_off_goes_on_into_the_same_upload() {
    let alice = nix_key("alice");
    let has = of_nix(1, &[], &[&alice]);
    let (file, pool) = (packed(ZSTD, &has.nar), Pool::start().await);
    pool.enrol(&alice.public());
    let all = [has.clone()];
    let source = Scripted::answering(move |asked| {
        if all[0].asked_for_in(&asked.path).is_none() {
            return answer(&all, asked);
        }
        let from = asked.from.unwrap_or(0);
        let range = format!("Content-Range: bytes {from}-{}/{}", file.len() - 1, file.len());
        match asked.from {
            None => Reply::Cut(file.len(), file[..1000].to_vec()),
            Some(_) => Reply::Headed(
                format!("206 Partial Content\r\n{range}"),
                Some(file.len() - from),
                file[from..].to_vec(),
            ),
        }
    })
    .await;
    let report = imported(all_of(&[1]), &source, &pool).await;
    assert_eq!((report.exit(), pool.with(|state| state.uploads)), (Exit::Yes, 1));
    let asked = source.asked_all().into_iter().filter(|asked| asked.path.starts_with("/nar/"));
    assert_eq!(asked.map(|asked| asked.from).collect::<Vec<_>>(), [None, Some(1000)]);
    pool.with(|state| assert_eq!(state.nars[&has.claim.nar_hash()].1, packed(ZSTD, &has.nar)));
}

#[tokio::test]
async fn without_ranges_a_nar_that_broke_off_is_sent_again_from_its_start() {
    let alice = nix_key("alice");
    let (has, pool) = (of_nix(1, &[], &[&alice]), Pool::start().await);
    pool.enrol(&alice.public());
    let (file, tries) = (packed(ZSTD, &has.nar), AtomicUsize::new(0));
    let all = [has.clone()];
    let source = Scripted::answering(move |asked| {
        let is_first = || tries.fetch_add(1, Ordering::Relaxed) == 0;
        if all[0].asked_for_in(&asked.path).is_some() && is_first() {
            return Reply::Cut(file.len(), file[..1000].to_vec());
        }
        answer(&all, asked)
    })
    .await;
    let report = imported(all_of(&[1]), &source, &pool).await;
    assert_eq!((report.exit(), report.summary.nars_fetched), (Exit::Yes, 1));
    assert_eq!(pool.with(|state| state.uploads), 2);
}

#[tokio::test]
async fn what_the_pool_refuses_is_told_and_the_others_go_on() {
    let alice = nix_key("alice");
    let mut has: Vec<Has> = (1..=5).map(|seed| of_nix(seed, &[], &[&alice])).collect();
    // Another NAR than its narinfo says.
    has[0].nar = bytes(99, 5000);
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    pool.with(|state| state.unwanted.insert(base(3).hash_part()));
    let report = imported(all_of(&[1, 2, 3, 4, 5]), &source, &pool).await;
    assert_eq!((report.summary.paths, report.summary.refused), (3, 2));
    assert_eq!((report.exit(), pool.with(|state| state.attested.len())), (Exit::No, 3));
}

#[tokio::test]
async fn disagreement_is_told_and_is_no_failure() {
    let alice = nix_key("alice");
    let has = vec![of_nix(1, &[], &[&alice]), of_nix(2, &[], &[&alice])];
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    pool.with(|state| state.diverging.insert(base(2).hash_part()));
    let report = imported(all_of(&[1, 2]), &source, &pool).await;
    assert_eq!((report.summary.diverging, report.exit()), (1, Exit::Yes));
}

#[tokio::test]
async fn a_list_says_what_to_import_and_where_it_is_wrong() {
    let alice = nix_key("alice");
    let has = vec![of_nix(1, &[], &[&alice]), of_nix(2, &[], &[&alice])];
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    let mut list = tempfile::NamedTempFile::new().unwrap();
    let other = format!("{}-other", base(2).hash_part());
    let text = format!("# these\n/nix/store/{}\n\n/gnu/store/{}\n", base(1), base(1));
    write!(list, "{text}/nix/store/{other}\nnonsense\n").unwrap();
    let all_from = Some(list.path().to_owned());
    let report = imported(Import { all_from, ..all_of(&[]) }, &source, &pool).await;
    // Of another store, by another name than the source has it, and no path at all.
    assert_eq!((report.summary.paths, report.summary.refused), (1, 3));
}

#[tokio::test]
async fn a_followed_list_is_imported_as_it_grows_and_what_failed_is_tried_again() {
    let (alice, bob) = (nix_key("alice"), nix_key("bob"));
    let has = vec![of_nix(1, &[], &[&alice]), of_nix(2, &[], &[&bob])];
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    let mut list = tempfile::NamedTempFile::new().unwrap();
    writeln!(list, "{}\n{}", base(2).hash_part(), base(1).hash_part()).unwrap();
    let follow: Option<PathBuf> = Some(list.path().to_owned());
    let import = Import { follow, ..all_of(&[]) };
    let mut importer = importer(import, &source, &pool).await.unwrap();
    let attested = |count| {
        let pool = &pool;
        async move {
            while pool.with(|state| state.attested.len()) < count {
                tokio::time::sleep(SOON).await;
            }
        }
    };
    let watched = async {
        attested(1).await;
        pool.enrol(&bob.public());
        attested(2).await;
        writeln!(list, "/nix/store/{}", base(3)).unwrap();
        let of_third = format!("/{}.narinfo", base(3).hash_part());
        while source.asked().iter().filter(|path| **path == of_third).count() < 2 {
            tokio::time::sleep(SOON).await;
        }
    };
    follow_until(&mut importer, watched).await;
}

#[tokio::test]
async fn a_source_that_is_gone_or_of_another_store_is_an_error() {
    let pool = Pool::start().await;
    let silent = Scripted::answering(|asked| match asked.path.as_str() {
        "/nix-cache-info" => Reply::File(b"StoreDir: /nix/store\n".to_vec()),
        _ => Reply::Head("503 Busy"),
    })
    .await;
    let report = imported(all_of(&[1]), &silent, &pool).await;
    assert_eq!((report.summary.failed, report.exit()), (1, Exit::CouldNotTell));
    let other = Scripted::with(Reply::File(b"StoreDir: /home/me/store\n".to_vec())).await;
    let error = importer(all_of(&[1]), &other, &pool).await.err().unwrap();
    assert_eq!(crate::exit::of(&error), Exit::No);
}
