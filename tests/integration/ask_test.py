"""Workflows that ask people, through the real programs: answered by API, command line and chat, nobody in time, cancelled, two at once, with agent, factory and the
whole machine killed in the middle."""
import concurrent.futures
import json
import os
import pty
import select
import signal
import subprocess
import time
import unittest

from mill import BIN, Failure, Test, World, call, user, wait_for

ASK = """do:
  - note: { call: file.write, with: { path: notes.txt, content: '${ "order \\(.order // "none")" }' }, output: { as: '${ $input }' } }
  - which:
      call: ask.user
      with: { text: "Which region?", kind: choice, choices: [ north, south ], within: WITHIN, to: operator OTHERWISE }
      export: { as: '${ {region: .} }' }
  - read: { call: file.read, with: { path: notes.txt } }
  - done: { set: { region: '${ $context.region }', note: '${ .content }' } }
"""
APPROVE = "do:\n  - may: { call: approve, with: { text: 'Pay 900 EUR?', within: 2h } }\n"
CHAT = "do:\n  - which: { call: ask.user, with: { text: 'Which region?', kind: choice, choices: [ north, south ], within: 2h, to: conversation } }\n"


def workflow(within="2h", otherwise=None):
    return ASK.replace("WITHIN", within).replace(" OTHERWISE", f", otherwise: {otherwise}" if otherwise else "")


