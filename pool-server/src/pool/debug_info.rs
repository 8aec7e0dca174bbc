//! Where the debug information of build ids lies. Nobody vouches for it.

use schema::debug_info::{Archive, BuildId, DebugInfo};

use super::Pool;
use crate::index::DebugInfoRecord;
use crate::rejected::{Failure, Rejected};

impl Pool {
    /// Where the debug information of a build id lies, as a client of this pool finds it.
    ///
    /// # Errors
    /// Nobody said where, the NAR is not here, or a failing database.
    pub fn debug_info(&self, build_id: &BuildId) -> Result<DebugInfo, Failure> {
        let record = self.index.debug_info(build_id)?.ok_or_else(|| unknown(build_id))?;
        let missing = || no_nar(build_id, &record);
        let nar_hash = self.index.alias(&record.archive)?.ok_or_else(missing)?;
        let blob = self.index.blob(&nar_hash)?.ok_or_else(missing)?;
        Ok(DebugInfo {
            archive: Archive::of_nar(&nar_hash, blob.file.compression),
            member: record.member,
        })
    }

    /// Remembers where a client that is about to send a NAR says that debug information lies. The
    /// first whose NAR is here stays; one whose NAR never came is replaced. Answers with whether
    /// it was taken.
    ///
    /// # Errors
    /// Something malformed, or a failing database.
    pub async fn put_debug_info(&self, build_id: BuildId, json: &[u8]) -> Result<bool, Failure> {
        let DebugInfo { archive, member } =
            serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        self.takes_words()?;
        let record = DebugInfoRecord { archive: archive.file_hash(), member };
        self.ledger.sequencer().keep_debug_info(build_id, record).await
    }
}

fn unknown(build_id: &BuildId) -> Rejected {
    Rejected::not_found(
        "no_debug_info",
        format!("nobody said where the debug information of {build_id} lies"),
    )
    .hint("nix copy with ?index-debug-info=true says so")
}

fn no_nar(build_id: &BuildId, record: &DebugInfoRecord) -> Rejected {
    let detail = format!(
        "the debug information of {build_id} is said to lie in the file {}, which was never uploaded",
        record.archive.to_nix32()
    );
    Rejected::not_found("no_nar", detail)
}

fn malformed(error: &serde_json::Error) -> Rejected {
    let detail = format!("not where debug information lies: {error}");
    Rejected::bad_request("debug_info_malformed", detail).hint(
        "it is {\"archive\":\"../nar/<file hash>.nar.<ending>\",\"member\":\"<path in the NAR>\"}",
    )
}
