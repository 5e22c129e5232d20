"""Locks: two triggers that share something run one at a time, it is said who waits for whom, and a factory that dies forgets none of it."""
import signal
import unittest

from mill import Test, World, wait_for

SLOW = "do:\n  - a: { wait: { seconds: 3 } }\n"
LONG = "do:\n  - a: { wait: { seconds: 60 } }\n"


def deploy(world, name, workflow, locks, trigger=""):
    return world.deploy(name, workflow, trigger=f"locks: [ {locks} ]\n{trigger}")


class Locks(Test):
    def test_two_triggers_with_one_lock_run_one_after_the_other(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1", slots=4)
            first, second = deploy(world, "invoices", SLOW, "erp"), deploy(world, "orders", SLOW, "erp, crm")
            one, two = world.trigger(first), world.trigger(second)
            wait_for("the first to run", lambda: world.job(one)["state"] == "running")
            self.assertEqual(world.job(two)["state"], "ready")
            said = world.run("why", two).stdout
            self.assertIn(f"waits for lock erp, held by job {one} of trigger {first} since", said)
            self.assertIn("1 waits for lock erp, held by", world.run("why").stdout)
            held = {lock["name"]: lock for lock in world.json("locks")["items"]}
            self.assertEqual([holder["job"] for holder in held["erp"]["holders"]], [one])
            self.assertEqual([(row["trigger"], row["jobs"]) for row in held["erp"]["waiting"]], [(second, 1)])
            self.assertEqual((held["crm"]["holders"], held["crm"]["slots"]), ([], 1))
            self.assertIn("erp", world.run("locks").stdout)
            world.ended(one)
            job = world.ended(two)
            self.assertEqual(job["state"], "successful")
            self.assertGreaterEqual(job["startedAt"], world.job(one)["endedAt"])
            self.assertEqual(world.json("locks")["items"], [])

    def test_a_factory_that_is_killed_still_knows_who_holds_what(self):
        with World() as world:
            factory = world.start_factory()
            world.agent("srv-1", slots=4)
            trigger = deploy(world, "invoices", LONG, "erp")
            one, two = world.trigger(trigger), world.trigger(trigger)
            wait_for("the first to run", lambda: world.job(one)["state"] == "running")
            factory.kill(signal.SIGKILL)
            world.start_factory()
            wait_for("the agent to be there again", lambda: world.api("GET", "/v1/agents/srv-1").json["online"])
            self.assertEqual((world.job(one)["state"], world.job(two)["state"]), ("running", "ready"))
            self.assertIn("waits for lock erp", world.run("why", two).stdout)
            world.run("cancel", one)
            wait_for("the second to run", lambda: world.job(two)["state"] == "running")

    def test_what_is_wrong_with_locks_is_said_when_they_are_written(self):
        with World() as world:
            world.start_factory()
            trigger = deploy(world, "invoices", SLOW, "erp")
            for locks, words in (("[ 'Not A Name' ]", "has 'Not A Name'"), ("[ a, b, c, d, e, f, g, h, i ]", "names 9 locks, a job has at most 8")):
                path = world.write("t.yaml", f"kind: Trigger\nname: {trigger}\ndeployment: invoices\nlocks: {locks}\n")
                refused = world.run("apply", "-f", str(path), check=False)
                self.assertNotEqual(refused.returncode, 0)
                self.assertIn(words, refused.stderr)
            path = world.write("e.yaml", "kind: Environment\nname: default\nlocks: { erp: 0 }\n")
            refused = world.run("apply", "-f", str(path), check=False)
            self.assertIn("gives 'erp' 0, expected how many jobs hold it at a time, from 1 to 1000", refused.stderr)


if __name__ == "__main__":
    unittest.main()
