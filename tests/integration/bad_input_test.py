"""Bad input: a clear error that names the thing and the place, the right status, nothing half done."""
import hashlib
import base64
import http.client
import unittest

from mill import Test, World, call

GOOD = "do:\n  - a: { set: { x: 1 } }\n"


class BadInput(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.start_factory()
        cls.trigger = cls.world.deploy("orders", "input: { schema: { document: { type: object, required: [ order ] } } }\n" + GOOD)

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__(None, None, None)

    def run_it(self, body, **more):
        return self.world.api("POST", f"/v1/triggers/{self.trigger}/runs", body, **more)

    def problem(self, reply, status, *words):
        self.assertEqual(reply.status, status, reply.body)
        self.assertIn("problem+json", reply.headers["Content-Type"])
        for word in words:
            self.assertIn(word, reply.body.decode())

    def test_broken_json(self):
        self.problem(self.run_it(b'{"input": '), 400, "JSON")

    def test_unknown_member(self):
        self.problem(self.run_it({"inputs": {}}), 400, "inputs")

    def test_input_against_the_schema(self):
        self.problem(self.run_it({"input": {}}), 400, "order")

    def test_placeholder_sent_literally(self):
        self.problem(self.run_it({"invocationContext": "${invocation_context}", "input": {"order": "1"}}), 400, "${invocation_context}", "placeholder")

    def test_wrong_token(self):
        self.problem(self.run_it({"input": {"order": "1"}}, token="mw_trigger_aaaaaaaaaaaa_" + "x" * 43), 401)

    def test_no_token(self):
        reply = call("POST", f"{self.world.url}/v1/triggers/{self.trigger}/runs", {"input": {}})
        self.problem(reply, 401)
        self.assertIn("Bearer", reply.headers["WWW-Authenticate"])

    def test_unknown_trigger(self):
        self.problem(self.world.api("POST", "/v1/triggers/nobody/runs", {"input": {}}), 404, "nobody")

    def test_body_too_large(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=20)
        connection.putrequest("POST", f"/v1/triggers/{self.trigger}/runs")
        connection.putheader("Authorization", f"Bearer {self.world.token}")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(50 * 1024 * 1024))
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 413)

    def test_nested_too_deep(self):
        self.problem(self.run_it(b'{"input":' + b'[' * 5000 + b']' * 5000 + b'}'), 413, "deep")

    def test_digest_that_does_not_match(self):
        archive = self.world.folder / "orders.mwp"
        wrong = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
        reply = call("PUT", f"{self.world.url}/v1/packages/orders/2.0.0", archive.read_bytes(), self.world.token,
                     headers={"Content-Type": "application/octet-stream", "Digest": f"sha-256={wrong}"})
        self.problem(reply, 422, "digest")
        self.assertEqual(self.world.api("GET", "/v1/packages/orders/2.0.0").status, 404)

    def test_unsupported_task_is_refused_by_name_and_place(self):
        folder = self.world.package("listener", "do:\n  - wait-for-it:\n      listen: { to: { one: { with: { type: x } } } }\n")
        done = self.world.run("check", folder, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stdout + done.stderr, r"main\.yaml:4:\d+: .*listen")

    def test_broken_yaml(self):
        folder = self.world.package("broken", "do: [ { a: { set: { x: 1 } }\n")
        done = self.world.run("check", folder, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stdout + done.stderr, r"main\.yaml:\d+:\d+: ")

    def test_unknown_key_in_a_resource(self):
        file = self.world.write("bad.yaml", "kind: Trigger\nname: t2\ndeployment: orders\ntype: api\nprioritty: 3\n")
        done = self.world.run("apply", "-f", file, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("prioritty", done.stdout + done.stderr)
        self.assertEqual(self.world.api("GET", "/v1/triggers/t2").status, 404)

    def test_unknown_command_and_option(self):
        for arguments in (["frobnicate"], ["jobs", "--nonsense"]):
            done = self.world.run(*arguments, check=False)
            self.assertEqual(done.returncode, 64, done.stderr)

    def test_every_program_explains_itself_and_refuses_what_it_does_not_know(self):
        from mill import BIN
        for name in ("millwright", "millwright-factory", "millwright-agent", "millwright-keeper", "millwright-broker", "millwright-runner", "millwright-companion"):
            shown = self.world.command(BIN / name, "--help")
            self.assertIn(name, shown.stdout)
            self.assertEqual(shown.stderr, "")
            wrong = self.world.command(BIN / name, "--nonsense", check=False)
            self.assertEqual(wrong.returncode, 64, (name, wrong.stderr))
            self.assertIn(name, wrong.stderr)
            self.assertEqual(wrong.stdout, "")

    def test_a_used_enrolment_code(self):
        code = self.world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "forMs": 60000}).json["code"]
        from mill import BIN
        first = self.world.command(BIN / "millwright-agent", "enrol", "--data", self.world.folder / "a1", "--factory", self.world.url, "--code", code, "--name", "a1")
        second = self.world.command(BIN / "millwright-agent", "enrol", "--data", self.world.folder / "a2", "--factory", self.world.url, "--code", code, "--name", "a2", check=False)
        self.assertEqual(first.returncode, 0)
        self.assertNotEqual(second.returncode, 0)
        self.assertIn("code", second.stderr)
        self.assertNotIn(code, second.stderr)


if __name__ == "__main__":
    unittest.main()
