"""What users of another product had to live with, made here for real: 20, 21, 23-28. See pains_1_test.py; 22 is there, too."""
import datetime
import json
import time
import unittest
import urllib.request

from mill import call, wait_for
from pains import SET, Shared

HOOK = "kind: Notifier\nname: {name}\ntrigger: {name}-api\non: [ success ]\ntype: api\napi: {{ url: '{url}/hook' }}\n"


class Running(Shared):
    """One agent that works."""

    @classmethod
    def furnish(cls):
        cls.world.agent("srv-1")

    def end(self, trigger, state, **more):
        uid = self.world.trigger(trigger, **more)
        job = self.world.ended(uid)
        self.assertEqual(job["state"], state, job)
        return uid, job

    def test_pain_20_errors_and_timeouts_are_swallowed(self):
        fails = self.world.deploy("fails", "do:\n  - good: { set: { x: 1 } }\n  - bad: { run: { shell: { command: 'echo no room on /srv >&2; exit 3' } } }\n  - after: { set: { x: 2 } }\n",
                                  permissions="permissions: { commands: [ sh ] }\n")
        uid, job = self.end(fails, "failed")
        self.assertEqual((job["reason"], job["error"]["instance"]), ("error", "/do/1/bad"))
        self.has(self.says("show", uid), "failed (error)", "the command ended with exit status 3: no room on /srv", "(at /do/1/bad)")
        self.has(self.says("why", uid), "exit status 3: no room on /srv")
        steps = self.world.api("GET", f"/v1/jobs/{uid}/steps").json["items"]
        self.assertEqual([(s["name"], s["state"]) for s in steps], [("good", "completed"), ("bad", "faulted")])
        slow = self.world.deploy("slow", "timeout: { after: PT1S }\ndo:\n  - long: { wait: PT1H }\n")
        uid, job = self.end(slow, "failed")
        self.assertEqual((job["error"]["status"], job["error"]["type"].rsplit("/", 1)[1]), (408, "timeout"))
        self.has(self.says("jobs", "--state", "failed"), uid)

    # 20: not yet: a picture of the screen comes with the attended agent.

    def test_pain_21_no_trace_because_it_was_off(self):
        divides = self.world.deploy("divides", "do:\n  - read: { set: { n: '${ .n }' } }\n  - divide: { set: { half: '${ 10 / .n }' } }\n")
        uid, _ = self.end(divides, "failed", input={"n": 0})
        said = self.says("steps", uid)                                                          # nobody switched anything on
        self.has(said, "read", "completed", "divide", "faulted", "/do/1/divide", "zero")
        plain = self.world.api("GET", f"/v1/jobs/{uid}/steps").json["items"]
        self.assertNotIn("detail", plain[0])
        again = self.says("trigger", divides, "--input", self.world.write("zero.json", '{"n": 0}'), "--trace").splitlines()[0]
        self.assertEqual(self.world.ended(again)["state"], "failed")
        traced = self.world.api("GET", f"/v1/jobs/{again}/steps").json["items"]
        self.has(json.dumps(traced[0]), '"n": 0')
        self.assertEqual(len(traced), len(plain))

    # 21: not yet: a retry with a trace; a new call with `--trace` has one.

    def test_pain_23_secrets_in_scripts(self):
        leak = self.world.package("leak", "do:\n  - ask: { call: http, with: { method: get, endpoint: 'https://shop.test/', headers: { Authorization: 'Bearer sk_live_1234567890abcdef' } } }\n",
                                  "permissions: { network: [ 'https://shop.test' ] }\n")
        archive = self.world.folder / "leak.mwp"
        for command in (("check", leak), ("pack", leak, "--output", archive), ("publish", archive), ("deploy", leak)):
            said = self.says(*command)
            self.has(said, "main.yaml:3:", "stands here in clear text ('Authorization')", "millwright credentials set NAME")
            self.assertNotIn("sk_live", said)
        # As a credential it works, and what comes back of it is masked wherever somebody reads.
        server = self.world.receiver()
        server.answers["/echo"] = lambda path, headers, body: (200, {"you said": headers["Authorization"]})
        self.world.run("credentials", "set", "shop-prod", "--kind", "bearer", "--hosts", "127.0.0.1", "--json-file", "-", input='{"token": "sk_live_1234567890abcdef"}')
        folder = self.world.package("shop", f"""use: {{ secrets: [ shop ] }}
do:
  - ask: {{ call: http, with: {{ method: get, endpoint: {{ uri: "{server.url}/echo", authentication: {{ bearer: {{ use: shop }} }} }} }} }}
  - say: {{ call: log, with: {{ text: '${{ tojson }}' }} }}
""", f'permissions: {{ network: [ "{server.url}" ], credentials: [ shop ] }}\n', more="credentials: { shop: { kind: bearer } }\n")
        self.assertNotIn("clear text", self.says("deploy", folder, "--credential", "shop=shop-prod"))
        uid, job = self.end("shop", "successful")
        self.assertEqual(server.at("/echo")[0]["headers"]["Authorization"], "Bearer sk_live_1234567890abcdef")
        said = self.says("logs", uid)
        self.has(said, "you said")
        everywhere = said + json.dumps(job) + self.says("steps", uid, "--json") + self.says("credentials", "--json") + self.says("get", "deployment", "shop") + self.says("logs", "agent/srv-1")
        self.assertNotIn("sk_live", everywhere)

    def test_pain_24_the_bot_calls_and_forgets(self):
        receiver = self.world.receiver()
        trigger = self.world.deploy("forgets", SET, notifiers=HOOK.format(name="forgets", url=receiver.url))
        token = self.world.run("triggers", "token", trigger).stdout.strip()
        start = lambda body: self.world.api("POST", f"/v1/triggers/{trigger}/runs", body, token=token, headers={"Idempotency-Key": "message-17"})
        context = {"invocationContext": {"conversationId": "c-24"}}
        answer = start(context)
        self.assertEqual(answer.status, 202)
        uid = answer.json["jobUid"]
        wait_for("the end at the status URL", lambda: call("GET", answer.json["statusUrl"], token=token).json["state"] == "successful")
        again = start(context)
        self.assertEqual((again.json["jobUid"], again.json["state"]), (uid, "successful"))
        other = start({"invocationContext": {"conversationId": "another"}})
        self.assertEqual(other.status, 422)
        self.has(other.json["detail"], "message-17", uid)
        # Nobody waits on the line any more, and the result comes all the same: once.
        [sent] = wait_for("the result", lambda: receiver.at("/hook"))
        self.has(sent["body"].decode(), uid, "c-24")
        self.assertEqual(len(self.deliveries(uid)), 1)
        self.assertEqual(len(self.world.api("GET", f"/v1/jobs?trigger={trigger}").json["items"]), 1)

    def test_pain_25_an_empty_column_because_of_a_missing_right(self):
        trigger = self.world.deploy("columns", "do:\n  - a: { set: { answer: 42 } }\n")
        token = self.world.run("triggers", "token", trigger).stdout.strip()
        uid = self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"order": "4711"}}, token=token).json["jobUid"]
        self.world.ended(uid)
        self.assertEqual(self.world.api("GET", f"/v1/jobs/{uid}", token=token).json["output"], {"answer": 42})
        for part in ("log", "steps", "deliveries"):                                             # refused with the reason, not shown as nothing
            answer = self.world.api("GET", f"/v1/jobs/{uid}/{part}", token=token)
            self.assertEqual(answer.status, 403, part)
            self.has(answer.json["detail"], "needs the role viewer", f"only starts trigger '{trigger}'")
        viewer = self.world.run("tokens", "create", "looks", "--role", "viewer").stdout.strip()
        self.assertEqual(self.world.api("GET", f"/v1/jobs/{uid}", token=viewer).json["input"], {"order": "4711"})

    # 25: not yet: a trigger's token is given the job without `input` and `evidence`, and not told that they are hidden.

    def test_pain_26_which_environment_is_which(self):
        self.world.run("apply", "-f", self.world.write("finance.yaml", "kind: Environment\nname: finance\ndescription: Machines of the finance team only\nagents: [ 'fin-*', 'label:team=finance' ]\nrunAs: mw-fin\n"))
        self.has(self.says("get", "environment", "finance"), "Machines of the finance team only", "fin-*", "label:team=finance", "runAs: mw-fin")
        self.has(self.says("why", "environment/finance"), "no agent is in environment 'finance'", "srv-1 is not in environment 'finance' (it was enrolled in 'default')")
        self.has(self.says("why", "environment/default"), "an agent of environment 'default' is free", "srv-1 is free")

    # 26: not yet: a sentence that the factory makes of it; its author writes one as `description`.

    def test_pain_27_delivered_and_the_chat_asks_every_two_minutes(self):
        receiver = self.world.receiver()
        trigger = self.world.deploy("pushed", SET, notifiers=HOOK.format(name="pushed", url=receiver.url))
        request = urllib.request.Request(self.world.url + "/v1/events", headers={"Authorization": f"Bearer {self.world.token}", "Accept": "text/event-stream"})
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as stream:
            uid = self.world.trigger(trigger)
            seen, kind = [], None
            end = time.monotonic() + 40
            for raw in stream:                                                                  # nothing is asked: it comes, or there is only the comment of each 15 s
                if time.monotonic() > end:
                    break
                line = raw.decode().strip()
                if line.startswith("event:"):
                    kind = line.split(":", 1)[1].strip()
                if line.startswith("data:") and uid in line:
                    seen.append((kind, json.loads(line.split(":", 1)[1]).get("what")))
                    if seen[-1] == ("delivery", "delivered"):
                        break
        self.assertIn(("job", "successful"), seen)
        self.assertLess(seen.index(("job", "successful")), seen.index(("delivery", "delivered")))
        [delivery] = self.deliveries(uid)
        self.assertGreaterEqual(delivery["finishedAt"], delivery["attempts"][0]["time"])
        clock = delivery["finishedAt"][17:23]                                                   # the zone is the reader's
        self.has(self.says("deliveries", uid), "delivered  pushed on success", "accepted ", clock, f"POST {receiver.url}/hook → 200")

    def test_pain_28_jobs_on_holidays(self):
        self.world.deploy("report", SET)
        tomorrow = datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=2)   # not the day that may begin meanwhile
        self.has(self.says("apply", "-f", self.world.write("nightly.yaml", f"""kind: Calendar
name: holidays
days: [ "{tomorrow}" ]
---
kind: Trigger
name: nightly
deployment: report
type: schedule
schedule: {{ cron: "30 6 * * *", timezone: UTC, calendars: [ holidays ] }}
""")), "created Calendar holidays", "created Trigger nightly")
        planned = self.world.api("GET", "/v1/triggers/nightly/schedule?count=5").json["next"]
        off = [item for item in planned if "skipped" in item]
        self.assertEqual([item["local"][:10] for item in off], [str(tomorrow)])
        self.has(off[0]["skipped"], "holidays")
        self.assertGreaterEqual(len([item for item in planned if "skipped" not in item]), 4)
        said = self.says("triggers", "schedule", "nightly", "--count", "5")
        self.has(said, "30 6 * * * in UTC", f"{tomorrow} 06:30:00", "skipped: ", "holidays")
        self.has(self.says("why", "trigger/nightly"), "06:30")


if __name__ == "__main__":
    unittest.main()
