//! What is the matter with the machine, as far as an error tells: it decides what is answered.

use std::io;

use rustix::io::Errno;

use super::Error;

/// Something that an operator has to see to, and that may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The disk, or a quota on it, is full. Answered with 507, the others with 503.
    Full,
    /// Nothing may be written there.
    ReadOnly,
    /// This process, or the machine, has as many files open as it may.
    OutOfFiles,
    /// The disk does not do what it is told.
    Failing,
    /// The clock may be wrong.
    Clock,
}

impl Trouble {
    const OF_FILES: [Self; 4] = [Self::Full, Self::ReadOnly, Self::OutOfFiles, Self::Failing];

    /// What is the matter, if the error is about the machine.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        match error {
            Error::File { source, .. } | Error::Io { source, .. } => Self::of_io(source),
            Error::Index(status) => Self::of_status(status),
            Error::NoRoom(_) => Some(Self::Full),
            Error::Clock(_) => Some(Self::Clock),
            Error::Halted(halted) => Some(halted.trouble),
            _ => None,
        }
    }

    /// For programs: stable, in snake case.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Full => "storage_full",
            Self::ReadOnly => "storage_read_only",
            Self::OutOfFiles => "out_of_files",
            Self::Failing => "storage_failing",
            Self::Clock => "clock_doubtful",
        }
    }

    /// What clients are told.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::Full => "the pool's disk is full",
            Self::ReadOnly => "the pool's disk cannot be written to",
            Self::OutOfFiles => "the pool has too many files open",
            Self::Failing => "the pool's disk fails",
            Self::Clock => "the pool's clock may be wrong",
        }
    }

    /// What clients can do about it.
    #[must_use]
    pub const fn hint(self) -> &'static str {
        match self {
            Self::Full => "tell the operator; the pool takes more as soon as there is room",
            Self::ReadOnly => "tell the operator; the pool takes more as soon as it can write",
            Self::OutOfFiles => "try again in a moment",
            Self::Failing => "try again; if it stays so, tell the operator",
            Self::Clock => {
                "set it right, or wait: it is believed once it has said the same for an hour"
            }
        }
    }

    fn of_io(error: &io::Error) -> Option<Self> {
        let known = error.raw_os_error().map(Errno::from_raw_os_error);
        known.and_then(|errno| Self::OF_FILES.into_iter().find(|it| it.errors().contains(&errno)))
    }

    /// The database tells what failed in words, of which the system's come last; but those about room
    /// come first.
    fn of_status(status: &str) -> Option<Self> {
        if !status.starts_with("IO error: ") {
            return None;
        }
        if status.contains("No space left on device") {
            return Some(Self::Full);
        }
        let words = |errno: &Errno| {
            let text = io::Error::from(*errno).to_string();
            text.split(" (os error").next().is_some_and(|words| status.ends_with(words))
        };
        let known = Self::OF_FILES.into_iter().find(|it| it.errors().iter().any(words));
        // Whatever else it is, it is the file system that did not do what it was told.
        Some(known.unwrap_or(Self::Failing))
    }

    const fn errors(self) -> &'static [Errno] {
        match self {
            Self::Full => &[Errno::NOSPC, Errno::DQUOT],
            Self::ReadOnly => &[Errno::ROFS, Errno::ACCESS, Errno::PERM],
            Self::OutOfFiles => &[Errno::MFILE, Errno::NFILE],
            Self::Failing => &[Errno::IO, Errno::NODEV, Errno::NXIO, Errno::STALE, Errno::FBIG],
            Self::Clock => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn whatever_says_it_is_understood() {
        for (errno, trouble) in [
            (Errno::NOSPC, Some(Trouble::Full)),
            (Errno::DQUOT, Some(Trouble::Full)),
            (Errno::ROFS, Some(Trouble::ReadOnly)),
            (Errno::MFILE, Some(Trouble::OutOfFiles)),
            (Errno::IO, Some(Trouble::Failing)),
            (Errno::NOENT, None),
        ] {
            let file = Error::file("write", Path::new("/x"))(errno.into());
            assert_eq!(Trouble::of(&file), trouble, "{file}");
        }
        for (status, trouble) in [
            ("IO error: No space left on device: While appending to file: /x/1.log", Trouble::Full),
            ("IO error: While open a file for random read: /x/1.sst: Too many open files", {
                Trouble::OutOfFiles
            }),
            ("IO error: While fdatasync: /x/1.log: Input/output error", Trouble::Failing),
            ("IO error: While appending to file: /x/1.log: Read-only file system", {
                Trouble::ReadOnly
            }),
            ("IO error: While something new: /x/1.log: Odd", Trouble::Failing),
        ] {
            assert_eq!(Trouble::of(&Error::Index(status.to_owned())), Some(trouble), "{status}");
        }
        for other in ["the sequencer has stopped", "Corruption: block checksum mismatch"] {
            assert_eq!(Trouble::of(&Error::Index(other.to_owned())), None);
        }
    }
}
