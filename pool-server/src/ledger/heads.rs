//! The heads of all logs, for whoever copies a pool or rebuilds its index.

use std::fs;
use std::io;
use std::path::Path;

use schema::api::LogSizes;
use schema::tlog::checkpoint::SignedCheckpoint;
use schema::tlog::note::NoteSigner;

use super::head::Head;
use super::identity::Identity;
use super::log::{check, directory, headless, resume, sign};
use crate::durable;
use crate::index::{Index, LogId};
use crate::rejected::Error;

/// What was signed, and published, of each log at one moment.
pub struct Heads(Vec<Signed>);

struct Signed {
    log: LogId,
    signer: NoteSigner,
    head: Option<SignedCheckpoint>,
    published: Option<Vec<u8>>,
}

impl Heads {
    /// Reads them in this data directory. A server may be at work in it.
    ///
    /// # Errors
    /// A file that cannot be read, or that is not by this pool.
    pub fn read(data: &Path, identity: &Identity) -> Result<Self, Error> {
        let heads = LogId::ALL.map(|log| {
            let signer = identity.log_signer(log)?;
            let path = directory(data).join(log.as_str());
            let head = Head::inspect(&path, signer.verifier())?.map(|it| it.checkpoint().clone());
            let path = published_file(data, log);
            let published = match fs::read(&path) {
                Ok(note) => Some(note),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(Error::file("read", &path)(error)),
            };
            Ok(Signed { log, signer, head, published })
        });
        heads.into_iter().collect::<Result<_, _>>().map(Self)
    }

    /// Whether each log in `index` begins with what was signed. Answers with how large they are.
    ///
    /// # Errors
    /// Logs that are behind their heads, or differ from them; a failing database.
    pub fn check(&self, index: &Index) -> Result<LogSizes, Error> {
        let mut sizes = [0; LogId::ALL.len()];
        for (signed, size) in self.0.iter().zip(&mut sizes) {
            *size = index.log_size(signed.log)?;
            let written = resume(signed.log, index, *size)?;
            match &signed.head {
                Some(head) => check(signed.log, index, &written, head)?,
                None if *size == 0 => {}
                None => return Err(headless(signed.log, &written, Path::new(signed.log.as_str()))),
            }
        }
        let [keys, attestations, index] = sizes;
        Ok(LogSizes { keys, attestations, index })
    }

    /// Makes heads in another data directory for a copy of the index, which was made after these were
    /// read: each just as far as the copy goes. What the copy has beyond a head was durable here before
    /// it was copied, and nothing else will ever stand in its place: to sign it says nothing new.
    ///
    /// # Errors
    /// As [`check`](Self::check); a file that cannot be written.
    pub fn put(&self, copy: &Index, data: &Path) -> Result<LogSizes, Error> {
        let sizes = self.check(copy)?;
        let directory = directory(data);
        fs::create_dir_all(&directory).map_err(Error::file("make", &directory))?;
        for Signed { log, signer, published, .. } in &self.0 {
            let written = resume(*log, copy, copy.log_size(*log)?)?;
            let head = sign(signer, &written)?;
            Head::create(&directory.join(log.as_str()), signer.verifier(), &head)?;
            if let Some(note) = published {
                durable::replace(&published_file(data, *log), note, durable::PUBLIC)?;
            }
        }
        Ok(sizes)
    }
}

fn published_file(data: &Path, log: LogId) -> std::path::PathBuf {
    directory(data).join(format!("{log}.published"))
}
