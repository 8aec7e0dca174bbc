"""Runs the sections that are named, or all; see ../bench."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile

import collecting
import guix
import install
import ledger
import mirror
import mirror_log
import policy
import sending
import serving
from processes import Broken
from rounds import HEADER

SECTIONS = {
    "narinfo": serving.narinfo,
    "nar": serving.nar,
    "ingest": sending.ingest,
    "push": sending.push,
    "tiny": sending.tiny,
    "ledger": ledger.ledger,
    "policy": policy.policy,
    "guix": guix.guix,
    "install": install.install,
    "mirror": mirror.mirror,
    "mirror-log": mirror_log.mirror_log,
    "gc": collecting.collecting,
}

# These are fed with made-up paths.
WITHOUT_CORPUS = {"ledger", "policy", "guix", "install", "mirror-log"}


class Corpus:
    """What `corpus` made."""

    def __init__(self, directory):
        self.host = os.path.join(directory, "host")
        self.root = os.path.join(self.host, "root")
        self.main, self.tiny, self.big = (os.path.join(directory, f"{name}.paths") for name in ("main", "tiny", "big"))

    def shorten(self, work):
        """Keeps the first few paths of each list; they refer to none that come later."""
        for name, count in (("main", 40), ("tiny", 500)):
            with open(getattr(self, name)) as file:
                paths = file.read().split()[:count]
            shorter = os.path.join(work, f"{name}.paths")
            with open(shorter, "w") as file:
                file.write("\n".join(paths))
            setattr(self, name, shorter)

    def nar_bytes(self, paths):
        """Size of the NARs of the paths that a file names."""
        database = os.path.join(self.root, "nix/var/nix/db/db.sqlite")
        ask = ["sqlite3", "-readonly", "-separator", " ", database, "select path, narSize from ValidPaths"]
        answer = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
        sizes = dict(row.split() for row in answer.splitlines())
        with open(paths) as file:
            return sum(int(sizes[path]) for path in file.read().split())


class Bench:
    """What every section needs; everything it makes is below one directory."""

    def __init__(self, programs, corpus, work):
        self.programs, self.corpus, self.work = programs, Corpus(corpus), work
        self._serving = None
        # For trying out: less of everything that has a size.
        self.small = "NARPOOL_SMALL" in os.environ
        if self.small and corpus:
            self.corpus.shorten(work)

    def directory(self, name):
        """The name of a new directory, which is to be made."""
        return os.path.join(tempfile.mkdtemp(dir=self.work), name)

    def discard(self, directory):
        """Removes a directory, if need be not before the end: where many inodes were freed within
        the last minute, ext4 without a journal takes ten times as long to make a file."""
        if sum(len(files) for _, _, files in os.walk(directory)) < 2000:
            shutil.rmtree(directory)

    def serving(self):
        """The two servers with the corpus, filled when first asked for."""
        if self._serving is None:
            self._serving = serving.Serving(self)
        return self._serving

    def nix_clients(self):
        """Debian's stable Nix, and a current one when this machine has the root for it."""
        clients = [os.path.join(sending.LAB, "nix-stable")]
        if os.path.isdir(os.path.join(sending.CACHE, "sid")):
            clients.append(os.path.join(sending.LAB, "nix-current"))
        return clients

    def close(self):
        if self._serving is not None:
            self._serving.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--programs", required=True, help="directory of pool and pool-server")
    parser.add_argument("--corpus", required=True, help="directory that `corpus` printed")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=" ".join(SECTIONS))
    arguments = parser.parse_args()
    unknown = [name for name in arguments.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section {unknown[0]!r}; there are {' '.join(SECTIONS)}")
    with tempfile.TemporaryDirectory(prefix="narpool-bench-") as work:
        bench = Bench(arguments.programs, arguments.corpus, work)
        if set(arguments.sections) - WITHOUT_CORPUS or not arguments.sections:
            print(HEADER, flush=True)
        try:
            for name, section in SECTIONS.items():
                if not arguments.sections or name in arguments.sections:
                    section(bench)
        finally:
            bench.close()


if __name__ == "__main__":
    # So that servers are stopped and directories removed, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: told to stop"))
    try:
        main()
    except Broken as problem:
        sys.exit(f"bench: {problem}")
