//! What a pool serves while it is whole.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use reqwest::Method;
use tests::client::{Answer, Client};
use tests::log_copy::LogCopy;

use super::scene::{NARS, hash_part};

const LOGS: [&str; 2] = ["keys", "attestations"];

/// Answers, by what is asked.
pub(super) struct Truth(BTreeMap<String, Bytes>);

impl Truth {
    pub(super) async fn of(client: &Client) -> Self {
        let mut answers = BTreeMap::new();
        for number in 0..NARS {
            let part = hash_part(number);
            for url in [format!("/{part}.narinfo"), format!("/as/alice/{part}.narinfo")] {
                let answer = client.get(&url).await;
                assert_eq!(answer.status, 200, "{url}: {}", answer.text());
                let text = answer.text();
                let nar = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
                let nar = format!("/{nar}");
                answers.insert(nar.clone(), client.get(&nar).await.body);
                answers.insert(url, answer.body);
            }
            let url = format!("/{part}.ls");
            let answer = client.get(&url).await;
            assert_eq!(answer.status, 200, "{url}: {}", answer.text());
            answers.insert(url, answer.body);
        }
        for log in LOGS {
            let prefix = format!("/ledger/{log}");
            let copy = LogCopy::fetch(client, &prefix).await;
            for path in copy.paths() {
                let object = Bytes::copy_from_slice(copy.object(path).unwrap());
                answers.insert(format!("{prefix}/{path}"), object);
            }
        }
        Self(answers)
    }

    /// Where the NAR of a path is.
    pub(super) fn nar_of(&self, number: u64) -> String {
        let text = String::from_utf8(self.0[&format!("/{}.narinfo", hash_part(number))].to_vec());
        let text = text.unwrap();
        format!("/{}", text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap())
    }

    /// Asks for everything. Whatever is told is the truth, but for the NARs of `spoiled`, of which
    /// nobody could know yet. Answers with what is not told.
    pub(super) async fn holds(
        &self,
        client: &Client,
        spoiled: &BTreeSet<String>,
    ) -> BTreeSet<String> {
        let mut untold = BTreeSet::new();
        for (url, truth) in &self.0 {
            // An answer that breaks off is none.
            let answer = Answer::unless_gone(client.request(Method::GET, url)).await;
            match answer {
                Ok(answer) if answer.status == 200 => {
                    let is_true = answer.body == *truth;
                    assert!(is_true || spoiled.contains(url), "{url} is another than it was");
                }
                Ok(answer) => {
                    assert!(answer.status >= 400, "{url}: {}", answer.status);
                    untold.insert(url.clone());
                }
                Err(_) => drop(untold.insert(url.clone())),
            }
        }
        untold
    }

    /// Everything is served as it was.
    pub(super) async fn is_whole(&self, client: &Client) {
        let untold = self.holds(client, &BTreeSet::new()).await;
        assert!(untold.is_empty(), "not served any more: {untold:?}");
    }
}
