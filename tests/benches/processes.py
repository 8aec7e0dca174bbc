"""Processes that are measured: what they cost, as the kernel accounts it."""

import os
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


class Broken(Exception):
    """Something that is measured did not work."""


def tree(pid):
    """The process and all below it."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return [pid] + [below for child in children for below in tree(int(child))]


def cpu_of(pid):
    """Seconds of CPU that a process, its threads and its children have taken so far."""
    total = 0
    for member in tree(pid):
        with open(f"/proc/{member}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += sum(map(int, fields[11:15]))  # utime, stime, and those of children that have ended
    return total / TICK


def cpu_of_machine():
    """Seconds of CPU that everything has taken so far, the host's own share included."""
    with open("/proc/stat") as file:
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICK


def run(command, log, **options):
    """Runs a command to its end; answers with its seconds of CPU and on the clock."""
    with open(log, "ab") as sink:
        start = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, **options)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        with open(log, errors="replace") as file:
            tail = "".join(file.readlines()[-5:])
        raise Broken(f"{os.path.basename(command[0])} ended with {child.returncode}; its log, {log}, ends with\n{tail}")
    return usage.ru_utime + usage.ru_stime, wall


def wait_until(what, ask, seconds=60):
    """Asks until there is an answer, and gives it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        time.sleep(0.005)
    raise Broken(f"waited in vain for {what}")
