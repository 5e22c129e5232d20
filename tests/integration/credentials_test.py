"""Credentials on their way from the factory into a request: sealed for the broker, and in plain nowhere else on the agent's machine."""
import json
import os
import signal
import threading
import unittest

from mill import Test, World, wait_for

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

    def deploy(self, tasks):
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
"""))

    def authorizations(self, path):
        return [call["headers"].get("Authorization") for call in self.server.at(path)]

    def pid_of_agent(self, agent):
        found = agent.children("millwright-agent")
        self.assertEqual(len(found), 1)
        return found[0]

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
        os.kill(self.pid_of_agent(agent), signal.SIGKILL)
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


if __name__ == "__main__":
    unittest.main()
