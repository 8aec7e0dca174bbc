//! What is imported from.

use futures_util::TryStreamExt;
use schema::claim::Claim;
use schema::guix::ecdsa::EcdsaSecret;
use schema::key::{KeyName, SecretKey};
use schema::narinfo::Delivery;
use schema::narinfo::guix::SignatureLine;
use schema::store_path::{HashPart, StoreDir};

use super::scripted::Asked;
use super::*;

const BASE: &str = "7h7qgvs4kgzsn8a6rb273saxyqh4jxlz-hello-2.12";
const HASH: &str = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";

fn part() -> HashPart {
    BASE[..32].parse().unwrap()
}

fn signed_by_guix(more: &str) -> String {
    let key: KeyName = "g-1".parse().unwrap();
    let secret = SecretKey::of_guix(key, EcdsaSecret::from_random(&[7; 64]).unwrap());
    let path = format!("/gnu/store/{BASE}").parse().unwrap();
    let claim = Claim::new(path, HASH.parse().unwrap(), 112, vec![]).unwrap().in_guix(None);
    let signature = secret.sign(claim.signed_bytes().as_bytes());
    let (name, public) = (signature.name(), secret.public());
    let by = Some((name, public.guix().unwrap(), signature.signature()));
    let (url, compression) = ("nar/x".to_owned(), Compression::None);
    let place = Delivery { url, compression, file_hash: None, file_size: None };
    let text = schema::narinfo::guix::print(&claim, None, by, &place);
    text[..text.find("URL: ").unwrap()].to_owned() + more
}

fn place(name: &str, compression: &str, size: Option<u64>) -> String {
    let size = size.map(|size| format!("FileSize: {size}\n")).unwrap_or_default();
    format!("URL: nar/{name}\nCompression: {compression}\n{size}")
}

fn read(text: &str, dir: &StoreDir) -> Result<Told, Fault> {
    Told::read(text.as_bytes(), dir, part())
}

#[test]
fn narinfos_are_read_in_the_words_of_the_store_that_they_are_of() {
    let text = signed_by_guix(&place("a", "gzip", None));
    let told = read(&text, &StoreDir::guix()).unwrap();
    assert!(matches!(told.signatures, Signatures::Guix(Some(SignatureLine::Ecdsa(_)))));
    let nix = format!(
        "StorePath: /nix/store/{BASE}\nURL: nar/x\nCompression: xz\nNarHash: {HASH}\nNarSize: 112\n\
         References: {BASE}\nDeriver: {BASE}.drv\n"
    );
    let told = read(&nix, &StoreDir::nix()).unwrap();
    assert_eq!(
        (told.claim.references().len(), told.deriver.unwrap().name()),
        (1, "hello-2.12.drv")
    );
    assert!(matches!(told.signatures, Signatures::Nix(lines) if lines.is_empty()));
    assert!(read(&text, &StoreDir::nix()).is_err());
    assert!(read(&nix, &StoreDir::guix()).is_err());
    assert!(read(&nix.replace("/nix/", "/nix/deeper/"), &StoreDir::nix()).is_err());
    let other = nix.replace("StorePath: /nix/store/7h", "StorePath: /nix/store/8h");
    let why = read(&other, &StoreDir::nix()).unwrap_err().to_string();
    assert!(why.contains("is about /nix/store/8h"), "{why}");
    assert!(read(&signed_by_guix(""), &StoreDir::guix()).is_err(), "nowhere to be had");
}

#[test]
fn the_smallest_file_is_taken_or_what_usually_is_the_smallest() {
    let best = |places: &[(&str, Option<u64>)]| {
        let places =
            places.iter().map(|(compression, size)| place(compression, compression, *size));
        let text = signed_by_guix(&places.collect::<String>());
        read(&text, &StoreDir::guix()).unwrap().delivery.compression
    };
    let (gzip, zstd, lzip) = (Compression::Gzip, Compression::Zstd, Compression::Lzip);
    assert_eq!(best(&[("zstd", Some(3)), ("gzip", Some(2)), ("lzip", Some(4))]), gzip);
    assert_eq!(best(&[("gzip", Some(2)), ("zstd", Some(2))]), zstd);
    assert_eq!(best(&[("gzip", None), ("lzip", None), ("zstd", None), ("none", None)]), lzip);
    // A size alone says nothing.
    assert_eq!(best(&[("gzip", Some(1)), ("zstd", None)]), zstd);
    assert_eq!(best(&[("br", Some(1)), ("none", Some(9))]), NONE, "Guix does not unpack it");
}

