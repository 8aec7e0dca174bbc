//! Files that fail and clocks that jump, in a program that knows nothing of it: a library that is loaded
//! before libc. What is not done by libc, as statvfs and syncfs, does not fail.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;
use tempfile::TempDir;

use crate::program::{Outcome, project};

/// The places of the numbers in the file that the library looks at; see there.
const BEGUN: u64 = 0;
const FIRST: u64 = 1;
const COUNT: u64 = 2;
const ERROR: u64 = 3;
const HALF: u64 = 4;
const FAILED: u64 = 5;
const AHEAD: u64 = 6;
const NUMBERS: u64 = 7;

/// How a change of a file fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is done.
    Not(Errno),
    /// A write is half done; everything else is not.
    Half(Errno),
    /// A write is half done, and says so. Everything else is done.
    Short,
}

/// What goes wrong in the programs that are started with it.
pub struct Faults {
    dir: TempDir,
    control: File,
    under: OsString,
}

impl Faults {
    /// Nothing yet, and later files below this directory.
    ///
    /// # Panics
    /// When the library cannot be compiled.
    #[must_use]
    pub fn under(under: &Path) -> Self {
        let dir = tempfile::tempdir().expect("there is a place for temporary files");
        let source = project().join("tests/lab/faults/faults.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o"]);
        Outcome::of(cc.arg(dir.path().join("faults.so")).arg(source).arg("-ldl")).ok();
        let control = dir.path().join("control");
        let control = File::options().read(true).write(true).create_new(true).open(control);
        let control = control.expect("a file can be made");
        control.set_len(NUMBERS * 8).expect("it can be written");
        Self { dir, control, under: under.into() }
    }

    /// What a program must find in its environment.
    pub fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.dir.path().join("faults.so").into()),
            ("NARPOOL_FAULTS", self.dir.path().join("control").into()),
            ("NARPOOL_FAULTS_UNDER", self.under.clone()),
        ]
    }

    /// Has `count` changes fail, the first of which is number `first` from now on, counted from 1.
    pub fn fail(&self, first: u64, count: u64, fault: Fault) {
        let (error, half) = match fault {
            Fault::Not(errno) => (errno.raw_os_error(), false),
            Fault::Half(errno) => (errno.raw_os_error(), true),
            Fault::Short => (0, true),
        };
        self.set(FIRST, 0);
        self.set(ERROR, u64::from(error.unsigned_abs()));
        self.set(HALF, u64::from(half));
        self.set(COUNT, count);
        self.set(FAILED, 0);
        self.set(BEGUN, 0);
        self.set(FIRST, first);
    }

    /// Has everything go well from now on. Answers with how many changes were begun, and how many
    /// have failed, since that was last set.
    pub fn mend(&self) -> (u64, u64) {
        self.set(FIRST, 0);
        (self.number(BEGUN), self.failed())
    }

    /// How many changes have failed since that was last set.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.number(FAILED)
    }

    /// Sets the clock so many seconds ahead of what it is, or behind.
    pub fn set_clock(&self, ahead: i64) {
        self.set(AHEAD, ahead.cast_unsigned());
    }

    fn set(&self, place: u64, number: u64) {
        let written = self.control.write_all_at(&number.to_ne_bytes(), place * 8);
        written.expect("it can be written");
    }

    fn number(&self, place: u64) -> u64 {
        let mut bytes = [0; 8];
        self.control.read_exact_at(&mut bytes, place * 8).expect("it can be read");
        u64::from_ne_bytes(bytes)
    }
}
