"""Stands between an agent and its factory and lies: cuts, stalls, slows, answers for it, says things twice or late. Loopback only."""
import random
import select
import socket
import threading
import time


class Proxy:
    """One request at a time on a connection, each sent to the factory on a connection of its own, so that each can be treated on its own."""

    def __init__(self, port):
        self.target, self.mode, self.lock = port, "pass", threading.Lock()
        self.open, self.seen, self.treated = set(), 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.set("cut")
        self.listener.close()

    def set(self, mode):
        """pass, cut (every connection ends, new ones are refused), stall (nothing goes on, nothing is closed), slow, storm (503 for two of three),
        twice (the factory gets each request twice), late (answers come after 0 to 400 ms, so those of two connections change places)"""
        with self.lock:
            before, self.mode = self.mode, mode
            # A connection that stalled never comes back: when the line is there again, its end is a reset.
            ends = list(self.open) if mode == "cut" or before == "stall" else []
        for one in ends:
            self._end(one)

    def _end(self, one):
        with self.lock:
            self.open.discard(one)
        try:
            one.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        one.close()

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            if self.mode == "cut":
                one.close()
                continue
            with self.lock:
                self.open.add(one)
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _stalled(self):
        while self.mode == "stall":
            time.sleep(0.02)

    def _read(self, one, rest=b""):
        """A message with Content-Length; nothing at the end."""
        data = rest
        while b"\r\n\r\n" not in data:
            piece = one.recv(65536)
            if not piece:
                return None
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        while len(body) < length:
            piece = one.recv(65536)
            if not piece:
                return None
            body += piece
        return head + b"\r\n\r\n" + body

    def _ask(self, request, one):
        """The factory's answer; nothing when the caller went meanwhile."""
        with socket.create_connection(("127.0.0.1", self.target), 10) as to:
            to.sendall(request)
            to.settimeout(None)
            while True:
                ready, _, _ = select.select([to, one], [], [], 1)
                if one in ready:
                    return None   # it hung up: a parked poll that was let go
                if to in ready:
                    return self._read(to)

    def _serve(self, one):
        try:
            while True:
                request = self._read(one)
                if request is None:
                    return
                self.seen += 1
                self.treated += self.mode != "pass"
                self._stalled()
                mode = self.mode
                if mode == "storm" and random.random() < 0.67:
                    more = b"Retry-After: 1\r\n" if random.random() < 0.3 else b""
                    one.sendall(b"HTTP/1.1 503 Service Unavailable\r\n" + more + b"Content-Length: 0\r\n\r\n")
                    continue
                answer = self._ask(request, one)
                if answer is not None and mode == "twice" and b"/agent/v1/offers" not in request.split(b"\r\n", 1)[0]:
                    answer = self._ask(request, one)
                if answer is None:
                    return
                if mode == "late":
                    time.sleep(random.random() * 0.4)
                self.treated += self.mode == "stall"
                self._stalled()
                if mode == "slow":
                    for at in range(0, len(answer), 64):
                        one.sendall(answer[at:at + 64])
                        time.sleep(0.02)
                else:
                    one.sendall(answer)
        except (OSError, ValueError):   # ValueError: closed under its feet
            pass
        finally:
            self._end(one)
