"""Notifiers that hear of more than how a job ended, through the real programs; and one whose receiver does not work."""
import json
import unittest

from mill import FactoryTest, wait_for

REPLY = "do:\n  - answer: { set: { reply: hi } }\n"


class Sources(FactoryTest):
    def notifier(self, name, source, on, path="/told", more=""):
        text = f"kind: Notifier\nname: {name}\n{source}\non: {on}\ntype: api\napi: {{ url: \"{self.receiver.url}{path}\" }}\n{more}"
        return self.world.run("apply", "-f", self.world.write(f"{name}.yaml", text), check=False)

    def events(self, path="/told"):
        return [json.loads(call["body"]) for call in self.receiver.at(path)]

    def test_a_job_that_nobody_takes_is_told_of_with_its_reason_once_and_across_a_kill(self):
        trigger = self.world.deploy("reply", REPLY)
        self.assertEqual(self.notifier("late", "environment: default", "[ waiting: { for: 1s } ]").returncode, 0)
        uid = self.world.trigger(trigger)
        wait_for("the notice", lambda: self.receiver.at("/told"))
        event = self.events()[0]
        self.assertEqual((event["type"], event["subject"]), ("io.millwright.job.waiting", uid))
        self.assertIn("millwright agents invite", event["data"]["why"]["text"])
        self.world.factory.kill()
        self.world.start_factory()
        second = self.world.trigger(trigger)
        wait_for("the other notice", lambda: len(self.receiver.at("/told")) > 1)
        self.assertEqual(self.events()[1]["subject"], second)
        self.assertEqual(len(self.receiver.at("/told")), 2)

    def test_an_agent_that_is_gone_and_back(self):
        self.assertEqual(self.notifier("machines", "agents: [ 'srv-*' ]", "[ offline: { for: 1s }, online ]").returncode, 0)
        agent = self.world.agent()
        wait_for("the agent", lambda: self.world.json("agents")["items"][0]["online"])
        agent.kill()
        wait_for("offline", lambda: self.receiver.at("/told"), 40)
        event = self.events()[0]
        self.assertEqual((event["type"], event["subject"]), ("io.millwright.agent.offline", "srv-1"))
        self.world.start_agent(self.world.folder / "srv-1")
        wait_for("its return", lambda: len(self.receiver.at("/told")) > 1)
        self.assertEqual(self.events()[1]["type"], "io.millwright.agent.online")

    def test_a_dead_letter_is_told_of_and_dead_ones_go_out_again_by_filter(self):
        self.world.agent()
        self.receiver.answers["/refuses"] = lambda *_: (404, {"message": "nobody here"})
        trigger = self.world.deploy("reply", REPLY, notifiers=f"kind: Notifier\nname: hook\ntrigger: reply-api\non: [ success ]\ntype: api\napi: {{ url: \"{self.receiver.url}/refuses\" }}")
        self.assertEqual(self.notifier("post", "deliveries: all", "[ dead ]").returncode, 0)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        wait_for("the notice", lambda: self.receiver.at("/told"))
        data = self.events()[0]["data"]
        self.assertEqual((data["delivery"]["notifier"], data["job"]["uid"]), ("hook", uid))
        self.assertIn("nobody here", data["delivery"]["error"])
        would = self.world.run("deliveries", "resend", "--notifier", "hook", "--state", "dead", "--since", "1h", "--dry-run").stdout
        self.assertIn("would go out again", would)
        self.assertEqual(self.world.run("deliveries", "resend", "--job", uid, "--dry-run", check=False).returncode, 64)   # or it would send
        self.receiver.answers["/refuses"] = lambda *_: (200, {})
        self.assertIn("goes out again", self.world.run("deliveries", "resend", "--notifier", "hook", "--since", "1h").stdout)
        wait_for("delivery", lambda: self.world.json("deliveries", "--notifier", "hook")["items"][0]["state"] == "delivered")

    def test_a_receiver_that_fails_is_held_and_says_so(self):
        self.world.agent()
        self.receiver.answers["/down"] = lambda *_: (404, {"message": "gone"})
        trigger = self.world.deploy("reply", REPLY, notifiers=f"kind: Notifier\nname: hook\ntrigger: reply-api\non: [ success ]\ntype: api\napi: {{ url: \"{self.receiver.url}/down\" }}")
        for number in range(6):
            self.world.ended(self.world.trigger(trigger))
            wait_for("the try", lambda: len(self.receiver.at("/down")) >= min(number + 1, 5))
        listed = self.world.run("notifiers").stdout
        self.assertIn("held since", listed)
        self.assertIn("next probe", self.world.run("notifiers", "show", "hook").stdout)
        why = self.world.run("why", "notifier/hook").stdout
        self.assertIn("gone", why)
        self.assertIn("millwright notifiers resume hook", why)
        self.assertIn("held", self.world.run("deliveries", "--notifier", "hook", "--state", "pending").stdout)
        self.receiver.answers["/down"] = lambda *_: (200, {})
        self.assertIn("go out now", self.world.run("notifiers", "resume", "hook").stdout)
        wait_for("delivery", lambda: self.world.json("deliveries", "--notifier", "hook", "--state", "delivered")["items"])
        self.assertNotIn("held since", self.world.run("notifiers").stdout)

    def test_mistakes_are_told_together(self):
        wrong = self.notifier("wrong", "trigger: nowhere", "[ success, dead ]")
        self.assertIn("'dead'", wrong.stderr)
        wrong = self.notifier("wrong", "trigger: nowhere", "[ success ]", more="when: \"${ .nothing }\"\n")
        self.assertIn("trigger 'nowhere' is not there", wrong.stderr)
        self.assertIn(".nothing", wrong.stderr)
        self.assertIn("stands beside", self.notifier("wrong", "trigger: a\nagents: all", "[ success ]").stderr)

    def test_each_source_can_be_tried_out(self):
        self.assertEqual(self.notifier("keys", "credentials: all", "[ expiring: { before: 7d } ]").returncode, 0)
        self.assertIn("it works", self.world.run("notifiers", "test", "keys").stdout)
        self.assertEqual(self.events()[0]["type"], "io.millwright.credential.expiring")


if __name__ == "__main__":
    unittest.main()
