"""The author's tools: new, check, test, run --trace, --step, --dry-run, and tests made from jobs; with the real runner and sandbox."""
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest
import xml.etree.ElementTree

from mill import BIN, SOURCE, Test, World, user

PACKAGES = SOURCE / "workflows/packages"


class Tooling(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.folder.chmod(0o777)
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": str(self.world.folder), "LC_ALL": "C.UTF-8", "TERM": "xterm"}

    def cases_of(self, folder, text, name="t.yaml"):
        return self.world.write(folder.relative_to(self.world.folder) / "tests" / name, text)

    def on_terminal(self, *arguments):
        """The command line on a pseudo-terminal of its own: (process, descriptor)."""
        master, slave = pty.openpty()
        process = subprocess.Popen([str(BIN / "millwright"), *map(str, arguments)], stdin=slave, stdout=slave, stderr=slave, env=self.environment,
                                   cwd=self.world.folder, start_new_session=True, **user())
        os.close(slave)
        self.addCleanup(lambda: (process.poll() is None and process.kill(), process.wait(), os.close(master)))
        return process, master

    def read_until(self, descriptor, text, seconds=30):
        out, end = "", time.monotonic() + seconds
        while text not in out:
            left = end - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                self.fail(f"waited for {text!r}, saw {out!r}")
            try:
                piece = os.read(descriptor, 65536)
            except OSError:
                piece = b""
            if not piece:
                self.fail(f"ended before {text!r}, saw {out!r}")
            out += piece.decode(errors="replace")
        return out


class New(Tooling):
    def test_a_new_package_checks_tests_and_runs_at_once(self):
        made = self.world.run("new", "greeting")
        self.assertIn("greeting/tests/greeting.yaml", made.stdout)
        folder = self.world.folder / "greeting"
        self.world.run("check", folder)
        tests = self.world.run("test", folder)
        self.assertRegex(tests.stdout, r"2 tests: 2 passed, 0 failed")
        done = self.world.run("run", folder, "--input", folder / "input.json")
        self.assertEqual(json.loads(done.stdout), {"reply": "Good day, Ada"})
        self.assertEqual(self.world.run("new", "greeting", check=False).returncode, 1)
        self.assertEqual(self.world.run("new", "Not A Name", check=False).returncode, 64)

    def test_the_cases_of_a_package_do_not_change_its_digest(self):
        self.world.run("new", "greeting")
        folder = self.world.folder / "greeting"
        self.world.run("pack", folder, "--output", self.world.folder / "with.mwp")
        self.cases_of(folder, "expect: {}\n", "more.yaml")
        self.world.run("pack", folder, "--output", self.world.folder / "more.mwp")
        self.assertEqual((self.world.folder / "with.mwp").read_bytes(), (self.world.folder / "more.mwp").read_bytes())


class Shipped(Tooling):
    def test_the_packages_that_we_ship_pass_their_tests(self):
        folders = sorted(p for p in PACKAGES.iterdir() if p.is_dir())
        for folder in folders:
            self.assertTrue(list((folder / "tests").glob("*.yaml")), f"{folder.name} has no tests")
        done = self.world.run("test", *folders, check=False, timeout=180)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


FLOW = """input: { schema: { document: { type: object } } }
use: { secrets: [ erp ] }
do:
  - guard:
      try:
        - ask:
            call: http
            with:
              method: get
              endpoint: { uri: "https://t.example.com/orders/{order}", authentication: { basic: { username: '${ $secrets.erp.user }', password: '${ $secrets.erp.password }' } } }
      catch:
        errors: { with: { status: 503 } }
        retry: { delay: { hours: 1 }, limit: { attempt: { count: 3 } } }
  - choose: { switch: [ { big: { when: '.total > 100', then: big } }, { small: { then: small } } ] }
  - big: { set: { size: big }, then: end }
  - small: { set: { size: small } }
"""


class TestCommand(Tooling):
    def flow(self):
        return self.world.package("orders", FLOW, 'permissions: { network: [ "https://t.example.com" ], credentials: [ erp ] }\n')

    def run_tests(self, text, *options, folder=None):
        folder = folder or self.flow()
        self.cases_of(folder, text)
        return self.world.run("test", folder, *options, check=False)

    def test_a_sequence_with_retries_passes_without_waiting_hours(self):
        begin = time.monotonic()
        done = self.run_tests("""cases:
  - name: two failures, then an order
    input: { order: "7" }
    secrets: { erp: { user: anna, password: hunter2-long } }
    standIns:
      - call: http
        when: '.uri | endswith("/7")'
        answers: [ { response: { status: 503 } }, { response: { status: 503 } }, { result: { total: 500 } } ]
    expect:
      output: { size: big }
      calls:
        - { call: http, with: { authentication: { basic: { password: "[secret erp.password]" } } } }
        - { task: ask }
        - { task: /do/0/guard/try/0/ask }
      check: [ '.size == "big"', '$calls | length == 3' ]
""")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"ok .*t\.yaml: two failures, then an order \(")
        self.assertLess(time.monotonic() - begin, 60)

    def test_differences_are_shown_with_path_expected_and_actual(self):
        done = self.run_tests("""standIns: [ { call: http, result: { total: 5 } } ]
input: { order: "7" }
cases:
  - { name: wrong, expect: { output: { size: big } } }
  - { name: right, expect: { output: { size: small } } }
""", "--junit", self.world.folder / "junit.xml")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn('output /size: expected "big", actual "small"', done.stdout)
        self.assertIn("2 tests: 1 passed, 1 failed", done.stdout)
        suite = xml.etree.ElementTree.parse(self.world.folder / "junit.xml").getroot().find("testsuite")
        self.assertEqual((suite.get("tests"), suite.get("failures")), ("2", "1"))
        self.assertIn("/size", suite.find("testcase/failure").get("message"))

    def test_json_is_one_document_and_only_selects(self):
        folder = self.flow()
        self.cases_of(folder, "standIns: [ { call: http, result: { total: 5 } } ]\ninput: { order: '7' }\ncases:\n  - { name: one }\n  - { name: two }\n")
        document = json.loads(self.world.run("test", folder, "--json", "--only", "*two*").stdout)
        self.assertEqual([t["name"] for t in document["tests"]], ["two"])
        self.assertEqual((document["passed"], document["failed"]), (1, 0))
        self.assertEqual(self.world.run("test", folder, "--only", "three", check=False).returncode, 65)

    def test_a_call_that_nobody_stands_in_for_fails_with_what_to_write(self):
        done = self.run_tests("input: { order: '7' }\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("calls http", done.stdout)
        self.assertIn("https://t.example.com/orders/7", done.stdout)
        self.assertIn("standIns", done.stdout)

    def test_an_expected_error_and_an_error_that_nobody_expected(self):
        done = self.run_tests("""input: { order: "7" }
standIns: [ { call: http, error: { type: authorization, status: 403, detail: no } } ]
cases:
  - { name: expected, expect: { error: { type: authorization, status: 403, instance: /do/0/guard/try/0/ask } } }
  - { name: not expected }
""")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, "ok .*: expected")
        self.assertRegex(done.stdout, "FAIL .*: not expected")
        self.assertIn("the run failed: authorization", done.stdout)

    def test_a_bad_test_file_is_65_with_its_line_and_nothing_runs(self):
        done = self.run_tests("input: {}\nexpects: {}\n")
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stderr, r"tests/t\.yaml:2:1: 'expects' is not known here; did you mean 'expect'\?")
        self.assertEqual(done.stdout, "")
        folder = self.world.package("orders", FLOW)
        self.assertEqual(self.world.run("check", folder, check=False).returncode, 65)

    def test_usage_is_64_and_a_folder_without_tests_is_65(self):
        self.assertEqual(self.world.run("test", "--nonsense", check=False).returncode, 64)
        self.assertEqual(self.world.run("test", "--from", "x", "--only", "y", check=False).returncode, 64)
        self.assertEqual(self.world.run("test", "--grant-asked", "--grant-all", check=False).returncode, 64)
        self.assertEqual(self.world.run("test", self.flow(), check=False).returncode, 65)

    def test_real_calls_happen_within_what_is_granted(self):
        data = self.world.write("data.txt", "hello")
        folder = self.world.package("reads", "do:\n  - a: { call: file.read, with: { path: '%s' } }\n" % data, f"permissions: {{ files: {{ read: [ {data} ] }} }}\n")
        case = "real: [ file.read ]\nexpect: { outputContains: { content: hello } }\n"
        self.assertEqual(self.run_tests(case, folder=folder).returncode, 1)
        done = self.run_tests(case, "--grant-asked", folder=folder)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_wrong_jq_expression_of_a_case_fails_it_in_words(self):
        done = self.run_tests("input: { order: '7' }\nstandIns: [ { call: http, when: 'nosuchfunction(.)', result: 1 } ]\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nosuchfunction", done.stdout)


