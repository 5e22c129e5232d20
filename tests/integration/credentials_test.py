"""Credentials on their way from the factory into a request: sealed for the broker, and in plain nowhere else on the agent's machine."""
import json
import os
import pathlib
import pwd
import shutil
import signal
import threading
import unittest

from mill import BIN, NOBODY, Program, Test, World, wait_for

USERS = ("millwright", "millwright-broker", "millwright-run")
SECRET = "t0ken-9c41e7-of-erp"


def readable(pid):
    """What a process has in memory that can be written."""
    found = []
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            area, modes = line.split()[:2]
            if not modes.startswith("rw") or line.rstrip().endswith("]") and "[heap]" not in line and "[stack]" not in line and "[anon" not in line:
                continue
            start, end = (int(each, 16) for each in area.split("-"))
            memory.seek(start)
            try:
                found.append(memory.read(end - start))
            except OSError:
                pass
    return b"\n".join(found)


def below(folder):
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


class Credentials(Test):
    """A factory, a server that may hold its answer, a package that uses a credential."""

    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.server = self.world.receiver()
        self.release = threading.Event()
        self.server.answers["/hold"] = lambda *_: (200, {"waited": self.release.wait(30)})
        self.addCleanup(self.release.set)

    def set_credential(self, *more):
        self.world.run("credentials", "set", "erp-prod", "--kind", "bearer", "--hosts", "127.0.0.1", *more, "--json-file", "-", input=json.dumps({"token": SECRET}))

    def call_of(self, name, path):
        return f"""  - {name}:
      call: http
      with: {{ method: get, endpoint: {{ uri: "{self.server.url}{path}", authentication: {{ bearer: {{ use: erp }} }} }} }}
"""

    def deploy(self, tasks, trigger=""):
        folder = self.world.package("orders", "use: { secrets: [ erp ] }\ndo:\n" + tasks, f'permissions: {{ network: [ "{self.server.url}" ], credentials: [ erp ] }}\n',
                                    more="credentials: { erp: { kind: bearer } }\n")
        self.world.run("pack", folder, "--output", self.world.folder / "orders.mwp")
        self.world.run("publish", self.world.folder / "orders.mwp")
        self.world.run("apply", "-f", self.world.write("orders.yaml", """kind: Deployment
name: orders
package: orders@1.0.0
environment: default
credentials: { erp: erp-prod }
permissions: as-requested
---
kind: Trigger
name: orders-api
deployment: orders
type: api
""" + trigger))

    def authorizations(self, path):
        return [call["headers"].get("Authorization") for call in self.server.at(path)]

    def pid_of_agent(self, agent):
        found = agent.children("millwright-agent")
        self.assertEqual(len(found), 1)
        return found[0]


class Sealed(Credentials):
    def test_the_value_reaches_the_host_and_is_in_no_memory_file_or_log_of_the_agent(self):
        self.set_credential()
        agent = self.world.agent("srv-1")
        self.deploy(self.call_of("hold", "/hold") + self.call_of("after", "/after"))
        job = self.world.trigger("orders-api")
        wait_for("the call", lambda: self.server.at("/hold"))
        memory = readable(self.pid_of_agent(agent))
        self.assertIn(job.encode(), memory)  # it is the right memory
        self.assertNotIn(SECRET.encode(), memory)
        for runner in agent.children("millwright-runner"):
            if os.getuid() == 0:
                self.assertNotIn(SECRET.encode(), readable(runner))
        self.release.set()
        self.assertEqual(self.world.ended(job)["state"], "successful")
        self.assertEqual(self.authorizations("/hold") + self.authorizations("/after"), [f"Bearer {SECRET}"] * 2)
        self.assertNotIn(SECRET.encode(), readable(self.pid_of_agent(agent)))
        self.assertNotIn(SECRET.encode(), below(self.world.folder / "srv-1"))
        self.assertNotIn(SECRET, agent.log.read_text())

    def test_a_broker_that_was_killed_is_followed_by_one_that_has_the_credential_again(self):
        self.set_credential()
        agent = self.world.agent("srv-1")
        self.deploy(self.call_of("first", "/first") + "  - pause: { wait: { seconds: 3 } }\n" + self.call_of("second", "/second"))
        job = self.world.trigger("orders-api")
        wait_for("the first step's end", lambda: any(step["task"].endswith("/first") and step["state"] == "completed"
                                                     for step in self.world.api("GET", f"/v1/jobs/{job}/steps").json["items"]))
        for broker in agent.children("millwright-broker"):
            os.kill(broker, signal.SIGKILL)
        self.assertEqual(self.world.ended(job)["state"], "successful")
        self.assertEqual(self.authorizations("/second"), [f"Bearer {SECRET}"])

    def test_an_agent_that_was_killed_leaves_its_job_the_credential(self):
        self.set_credential()
        agent = self.world.agent("srv-1")
        self.deploy(self.call_of("first", "/first") + "  - pause: { wait: { seconds: 3 } }\n" + self.call_of("second", "/second"))
        job = self.world.trigger("orders-api")
        wait_for("the first call", lambda: self.server.at("/first"))
        self.world.factory.kill()  # nobody can seal anything now
        os.kill(self.pid_of_agent(agent), signal.SIGKILL)
        wait_for("the second call", lambda: self.server.at("/second"))
        self.world.start_factory()
        self.assertEqual(self.world.ended(job)["state"], "successful")
        self.assertEqual(self.authorizations("/second"), [f"Bearer {SECRET}"])

    def test_what_needs_the_credential_waits_while_a_new_broker_cannot_have_it(self):
        self.set_credential()
        agent = self.world.agent("srv-1")
        self.deploy(self.call_of("first", "/first") + "  - pause: { wait: { seconds: 3 } }\n" + self.call_of("second", "/second"))
        job = self.world.trigger("orders-api")
        wait_for("the first step's end", lambda: any(step["task"].endswith("/first") and step["state"] == "completed"
                                                     for step in self.world.api("GET", f"/v1/jobs/{job}/steps").json["items"]))
        self.world.factory.kill()
        for broker in agent.children("millwright-broker"):
            os.kill(broker, signal.SIGKILL)
        wait_for("the agent to be without a box", lambda: " credentials: " in agent.log.read_text())
        self.assertEqual(self.server.at("/second"), [])
        self.world.start_factory()
        self.assertEqual(self.world.ended(job)["state"], "successful")
        self.assertEqual(self.authorizations("/second"), [f"Bearer {SECRET}"])

    def test_a_credential_that_cannot_be_had_fails_the_job_and_says_which_and_why(self):
        self.set_credential("--expires", "2020-01-01")
        self.world.agent("srv-1")
        self.deploy(self.call_of("first", "/first"))
        job = self.world.ended(self.world.trigger("orders-api"))
        self.assertEqual((job["state"], job["reason"]), ("failed", "refused"))
        self.assertIn("credential 'erp-prod' expired at 2020-01-01", job["error"]["detail"])
        self.assertEqual(self.server.at("/first"), [])


