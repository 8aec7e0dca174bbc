"""Clients that ask for files as fast as they are answered."""

import http.client
import os
import socket
import subprocess
import threading
import time

from processes import Broken, run
from rounds import Cost
from servers import HERE


def wrk(server, urls, connections, *, missing=False, seconds=3):
    """Random lines of the file `urls`, over kept connections. `missing`: all are to be 404s."""
    threads = min(connections, 2)
    command = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", os.path.join(HERE, "random-urls.lua"), server.url]
    before = server.cpu()
    out = subprocess.run(command, env={"URLS": urls}, capture_output=True, text=True, check=False)
    cpu = server.cpu() - before
    result = [text.split()[1:] for text in out.stdout.splitlines() if text.startswith("result ")]
    if out.returncode != 0 or not result:
        raise Broken(f"wrk failed: {out.stdout} {out.stderr}")
    requests, microseconds, refused, failed = map(int, result[0])
    # Requests that were under way at the end are neither counted nor refused.
    if failed or (refused < requests if missing else refused):
        raise Broken(f"{server.url}: of {requests} requests {refused} were refused and {failed} failed")
    return Cost(requests, cpu, microseconds / 1e6, running=cpu)


def read_all(server, urls, connections):
    """Each of the list `urls` once, shared out over so many kept connections; per byte."""
    todo, lock, problems, total = iter(urls), threading.Lock(), [], 0

    def work():
        nonlocal total
        try:
            connection = Reader(server.address)
            while True:
                with lock:
                    url = next(todo, None)
                if url is None:
                    return
                size = connection.read(url)
                with lock:
                    total += size
        except (OSError, ValueError) as problem:
            problems.append(problem)

    before, start = server.cpu(), time.monotonic()
    readers = [threading.Thread(target=work) for _ in range(connections)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    wall = time.monotonic() - start
    if problems:
        raise Broken(f"{server.url}: {problems[0]}")
    cpu = server.cpu() - before
    return Cost(total, cpu, wall, running=cpu)


class Reader:
    """One connection, read in large pieces: Python's own client would cost more than the server."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.buffer = bytearray(256 << 10)

    def read(self, url):
        """Reads one file to its end and answers with its size."""
        self.socket.sendall(f"GET {url} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        got = 0
        while (end := self.buffer.find(b"\r\n\r\n", 0, got)) < 0:
            got += self._receive(memoryview(self.buffer)[got:])
        head = bytes(self.buffer[:end]).lower().split(b"\r\n")
        if not head[0].startswith(b"http/1.1 200"):
            raise ValueError(f"{url}: {head[0]}")
        size = next(int(line.split(b":")[1]) for line in head if line.startswith(b"content-length:"))
        left = size - (got - end - 4)
        while left:
            left -= self._receive(self.buffer)
        return size

    def _receive(self, into):
        received = self.socket.recv_into(into)
        if received == 0:
            raise ValueError("the server closed the connection")
        return received


def fetch(server, urls):
    """The bodies of `urls`, one after the other, as pairs."""
    connection = http.client.HTTPConnection(server.address)
    for url in urls:
        connection.request("GET", url)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise Broken(f"{server.url}{url}: {answer.status} {body[:200]}")
        yield url, body
    connection.close()


def upload(server, url, file, token, log):
    """PUTs a file; answers with the server's seconds of CPU, and those on the clock."""
    before = server.cpu()
    command = ["curl", "-sSf", "--noproxy", "*", "-T", file, "-H", f"Authorization: Bearer {token}", server.url + url]
    _, wall = run(command, log)
    return server.cpu() - before, wall
