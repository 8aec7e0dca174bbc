//! What a ledger has of one path.

use std::sync::Arc;

use super::Caught;
use crate::api::{EvidenceClaim, EvidencePath, FileReport};
use crate::attestation::Entry;
use crate::claim::Claim;
use crate::content_address::ContentAddress;
use crate::hash::{KeyId, MapHash, MapKey};
use crate::key::PublicKey;
use crate::statement::Statement;
use crate::store_path::StorePath;
use crate::verifiable_map::ListChain;

/// Everything that one ledger has about a path, up to some size. The signatures are not checked.
#[derive(Debug, Clone)]
pub struct ShownPath {
    path: StorePath,
    claims: Vec<ShownClaim>,
    /// By index; with each, which claim it is of.
    entries: Vec<(u64, usize, Entry)>,
}

/// One claim, and what the pool has beside it that nobody signed.
#[derive(Debug, Clone)]
pub struct ShownClaim {
    /// The claim.
    pub claim: Arc<Claim>,
    /// Its content address; the path follows from it.
    pub content_address: Option<ContentAddress>,
    /// The file in which the pool says it keeps the NAR.
    pub file: Option<FileReport>,
}

impl ShownPath {
    /// Reads what was shown, and noted down by whoever verified it then.
    ///
    /// # Errors
    /// Claims that do not read, or are of several paths.
    pub fn parse(shown: &EvidencePath) -> Result<Self, Caught> {
        let claims = shown.claims.iter().map(claim).collect::<Result<Vec<_>, _>>()?;
        let first = claims.first().ok_or_else(|| Caught::Claim("there is none".to_owned()))?;
        let path = first.claim.path().clone();
        if let Some(other) = claims.iter().find(|it| *it.claim.path() != path) {
            return Err(Caught::Claim(format!("{} beside {path}", other.claim.path())));
        }
        if let Some(it) = shown.claims.iter().find(|it| it.entries.is_empty()) {
            return Err(Caught::Claim(format!("{:?} is attested by nobody", it.text)));
        }
        let mut entries = Vec::new();
        for (number, (shown, it)) in shown.claims.iter().zip(&claims).enumerate() {
            let id = it.claim.id();
            entries.extend(shown.entries.iter().map(|entry| {
                let logged = Entry {
                    dialect: it.claim.dialect(),
                    logged_at: entry.logged_at,
                    subject: it.claim.nar_hash(),
                    path_key: path.key(),
                    claim: id,
                    key_id: entry.key_id,
                    signature: *entry.signature.signature(),
                };
                (entry.index, number, logged)
            }));
        }
        entries.sort_unstable_by_key(|(index, ..)| *index);
        Ok(Self { path, claims, entries })
    }

    /// That the map with this root lists these entries and no others, all of them below `size`.
    pub(super) fn check_list(
        &self,
        shown: &EvidencePath,
        root: &MapHash,
        size: u64,
    ) -> Result<(), Caught> {
        let withheld = |why: String| Caught::Withheld { path: self.path.clone(), why };
        let indices: Vec<u64> = self.entries.iter().map(|(index, ..)| *index).collect();
        if indices.last().is_some_and(|last| *last >= size) {
            return Err(withheld(format!("the map is of the first {size} entries only")));
        }
        let list = ListChain::of(&indices).map_err(|error| withheld(error.to_string()))?;
        let key = MapKey::of_path(&self.path.key());
        shown.proof.verify(root, &key, &list).map_err(|error| withheld(error.to_string()))
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &StorePath {
        &self.path
    }

    /// What is claimed of it.
    #[must_use]
    pub fn claims(&self) -> &[ShownClaim] {
        &self.claims
    }

    /// The entries with their indices, and what each attests.
    pub fn entries(&self) -> impl Iterator<Item = (u64, &Entry, &Arc<Claim>)> {
        self.entries.iter().map(move |it| (it.0, &it.2, &self.claims[it.1].claim))
    }

    /// What the entries say, in the order of the ledger. The signatures of the keys that `key` knows
    /// are verified, each about 100 microseconds; those of others do not matter.
    ///
    /// # Errors
    /// A signature that is not the key's: the pool had to refuse it.
    pub fn statements<'k>(
        &self,
        key: impl Fn(&KeyId) -> Option<&'k PublicKey>,
    ) -> Result<Vec<Statement>, Caught> {
        let statement = |(index, claim, entry): &(u64, usize, Entry)| {
            let claim = Arc::clone(&self.claims[*claim].claim);
            let Some(key) = key(&entry.key_id) else {
                return Ok(Statement::unchecked(*index, entry, Some(&claim)));
            };
            Statement::verified(*index, entry, claim, key).map_err(|_| Caught::Forged {
                path: self.path.clone(),
                key: entry.key_id,
                claim: entry.claim,
            })
        };
        self.entries.iter().map(statement).collect()
    }
}

fn claim(shown: &EvidenceClaim) -> Result<ShownClaim, Caught> {
    let claim = Claim::parse(shown.text.as_bytes())
        .map_err(|error| Caught::Claim(format!("{:?}: {error}", shown.text)))?;
    // Nobody signed it: it either proves itself, or is nothing.
    let content_address = shown.ca.as_deref().and_then(|ca| ca.parse().ok());
    let content_address = content_address.filter(|ca: &ContentAddress| ca.gives_path_of(&claim));
    Ok(ShownClaim { claim: Arc::new(claim), content_address, file: shown.file.clone() })
}