class Trace(Tooling):
    FLOW = """do:
  - skipped: { if: '${ false }', set: '${ 1 }' }
  - each: { for: { in: '${ [1, 2] }' }, do: [ { say: { call: log, with: { text: '${ "n \\($item)" }' } } } ] }
  - choose: { switch: [ { one: { when: '${ true }', then: last } } ] }
  - over: { set: '${ 2 }' }
  - last: { set: { long: '${ "x" * 5000 }' } }
"""

    def test_elsewhere_than_on_a_terminal_it_is_json_lines(self):
        done = self.world.run("run", self.world.package("traced", self.FLOW), "--trace")
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        steps = [(l["name"], l["state"]) for l in lines if l["kind"] == "step"]
        self.assertIn(("skipped", "skipped"), steps)
        self.assertEqual(steps.count(("each", "iteration")), 2)
        self.assertEqual([l["text"] for l in lines if l["kind"] == "log"], ["n 1", "n 2"])
        choose = next(l for l in lines if l.get("name") == "choose")
        self.assertEqual((choose["detail"]["case"], choose["detail"]["then"]), ("one", "last"))
        self.assertEqual(json.loads(done.stdout)["long"], "x" * 5000)

    def test_on_a_terminal_it_is_a_tree_with_short_values(self):
        process, terminal = self.on_terminal("run", self.world.package("traced", self.FLOW), "--trace", "--output", self.world.folder / "o.json")
        seen = self.read_until(terminal, "(5000 bytes)")
        self.assertRegex(seen, r"│ .*say")
        self.assertRegex(seen, "then last")
        self.assertNotIn("x" * 1000, seen)
        self.assertEqual(process.wait(20), 0)

    def test_secrets_are_masked_even_when_a_server_sends_them_back(self):
        echo = self.world.receiver()
        echo.answers["/"] = lambda path, headers, body: (200, {"saw": headers.get("Authorization"), "password": "hunter2-long"})
        folder = self.world.package("secretive", f"""use: {{ secrets: [ erp ] }}
do:
  - a: {{ call: http, with: {{ method: post, endpoint: {{ uri: "{echo.url}/", authentication: {{ basic: {{ username: '${{ $secrets.erp.user }}', password: '${{ $secrets.erp.password }}' }} }} }} }} }}
  - b: {{ set: '${{ 1 }}' }}
""", f'permissions: {{ network: [ "{echo.url}" ], credentials: [ erp ] }}\n')
        secrets = self.world.write("secrets.json", '{"erp": {"user": "anna", "password": "hunter2-long"}}')
        done = self.world.run("run", folder, "--grant-asked", "--secrets", secrets, "--trace")
        self.assertEqual(len(echo.calls), 1)
        self.assertIn("[secret erp.password]", done.stderr)
        self.assertNotIn("hunter2-long", done.stderr)


