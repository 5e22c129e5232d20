"""The agent beside a person: the real programs, with the socket DIR/person in a face's hands, and a scripted way between agent and factory."""
import http.client
import json
import os
import pathlib
import signal
import subprocess
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mill import BIN, NOBODY, Failure, Program, Test, World, call_socket, user, wait_for

QUICK = "\ndo:\n  - answer: { set: { done: true } }\n"
OTHER = 65533   # a user that is neither root nor the agent's


class Between:
    """What passes between agent and factory, written down: asks for consent where the factory does not, answers for the person's routes, and can be cut."""

    def __init__(self, port):
        self.port, self.consent, self.away, self.answers, self.polls, self.words, self.calls = port, True, False, {}, [], [], []
        between = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if between.away:
                    self.close_connection = True
                    return
                if self.path.startswith("/agent/v1/person"):
                    said = json.loads(body)
                    between.calls.append((self.path, said))
                    answer = between.answers.get(self.path)
                    status, value = answer(said) if answer else (404, {"status": 404, "detail": "an older factory"})
                    return self.reply(status, json.dumps(value).encode())
                status, text, kind = between.pass_on(self.command, self.path, self.headers, body)
                if between.away:
                    self.close_connection = True
                    return
                self.reply(status, text, kind)

            do_GET = do_POST

            def reply(self, status, text, kind="application/json"):
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", kind or "application/json")
                    self.send_header("Content-Length", str(len(text)))
                    self.end_headers()
                    self.wfile.write(text)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def pass_on(self, method, path, headers, body):
        offers = path == "/agent/v1/offers"
        if offers:
            poll = json.loads(body)
            self.polls.append(poll)
            self.words += poll["answers"]
            poll["answers"] = [answer for answer in poll["answers"] if answer["answer"] in ("busy", "not_held")]
            body = json.dumps(poll).encode()
        factory = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            factory.request(method, path, body, {key: value for key, value in headers.items() if key.lower() in ("authorization", "content-type")})
            answer = factory.getresponse()
            text = answer.read()
        except OSError:
            return 503, b"{}", None
        finally:
            factory.close()
        if offers and self.consent and answer.status == 200:
            said = json.loads(text)
            for offer in said.get("offers", []):
                offer.setdefault("consent", {"asker": "user otto", "trigger": offer["trigger"], "title": "Monthly report", "description": "Sums up", "expectedMs": 90000})
            text = json.dumps(said).encode()
        return answer.status, text, answer.headers.get("Content-Type")

    def said(self, word):
        """What the agent answered to offers, so far."""
        return [answer for answer in list(self.words) if answer["answer"] == word]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Desk(World):
    """A factory, what is between, an attended agent, and its socket."""
    prepared = {}

    def begin(self, workflow=QUICK, policy="", environment=None, permissions="", trigger="runOn: any\n"):
        self.start_factory()
        self.between = Between(self.port)
        self.receivers.append(self.between)
        self.trigger_name = self.deploy("report", workflow, permissions, trigger=trigger)
        self.between.answers.update(self.prepared)
        self.home = self.enrol_between()
        (self.home / "policy.yaml").write_text("unsigned: true\n" + policy)
        self.environment = environment
        self.agent_program = self.again()
        self.socket = self.home / "person"
        wait_for("the socket", self.socket.exists)

    def enrol_between(self):
        code = self.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "forMs": 600000}).json["code"]
        data = self.folder / "pc-1"
        self.command(BIN / "millwright-agent", "enrol", "--data", data, "--factory", self.between.url, "--code", code, "--name", "pc-1", "--mode", "attended")
        return data

    def again(self):
        self.agent_program = Program(self, "agent", [BIN / "millwright-agent", "run", "--data", self.home], "ready", self.environment)
        return self.agent_program

    def person(self):
        status, said = call_socket(self.socket, "/v1/person")
        if status != 200:
            raise Failure(f"/v1/person: {status} {said}")
        return said

    def asked(self):
        return wait_for("the question whether it may run", lambda: self.person()["consents"])[0]

    def post(self, path, body):
        return call_socket(self.socket, path, body)


