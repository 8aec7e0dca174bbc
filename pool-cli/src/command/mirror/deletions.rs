//! What sources took down.

use schema::api::Deletion;

use super::Carrier;

impl Carrier {
    /// Says what a source took down, each once. Whether it is to be so here is the affair of whoever runs
    /// the mirror: what the source does not give any more may well be here.
    pub(super) async fn tell_deletions(&mut self, number: usize) {
        let source = &self.sources[number];
        let mut after = None;
        // An older pool has no such list, and one that is away is told of elsewhere.
        while let Ok(page) = source.remote.deletions(after).await {
            for Deletion { path, reason, .. } in &page.deletions {
                let hash_part = path.base().hash_part();
                after = Some(hash_part);
                if self.deletions.insert((number, hash_part)) {
                    let server = &source.access.server;
                    self.output.warn(&format!("{server} took down {path}: {reason}"));
                }
            }
            if !page.more {
                return;
            }
        }
    }
}