class Asking(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.data = self.world.enrol()
        self.agent = self.world.start_agent(self.data, slots=1)
        self.otto = self.token("otto")

    def token(self, name, role="operator"):
        return self.world.run("tokens", "create", name, "--role", role).stdout.strip().split()[-1]

    def question(self, uid, state="open"):
        return wait_for(f"a question of job {uid}", lambda: [q for q in self.world.api("GET", f"/v1/questions?job={uid}").json["items"] if q["state"] == state])[0]

    def answer(self, question, value, token=None, **more):
        return self.world.api("POST", f"/v1/questions/{question['id']}/answer", {"answer": value, **more}, token=token or self.otto)

    def waiting(self, uid):
        return wait_for(f"job {uid} to wait", lambda: self.world.job(uid)["state"] == "waiting")

    def kept(self):
        folder = next((self.data / "factories").iterdir()) / "waiting"
        return [p for p in folder.iterdir() if p.stat().st_size > 0] if folder.exists() else []

    def test_answered_by_the_api_while_its_slot_serves_others(self):
        trigger = self.world.deploy("ask", workflow())
        other = self.world.deploy("other", "do:\n  - a: { set: { ok: true } }\n")
        uid = self.world.trigger(trigger, {"order": "4711"})
        question = self.question(uid)
        self.waiting(uid)
        self.assertEqual((question["kind"], question["text"], question["schema"]["enum"]), ("ask", "Which region?", ["north", "south"]))
        self.assertIn("asks role operator until", self.world.run("why", uid).stdout)
        self.assertIn("Which region?", self.world.run("why", uid).stdout)
        # One slot: it is another job's meanwhile.
        self.assertEqual(self.world.ended(self.world.trigger(other))["state"], "successful")
        wrong = self.answer(question, "west")
        self.assertEqual(wrong.status, 400, wrong.body)
        self.assertTrue(wrong.json["mistakes"])
        self.assertEqual(self.world.job(uid)["state"], "waiting")
        self.assertEqual(self.answer(question, "south", self.token("vera", "viewer")).status, 403)
        self.assertEqual(self.answer(question, "south").status, 200)
        job = self.world.ended(uid)
        self.assertEqual(job["output"], {"region": "south", "note": "order 4711"})
        timeline = self.world.run("timeline", uid).stdout
        for word in ("question_asked", "question_answered", "waiting"):
            self.assertIn(word, timeline)

    def test_the_command_line_answers_and_of_twenty_at_once_one_counts(self):
        trigger = self.world.deploy("ask", workflow())
        uid = self.world.trigger(trigger)
        question = self.question(uid)
        with concurrent.futures.ThreadPoolExecutor(20) as pool:
            got = list(pool.map(lambda i: self.answer(question, ("north", "south")[i % 2]).status, range(20)))
        self.assertEqual(sorted(got), [200] + [409] * 19)
        self.assertEqual(self.world.ended(uid)["output"]["region"], self.question(uid, "answered")["answer"])
        uid = self.world.trigger(trigger)
        question = self.question(uid)
        kept, self.world.token = self.world.token, self.otto
        try:
            self.world.run("questions", "answer", question["id"], "--input", self.world.write("answer.json", '"north"'))
        finally:
            self.world.token = kept
        self.assertEqual(self.world.ended(uid)["output"]["region"], "north")

    def test_an_approval_is_somebody_elses(self):
        uid = self.world.trigger(self.world.deploy("pay", APPROVE))
        question = self.question(uid)
        own = self.answer(question, True, self.world.token)
        self.assertEqual((own.status, own.json["type"].rsplit(":", 1)[-1]), (403, "own_request"))
        self.assertEqual(self.answer(question, False, comment="too dear").status, 200)
        output = self.world.ended(uid)["output"]
        self.assertEqual((output["approved"], output["by"], output["comment"]), (False, "user otto", "too dear"))

    def test_nobody_in_time(self):
        uid = self.world.trigger(self.world.deploy("late", workflow("2s", "north")))
        self.assertEqual(self.world.ended(uid)["output"]["region"], "north")
        uid = self.world.trigger(self.world.deploy("fault", workflow("1s")))
        job = self.world.ended(uid)
        self.assertEqual((job["state"], job["error"]["status"]), ("failed", 408))
        self.assertIn("nobody answered within 1s: Which region?", job["error"]["detail"])
        caught = "do:\n  - t:\n      try: [ { q: { call: ask.user, with: { text: 'Well?', within: 1s } } } ]\n      catch: { errors: { with: { status: 408 } }, do: [ { c: { set: { late: true } } } ] }\n"
        self.assertEqual(self.world.ended(self.world.trigger(self.world.deploy("caught", caught)))["output"], {"late": True})

    def test_cancelled_while_it_waits(self):
        uid = self.world.trigger(self.world.deploy("ask", workflow()))
        question = self.question(uid)
        self.waiting(uid)
        wait_for("what is kept of it", self.kept)
        self.world.run("cancel", uid, "--why", "not needed")
        self.assertEqual(self.world.ended(uid)["state"], "cancelled")
        self.assertEqual(self.answer(question, "south").status, 410)
        self.assertEqual(self.question(uid, "withdrawn")["id"], question["id"])
        self.assertEqual(self.kept(), [])

    def test_time_stands_still_while_it_waits(self):
        trigger = self.world.deploy("short", workflow(), permissions="permissions: { limits: { time: 3s } }\n")
        uid = self.world.trigger(trigger)
        question = self.question(uid)
        time.sleep(5)
        self.assertEqual(self.world.job(uid)["state"], "waiting")
        self.answer(question, "north")
        self.assertEqual(self.world.ended(uid)["state"], "successful")

    def test_the_agent_is_killed_and_the_factory_is_killed_in_the_middle(self):
        trigger = self.world.deploy("ask", workflow())
        uid = self.world.trigger(trigger, {"order": "1"})
        question = self.question(uid)
        self.waiting(uid)
        for pid in self.agent.children("millwright-agent"):
            os.kill(pid, signal.SIGKILL)
        self.world.factory.kill()
        self.world.start_factory()
        self.assertEqual(self.world.job(uid)["state"], "waiting")
        self.assertEqual(self.answer(question, "south").status, 200)
        self.world.factory.kill()   # the answer is durable, and was perhaps not brought
        self.world.start_factory()
        self.assertEqual(self.world.ended(uid)["output"], {"region": "south", "note": "order 1"})

    def test_asked_while_the_factory_is_away(self):
        slow = "do:\n  - s: { call: log, with: { text: begun } }\n  - w: { wait: { seconds: 3 } }\n  - which: { call: ask.user, with: { text: 'Which?', within: 2h } }\n"
        uid = self.world.trigger(self.world.deploy("slow", slow))
        wait_for("it runs", lambda: self.world.job(uid)["state"] == "running")
        self.world.factory.kill()
        time.sleep(4)
        self.world.start_factory()
        self.assertEqual(self.answer(self.question(uid), "a text", self.world.token).status, 200)
        self.assertEqual(self.world.ended(uid)["output"], "a text")

    def test_the_machine_is_started_again(self):
        for how in ("kill", "stop"):
            with self.subTest(how):
                trigger = self.world.deploy(f"ask-{how}", workflow())
                uid = self.world.trigger(trigger, {"order": how})
                question = self.question(uid)
                wait_for("what is kept of it", self.kept)
                if how == "kill":
                    os.killpg(self.agent.process.pid, signal.SIGKILL)
                    self.agent.process.wait(20)
                else:
                    self.agent.stop()
                self.assertEqual(self.answer(question, "south").status, 200)
                self.agent = self.world.start_agent(self.data, slots=1)
                self.assertEqual(self.world.ended(uid)["output"], {"region": "south", "note": f"order {how}"})
                attempts = self.world.job(uid).get("attempt", 1)
                self.assertEqual(attempts, 1)
                self.assertEqual(self.kept(), [])
                self.assertIn("goes on where it waited", self.world.run("logs", uid).stdout)

    def test_nobody_in_time_while_the_machine_is_down(self):
        uid = self.world.trigger(self.world.deploy("late", workflow("4s", "north")))
        self.question(uid)
        wait_for("what is kept of it", self.kept)
        os.killpg(self.agent.process.pid, signal.SIGKILL)
        self.agent.process.wait(20)
        self.question(uid, "expired")
        self.agent = self.world.start_agent(self.data, slots=1)
        self.assertEqual(self.world.ended(uid)["output"]["region"], "north")

    def test_a_folder_that_cannot_be_kept_is_said_and_ends_honestly(self):
        big = "do:\n  - w: { call: file.write, with: { path: big.txt, content: '${ \"x\" * 5000000 }' } }\n  - v: { call: file.write, with: { path: more.txt, content: '${ \"x\" * 5000000 }' } }\n  - q: { call: ask.user, with: { text: 'Well?', within: 2h } }\n"
        uid = self.world.trigger(self.world.deploy("big", big))
        self.question(uid)
        self.waiting(uid)
        wait_for("the warning", lambda: "a restart of this machine would end the job" in self.world.run("logs", uid).stdout)
        os.killpg(self.agent.process.pid, signal.SIGKILL)
        self.agent.process.wait(20)
        self.agent = self.world.start_agent(self.data, slots=1)
        job = self.world.ended(uid)
        self.assertEqual((job["state"], job["reason"]), ("failed", "outcome_unknown"))

    def test_in_the_conversation(self):
        trigger = self.world.deploy("room", CHAT, trigger=f"chat: {json.dumps({'platform': 'webhook', 'input': {'order': '${ .text }'}})}\n")
        token = self.world.run("triggers", "token", trigger).stdout.strip()
        url = f"{self.world.url}/v1/chat/{trigger}"
        say = lambda user, text: call("POST", url, {"conversation": "c-1", "text": text, "user": user}, token=token)
        uid = say("anna", "4711").json["jobUid"]
        self.question(uid)
        self.assertIn("one of north, south", say("anna", "west").body.decode())
        self.assertEqual(say("anna", "South").status, 200)
        self.assertEqual(self.world.ended(uid)["output"], "south")

    def test_told_and_tried_at_a_terminal(self):
        told = "do:\n  - t: { call: tell.user, with: { text: 'It is there.' } }\n  - d: { set: { ok: true } }\n"
        uid = self.world.trigger(self.world.deploy("told", told))
        self.world.ended(uid)
        self.assertIn("It is there.", self.world.run("timeline", uid).stdout)
        folder = self.world.package("here", workflow())
        self.typed(folder, (b"words> ", b"west\n"), (b"expected 1 to 2", b"2\n"), region="south")
        none = self.world.run("run", folder, check=False)
        self.assertEqual(none.returncode, 1, none.stderr)
        self.assertIn("nobody can be asked here", none.stderr)

    def test_a_password_of_a_form_is_not_shown_at_a_terminal(self):
        form = {"type": "object", "properties": {"user": {"type": "string"}, "pin": {"type": "string", "format": "password"}}}
        ask = json.dumps({"kind": "form", "text": "Who?", "form": form, "within": "1h"})
        folder = self.world.package("login", f"do:\n  - a: {{ call: ask.user, with: {ask} }}\n  - d: {{ set: {{ length: '${{ .pin | length }}' }} }}\n")
        seen = self.typed(folder, (b"not shown> ", b'{"user": "anna", "pin": "s3cret-4711"}\n'), length=11)
        self.assertNotIn(b"s3cret", seen)

    def typed(self, folder, *lines, **expected):
        """Runs the package at a terminal, answers each prompt; what the terminal showed."""
        master, slave = pty.openpty()
        process = subprocess.Popen([str(BIN / "millwright"), "run", str(folder)], stdin=slave, stdout=subprocess.PIPE, stderr=slave, cwd=self.world.folder,
                                   env={"PATH": "/usr/bin:/bin", "HOME": str(self.world.folder), "LC_ALL": "C.UTF-8", "TERM": "dumb"}, **user())
        os.close(slave)
        seen = b""
        for prompt, line in lines:
            end = time.monotonic() + 30
            while prompt not in seen:
                if not select.select([master], [], [], max(0, end - time.monotonic()))[0]:
                    raise Failure(f"waited 30 s for {prompt!r}; it said {seen!r}")
                seen += os.read(master, 4096)
            os.write(master, line)
        out, _ = process.communicate(timeout=30)
        while select.select([master], [], [], 0)[0]:
            try:
                more = os.read(master, 4096)
            except OSError:   # nobody has the other end any more
                break
            seen += more
        os.close(master)
        self.assertEqual({name: json.loads(out).get(name) for name in expected}, expected)
        return seen

    def test_a_rehearsal_answers_and_lets_time_pass(self):
        folder = self.world.package("tried", workflow("4h", "north"))
        (folder / "tests").mkdir()
        (folder / "tests" / "ask.yaml").write_text("""cases:
  - name: somebody answers
    standIns: [ { call: ask.user, with: { kind: choice }, result: south } ]
    expect: { output: { region: south, note: order none } }
  - name: nobody does
    standIns: [ { call: ask.user, never: true } ]
    expect: { output: { region: north, note: order none } }
""")
        done = self.world.run("test", folder, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
