"""`millwright canary agent/NAME`: a built-in job on one agent, each leg with its time; what keeps it from running is named, and nothing is left."""
import json
import unittest

from mill import BIN, Test, World, wait_for


class Canary(Test):
    def canary(self, world, name, *more):
        done = world.run("canary", f"agent/{name}", *more, "--json", check=False)
        return done.returncode, json.loads(done.stdout)

    def test_a_fresh_agent_runs_it_without_anything_of_its_user(self):
        with World() as world:
            world.start_factory()
            data = world.enrol("srv-1", environment="far-away")
            (data / "policy.yaml").write_text("unsigned: false\n")     # as enrolment leaves it
            world.start_agent(data)
            world.agent("srv-2")
            status, said = self.canary(world, "srv-1")
            self.assertEqual((status, said["ok"], said["state"]), (0, True, "successful"), said)
            self.assertEqual([leg["leg"] for leg in said["legs"]], ["created", "offered", "package fetched", "sandbox started", "first step", "ended", "reported"])
            self.assertEqual(world.job(said["job"])["agent"], "srv-1")
            for kind in ("deployments", "triggers", "notifiers"):
                self.assertEqual(world.api("GET", f"/v1/{kind}").json["items"], [])
            self.assertEqual([e["name"] for e in world.api("GET", "/v1/environments").json["items"]], ["default"])
            # Again: the agent has the package, and the factory keeps one of it.
            text = world.run("canary", "agent/srv-1").stdout
            self.assertIn("it had the package", text)
            self.assertIn("well: srv-1 ran the canary", text)
            self.assertEqual([p["name"] for p in world.api("GET", "/v1/packages").json["items"]], ["millwright-canary"])
            folder = world.package("millwright-canary", "\ndo:\n  - a: { set: { x: 1 } }\n", version="9.0.0")
            self.assertIn("factory's own", world.run("publish", folder, check=False).stderr)
            # The policy of the machine holds for all else.
            trigger = world.deploy("other", "\ndo:\n  - a: { set: { x: 1 } }\n", environment="far-away", more="")
            self.assertIn(world.ended(world.trigger(trigger))["agent"], ("srv-1", "srv-2"))

    def test_what_keeps_it_from_running_is_named_and_it_is_not_left_to_run_some_day(self):
        with World() as world:
            world.start_factory()
            agent = world.agent("srv-1")
            world.run("agents", "set", "srv-1", "--pause")
            status, said = self.canary(world, "srv-1", "--within", "2s")
            self.assertEqual((status, said["ok"]), (1, False))
            self.assertIn("millwright agents set srv-1 --resume", json.dumps(said["why"]))
            self.assertIn(world.job(said["job"])["state"], ("expired", "cancelled"))
            world.run("agents", "set", "srv-1", "--resume")
            agent.stop()
            done = world.run("canary", "agent/srv-1", "--within", "2s", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("it waits: srv-1 is offline since", done.stderr)
            self.assertIn("not well", done.stdout)
            self.assertEqual(world.api("GET", "/v1/jobs?state=ready").json["items"], [])
            nobody = world.run("canary", "agent/nobody", check=False)
            self.assertNotEqual(nobody.returncode, 0)
            self.assertIn("agent 'nobody' is not there", nobody.stderr)
            self.assertEqual(world.run("canary", "srv-1", check=False).returncode, 64)
            self.assertEqual(world.run("canary", "agent/srv-1", "--within", "1ms", check=False).returncode, 64)
            # On the machine: a person there paused it.
            world.start_agent(world.folder / "srv-1")
            world.command(BIN / "millwright-agent", "pause", "--data", world.folder / "srv-1", "--why", "lunch")
            wait_for("the factory to know", lambda: "lunch" in json.dumps(self.canary(world, "srv-1", "--within", "1s")[1]))


if __name__ == "__main__":
    unittest.main()
