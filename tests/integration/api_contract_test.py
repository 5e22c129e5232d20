"""The API's contract: the OpenAPI document against a kept validator and against the routes, OAuth 2 against a kept client, tags, and fuzzed calls.

The npm packages are in the folder that MILL_NODE_MODULES names: `npm install --prefix FOLDER openid-client @seriousme/openapi-schema-validator`; those tests skip without them."""
import http.client
import json
import os
import pathlib
import re
import subprocess
import unittest
from urllib.parse import urlsplit

from mill import BIN, SOURCE, Test, World

MODULES = os.environ.get("MILL_NODE_MODULES", "")

VALIDATE = """
import { Validator } from '@seriousme/openapi-schema-validator';
let text = '';
for await (const piece of process.stdin) text += piece;
const validator = new Validator();
const result = await validator.validate(JSON.parse(text));
console.log(JSON.stringify({ valid: result.valid, version: validator.version, errors: result.errors ?? [] }));
"""
GRANT = """
import * as client from 'openid-client';
const [url, id, secret, scope, how] = process.argv.slice(2);
const method = how === 'post' ? client.ClientSecretPost(secret) : client.ClientSecretBasic(secret);
const configuration = new client.Configuration({ issuer: url, token_endpoint: url + '/oauth/token' }, id, undefined, method);
client.allowInsecureRequests(configuration);
try {
  const tokens = await client.clientCredentialsGrant(configuration, scope ? { scope } : undefined);
  console.log(JSON.stringify({ token: tokens.access_token, type: tokens.token_type, life: tokens.expiresIn(), scope: tokens.scope ?? null }));
} catch (error) {
  console.log(JSON.stringify({ error: error.error ?? String(error), code: error.code ?? null, status: error.status ?? null }));
}
"""


def has(package):
    return bool(MODULES) and pathlib.Path(MODULES, package).is_dir()


