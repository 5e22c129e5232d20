"""The main job, end to end: an HTTP call starts a packaged workflow on an agent; a program and a chat are told how it went."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import signal
import sqlite3
import unittest

from mill import Test, World, call, wait_for

ANSWER = """
input: { schema: { document: { type: object, properties: { order: { type: string } }, required: [ order ] } } }
do:
  - note:
      call: log
      with: { text: '${ "looking at \\(.order)" }' }
  - answer:
      set: { reply: '${ "Order \\(.order) is on its way" }' }
"""

NOTIFIERS = """kind: Notifier
name: tell-program
trigger: orders-api
on: [ start, success, failure ]
type: api
api: {{ url: "{url}/hook" }}
---
kind: Notifier
name: tell-chat
trigger: orders-api
on: [ success ]
type: chat
chat:
  platform: sap-cai
  reaction: message
  conversation: "${{ .invocationContext.conversationId }}"
  message: "${{ .output.reply }}"
  credentials: bot
  baseUrl: {url}
"""


SIGNED = """kind: Notifier
name: tell-signed
trigger: orders-api
on: [ success ]
type: api
api: {{ url: "{url}/hook", secret: {secret}, authentication: header, credentials: hook-key }}
"""


def signature(secret, headers, body):
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()


class MainJob(Test):
    def test_a_signing_secret_that_an_earlier_version_kept_in_a_document_is_moved_out_of_it(self):
        with World() as world:
            receiver = world.receiver()
            world.start_factory()
            world.agent("srv-1")
            world.deploy("orders", ANSWER, notifiers=NOTIFIERS.format(url=receiver.url).split("---")[0])
            world.factory.stop()
            with contextlib.closing(sqlite3.connect(world.data / "factory.db")) as store, store:
                spec = json.loads(store.execute("select spec from documents where name = 'tell-program'").fetchone()[0])
                spec["api"].update(secret="literal-secret-9917", headers={"Authorization": "Bearer literal-9918"})
                store.execute("update documents set spec = ? where name = 'tell-program'", (json.dumps(spec),))
            world.start_factory()
            self.assertIn("secret: tell-program-signing", world.run("get", "notifier", "tell-program").stdout)
            self.assertIn("'tell-program-signing'", world.factory.tail())
            self.assertIn("'Authorization'", world.factory.tail())
            self.assertEqual([c["kind"] for c in world.json("credentials")["items"]], ["hmac"])
            self.assertNotIn("literal-secret-9917", world.run("get", "notifiers").stdout)
            world.ended(world.trigger("orders-api", {"order": "1"}))
            wait_for("the notification", lambda: receiver.at("/hook"))
            given = {name.lower(): value for name, value in receiver.at("/hook")[0]["headers"].items()}
            self.assertEqual(given["webhook-signature"], signature(b"literal-secret-9917", given, receiver.at("/hook")[0]["body"]))
            world.factory.stop()
            world.start_factory()   # once is enough
            self.assertIn("secret: tell-program-signing\n", world.run("get", "notifier", "tell-program").stdout)
            world.factory.stop()
            for value in ("literal-secret-9917", "literal-9918"):
                self.assertNotIn(value, "".join(program.tail() for program in world.programs))
            self.assertNotIn(b"literal-secret-9917", b"".join(path.read_bytes() for path in world.data.rglob("*") if path.is_file()))

    def test_a_notification_is_signed_and_no_document_holds_what_signs_it(self):
        with World() as world:
            receiver = world.receiver()
            world.start_factory()
            world.agent("srv-1")
            world.deploy("orders", ANSWER)
            unbound = world.run("credentials", "set", "hook-key", "--kind", "header", "--json-file", "-", input='{"name": "X-Api-Key", "value": "key-5512-of-hook"}')
            self.assertIn("hook-key is usable at every host that a job may reach; bind it with --hosts", unbound.stderr)
            self.assertIn("any host", world.run("credentials").stdout)
            for literal in ("whsec_bGl0ZXJhbC1zZWNyZXQ", "literal-secret"):
                file = world.write("signed.yaml", SIGNED.format(url=receiver.url, secret=literal))
                refused = world.run("apply", "-f", file, check=False)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn("millwright credentials set NAME --kind hmac --json-file -", refused.stderr)
                self.assertNotIn(literal, refused.stderr + refused.stdout + world.factory.tail())
            world.run("credentials", "set", "hook-signing", "--kind", "hmac", "--json-file", "-", input='{"secret": "signing-secret-7781"}')
            world.run("apply", "-f", world.write("signed.yaml", SIGNED.format(url=receiver.url, secret="hook-signing")))
            self.assertIn("secret: hook-signing", world.run("get", "notifier", "tell-signed").stdout)
            self.assertEqual(world.run("delete", "credential", "hook-signing", check=False).returncode, 1)

            uid = world.trigger("orders-api", {"order": "4711"})
            world.ended(uid)
            wait_for("the notification", lambda: receiver.at("/hook"))
            sent = receiver.at("/hook")[0]
            given = {name.lower(): value for name, value in sent["headers"].items()}
            self.assertEqual(given["webhook-signature"], signature(b"signing-secret-7781", given, sent["body"]))
            self.assertEqual(given["x-api-key"], "key-5512-of-hook")
            wait_for("the record", lambda: [d for d in world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if d["state"] == "delivered"])
            shown = world.api("GET", f"/v1/jobs/{uid}/deliveries").body.decode() + world.run("get", "notifiers").stdout + world.factory.tail()
            world.factory.stop()
            stored = b"".join(path.read_bytes() for path in world.data.rglob("*") if path.is_file())
            for value in ("signing-secret-7781", "key-5512-of-hook"):
                self.assertNotIn(value, shown)
                self.assertNotIn(value.encode(), stored)

    def test_a_call_runs_a_workflow_and_a_program_and_a_chat_are_told(self):
        with World() as world:
            receiver = world.receiver()
            receiver.answers["/oauth/token"] = lambda *_: (200, {"access_token": "oauth-value-1", "expires_in": 3600, "token_type": "bearer"})
            world.start_factory()
            secret = {"tokenUrl": receiver.url + "/oauth/token", "clientId": "bot-1", "clientSecret": "client-secret-7781", "botToken": "bot-token-5512"}
            world.run("credentials", "set", "bot", "--kind", "sap-cai", "--json-file", "-", input=json.dumps(secret))
            world.agent("srv-1")
            trigger = world.deploy("orders", ANSWER, notifiers=NOTIFIERS.format(url=receiver.url))
            uid = world.trigger(trigger, {"order": "4711"}, {"conversationId": "conv-9"})
            job = world.ended(uid)
            self.assertEqual((job["state"], job["output"], job["agent"]), ("successful", {"reply": "Order 4711 is on its way"}, "srv-1"))

            wait_for("both notifications", lambda: len(receiver.at("/hook")) >= 2 and [c for c in receiver.calls if "conv-9" in c["path"]])
            kinds = [json.loads(c["body"]) for c in receiver.at("/hook")]
            self.assertEqual(len(kinds), 2)
            chat = [c for c in receiver.calls if "conv-9" in c["path"]]
            self.assertEqual(len(chat), 1)
            self.assertIn("Order 4711 is on its way", chat[0]["body"].decode())
            self.assertEqual(chat[0]["headers"]["Authorization"], "Bearer oauth-value-1")

            states = [i["state"] for i in world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"]]
            self.assertEqual([s for s in ("ready", "assigned", "running", "successful") if s in states], ["ready", "assigned", "running", "successful"])
            log = world.api("GET", f"/v1/jobs/{uid}/log").json["items"]
            self.assertIn("looking at 4711", [line["text"] for line in log])
            steps = world.api("GET", f"/v1/jobs/{uid}/steps").json["items"]
            self.assertEqual({s["name"] for s in steps if s["state"] == "completed"}, {"note", "answer"})
            wait_for("deliveries to be recorded", lambda: all(
                d["state"] == "delivered" for d in world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]))
            deliveries = world.api("GET", f"/v1/jobs/{uid}/deliveries").body.decode()
            for value in ("client-secret-7781", "bot-token-5512", "oauth-value-1"):
                self.assertNotIn(value, deliveries)
            self.assertNotIn("client-secret-7781", world.factory.tail())

    def test_saps_two_forms_start_the_same_trigger(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1")
            trigger = world.deploy("orders", ANSWER)
            token = world.json("triggers", "token", trigger)["token"]
            body = {"invocationContext": {"conversationId": "c"}, "input": {"order": "1"}}
            first = call("POST", f"{world.url}/apitrigger/v1/triggers/{trigger}/run", body, None, headers={"irpa-trigger-token": token})
            self.assertIn(first.status, (200, 201, 202), first.body)
            self.assertEqual(world.ended(first.json["jobUid"])["state"], "successful")
            third = call("POST", f"{world.url}/apitrigger/v1/triggers/{trigger}/run", {**body, "irpaTriggerToken": token}, None)
            self.assertIn(third.status, (200, 201, 202), third.body)
            self.assertNotIn(token, json.dumps(world.job(third.json["jobUid"])))

    def test_a_key_said_twice_starts_one_job(self):
        with World() as world:
            world.start_factory()
            trigger = world.deploy("orders", ANSWER)
            one = world.trigger(trigger, {"order": "1"}, headers={"Idempotency-Key": "k1"})
            two = world.trigger(trigger, {"order": "1"}, headers={"Idempotency-Key": "k1"})
            self.assertEqual(one, two)
            other = world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"order": "2"}}, headers={"Idempotency-Key": "k1"})
            self.assertEqual(other.status, 422, other.body)

    def test_prefer_wait_holds_the_answer_until_the_end(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1")
            trigger = world.deploy("orders", ANSWER)
            reply = world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"order": "7"}}, headers={"Prefer": "wait=20"})
            self.assertEqual((reply.status, reply.json["state"], reply.json["output"]), (200, "successful", {"reply": "Order 7 is on its way"}))

    def test_a_cancel_ends_the_job_and_its_commands(self):
        with World() as world:
            world.start_factory()
            agent = world.agent("srv-1", warm=0)
            trigger = world.deploy("sleeper", "do:\n  - long:\n      run: { shell: { command: 'sleep 300' } }\n",
                                   "permissions: { commands: [ /bin/sh ] }\n")
            uid = world.trigger(trigger)
            wait_for("the job to run", lambda: world.job(uid)["state"] == "running" and agent.children("sleep"))
            self.assertEqual(world.api("POST", f"/v1/jobs/{uid}/cancel", {}).status // 100, 2)
            job = world.ended(uid)
            self.assertEqual((job["state"], job["reason"]), ("cancelled", "cancelled_by"))
            stop = job["evidence"]["stop"]
            self.assertEqual(stop["graceMs"], 8000)
            self.assertLess(stop["answeredAfterMs"], 8000)
            said = world.run("why", uid).stdout
            self.assertIn("it cleaned up and ended by itself after", said)
            self.assertIn("sh was sent SIGTERM and ended after", said)
            wait_for("the end of its processes", lambda: not agent.children("sleep") and not agent.children("millwright-runner"))
            late = world.api("POST", f"/v1/jobs/{uid}/cancel", {})
            self.assertEqual(late.status, 409, late.body)

    def test_a_command_may_clear_away_and_one_that_does_not_end_is_killed(self):
        with World() as world:
            world.start_factory()
            agent = world.agent("srv-1", warm=0)
            trigger = world.deploy("sleeper", """do:
  - both:
      fork:
        branches:
          - tidy: { run: { shell: { command: "trap 'sleep 1; exit 0' TERM; sleep 300 & wait" } } }
          - stubborn: { run: { shell: { command: "trap '' TERM; while true; do sleep 0.1; done" } } }
