"""Stock Nix installs a closure of 300 paths over a wire with 50 ms of delay each way: through `pool proxy` with a
policy of two of three, and, the same Nix, straight from nginx, whose one key it trusts."""

import os
import subprocess

from link import FAR, Link
from processes import Broken, run, wait_until
from servers import HERE, Nginx, Pool

LAB = os.path.join(os.path.dirname(HERE), "lab")
DELAY = 0.05
SIGNERS = ("one", "two", "three")
ROUNDS = 3
GOAL = 0.5


def install(bench):
    with Link(DELAY) as link:
        with Scene(bench, link) as scene:
            print(f"install of {scene.paths} paths, {DELAY * 1000:.0f} ms each way", flush=True)
            for nix in bench.nix_clients():
                direct = min(scene.directly(nix) for _ in range(ROUNDS))
                proxied = min(scene.proxied(nix) for _ in range(ROUNDS))
                ratio = f"{proxied / direct:5.2f}  goal {GOAL}"
                name = os.path.basename(nix)
                print(f"  {name:12} proxy {proxied:6.2f} s   nginx {direct:6.2f} s   ratio {ratio}", flush=True)


class Scene:
    """A pool and nginx on the far host that have the same closure, in the same compression."""

    def __init__(self, bench, link):
        self.bench, self.link = bench, link
        self.directory = bench.directory("install")
        os.makedirs(self.directory)
        self.log = os.path.join(self.directory, "log")
        self.pool = Pool(bench.programs, os.path.join(self.directory, "pool"), host=FAR)
        try:
            self.nginx = Nginx(os.path.join(self.directory, "nginx"), host=FAR)
        except Exception:
            self.pool.stop()
            raise
        self._built = 0

    def __enter__(self):
        try:
            self._fill()
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.pool.stop()
        self.nginx.stop()

    def _fill(self):
        builder = os.path.join(self.directory, "builder")
        expression = os.path.join(HERE, "install.nix")
        evaluate = ["nix-instantiate", "--eval", "--read-write-mode", expression]
        self.top = self._nix("nix-stable", builder, *evaluate).strip().strip('"')
        closure = self._nix("nix-stable", builder, "nix-store", "-qR", self.top)
        self.paths = len(closure.split())
        root, public = os.path.join(builder, "root"), []
        for name in SIGNERS:
            secret = os.path.join(self.directory, name)
            generate = ["nix-store", "--generate-binary-cache-key", name, secret, secret + ".pub"]
            self._nix("nix-stable", builder, *generate)
            with open(secret + ".pub") as file:
                public.append(file.read().strip())
            self.pool.command("signer", "enrol", secret)
            push = ["push", self.top, "--store", root, "--key", secret, "--compression", "xz", "--quiet"]
            self.pool.command(*push)
        self.trusted = public[0]
        to = f"file://{self.nginx.www}?compression=xz&secret-key={os.path.join(self.directory, SIGNERS[0])}"
        self._nix("nix-stable", builder, "nix", "copy", "--to", to, self.top)
        self.policy = os.path.join(self.directory, "policy.toml")
        with open(self.policy, "w") as file:
            file.write(POLICY + "".join(f'[principal.{name}]\nkeys = ["{key}"]\n' for name, key in zip(SIGNERS, public)))

    def _nix(self, wrapper, host, *arguments):
        command = [os.path.join(LAB, wrapper), host, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise Broken(f"{' '.join(arguments[:2])} ended with {done.returncode}:\n{done.stderr[-1000:]}")
        return done.stdout

    def directly(self, nix):
        """Seconds on the clock."""
        return self._realise(nix, f"substituters = {self.nginx.url}\ntrusted-public-keys = {self.trusted}\n")

    def proxied(self, nix):
        """Seconds on the clock; the proxy knows nothing of the pool yet."""
        state = self._new("proxy")
        program = os.path.join(self.bench.programs, "pool")
        command = [program, "proxy", "--policy", self.policy, "--state-dir", state, "--pool", self.pool.url]
        with open(self.log, "ab") as log:
            environment = {"HOME": state}
            listening = self.link.near + command + ["--listen", "127.0.0.1:0"]
            proxy = subprocess.Popen(listening, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
            try:
                line = wait_until("the proxy to listen", proxy.stdout.readline)
                address = line.strip().removeprefix("listening on ")
                print_config = command + ["--listen", address.removeprefix("http://"), "--print-config=nix.conf"]
                conf = subprocess.run(print_config, capture_output=True, text=True, env=environment, check=True).stdout
                return self._realise(nix, conf)
            finally:
                proxy.terminate()
                proxy.wait()

    def _new(self, name):
        self._built += 1
        directory = os.path.join(self.directory, f"{name}-{self._built}")
        os.makedirs(directory)
        return directory

    def _realise(self, nix, conf):
        host = self._new("reader")
        subprocess.run([nix, host, "nix", "--version"], capture_output=True, check=True)
        with open(os.path.join(host, "etc/nix.conf"), "a") as file:
            file.write("\n" + conf)
        _, wall = run(self.link.near + [nix, host, "nix-store", "--realise", self.top], self.log)
        return wall


POLICY = """\
format = "narpool-policy/1"
name = "bench"
version = 1
store_dir = "/nix/store"

[group.all]
k = 2
members = ["one", "two", "three"]

[default]
require = "group:all"

"""
