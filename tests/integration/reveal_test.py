"""A program that must have a password gets it, and nobody else does: reveal, through the real programs."""
import hashlib
import json
import pathlib
import threading
import time
import unittest

from mill import BIN, Test, World

PASSWORD = "pass-of-erp-7781"
HASH = hashlib.sha256(PASSWORD.encode()).hexdigest()

SCRIPT = """use: { secrets: [ erp ] }
do:
  - sign:
      metadata: { reveal: [ erp ] }
      run:
        script:
          language: python
          code: |
            import base64, hashlib, os, sys, time
            word, line = os.environ["PW"], sys.stdin.read()
            print(word, base64.b64encode(word.encode()).decode(), file=sys.stderr)
            time.sleep(1)
            print(hashlib.sha256(word.encode()).hexdigest(), line == "anna:" + word, word)
          environment: { PW: '${ $secrets.erp.password }' }
          stdin: '${ $secrets.erp.username + ":" + $secrets.erp.password }'
        return: all
  - tell: { call: log, with: { text: '${ .stdout + .stderr }' } }
"""
ASKS = "permissions: { commands: [ python3 ], credentials: [ erp ], reveal: [ erp ] }\ncredentials: { erp: { kind: login } }\n"

DEPLOYMENT = """kind: Deployment
name: orders
package: orders@1.0.0
environment: default
credentials: {{ erp: erp-login }}
permissions: {permissions}
"""
TRIGGER = "---\nkind: Trigger\nname: orders-api\ndeployment: orders\ntype: api\n"


def publish(world, workflow=SCRIPT, asks=ASKS):
    world.run("credentials", "set", "erp-login", "--kind", "login", "--json-file", "-",
              input=json.dumps({"username": "anna", "password": PASSWORD}))
    world.run("pack", world.package("orders", workflow, asks), "--output", world.folder / "orders.mwp")
    world.run("publish", world.folder / "orders.mwp")
    world.run("apply", "-f", world.write("environment.yaml", 'kind: Environment\nname: default\nagents: [ "*" ]\n'))


def deploy(world, permissions="as-requested", check=True):
    return world.run("apply", "-f", world.write("orders.yaml", DEPLOYMENT.format(permissions=permissions) + TRIGGER), check=check)


def seen_in_processes(stop, found):
    """What the lists of processes show while the job runs."""
    while not stop.is_set():
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes()
            except OSError:
                continue
            if PASSWORD.encode() in words:
                found.append(words)
        time.sleep(0.02)


class Reveal(Test):
    def test_a_script_gets_the_value_and_nothing_that_is_kept_or_shown_holds_it(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1")
            publish(world)
            deploy(world)
            stop, found = threading.Event(), []
            watch = threading.Thread(target=seen_in_processes, args=(stop, found))
            watch.start()
            job = world.ended(world.trigger("orders-api"))
            stop.set()
            watch.join()
            self.assertEqual(job["state"], "successful", job)
            self.assertEqual(found, [])
            self.assertEqual(job["output"]["stdout"], f"{HASH} True ***\n")
            self.assertEqual(job["output"]["stderr"], "*** ***\n")
            shown = "".join(world.api("GET", f"/v1/jobs/{job['uid']}/{what}").body.decode() for what in ("log", "steps", "timeline", "why"))
            self.assertIn("gives it erp.", shown)
            self.assertIn(HASH, shown)
            for program in world.programs:
                program.stop()
            kept = {path: path.read_bytes() for path in world.folder.rglob("*") if path.is_file()}
            self.assertTrue(any(b"the value of erp.password is given to a command" in text for path, text in kept.items() if path.name.startswith("agent")))
            for path, text in kept.items():
                self.assertNotIn(PASSWORD.encode(), text, path)
            self.assertNotIn(PASSWORD, shown + json.dumps(job))

    def test_each_of_the_three_can_withhold_it_and_is_named(self):
        with World() as world:
            world.start_factory()
            data = world.enrol("srv-1")
            (data / "policy.yaml").write_text("unsigned: true\npermissions: { commands: [ python3 ], credentials: [ erp ] }\n")
            world.start_agent(data)
            publish(world)
            refused = deploy(world, "{ commands: [ python3 ], credentials: [ erp ] }", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("asks for more than 'permissions' grants: reveal erp", refused.stderr)
            deploy(world)
            job = world.ended(world.trigger("orders-api"))
            self.assertEqual((job["state"], job["reason"]), ("failed", "refused"))
            why = world.run("why", job["uid"], check=False).stdout
            self.assertIn("'permissions' of this machine's policy.yaml withholds: reveal erp", why)
            judged = world.command(BIN / "millwright-agent", "policy", "test", world.folder / "packages/orders-1.0.0/package.yaml", "--data", data, check=False)
            self.assertEqual(judged.returncode, 77)
            self.assertIn("WITHHELD  reveal erp", judged.stdout)
            # The package itself: its check says so before anything else does.
            silent = world.package("silent", SCRIPT, "permissions: { commands: [ python3 ], credentials: [ erp ] }\ncredentials: { erp: { kind: login } }\n")
            done = world.run("check", silent, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("which package.yaml does not ask for: permissions: { credentials: [ erp ], reveal: [ erp ] }", done.stdout + done.stderr)

    def test_a_handle_that_comes_by_way_of_the_data_is_an_error_when_it_runs_and_not_characters_in_a_variable(self):
        flow = """use: { secrets: [ erp ] }
do:
  - keep: { set: { pw: '${ $secrets.erp.password }' } }
  - use: { run: { shell: { command: python3 -c 'print(1)', MEMBER } } }
"""
        for member, said in (("environment: { PW: '${ .pw }' }", "metadata: { reveal: [ erp ] }"), ("arguments: [ '${ .pw }' ]", "list of processes")):
            with self.subTest(member=member), World() as world:
                folder = world.package("orders", flow.replace("MEMBER", member), ASKS)
                secrets = world.write("secrets.json", json.dumps({"erp": {"password": PASSWORD}}))
                done = world.run("run", folder, "--grant-asked", "--secrets", secrets, check=False)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stdout + done.stderr)
                self.assertNotIn(PASSWORD, done.stdout + done.stderr)

    def test_a_dry_run_says_that_it_would_be_revealed(self):
        with World() as world:
            folder = world.package("orders", SCRIPT, ASKS)
            secrets = world.write("secrets.json", json.dumps({"erp": {"username": "anna", "password": PASSWORD}}))
            done = world.run("run", folder, "--dry-run", "--grant-asked", "--secrets", secrets, check=False)
            self.assertIn("would be given the value of: erp", done.stdout)
            self.assertIn("reveal erp", done.stdout)
            self.assertNotIn(PASSWORD, done.stdout + done.stderr)
            ran = world.run("run", folder, "--grant-asked", "--secrets", secrets, "--trace", check=False)
            self.assertEqual(ran.returncode, 0, ran.stderr)
            self.assertIn("gives it erp.", ran.stderr)
            self.assertNotIn("millwright-broker", ran.stderr)
            self.assertIn(HASH, ran.stdout)
            self.assertNotIn(PASSWORD, ran.stdout + ran.stderr)


if __name__ == "__main__":
    unittest.main()
