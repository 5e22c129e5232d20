"""Packages signed by publishers, through the real programs: keys, signing, publishing, what an agent starts, revocation, and a factory that lies."""
import base64
import http.client
import json
import os
import threading
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mill import BIN, Test, World

SET = "do:\n  - a: { set: { x: 1 } }\n"
AGENT = BIN / "millwright-agent"


class Liar:
    """Between agent and factory: hands everything on, and changes what the agent is told by `lie(path, answer)`."""

    def __init__(self, port):
        liar = self
        self.lie = lambda path, answer: answer

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                upstream = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                try:
                    upstream.request(self.command, self.path, body, {k: v for k, v in self.headers.items() if k.lower() not in ("host", "content-length", "connection")} | {"Host": f"127.0.0.1:{port}"})
                    answer = upstream.getresponse()
                    content = answer.read()
                except OSError:
                    self.close_connection = True
                    return
                finally:
                    upstream.close()
                if answer.headers.get("Content-Type", "").startswith("application/json"):
                    content = json.dumps(liar.lie(self.path, json.loads(content))).encode()
                elif self.path.startswith("/agent/v1/packages/"):
                    content = liar.lie(self.path, content)
                self.send_response(answer.status)
                for name in ("Content-Type", "Date"):
                    if answer.headers.get(name):
                        self.send_header(name, answer.headers[name])
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Signatures(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()

    def key(self, name="acme"):
        """(file, "ed25519:…", fingerprint)"""
        path = self.world.folder / f"{name}.key"
        made = self.world.json("keys", "new", name, "--out", path)
        return path, made["publicKey"], made["fingerprint"]

    def pack(self, name="orders", version="1.0.0", text=SET):
        archive = self.world.folder / f"{name}-{version}.mwp"
        self.world.run("pack", self.world.package(name, text, version=version), "--output", archive)
        return archive

    def apply(self, text, *more, check=True):
        return self.world.run("apply", "-f", self.world.write("apply.yaml", text), *more, check=check)

    def publisher(self, keys, revoked=(), name="acme", **more):
        return self.apply(f"kind: Publisher\nname: {name}\nkeys: {json.dumps(list(keys))}\nrevoked: {json.dumps(list(revoked))}\n", **more)

    def deploy(self, package="orders@1.0.0", **more):
        return self.apply(f"""kind: Deployment
name: orders
package: {package}
environment: default
---
kind: Trigger
name: orders-api
deployment: orders
type: api
""", **more)

    def policy(self, data, text):
        (data / "policy.yaml").write_text(text)

    def refused(self, uid, *words):
        job = self.world.ended(uid)
        self.assertEqual((job["state"], job["reason"]), ("failed", "refused"), job)
        why = self.world.run("why", uid).stdout
        for word in words:
            self.assertIn(word, why)
        return job

    def test_keys_signatures_and_files(self):
        world = self.world
        file, public, print_of = self.key()
        self.assertEqual(os.stat(file).st_mode & 0o777, 0o600)
        secret = json.loads(file.read_text())["privateKey"]
        shown = world.run("keys", file)
        self.assertEqual(shown.stdout.strip(), public)
        self.assertNotIn(secret, shown.stdout + shown.stderr)
        self.assertIn(print_of, shown.stderr)
        again = world.run("keys", "new", "acme", "--out", file, check=False)  # none is written over
        self.assertEqual(again.returncode, 64)
        self.assertEqual(json.loads(file.read_text())["privateKey"], secret)
        self.assertEqual(world.run("keys", "new", "No Name", "--out", world.folder / "x", check=False).returncode, 64)

        archive = self.pack()
        before = archive.read_bytes()
        self.assertEqual(world.run("packages", "verify", archive, "--key", public, check=False).returncode, 77)
        world.run("sign", archive, "--key", file)
        self.assertEqual(archive.read_bytes(), before)
        signature = archive.with_name(archive.name + ".sig")
        first = signature.read_text()
        world.run("sign", archive, "--key", file)
        self.assertEqual(signature.read_text(), first)  # deterministic, and there once
        other, other_public, _ = self.key("zeta")
        world.run("sign", archive, "--key", other)
        self.assertEqual(len(json.loads(signature.read_text())["signatures"]), 2)
        world.run("packages", "verify", archive, "--key", public, "--key", other_public)
        world.run("packages", "verify", archive, "--key", file)
        _, stranger, _ = self.key("stranger")
        self.assertEqual(world.run("packages", "verify", archive, "--key", stranger, check=False).returncode, 77)
        self.assertEqual(world.run("packages", "verify", archive, "--key", "nonsense", check=False).returncode, 64)
        stale = json.loads(first)
        stale["package"]["digest"] = "sha256:" + "0" * 64
        signature.write_text(json.dumps(stale))
        refused = world.run("publish", archive, check=False)  # packed anew, not signed anew
        self.assertEqual(refused.returncode, 1)
        self.assertIn("sign it again", refused.stderr)
        self.assertIn("is replaced", world.run("sign", archive, "--key", file).stderr)
        self.assertEqual(signature.read_text(), first)
        forged = json.loads(first)
        forged["signatures"][0]["manifest"] = forged["package"]["digest"]
        signature.write_text(json.dumps(forged))
        self.assertEqual(world.run("packages", "verify", archive, "--key", public, check=False).returncode, 77)
        signature.write_text("{")
        broken = world.run("publish", archive, check=False)
        self.assertEqual(broken.returncode, 65)
        self.assertIn(signature.name, broken.stderr)
        self.assertEqual(world.json("packages")["items"], [])  # nothing is half done
        file.chmod(0o644)
        self.assertEqual(world.run("sign", archive, "--key", file, check=False).returncode, 77)

    def test_published_with_signatures_and_signed_later(self):
        world = self.world
        file, public, print_of = self.key()
        archive = self.pack()
        world.run("sign", archive, "--key", file)
        self.assertIn("signed by", world.run("publish", archive).stdout)
        self.publisher([public])
        self.assertIn("acme", world.run("packages").stdout)
        world.run("packages", "verify", "orders@1.0.0", "--key", public)
        other, other_public, _ = self.key("zeta")
        self.assertEqual(world.run("packages", "verify", "orders@1.0.0", "--key", other_public, check=False).returncode, 77)
        world.run("packages", "sign", "orders@1.0.0", "--key", other)
        world.run("packages", "verify", "orders@1.0.0", "--key", public, "--key", other_public)
        self.assertEqual(len(world.json("get", "package", "orders@1.0.0")["signatures"]), 2)
        # Both at once, killed and started again: what was answered is there.
        keys = [self.key(f"more-{i}")[0] for i in range(4)]
        threads = [threading.Thread(target=world.run, args=("packages", "sign", "orders@1.0.0", "--key", key)) for key in keys]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        world.factory.kill()
        world.start_factory()
        self.assertEqual(len(world.json("get", "package", "orders@1.0.0")["signatures"]), 6)
        world.run("publish", world.package("orders", SET, version="1.1.0"), "--sign", file)
        world.run("packages", "verify", "orders@1.1.0", "--key", public)
        self.assertIn("acme", world.run("get", "publishers").stdout)

    def test_what_was_pinned_at_enrolment_runs_and_a_revoked_key_ends_that(self):
        world = self.world
        file, public, print_of = self.key()
        self.publisher([public])
        world.run("publish", self.pack(), "--sign", file)
        self.deploy()
        data = world.folder / "srv-1"
        code = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True}).json["code"]
        said = world.command(AGENT, "enrol", "--data", data, "--factory", world.url, "--code", code, "--name", "srv-1").stdout
        self.assertIn(f"publisher acme is pinned: {print_of}", said)
        agent = world.start_agent(data)  # with the policy that enrol wrote: nothing unsigned
        self.assertEqual(world.ended(world.trigger("orders-api"))["state"], "successful")
        self.assertIn("publishers: acme", world.command(AGENT, "doctor", "--data", data, check=False).stdout)
        world.run("publish", self.pack(version="1.1.0"))
        self.deploy("orders@1.1.0")
        checked = world.run("deployments", "check", "orders", check=False).stdout
        self.assertIn("srv-1 would refuse it", checked)
        self.refused(world.trigger("orders-api"), "orders 1.1.0 is not signed", "unsigned: true")

        next_file, next_public, _ = self.key("next")
        self.deploy("orders@1.0.0")
        self.publisher([public, next_public])
        self.assertEqual(world.ended(world.trigger("orders-api"))["state"], "successful")
        self.publisher([next_public], revoked=[public])
        job = self.refused(world.trigger("orders-api"), print_of, "which was revoked", "millwright packages sign orders@1.0.0")
        self.assertEqual(job["evidence"]["signatures"][0], {"key": print_of, "publisher": "acme", "standing": "revoked"})
        self.assertEqual((data / "factories").glob("*/revoked-keys").__next__().read_text().strip(), public)
        # Also after a restart, whatever the factory says then, and where unsigned ones run.
        agent.stop()
        self.policy(data, "unsigned: true\n")
        self.publisher([public], name="other", check=False)
        world.start_agent(data)
        self.refused(world.trigger("orders-api"), "which was revoked")
        # The next key was not known when this agent was enrolled: its owner says it.
        world.run("packages", "sign", "orders@1.0.0", "--key", next_file)
        self.policy(data, f"publishers: {{ acme: '{next_public}' }}\n")
        world.command(AGENT, "reload", "--data", data)
        job = world.ended(world.trigger("orders-api"))
        self.assertEqual(job["state"], "successful", job)

    def test_the_policy_and_what_it_says_beforehand(self):
        world = self.world
        file, public, print_of = self.key()
        archive = self.pack()
        world.run("sign", archive, "--key", file)
        data = world.enrol()
        self.policy(data, f"unsigned: true\npublishers: {{ acme: '{public}' }}\npackages: [ {{ name: 'orders*', signedBy: [ acme ] }}, '*' ]\n")
        asked = world.folder / "packages/orders-1.0.0/package.yaml"
        without = world.command(AGENT, "policy", "test", asked, "--data", data, check=False)
        self.assertEqual(without.returncode, 77)
        self.assertIn("has to be signed by acme", without.stdout)
        signed = world.command(AGENT, "policy", "test", asked, "--data", data, "--signature", str(archive) + ".sig")
        self.assertIn("signed by acme", signed.stdout)
        world.run("publish", archive)
        self.deploy()
        world.start_agent(data)
        self.assertEqual(world.ended(world.trigger("orders-api"))["state"], "successful")  # no Publisher at the factory: the policy knows the key
        trigger = world.deploy("reports", SET)
        self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")  # unsigned where the policy says so
        self.policy(data, "publishers: { acme: nonsense }\n")
        refused = world.command(AGENT, "reload", "--data", data, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("ed25519:BASE64", refused.stdout + refused.stderr)

    def test_an_environment_that_demands_signatures(self):
        world = self.world
        file, public, _ = self.key()
        self.publisher([public])
        world.run("publish", self.pack())
        self.apply('kind: Environment\nname: default\nagents: [ "*" ]\nrequireSigned: [ acme ]\n')
        refused = self.deploy(check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("has to be signed by acme", refused.stderr)
        world.run("packages", "sign", "orders@1.0.0", "--key", file)
        self.deploy()
        self.publisher([], revoked=[public])
        answer = world.api("POST", "/v1/triggers/orders-api/runs", {"input": {}})
        self.assertEqual(answer.status, 409)
        self.assertIn("which was revoked", answer.json["detail"])
        self.assertIn("has to be signed by acme", world.run("deployments", "check", "orders", check=False).stdout)

    def test_a_factory_that_lies_starts_nothing_that_the_policy_refuses(self):
        world = self.world
        file, public, print_of = self.key()
        thief, thief_public, thief_print = self.key("thief")
        for version in ("1.0.0", "1.1.0"):
            world.run("publish", self.pack(version=version), "--sign", file)
        world.run("publish", self.pack("other"), "--sign", file)
        world.run("publish", self.pack(version="6.6.6"), "--sign", thief)
        signed = {f"{p['name']}@{p['version']}": p for p in world.json("packages")["items"]}
        liar = Liar(world.port)
        self.addCleanup(liar.close)
        code = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True}).json["code"]
        data = world.folder / "srv-1"
        world.command(AGENT, "enrol", "--data", data, "--factory", liar.url, "--code", code, "--name", "srv-1")
        self.policy(data, f"unsigned: true\npublishers: {{ acme: '{public}' }}\npackages: [ {{ name: 'orders*', signedBy: [ acme ] }} ]\n")
        self.deploy()
        world.start_agent(data)
        honest = liar.lie
        self.assertEqual(world.ended(world.trigger("orders-api"))["state"], "successful")

        def lying(change):
            def lie(path, answer):
                if path == "/agent/v1/offers":
                    for offer in answer.get("offers", []):
                        change(offer["package"])
                return answer
            return lie

        def signature(package, of, **more):
            package["signatures"] = [{k: signed[of]["signatures"][0][k] for k in ("key", "manifest", "signature")} | more]

        def bytes_of(package, of):
            package["digest"] = signed[of]["digest"]

        lies = {
            "no signature": lambda p: p.pop("signatures"),
            "of another version": lambda p: signature(p, "orders@1.1.0"),
            "of another package": lambda p: signature(p, "other@1.0.0"),
            "another version's bytes under this one's name": lambda p: bytes_of(p, "orders@1.1.0"),
            "another version under its name and signature, this one's bytes": lambda p: (p.update(version="1.1.0"), signature(p, "orders@1.1.0")),
            "another manifest": lambda p: p["signatures"][0].update(manifest=p["digest"]),
            "a thief's signature": lambda p: (p.update(version="6.6.6"), bytes_of(p, "orders@6.6.6"), signature(p, "orders@6.6.6")),
            "a thief's signature that says it is acme's": lambda p: (p.update(version="6.6.6"), bytes_of(p, "orders@6.6.6"), signature(p, "orders@6.6.6", key=public)),
            "a cut signature": lambda p: p["signatures"][0].update(signature=base64.b64encode(b"x" * 63).decode()),
            "no list": lambda p: p.update(signatures="acme"),
            "a name that no rule has": lambda p: (p.update(name="reports"), signature(p, "orders@1.0.0")),
        }
        for what, change in lies.items():
            with self.subTest(what):
                liar.lie = lying(change)
                job = self.refused(world.trigger("orders-api"))
                self.assertNotIn("startedAt", job)
        # The signature of this version, and other bytes when the package is fetched.
        cache = next(data.glob("packages/*.mwp"))
        cache.unlink()
        other = (world.folder / "orders-6.6.6.mwp").read_bytes()
        liar.lie = lambda path, answer: other if path.startswith("/agent/v1/packages/") else answer
        job = world.ended(world.trigger("orders-api"), 60)
        self.assertEqual((job["state"], job["reason"]), ("failed", "invalid_package"), job)
        self.assertNotIn("startedAt", job)
        liar.lie = honest
        self.assertEqual(world.ended(world.trigger("orders-api"))["state"], "successful")


