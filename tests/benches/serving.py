"""What clients read: narinfos, 404s and NARs, from the pool and from nginx with the same bytes."""

import os
import random

from load import fetch, read_all, wrk
from rounds import compare, note
from servers import Nginx, Pool, lines

MICROSECONDS = ("us/request", 1e6)
PER_GB = ("s/GB", 1e9)

# Served sizes of what counts as a middling NAR; they come to 450 KB on average.
MIDDLING = range(60_000, 1_200_000)


class Serving:
    """A pool that holds the corpus, and nginx over the very bytes that it answers with."""

    def __init__(self, bench):
        directory = bench.directory("serving")
        self.pool = Pool(bench.programs, os.path.join(directory, "pool"))
        self.nginx = Nginx(
            os.path.join(directory, "nginx"),
            "open_file_cache max=20000 inactive=10m; open_file_cache_valid 10m; open_file_cache_errors on;",
        )
        self.directory = directory
        try:
            self._fill(bench.corpus)
        except BaseException:
            self.close()
            raise

    def _fill(self, corpus):
        note("serving: pushing the corpus, and copying what the pool answers to nginx")
        self.pool.push(corpus.root, corpus.main)
        self.pool.push(corpus.root, corpus.tiny)
        self.pool.push(corpus.root, corpus.big, "--compression", "none")
        self.narinfos, self.tiny, self.middling, self.big = [], [], [], []
        tiny, big = set(lines(corpus.tiny)), set(lines(corpus.big))
        paths = lines(corpus.main) + sorted(tiny) + sorted(big)
        os.makedirs(os.path.join(self.nginx.www, "nar"))
        asked = [f"/{os.path.basename(path)[:32]}.narinfo" for path in paths]
        for path, (url, text) in zip(paths, fetch(self.pool, asked)):
            self._keep(url, text)
            fields = dict(line.split(": ", 1) for line in text.decode().splitlines())
            nar = "/" + fields["URL"]
            if path in big:
                self.big.append(nar)
            elif path in tiny:
                self.tiny.append(nar)
            elif int(fields["FileSize"]) in MIDDLING:
                self.middling.append(nar)
            self.narinfos.append(url)
            if not os.path.exists(self.nginx.www + nar):
                for _, body in fetch(self.pool, [nar]):
                    self._keep(nar, body)
        sizes = [os.path.getsize(self.nginx.www + nar) for nar in self.middling]
        note(f"serving: {len(self.narinfos)} narinfos; {len(sizes)} middling NARs of {sum(sizes) / len(sizes) / 1e3:.0f} KB")

    def _keep(self, url, body):
        with open(self.nginx.www + url, "wb") as file:
            file.write(body)

    def both(self, load):
        """A function for each side that puts `load` on it."""
        return lambda: load(self.pool), lambda: load(self.nginx)

    def urls(self, name, urls):
        """The file of these lines."""
        path = os.path.join(self.directory, name)
        with open(path, "w") as file:
            file.write("\n".join(urls))
        return path

    def close(self):
        self.pool.stop()
        self.nginx.stop()


def narinfo(bench):
    """Narinfos and 404s a second."""
    serving = bench.serving()
    known = serving.urls("narinfos", serving.narinfos)
    digits = "0123456789abcdfghijklmnpqrsvwxyz"
    pick = random.Random(1)
    unknown = ["/" + "".join(pick.choices(digits, k=32)) + ".narinfo" for _ in range(10_000)]
    unknown = serving.urls("unknown", unknown)
    for connections in (1, 64):
        load = lambda server: wrk(server, known, connections)
        compare(f"narinfo x{connections}", MICROSECONDS, *serving.both(load), cpu_goal=1.0)
    for connections in (1, 64):
        load = lambda server: wrk(server, unknown, connections, missing=True)
        compare(f"404 x{connections}", MICROSECONDS, *serving.both(load), cpu_goal=1.0)


def nar(bench):
    """NARs: a large one, many middling ones, many tiny ones."""
    serving = bench.serving()
    for connections in (1, 16):
        load = lambda server: read_all(server, serving.big * max(connections, 12), connections)
        compare(f"NAR of 343 MB x{connections}", PER_GB, *serving.both(load), cpu_goal=1.1)
    middling = random.Random(1).choices(serving.middling, k=4000)
    for connections in (1, 16):
        load = lambda server: read_all(server, middling, connections)
        compare(f"NARs of 450 KB x{connections}", PER_GB, *serving.both(load), cpu_goal=1.1)
    tiny = serving.urls("tiny", serving.tiny)
    for connections in (1, 16):
        load = lambda server: wrk(server, tiny, connections)
        compare(f"NARs of 2 KB x{connections}", MICROSECONDS, *serving.both(load), cpu_goal=1.1)
