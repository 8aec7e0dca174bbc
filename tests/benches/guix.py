"""What Guix asks: a thousand narinfos in one write, from the pool and from nginx with the same bytes."""

import os
import socket
import subprocess
import threading
import time

from load import fetch
from processes import Broken
from rounds import HEADER, Cost, compare
from servers import Nginx, Pool, lines

# Writes a round: enough for the clock by which the kernel accounts CPU.
WRITES = 40


def guix(bench):
    with Pool(bench.programs, bench.directory("guix")) as pool, Nginx(bench.directory("guix-nginx")) as nginx:
        program = os.path.join(bench.programs, "guix-load")
        load = subprocess.run([program, pool.url, pool.token_file, pool.directory], capture_output=True, text=True)
        if load.returncode != 0:
            raise Broken(f"guix-load ended with {load.returncode}:\n{load.stderr[-1000:]}")
        print("guix", *load.stdout.splitlines(), sep="\n  ", flush=True)
        bodies = dict(fetch(pool, lines(os.path.join(pool.directory, "urls"))))
        for url, body in bodies.items():
            os.makedirs(os.path.dirname(nginx.www + url), exist_ok=True)
            with open(nginx.www + url, "wb") as file:
                file.write(body)
        for server in (pool, nginx):
            in_order(server, bodies)
        print(HEADER, flush=True)
        compare(
            "1000 narinfos in a write",
            ("us/request", 1e6),
            lambda: pipelined(pool, list(bodies)),
            lambda: pipelined(nginx, list(bodies)),
            cpu_goal=1.0,
        )


def in_order(server, bodies):
    """Sees that the answers come in the order of what was asked."""
    with Connection(server.address) as connection:
        for url, answer in zip(bodies, connection.ask_all(list(bodies))):
            if answer != bodies[url]:
                raise Broken(f"{server.url}{url}: not the narinfo that was asked for")


def pipelined(server, urls):
    """All of `urls` in one write, so many times over, on one connection; per request."""
    with Connection(server.address) as connection:
        before, start = server.cpu(), time.monotonic()
        for _ in range(WRITES):
            for _ in connection.ask_all(urls):
                pass
        wall = time.monotonic() - start
        cpu = server.cpu() - before
    return Cost(WRITES * len(urls), cpu, wall, running=cpu)


class Connection:
    """One connection that asks for much before it reads."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.answers = self.socket.makefile("rb", buffering=256 << 10)

    def ask_all(self, urls):
        """The bodies of `urls`, in that order. Requests are still written when the first is read."""
        head = "HTTP/1.1\r\nHost: bench\r\nUser-Agent: GNU Guile\r\nConnection: keep-alive\r\n\r\n"
        requests = "".join(f"GET {url} {head}" for url in urls).encode()
        writing = threading.Thread(target=self.socket.sendall, args=(requests,))
        writing.start()
        for url in urls:
            yield self._answer(url)
        writing.join()

    def _answer(self, url):
        status = self.answers.readline()
        if not status.startswith(b"HTTP/1.1 200"):
            raise Broken(f"{url}: {status}")
        size = None
        while (line := self.answers.readline()) not in (b"\r\n", b""):
            if line[:15].lower() == b"content-length:":
                size = int(line[15:])
        return self.answers.read(size)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.answers.close()
        self.socket.close()
