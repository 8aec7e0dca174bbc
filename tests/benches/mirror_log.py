"""What `pool mirror` takes for a log of 100 000 attestations: to bring all of it, to find nothing new, to bring one
more; and how soon a mirror that follows has what its source has acknowledged."""

import http.client
import json
import os
import statistics
import subprocess
import time
from contextlib import contextmanager

from ledger import SETTLED
from processes import Broken, run, wait_until
from relay import Relay
from servers import Pool, read_line

ATTESTATIONS = 100_000
FIRST_TIME, NOTHING_NEW, FOLLOWED = 3, 9, 50
# One that is seen within so many seconds was not found by asking now and then, but by word of it.
AT_ONCE, MANY_TRIES = 1.0, 20


def mirror_log(bench):
    count = ATTESTATIONS // 10 if bench.small else ATTESTATIONS
    with Pool(bench.programs, bench.directory("log")) as source:
        load = [os.path.join(bench.programs, "mirror-load"), source.url, source.token_file, source.key]
        run([*load, source.directory, str(count), str(1 + MANY_TRIES + FOLLOWED)], source.log)
        with open(os.path.join(source.directory, "more")) as file:
            more = iter(file.read().splitlines())
        time.sleep(SETTLED)
        print(f"mirror of a log of {count} attestations", flush=True)
        for _ in range(FIRST_TIME - 1):
            with Pool(bench.programs, bench.directory("mirror")) as target:
                first_time(source, target, count)
        with Pool(bench.programs, bench.directory("mirror")) as target:
            first_time(source, target, count)
            nothing_new(source, target)
            with attesting(source) as attest:
                attest(next(more))
                time.sleep(SETTLED)
                told("one attestation more", *counted(source, target))
            followed(source, target, more)
        with Pool(bench.programs, bench.directory("mirror")) as target:
            told("all of it, first time", *counted(source, target))


def bring(source, target):
    return target.command("mirror", "--from", source, "--to", target.url, "--quiet")


def first_time(source, target, count):
    """Into an empty pool."""
    before, before_target = source.cpu(), target.cpu()
    client, wall = bring(source.url, target)
    cpu = {"client": client, "source": source.cpu() - before, "mirror": target.cpu() - before_target}
    shares = ", ".join(f"{who} {1e6 * share / count:.1f}" for who, share in cpu.items())
    print(f"  first time                {count / wall:9.0f} /s  {wall:6.2f} s; µs of CPU an entry: {shares}", flush=True)


def nothing_new(source, target):
    """When all is there."""
    walls = [bring(source.url, target)[1] for _ in range(NOTHING_NEW)]
    verdict = "PASS" if statistics.median(walls) <= 0.1 else "short of goal"
    print(f"  nothing new               {1e3 * statistics.median(walls):9.1f} ms  goal 100  {verdict}", flush=True)
    *sizes, requests = counted(source, target)
    told("nothing new", *sizes, requests)
    verdict = "PASS" if requests <= 10 else "short of goal"
    print(f"  nothing new               {requests:9} requests  goal 10  {verdict}", flush=True)


def counted(source, target):
    """Bytes between the source and `pool mirror` and between that and the mirror, both ways, and requests."""
    with Relay(source.address) as near, Relay(target.address) as far:
        target.command("mirror", "--from", near.url, "--to", far.url, "--quiet")
        (asked, read, some), (sent, answered, others) = near.counted(), far.counted()
    return asked + read, sent + answered, some + others


def told(what, from_source, to_mirror, requests):
    print(
        f"  {what:25} {from_source:9} bytes at the source, {to_mirror:9} at the mirror, {requests} requests", flush=True
    )


@contextmanager
def attesting(pool):
    """A function that posts an attestation and answers once it is acknowledged."""
    connection = http.client.HTTPConnection(pool.address)
    head = {"Content-Type": "application/json", "Authorization": f"Bearer {read_line(pool.token_file)}"}

    def attest(request):
        connection.request("POST", "/api/v1/attestations?receipts=false", request, head)
        answer = connection.getresponse()
        if answer.read() and answer.status != 200:
            raise Broken(f"{pool.url} refused an attestation: {answer.status}")

    yield attest
    connection.close()


def followed(source, target, more):
    """From the acknowledgement at the source to the first narinfo of the mirror."""
    program = os.path.join(target.programs, "pool")
    command = [program, "mirror", "--from", source.url, "--to", target.url, "--follow", "--quiet"]
    command += ["--token-file", target.token_file]
    with open(target.log, "ab") as log:
        carrying = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={"HOME": target.directory})
    try:
        with attesting(source) as attest:
            tries = (delay(attest, target, next(more)) for _ in range(MANY_TRIES))
            if not any(seen < AT_ONCE for seen in tries):
                raise Broken("the mirror does not follow")
            delays = [delay(attest, target, next(more)) for _ in range(FOLLOWED)]
    finally:
        carrying.terminate()
        carrying.wait()
    median, worst = 1e3 * statistics.median(delays), 1e3 * max(delays)
    print(f"  followed                  {median:9.1f} ms until it is seen, at worst {worst:.1f} of {len(delays)}", flush=True)


def delay(attest, target, request):
    path = json.loads(request)["attestations"][0]["store_path"]
    narinfo = "/" + os.path.basename(path)[:32] + ".narinfo"
    connection = http.client.HTTPConnection(target.address)
    connection.connect()

    def seen():
        connection.request("GET", narinfo)
        answer = connection.getresponse()
        answer.read()
        return answer.status == 200

    attest(request)
    start = time.monotonic()
    while not seen():
        if time.monotonic() - start > 60:
            raise Broken(f"the mirror never shows {path}")
        time.sleep(0.0005)
    connection.close()
    return time.monotonic() - start
