"""One agent, several factories: slots shared, each served while another is away, and nothing of one told to the other."""
import json
import os
import signal
import unittest

from mill import BIN, Test, World, wait_for

WAITS = "do:\n  - pause: { wait: { milliseconds: 1500 } }\n"
QUICK = "do:\n  - note: { set: { done: true } }\n"


class SeveralFactories(Test):
    def setUp(self):
        super().setUp()
        self.first, self.second = World(), World()
        for world in (self.first, self.second):
            world.__enter__()
            self.addCleanup(world.__exit__, None, None, None)
            world.start_factory()
        self.data = self.first.enrol("shared")
        if self._testMethodName != "test_another_one_is_added_while_the_agent_runs":
            self.enrol_second()

    def enrol_second(self):
        code = self.second.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "forMs": 600000}).json["code"]
        return self.agent_command("enrol", "--factory", self.second.url, "--code", code, "--name", "lent").stdout

    def agent_command(self, *words, check=True):
        return self.first.command(BIN / "millwright-agent", words[0], "--data", self.data, *words[1:], check=check)

    def status(self):
        done = self.agent_command("status", "--json", check=False)
        return json.loads(done.stdout) if done.stdout else None

    def start(self, slots):
        program = self.first.start_agent(self.data, slots=slots)
        for world, name in ((self.first, "shared"), (self.second, "lent")):
            wait_for(f"{name} to be online", lambda: [a for a in world.api("GET", "/v1/agents").json["items"] if a["name"] == name and a["state"] == "online"])
        return program

    def folder_of(self, name):
        return [p for p in (self.data / "factories").iterdir() if json.loads((p / "agent.json").read_text())["name"] == name][0]

    def test_both_are_served_and_share_the_slots(self):
        triggers = [world.deploy("waits", WAITS) for world in (self.first, self.second)]
        self.start(slots=1)
        many = [self.first.trigger(triggers[0]) for _ in range(3)]
        wait_for("the slot to be taken", lambda: self.first.job(many[0])["state"] == "running")
        one = self.second.trigger(triggers[1])
        status = self.status()
        self.assertEqual([at["name"] for at in sorted(status["factories"], key=lambda at: at["name"])], ["lent", "shared"])
        self.assertEqual(status["slots"], {"total": 1, "taken": 1, "free": 0})
        self.assertEqual(status["problems"], [])
        self.second.ended(one)
        # It did not wait behind all of the other factory's.
        self.assertNotEqual(self.first.job(many[2])["state"], "successful")
        for uid in many:
            self.assertEqual(self.first.ended(uid)["state"], "successful")
        self.assertEqual(self.second.job(one)["state"], "successful")

    def test_one_that_is_away_does_not_keep_the_other_waiting(self):
        triggers = [world.deploy("quick", QUICK) for world in (self.first, self.second)]
        program = self.start(slots=2)
        self.first.factory.kill()
        uid = self.second.trigger(triggers[1])
        self.assertEqual(self.second.ended(uid)["state"], "successful")
        wait_for("its absence to be a problem", lambda: any(self.first.url in text for text in self.status()["problems"]))
        text = self.agent_command("status", check=False).stdout
        self.assertIn(f"{self.first.url} (default), as shared (unattended): does not answer", text)
        program.stop()
        # …not even when the agent starts meanwhile: each is subscribed by itself.
        self.first.start_agent(self.data, slots=2)
        self.assertEqual(self.second.ended(self.second.trigger(triggers[1]))["state"], "successful")
        self.first.start_factory()
        self.assertEqual(self.first.ended(self.first.trigger(triggers[0]))["state"], "successful")

    def test_nothing_of_one_is_told_to_the_other(self):
        triggers = [world.deploy("quick", QUICK) for world in (self.first, self.second)]
        (self.data / "policy.yaml").write_text("unsigned: false\n")  # of a refusal its log speaks
        self.start(slots=2)
        here, there = self.first.trigger(triggers[0]), self.second.trigger(triggers[1])
        for world, uid in ((self.first, here), (self.second, there)):
            self.assertEqual(world.ended(uid)["reason"], "refused")
        logs = {}
        for world, name, own in ((self.first, "shared", here), (self.second, "lent", there)):
            wait_for("its log", lambda: own in world.run("logs", f"agent/{name}").stdout)
            logs[name] = world.run("logs", f"agent/{name}").stdout
        self.assertNotIn(there, logs["shared"])
        self.assertNotIn(here, logs["lent"])
        self.assertNotIn(self.second.url, logs["shared"])
        self.assertNotIn(self.first.url, logs["lent"])

    def test_each_may_have_a_policy_of_its_own(self):
        triggers = [world.deploy("quick", QUICK) for world in (self.first, self.second)]
        (self.folder_of("lent") / "policy.yaml").write_text("unsigned: false\n")
        self.start(slots=2)
        self.assertEqual(self.first.ended(self.first.trigger(triggers[0]))["state"], "successful")
        ended = self.second.ended(self.second.trigger(triggers[1]))
        self.assertEqual((ended["state"], ended["reason"]), ("failed", "refused"))

    def test_a_damaged_enrolment_harms_the_other_not_and_is_said(self):
        trigger = self.first.deploy("quick", QUICK)
        key = self.folder_of("lent") / "key"
        key.write_text("not a key")
        self.first.start_agent(self.data, slots=1)
        self.assertEqual(self.first.ended(self.first.trigger(trigger))["state"], "successful")
        [problem] = self.status()["problems"]
        self.assertIn(f"the factory {self.folder_of('lent').name} is not served", problem)

    def test_jobs_of_both_go_on_through_a_kill_of_the_agent(self):
        triggers = [world.deploy("waits", WAITS) for world in (self.first, self.second)]
        program = self.start(slots=2)
        uids = [world.trigger(trigger) for world, trigger in zip((self.first, self.second), triggers)]
        for world, uid in zip((self.first, self.second), uids):
            wait_for("both to run", lambda: world.job(uid)["state"] == "running")
        os.kill(program.children("millwright-agent")[0], signal.SIGKILL)
        for world, uid in zip((self.first, self.second), uids):
            self.assertEqual(world.ended(uid)["state"], "successful")
            self.assertEqual(world.job(uid)["attempt"], 1)

    def test_another_one_is_added_while_the_agent_runs(self):
        triggers = [world.deploy("waits", WAITS) for world in (self.first, self.second)]
        self.first.start_agent(self.data, slots=2)
        uid = self.first.trigger(triggers[0])
        wait_for("the job to run", lambda: self.first.job(uid)["state"] == "running")
        said = self.enrol_second()
        self.assertIn("millwright-agent reload", said)
        self.assertEqual([at["name"] for at in self.status()["factories"]], ["shared"])
        self.agent_command("reload")
        self.assertEqual(self.second.ended(self.second.trigger(triggers[1]))["state"], "successful")
        self.assertEqual(self.first.ended(uid)["state"], "successful")

    def test_a_reload_that_would_serve_nobody_changes_nothing(self):
        trigger = self.first.deploy("quick", QUICK)
        self.first.start_agent(self.data)
        (self.data / "config.yaml").write_text("factory: nowhere\n")
        said = self.agent_command("reload", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("'factory: nowhere' is none of those", said.stderr)
        (self.folder_of("lent") / "policy.yaml").write_text("nonsense: true\n")
        (self.data / "config.yaml").write_text("")
        self.assertIn("nonsense", self.agent_command("reload", check=False).stderr)
        self.assertEqual(self.first.ended(self.first.trigger(trigger))["state"], "successful")

    def test_only_one_is_served_when_the_settings_say_so(self):
        trigger = self.first.deploy("quick", QUICK)
        (self.data / "config.yaml").write_text(f"factory: {self.folder_of('shared').name}\n")
        self.first.start_agent(self.data)
        self.assertEqual(self.first.ended(self.first.trigger(trigger))["state"], "successful")
        self.assertEqual([at["name"] for at in self.status()["factories"]], ["shared"])
        [agent] = self.second.api("GET", "/v1/agents").json["items"]
        self.assertNotEqual(agent["state"], "online")


if __name__ == "__main__":
    unittest.main()
