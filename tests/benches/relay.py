"""What goes over the wire: a relay in front of a server that counts it."""

import select
import socket
import threading


class Relay:
    """Passes connections on to `address`. Counts the bytes of HTTP/1.1 either way, all of them, and the
    requests: since none is sent before the last is answered, what follows an answer is one."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self._far = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self.sent = self.answered = self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # which wakes who waits in `accept`; `close` would not
        self._listener.close()

    def counted(self):
        """Bytes to the server, bytes from it, and requests, since the last call."""
        with self._lock:
            counts = (self.sent, self.answered, self.requests)
            self.sent = self.answered = self.requests = 0
        return counts

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        with near, socket.create_connection(self._far) as far:
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                self._pass_on(near, far)
            except OSError:
                pass  # one of them has hung up, which the other sees now

    def _pass_on(self, near, far):
        to, asked = {near: far, far: near}, False
        while to:
            for end in select.select(list(to), [], [])[0]:
                piece = end.recv(1 << 18)
                if not piece:
                    to.pop(end).shutdown(socket.SHUT_WR)
                    continue
                with self._lock:
                    if end is near:
                        self.sent += len(piece)
                        self.requests += not asked
                    else:
                        self.answered += len(piece)
                asked = end is near
                to[end].sendall(piece)
