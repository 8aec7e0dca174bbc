//! How an import ends, whatever the source does.

use super::*;

#[tokio::test]
async fn a_nar_of_unknown_length_that_was_cut_is_sent_again() {
    let key = guix_key();
    let (has, pool) = (of_guix(1, &key, &[Compression::Gzip]), Pool::start().await);
    pool.enrol(&key.public());
    let (file, tries) = (packed(Compression::Gzip, &has.nar), AtomicUsize::new(0));
    let source = Scripted::answering(move |asked| {
        let is_first = || tries.fetch_add(1, Ordering::Relaxed) == 0;
        if has.asked_for_in(&asked.path).is_some() && is_first() {
            return Reply::Headed("200 OK".to_owned(), None, file[..1000].to_vec());
        }
        answer(std::slice::from_ref(&has), asked)
    })
    .await;
    let report = imported(all_of(&[1]), &source, &pool).await;
    assert_eq!((report.exit(), report.summary.nars_fetched), (Exit::Yes, 1));
}

#[tokio::test]
async fn sizes_that_no_file_has_are_no_sizes() {
    let alice = nix_key("alice");
    let mut has = vec![of_nix(1, &[], &[&alice]), of_nix(2, &[], &[&alice])];
    for it in &mut has {
        it.narinfo.push_str(&format!("FileSize: {}\n", u64::MAX));
    }
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    let report = imported(all_of(&[1, 2]), &source, &pool).await;
    assert_eq!((report.exit(), report.summary.nars_fetched), (Exit::Yes, 2));
}

#[tokio::test]
async fn what_nobody_known_signed_leads_nowhere() {
    let (alice, bob) = (nix_key("alice"), nix_key("bob"));
    let has = vec![of_nix(1, &[2], &[&bob]), of_nix(2, &[], &[&alice])];
    let (source, pool) = (source(has).await, Pool::start().await);
    pool.enrol(&alice.public());
    let report = imported(Import { closure: true, ..all_of(&[1]) }, &source, &pool).await;
    assert_eq!((report.summary.paths, report.summary.unattested), (0, 1));
    assert_eq!(report.exit(), Exit::No);
}

#[tokio::test]
async fn what_was_given_up_while_a_list_was_followed_is_not_forgotten() {
    let alice = nix_key("alice");
    let (source, pool) = (source(vec![of_nix(1, &[], &[&alice])]).await, Pool::start().await);
    pool.enrol(&alice.public());
    let mut list = tempfile::NamedTempFile::new().unwrap();
    let import = Import { follow: Some(list.path().to_owned()), ..all_of(&[2]) };
    let mut importer = importer(import, &source, &pool).await.unwrap();
    let of_second = format!("/{}.narinfo", base(2).hash_part());
    let watched = async {
        while !source.asked().contains(&of_second) {
            tokio::time::sleep(SOON).await;
        }
        writeln!(list, "{}", base(1).hash_part()).unwrap();
        while pool.with(|state| state.attested.is_empty()) {
            tokio::time::sleep(SOON).await;
        }
    };
    follow_until(&mut importer, watched).await;
    assert_eq!(importer.report.exit(), Exit::No);
}
