//! Questions and changes about what is kept beside narinfos.

use schema::debug_info::BuildId;
use schema::realisation::DrvOutput;

use super::{Batch, Index};
use crate::index::{DebugInfoRecord, RealisationRecord, families, record};
use crate::rejected::Error;

impl Index {
    /// Where does the debug information of this build id lie, or where would it?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn debug_info(&self, build_id: &BuildId) -> Result<Option<DebugInfoRecord>, Error> {
        self.read(&families::DEBUG_INFO, build_id.as_str().as_bytes(), record::read_debug_info)
    }

    /// What was said of this output, and by whom?
    ///
    /// # Errors
    /// As [`path`](Self::path).
    pub fn realisation(&self, id: &DrvOutput) -> Result<Option<RealisationRecord>, Error> {
        self.read(&families::REALISATIONS, id.as_str().as_bytes(), record::read_realisation)
    }
}

impl Batch<'_> {
    /// Replaces where the debug information of a build id lies.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_debug_info(
        &mut self,
        build_id: &BuildId,
        record: &DebugInfoRecord,
    ) -> Result<(), Error> {
        let value = record::write_debug_info(record);
        self.put(&families::DEBUG_INFO, build_id.as_str().as_bytes(), &value)
    }

    /// Replaces what was said of an output.
    ///
    /// # Errors
    /// As [`put_path`](Self::put_path).
    pub fn put_realisation(
        &mut self,
        id: &DrvOutput,
        record: &RealisationRecord,
    ) -> Result<(), Error> {
        let value = record::write_realisation(record);
        self.put(&families::REALISATIONS, id.as_str().as_bytes(), &value)
    }
}
