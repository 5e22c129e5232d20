"""Keeps the contract of an agent's socket for the person (DIR/person) without an agent: what it says is a value that a test sets, what it is told is written down."""
import json
import os
import pathlib
import re
import socketserver
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler


def person(**more):
    return {"agent": {"name": "anna-laptop", "factory": "https://factory.example", "state": "online", "why": "", "mode": "attended"}, "user": "anna", "session": {"state": "active"}, "paused": None,
            "running": [], "launchable": [], "questions": [], "consents": [], "tells": [], "history": [], "stop": {"key": "Ctrl+Alt+Pause"}, **more}


def launchable(trigger, schema=None, **more):
    return {"trigger": trigger, "title": trigger.capitalize(), "description": f"What {trigger} does", "environment": "office", "deployment": trigger, "workflow": "main", "package": {"name": trigger, "version": "1.2.0", "digest": "sha256:00"},
            "schema": schema, "permissions": {}, "repeatable": False, "last": None, "paused": "", "offline": False, "unavailable": "", **more}


class PersonStandIn:
    def __init__(self, path):
        self.path, self.said, self.refusals, self.jobs = pathlib.Path(path), person(), {}, {}
        self.asked = []          # (target, body as JSON) of everything but looking
        self.times = []          # when each of them arrived, by time.monotonic()
        self.raw = []            # the bytes of the bodies
        self.parked = self.looks = 0
        self.version = int(time.time() * 1000)   # another one than that of the one before
        self.changed = threading.Condition()
        self.server = None

    def start(self):
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def address_string(self):
                return "local"

            def answer(self, status, value):
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def do_GET(self):
                after = re.fullmatch(r"/v1/changes\?after=(-?\d+)", self.path)
                if after:
                    with outer.changed:
                        outer.parked += 1
                        server = outer.server
                        outer.changed.wait_for(lambda: outer.version != int(after[1]) or outer.server is not server, 25)
                        outer.parked -= 1
                        return self.answer(200, {"version": outer.version})
                if self.path == "/v1/person":
                    with outer.changed:
                        outer.looks += 1
                        return self.answer(200, {**outer.said, "version": outer.version})
                if self.path.startswith("/v1/jobs/") and self.path[9:] in outer.jobs:
                    return self.answer(200, outer.jobs[self.path[9:]])
                self.answer(404, {"detail": "there is no such job"})

            def do_POST(self):
                arrived = time.monotonic()
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                outer.raw.append(body)
                try:
                    said = json.loads(body)
                except ValueError:
                    return self.answer(400, {"detail": "this is no JSON"})
                with outer.changed:
                    outer.times.append(arrived)
                    outer.asked.append((self.path, said))
                for start, refusal in outer.refusals.items():
                    if self.path.startswith(start):
                        return self.answer(*refusal)
                if self.path == "/v1/launch":
                    return self.answer(200, {"job": str(uuid.uuid4()), "queued": outer.said["agent"]["state"] != "online"})
                if self.path == "/v1/stop":
                    stopped = [each["job"] for each in outer.said["running"]]
                    outer.say(running=[])
                    return self.answer(200, {"stopped": stopped})
                for kind in ("questions", "consents", "tells"):
                    if self.path.startswith(f"/v1/{kind}/"):
                        name = urllib.parse.unquote(self.path.rsplit("/", 1)[1])
                        if name not in [each["id"] for each in outer.said[kind]]:
                            return self.answer(410, {"code": "expired", "detail": "its time is over"})
                        outer.say(**{kind: [each for each in outer.said[kind] if each["id"] != name]})
                if self.path == "/v1/pause":
                    outer.say(paused={"until": said.get("until") or "2030-01-01T10:00:00Z", "why": "", "by": "anna"})
                if self.path == "/v1/resume":
                    outer.say(paused=None)
                self.answer(200, {})

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads, request_queue_size, block_on_close = True, 64, False

            def handle_error(self, *_):   # a page that went away while it was parked
                pass

        self.path.unlink(missing_ok=True)
        self.server = Server(str(self.path), Handler)
        os.chmod(self.path, 0o600)
        if os.getuid() == 0:   # whose the folder is
            os.chown(self.path, self.path.parent.stat().st_uid, self.path.parent.stat().st_gid)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def say(self, **more):
        with self.changed:
            self.said = {**self.said, **more}
            self.version += 1
            self.changed.notify_all()

    def told(self, target):
        """The bodies of what was posted there."""
        with self.changed:
            return [body for path, body in self.asked if path == target]

    def times_of(self, target):
        with self.changed:
            return [at for at, (path, _) in zip(self.times, self.asked) if path == target]

    def faces(self):
        """What the face that spoke last is."""
        said = self.told("/v1/faces")
        return said[-1] if said else None

    def kill(self):
        """As if the agent were killed: its socket stays, nobody listens."""
        server, self.server = self.server, None
        with self.changed:
            self.changed.notify_all()
        if server:
            server.shutdown()
            server.server_close()

    def close(self):
        self.kill()
        self.path.unlink(missing_ok=True)