class Step(Tooling):
    FLOW = "do:\n  - a: { set: { n: 1 } }\n  - list: { do: [ { b: { set: { n: 2 } } }, { c: { set: { n: 3 } } } ] }\n  - d: { set: '${ {n: (.n + 1)} }' }\n"

    def test_by_a_pipe(self):
        folder = self.world.package("stepped", self.FLOW)
        done = self.world.run("run", folder, "--step", input="\n.n\nnonsense(\n$nope\nn\n.n\nw\nc\n")
        self.assertEqual(json.loads(done.stdout), {"n": 4})
        self.assertIn("before a (set) at main.yaml:3", done.stderr)
        self.assertIn("before d (set)", done.stderr)
        self.assertNotIn("before b", done.stderr)
        self.assertIn("$nope is not defined here", done.stderr)
        self.assertIn("to look at: . $context $input", done.stderr)

    def test_the_end_of_the_input_cancels(self):
        done = self.world.run("run", self.world.package("stepped", self.FLOW), "--step", input="s\n", check=False)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("the input has ended: the run is cancelled", done.stderr)

    def test_abort_and_until_and_json(self):
        folder = self.world.package("stepped", self.FLOW)
        self.assertEqual(self.world.run("run", folder, "--step", input="q\n", check=False).returncode, 2)
        done = self.world.run("run", folder, "--step", "--json", input="u c\n.n\nc\n")
        lines = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertEqual([l["paused"]["name"] for l in lines if "paused" in l], ["a", "c"])
        self.assertEqual([l["looked"]["result"] for l in lines if "looked" in l], [2])

    def test_standard_input_can_have_one_reader_only(self):
        self.assertEqual(self.world.run("run", self.world.package("stepped", self.FLOW), "--step", "--input", "-", check=False).returncode, 64)

    def test_on_a_terminal_and_ctrl_c_cancels(self):
        process, terminal = self.on_terminal("run", self.world.package("stepped", self.FLOW), "--step", "--output", self.world.folder / "o.json")
        self.read_until(terminal, "step> ")
        os.write(terminal, b"{seen: .}\n")
        self.assertIn('"seen"', self.read_until(terminal, "step> "))
        os.write(terminal, b"\n")
        self.read_until(terminal, "step> ")
        os.kill(process.pid, signal.SIGINT)
        self.assertEqual(process.wait(20), 2)

    def test_the_clock_stands_still_while_a_person_thinks(self):
        folder = self.world.package("slow", "do:\n  - a: { timeout: { after: { milliseconds: 700 } }, do: [ { b: { set: '${ 1 }' } }, { c: { set: '${ 2 }' } } ] }\n",
                                    "permissions: { limits: { time: 3s } }\n")
        process = subprocess.Popen([str(BIN / "millwright"), "run", str(folder), "--step", "--grant-asked"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, env=self.environment, cwd=self.world.folder, **user())
        for line in ("s\n", "s\n", "s\n"):
            time.sleep(1.5)  # 4.5 s in all: beyond the task's timeout and the job's limit
            process.stdin.write(line)
            process.stdin.flush()
        out, err = process.communicate(timeout=30)
        self.assertEqual((process.returncode, out.strip()), (0, "2"), err)


class DryRun(Tooling):
    FLOW = """do:
  - a: { call: http, with: { method: post, endpoint: "https://t.example.com/x" } }
  - b: { call: http, with: { method: get, endpoint: '${ .where }' } }
  - c: { run: { shell: { command: "touch %s" } } }
"""

    def plan(self, *options):
        self.mark = self.world.folder / "touched"
        folder = self.world.package("dry", self.FLOW % self.mark, 'permissions: { network: [ "https://t.example.com" ], commands: [ touch ] }\n')
        done = self.world.run("run", folder, "--dry-run", *options, check=False)
        self.assertFalse(self.mark.exists())
        return done

    def test_not_granted_is_77_and_says_why(self):
        done = self.plan()
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertRegex(done.stdout, r"main\.yaml:3: a POST https://t\.example\.com/x\n    refused network https://t\.example\.com: package\.yaml asks for it, but it is not granted")
        self.assertIn("unknown network: it comes from the expression '.where'", done.stdout)
        self.assertIn("nothing was run: 3 calls, 2 not granted, 1 unknown", done.stderr)

    def test_granted_is_0(self):
        done = self.plan("--grant-asked")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("granted network https://t.example.com", done.stdout)

    def test_as_json(self):
        done = self.plan("--json", "--grant", self.world.write("g.yaml", "network: [ 'https://t.example.com' ]\n"))
        document = json.loads(done.stdout)
        self.assertEqual((done.returncode, document["allowed"], document["refused"], document["unknown"]), (77, False, 1, 1))
        self.assertEqual([c["needs"][0]["state"] for c in document["calls"]], ["granted", "unknown", "refused"])
        self.assertEqual(document["askedNotGranted"], ["commands touch"])


class FromJob(Tooling):
    FLOW = """use: { secrets: [ erp ] }
do:
  - ask:
      call: http
      with: { method: get, endpoint: { uri: "%s/orders/{order}", authentication: { basic: { username: '${ $secrets.erp.username }', password: '${ $secrets.erp.password }' } } } }
      output: { as: .total }
  - say: { call: log, with: { text: '${ "total \(.)" }' } }
  - answer: { set: { doubled: '${ . * 2 }' } }
"""

    def setUp(self):
        super().setUp()
        self.world.start_factory()
        self.world.agent("srv-1")
        self.server = self.world.receiver()
        self.server.answers["/orders/7"] = lambda *_: (200, {"total": 21, "note": "kept"})
        self.server.answers["/orders/8"] = lambda *_: (500, {})
        self.world.run("credentials", "set", "erp", "--kind", "login", "--hosts", "127.0.0.1", "--json-file", "-", input='{"username": "anna", "password": "hunter2-long"}')
        flow = self.FLOW % self.server.url
        self.trigger = "orders-api"
        folder = self.world.package("orders", flow, f'permissions: {{ network: [ "{self.server.url}" ], credentials: [ erp ] }}\n', more="credentials: { erp: { kind: login } }\n")
        self.world.run("pack", folder, "--output", self.world.folder / "orders.mwp")
        self.world.run("publish", self.world.folder / "orders.mwp")
        self.world.run("apply", "-f", self.world.write("orders.yaml", """kind: Deployment
name: orders
package: orders@1.0.0
environment: default
credentials: { erp: erp }
permissions: as-requested
---
kind: Trigger
name: orders-api
deployment: orders
type: api
"""))
        self.source = self.world.folder / "packages/orders-1.0.0"
        (self.source / "tests").mkdir()
        (self.source / "tests").chmod(0o777)

    def job(self, order, *options, status):
        done = self.world.run("trigger", self.trigger, "--input", self.world.write("in.json", json.dumps({"order": order})), "--wait", *options, check=False)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)

    def replay(self):
        made = self.source / "tests/from-job.yaml"
        made.unlink(missing_ok=True)
        self.world.run("test", "--from", "last", "--output", made)
        before = len(self.server.calls)
        done = self.world.run("test", self.source, check=False)
        self.assertEqual(len(self.server.calls), before)
        return made.read_text(), done

    def test_a_traced_job_becomes_a_test_that_passes_without_its_server_and_holds_no_secret(self):
        self.job("7", "--trace", status=0)
        text, done = self.replay()
        self.assertEqual(done.returncode, 0, text + done.stdout + done.stderr)
        self.assertIn("note: kept", text)
        self.assertNotIn("hunter2", text)
        self.assertNotIn("hunter2", self.world.run("steps", "last", "--json").stdout)
        # It is a test: what the workflow does otherwise is noticed.
        main = self.source / "main.yaml"
        main.write_text(main.read_text().replace(". * 2", ". * 3"))
        changed = self.world.run("test", self.source, check=False)
        self.assertEqual(changed.returncode, 1)
        self.assertIn("output /doubled: expected 42, actual 63", changed.stdout)

    def test_a_traced_job_that_failed_becomes_a_test_that_expects_its_error(self):
        self.job("8", "--trace", status=1)
        text, done = self.replay()
        self.assertEqual(done.returncode, 0, text + done.stdout + done.stderr)
        self.assertIn("status: 500", text)

    def test_an_ordinary_job_says_what_is_missing(self):
        self.job("7", status=0)
        text, done = self.replay()
        self.assertEqual(done.returncode, 1)
        self.assertIn("#   - task: /do/0/ask", text)
        self.assertIn(f"millwright trigger {self.trigger} --input FILE --trace", text)
        self.assertIn("no stand-in is for it", done.stdout)

    def test_who_may_only_start_a_trigger_cannot_have_its_data_kept(self):
        token = self.world.run("triggers", "token", self.trigger).stdout.split()[-1]
        answer = self.world.api("POST", f"/v1/triggers/{self.trigger}/runs", {"input": {"order": "7"}, "trace": True}, token=token)
        self.assertEqual(answer.status, 403, answer.body)
        self.assertEqual(self.world.api("POST", f"/v1/triggers/{self.trigger}/runs", {"input": {"order": "7"}, "tracee": True}).status, 400)


if __name__ == "__main__":
    unittest.main()
