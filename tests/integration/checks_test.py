"""Uploads and inputs that would harm whoever reads them: the factory has them checked in the sandbox, refuses them and goes on."""
import hashlib
import io
import os
import pathlib
import shutil
import signal
import threading
import time
import unittest
import zipfile

from mill import BIN, Program, Test, World, wait_for

HEAD = "document: { dsl: 1.0.3, namespace: tests, name: %s, version: 1.0.0 }\n"
PLAIN = "do: [ { a: { set: { done: true } } } ]\n"

# In the place of millwright-runner: does what the package's name says.
STAND_IN = r'''#!/usr/bin/python3
import json, os, signal, sys, time, zipfile
manifest = json.loads(zipfile.ZipFile("/package.mwp").read("manifest.json"))
name = manifest["name"]
if name == "crash":
    os.kill(os.getpid(), signal.SIGSEGV)
if name == "hang":
    time.sleep(1000)
if name == "memory":
    signal.signal(signal.SIGALRM, lambda *_: sys.exit(0))
    hold = []
    try:
        while True:
            hold.append(bytes(10_000_000))
    except MemoryError:
        os._exit(71)
if name == "garbage":
    print("parser: \x1b[31mno idea " + "x" * 100000)
    sys.exit(0)
while name == "flood":
    sys.stdout.write("y" * 65536)
print(json.dumps({"valid": True, "findings": [], "manifest": manifest, "inputs": {"main": None}}))
'''