class Beside(Test):
    def desk(self, **more):
        desk = Desk()
        desk.__enter__()
        self.addCleanup(desk.__exit__, None, None, None)
        desk.begin(**more)
        return desk

    def test_a_job_of_somebody_else_begins_when_the_person_says_now(self):
        desk = self.desk(permissions="permissions: { network: [ \"https://tickets.example.com\" ] }\n")
        uid = desk.trigger(desk.trigger_name)
        asked = desk.asked()
        self.assertEqual((asked["title"], asked["asker"], asked["trigger"], asked["expectedMs"]), ("Monthly report", "user otto", desk.trigger_name, 90000))
        self.assertEqual(asked["does"], ["speaks to https://tickets.example.com"])
        self.assertEqual(asked["choices"], ["now", "later", "not_today"])
        time.sleep(1.5)
        self.assertEqual(desk.job(uid)["state"], "assigned")              # nothing began
        self.assertEqual(len(desk.person()["consents"]), 1)               # and it is asked once, however often it is offered
        self.assertEqual([answer["job"] for answer in desk.between.said("asking")], [uid])
        self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": "now"})[0], 200)
        self.assertEqual(desk.ended(uid)["state"], "successful")
        consented = desk.between.said("consented")
        self.assertEqual([(answer["job"], answer["choice"]) for answer in consented], [(uid, "now")])
        status, said = desk.post(f"/v1/consents/{asked['id']}", {"choice": "later"})
        self.assertEqual(status, 409, said)
        done = wait_for("its row", lambda: [row for row in desk.person()["history"] if row["job"] == uid])
        self.assertEqual(done[0]["state"], "successful")

    def test_later_not_today_and_nothing_said_give_it_back_with_who_and_until_when(self):
        desk = self.desk(policy="consent: { within: 5s }\n")
        for choice in ("later", "ignored", "not_today"):
            before = len(desk.between.said("busy"))
            name = choice.replace("_", "-")   # what was said holds for all jobs of a trigger
            desk.run("apply", "-f", desk.write("trigger.yaml", f"kind: Trigger\nname: {name}\ndeployment: report\ntype: api\nrunOn: any\n"))
            uid = desk.trigger(name)
            asked = desk.asked()
            if choice != "ignored":
                self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": choice})[0], 200)
            busy = wait_for("the answer", lambda: desk.between.said("busy")[before:])[0]
            self.assertEqual((busy["job"], busy["consent"]["choice"]), (uid, "none" if choice == "ignored" else choice))
            self.assertRegex(busy["consent"]["until"], r"^20\d\d-")
            self.assertEqual(desk.person()["consents"], [])
            if choice == "ignored":
                self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": "now"})[0], 410)
            self.assertIn(desk.job(uid)["state"], ("ready", "assigned"))
            time.sleep(1)   # neither offered nor asked again
            self.assertEqual((len(desk.between.said("busy")), desk.person()["consents"]), (before + 1, []))
            desk.run("cancel", uid)
            desk.ended(uid)
            self.assertEqual(desk.agent_program.stop(), 0)
            for kept in (desk.home / "factories").glob("*/consents.json"):
                kept.unlink()                                            # as if the ten minutes, the day were over
            desk.again()

    def test_an_agent_killed_in_the_middle_of_a_consent_starts_nothing_unasked_and_forgets_nothing(self):
        desk = self.desk()
        uid = desk.trigger(desk.trigger_name)
        first = desk.asked()
        for _ in range(2):
            for process in desk.agent_program.children("millwright-agent"):
                os.kill(process, signal.SIGKILL)
            wait_for("the agent to be back", lambda: call_socket(desk.socket, "/v1/person")[0] == 200)
            self.assertEqual([(each["id"], each["until"]) for each in desk.person()["consents"]], [(first["id"], first["until"])])
        time.sleep(1)
        self.assertEqual(desk.job(uid)["state"], "assigned")
        self.assertEqual(desk.post(f"/v1/consents/{first['id']}", {"choice": "now"})[0], 200)
        self.assertEqual(desk.ended(uid)["state"], "successful")
        self.assertEqual(desk.job(uid)["attempt"] if "attempt" in desk.job(uid) else 1, 1)
        # Said and killed at once: what was said holds.
        uid = desk.trigger(desk.trigger_name)
        asked = desk.asked()
        self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": "not_today"})[0], 200)
        for process in desk.agent_program.children("millwright-agent"):
            os.kill(process, signal.SIGKILL)
        wait_for("the agent to be back", lambda: call_socket(desk.socket, "/v1/person")[0] == 200)
        wait_for("that it is declined", lambda: desk.between.said("busy"))
        time.sleep(1)
        self.assertEqual(desk.person()["consents"], [])
        self.assertIn(desk.job(uid)["state"], ("ready", "assigned"))

    def test_in_quiet_hours_nobody_is_asked_and_policy_test_says_when_they_are(self):
        desk = self.desk(policy='consent: { within: 30s }\nquietHours: [ { from: "00:00", to: "23:59" }, { from: "23:59", to: "00:00" } ]\n')
        uid = desk.trigger(desk.trigger_name)
        busy = wait_for("the answer", lambda: desk.between.said("busy"))[0]
        self.assertEqual((busy["job"], busy["consent"]["choice"]), (uid, "none"))
        self.assertIn("quiet hours", busy["why"])
        self.assertEqual(desk.between.said("asking"), [])
        self.assertEqual(desk.person()["consents"], [])
        document = desk.write("package.yaml", "name: report\nversion: 1.0.0\nworkflow: main.yaml\n")
        said = desk.command(BIN / "millwright-agent", "policy", "test", document, "--data", desk.home).stdout
        self.assertIn("asked about, for 30s; not at all on mon-sun 00:00-23:59", said)
        (desk.home / "policy.yaml").write_text('unsigned: true\nquietHours: [ { from: "12", to: "13:00" } ]\n')
        wrong = desk.command(BIN / "millwright-agent", "policy", "test", document, "--data", desk.home, check=False)
        self.assertEqual(wrong.returncode, 78)
        self.assertIn("'12' is no time of the day", wrong.stderr)

    def test_stop_reaches_what_runs_and_nothing_new_begins(self):
        folder = pathlib.Path("/tmp") / f"beside-{os.getpid()}-{time.monotonic_ns()}"
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
        self.addCleanup(subprocess.run, ["rm", "-rf", folder])
        command = f"trap 'date +%s.%N > {folder}/told; exit 0' TERM; touch {folder}/runs; while true; do sleep 0.01; done"
        desk = self.desk(policy="consent: { jobs: always }\n", permissions=f"permissions: {{ commands: [ /bin/sh ], files: {{ write: [ \"{folder}\" ] }} }}\n",
                         workflow=f"\ndo:\n  - types: {{ run: {{ shell: {{ command: \"{command}\" }} }} }}\n")
        uid = desk.trigger(desk.trigger_name)
        wait_for("it to run", (folder / "runs").exists)
        self.assertEqual([row["job"] for row in wait_for("its row", lambda: desk.person()["running"])], [uid])
        status, said = desk.post("/v1/stop", {"way": "key"})
        self.assertEqual((status, said["stopped"]), (200, [uid]))
        wait_for("the signal", (folder / "told").exists)
        job = desk.ended(uid)
        self.assertEqual((job["state"], job["reason"]), ("cancelled", "cancelled_by"))
        self.assertIn("stopped at the desktop (key)", json.dumps(job))
        held = desk.person()["paused"]
        self.assertIn("stopped at the desktop", held["why"])
        waits = desk.trigger(desk.trigger_name)
        time.sleep(1.5)
        self.assertEqual(desk.job(waits)["state"], "ready")
        self.assertIn("stopped at the desktop", desk.run("why", waits).stdout)
        self.assertEqual(desk.post("/v1/resume", {})[0], 200)
        (folder / "told").unlink()
        wait_for("the next one to run", lambda: desk.job(waits)["state"] == "running")
        self.assertEqual(desk.post(f"/v1/jobs/{waits}/cancel", {"why": "wrong month"})[0], 200)
        self.assertIn("wrong month", json.dumps(desk.ended(waits)))

    def test_another_user_cannot_speak_to_the_agent(self):
        if os.getuid() != 0:
            self.skipTest("another user is played by root")
        desk = self.desk()
        for path in (desk.folder, desk.home, desk.socket.parent):
            os.chmod(path, 0o755)          # only the socket's own mode is left
        self.assertEqual(desk.socket.stat().st_mode & 0o777, 0o600)
        self.assertEqual(call_socket(desk.socket, "/v1/person", number=OTHER)[0], 0)
        os.chmod(desk.socket, 0o666)       # and where somebody opened even that, the kernel says who calls
        self.assertEqual(call_socket(desk.socket, "/v1/person", number=OTHER)[0], 403)
        self.assertEqual(call_socket(desk.socket, "/v1/stop", {}, number=OTHER)[0], 403)
        self.assertEqual(call_socket(desk.socket, "/v1/person", number=NOBODY)[0], 200)

    def test_what_the_person_starts_and_answers_goes_to_the_factory_and_waits_for_it_when_it_is_away(self):
        desk = Desk()
        desk.__enter__()
        self.addCleanup(desk.__exit__, None, None, None)
        started = []

        def launch(said):
            if said["input"] == {}:
                return 400, {"status": 400, "detail": "'month' is missing", "mistakes": [{"path": "/month", "text": "is missing"}]}
            started.append(said)
            return 202, {"job": "job-" + said["id"], "state": "ready"}

        shown = {"user": "anna", "version": 3, "jobs": [], "questions": [{"id": "q-1", "kind": "ask", "text": "Which month?"}],
                 "launchable": [{"trigger": "monthly", "title": "Monthly report", "description": "", "paused": "", "schema": None}]}
        desk.prepared = {"/agent/v1/person": lambda said: (200, shown), "/agent/v1/person/launch": launch,
                         "/agent/v1/person/answer": lambda said: (200, {}) if said["answer"] == "May" else (409, {"status": 409, "detail": "otto was first"})}
        desk.begin()
        wait_for("what may be started", lambda: [each["trigger"] for each in desk.person()["launchable"]] == ["monthly"])
        self.assertEqual(desk.person()["user"], "anna")
        status, said = desk.post("/v1/launch", {"id": "l-1", "trigger": "monthly", "input": {"month": 3}})
        self.assertEqual((status, said), (200, {"job": "job-l-1", "queued": False}))
        status, said = desk.post("/v1/launch", {"id": "l-2", "trigger": "monthly", "input": {}})
        self.assertEqual((status, said["mistakes"]), (400, [{"path": "/month", "text": "is missing"}]))
        self.assertEqual(desk.post("/v1/launch", {"trigger": "other"})[0], 404)
        self.assertEqual(desk.post("/v1/questions/q-1", {"answer": "May", "comment": ""})[0], 200)
        status, said = desk.post("/v1/questions/q-1", {"answer": "June"})
        self.assertEqual((status, said["detail"]), (409, "otto was first"))

        desk.between.away = True
        desk.factory.kill()                                             # what is parked ends, too
        wait_for("the agent to notice", lambda: desk.person()["agent"]["state"] == "offline")
        self.assertNotEqual(desk.person()["agent"]["why"], "")
        for name in ("l-3", "l-4", "l-3"):
            status, said = desk.post("/v1/launch", {"id": name, "trigger": "monthly", "input": {"month": 4}})
            self.assertEqual((status, said["queued"]), (200, True))
        self.assertEqual(desk.post("/v1/questions/q-1", {"answer": "May"})[0], 503)
        desk.agent_program.kill()                                       # keeper and all: the machine goes off
        wait_for("its end", lambda: call_socket(desk.socket, "/v1/person")[0] == 0)
        started.clear()
        desk.between.away = False
        desk.start_factory()
        desk.again()
        wait_for("the starts to be handed over", lambda: len(started) >= 2)
        time.sleep(1)
        self.assertEqual([each["id"] for each in started], ["l-3", "l-4"])
        self.assertEqual(desk.person()["queued"], [])

    def test_changes_are_told_as_they_happen_and_cost_nothing_meanwhile(self):
        desk = self.desk()
        version = desk.person()["version"]
        told = {}

        def park():
            told["answer"] = call_socket(desk.socket, f"/v1/changes?after={version}")
            told["after"] = time.monotonic()

        desk.run("agents")                                               # nothing of this concerns the person
        version = desk.person()["version"]
        face = threading.Thread(target=park)
        face.start()
        time.sleep(1)
        self.assertEqual(told, {})
        begun = time.monotonic()
        desk.trigger(desk.trigger_name)
        face.join(30)
        self.assertEqual(told["answer"][0], 200)
        self.assertGreater(told["answer"][1]["version"], version)
        self.assertLess(told["after"] - begun, 3)

    def test_one_agent_for_each_person_and_clear_words_for_the_second(self):
        runtime = pathlib.Path("/tmp") / f"beside-run-{os.getpid()}"
        runtime.mkdir(mode=0o700)
        self.addCleanup(subprocess.run, ["rm", "-rf", runtime])
        if os.getuid() == 0:
            os.chown(runtime, NOBODY, NOBODY)
        session = {"XDG_RUNTIME_DIR": str(runtime), "XDG_SESSION_ID": "c7"}
        desk = self.desk(environment=session)
        self.assertTrue((runtime / "millwright-agent.lock").exists())
        second = desk.enrol("pc-2", mode="attended")
        arguments = [BIN / "millwright-agent", "run", "--data", second]
        done = subprocess.run([str(each) for each in arguments], env={"PATH": "/usr/bin:/bin", "HOME": str(desk.folder), **session}, capture_output=True, text=True, timeout=30, **user())
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("an attended agent of this user runs already", done.stderr)
        desk.agent_program.stop()
        other = Program(desk, "other", arguments, "ready", {"XDG_RUNTIME_DIR": str(runtime)})   # before it knows its session
        self.assertEqual(other.stop(), 0)
        unattended = desk.enrol("srv-1")
        Program(desk, "unattended", [BIN / "millwright-agent", "run", "--data", unattended], "ready", session)
        self.assertFalse((unattended / "person").exists())

    def test_status_and_doctor_say_which_faces_there_are(self):
        desk = self.desk()
        words = desk.command(BIN / "millwright-agent", "status", "--data", desk.home, check=False).stdout
        self.assertIn("faces: no companion runs", words)
        report = json.loads(desk.command(BIN / "millwright-agent", "doctor", "--data", desk.home, "--json", check=False).stdout)
        self.assertIn("companion", json.dumps(report))
        self.assertEqual(desk.post("/v1/faces", {"kind": "companion", "pid": os.getpid(), "notifications": True, "tray": False, "stopKey": "Ctrl+Alt+Pause", "page": None, "problems": ["no tray here"]})[0], 200)
        words = desk.command(BIN / "millwright-agent", "status", "--data", desk.home, check=False).stdout
        self.assertIn(f"companion (process {os.getpid()}, notifications, stop key Ctrl+Alt+Pause)", words)
        self.assertIn("no tray here", words)
        self.assertEqual(desk.person()["stop"], {"key": "Ctrl+Alt+Pause"})


