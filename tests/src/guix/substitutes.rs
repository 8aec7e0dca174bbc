//! What a machine gets from substitute servers, or is told by them.

use std::fs;
use std::path::PathBuf;

use super::Machine;
use crate::program::Outcome;

/// `guix substitute` as the daemon calls it, but for where it answers: that is descriptor 4.
const SUBSTITUTE: [&str; 3] = [
    "sh",
    "-euc",
    "export _NIX_OPTIONS=\"substitute-urls=$0\"; exec guix substitute \"$1\" 4>&1 >&2",
];

/// The URLs in the arguments replace those of the daemon; without any, they do not.
const ENSURE: &str = "(use-modules (guix store) (ice-9 match))
    (match (command-line)
      ((_ item urls ...)
       (with-store store
         (set-build-options store #:offload? #f #:print-extended-build-trace? #t
                            #:substitute-urls (and (pair? urls) urls))
         (ensure-path store item)
         (exit (valid-path? store item)))))";

/// Packages would have to be computed. A derivation is the one other thing that `guix weather`
/// takes; it asks for its outputs and for nothing else, so that it need not be a real one.
const MANIFEST: &str = "(use-modules (guix profiles) (guix derivations))
    (define (output item)
      ((@@ (guix derivations) make-derivation-output) item #f #f #f))
    (define (entry item)
      (manifest-entry
        (name item)
        (version \"0\")
        (item ((@@ (guix derivations) make-derivation)
               `((\"out\" . ,(output item))) '() '() \"x86_64-linux\" \"\" '() '() #f))))
    (manifest (map entry '";

impl Machine {
    /// Substitutes an item and its closure from the servers that the administrator chose. Fails
    /// if it does not hold the item in the end; [`downloads`] tells where it came from.
    #[must_use]
    pub fn ensure(&self, item: &str) -> Outcome {
        self.ensure_from(&[], item)
    }

    /// As [`Machine::ensure`], but from these servers, as `--substitute-urls` has it.
    #[must_use]
    pub fn ensure_from(&self, urls: &[&str], item: &str) -> Outcome {
        self.repl(ENSURE, &[&[item], urls].concat())
    }

    /// What `guix substitute` tells the daemon about items: path, deriver, number of references,
    /// references, size of the download and of the NAR, one a line; then an empty line. Items that
    /// no authorised narinfo vouches for are left out, and it succeeds even so.
    #[must_use]
    pub fn substitute_query(&self, urls: &[&str], items: &[&str]) -> Outcome {
        self.substituter(urls, "--query", &format!("info {}\n", items.join(" ")))
    }

    /// Fetches one item without the daemon; see [`Machine::substituted`]. `success sha256:… SIZE`
    /// is on standard output if all went well; `not-found` and `hash-mismatch` do not make it fail.
    #[must_use]
    pub fn substitute(&self, urls: &[&str], item: &str) -> Outcome {
        let line = format!("substitute {item} /tmp/{}\n", base_name(item));
        self.substituter(urls, "--substitute", &line)
    }

    /// Where [`Machine::substitute`] puts an item's files, as seen from outside.
    #[must_use]
    pub fn substituted(&self, item: &str) -> PathBuf {
        self.dir.join("tmp").join(base_name(item))
    }

    fn substituter(&self, urls: &[&str], mode: &str, input: &str) -> Outcome {
        self.run_with(&[&SUBSTITUTE[..], &[&urls.join(" "), mode]].concat(), input)
    }

    /// Compares what servers say of an item, and what it has built itself: exit code 0 if they
    /// agree, 2 if not, 1 if there is only one to ask.
    #[must_use]
    pub fn challenge(&self, urls: &[&str], item: &str) -> Outcome {
        let urls = format!("--substitute-urls={}", urls.join(" "));
        self.guix(&["challenge", "--verbose", "--diff=none", &urls, item])
    }

    /// Asks servers which of some items they have: exit code 0 if each has all of them, else 1.
    /// It loads every package definition first, which takes two seconds.
    #[must_use]
    pub fn weather(&self, urls: &[&str], items: &[&str]) -> Outcome {
        let urls = format!("--substitute-urls={}", urls.join(" "));
        let items: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
        let manifest = format!("{MANIFEST}({})))", items.join(" "));
        let arguments = ["guix", "weather", "--display-missing", &urls, "-m", "/dev/stdin"];
        self.run_with(&arguments, &manifest)
    }

    /// Forgets every narinfo and every 404 that it has cached, for the daemon and for its user.
    pub fn forget(&self) {
        for cache in ["var/guix/substitute", "home/.cache/guix/substitute"] {
            let _ = fs::remove_dir_all(self.dir.join(cache));
        }
    }
}

/// A NAR that a machine has fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// The store item.
    pub item: String,
    /// Where the NAR came from.
    pub url: String,
}

/// What [`Machine::ensure`] has fetched, in order.
#[must_use]
pub fn downloads(ensured: &Outcome) -> Vec<Download> {
    let told = ensured.stderr.lines().filter_map(|line| line.strip_prefix("@ download-succeeded "));
    let download = |line: &str| {
        let (item, rest) = line.split_once(' ')?;
        Some(Download { item: item.to_owned(), url: rest.split(' ').next()?.to_owned() })
    };
    told.filter_map(download).collect()
}

fn base_name(item: &str) -> &str {
    item.rsplit('/').next().unwrap_or(item)
}
