//! Evidence as a client reads it: of a ledger that is in order, of ledgers whose operators lie and
//! sign what they say, and of answers that were damaged on the way.

mod growth;
mod lies;
mod mutated;
mod scene;

use std::collections::{BTreeMap, BTreeSet};

use schema::api::{EvidenceLine, EvidenceRequest};
use schema::content_address::ContentAddress;
use schema::decide::{Decision, Hearing, Said, decide};
use schema::evidence::{Caught, Known, Proved, ShownPath, Witnessing};
use schema::policy::Policy;
use schema::signers::Signer;
use schema::statement::Statement;
use schema::store_path::StorePath;

/// All that somebody believes who has read an answer.
#[derive(Debug, Clone)]
struct Heard {
    known: Known,
    as_of: u64,
    covered: u64,
    paths: BTreeMap<StorePath, HeardPath>,
    absent: BTreeSet<StorePath>,
}

#[derive(Debug, Clone)]
struct HeardPath {
    statements: Vec<Statement>,
    /// The texts of the claims, with the addresses that give their paths.
    claims: Vec<(String, Option<ContentAddress>)>,
}

impl Heard {
    /// Reads an answer as the judge does: nothing counts before the end, and everything asked for
    /// must be answered.
    fn read(
        known: &Known,
        request: &EvidenceRequest,
        witnesses: Witnessing<'_>,
        lines: impl IntoIterator<Item = EvidenceLine>,
        now: u64,
    ) -> Result<Self, Caught> {
        let malformed = |what: &str| Caught::Malformed(what.to_owned());
        let mut lines = lines.into_iter();
        let Some(EvidenceLine::Head(head)) = lines.next() else { return Err(malformed("no head")) };
        let mut reading = known.read(&head, witnesses, now)?;
        let mut unknown = BTreeSet::new();
        for line in lines {
            match line {
                EvidenceLine::Path(path) => drop(reading.path(&path)?),
                EvidenceLine::Absent(absent) => reading.absent(&absent)?,
                EvidenceLine::Unknown(part) => drop(unknown.insert(part)),
                EvidenceLine::Head(_) => return Err(malformed("two heads")),
                EvidenceLine::End(end) => {
                    let heard = Self::of(reading.end(&end)?)?;
                    let told = |path: &&StorePath| {
                        heard.paths.contains_key(path) || heard.absent.contains(path)
                    };
                    return match request.paths.iter().find(|path| !told(path)) {
                        Some(path) => Err(Caught::Unanswered(path.to_string())),
                        None => Ok(heard),
                    };
                }
            }
        }
        Err(malformed("no end"))
    }

    fn of(proved: Proved) -> Result<Self, Caught> {
        let Proved { known, as_of, covered, shown, absent, .. } = proved;
        let paths = shown.iter().map(|shown| Ok((shown.path().clone(), path(shown, &known)?)));
        let paths = paths.collect::<Result<_, Caught>>()?;
        Ok(Self { known, as_of, covered, paths, absent: absent.into_iter().collect() })
    }

    fn decide(&self, policy: &Policy, path: &StorePath, now: u64) -> Decision {
        let statements = self.paths.get(path).map_or(&[][..], |path| &path.statements);
        let hearing = Hearing {
            ledger: self.known.logs().origin(),
            signers: self.known.signers(),
            said: Ok(Said { as_of: self.as_of, statements }),
        };
        decide(policy, path, &[hearing], None, now)
    }

    fn signers(&self) -> &[Signer] {
        self.known.signers().all()
    }
}

fn path(shown: &ShownPath, known: &Known) -> Result<HeardPath, Caught> {
    let signers = known.signers();
    let statements = shown.statements(|id| signers.by_id(id).map(|signer| &signer.key))?;
    let claims = shown.claims().iter();
    let claims = claims
        .map(|it| (it.claim.signed_bytes().into_owned(), it.content_address.clone()))
        .collect();
    Ok(HeardPath { statements, claims })
}