class OnTheMachine(Credentials):
    """`held: machine`: the factory knows name, hosts and kind; the values lie beside the agent."""

    def setUp(self):
        super().setUp()
        self.world.run("credentials", "set", "erp-prod", "--kind", "bearer", "--hosts", "127.0.0.1", "--held", "machine")
        self.data = self.world.enrol("srv-1")
        self.deploy(self.call_of("hold", "/hold"))

    def put(self, path, text, mode=0o600):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        if os.getuid() == 0:
            os.chown(path.parent, NOBODY, NOBODY)
            os.chown(path, NOBODY, NOBODY)
        return path

    def check(self, verb="check"):
        return self.world.command(BIN / "millwright-agent", "credentials", verb, "--data", self.data, check=False)

    def run_and_look(self, agent):
        job = self.world.trigger("orders-api")
        wait_for("the call", lambda: self.server.at("/hold"))
        self.assertNotIn(SECRET.encode(), readable(self.pid_of_agent(agent)))
        for pid in (path for path in pathlib.Path("/proc").iterdir() if path.name.isdigit()):
            try:
                self.assertNotIn(SECRET.encode(), (pid / "cmdline").read_bytes() + (pid / "environ").read_bytes())
            except OSError:
                pass
        self.release.set()
        self.assertEqual(self.world.ended(job)["state"], "successful")
        self.assertEqual(self.authorizations("/hold"), [f"Bearer {SECRET}"])
        self.assertNotIn(SECRET, agent.log.read_text() + self.world.factory.log.read_text())
        self.assertNotIn(SECRET.encode(), below(self.data / "factories"))
        return job

    def test_a_file_beside_the_agent_is_used_when_nobody_else_can_read_it(self):
        self.assertIn("holds no credentials", self.check("list").stdout)
        agent = self.world.start_agent(self.data)
        waiting = self.world.trigger("orders-api")
        self.assertIn("srv-1 does not hold credential 'erp-prod'", self.world.run("why", waiting).stdout)
        agent.stop()
        path = self.put(self.data / "credentials/erp-prod.yaml", f"token: {SECRET}\n", 0o644)
        wrong = self.check()
        self.assertEqual(wrong.returncode, 78)
        self.assertIn(f"chmod 600 {path}", wrong.stdout)
        path.chmod(0o600)
        good = self.check()
        self.assertEqual((good.returncode, good.stdout), (0, f"ok     erp-prod: {path} (token)\n"))
        agent = self.world.start_agent(self.data)
        self.release.set()
        self.assertEqual(self.world.ended(waiting)["state"], "successful")
        self.release.clear()
        self.server.calls.clear()
        self.run_and_look(agent)

    def test_a_credential_of_systemd_is_used_before_a_file(self):
        self.put(self.world.folder / "service/millwright.erp-prod", json.dumps({"token": SECRET}), 0o400)
        self.put(self.data / "credentials/erp-prod.yaml", "token: another\n")
        agent = Program(self.world, "agent-srv-1", [BIN / "millwright-agent", "run", "--data", self.data], "ready",
                        environment={"CREDENTIALS_DIRECTORY": str(self.world.folder / "service")})
        self.run_and_look(agent)
        for broker in agent.children("millwright-broker"):
            os.kill(broker, signal.SIGKILL)
        self.server.calls.clear()
        self.assertEqual(self.world.ended(self.world.trigger("orders-api"))["state"], "successful")
        self.assertEqual(self.authorizations("/hold"), [f"Bearer {SECRET}"])

    def test_one_that_is_gone_or_wrong_when_the_job_starts_fails_it_by_name_and_without_its_value(self):
        path = self.put(self.data / "credentials/erp-prod.yaml", f"token: {SECRET}\n")
        agent = self.world.start_agent(self.data)
        for change, says in ((lambda: path.chmod(0o640), f"use 'chmod 600 {path}'"),
                             (lambda: self.put(path, f"tokn: {SECRET}\n"), "lacks 'token', which kind bearer needs"),
                             (path.unlink, f"there is no {path}")):
            change()
            job = self.world.ended(self.world.trigger("orders-api"))
            self.assertEqual((job["state"], job["reason"]), ("failed", "refused"))
            self.assertIn("credential 'erp-prod', which the agent's machine is to hold", job["error"]["detail"])
            self.assertIn(says, job["error"]["detail"])
            self.assertNotIn(SECRET, json.dumps(job) + agent.log.read_text())
        self.assertEqual(self.server.at("/hold"), [])

    @unittest.skipUnless(os.getuid() == 0 and set(USERS) <= {user.pw_name for user in pwd.getpwall()}, f"needs root and the users {', '.join(USERS)}")
    def test_an_agent_that_root_starts_does_not_let_its_own_user_near_the_file(self):
        path = self.put(self.data / "credentials/erp-prod.yaml", f"token: {SECRET}\n")
        for each in (self.data, *self.data.rglob("*")):
            os.chown(each, 0, 0)
        agent = Program(self.world, "agent-srv-1", [BIN / "millwright-agent", "run", "--data", self.data], "ready", as_root=True)
        self.assertEqual((self.data.owner(), path.parent.owner(), path.owner()), ("millwright", "root", "root"))
        job = self.world.trigger("orders-api")
        wait_for("the call", lambda: self.server.at("/hold"))
        found = {}
        for name in ("millwright-keeper", "millwright-agent", "millwright-broker"):
            for pid in agent.children(name) or [agent.process.pid]:
                found[pathlib.Path(f"/proc/{pid}").owner()] = SECRET.encode() in readable(pid)
        self.assertEqual(found, {"root": False, "millwright": False, "millwright-broker": True})
        self.release.set()
        self.assertEqual(self.world.ended(job)["state"], "successful")
        shutil.chown(path, "millwright")
        self.assertIn(f"use 'chown root {path}'", self.world.ended(self.world.trigger("orders-api"))["error"]["detail"])

    @unittest.skipUnless(all(map(shutil.which, ("dbus-run-session", "gnome-keyring-daemon", "secret-tool"))), "no keyring here: dbus, gnome-keyring, libsecret-tools")
    def test_an_attended_agent_has_the_keyring_of_its_session(self):
        self.world.run("apply", "-f", self.world.write("any.yaml", "kind: Trigger\nname: orders-api\ndeployment: orders\ntype: api\nrunOn: any\n"))
        self.data = self.world.enrol("desk-1", mode="attended")
        (self.data / "policy.yaml").write_text("unsigned: true\nconsent: { jobs: always }\n")
        value = self.put(self.world.folder / "session/value", json.dumps({"token": SECRET}))
        session = self.world.write("session/start", f"""#!/bin/sh
echo | gnome-keyring-daemon --unlock --components=secrets >/dev/null
secret-tool store --label=erp-prod millwright erp-prod <{value}
rm {value}
exec {BIN}/millwright-agent run --data {self.data}
""")
        session.chmod(0o755)
        agent = Program(self.world, "agent-desk-1", ["/usr/bin/dbus-run-session", "--", session], "ready", environment={"XDG_RUNTIME_DIR": str(self.world.folder / "session")})
        self.addCleanup(agent.process.wait, 25)  # the session ends with its agent, and the keyring with the session
        self.addCleanup(lambda: [os.kill(keeper, signal.SIGTERM) for keeper in agent.children("millwright-keeper")])
        self.run_and_look(agent)


class WrongUse(Test):
    def test_a_place_that_is_none_is_not_taken_for_another(self):
        with World() as world:
            world.start_factory()
            done = world.run("credentials", "set", "x", "--kind", "bearer", "--held", "elsewhere", check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn("'machine'", done.stderr)
            self.assertIn("'elsewhere'", done.stderr)


if __name__ == "__main__":
    unittest.main()
