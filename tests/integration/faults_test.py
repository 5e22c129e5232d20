"""What may be killed, cut off or filled up, and what must hold all the same."""
import json
import os
import random
import signal
import time
import unittest

from mill import Test, World, wait_for

SHORT = """
do:
  - first: { set: { n: '${ .n }' } }
  - pause: { wait: { milliseconds: 40 } }
  - last: { set: { n: '${ .n + 1 }' } }
"""
HOOK = """kind: Notifier
name: hook
trigger: short-api
on: [ success, failure, cancel, expired ]
type: api
api: {{ url: "{url}/hook" }}
"""


class Kills(Test):
    def soak(self, jobs, kill, seconds):
        """Starts `jobs` jobs while `kill(world, agent)` strikes; checks that each ended once and was told of at least once."""
        with World() as world:
            receiver = world.receiver()
            world.start_factory()
            agent = world.agent("srv-1", slots=4)
            trigger = world.deploy("short", SHORT, notifiers=HOOK.format(url=receiver.url))
            uids, state = [], {"agent": agent}
            random.seed(os.urandom(8))
            strikes = sorted(random.sample(range(10, jobs - 5), 4))
            for number in range(jobs):
                while True:  # the caller repeats with its key until it is answered: nothing is started twice
                    try:
                        reply = world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"n": number}}, headers={"Idempotency-Key": f"soak-{number}"}, timeout=10)
                        if reply.status == 202:
                            break
                    except OSError:
                        pass
                    time.sleep(0.05)
                uids.append(reply.json["jobUid"])
                if number in strikes:
                    kill(world, state)
            self.assertEqual(len(set(uids)), jobs)
            endings = {}
            for uid in uids:
                job = world.ended(uid, seconds)
                endings[uid] = (job["state"], job["reason"])
                if job["reason"] == "internal":  # never right: say what it was
                    self.fail(json.dumps({k: job.get(k) for k in ("error", "evidence")}))
                finals = [i for i in world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"] if i["state"] in ("successful", "failed", "cancelled", "expired")]
                self.assertEqual(len(finals), 1, finals)
            told = wait_for("a notification of each job", lambda: len({json.loads(c["body"])["data"]["job"]["uid"] for c in receiver.at("/hook")}) == jobs
                            and {json.loads(c["body"])["data"]["job"]["uid"] for c in receiver.at("/hook")}, 90)
            self.assertEqual(told, set(uids))
            return endings

    def test_killing_the_agent_process_ends_no_job(self):
        def kill(world, state):
            pids = wait_for("the agent below its keeper", lambda: state["agent"].children("millwright-agent"))
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        endings = self.soak(200, kill, 120)
        self.assertEqual(set(endings.values()), {("successful", "completed")})

    def test_killing_the_factory_loses_and_doubles_nothing(self):
        def kill(world, state):
            world.factory.kill()
            world.start_factory()
        endings = self.soak(200, kill, 120)
        self.assertEqual(set(endings.values()), {("successful", "completed")})

    def test_killing_everything_ends_each_job_once_with_an_honest_reason(self):
        def kill(world, state):
            world.factory.kill()
            state["agent"].kill()
            world.start_factory()
            state["agent"] = world.start_agent(world.folder / "srv-1", 4)
        endings = self.soak(200, kill, 180)
        self.assertLessEqual(set(endings.values()), {("successful", "completed"), ("failed", "outcome_unknown"), ("failed", "runner_lost")})
        self.assertGreater(sum(e[0] == "successful" for e in endings.values()), 150)

    def test_reports_arrive_complete_and_in_order_after_the_factory_was_away(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1")
            steps = "".join(f"  - s{i}: {{ call: log, with: {{ text: 'line {i}' }} }}\n  - w{i}: {{ wait: {{ milliseconds: 200 }} }}\n" for i in range(40))
            trigger = world.deploy("talker", "do:\n" + steps)
            uid = world.trigger(trigger)
            wait_for("the job to run", lambda: world.job(uid)["state"] == "running")
            world.factory.kill()
            time.sleep(float(os.environ.get("MILL_OUTAGE_SECONDS", "60")))
            world.start_factory()
            self.assertEqual(world.ended(uid, 60)["state"], "successful")
            log = [i for i in world.api("GET", f"/v1/jobs/{uid}/log?limit=1000").json["items"] if i["text"].startswith("line ")]
            self.assertEqual([i["text"] for i in log], [f"line {i}" for i in range(40)])


class Notifiers(Test):
    def world(self):
        world = World()
        receiver = world.receiver()
        world.start_factory()
        world.agent("srv-1")
        world.deploy("short", SHORT, notifiers=HOOK.format(url=receiver.url))
        return world, receiver

    def deliveries(self, world, uid):
        return world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]

    def test_a_500_is_recorded_with_its_body_retried_and_delivered_in_the_end(self):
        world, receiver = self.world()
        with world:
            receiver.answers["/hook"] = lambda *_: (500, {"sorry": "database is on fire"})
            uid = world.trigger("short-api", {"n": 1})
            world.ended(uid)
            item = wait_for("a failed try", lambda: [d for d in self.deliveries(world, uid) if d["attempts"]])[0]
            self.assertEqual(item["attempts"][0]["response"]["status"], 500)
            self.assertIn("database is on fire", json.dumps(item["attempts"][0]["response"]))
            self.assertIn(receiver.url + "/hook", json.dumps(item["attempts"][0]["request"]))
            receiver.answers.clear()
            world.run("deliveries", "resend", item["id"])
            wait_for("the delivery", lambda: self.deliveries(world, uid)[0]["state"] == "delivered")
            self.assertEqual(len({c["headers"].get("Webhook-Id") for c in receiver.at("/hook")}), 1, "one id through all attempts")

    def test_a_receiver_that_is_down_is_named_with_the_reason(self):
        world, receiver = self.world()
        with world:
            receiver.close()
            world.receivers.clear()
            uid = world.trigger("short-api", {"n": 1})
            world.ended(uid)
            item = wait_for("a failed try", lambda: [d for d in self.deliveries(world, uid) if d["attempts"]])[0]
            self.assertIn(str(receiver.port), item["attempts"][0]["error"])
            self.assertEqual(item["state"], "pending")
            text = world.run("deliveries", uid).stdout
            self.assertIn(str(receiver.port), text)

    def test_a_token_endpoint_that_refuses_is_shown_with_url_status_and_body(self):
        world, receiver = self.world()
        with world:
            receiver.answers["/oauth/token"] = lambda *_: (401, {"error": "invalid_client"})
            secret = {"tokenUrl": receiver.url + "/oauth/token", "clientId": "bot-1", "clientSecret": "client-secret-7781", "botToken": "bot-token-5512"}
            world.run("credentials", "set", "bot", "--kind", "sap-cai", "--json-file", "-", input=json.dumps(secret))
            world.run("apply", "-f", world.write("chat.yaml", f"""kind: Notifier
name: chat
trigger: short-api
on: [ success ]
type: chat
chat: {{ platform: sap-cai, reaction: message, conversation: conv-1, message: done, credentials: bot, baseUrl: "{receiver.url}" }}
"""))
            uid = world.trigger("short-api", {"n": 1})
            world.ended(uid)
            item = wait_for("a failed try", lambda: [d for d in self.deliveries(world, uid) if d["notifier"] == "chat" and d["attempts"]])[0]
            seen = json.dumps(item["attempts"][0])
            for expected in ("/oauth/token", "401", "invalid_client"):
                self.assertIn(expected, seen)
            self.assertNotIn("client-secret-7781", seen)

    def test_an_address_that_egress_does_not_name_is_refused_and_says_which_setting(self):
        with World(config="egress: []\n") as world:
            receiver = world.receiver()
            world.start_factory()
            world.agent("srv-1")
            world.deploy("short", SHORT, notifiers=HOOK.format(url=receiver.url))
            uid = world.trigger("short-api", {"n": 1})
            world.ended(uid)
            item = wait_for("a failed try", lambda: [d for d in self.deliveries(world, uid) if d["attempts"]])[0]
            self.assertIn("egress", item["attempts"][0]["error"])
            self.assertEqual(receiver.calls, [])


if __name__ == "__main__":
    unittest.main()
