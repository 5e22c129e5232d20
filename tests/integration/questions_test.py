"""Questions, approvals and event triggers through the real programs: asked by the factory, answered by the command line, the API and a chat, with the factory
killed between question and answer."""
import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest
import urllib.parse

from mill import Test, World, call, wait_for

ANSWER = "do:\n  - answer: { set: { reply: '${ \"Order \\(.order // \"none\") is sent.\" }' } }\n"
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
HOOK_KEY = b"twenty-four bytes of key"


class Questions(Test):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.world.start_factory()
        cls.world.agent()
        cls.receiver = cls.world.receiver()
        cls.receiver.answers["/api/chat.postMessage"] = lambda *_: (200, {"ok": True, "ts": "18.0"})
        for name, kind, value in (("slack-signing", "hmac", {"secret": SLACK_SECRET}), ("bot", "bearer", {"token": "xoxb-1"}), ("hub", "hmac", {"secret": "It's a Secret to Everybody"}),
                                  ("hook", "hmac", {"secret": "whsec_" + base64.b64encode(HOOK_KEY).decode()})):
            cls.world.run("credentials", "set", name, "--kind", kind, "--json-file", "-", input=json.dumps(value))
        cls.otto = cls.world.run("tokens", "create", "otto", "--role", "operator").stdout.strip().split()[-1]
        cls.vera = cls.world.run("tokens", "create", "vera", "--role", "viewer").stdout.strip().split()[-1]

    def deploy(self, name, approval="{ by: [ operator ], within: 2h }", more="", notifiers=""):
        return self.world.deploy(name, ANSWER, trigger=f"approval: {approval}\n{more}", notifiers=notifiers)

    def question(self, uid, state="open"):
        return wait_for(f"a question of job {uid}", lambda: [q for q in self.world.api("GET", f"/v1/questions?job={uid}").json["items"] if q["state"] == state])[0]

    def answer(self, question, value, token=None, **more):
        return self.world.api("POST", f"/v1/questions/{question['id']}/answer", {"answer": value, **more}, token=token or self.otto)

    def cli(self, token, *arguments, check=True):
        """The command line with somebody's token."""
        kept, self.world.token = self.world.token, token
        try:
            return self.world.run(*arguments, check=check)
        finally:
            self.world.token = kept

    def test_an_approval_survives_the_factory_and_the_command_line_gives_it(self):
        trigger = self.deploy("kept")
        uid = self.world.trigger(trigger, {"order": "4711"})
        question = self.question(uid)
        self.world.factory.kill()
        self.world.start_factory()
        time.sleep(1.5)   # the agent is back, and free
        self.assertEqual(self.world.job(uid)["state"], "ready")
        self.assertIn("waits for the approval of role operator until", self.world.run("why", uid).stdout)
        self.assertIn("approval_requested", self.world.run("timeline", uid).stdout)
        listed = self.world.run("questions").stdout
        self.assertIn(question["id"], listed)
        self.assertIn("role operator", listed)
        self.assertEqual(self.world.json("questions", "list")["items"][0]["id"], question["id"])
        shown = self.world.run("questions", "show", question["id"]).stdout
        self.assertIn("May job " + uid, shown)
        self.assertIn(f"millwright questions answer {question['id']} --yes | --no", shown)

        own = self.world.run("questions", "answer", question["id"], "--yes", check=False)
        self.assertEqual(own.returncode, 77, own.stderr)
        self.assertIn("admin asked for job", own.stderr)
        refused = self.cli(self.vera, "questions", "answer", question["id"], "--yes", check=False)
        self.assertEqual(refused.returncode, 77, refused.stderr)
        self.assertIn("role operator may", refused.stderr)
        for wrong in ((), ("--yes", "--no"), ("--input", "/nowhere.json")):
            self.assertEqual(self.cli(self.otto, "questions", "answer", question["id"], *wrong, check=False).returncode, 64)
        said = self.cli(self.otto, "questions", "answer", question["id"], "--yes", "--comment", "fine")
        self.assertEqual(said.stdout.strip(), f"approved: job {uid} may start")
        self.assertEqual(self.world.ended(uid)["output"], {"reply": "Order 4711 is sent."})
        again = self.cli(self.otto, "questions", "answer", question["id"], "--no", check=False)
        self.assertNotEqual(again.returncode, 0)
        self.assertIn("user otto was first", again.stderr)
        self.assertIn("user otto approved it: fine", self.world.run("timeline", uid).stdout)

    def test_a_refusal_and_one_that_nobody_gives_in_time(self):
        trigger = self.deploy("refused", "{ by: [ operator ], within: 3s }")
        first, second = self.world.trigger(trigger), self.world.trigger(trigger)
        self.cli(self.otto, "questions", "answer", self.question(first)["id"], "--no", "--comment", "too dear")
        job = self.world.ended(first)
        self.assertEqual((job["state"], job["evidence"]["by"], job["evidence"]["why"]), ("cancelled", "user otto", "too dear"))
        self.assertIn("it was not approved, by user otto: too dear", self.world.run("why", first).stdout)
        question = self.question(second)
        self.world.factory.kill()   # also while nobody is there, time passes
        time.sleep(3)
        self.world.start_factory()
        job = self.world.ended(second)
        self.assertEqual((job["state"], job["reason"]), ("expired", "not_started"))
        self.assertIn("the approval of role operator, which nobody gave within 3s", self.world.run("why", second).stdout)
        late = self.answer(question, True)
        self.assertEqual(late.status, 410)
        self.assertEqual(self.world.job(second)["state"], "expired")

    def test_of_answers_at_once_one_counts_and_its_job_runs_once(self):
        trigger = self.deploy("race")
        for _ in range(3):
            uid = self.world.trigger(trigger, {"order": "1"})
            question = self.question(uid)
            with concurrent.futures.ThreadPoolExecutor(8) as people:
                statuses = list(people.map(lambda _: self.answer(question, True).status, range(8)))
            self.assertEqual(sorted(statuses), [200] + [409] * 7)
            self.assertEqual(self.world.ended(uid)["state"], "successful")
            states = [line["state"] for line in self.world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"]]
            self.assertEqual((states.count("approved"), states.count("running")), (1, 1))

    def test_killed_right_after_the_answer_the_job_runs_and_is_not_asked_again(self):
        trigger = self.deploy("killed")
        for _ in range(3):
            uid = self.world.trigger(trigger, {"order": "2"})
            question = self.question(uid)
            self.assertEqual(self.answer(question, True).status, 200)
            self.world.factory.kill()
            self.world.start_factory()
            self.assertEqual(self.world.ended(uid)["output"], {"reply": "Order 2 is sent."})
            self.assertEqual(self.answer(question, False).status, 409)
            states = [line["state"] for line in self.world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"]]
            self.assertEqual(states.count("running"), 1)

    def test_what_is_wrong_is_said_before_anything_waits(self):
        self.deploy("said")
        file = self.world.write("wrong.yaml", "kind: Trigger\nname: said-api\ndeployment: said\napproval: { by: [ boss ] }\n")
        refused = self.world.run("apply", "-f", file, check=False)
        self.assertEqual(refused.returncode, 65)
        self.assertIn("'boss', expected operator (or another role), user:NAME", refused.stderr)
        file.write_text("kind: Trigger\nname: said-api\ndeployment: said\napproval: { by: [ 'user:nobody' ], within: 1h }\n")
        dry = self.world.run("apply", "-f", file, "--dry-run")
        self.assertIn("its jobs wait up to 1h for the approval of user nobody (now: no token)", dry.stdout)
        self.assertIn("warning: nobody could approve the jobs of trigger 'said-api'", dry.stderr)
        self.world.run("apply", "-f", file)
        checked = self.world.run("deployments", "check", "said").stdout
        self.assertIn("nobody could approve the jobs of trigger 'said-api'", checked)

    # --- chats -----------------------------------------------------------------------------------------------------------------------

    def slack(self, url, body, form=True):
        data = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
        stamp = str(int(time.time()))
        signature = "v0=" + hmac.new(SLACK_SECRET.encode(), f"v0:{stamp}:".encode() + data, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/x-www-form-urlencoded" if form else "application/json", "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature}
        if MODULES:
            self.assertTrue(bolt_accepts(headers, data), "what this test signs is not what Slack signs")
        return call("POST", url, data, headers=headers)

    def posted(self, count):
        return [json.loads(c["body"]) for c in wait_for(f"{count} messages", lambda: self.receiver.at("/api/chat.postMessage") if len(self.receiver.at("/api/chat.postMessage")) >= count else None)]

    def test_slack_the_question_lands_in_the_conversation_and_another_person_answers_it_there(self):
        notifier = f"""kind: Notifier
name: slack-told
trigger: slack-api
on: [ question, success ]
type: chat
chat:
  platform: slack
  conversation: '${{ .invocationContext.conversationId }}'
  credentials: bot
  baseUrl: {self.receiver.url}
  messages: {{ question: '${{ .question.text }} (${{ .question.by }})', success: '${{ .output.reply }}' }}
"""
        trigger = self.deploy("slack", "{ by: [ conversation ] }", f"chat: {json.dumps({'platform': 'slack', 'credentials': 'slack-signing', 'input': {'order': '${ .text }'}})}\n", notifier)
        url = f"{self.world.url}/v1/chat/{trigger}"

        def event(user, text, stamp, event_id):
            return {"type": "event_callback", "event_id": event_id, "event": {"type": "message", "user": user, "text": text, "ts": stamp, "thread_ts": "17.5", "channel": "C42"}}

        self.assertEqual(self.slack(url, event("U1", "4711", "17.5", "Ev1"), form=False).status, 200)
        asked = self.posted(1)[0]
        self.assertEqual((asked["channel"], asked["thread_ts"]), ("C42", "17.5"))
        self.assertIn("May job", asked["text"])
        self.assertIn("(anybody in the conversation)", asked["text"])
        uid = self.world.api("GET", f"/v1/jobs?trigger={trigger}").json["items"][0]["uid"]
        # Not a yes and not a no: said in the conversation, because what answers an event of Slack is shown to nobody.
        self.assertEqual(self.slack(url, event("U2", "well", "17.6", "Ev2"), form=False).status, 200)
        self.assertIn("I expected yes or no", self.posted(2)[1]["text"])
        self.assertEqual(self.slack(url, event("U1", "yes", "17.7", "Ev3"), form=False).status, 200)
        self.assertIn("somebody else has to answer", self.posted(3)[2]["text"])
        self.world.factory.kill()
        self.world.start_factory()
        self.assertEqual(self.slack(url, event("U2", "Yes!", "17.8", "Ev4"), form=False).status, 200)
        self.assertEqual(self.slack(url, event("U2", "Yes!", "17.8", "Ev4"), form=False).status, 200)   # Slack says it again
        self.assertEqual(self.world.ended(uid)["output"], {"reply": "Order 4711 is sent."})
        self.assertEqual(self.posted(4)[3]["text"], "Order 4711 is sent.")
        self.assertEqual(len(self.world.api("GET", f"/v1/jobs?trigger={trigger}").json["items"]), 1)
        answered = self.question(uid, "answered")
        self.assertEqual((answered["answeredBy"], answered["way"]), ("slack user U2", "chat slack"))
        # A slash command is answered to the person; nothing is open now, so it is a new request.
        command = {"command": "/order", "text": "4712", "channel_id": "C43", "user_id": "U1", "user_name": "ada", "trigger_id": "13.7.a"}
        self.assertIn("waits for the approval of anybody in the conversation", self.slack(url, command).json["text"])
        answer = self.slack(url, {**command, "text": "no: not today", "user_id": "U2", "user_name": "bob", "trigger_id": "13.7.b"})
        self.assertEqual((answer.status, answer.json["response_type"]), (200, "ephemeral"))
        self.assertIn("Refused: job", answer.json["text"])

    def test_a_person_named_by_the_chat_answers_and_marks_tell_questions_apart(self):
        trigger = self.deploy("rasa", "{ by: [ 'chat:boss' ] }", f"chat: {json.dumps({'platform': 'webhook', 'input': {'order': '${ .text }'}})}\n")
        token = self.world.run("triggers", "token", trigger).stdout.strip()
        url = f"{self.world.url}/v1/chat/{trigger}"
        say = lambda user, text: call("POST", url, {"conversation": "room", "text": text, "user": user}, token=token)
        started = say("ada", "1").json
        self.assertEqual(say("eve", "yes").status, 403)
        other = say("eve", "2")   # no answer, from somebody who is not asked: a request of her own
        self.assertEqual(other.status, 200)
        self.assertNotEqual(other.json["jobUid"], started["jobUid"])
        several = say("boss", "yes")
        self.assertEqual(several.status, 400)
        self.assertIn("Several questions are open here", several.json["text"])
        mark = self.question(started["jobUid"])["id"][-4:]
        self.assertEqual(say("boss", f"#{mark} yes").status, 200)
        self.assertEqual(self.world.ended(started["jobUid"])["state"], "successful")
        self.assertEqual(self.world.job(other.json["jobUid"])["state"], "ready")
        self.assertEqual(say("boss", "no").json["jobUid"], other.json["jobUid"])
        self.assertEqual(self.world.ended(other.json["jobUid"])["state"], "cancelled")

    def test_questions_are_told_as_events(self):
        trigger = self.deploy("events")
        stream = subprocess.Popen(["curl", "-sN", "-H", f"Authorization: Bearer {self.world.token}", f"{self.world.url}/v1/events"], stdout=subprocess.PIPE, text=True)
        try:
            time.sleep(0.5)
            uid = self.world.trigger(trigger)
            self.answer(self.question(uid), True)
            seen, end = [], time.monotonic() + 20
            while time.monotonic() < end and len(seen) < 2:
                if stream.stdout.readline() == "event: question\n":
                    seen.append(json.loads(stream.stdout.readline().removeprefix("data: ")))
            self.assertEqual([one["what"] for one in seen], ["open", "answered"])
            self.assertEqual({one["detail"]["job"] for one in seen}, {uid})
        finally:
            stream.kill()
            stream.wait()
            stream.stdout.close()

    # --- events ----------------------------------------------------------------------------------------------------------------------

    def test_a_job_that_ends_starts_another_once_also_when_the_factory_is_killed(self):
        source = self.world.deploy("source", ANSWER)
        self.world.deploy("target", "do:\n  - answer: { set: { heard: '${ .heard }', of: '${ .of }' } }\n")
        file = self.world.write("follow.yaml", """kind: Trigger
name: after-source
deployment: target
type: event
event:
  job: { trigger: source-api, on: [ success ] }
  input: { heard: '${ .output.reply }', of: '${ .job.uid }' }
""")
        self.world.run("apply", "-f", file)
        uids = [self.world.trigger(source, {"order": str(i)}, context={"conversationId": "c-1"}) for i in range(20)]
        for _ in range(3):
            time.sleep(0.3)
            self.world.factory.kill()
            self.world.start_factory()
        for uid in uids:
            self.assertEqual(self.world.ended(uid)["state"], "successful")
        followers = wait_for("all that follow", lambda: (lambda items: items if len(items) >= 20 else None)(self.world.api("GET", "/v1/jobs?trigger=after-source&limit=1000").json["items"]))
        self.assertEqual(len(followers), 20)
        outputs = [self.world.ended(one["uid"]) for one in followers]
        self.assertEqual(sorted(one["output"]["of"] for one in outputs), sorted(uids))
        self.assertEqual(outputs[0]["invocationContext"]["conversationId"], "c-1")
        self.assertEqual(outputs[0]["requestedBy"], "job " + outputs[0]["output"]["of"])
        self.assertIn("of trigger 'after-source'", self.world.run("timeline", uids[0]).stdout)
        self.assertRegex(self.world.run("triggers", "show", "after-source").stdout, r"starts +when a job of trigger 'source-api' ends: success")
        loop = self.world.run("apply", "-f", self.world.write("loop.yaml", file.read_text().replace("trigger: source-api", "deployment: target")), check=False)
        self.assertNotEqual(loop.returncode, 0)
        self.assertIn("start each other for ever: after-source → after-source", loop.stderr)

    def test_signed_webhooks_start_jobs(self):
        self.world.deploy("hooked", ANSWER)
        document = "kind: Trigger\nname: {0}\ndeployment: hooked\ntype: event\nevent: {{ webhook: {{ signature: {1}, credentials: {2} }}, input: {{ order: '${{ .body.order }}' }} }}\n"
        self.world.run("apply", "-f", self.world.write("hooks.yaml", document.format("paid", "standard-webhooks", "hook") + "---\n" + document.format("pushed", "github", "hub")))
        body = json.dumps({"type": "order.paid", "order": "4711"}).encode()
        stamp = str(int(time.time()))
        signature = "v1," + base64.b64encode(hmac.new(HOOK_KEY, f"msg_1.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
        headers = {"webhook-id": "msg_1", "webhook-timestamp": stamp, "webhook-signature": signature}
        url = f"{self.world.url}/v1/hooks/paid"
        started = call("POST", url, body, headers=headers)
        self.assertEqual(started.status, 202, started.body)
        self.assertEqual(self.world.ended(started.json["jobUid"])["output"], {"reply": "Order 4711 is sent."})
        self.world.factory.kill()
        self.world.start_factory()
        self.assertEqual(call("POST", url, body, headers=headers).json["jobUid"], started.json["jobUid"])
        self.assertEqual(call("POST", url, body + b" ", headers=headers).status, 401)
        self.assertEqual(call("POST", url, body).status, 401)
        hub = call("POST", f"{self.world.url}/v1/hooks/pushed", body, headers={"X-GitHub-Delivery": "d-1", "X-GitHub-Event": "push",
                                                                           "X-Hub-Signature-256": "sha256=" + hmac.new(b"It's a Secret to Everybody", body, hashlib.sha256).hexdigest()})
        self.assertEqual(hub.status, 202, hub.body)
        # What `triggers show` prints runs as it stands, and says why others were refused.
        for name, secret in (("paid", "whsec_" + base64.b64encode(HOOK_KEY).decode()), ("pushed", "It's a Secret to Everybody")):
            shown = self.world.run("triggers", "show", name).stdout
            self.assertIn(f"{self.world.url}/v1/hooks/{name}", shown)
            done = subprocess.run(["bash", "-c", shown.split("\n\n")[-1]], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "SECRET": secret}, timeout=60)
            self.assertIn('"jobUid"', done.stdout, shown + done.stderr)
        self.assertRegex(self.world.run("triggers", "show", "paid").stdout, r"refused +2 since .*missing")
        log = "".join(program.log.read_text() for program in self.world.programs if program.name == "factory")
        self.assertNotIn("Secret to Everybody", log)
        self.assertNotIn(base64.b64encode(HOOK_KEY).decode(), log)


NODE = shutil.which("node")
MODULES = os.environ.get("MILL_NODE_MODULES", "")
if not NODE or not (pathlib.Path(MODULES or "/nowhere") / "@slack/bolt").exists():
    MODULES = ""


def bolt_accepts(headers, data):
    """Whether Slack's own framework takes what this test signs for a call of Slack."""
    script = """const { isValidSlackRequest } = require('@slack/bolt/dist/receivers/verify-request');
        const [secret, signature, time, body] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
        console.log(isValidSlackRequest({ signingSecret: secret, body, headers: { 'x-slack-signature': signature, 'x-slack-request-timestamp': Number(time) } }));"""
    done = subprocess.run([NODE, "-e", script], input=json.dumps([SLACK_SECRET, headers["X-Slack-Signature"], headers["X-Slack-Request-Timestamp"], data.decode()]), capture_output=True,
                          text=True, timeout=60, env={"PATH": os.environ["PATH"], "NODE_PATH": MODULES})
    return done.stdout.strip() == "true"


if __name__ == "__main__":
    unittest.main()
