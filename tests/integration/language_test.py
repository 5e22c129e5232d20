"""The language with the real runner, sandbox and broker: what only shows when effects are real."""
import hashlib
import http.server
import json
import threading
import time
import unittest
import urllib.parse

from mill import Test, World, wait_for


class Server(http.server.ThreadingHTTPServer):
    """`answer(handler, body)` answers; requests are kept as (method, path, headers, body)."""

    def __init__(self, answer):
        server = self
        self.seen, self.cut = [], 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def serve(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                server.seen.append((self.command, self.path, dict(self.headers), body))
                answer(self, body)

            do_GET = do_POST = serve

            def give(self, status, value=None, **headers):
                text = json.dumps(value).encode() if value is not None else b""
                self.send_response(status)
                for name, content in {"Content-Type": "application/json", **headers}.items():
                    self.send_header(name.replace("_", "-"), content)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def hang(self):
                """Until the client goes."""
                self.connection.settimeout(30)
                try:
                    if self.connection.recv(1) == b"":
                        server.cut += 1
                except OSError:
                    server.cut += 1
                self.close_connection = True

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Language(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)

    def server(self, answer):
        made = Server(answer)
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made

    def run_it(self, workflow, *options, permissions="", more="", input=None, name="job"):
        folder = self.world.package(name, workflow, permissions, more=more)
        out = self.world.folder / "out.json"
        self.world.folder.chmod(0o777)
        arguments = ["run", folder, "--output", out, *(options or ["--grant-asked"])]
        if input is not None:
            arguments += ["--input", self.world.write("in.json", json.dumps(input))]
        done = self.world.run(*arguments, check=False)
        return done, json.loads(out.read_text()) if out.exists() else None

    def test_the_loser_of_a_race_is_cut_off_call_and_command_alike(self):
        server = self.server(lambda handler, body: handler.hang())
        mark = f"mill-race-{time.time_ns()}"
        done, output = self.run_it(f"""do:
  - race:
      fork:
        compete: true
        branches:
          - call: {{ call: http, with: {{ method: get, endpoint: "{server.url}/slow" }} }}
          - command: {{ run: {{ shell: {{ command: "sleep 600; echo {mark}" }} }} }}
          - quick: {{ wait: PT1S, output: {{ as: '"quick"' }} }}
  - more: {{ wait: PT1S }}
""", permissions=f'permissions: {{ network: [ "{server.url}" ], commands: [ sh, sleep ] }}\n')
        self.assertEqual((done.returncode, output), (0, "quick"), done.stderr)
        self.assertEqual(len(server.seen), 1)
        wait_for("the connection to be cut", lambda: server.cut == 1)
        for status in __import__("pathlib").Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.assertNotIn(mark.encode(), status.read_bytes())
            except OSError:
                pass

    def test_a_timeout_inside_a_fork_inside_a_try_cuts_the_call_and_is_caught(self):
        server = self.server(lambda handler, body: handler.hang())
        done, output = self.run_it(f"""do:
  - t:
      try:
        - f:
            fork:
              branches:
                - a: {{ call: http, with: {{ method: get, endpoint: "{server.url}/slow" }}, timeout: {{ after: PT1S }} }}
                - b: {{ wait: PT1M }}
      catch:
        errors: {{ with: {{ type: https://serverlessworkflow.io/dsl/errors/types/timeout }} }}
        do: [ {{ h: {{ set: {{ where: "${{ $error.instance }}" }} }} }} ]
""", permissions=f'permissions: {{ network: [ "{server.url}" ] }}\n')
        self.assertEqual((done.returncode, output), (0, {"where": "/do/0/t/try/0/f/fork/branches/0/a"}), done.stderr)
        wait_for("the connection to be cut", lambda: server.cut == 1)

    def test_an_oauth_token_is_got_by_the_broker_and_seen_by_nobody(self):
        def answer(handler, body):
            if handler.path == "/realm/oauth2/token":
                form = urllib.parse.parse_qs(body)
                good = form.get("client_secret") == ["the-clients-secret"] and form["grant_type"] == ["client_credentials"]
                return handler.give(200, {"access_token": "the-token-itself", "token_type": "Bearer", "expires_in": 60}) if good else handler.give(401, {"error": "invalid_client"})
            handler.give(200, {"saw": handler.headers.get("Authorization")})

        server = self.server(answer)
        flow = f"""use: {{ secrets: [ erp ] }}
do:
  - first:
      call: http
      with:
        method: get
        endpoint: {{ uri: "{server.url}/api", authentication: {{ oauth2: {{ authority: "{server.url}/realm", grant: client_credentials, client: {{ id: robot, secret: "${{ $secrets.erp.clientSecret }}" }} }} }} }}
  - again:
      call: http
      with:
        method: get
        endpoint: {{ uri: "{server.url}/api", authentication: {{ oauth2: {{ authority: "{server.url}/realm", grant: client_credentials, client: {{ id: robot, secret: "${{ $secrets.erp.clientSecret }}" }} }} }} }}
"""
        secrets = self.world.write("secrets.json", json.dumps({"erp": {"clientSecret": "the-clients-secret"}}))
        events = self.world.folder / "events.jsonl"
        done, output = self.run_it(flow, "--grant-asked", "--secrets", secrets, "--events", events,
                                   permissions=f'permissions: {{ network: [ "{server.url}" ], credentials: [ erp ] }}\n', more="credentials: { erp: { kind: oauth2 } }\n")
        self.assertEqual((done.returncode, output), (0, {"saw": "Bearer ***"}), done.stderr)
        self.assertEqual([path for _, path, _, _ in server.seen], ["/realm/oauth2/token", "/api", "/api"])
        self.assertEqual(server.seen[2][2]["Authorization"], "Bearer the-token-itself")
        for text in (done.stdout, done.stderr, events.read_text()):
            self.assertNotIn("the-token-itself", text)
            self.assertNotIn("the-clients-secret", text)

    def test_digest_authentication_is_what_a_server_computes_itself(self):
        def answer(handler, body):
            proof = handler.headers.get("Authorization", "")
            parts = {k.strip(): v.strip().strip('"') for k, v in (p.split("=", 1) for p in proof[7:].split(",") if "=" in p)} if proof.startswith("Digest ") else {}

            def h(text):
                return hashlib.sha256(text.encode()).hexdigest()

            if parts.get("nonce") == "n-1":
                want = h(":".join([h("anna:here:pass word"), "n-1", parts["nc"], parts["cnonce"], "auth", h(f"GET:{handler.path}")]))
                if parts["response"] == want:
                    return handler.give(200, {"nc": parts["nc"]})
            handler.give(401, {}, WWW_Authenticate='Digest realm="here", nonce="n-1", qop="auth", algorithm=SHA-256')

        server = self.server(answer)
        call = f'{{ call: http, with: {{ method: get, endpoint: {{ uri: "{server.url}/a?b=1", authentication: {{ digest: {{ username: anna, password: pass word }} }} }} }} }}'
        done, output = self.run_it(f"do:\n  - a: {call}\n  - b: {call}\n", permissions=f'permissions: {{ network: [ "{server.url}" ] }}\n')
        self.assertEqual((done.returncode, output), (0, {"nc": "00000002"}), done.stderr)
        self.assertEqual(len(server.seen), 3)

    def test_a_dependency_beside_the_package_runs_packed_and_unpacked(self):
        tools = self.world.folder / "packages" / "tools"
        tools.mkdir(parents=True)
        (tools / "package.yaml").write_text("name: tools\nversion: 1.0.0\n")
        (tools / "workflow.yaml").write_text("document: { dsl: 1.0.3, namespace: tests, name: tools, version: 1.0.0 }\ndo:\n  - t: { set: { twice: '${ .n * 2 }' } }\n")
        flow = "do:\n  - r: { run: { workflow: { namespace: tests, name: tools, version: 1.0.0 } } }\n"
        done, output = self.run_it(flow, more="dependencies: { tools: 1.0.0 }\n", input={"n": 4})
        self.assertEqual((done.returncode, output), (0, {"twice": 8}), done.stderr)
        packed = self.world.folder / "job.mwp"
        self.world.run("pack", self.world.folder / "packages" / "job-1.0.0", "--output", packed)
        out = self.world.folder / "packed.json"
        self.world.run("run", packed, "--grant-asked", "--input", self.world.folder / "in.json", "--output", out)
        self.assertEqual(json.loads(out.read_text()), {"twice": 8})
        (tools / "package.yaml").write_text("name: tools\nversion: 1.1.0\n")
        checked = self.world.run("check", self.world.folder / "packages" / "job-1.0.0", check=False)
        self.assertEqual(checked.returncode, 65)
        self.assertIn("is wanted in the version 1.0.0, but there is 1.1.0", checked.stdout + checked.stderr)

    def test_a_dependency_runs_on_an_agent_as_it_does_by_hand(self):
        world = self.world
        world.start_factory()
        world.agent()
        tools = world.folder / "packages" / "tools"
        tools.mkdir(parents=True)
        (tools / "package.yaml").write_text("name: tools\nversion: 1.0.0\nworkflow: tools.yaml\n")
        (tools / "rate.py").write_text("import sys\nprint(int(sys.argv[1]) * 7)\n")
        (tools / "tools.yaml").write_text("""document: { dsl: 1.0.3, namespace: tests, name: tools, version: 1.0.0 }
do:
  - rate: { run: { script: { language: python, source: { endpoint: "package:///rate.py" }, arguments: [ "${ .n | tostring }" ] } }, output: { as: "{product: tonumber}" } }
""")
        flow = "do:\n  - r: { run: { workflow: { namespace: tests, name: tools, version: 1.0.0, input: { n: '${ .n }' } } } }\n"
        trigger = world.deploy("uses", flow, permissions="permissions: { commands: [ python3 ] }\n", more="dependencies: { tools: 1.0.0 }\n")
        job = world.ended(world.trigger(trigger, {"n": 6}))
        self.assertEqual((job["state"], job.get("output")), ("successful", {"product": 42}), job)

    def test_a_value_as_deep_as_memory_holds_is_an_error_that_can_be_caught_and_a_command_keeps_the_usual_stack(self):
        caught = "catch: { as: e, do: [ { c: { set: { why: '${ $e.detail }' } } } ] }"
        done, output = self.run_it(f"""do:
  - result: {{ try: [ {{ deep: {{ set: {{ v: "${{ reduce range(500000) as $i (null; [., $i]) }}" }} }} }} ], {caught}, export: {{ as: "$context + {{result: .}}" }} }}
  - between: {{ set: {{ v: "${{ reduce range(500000) as $i (null; [., $i]) | length }}" }}, export: {{ as: "$context + {{between: .v}}" }} }}
  - stopped: {{ try: [ {{ endless: {{ set: {{ v: "${{ reduce range(1e9) as $i (null; if $i < 400000 then [., $i] else . end) }}" }} }} }} ], {caught}, export: {{ as: "$context + {{stopped: .}}" }} }}
  - stack: {{ run: {{ shell: {{ command: "ulimit -s" }} }}, output: {{ as: "$context + {{stack: .}}" }} }}
""", permissions="permissions: { commands: [ sh ] }\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("nested deeper than", output["result"]["why"])
        self.assertEqual(output["between"], 2)
        self.assertIn("took longer than", output["stopped"]["why"])
        self.assertEqual(output["stack"].strip(), "8192")

    def test_what_is_not_waited_for_runs_on_and_its_failure_is_a_line_in_the_log(self):
        done, output = self.run_it("""do:
  - go: { run: { shell: { command: "sleep 1; echo late > late.txt" }, await: false } }
  - bad: { run: { shell: { command: "exit 3" }, await: false } }
  - now: { set: { done: true } }
""", permissions="permissions: { commands: [ sh ] }\n")
        self.assertEqual((done.returncode, output), (0, {"done": True}), done.stderr)
        self.assertIn("await: false", done.stdout + done.stderr)

    def test_scripts_in_both_languages_with_arguments_environment_and_stdin(self):
        done, output = self.run_it("""do:
  - js:
      run:
        script: { language: js, code: "process.stdin.on('data', d => console.log(n + 1, process.env.WHO, String(d)))", arguments: { n: "${ .n }" }, environment: { WHO: me }, stdin: in }
      export: { as: "$context + {js: .}" }
  - py:
      run:
        script: { language: python, source: { endpoint: "package:///s.py" }, arguments: [ a, 5 ] }
        return: all
      output: { as: "$context + {py: .}" }
""", permissions="permissions: { commands: [ node, python3 ] }\n", input={"n": 1})
        self.assertEqual(done.returncode, 65, "the script of the package is not there yet")
        (self.world.folder / "packages" / "job-1.0.0" / "s.py").write_text("import sys\nprint(sys.argv[1:], file=sys.stderr)\n")
        out = self.world.folder / "out.json"
        done = self.world.run("run", self.world.folder / "packages" / "job-1.0.0", "--grant-asked", "--input", self.world.folder / "in.json", "--output", out, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        output = json.loads(out.read_text())
        self.assertEqual(output, {"js": "2 me in\n", "py": {"code": 0, "stdout": "", "stderr": "['a', '5']\n"}})


if __name__ == "__main__":
    unittest.main()
