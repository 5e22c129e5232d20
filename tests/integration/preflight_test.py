"""Which agents could run a deployment's jobs, before anybody calls for one."""
import json
import unittest

from mill import Test, World, wait_for

SET = "do:\n  - a: { set: { x: 1 } }\n"


class Preflight(Test):
    def check(self, world, name="orders"):
        done = world.run("deployments", "check", name, "--json", check=False)
        return done.returncode, json.loads(done.stdout)

    def test_it_follows_the_agents(self):
        with World() as world:
            world.start_factory()
            world.run("pack", world.package("orders", SET, more='requires: { millwright: ">=0.1" }\n'), "--output", world.folder / "o.mwp")
            world.run("publish", world.folder / "o.mwp")
            applied = world.run("apply", "-f", world.write("o.yaml", """kind: Deployment
name: orders
package: orders@1.0.0
environment: default
permissions: as-requested
---
kind: Trigger
name: orders-api
deployment: orders
type: api
"""))
            self.assertIn("warning: deployment orders: no agent can run it: there is none in environment 'default'", applied.stderr)
            status, found = self.check(world)
            self.assertEqual((status, found["counts"]), (1, {"now": 0, "later": 0, "no": 0}))
            self.assertIn("no_agents", [p["code"] for p in found["problems"]])

            agent = world.agent("srv-1")
            wait_for("srv-1 to be able", lambda: self.check(world)[1]["counts"]["now"] == 1)
            status, found = self.check(world)
            self.assertEqual((status, found["blocked"], found["agents"][0]["name"]), (0, False, "srv-1"))
            self.assertTrue(found["agents"][0]["version"])
            self.assertEqual(world.run("apply", "-f", world.folder / "o.yaml").stderr, "")
            self.assertIn("1 of 1 agents of environment 'default' can run it now: srv-1", world.run("why", "deployment/orders").stdout)

            world.run("agents", "set", "srv-1", "--pause")
            status, found = self.check(world)
            self.assertEqual((status, [r["code"] for r in found["agents"][0]["reasons"]]), (1, ["agent_paused"]))
            self.assertIn("millwright agents set srv-1 --resume", world.run("why", "deployment/orders").stdout)
            world.run("agents", "set", "srv-1", "--resume")
            agent.stop()
            wait_for("srv-1 to be away", lambda: self.check(world)[1]["counts"] == {"now": 0, "later": 1, "no": 0})
            self.assertIn("srv-1 is offline since", world.run("deployments", "check", "orders", check=False).stdout)

    def test_what_the_package_requires_is_named(self):
        with World() as world:
            world.start_factory()
            world.agent("srv-1")
            world.deploy("orders", SET, more='requires: { millwright: ">=99", programs: [ no-such-program ], labels: { site: berlin } }\n')
            status, found = self.check(world)
            self.assertEqual((status, found["counts"]), (1, {"now": 0, "later": 0, "no": 1}))
            texts = {r["text"] for r in found["agents"][0]["reasons"]}
            self.assertEqual({r["code"] for r in found["agents"][0]["reasons"]}, {"missing_fact", "missing_label"})
            self.assertTrue(any("no program 'no-such-program'" in t for t in texts), texts)
            self.assertTrue(any("runs millwright" in t and ">=99 is asked for" in t for t in texts), texts)
            self.assertIn("none of 1 agents of environment 'default' can run it", found["text"])

    def test_what_is_not_there_and_what_is_wrong_is_said(self):
        with World() as world:
            world.start_factory()
            self.assertEqual(world.api("GET", "/v1/deployments/nothing/preflight").status, 404)
            self.assertEqual(world.api("GET", "/v1/deployments/nothing/history").status, 404)
            self.assertEqual(world.api("POST", "/v1/deployments/nothing/rollback", {}).status, 404)
            self.assertEqual(world.api("PUT", "/v1/packages/nothing/1.0.0/state", {"state": "released"}).status, 404)
            wrong = world.api("PUT", "/v1/packages/nothing/1.0.0/state", {"state": "gone"})
            self.assertEqual(wrong.status, 400)
            self.assertIn("draft, released, deprecated, decommissioned", wrong.json["detail"])
            self.assertEqual(world.run("why", "package/orders", check=False).returncode, 64)


if __name__ == "__main__":
    unittest.main()
