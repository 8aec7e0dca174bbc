"""Policies: how long one decision takes, and one about a closure of 10 000 paths, from a pool on this
machine. The floor is verifying the signatures of that closure, which `ledger` measures."""

import os
import subprocess

from processes import Broken
from servers import Pool


def policy(bench):
    with Pool(bench.programs, bench.directory("policy")) as pool:
        work = bench.directory("policy-load")
        os.makedirs(work)
        program = os.path.join(bench.programs, "policy-load")
        load = subprocess.run([program, pool.url, pool.token_file, work], capture_output=True, text=True)
        if load.returncode != 0:
            raise Broken(f"policy-load ended with {load.returncode}:\n{load.stderr[-1000:]}")
        print("policy", *load.stdout.splitlines(), sep="\n  ", flush=True)
        with open(os.path.join(work, "root")) as file:
            root = file.read()
        explain = ["policy", "explain", os.path.join(work, "policy.toml"), root, "--json", "--pool", pool.url]
        before = pool.cpu()
        cpu, wall = pool.command(*explain, "--state-dir", os.path.join(work, "state"))
        server = pool.cpu() - before
        print(f"  10 000 paths, first time             {wall:9.2f} s on the clock, client {cpu:.2f}, server {server:.2f} of CPU")
        cpu, wall = pool.command(*explain, "--state-dir", os.path.join(work, "state"))
        print(f"  10 000 paths, with what was kept     {wall:9.2f} s on the clock, client {cpu:.2f} of CPU", flush=True)
