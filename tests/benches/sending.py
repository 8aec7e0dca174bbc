"""What builders send: one large NAR, a closure, and thousands of tiny paths."""

import os
import subprocess

from load import upload
from processes import run
from rounds import Cost, compare
from servers import HERE, TAKES_UPLOADS, Nginx, Pool, lines, read_line

LAB = os.path.join(os.path.dirname(HERE), "lab")
CACHE = os.environ.get("NARPOOL_LAB") or os.path.expanduser("~/.cache/narpool-lab")
PER_GB = ("s/GB", 1e9)


def ingest(bench):
    """One upload into an empty pool, against the least that checking its hash takes."""
    directory = bench.directory("ingest")
    os.makedirs(directory)
    log, packed = os.path.join(directory, "log"), os.path.join(directory, "nar.zst")
    digest, size = pack(bench.corpus, log, packed)

    def pool():
        with Pool(bench.programs, bench.directory("pool")) as server:
            token = read_line(server.token_file)
            cpu, wall = upload(server, f"/api/v1/nars/{digest}?compression=zstd&nar_size={size}", packed, token, log)
        bench.discard(server.directory)
        return Cost(size, cpu, wall)

    def pipe():
        return Cost(size, *run(["sh", "-c", f"zstd -dc '{packed}' | openssl sha256"], log))

    compare("ingest", PER_GB, pool, pipe, cpu_goal=1.3)


def pack(corpus, log, packed):
    """Compresses the NAR of the large path into a file; answers with its hash, in Nix's base 32, and its size."""
    nar = packed + ".nar"
    path = lines(corpus.big)[0]
    with open(nar, "wb") as file:
        dump = [os.path.join(LAB, "nix-stable"), corpus.host, "nix-store", "--dump", corpus.root + path]
        subprocess.run(dump, stdout=file, check=True)
    run(["zstd", "-q", "-3", "-T1", nar, "-o", packed], log)
    size = os.path.getsize(nar)
    os.remove(nar)
    database = os.path.join(corpus.root, "nix/var/nix/db/db.sqlite")
    ask = ["sqlite3", "-readonly", database, f"select hash from ValidPaths where path = '{path}'"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=True).stdout
    return nix32(bytes.fromhex(answer.strip().removeprefix("sha256:"))), size


def nix32(digest):
    """Nix's base 32: five bits a digit, the last ones first."""
    number = int.from_bytes(digest, "little")
    digits = "0123456789abcdfghijklmnpqrsvwxyz"
    return "".join(digits[number >> (5 * at) & 31] for at in reversed(range((len(digest) * 8 + 4) // 5)))


def push(bench):
    """`pool push` of a closure, against `nix copy` to nginx."""
    paths = bench.corpus.main
    compare_pushes(bench, "push of 1.1 GB", paths, PER_GB, bench.corpus.nar_bytes(paths), 0.6)


def tiny(bench):
    """`pool push` of ten thousand tiny paths, against `nix copy` to nginx."""
    paths = bench.corpus.tiny
    compare_pushes(bench, "push of 10 000 tiny paths", paths, ("us/path", 1e6), len(lines(paths)), 0.2)


def compare_pushes(bench, row, paths, unit, units, wall_goal):
    for nix in bench.nix_clients():
        name = os.path.basename(nix).replace("nix-stable", "nix 2.8").replace("nix-current", "a current nix")
        compare(
            f"{row}, {name}",
            unit,
            lambda: pool_push(bench, paths, units),
            lambda: nix_copy(bench, nix, paths, units),
            cpu_goal=1.05,
            wall_goal=wall_goal,
            rounds=3,
        )


def pool_push(bench, paths, units):
    """Both ends of a push into an empty pool by somebody who never pushed before."""
    with Pool(bench.programs, bench.directory("pool")) as server:
        before = server.cpu()
        client, wall = server.push(bench.corpus.root, paths)
        cpu = server.cpu() - before + client
    bench.discard(server.directory)
    return Cost(units, cpu, wall)


def nix_copy(bench, nix, paths, units):
    """Both ends of a push to an empty cache by a stock Nix that never pushed before."""
    host = bench.directory("host")
    log, key = os.path.join(host, "log"), os.path.join(host, "key")
    os.makedirs(host)
    run([nix, host, "nix-store", "--generate-binary-cache-key", "bench-1", key, key + ".public"], log)
    with Nginx(bench.directory("nginx"), TAKES_UPLOADS) as server:
        cache = f"{server.url}?compression=zstd&secret-key={key}"
        command = [nix, host, "nix", "copy", "--store", bench.corpus.root, "--to", cache, *lines(paths)]
        before = server.cpu()
        client, wall = run(command, log)
        cpu = server.cpu() - before + client
    bench.discard(server.directory)
    return Cost(units, cpu, wall)