""", "permissions: { commands: [ /bin/sh ] }\n")
            uid = world.trigger(trigger)
            wait_for("both to run", lambda: len(agent.children("sleep")) == 2)
            world.run("cancel", uid)
            job = world.ended(uid)
            self.assertEqual((job["state"], job["reason"]), ("cancelled", "cancelled_by"))
            how = {one["ended"]: one["afterMs"] for one in job["evidence"]["commands"]}
            self.assertEqual(set(how), {"itself", "SIGKILL"})
            self.assertGreaterEqual(how["SIGKILL"], 3000)
            self.assertGreaterEqual(how["itself"], 1000)
            said = world.run("why", uid).stdout
            self.assertIn("was sent SIGTERM and cleaned up and ended by itself after ", said)
            self.assertIn("was sent SIGTERM and did not end: it was killed after ", said)
            wait_for("the end of its processes", lambda: not agent.children("sleep") and not agent.children("millwright-runner"))

    def test_a_runner_that_does_not_answer_a_cancel_is_killed_and_why_says_so(self):
        with World() as world:
            world.start_factory()
            agent = world.agent("srv-1", warm=0)
            trigger = world.deploy("sleeper", "do:\n  - long:\n      wait: { minutes: 5 }\n")
            uid = world.trigger(trigger)
            wait_for("the job to run", lambda: world.job(uid)["state"] in ("running", "waiting") and agent.children("millwright-runner"))
            for pid in agent.children("millwright-runner"):
                os.kill(pid, signal.SIGSTOP)
            self.assertEqual(world.api("POST", f"/v1/jobs/{uid}/cancel", {"why": "wrong order"}).status // 100, 2)
            job = world.ended(uid)
            self.assertEqual((job["state"], job["reason"]), ("cancelled", "cancelled_by"))
            stop = job["evidence"]["stop"]
            self.assertGreaterEqual(stop["killedAfterMs"], 8000)
            self.assertGreaterEqual(stop["endedAfterMs"], stop["killedAfterMs"])
            said = world.run("why", uid).stdout
            self.assertIn("it did not end within 8s and was killed after", said)
            self.assertIn("wrong order", said)


if __name__ == "__main__":
    unittest.main()
