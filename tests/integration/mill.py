"""Starts the real programs for tests: a factory, agents, a strict receiver. Everything listens on loopback and ends with the test.

Started as root, the programs run as an unprivileged user, as they do in a person's terminal; tests of the root mode say so.
"""
import contextlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SOURCE = pathlib.Path(os.environ.get("MILL_SOURCE", pathlib.Path(__file__).resolve().parents[2]))
BIN = pathlib.Path(os.environ.get("MILL_BIN", SOURCE / "build/release/bin"))
NOBODY = 65534


def user(number=NOBODY):
    """As whom a program is started: never as root, but where a test says so."""
    return {} if os.getuid() != 0 else {"user": number, "group": number, "extra_groups": []}


class Failure(AssertionError):
    pass


def wait_for(what, condition, seconds=20.0):
    """Asks until `condition()` is true; a test's deadline is generous because machines are noisy."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(0.05)


class Program:
    """One long-running program, its output kept in a file, its first line on stdout waited for."""

    def __init__(self, world, name, arguments, ready, environment=None, as_root=False):
        self.world, self.name = world, name
        self.log = world.folder / f"{name}.{time.monotonic_ns()}.log"
        self.lines = queue.Queue()
        self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=self.log.open("wb"), text=True, start_new_session=True,
                                        env={"PATH": "/usr/bin:/bin", "HOME": str(world.folder), **(environment or {})}, **({} if as_root else user()))
        world.programs.append(self)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self.first = self._wait_line(ready) if ready else ""

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def _wait_line(self, text, seconds=20.0):
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise Failure(f"{self.name} did not say '{text}' in {seconds} s:\n{self.tail()}") from None
            if line is None:
                raise Failure(f"{self.name} ended with {self.process.wait()}:\n{self.tail()}")
            if text in line:
                return line

    def wait_line(self, text, seconds=20.0):
        return self._wait_line(text, seconds)

    def tail(self):
        return self.log.read_text(errors="replace")[-4000:]

    def children(self, name):
        """Process ids below this one whose program is called `name`."""
        found, todo = [], [self.process.pid]
        while todo:
            pid = todo.pop()
            below = []
            try:  # it may end while it is looked at
                for task in os.listdir(f"/proc/{pid}/task"):
                    below += pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split()
            except OSError:
                pass
            for child in map(int, below):
                todo.append(child)
                try:
                    if pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode().endswith(name):
                        found.append(child)
                except OSError:
                    pass
        return found

    def kill(self, number=signal.SIGKILL):
        if self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(20)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return self.process.wait(25)
            os.killpg(self.process.pid, signal.SIGKILL)
            raise Failure(f"{self.name} did not stop in 25 s:\n{self.tail()}")   # outside: what went wrong before it is shown, too
        return self.process.returncode


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)


def call(method, url, body=None, token=None, headers=None, timeout=30, context=None):
    """One HTTP exchange; any status is an answer."""
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if data is not None:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    for key, value in (headers or {}).items():
        request.add_header(key, value)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(request, timeout=timeout) as answer:
            return Reply(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Reply(error.code, error.headers, error.read())


def call_socket(socket, path, body=None, number=None, timeout=40):
    """One HTTP exchange over a socket in the file system, as the user of that number: (status, answer). 0: it does not get that far."""
    words = ["curl", "-s", "-m", str(timeout), "-w", "\n%{http_code}", "--unix-socket", str(socket), f"http://agent{path}"]
    if body is not None:
        words += ["-X", "POST", "-H", "Content-Type: application/json", "-d", body if isinstance(body, str) else json.dumps(body)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout + 5, **(user(number) if number else {}))
    text, _, status = done.stdout.rpartition("\n")
    return int(status or 0), json.loads(text) if text.strip().startswith("{") else text


class Receiver:
    """A program and a chat platform in one: POST /hook, POST /oauth/token, the CAI message endpoint; each can be made to fail."""

    def __init__(self):
        self.calls, self.lock = [], threading.Lock()
        self.answers = {}  # path prefix -> function(path, headers, body) -> (status, body) or None
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if receiver.delay:
                    time.sleep(receiver.delay)
                with receiver.lock:
                    receiver.calls.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body, "time": time.time()})
                status, text = 200, b'{"ok":true}'
                for prefix, answer in receiver.answers.items():
                    if self.path.startswith(prefix):
                        status, text = answer(self.path, self.headers, body)
                        break
                if isinstance(text, (dict, list)):
                    text = json.dumps(text).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            do_PUT = do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def at(self, prefix):
        with self.lock:
            return [c for c in self.calls if c["path"].startswith(prefix)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class World:
    """A folder, a factory, agents. Use as a context."""

    def __init__(self, config=None, keep=False):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millwright-test-"))
        self.programs, self.receivers, self.keep = [], [], keep
        self.factory = None
        self.port = 0
        self.data = self.folder / "factory"
        self.config = self.folder / "factory.yaml"
        self.config.write_text(config or 'egress: [ "http://127.0.0.1:*" ]\n')
        if os.getuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
            os.chmod(self.folder, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for program in reversed(self.programs):
            try:
                program.stop()
            except Failure:
                pass
        for receiver in self.receivers:
            receiver.close()
        if kind is None or not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)
        return False

    def start_factory(self, *more):
        self.factory = Program(self, "factory", [BIN / "millwright-factory", "--data", self.data, "--listen", f"127.0.0.1:{self.port}",
                                                 "--config", self.config, *more], "listening on")
        self.url = self.factory.first.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.token = (self.data / "admin-token").read_text().strip()
        return self.factory

    def receiver(self):
        receiver = Receiver()
        self.receivers.append(receiver)
        return receiver

    def run(self, *arguments, check=True, input=None, timeout=60, environment=None):
        """The command line, as the unprivileged user. Returns the finished process."""
        env = {"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LC_ALL": "C.UTF-8", **(environment or {})}
        if self.factory is not None:
            env.update(MILLWRIGHT_FACTORY=self.url, MILLWRIGHT_TOKEN=self.token)
        done = subprocess.run([str(BIN / "millwright"), *map(str, arguments)], capture_output=True, text=True, input=input or "",
                              timeout=timeout, env=env, cwd=self.folder, **user())
        if check and done.returncode != 0:
            raise Failure(f"millwright {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *arguments, **more):
        return json.loads(self.run(*arguments, "--json", **more).stdout)

    def api(self, method, path, body=None, token=None, **more):
        return call(method, self.url + path, body, token or self.token, **more)

    def enrol(self, name="srv-1", mode="unattended", environment="default"):
        code = self.api("POST", "/v1/agents/invitations", {"environment": environment, "approve": True, "forMs": 600000}).json["code"]
        data = self.folder / name
        self.command(BIN / "millwright-agent", "enrol", "--data", data, "--factory", self.url, "--code", code, "--name", name, "--mode", mode)
        (data / "policy.yaml").write_text("unsigned: true\n")
        return data

    def command(self, *arguments, check=True, timeout=60):
        done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=timeout,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder)}, **user())
        if check and done.returncode != 0:
            raise Failure(f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def start_agent(self, data, slots=None, warm=None):
        settings = {"slots": slots, "warm": warm}
        if any(value is not None for value in settings.values()):
            (data / "config.yaml").write_text("".join(f"{name}: {value}\n" for name, value in settings.items() if value is not None))
        arguments = [BIN / "millwright-agent", "run", "--data", data]
        if (data / "config.yaml").exists():
            arguments += ["--config", data / "config.yaml"]
        return Program(self, f"agent-{data.name}", arguments, "ready")

    def agent(self, name="srv-1", slots=None, warm=None, **more):
        return self.start_agent(self.enrol(name, **more), slots, warm)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def package(self, name, workflow, permissions="", version="1.0.0", more=""):
        """A package folder with one workflow document whose `do:` (and what else) is `workflow`."""
        folder = self.folder / "packages" / f"{name}-{version}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "main.yaml").write_text(
            f"document: {{ dsl: 1.0.3, namespace: tests, name: {name}, version: {version} }}\n{workflow}")
        (folder / "package.yaml").write_text(f"name: {name}\nversion: {version}\nworkflow: main.yaml\n{permissions}{more}")
        return folder

    def deploy(self, name, workflow, permissions="", notifiers="", environment="default", trigger="", repeatable=False, more=""):
        """Publishes a package and makes a deployment and an api trigger NAME-api of it; returns the trigger's name."""
        folder = self.package(name, workflow, permissions, more=("repeatable: true\n" if repeatable else "") + more)
        archive = self.folder / f"{name}.mwp"
        if os.getuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.run("pack", folder, "--output", archive)
        self.run("publish", archive)
        documents = f"""kind: Environment
name: {environment}
agents: [ "*" ]
---
kind: Deployment
name: {name}
package: {name}@1.0.0
environment: {environment}
permissions: as-requested
---
kind: Trigger
name: {name}-api
deployment: {name}
type: api
{trigger}"""
        self.run("apply", "-f", self.write(f"{name}.yaml", documents + (("---\n" + notifiers) if notifiers else "")))
        return f"{name}-api"

    def trigger(self, name, input=None, context=None, headers=None):
        reply = self.api("POST", f"/v1/triggers/{name}/runs", {"input": input or {}, "invocationContext": context or {}}, headers=headers)
        if reply.status != 202:
            raise Failure(f"trigger {name}: {reply.status} {reply.body!r}")
        return reply.json["jobUid"]

    def job(self, uid):
        return self.api("GET", f"/v1/jobs/{uid}").json

    def ended(self, uid, seconds=30):
        def final():
            job = self.job(uid)
            return job if job["state"] in ("successful", "failed", "cancelled", "expired") else None
        try:
            return wait_for(f"the end of job {uid}", final, seconds)
        except Failure as failure:
            why = self.api("GET", f"/v1/jobs/{uid}/why").body.decode(errors="replace")
            raise Failure(f"{failure}; why: {why}\n" + "\n".join(p.tail() for p in self.programs)) from None


class Test(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        if not (BIN / "millwright").exists():
            self.fail(f"no programs in {BIN}: build them first")


class FactoryTest(Test):
    """Each test with a factory of its own, and somebody who is told."""

    def setUp(self):
        super().setUp()
        self.world = World()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.receiver = self.world.receiver()
