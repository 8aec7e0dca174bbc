"""The ledger: how fast attestations become durable, what each takes on disk, and how fast all of
it is audited. Its floors are measured in the same run."""

import os
import subprocess
import time

from processes import Broken
from servers import Pool

SETTLED = 5.0  # seconds: the index log has followed, and the database has written its tables


def ledger(bench):
    with Pool(bench.programs, bench.directory("ledger")) as pool:
        data = os.path.join(pool.directory, "data")
        program = os.path.join(bench.programs, "attest-load")
        load = subprocess.run([program, pool.url, pool.token_file, pool.key, data], capture_output=True, text=True)
        if load.returncode != 0:
            raise Broken(f"attest-load ended with {load.returncode}:\n{load.stderr[-1000:]}")
        *rows, _ = load.stdout.splitlines()
        print("ledger", *rows, sep="\n  ", flush=True)
        time.sleep(SETTLED)
        log = subprocess.run(
            ["curl", "-sf", f"{pool.url}/ledger/attestations/checkpoint"], capture_output=True, text=True, check=True
        )
        entries = int(log.stdout.splitlines()[1])
        _, wall = pool.command("ledger", "audit", pool.url, "--state", os.path.join(pool.directory, "audit"))
        print(f"  first audit of {entries} entries   {entries / wall:9.0} /s", flush=True)
        cpu = pool.cpu()
        print(f"  the server's CPU, all of it       {1e6 * cpu / entries:9.1f} µs an attestation", flush=True)
        pool.stop()
        print(f"  on disk, everything counted       {size_of(data) / entries:9.0f} bytes an attestation", flush=True)


def size_of(directory):
    """Bytes that the files below a directory take, in blocks of the disk."""
    files = (os.path.join(where, name) for where, _, names in os.walk(directory) for name in names)
    return sum(os.stat(file).st_blocks * 512 for file in files)
