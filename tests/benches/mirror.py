"""What `pool mirror` carries: the corpus from one pool to an empty one, on loopback, beside those who carry the same
today: rsync, which copies the files and checks nothing, and `nix copy` from one cache to the other. A mirror checks
all that it takes; how long that takes alone, on all cores, is measured in the same run."""

import os
import statistics

from processes import Broken, run
from rounds import Cost, compare
from servers import HERE, Pool, Server, free_port, lines, read_line

LAB = os.path.join(os.path.dirname(HERE), "lab")
PER_GB = ("s/GB", 1e9)
ROUNDS = 3


def mirror(bench):
    """Bytes are those of the packed files, and CPU is of client and servers."""
    corpus = bench.corpus
    with Pool(bench.programs, bench.directory("mirrored")) as source:
        source.push(corpus.root, corpus.main)
        source.push(corpus.root, corpus.big)
        sizes = files(source)
        total, sides = sum(sizes.values()), {}
        print(f"mirror of {total / 1e6:.0f} MB in {len(sizes)} files", flush=True)
        nix = bench.nix_clients()[-1]
        pool, rsync, stock, floor = (
            kept(sides, name, side)
            for name, side in (
                ("pool mirror", lambda: carried(bench, source, sizes)),
                ("rsync", lambda: copied(bench, source, sizes)),
                ("nix copy", lambda: copied_by_nix(bench, nix, source, sizes)),
                ("checking", lambda: checked(source, sizes)),
            )
        )
        compare("mirror, rsync", PER_GB, pool, rsync, wall_goal=1.3)
        compare("mirror, checking alone", PER_GB, pool, floor)
        compare("mirror, nix copy", PER_GB, pool, stock, wall_goal=0.2, rounds=ROUNDS)
        for name, costs in sides.items():
            wall, cpu = (statistics.median(it) * total for it in zip(*((cost.wall, cost.cpu) for cost in costs)))
            print(f"  {name:12} {wall:7.2f} s  {total / wall / 1e6:7.1f} MB/s  {cpu:7.2f} s of CPU", flush=True)


def kept(sides, name, side):
    """The same, of which each cost is kept under a name."""
    costs = sides.setdefault(name, [])

    def measured():
        costs.append(side())
        return costs[-1]

    return measured


def files(pool):
    """Sizes of the NARs' files that a pool keeps, by name."""
    tree = os.path.join(pool.directory, "data/blobs/nar")
    return {entry.name: entry.stat().st_size for entry in os.scandir(tree)}


def carried(bench, source, sizes):
    """`pool mirror` into an empty pool."""
    with Pool(bench.programs, bench.directory("mirror")) as target:
        before, before_target = source.cpu(), target.cpu()
        client, wall = target.command("mirror", "--from", source.url, "--to", target.url, "--quiet")
        serving = source.cpu() - before
        cpu = serving + target.cpu() - before_target + client
        if files(target) != sizes:
            raise Broken("the mirror does not have all NARs")
    bench.discard(target.directory)
    return Cost(sum(sizes.values()), cpu, wall, running=serving)


class Rsync(Server):
    """rsync's daemon over the files of a pool."""

    def __init__(self, directory, tree):
        os.makedirs(directory)
        address, conf = f"127.0.0.1:{free_port('127.0.0.1')}", os.path.join(directory, "rsyncd.conf")
        with open(conf, "w") as file:
            file.write(f"use chroot = false\n[nar]\npath = {tree}\n")
            if os.getuid() == 0:
                file.write("uid = root\ngid = root\n")  # which must be able to read there
        host, port = address.split(":")
        command = ["/usr/bin/rsync", "--daemon", "--no-detach", f"--config={conf}", f"--address={host}", f"--port={port}"]
        super().__init__(directory, command, lambda: address)


def copied(bench, source, sizes):
    """rsync out of its daemon into an empty directory, each file synced."""
    directory = bench.directory("rsync")
    tree = os.path.join(directory, "nar")
    with Rsync(directory, os.path.join(source.directory, "data/blobs/nar")) as server:
        before = server.cpu()
        command = ["rsync", "-a", "--fsync", f"rsync://{server.address}/nar/", tree]
        client, wall = run(command, server.log)
        cpu = server.cpu() - before + client
    if len(os.listdir(tree)) != len(sizes):
        raise Broken("rsync did not copy all files")
    bench.discard(directory)
    return Cost(sum(sizes.values()), cpu, wall)


def checked(source, sizes):
    """The least that checking takes: each file unpacked and hashed, where it lies."""
    pipe = 'for file; do zstd -dc "$file" | openssl sha256; done'
    command = f"find '{source.directory}/data/blobs/nar' -type f -print0 | xargs -0 -n 4 -P {os.cpu_count()} sh -c '{pipe}' sh"
    return Cost(sum(sizes.values()), *run(["sh", "-c", command], source.log))


def copied_by_nix(bench, nix, source, sizes):
    """Stock Nix out of the pool into an empty one, as a Nix that never did so before."""
    host = bench.directory("host")
    log, etc = os.path.join(host, "log"), os.path.join(host, "etc")
    os.makedirs(etc)
    with Pool(bench.programs, bench.directory("pool"), key=source.key) as target:
        with open(os.path.join(etc, "netrc"), "w") as file:
            file.write(f"machine 127.0.0.1 login pool password {read_line(target.token_file)}\n")
        to = f"{target.url}/as/bench-1?compression=zstd&secret-key={target.key}"
        paths = lines(bench.corpus.main) + lines(bench.corpus.big)
        before, before_target = source.cpu(), target.cpu()
        client, wall = run([nix, host, "nix", "copy", "--no-check-sigs", "--from", source.url, "--to", to, *paths], log)
        serving = source.cpu() - before
        cpu = serving + target.cpu() - before_target + client
        if len(files(target)) != len(sizes):
            raise Broken("nix copy did not copy all NARs")
    bench.discard(target.directory)
    return Cost(sum(sizes.values()), cpu, wall, running=serving)
