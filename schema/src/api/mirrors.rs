//! Which mirrors a pool has, and how fresh they are: `/api/v1/mirrors`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::base_url::BaseUrl;
use crate::tlog::note::{MAX_NOTE_LEN, VerifierKey};

/// The most mirrors that a pool names.
pub const MAX_MIRRORS: usize = 16;
/// The longest announcement, in bytes: a note, each of whose bytes may be escaped.
pub const MAX_MIRROR_ANNOUNCEMENT_LEN: usize = 2 * MAX_NOTE_LEN;

/// `GET /api/v1/mirrors`: the mirrors that the operator names. None of them is to be believed: what it
/// gives must have the right hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Mirrors {
    /// In the operator's order, at most [`MAX_MIRRORS`].
    pub mirrors: Vec<MirrorReport>,
}

/// One mirror. How fresh it is, is known once it has announced itself to this pool since that was
/// started: the pool never asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MirrorReport {
    /// Where it is; a NAR lies there under the same path as here.
    pub url: BaseUrl,
    /// By which it cosigns the checkpoints of this pool that it has copied whole.
    pub key: VerifierKey,
    /// The size of the newest checkpoint of this pool's attestations log that it cosigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// When it cosigned that, by its own clock, POSIX seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_at: Option<u64>,
    /// How many entries of the published log it lacks, by that checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<u64>,
}

/// `POST /api/v1/mirrors`: a mirror tells how far it is. Whoever sends it: the signatures say whose
/// word it is. The answer is a [`MirrorReport`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MirrorAnnouncement {
    /// A checkpoint of this pool's attestations log, signed by the log and cosigned by the mirror: a
    /// signed note, as C2SP's tlog-checkpoint and tlog-cosignature have it.
    pub checkpoint: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::tlog::cosignature::Cosigner;
    use std::sync::Arc;

    fn key() -> VerifierKey {
        let secret = SecretKey::from_seed("m".parse().unwrap(), &[7; 32]);
        let cosigner = Cosigner::new("b.example/mirror".parse().unwrap(), Arc::new(secret));
        cosigner.unwrap().verifier().clone()
    }

    #[test]
    fn a_mirror_that_was_never_heard_has_an_address_and_a_key() {
        let (url, key) = ("https://b.example/".parse().unwrap(), key());
        let report = MirrorReport { url, key, size: None, seen_at: None, behind: None };
        let text = serde_json::to_string(&report).unwrap();
        let shown = report.key.to_string();
        assert_eq!(text, format!("{{\"url\":\"https://b.example\",\"key\":\"{shown}\"}}"));
        assert_eq!(serde_json::from_str::<MirrorReport>(&text).unwrap(), report);
        let heard = MirrorReport { size: Some(7), seen_at: Some(9), behind: Some(0), ..report };
        let text = serde_json::to_string(&Mirrors { mirrors: vec![heard.clone()] }).unwrap();
        assert!(text.contains("\"size\":7,\"seen_at\":9,\"behind\":0}"), "{text}");
        assert_eq!(serde_json::from_str::<Mirrors>(&text).unwrap().mirrors, [heard]);
    }

    #[test]
    fn no_list_leads_elsewhere_than_to_a_server() {
        for url in ["file:///etc/passwd", "https://b.example/?x", "https://me@b.example", "b"] {
            let text = format!("{{\"mirrors\":[{{\"url\":\"{url}\",\"key\":\"{}\"}}]}}", key());
            assert!(serde_json::from_str::<Mirrors>(&text).is_err(), "{url}");
        }
    }

    #[test]
    fn an_announcement_says_nothing_but_the_checkpoint() {
        let read = serde_json::from_str::<MirrorAnnouncement>;
        assert_eq!(read("{\"checkpoint\":\"a\\nb\"}").unwrap().checkpoint, "a\nb");
        assert!(read("{\"checkpoint\":\"a\",\"url\":\"https://b.example\"}").is_err());
        assert!(read("{}").is_err());
    }
}
