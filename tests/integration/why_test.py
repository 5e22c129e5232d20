"""Why a job waits: which agents there are, what each lacks, and what to type."""
import unittest

from mill import Test, World, wait_for

SET = "do:\n  - a: { set: { x: 1 } }\n"


class Why(Test):
    def why(self, world, uid):
        return world.run("why", uid).stdout

    def test_it_names_each_agent_and_changes_as_soon_as_the_agents_do(self):
        with World() as world:
            world.start_factory()
            trigger = world.deploy("orders", SET)
            uid = world.trigger(trigger)
            self.assertEqual(world.job(uid)["state"], "ready")
            self.assertIn("no agent", self.why(world, uid).lower())
            attended = world.agent("srv-1", mode="attended")
            said = wait_for("srv-1 in why", lambda: "srv-1" in self.why(world, uid) and self.why(world, uid))
            self.assertIn("attended", said)
            self.assertIn("millwright agents set srv-1 --mode unattended", said)
            offline = world.agent("srv-2", mode="attended")
            offline.stop()
            wait_for("srv-2 to be offline", lambda: "srv-2 is offline since" in self.why(world, uid))
            world.run("agents", "set", "srv-1", "--mode", "unattended")
            self.assertEqual(world.ended(uid)["agent"], "srv-1")
            del attended

    def test_a_waiting_job_expires_to_the_second_and_says_so(self):
        with World() as world:
            world.start_factory()
            trigger = world.deploy("orders", SET, trigger="expiration: 2s\n")
            uid = world.trigger(trigger)
            job = world.ended(uid, 10)
            self.assertEqual((job["state"], job["reason"]), ("expired", "not_started"))

    def test_an_agent_that_policy_keeps_from_running_refuses_and_names_the_policy(self):
        with World() as world:
            world.start_factory()
            data = world.enrol("srv-1")
            (data / "policy.yaml").write_text("unsigned: false\n")
            world.start_agent(data)
            trigger = world.deploy("orders", SET)
            job = world.ended(world.trigger(trigger))
            self.assertEqual((job["state"], job["reason"]), ("failed", "refused"))
            self.assertIn("policy", str(job["error"]) + str(job.get("evidence")))
            self.assertEqual(job["evidence"]["withheld"], [{"item": "package orders 1.0.0, unsigned", "by": "policy.yaml: unsigned"}])


if __name__ == "__main__":
    unittest.main()
