"""The two servers that are compared, each on a port of its own, stopped by its pid."""

import os
import socket
import subprocess

from processes import Broken, cpu_of, run, wait_until

HERE = os.path.dirname(os.path.abspath(__file__))


class Server:
    """A running server with a directory of its own."""

    def __init__(self, directory, command, address):
        self.log = os.path.join(directory, "log")
        with open(self.log, "ab") as log:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={})
        try:
            self.address = wait_until(f"{command[0]} to listen", lambda: self._listening(address))
        except Exception:
            self.stop()
            raise
        self.url = f"http://{self.address}"

    def _listening(self, address):
        if self.child.poll() is not None:
            with open(self.log, errors="replace") as log:
                raise Broken(f"{self.child.args[0]} ended with {self.child.returncode}:\n{log.read()[-1000:]}")
        found = address()
        if not found:
            return None
        host, port = found.rsplit(":", 1)
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            return None
        return found

    def cpu(self):
        """Seconds of CPU so far."""
        return cpu_of(self.child.pid)

    def stop(self):
        self.child.terminate()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Pool(Server):
    """A pool that knows one signer, whose key is `key`, a new one if need be, and the `pool` command to talk to it."""

    def __init__(self, programs, directory, host="127.0.0.1", key=None, options=()):
        os.makedirs(directory)
        self.programs, self.directory = programs, directory
        data = os.path.join(directory, "data")
        os.makedirs(data)
        address = lambda: read_line(os.path.join(data, "address"))
        command = [os.path.join(programs, "pool-server"), "--data", data, "--listen", f"{host}:0", *options]
        super().__init__(directory, command, address)
        self.token_file = os.path.join(data, "admin.token")
        self.key = key or os.path.join(directory, "bench.secret")
        try:
            if key is None:
                self.command("key", "generate", "bench-1", "--out", self.key)
            self.command("signer", "enrol", self.key)
        except Exception:
            self.stop()
            raise

    def command(self, *arguments):
        """Runs `pool` with a home of its own; answers with its seconds of CPU and on the clock."""
        program = os.path.join(self.programs, "pool")
        environment = {"HOME": self.directory, "NARPOOL_SERVER": self.url}
        return run([program, *arguments, "--token-file", self.token_file], self.log, env=environment)

    def push(self, root, paths, *options):
        """Pushes store paths, given by their file of names, out of the store below `root`."""
        return self.command("push", "--store", root, "--key", self.key, "--quiet", *options, *lines(paths))


class Nginx(Server):
    """nginx over `directory`/www. `rules` are added to what the server does."""

    def __init__(self, directory, rules="", host="127.0.0.1"):
        for name in ("www", "body"):
            os.makedirs(os.path.join(directory, name), exist_ok=True)
        self.directory, self.www = directory, os.path.join(directory, "www")
        port = free_port(host)
        with open(os.path.join(HERE, "nginx.conf")) as template:
            conf = template.read()
        if os.getuid() == 0:
            conf = "user root;\n" + conf  # its workers must be able to read and write here
        for name, value in (("WORK", directory), ("ADDRESS", f"{host}:{port}"), ("RULES", rules)):
            conf = conf.replace(f"@{name}@", value)
        path = os.path.join(directory, "nginx.conf")
        with open(path, "w") as file:
            file.write(conf)
        early_log = os.path.join(directory, "error.log")
        command = ["/usr/sbin/nginx", "-e", early_log, "-p", directory, "-c", path]
        super().__init__(directory, command, lambda: f"{host}:{port}")


TAKES_UPLOADS = "dav_methods PUT; create_full_put_path on; client_max_body_size 0; client_body_buffer_size 1m;"


def free_port(host):
    with socket.socket() as probe:
        probe.bind((host, 0))
        return probe.getsockname()[1]


def read_line(path):
    """The whole line that a file holds, once it is there."""
    try:
        with open(path) as file:
            text = file.read()
    except FileNotFoundError:
        return None
    return text.strip() if text.endswith("\n") else None


def lines(path):
    with open(path) as file:
        return file.read().split()
