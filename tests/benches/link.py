"""Two hosts on this machine, `near` and `far`, and a wire between them on which each packet takes a while.

The hosts are network namespaces. The wire is a thread that holds both ends as TUN devices and passes packets on
when they are due: so it needs no traffic shaping, which many kernels come without. Nothing else reaches the hosts."""

import collections
import ctypes
import fcntl
import os
import select
import struct
import subprocess
import threading
import time

from processes import Broken

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
CLONE_NEWNET = 0x40000000
FAR = "10.77.0.1"
NEAR = "10.77.0.2"


class Link:
    """Within `with`, this thread and what it starts are on the far host; `near` is put before commands for the other.
    Each packet takes `delay` seconds, either way."""

    def __init__(self, delay):
        self.delay = delay
        self.names = [f"narpool-{side}-{os.getpid()}" for side in ("far", "near")]
        self.near = ["ip", "netns", "exec", self.names[1]]

    def __enter__(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise Broken("two hosts with a slow wire need root, and /dev/net/tun")
        try:
            self.ends = [end(name, own, other) for name, own, other in zip(self.names, (FAR, NEAR), (NEAR, FAR))]
            self._ended = threading.Event()
            self._wire = threading.Thread(target=self._carry)
            self._wire.start()
            self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            enter(f"/run/netns/{self.names[0]}")
        except Exception:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        enter(f"/proc/self/fd/{self._home}")
        os.close(self._home)
        self._ended.set()
        self._wire.join()
        for device in self.ends:
            os.close(device)
        self._remove()

    def _remove(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)

    def _carry(self):
        due = collections.deque()
        other = dict(zip(self.ends, reversed(self.ends)))
        while not self._ended.is_set():
            wait = max(0, due[0][0] - time.monotonic()) if due else 0.1
            for device in select.select(self.ends, [], [], wait)[0]:
                due.append((time.monotonic() + self.delay, other[device], os.read(device, 1 << 16)))
            while due and due[0][0] <= time.monotonic():
                _, device, packet = due.popleft()
                os.write(device, packet)


def end(name, own, other):
    """Makes a namespace with one end of the wire in it, which is answered."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    wire = "wire" + own.rsplit(".", 1)[1]
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH", wire.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        f"netns add {name}",
        f"link set {wire} netns {name}",
        f"-n {name} link set lo up",
        f"-n {name} address add {own} peer {other} dev {wire}",
        f"-n {name} link set {wire} up",
    ):
        done = subprocess.run(["ip", *command.split()], capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"ip {command}: {done.stderr.strip()}")
    return device


def enter(namespace):
    """Moves this thread into a network namespace."""
    descriptor = os.open(namespace, os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.setns(descriptor, CLONE_NEWNET)
    os.close(descriptor)
    if failed:
        raise Broken(f"entering {namespace}: {os.strerror(ctypes.get_errno())}")