async fn upstream(source: &Scripted) -> Arc<Upstream> {
    Upstream::open(&source.access, HASTY, quiet()).await.unwrap()
}

const INFO: &[u8] = b"StoreDir: /nix/store\nWantMassQuery: 1\n";

#[tokio::test]
async fn a_source_says_which_store_it_is_of_and_gets_no_token() {
    let source = Scripted::start(|path| match path {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        _ => Reply::Head("404 Not Found"),
    })
    .await;
    let upstream = upstream(&source).await;
    assert_eq!(*upstream.dir(), StoreDir::nix());
    assert_eq!(upstream.told(part()).await.unwrap_err(), Fault::Absent);
    let asked = source.asked_all();
    assert_eq!(asked[1].path, format!("/{}.narinfo", &BASE[..32]));
    assert!(asked.iter().all(|asked| !asked.token), "{asked:?}");
    let silent = Scripted::with(Reply::File(b"Priority: 1\n".to_vec())).await;
    let error = Upstream::open(&silent.access, HASTY, quiet()).await.err().unwrap();
    assert!(crate::exit::hint(&error).unwrap().contains("StoreDir"), "{error:#}");
}

#[tokio::test]
async fn baking_is_told_by_a_header_or_in_words() {
    let words = b"We're baking it: /x.narinfo".to_vec();
    for (reply, fault) in [
        (Reply::Head("404 Not Found\r\nX-Baking: 1"), Fault::Baking),
        (Reply::Headed("404 Not Found".into(), Some(words.len()), words), Fault::Baking),
        (Reply::Head("404 Not Found"), Fault::Absent),
        (Reply::Head("403 Forbidden"), Fault::Absent),
        (Reply::Endless(vec![b'a'; 4096]), Fault::Unavailable("its narinfo is too long".into())),
    ] {
        let source = Scripted::start(move |path| match path {
            "/nix-cache-info" => Reply::File(INFO.to_vec()),
            _ => reply.clone(),
        })
        .await;
        assert_eq!(upstream(&source).await.told(part()).await.unwrap_err(), fault);
    }
}

/// What is downloaded from a source that gives this for the file, how it ended, and what was asked.
async fn downloaded(
    nar: &[u8],
    script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> (Vec<u8>, Option<Fault>, Vec<Asked>) {
    let claim = allowed("a", nar, &[]).claim;
    let narinfo = format!(
        "StorePath: {}\nURL: nar/x\nCompression: none\nNarHash: {}\nNarSize: {}\nReferences: \n",
        claim.path(),
        claim.nar_hash(),
        nar.len(),
    );
    let source = Scripted::answering(move |asked| match asked.path.as_str() {
        "/nix-cache-info" => Reply::File(INFO.to_vec()),
        "/nar/x" => script(asked),
        _ => Reply::File(narinfo.clone().into_bytes()),
    })
    .await;
    let upstream = upstream(&source).await;
    let told = upstream.told(part()).await.unwrap();
    let download = upstream.download(&told).await.unwrap();
    let mut pieces = std::pin::pin!(download.pieces(|_| ()));
    let (mut got, mut fault) = (Vec::new(), None);
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => got.extend_from_slice(&piece),
            Ok(None) => break,
            Err(why) => {
                fault = Some(why);
                break;
            }
        }
    }
    (got, fault, source.asked_all().split_off(2))
}

/// A server of files that breaks off after `piece` bytes, each time, and can go on from there.
fn breaking(nar: Vec<u8>, piece: usize) -> impl Fn(&Asked) -> Reply {
    move |asked| {
        let (from, size) = (asked.from.unwrap_or(0), nar.len());
        let sent = nar[from..].iter().take(piece).copied().collect();
        let etag = "ETag: \"one\"\r\nAccept-Ranges: bytes";
        let head = match asked.from {
            None => format!("200 OK\r\n{etag}"),
            Some(_) => {
                let range = format!("Content-Range: bytes {from}-{}/{size}", size - 1);
                format!("206 Partial Content\r\n{range}\r\n{etag}")
            }
        };
        Reply::Headed(head, Some(size - from), sent)
    }
}