class Contract(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.start_factory()
        cls.document = cls.world.api("GET", "/v1/openapi.json").json

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__(None, None, None)

    def node(self, script, *arguments, input=""):
        """A module beside the packages, so that it finds them."""
        folder = self.world.folder / "node"
        folder.mkdir(exist_ok=True)
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(MODULES)
        file = folder / "script.mjs"
        file.write_text(script)
        done = subprocess.run(["node", "--preserve-symlinks", "--preserve-symlinks-main", str(file), *arguments], input=input, capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def call(self, method, path, token=None):
        address = urlsplit(self.world.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        connection.request(method, path, headers={"Authorization": f"Bearer {token or self.world.token}"})
        answer = connection.getresponse()
        text = answer.read() if answer.status >= 400 else b"{}"
        connection.close()
        return answer, json.loads(text or b"{}")

    def test_a_kept_validator_finds_nothing_wrong_with_the_document(self):
        if not has("@seriousme/openapi-schema-validator"):
            self.skipTest("no npm package @seriousme/openapi-schema-validator in MILL_NODE_MODULES")
        result = self.node(VALIDATE, input=json.dumps(self.document))
        self.assertTrue(result["valid"], result["errors"])
        self.assertEqual(result["version"], "3.1")
        broken = json.loads(json.dumps(self.document))   # it looks
        broken["paths"]["/v1/jobs"]["get"]["parameters"][0]["in"] = "nowhere"
        self.assertFalse(self.node(VALIDATE, input=json.dumps(broken))["valid"])

    def test_each_operation_is_served_and_nothing_else_is(self):
        served = 0
        for path, methods in self.document["paths"].items():
            listed = {method.upper() for method in methods}
            place = re.sub(r"\{[a-z]+\}", "nothing", path)
            for method in ("GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS"):
                answer, problem = self.call(method, place, token="mw_user_aaaaaaaaaaaa_" + "0" * 64)
                with self.subTest(path=path, method=method):
                    self.assertNotEqual(problem.get("code"), "unknown_route")
                    if method in listed:
                        self.assertNotEqual(answer.status, 405)
                        served += 1
                    else:
                        self.assertEqual(answer.status, 405)
                        self.assertEqual(set(re.split(r", *", answer.headers["Allow"])), listed)
        self.assertGreater(served, 100)
        self.assertEqual(self.call("GET", "/v1/moon")[1]["code"], "unknown_route")
        # Each route's line in the source is in the document, too.
        routes = re.findall(r'^ +\{"([A-Z]+)", "([^"]+)", A::', (SOURCE / "factory/api/routes.cpp").read_text(), re.M)
        self.assertEqual({(m, p) for m, p in routes}, {(method.upper(), path) for path, methods in self.document["paths"].items() for method in methods})

    def test_the_document_says_what_is_needed_and_which_errors_there_are(self):
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                with self.subTest(path=path, method=method):
                    self.assertNotIn("default", operation["responses"])
                    self.assertNotIn("500", operation["responses"])
                    self.assertIn("429", operation["responses"])
                    if operation["x-role"] in ("viewer", "operator", "developer", "admin"):
                        self.assertIn("403", operation["responses"])
                        self.assertRegex(operation["x-scope"], r"^[a-z]+(:read)?$")
                    for reference in re.findall(r'"\$ref": "#/components/([a-z]+)/([A-Za-z]+)"', json.dumps(operation)):
                        self.assertIn(reference[1], self.document["components"][reference[0]])

    def test_a_kept_oauth_client_gets_a_token_and_understands_refusals(self):
        if not has("openid-client"):
            self.skipTest("no npm package openid-client in MILL_NODE_MODULES")
        made = self.world.api("POST", "/v1/tokens", {"kind": "user", "name": "tool", "role": "operator", "scopes": ["jobs", "runs"]}).json
        for how in ("basic", "post"):
            given = self.node(GRANT, self.world.url, made["id"], made["token"], "", how)
            self.assertEqual((given["type"], given["scope"]), ("bearer", "runs jobs"), given)
            self.assertLessEqual(abs(given["life"] - 3600), 5)
            self.assertEqual(self.world.api("GET", "/v1/session", token=given["token"]).json["id"], made["id"])
        narrow = self.node(GRANT, self.world.url, made["id"], made["token"], "jobs:read", "basic")
        self.assertEqual(narrow["scope"], "jobs:read")
        self.assertEqual(self.world.api("GET", "/v1/jobs", token=narrow["token"]).status, 200)
        self.assertEqual(self.node(GRANT, self.world.url, made["id"], made["token"], "agents", "basic")["error"], "invalid_scope")
        refused = self.node(GRANT, self.world.url, made["id"], "mw_user_aaaaaaaaaaaa_" + "0" * 64, "", "basic")
        # With a challenge in the answer the client reports that; without one, the error's word.
        self.assertTrue(refused["error"] == "invalid_client" or refused["status"] == 401, refused)

    def test_two_thousand_odd_calls_find_nothing(self):
        def fuzz(*arguments):
            return subprocess.run([SOURCE / "tests/fuzz/api", *arguments], capture_output=True, text=True, timeout=400, check=False, env={**os.environ, "MILL_BIN": str(BIN), "MILL_SOURCE": str(SOURCE)})
        blind = fuzz("--requests", "200", "--seed", "1", "--forget", "400")   # it looks
        self.assertEqual(blind.returncode, 1, blind.stdout + blind.stderr)
        self.assertIn("status 400 is not listed", blind.stdout)
        done = fuzz("--requests", "2000", "--seed", "20261127")
        self.assertEqual(done.returncode, 0, (done.stdout + done.stderr)[-5000:])
        self.assertRegex(done.stdout, r"2000 requests .* 0 findings")


class Rebuilt(Test):
    def test_a_whole_factory_is_made_again_from_its_files_and_packages(self):
        kinds = ["calendars", "environments", "deployments", "triggers", "notifiers"]
        with World() as first, World() as second:
            first.start_factory()
            second.start_factory()
            receiver = first.receiver()
            first.api("PUT", "/v1/calendars/days-off", {"days": ["2027-01-01"]})
            notifier = f'kind: Notifier\nname: tell\ntrigger: orders-api\non: [ success, failure ]\ntype: api\napi: {{ url: "{receiver.url}/hook", body: {{ job: "${{ .job.uid }}" }} }}\n'
            first.deploy("orders", "do: [ { one: { set: { a: 1 } } } ]\n", environment="prod", trigger="priority: 70\nallow: [ 192.0.2.0/24 ]\n", notifiers=notifier)
            first.run("apply", "-f", first.write("more.yaml", "kind: Trigger\nname: nightly\ndeployment: orders\ntype: schedule\n"
                                                              "schedule: { cron: '0 6 * * mon-fri', timezone: Europe/Berlin, calendars: [ days-off ] }\n"))
            got = {kind: first.run("get", kind).stdout for kind in kinds}
            folder = second.folder / "factory-files"
            folder.mkdir()
            for kind, text in got.items():
                (folder / f"{kind}.yaml").write_text(text)
            for item in first.api("GET", "/v1/packages").json["items"]:
                if item["name"] == "canary" or "millwright" in item["name"]:
                    continue
                archive = second.folder / f"{item['name']}.mwp"
                archive.write_bytes(first.api("GET", f"/v1/packages/{item['name']}/{item['version']}/archive").body)
                second.run("publish", archive)
            second.run("apply", "-f", folder, "--source", "all-of-it")

            def bare(world):
                out = {}
                for kind in kinds:
                    for item in world.api("GET", f"/v1/{kind}").json["items"]:
                        item.pop("status")
                        out[kind, item["name"]] = item
                return out
            self.assertEqual(bare(second), bare(first))
            self.assertGreaterEqual(len(bare(first)), 6)
            again = second.json("apply", "-f", folder, "--source", "all-of-it", "--prune", "--dry-run")
            self.assertEqual({result["result"] for result in again["results"]}, {"unchanged"})
            (folder / "notifiers.yaml").unlink()
            self.assertIn("would be deleted Notifier tell", second.run("apply", "-f", folder, "--source", "all-of-it", "--prune", "--dry-run").stdout)
            self.assertIn("deleted Notifier tell", second.run("apply", "-f", folder, "--source", "all-of-it", "--prune").stdout)
            self.assertEqual(second.api("GET", "/v1/notifiers/tell").status, 404)
            empty = second.folder / "empty"
            empty.mkdir()
            refused = second.run("apply", "-f", empty, "--source", "all-of-it", "--prune", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertEqual(second.api("GET", "/v1/triggers/nightly").status, 200)
            self.assertEqual(second.run("apply", "-f", folder, "--prune", check=False).returncode, 64)


if __name__ == "__main__":
    unittest.main()