MONTH = """
input: { schema: { document: { type: object, required: [ month ], properties: { month: { type: integer, minimum: 1 } } } } }
do:
  - answer: { set: { month: "${ .month }" } }
"""


class WithItsFactory(Test):
    """The same without anything in between: a factory that knows of persons."""

    def setUp(self):
        super().setUp()
        desk = self.desk = Desk()
        desk.__enter__()
        self.addCleanup(desk.__exit__, None, None, None)
        desk.start_factory()
        desk.deploy("report", MONTH, trigger="runOn: attended\n")
        desk.run("apply", "-f", desk.write("desk.yaml", "kind: Trigger\nname: report-desk\ntitle: Monthly report\ndeployment: report\ntype: attended\nassignedTo: [ user:anna ]\n"))
        desk.home, desk.environment = desk.enrol("pc-1", mode="attended"), None
        desk.run("agents", "set", "pc-1", "--user", "anna")
        desk.again()
        desk.socket = desk.home / "person"
        wait_for("what may be started", lambda: [each["trigger"] for each in desk.person()["launchable"]] == ["report-desk"])

    def codes(self, uid):
        return [reason["code"] for reason in self.desk.api("GET", f"/v1/jobs/{uid}/why").json["reasons"]]

    def timeline(self, uid):
        return [row.get("what", row.get("state")) for row in self.desk.api("GET", f"/v1/jobs/{uid}/timeline").json["items"]]

    def test_what_the_person_starts_begins_unasked_and_its_result_is_shown(self):
        desk = self.desk
        seen = desk.person()
        self.assertEqual((seen["user"], seen["agent"]["state"], seen["launchable"][0]["title"]), ("anna", "online", "Monthly report"))
        status, said = desk.post("/v1/launch", {"id": "wrong-1", "trigger": "report-desk", "input": {"month": 0}})
        self.assertEqual(status, 400)
        self.assertTrue(said["mistakes"], said)
        for _ in range(2):                                               # a page that is sent twice
            status, said = desk.post("/v1/launch", {"id": "once-1", "trigger": "report-desk", "input": {"month": 5}})
            self.assertEqual((status, said["queued"]), (200, False), said)
        done = desk.ended(said["job"])
        self.assertEqual((done["state"], done["output"]), ("successful", {"month": 5}))
        row = wait_for("its row", lambda: [each for each in desk.person()["history"] if each["job"] == said["job"] and each["ended"]])[0]
        self.assertEqual((row["state"], row["output"]), ("successful", {"month": 5}))
        self.assertEqual([each["job"] for each in desk.person()["history"]].count(said["job"]), 1)
        self.assertNotIn("consent_asked", self.timeline(said["job"]))

    def test_why_says_who_was_asked_and_what_was_said(self):
        desk = self.desk
        uid = desk.trigger("report-api", {"month": 1})
        asked = desk.asked()
        self.assertEqual(asked["trigger"], "report-api")
        wait_for("why", lambda: "consent_asked" in self.codes(uid))
        # Both are killed in the middle of it: nothing begins, and the question stands as before.
        for process in desk.agent_program.children("millwright-agent"):
            os.kill(process, signal.SIGKILL)
        desk.factory.kill()
        desk.start_factory()
        wait_for("the agent to be back", lambda: call_socket(desk.socket, "/v1/person")[0] == 200 and desk.person()["agent"]["state"] == "online")
        wait_for("why", lambda: "consent_asked" in self.codes(uid))
        self.assertEqual([(each["id"], each["until"]) for each in desk.person()["consents"]], [(asked["id"], asked["until"])])
        self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": "later"})[0], 200)
        wait_for("why", lambda: "consent_later" in self.codes(uid))
        self.assertEqual(desk.job(uid)["state"], "ready")
        self.assertIn("anna", desk.run("why", uid).stdout)

    def test_a_consent_that_stands_while_the_factory_is_killed_is_heard_by_the_next_one(self):
        desk = self.desk
        uid = desk.trigger("report-api", {"month": 1})
        asked = desk.asked()
        desk.factory.kill()
        wait_for("the agent to notice", lambda: desk.person()["agent"]["state"] == "offline")
        self.assertEqual(desk.post(f"/v1/consents/{asked['id']}", {"choice": "now"})[0], 200)
        desk.start_factory()
        self.assertEqual(desk.ended(uid)["state"], "successful")
        self.assertEqual(desk.job(uid)["output"], {"month": 1})
        self.assertIn("consent_given", self.timeline(uid))

    def test_a_start_while_the_factory_is_away_begins_when_it_is_back(self):
        desk = self.desk
        desk.factory.kill()
        wait_for("the agent to notice", lambda: desk.person()["agent"]["state"] == "offline")
        for _ in range(2):
            status, said = desk.post("/v1/launch", {"id": "away-1", "trigger": "report-desk", "input": {"month": 7}})
            self.assertEqual((status, said["queued"]), (200, True))
        self.assertEqual([each["id"] for each in desk.person()["queued"]], ["away-1"])
        desk.start_factory()
        rows = wait_for("its end", lambda: [each for each in desk.person()["history"] if each["state"] == "successful"])
        self.assertEqual([row["output"] for row in rows], [{"month": 7}])
        self.assertEqual(desk.person()["queued"], [])


if __name__ == "__main__":
    unittest.main()