#[tokio::test]
async fn a_file_goes_on_where_the_connection_broke_off() {
    let nar = bytes(1, 100_000);
    let (got, fault, asked) = downloaded(&nar, breaking(nar.clone(), 40_000)).await;
    assert!(got == nar && fault.is_none(), "{fault:?}");
    let from: Vec<_> = asked.iter().map(|asked| asked.from).collect();
    assert_eq!(from, [None, Some(40_000), Some(80_000)]);
    assert!(asked[1..].iter().all(|asked| asked.if_range.as_deref() == Some("\"one\"")));
}

#[tokio::test]
async fn one_that_breaks_off_again_and_again_is_given_up() {
    let nar = bytes(2, 100_000);
    let (got, fault, asked) = downloaded(&nar, breaking(nar.clone(), 10)).await;
    assert_eq!((got.len(), fault), (60, Some(Fault::Truncated)));
    assert_eq!(asked.len(), 6);
}

#[tokio::test]
async fn the_rest_of_another_file_is_not_taken() {
    let nar = bytes(3, 1000);
    let half = nar[..500].to_vec();
    for rest in [
        "200 OK",
        "206 Partial Content",
        "206 Partial Content\r\nContent-Range: bytes 499-999/1000",
        "206 Partial Content\r\nContent-Range: bytes 500-999/1001",
        "416 Range Not Satisfiable",
    ] {
        let (first, nar) = (half.clone(), nar.clone());
        let whole = nar.clone();
        let (got, fault, _) = downloaded(&nar, move |asked| match asked.from {
            None => Reply::Cut(1000, first.clone()),
            Some(_) => Reply::Headed(rest.into(), Some(1000), whole.clone()),
        })
        .await;
        assert_eq!((got.len(), fault), (500, Some(Fault::Truncated)), "{rest}");
    }
}

#[tokio::test]
async fn a_file_without_a_length_ends_where_the_nar_does() {
    let nar = bytes(4, 1000);
    let sent = nar.clone();
    let script = move |_: &Asked| Reply::Headed("200 OK".into(), None, sent.clone());
    let (got, fault, _) = downloaded(&nar, script).await;
    assert!(got == nar && fault.is_none(), "{fault:?}");
    // Cut short, it looks like any end.
    let sent = nar[..400].to_vec();
    let script =
        move |_: &Asked| Reply::Headed("200 OK\r\nAccept-Ranges: none".into(), None, sent.clone());
    let (got, fault, asked) = downloaded(&nar, script).await;
    assert_eq!((got.len(), fault, asked.len()), (400, Some(Fault::Truncated), 1));
}

#[tokio::test]
async fn one_that_stalls_goes_on_where_it_did() {
    let nar = bytes(5, 1000);
    let (half, rest) = (nar[..500].to_vec(), nar[500..].to_vec());
    let (got, fault, asked) = downloaded(&nar, move |asked| match asked.from {
        None => Reply::Stall(1000, half.clone()),
        Some(_) => Reply::Headed(
            "206 Partial Content\r\nContent-Range: bytes 500-999/1000".into(),
            Some(500),
            rest.clone(),
        ),
    })
    .await;
    assert!(got == nar && fault.is_none(), "{fault:?}");
    assert_eq!(asked.len(), 2);
}

#[tokio::test]
async fn one_that_stalls_again_or_never_ends_is_given_up() {
    let nar = bytes(5, 1000);
    let half = nar[..500].to_vec();
    let (_, fault, asked) = downloaded(&nar, move |_| Reply::Stall(1000, half.clone())).await;
    assert_eq!((fault, asked.len()), (Some(Fault::Stalled), 2));
    let (_, fault, _) = downloaded(&nar, |_| Reply::Endless(vec![0; 4096])).await;
    assert!(matches!(fault, Some(Fault::Unreadable(_))), "{fault:?}");
}
