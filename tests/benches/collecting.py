"""Collections: how long one of a million paths takes and in how much memory; and what narinfos cost
while collections and the scrub go on without a pause, beside the same pool without them."""

import os
import signal
import subprocess

from load import fetch, wrk
from processes import Broken
from rounds import HEADER, compare
from servers import HERE, Pool, lines

MICROSECONDS = ("us/request", 1e6)
QUIET = ["--gc-interval", "0s", "--scrub-interval", "0s"]
# Nothing goes: it is looked through again and again.
BUSY = ["--gc-interval", "1s", "--collect-after", "9000d", "--scrub-interval", "1s"]
TEST = "very_many_paths_are_collected_in_little_memory"


def collecting(bench):
    """A collection of a million paths, and narinfos meanwhile."""
    print("gc", f"  {million(bench)}", sep="\n", flush=True)
    with pool_with_corpus(bench, QUIET) as quiet, pool_with_corpus(bench, BUSY) as busy:
        urls = os.path.join(busy.directory, "narinfos")
        paths = lines(bench.corpus.main) + lines(bench.corpus.tiny)
        asked = [f"/{os.path.basename(path)[:32]}.narinfo" for path in paths]
        with open(urls, "w") as file:
            file.write("\n".join(asked))
        for server in (quiet, busy):
            for _ in fetch(server, asked):
                pass  # So that all are promised, as they are in a pool that people use.
        print(HEADER, flush=True)
        for connections in (1, 64):
            row = f"narinfo x{connections}, busy and not"
            alone = lambda: stopped(busy, lambda: wrk(quiet, urls, connections))
            compare(row, MICROSECONDS, lambda: wrk(busy, urls, connections), alone, wall_goal=1.11)


def million(bench):
    """The line that the test of that prints."""
    # Of the whole workspace, as the tests are built: for one crate alone much would be compiled anew.
    command = ["cargo", "test", "--release", "--quiet", "--workspace", "--lib", TEST, "--", "--nocapture"]
    environment = os.environ if bench.small else {**os.environ, "NARPOOL_LONG": "1"}
    project = os.path.dirname(os.path.dirname(HERE))
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if " paths in " in line]
    if done.returncode != 0 or not told:
        raise Broken(f"{' '.join(command)}:\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
    return told[0]


def pool_with_corpus(bench, options):
    pool = Pool(bench.programs, bench.directory("collecting"), options=options)
    try:
        pool.push(bench.corpus.root, bench.corpus.main)
        pool.push(bench.corpus.root, bench.corpus.tiny)
    except BaseException:
        pool.stop()
        raise
    return pool


def stopped(server, work):
    """Works while the server stands still."""
    os.kill(server.child.pid, signal.SIGSTOP)
    try:
        return work()
    finally:
        os.kill(server.child.pid, signal.SIGCONT)
