//! Realisations of content-addressed derivations. They are not in the ledger yet, and stand in the
//! index alone.

use std::sync::Arc;

use schema::api::Refused;
use schema::realisation::{DrvOutput, RealisationError, SignedRealisation, VerifiedRealisation};
use schema::signers::Signers;

use super::Pool;
use super::signed::{Document, Merged, check_signed, part};
use crate::assemble;
use crate::assemble::view::View;
use crate::rejected::{Error, Failure, Rejected};

impl Pool {
    /// The realisation that a view shows, or why it shows none.
    ///
    /// # Errors
    /// When the database fails.
    pub fn realisation(
        &self,
        view: &View,
        id: &DrvOutput,
    ) -> Result<Result<String, Refused>, Error> {
        let roll = self.roll();
        let record = self.index.realisation(id)?;
        let shown = self
            .panel(view, &roll)
            .and_then(|panel| assemble::realisation(id, record.as_ref(), &panel, roll.own()));
        Ok(shown.map(|realisation| realisation.print()))
    }

    /// Takes the signatures out of a realisation that a stock client puts: those by enrolled keys
    /// are kept, the others are passed over.
    ///
    /// # Errors
    /// A realisation that is malformed, for another output, unsigned, or badly signed.
    pub async fn merge_realisation(
        &self,
        view: &View,
        id: &DrvOutput,
        json: &[u8],
    ) -> Result<Merged, Failure> {
        let signed: SignedRealisation =
            serde_json::from_slice(json).map_err(|error| malformed(&error))?;
        if signed.realisation.id != *id {
            let detail = format!(
                "the address says {id}, but the realisation is of {}",
                signed.realisation.id
            );
            return Err(Rejected::unprocessable("wrong_output", detail).into());
        }
        self.takes_words()?;
        let signers = self.signers();
        let (known, unknown) = part(&signed.signatures, &signers);
        check_signed(Document::Realisation, id, view, &known, &unknown)?;
        let new = self.ledger.sequencer().realise(verify(signed, signers).await?).await?;
        Ok(Merged { new, known: known.len() - new, unknown })
    }
}

async fn verify(
    signed: SignedRealisation,
    signers: Arc<Signers>,
) -> Result<VerifiedRealisation, Failure> {
    let verifying = tokio::task::spawn_blocking(move || {
        signed.verify(|name| signers.named(name).map(|signer| &signer.key))
    });
    let verified =
        verifying.await.map_err(|error| Error::Index(format!("verifying stopped: {error}")))?;
    Ok(verified.map_err(|error| invalid(&error))?)
}

fn malformed(error: &serde_json::Error) -> Rejected {
    Rejected::bad_request("realisation_malformed", format!("not a realisation: {error}"))
}

fn invalid(error: &RealisationError) -> Rejected {
    Rejected::unprocessable("signature_invalid", error.to_string())
        .hint("it must be over the id, outPath and dependentRealisations that are sent")
}