class Values(Test):
    def test_an_environment_s_values_reach_its_deployments_jobs(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        folder = world.package("greet", "do:\n  - a: { set: { hello: '${ $runtime.metadata.variables.region }' } }\n", more="variables:\n  region: { type: string, required: true }\n")
        world.run("publish", folder)

        def environment(region, *more, check=True):
            return world.run("apply", "-f", world.write("env.yaml", f'kind: Environment\nname: default\nagents: [ "*" ]\n' + (f"variables: {{ region: {region} }}\n" if region else "")), *more, check=check)
        documents = "kind: Deployment\nname: greet\npackage: greet@1.0.0\nenvironment: default\n---\nkind: Trigger\nname: greet-api\ndeployment: greet\ntype: api\n"
        missing = world.run("apply", "-f", world.write("greet.yaml", documents), check=False)
        self.assertIn("variable 'region' (string) is required", missing.stderr)
        environment("eu")
        world.run("apply", "-f", world.folder / "greet.yaml")
        world.run("apply", "-f", world.folder / "greet.yaml")  # what `get` adds does not come in the way
        self.assertIn("region = eu (environment)", world.run("deployments", "check", "greet", check=False).stdout)
        first = world.trigger("greet-api")
        dry = environment("us", "--dry-run").stdout
        self.assertIn("/inherited/variables/region", dry)
        environment("us")
        second = world.trigger("greet-api")
        world.factory.kill()
        world.start_factory()
        broken = environment("", check=False)
        self.assertNotEqual(broken.returncode, 0)
        self.assertIn("Deployment 'greet'", broken.stderr)
        world.agent("srv-1")
        self.assertEqual([world.ended(uid)["output"] for uid in (first, second)], [{"hello": "eu"}, {"hello": "us"}])
        self.assertIn("region: us", world.run("get", "deployment", "greet", "--status").stdout)
        got = world.run("get", "deployment", "greet").stdout
        self.assertNotIn("inherited", got)
        self.assertIn("unchanged", world.run("apply", "-f", world.write("got.yaml", got)).stdout)


if __name__ == "__main__":
    unittest.main()