def archive(name, files=None, document=PLAIN):
    """The bytes of a package, with nothing checked."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("manifest.json", '{"name":"%s","version":"1.0.0","workflows":{"main":"main.yaml"},"permissions":{},"repeatable":false}' % name)
        zipped.writestr("main.yaml", HEAD % name + document)
        zipped.writestr("package.yaml", f"name: {name}\nversion: 1.0.0\nworkflow: main.yaml\n")
        for path, data in (files or {}).items():
            zipped.writestr(path, data)
    return out.getvalue()


class Checks(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)

    def upload(self, name, data, timeout=60):
        digest = hashlib.sha256(data).hexdigest()
        return self.world.api("PUT", f"/v1/packages/{name}/1.0.0?digest=sha256:{digest}", data, headers={"Content-Type": "application/octet-stream"}, timeout=timeout)

    def staged(self):
        return list((self.world.data / "staging").iterdir())

    def stand_in(self, script):
        """The factory with another program beside it than the real runner."""
        folder = self.world.folder / "programs"
        folder.mkdir()
        shutil.copy2(BIN / "millwright-factory", folder)
        if script:
            (folder / "millwright-runner").write_text(script)
            (folder / "millwright-runner").chmod(0o755)
        return folder / "millwright-factory"

    def start(self, program, *before, config="", **more):
        self.world.config.write_text(config)
        factory = Program(self.world, "factory", [*before, program, "--data", self.world.data, "--listen", "127.0.0.1:0", "--config", self.world.config], "listening on", **more)
        self.world.factory, self.world.url = factory, factory.first.split()[-1]
        self.world.token = (self.world.data / "admin-token").read_text().strip()
        return factory

    def test_a_checker_that_misbehaves_costs_its_own_upload_only(self):
        factory = self.start(self.stand_in(STAND_IN), config="checks: { time: 3s, memory: 128MiB }\n")
        hanging = []
        slow = threading.Thread(target=lambda: hanging.append(self.upload("hang", archive("hang"))))
        slow.start()
        wait_for("the hanging check", self.staged)
        self.assertEqual(self.upload("fine", archive("fine")).status, 201, "beside one that hangs")
        for name, status, words in (("crash", 400, "crashed (signal 11)"), ("memory", 413, "128MiB of memory"), ("garbage", 400, "report is not to be read"),
                                    ("flood", 413, "printed more than")):
            refused = self.upload(name, archive(name))
            self.assertEqual(refused.status, status, refused.body)
            self.assertEqual(refused.headers["Content-Type"], "application/problem+json")
            self.assertIn(words, refused.json["detail"])
            self.assertLess(len(refused.body), 2000)
            self.assertNotIn(b"\\u001b", refused.body)
        slow.join()
        self.assertEqual(hanging[0].status, 400, hanging[0].body)
        self.assertIn("not done after 3 s", hanging[0].json["detail"])
        self.assertEqual(self.upload("again", archive("again")).status, 201)
        self.assertEqual([p["name"] for p in self.world.api("GET", "/v1/packages").json["items"]], ["again", "fine"])
        self.assertEqual(self.staged(), [])
        self.assertIsNone(factory.process.poll())

    def test_bombs_are_refused(self):
        self.world.start_factory()
        large = self.upload("zip", archive("zip", {f"zero{i}": bytes(60 << 20) for i in range(5)}))
        self.assertEqual(large.status, 413, large.body)
        self.assertIn("larger than", large.json["detail"])
        bomb = "".join(f"x{i}: &x{i} [ {', '.join([f'*x{i - 1}' if i else 'a'] * 9)} ]\n" for i in range(30))
        refused = self.upload("yaml", archive("yaml", document=bomb + PLAIN))
        self.assertEqual(refused.status, 400, refused.body)
        self.assertIn("main.yaml:2:", refused.json["findings"][0])
        self.assertEqual(self.upload("plain", archive("plain")).status, 201)

    def test_a_regular_expression_that_takes_too_long_costs_its_own_call_only(self):
        self.world.start_factory()
        trigger = self.world.deploy("slow", "input: { schema: { document: { type: object, properties: { a: { type: string, pattern: 'a{900}c' } } } } }\n" + PLAIN)
        plain = self.world.deploy("quick", "input: { schema: { document: { type: object, required: [ b ] } } }\n" + PLAIN)
        answers = []

        def call():
            answers.append(self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"a": "a" * 900_000}}, timeout=60))
        calls = [threading.Thread(target=call) for _ in range(2)]
        for one in calls:
            one.start()
        time.sleep(0.3)
        for _ in range(20):
            self.world.trigger(plain, {"b": 1})   # do not wait behind them
        self.assertEqual(answers, [])
        for one in calls:
            one.join()
        for answer in answers:
            self.assertEqual(answer.status, 400, answer.body)
            self.assertRegex(answer.json["detail"], "processor time|not done after")
        self.assertEqual(self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"a": "a" * 900 + "c"}}).status, 202)
        wrong = self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"a": "b"}})
        self.assertEqual(wrong.status, 400)
        self.assertIn("/a: ", wrong.json["mistakes"][0], wrong.body)
        self.assertEqual(len(self.world.api("GET", f"/v1/jobs?trigger={trigger}").json["items"]), 1)

    def test_nothing_is_left_in_the_staging_folder_after_a_kill(self):
        program = self.stand_in(STAND_IN)
        factory = self.start(program)
        threading.Thread(target=lambda: self.quietly(lambda: self.upload("hang", archive("hang"))), daemon=True).start()
        wait_for("the hanging check", self.staged)
        wait_for("its sandbox, and the program in it", lambda: factory.children("millwright-runner") or factory.children("python3"))
        inside = factory.children("bwrap")
        self.assertTrue(inside)
        factory.kill(signal.SIGKILL)
        wait_for("the end of the sandbox", lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in inside))
        self.assertNotEqual(self.staged(), [])
        self.start(program)
        self.assertEqual(self.staged(), [])
        self.assertEqual(self.upload("fine", archive("fine")).status, 201)

    @staticmethod
    def quietly(work):
        try:
            work()
        except OSError:
            pass

    def refused_everywhere(self, words):
        refused = wait_for("a refusal", lambda: self.upload("fine", archive("fine")))
        self.assertEqual(refused.status, 503, refused.body)
        self.assertEqual(refused.json["type"], "urn:millwright:problem:no_sandbox")
        self.assertIn(words, refused.json["detail"])
        ready = self.world.api("GET", "/readyz")
        self.assertEqual(ready.status, 200)
        self.assertIn(words, ready.json["packageChecks"])
        doctor = self.world.run("doctor", "--json", check=False)
        self.assertIn(words, doctor.stdout)
        self.assertEqual(self.world.api("GET", "/v1/packages").json["items"], [])

    def test_without_a_runner_nothing_is_taken_unchecked(self):
        program = self.stand_in(None)
        self.start(program)
        self.refused_everywhere("install millwright-runner beside")
        shutil.copy2(BIN / "millwright-runner", program.parent)
        self.assertEqual(self.upload("fine", archive("fine")).status, 201, "mended without a restart")
        self.assertEqual(self.world.api("GET", "/readyz").json["packageChecks"], "ok")

    def test_without_user_namespaces_nothing_is_taken_unchecked(self):
        # In a namespace of its own in which no further ones are made; `exec` all the way, so that the factory is who is stopped.
        take_away = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
        self.start(BIN / "millwright-factory", "/usr/bin/unshare", "--user", "--map-current-user", "--keep-caps", "/bin/sh", "-c", take_away, "sh")
        self.refused_everywhere("no sandbox can be started")

    def test_as_root_the_sandbox_is_another_users(self):
        if os.getuid() != 0:
            self.skipTest("needs root")
        who = STAND_IN.replace('if name == "crash":', 'if os.getuid() == 0 or os.path.exists("/etc/shadow"):\n    sys.exit(9)\nif name == "crash":')
        self.start(self.stand_in(who), as_root=True)
        self.assertEqual(self.upload("fine", archive("fine")).status, 201)


if __name__ == "__main__":
    unittest.main()
