//! Lies about NARs, to somebody who installs by the host's own proxy.

use bytes::Bytes;
use schema::hash::NarHash;
use schema::narinfo::NarInfo;
use tests::cli::Cli;
use tests::client::{Answer, Client};
use tests::double::{Double, Lie};
use tests::nar::{file, noise, path, zstd};
use tests::proxy::Proxy;
use tests::server::Server;

use super::{alice, bob, policy};

/// Which is checked whole before anything is sent, and which is sent while it is checked.
const LENGTHS: [usize; 2] = [100_000, 3 << 20];

#[tokio::test]
async fn no_lie_about_a_nar_is_passed_on_whole() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), &[]);
    let admin = Client::admin(&server);
    for key in [alice(), bob()] {
        admin.enrol(&key.public()).await;
    }
    let double = Double::before(&server);
    for len in LENGTHS {
        let nar = file(&noise(len as u64, len));
        let path = path(&len.to_string(), "nar-1.0");
        admin.push(&alice(), &path, &nar, &[]).await;
        admin.vouch(&bob(), &path, &nar, &[]).await;
        let (packed, other) = (zstd(&nar), zstd(&file(&noise(7, len))));
        let lies = [
            ("nar_swapped", Lie::Swaps(other.into())),
            ("nar_truncated", Lie::Shortens(packed.len() / 2)),
            ("nar_truncated", Lie::Shortens(0)),
            ("nar_unreadable", Lie::Swaps(Bytes::from(noise(8, packed.len())))),
        ];
        // The proxy waits for 20 seconds.
        let slow = (len == LENGTHS[0]).then(|| ("nar_stalled", Lie::Stalls(packed.len() / 2)));
        let lies = lies.into_iter().chain(slow);
        for (code, lie) in lies {
            double.tells(lie);
            let dir = tempfile::tempdir().unwrap();
            let cli = Cli::new(dir.path(), &server, "");
            let text = policy(1, "");
            let proxy =
                Proxy::start(&cli, &dir.path().join("proxy"), &text, &["--pool", &double.url()]);
            let client = Client::of(&proxy.url(""));
            let hash_part = path.base().hash_part();
            let shown = client.get(&format!("/{hash_part}.narinfo")).await;
            assert_eq!(shown.status, 200, "{}", shown.text());
            let narinfo = NarInfo::parse_nix(&shown.body).unwrap();
            assert_eq!(narinfo.claim.nar_hash(), NarHash::of(&nar));
            let text = shown.text();
            let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
            let url = format!("/{url}");
            let given = Answer::unless_gone(client.request(reqwest::Method::GET, &url)).await;
            if let Ok(answer) = given {
                let is_right = NarHash::of(&answer.body) == NarHash::of(&nar);
                assert_ne!(answer.status, 200, "{code} of {len}: the right one: {is_right}");
            }
            let source = double.url();
            let fault =
                format!("narpool_proxy_source_faults_total{{source=\"{source}\",code=\"{code}\"}}");
            assert!(client.metric(&fault).await >= 1.0, "{code} of {len}");
            assert!(client.get("/").await.text().contains(code));
            // It is asked again, and then it tells the truth.
            double.is_honest();
            let answer = client.get(&url).await;
            assert_eq!((answer.status, NarHash::of(&answer.body)), (200, NarHash::of(&nar)));
            proxy.stop();
        }
    }
    assert!(double.nars() >= 9);
}
