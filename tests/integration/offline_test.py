"""What a person starts while the factory is away, of packages that say `offline`: it begins at once, and the factory learns all of it. Real programs."""
import json
import os
import signal
import socket
import threading
import time

from mill import BIN, Program, Test, World, call_socket, wait_for

HELLO = "\ndo:\n  - say:\n      set: { said: \"${ .who }\" }\n"
SLOW = "\ndo:\n  - nap: { wait: { seconds: 4 } }\n  - say: { set: { said: done } }\n"


class Wire:
    """The network between agent and factory: it can be cut while both go on."""

    def __init__(self, port):
        self.port, self.open, self.ends, self.lock = port, True, set(), threading.Lock()
        self.server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                near, _ = self.server.accept()
            except OSError:
                return
            try:
                if not self.open:
                    raise OSError
                far = socket.create_connection(("127.0.0.1", self.port), 5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.ends |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self.pump, args=(one, other), daemon=True).start()

    def pump(self, one, other):
        try:
            while piece := one.recv(65536):
                other.sendall(piece)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        self.open = False
        with self.lock:
            for end in self.ends:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.ends.clear()

    def mend(self):
        self.open = True

    def close(self):
        self.cut()
        self.server.close()


class Offline(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.wire = Wire(self.world.port)
        self.addCleanup(self.wire.close)
        code = self.world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "user": "anna", "name": "pc-anna"}).json["code"]
        self.data = self.world.folder / "pc-anna"
        self.world.command(BIN / "millwright-agent", "enrol", "--data", self.data, "--factory", self.wire.url, "--code", code, "--name", "pc-anna", "--mode", "attended")
        (self.data / "policy.yaml").write_text("unsigned: true\n")

    def deploy(self, name="hello", workflow=HELLO, offline=True, trigger="", **more):
        self.world.deploy(name, workflow, more="offline: true\n" if offline else "", **more)
        self.assign(name, "user:anna", trigger)
        return f"{name}-desk"

    def assign(self, name, who, more=""):
        self.world.run("apply", "-f", self.world.write(f"{name}-desk.yaml", f"kind: Trigger\nname: {name}-desk\ndeployment: {name}\ntype: attended\nassignedTo: [ {who} ]\n{more}"))

    def agent(self, online=True):
        self.program = Program(self.world, "agent", [BIN / "millwright-agent", "run", "--data", self.data], "ready" if online else "")
        wait_for("the agent", lambda: call_socket(self.data / "person", "/v1/person")[0] == 200)
        return self.program

    def person(self):
        status, said = call_socket(self.data / "person", "/v1/person")
        self.assertEqual(status, 200, said)
        return said

    def item(self, trigger):
        return next((item for item in self.person()["launchable"] if item["trigger"] == trigger), None)

    def launch(self, trigger, input=None, id=None):
        status, said = call_socket(self.data / "person", "/v1/launch", {"id": id or os.urandom(8).hex(), "trigger": trigger, "input": input or {}})
        self.assertEqual(status, 200, said)
        return said

    def row(self, job):
        return next((row for row in self.person()["history"] if row["job"] == job), None)

    def ready(self, trigger, input=None):
        """It ran once, so its package is on this machine."""
        wait_for("what may be started", lambda: self.item(trigger))
        self.world.ended(self.launch(trigger, input)["job"])
        wait_for("that it works offline", lambda: self.item(trigger)["offline"])

    def away(self):
        self.wire.cut()
        wait_for("that the factory is away", lambda: self.person()["agent"]["state"] == "offline")

    def states(self, job):
        return [row["state"] for row in self.world.api("GET", f"/v1/jobs/{job}/timeline").json["items"]]

    def known(self, job):
        return wait_for("that the factory knows it", lambda: self.world.api("GET", f"/v1/jobs/{job}").status == 200)

    def test_it_begins_at_once_and_the_factory_learns_all_of_it(self):
        trigger = self.deploy()
        self.agent()
        wait_for("what may be started", lambda: self.item(trigger))
        self.assertFalse(self.item(trigger)["offline"])      # its package is not on this machine
        self.assertNotIn("offer", self.item(trigger))
        self.ready(trigger, {"who": "anna"})
        self.away()
        said = self.launch(trigger, {"who": "nobody else"}, "L1")
        self.assertEqual(said["queued"], False)
        job = said["job"]
        row = wait_for("its end", lambda: (self.row(job) or {}).get("ended") and self.row(job))
        self.assertEqual((row["state"], row["output"], row["mine"]), ("successful", {"said": "nobody else"}, True))
        self.assertEqual(self.launch(trigger, {"who": "nobody else"}, "L1")["job"], job)   # pressed twice
        self.assertEqual(self.world.api("GET", f"/v1/jobs/{job}").status, 404)
        self.wire.mend()
        self.known(job)
        ended = self.world.ended(job)
        self.assertEqual((ended["state"], ended["output"], ended["requestedBy"], ended["agent"]), ("successful", {"said": "nobody else"}, "user anna", "pc-anna"))
        self.assertEqual(self.states(job), ["ready", "assigned", "running", "successful"])
        line = self.world.api("GET", f"/v1/jobs/{job}/timeline").json["items"][1]
        self.assertIn("anna started it at pc-anna while this factory was away", line["detail"]["text"])
        self.assertIn("begun_away", [reason["code"] for reason in self.world.api("GET", f"/v1/jobs/{job}/why").json["reasons"]])
        self.assertIn("anna started it at pc-anna while this factory was away, at ", self.world.run("why", job).stdout)
        self.assertEqual(ended["endedAt"], row["ended"])   # when it was, not when it was told
        self.assertEqual(self.world.api("GET", f"/v1/jobs/{job}/steps").status, 200)
        self.assertEqual(sum(1 for item in self.world.api("GET", "/v1/jobs?trigger=" + trigger).json["items"]), 2)
        self.assertEqual(self.person()["queued"], [])
        # As ever, once it is there.
        again = self.launch(trigger, {"who": "anna"})["job"]
        self.assertEqual(self.world.ended(again)["state"], "successful")

    def test_it_goes_on_while_the_factory_comes_back_and_can_be_stopped_from_there(self):
        trigger = self.deploy("slow", "\ndo:\n  - nap: { wait: { seconds: 60 } }\n")
        self.agent()
        wait_for("what may be started", lambda: self.item(trigger))
        first = self.launch(trigger)["job"]
        wait_for("it to run", lambda: self.world.job(first)["state"] == "running")
        self.world.run("cancel", first)
        self.world.ended(first)
        self.away()
        job = self.launch(trigger)["job"]
        wait_for("it to run", lambda: [row["job"] for row in self.person()["running"]] == [job])
        self.wire.mend()
        self.known(job)
        wait_for("that it runs", lambda: self.world.job(job)["state"] == "running")
        time.sleep(1)
        self.world.run("cancel", job)
        self.assertEqual(self.world.ended(job)["state"], "cancelled")
        self.assertEqual(self.person()["running"], [])

    def test_agent_and_machine_killed_meanwhile_lose_nothing(self):
        trigger = self.deploy("slow", SLOW)
        self.agent()
        self.ready(trigger)
        self.away()
        # The agent alone: its run goes on.
        job = self.launch(trigger, id="L1")["job"]
        wait_for("it to run", lambda: [row["job"] for row in self.person()["running"]] == [job])
        for process in self.program.children("millwright-agent"):
            os.kill(process, signal.SIGKILL)
        wait_for("the agent to be back", lambda: call_socket(self.data / "person", "/v1/person")[0] == 200)
        self.assertEqual(self.launch(trigger, id="L1")["job"], job)
        wait_for("its end", lambda: (self.row(job) or {}).get("state") == "successful", 30)
        # All of it, while one runs and one has ended: the first is told as it was, of the other nobody knows how far it got.
        other = self.launch(trigger)["job"]
        wait_for("it to run", lambda: [row["job"] for row in self.person()["running"] if row["started"]] == [other])
        self.program.kill()
        time.sleep(0.5)
        self.agent(online=False)   # it is there without its factory
        self.assertTrue(self.item(trigger)["offline"])
        third = self.launch(trigger)["job"]
        wait_for("its end", lambda: (self.row(third) or {}).get("state") == "successful", 30)
        self.wire.mend()
        for uid, state in ((job, "successful"), (other, "failed"), (third, "successful")):
            self.known(uid)
            self.assertEqual(self.world.ended(uid)["state"], state)
        self.assertEqual(self.world.job(other)["reason"], "outcome_unknown")
        self.assertEqual(len(self.world.api("GET", "/v1/jobs?trigger=" + trigger).json["items"]), 4)   # none twice

    def test_what_the_factory_does_not_want_any_more_is_said_and_ends(self):
        trigger, slow = self.deploy(), self.deploy("slow", "\ndo:\n  - nap: { wait: { seconds: 60 } }\n")
        self.agent()
        self.ready(trigger)
        wait_for("what may be started", lambda: self.item(slow))
        first = self.launch(slow)["job"]
        wait_for("it to run", lambda: self.world.job(first)["state"] == "running")
        self.world.run("cancel", first)
        self.world.ended(first)
        self.away()
        self.assign("hello", "user:otto")
        self.assign("slow", "user:otto")
        over, runs = self.launch(trigger)["job"], self.launch(slow)["job"]
        wait_for("both", lambda: (self.row(over) or {}).get("ended") and [row["job"] for row in self.person()["running"]] == [runs])
        self.wire.mend()
        wait_for("that it ends", lambda: self.person()["running"] == [])
        refused = wait_for("that it is said", lambda: (lambda rows: len(rows) == 2 and rows)([row for row in self.person()["history"] if row["state"] == "refused"]))
        for row in refused:
            self.assertIn("not assigned to anna", row["reason"])
            self.assertIn("began here while the factory was away", row["reason"])
        for uid in (over, runs):
            self.assertEqual(self.world.api("GET", f"/v1/jobs/{uid}").status, 404)
        # Nothing is left that would be said again, nor does the store look as if it went back.
        self.assertEqual(self.program.stop(), 0)
        self.agent()
        wait_for("it to be online", lambda: self.person()["agent"]["state"] == "online")
        time.sleep(1)
        self.assertNotIn("went_back", str(self.world.api("GET", "/v1/audit").json))
        factory = json.loads(self.world.command(BIN / "millwright-agent", "status", "--data", self.data, "--json", check=False).stdout)["factories"][0]
        self.assertEqual((factory["attempts"], factory["outbox"]["attempts"]), ([], 0))

    def test_its_service_manager_is_told_that_it_is_up_without_its_factory(self):
        self.wire.cut()
        heard = self.world.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(str(heard))
            heard.chmod(0o666)
            told.settimeout(20)
            self.program = Program(self.world, "agent", [BIN / "millwright-agent", "run", "--data", self.data], "", {"NOTIFY_SOCKET": str(heard)})
            words = ""
            while "READY=1" not in words:   # else systemd would end it after 90 s, and what runs with it
                words = told.recv(4096).decode()
            self.assertIn("STATUS=no factory has answered yet", words)
            self.wire.mend()
            while "STATUS=subscribed" not in words:
                words = told.recv(4096).decode()

    def test_a_newer_version_meanwhile_does_not_change_what_ran(self):
        trigger = self.deploy()
        self.agent()
        self.ready(trigger)
        self.away()
        folder = self.world.package("hello", HELLO, more="offline: true\n", version="1.1.0")
        self.world.run("pack", folder, "--output", self.world.folder / "hello-2.mwp")
        self.world.run("publish", self.world.folder / "hello-2.mwp")
        self.world.run("apply", "-f", self.world.write("newer.yaml", "kind: Deployment\nname: hello\npackage: hello@1.1.0\nenvironment: default\npermissions: as-requested\n"))
        job = self.launch(trigger, {"who": "anna"})["job"]
        wait_for("its end", lambda: (self.row(job) or {}).get("ended"))
        self.world.run("triggers", "pause", trigger)
        self.wire.mend()
        self.known(job)
        ended = self.world.ended(job)
        self.assertEqual((ended["package"]["version"], ended["state"]), ("1.0.0", "successful"))   # it is what ran, paused or not

    def test_a_password_is_in_no_log_whether_the_factory_was_there_or_not(self):
        secret = "opensesame-4711"
        workflow = r"""
input:
  schema:
    document:
      properties: { pass: { type: string, format: password }, who: { type: string } }
do:
  - tell: { call: log, with: { text: '${ "\(.who) says \(.pass)" }' } }
  - falls: { raise: { error: { type: "https://x.test/e", status: 400, title: No, detail: '${ .pass }' } } }
"""
        trigger = self.deploy("login", workflow)
        self.agent()
        wait_for("what may be started", lambda: self.item(trigger))
        jobs = [self.launch(trigger, {"pass": secret, "who": "anna"})["job"]]
        self.world.ended(jobs[0])
        self.away()
        jobs.append(self.launch(trigger, {"pass": secret, "who": "anna"})["job"])
        wait_for("its end", lambda: (self.row(jobs[1]) or {}).get("ended"))
        self.wire.mend()
        for job in jobs:
            self.known(job)
            self.assertEqual(self.world.ended(job)["state"], "failed")
            said = "".join(self.world.api("GET", f"/v1/jobs/{job}{part}").body.decode() for part in ("", "/log", "/steps", "/timeline", "/why"))
            self.assertIn("anna says ", said)
            self.assertNotIn(secret, said)
            here = str(call_socket(self.data / "person", f"/v1/jobs/{job}")[1])
            self.assertIn("anna says ", here)
            self.assertNotIn(secret, here)
        self.assertNotIn(secret, str(self.person()))

    def test_what_needs_the_factory_waits_for_it(self):
        plain = self.deploy("plain", offline=False)
        locked = self.deploy("locked", trigger="locks: [ erp ]\n")
        limited = self.deploy("limited", trigger="concurrency: 1\n")
        free = self.deploy("free")
        self.agent()
        for trigger in (plain, locked, limited):
            wait_for("what may be started", lambda trigger=trigger: self.item(trigger))
            self.world.ended(self.launch(trigger)["job"])
            self.assertFalse(self.item(trigger)["offline"], trigger)
        self.ready(free)
        self.away()
        for trigger in (plain, locked, limited):
            self.assertEqual(self.launch(trigger)["queued"], True, trigger)
        # Nor does anything begin while the person wants nothing to begin.
        call_socket(self.data / "person", "/v1/pause", {"for": "1h"})
        self.assertEqual(self.launch(free)["queued"], True)
        call_socket(self.data / "person", "/v1/resume", {})
        self.assertEqual(len(self.person()["queued"]), 4)
        self.wire.mend()
        wait_for("that they are handed over", lambda: self.person()["queued"] == [])
        for trigger in (plain, locked, limited, free):
            wait_for("their ends", lambda trigger=trigger: [item["state"] for item in self.world.api("GET", "/v1/jobs?trigger=" + trigger).json["items"]] == ["successful", "successful"])

    def test_a_question_asked_meanwhile_waits_for_the_factory_and_is_answered(self):
        trigger = self.deploy("asks", "\ndo:\n  - ask:\n      call: ask.user\n      with: { text: \"Which order?\", kind: number, within: 5m, otherwise: 0 }\n")
        self.agent()
        wait_for("what may be started", lambda: self.item(trigger))
        self.launch(trigger)
        first = wait_for("its question", lambda: self.person()["questions"])[0]
        call_socket(self.data / "person", f"/v1/questions/{first['id']}", {"answer": 1})
        wait_for("its end", lambda: not self.person()["questions"] and not self.person()["running"])
        self.away()
        job = self.launch(trigger)["job"]
        wait_for("that it waits", lambda: [row["state"] for row in self.person()["running"]] == ["waiting"])
        time.sleep(1)
        self.assertEqual([row["job"] for row in self.person()["running"]], [job])
        self.wire.mend()
        question = wait_for("its question", lambda: self.person()["questions"])[0]
        status, said = call_socket(self.data / "person", f"/v1/questions/{question['id']}", {"answer": 7})
        self.assertEqual(status, 200, said)
        self.assertEqual(self.world.ended(job)["output"], 7)


if __name__ == "__main__":
    import unittest
    unittest.main()
