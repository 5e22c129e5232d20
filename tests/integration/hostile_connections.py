"""Connections that mean no good, for the test and the bench: each kind on one thread until it is told to stop; it counts what came back."""
import collections
import os
import re
import select
import socket
import ssl
import threading
import time


def connect(port, timeout=20):
    link = socket.create_connection(("127.0.0.1", port), timeout=timeout)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def status_of(link):
    """Of the first answer; None when the connection ends without one."""
    text = b""
    while b"\r\n" not in text:
        piece = link.recv(4096)
        if not piece:
            return None
        text += piece
    return int(text.split(b" ", 2)[1])


class Attack(threading.Thread):
    """`counts`: status or word → how often."""

    def __init__(self, port, token):
        super().__init__(daemon=True)
        self.port, self.token, self.counts, self.ending = port, token, collections.Counter(), threading.Event()

    def once(self):
        raise NotImplementedError

    def run(self):
        while not self.ending.is_set():
            try:
                self.counts[self.once()] += 1
            except OSError as error:
                self.counts[type(error).__name__] += 1
                time.sleep(0.01)

    def stop(self):
        self.ending.set()
        self.join(30)


class HugeHeader(Attack):
    def once(self):
        with connect(self.port) as link:
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 60_000 + b"\r\n\r\n")
            return status_of(link)


class HugeBody(Attack):
    def once(self):
        with connect(self.port) as link:
            link.sendall(f"POST /v1/apply HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n".encode() + b"[" * 65536)
            return status_of(link)


class Garbage(Attack):
    """What a TLS client says first, or nothing that anybody speaks."""

    def once(self):
        with connect(self.port) as link:
            link.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(500))
            return status_of(link)


class Pipelined(Attack):
    """A hundred requests at once; all answers, in order."""

    def once(self):
        with connect(self.port) as link:
            link.sendall(b"".join(f"GET /healthz?{'' if i % 2 else 'x=1'} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for i in range(100)))
            text, statuses = b"", []
            while len(statuses) < 100:
                piece = link.recv(65536)
                if not piece:
                    return f"{len(statuses)} answers"
                text += piece
                statuses = re.findall(rb"HTTP/1\.1 (\d{3}) ", text)
            return "in order" if statuses == [b"400" if i % 2 == 0 else b"200" for i in range(100)] else "mixed up"


class HalfClosed(Attack):
    """Says that it says no more, and listens."""

    def once(self):
        with connect(self.port) as link:
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            link.shutdown(socket.SHUT_WR)
            return status_of(link)


class Reset(Attack):
    """Goes away in the middle of a request."""

    def once(self):
        with connect(self.port) as link:
            link.sendall(b"POST /v1/apply HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        return "gone"


class Slow:
    """Slow-loris: many connections, a byte of the header now and then."""

    def __init__(self, port, many):
        self.links, self.ended = [], collections.Counter()
        for _ in range(many):
            link = connect(port)
            link.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
            self.links.append(link)

    def drip(self):
        for link in list(self.links):
            try:
                ready, _, _ = select.select([link], [], [], 0) if link.fileno() < 1024 else ([], [], [])
                if ready:
                    self.ended[status_of(link)] += 1
                    raise ConnectionError
                link.send(b"X")
            except OSError:
                link.close()
                self.links.remove(link)

    def close(self):
        for link in self.links:
            link.close()


class Parked:
    """Calls that wait: the log of a job that has not started."""

    def __init__(self, port, token, job, many):
        self.links = []
        request = f"GET /v1/jobs/{job}/log?wait=30&after=1.1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        for _ in range(many):
            link = connect(port)
            link.sendall(request)
            self.links.append(link)

    def close(self):
        for link in self.links:
            link.close()


def tls_garbage(port, many):
    """To a TLS port: no handshake, half of one, plain HTTP."""
    out = collections.Counter()
    for number in range(many):
        with connect(port) as link:
            link.sendall([os.urandom(300), b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"][number % 3])
            if number % 3 == 1:
                link.shutdown(socket.SHUT_WR)
            try:
                out["closed" if not link.recv(100) else "alert"] += 1
            except OSError:
                out["closed"] += 1
    return out


def tls_context():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


ATTACKS = [HugeHeader, HugeBody, Garbage, Pipelined, HalfClosed, Reset]
