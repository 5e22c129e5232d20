"""A deployment's canary: a new version goes to a group of agents first, and by itself to all, or back. With the real programs."""
import unittest

from mill import Test, World, wait_for
from package_states_test import SET, apply, publish

BAD = "do:\n  - a: { raise: { error: { type: https://example.com/errors/no-such-order, status: 404, title: no such order } } }\n"
GROUPS = """kind: Environment
name: default
agents: [ "srv-9" ]
groups: [ { name: early, agents: [ "srv-1" ] } ]
"""
CANARY = "canary: { group: early, jobs: 2 }\n"


class Canary(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.trigger = self.world.deploy("orders", SET)
        self.world.run("apply", "-f", self.world.write("groups.yaml", GROUPS))

    def agents(self):
        self.world.agent("srv-1")
        self.world.agent("srv-9")
        wait_for("both agents", lambda: sum(a["online"] for a in self.world.json("agents")["items"]) == 2)

    def ended(self):
        job = self.world.ended(self.world.trigger(self.trigger))
        return job["package"]["version"], job["state"], job["agent"]["name"] if isinstance(job["agent"], dict) else job["agent"]

    def deployed(self):
        return self.world.json("get", "deployment", "orders")["package"]

    def test_a_good_version_comes_to_all_after_its_jobs(self):
        world = self.world
        self.agents()
        publish(world, "1.1.0", text=SET + "  - b: { set: { y: 2 } }\n")
        apply(world, "1.1.0", extra=CANARY)
        said = world.run("deployments", "check", "orders").stdout
        self.assertIn("orders@1.1.0 is tried by group 'early'", said)
        self.assertIn("the others go on with orders@1.0.0", said)
        self.assertIn("canary_under_way", [r["code"] for r in world.json("why", "deployment/orders")["reasons"]])
        world.factory.kill()  # how far it is survives
        world.start_factory()
        wait_for("both agents", lambda: sum(a["online"] for a in world.json("agents")["items"]) == 2)
        seen = []
        for _ in range(12):
            seen.append(self.ended())
            if [s[0] for s in seen].count("1.1.0") >= 3:
                break
        self.assertEqual({s[1] for s in seen}, {"successful"})
        tried = [s for s in seen if s[0] == "1.1.0"][:2]
        self.assertEqual([s[2] for s in tried], ["srv-1", "srv-1"], seen)
        wait_for("promoted", lambda: world.json("deployments", "history", "orders")["items"][0]["what"] == "promoted")
        self.assertNotIn("is tried by", world.run("deployments", "check", "orders").stdout)

    def test_a_bad_version_goes_back_by_itself_and_stays_away(self):
        world = self.world
        self.agents()
        publish(world, "1.1.0", text=BAD)
        apply(world, "1.1.0", extra=CANARY)
        for _ in range(12):
            version, state, agent = self.ended()
            if version == "1.1.0":
                self.assertEqual((state, agent), ("failed", "srv-1"))
                break
            self.assertEqual(state, "successful")
        self.assertEqual(version, "1.1.0")
        wait_for("it is back", lambda: self.deployed() == "orders@1.0.0")
        line = world.json("deployments", "history", "orders")["items"][0]
        self.assertEqual((line["what"], line["by"], line["from"], line["to"]), ("rolled_back", "canary", "orders@1.1.0", "orders@1.0.0"))
        self.assertIn("no such order", line["why"])
        refused = apply(world, "1.1.0", extra=CANARY, check=False)  # a pipeline that says it again
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("was rolled back to orders@1.0.0 by canary", refused.stderr)
        self.assertEqual(self.ended()[:2], ("1.0.0", "successful"))

    def test_nobody_of_the_group_is_there_and_no_job_waits_for_it(self):
        world = self.world
        world.agent("srv-9")
        publish(world, "1.1.0", text=BAD)
        apply(world, "1.1.0", extra=CANARY)
        for _ in range(3):
            self.assertEqual(self.ended(), ("1.0.0", "successful", "srv-9"))
        world.run("deployments", "promote", "orders", "--why", "we know it")
        self.assertEqual(self.ended()[:2], ("1.1.0", "failed"))
        again = world.run("deployments", "promote", "orders", check=False)
        self.assertIn("tries no version", again.stderr)

    def test_what_is_wrong_with_a_canary_is_said(self):
        world = self.world
        for text, words in (("canary: { group: erly }\n", "names group 'erly', environment 'default' has early"), ("canary: { jobs: 2 }\n", "'group' is missing"),
                            ("canary: { group: early, jobs: 0 }\n", "jobs"), ("canary: { group: early, percent: 5 }\n", "percent")):
            refused = apply(world, "1.0.0", extra=text, check=False)
            self.assertNotEqual(refused.returncode, 0, text)
            self.assertIn(words, refused.stderr)


if __name__ == "__main__":
    unittest.main()
