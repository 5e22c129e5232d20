"""What a published version is for, and a deployment's way between versions: through the real programs, also when they are killed."""
import http.client
import threading
import time
import unittest

from mill import Test, World

SET = "do:\n  - a: { set: { x: 1 } }\n"


def publish(world, version, name="orders", *more, text=SET):
    folder = world.package(name, text, version=version)
    archive = world.folder / f"{name}-{version}.mwp"
    world.run("pack", folder, "--output", archive)
    return world.run("publish", archive, *more)


def apply(world, version, *more, check=True, extra="", name="orders"):
    return world.run("apply", "-f", world.write(f"{name}-{version}.yaml", f"""kind: Deployment
name: {name}
package: {name}@{version}
environment: default
permissions: as-requested
{extra}"""), *more, check=check)


class PackageStates(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()

    def states(self):
        return {p["version"]: p["state"] for p in self.world.json("packages", "orders")["items"]}

    def test_a_draft_is_deployed_only_where_the_deployment_says_so(self):
        world = self.world
        trigger = world.deploy("orders", SET)
        self.assertIn("draft", publish(world, "1.1.0", "orders", "--draft").stdout)
        self.assertEqual(self.states(), {"1.0.0": "released", "1.1.0": "draft"})
        refused = apply(world, "1.1.0", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("millwright packages release orders@1.1.0", refused.stderr)
        self.assertIn("allowDraft: true", refused.stderr)
        apply(world, "1.1.0", extra="allowDraft: true\n")
        self.assertEqual(world.job(world.trigger(trigger))["package"]["version"], "1.1.0")
        publish(world, "1.1.0")  # the same bytes again leave it what it is
        self.assertEqual(self.states()["1.1.0"], "draft")
        world.run("packages", "release", "orders@1.1.0", "--reason", "tried")
        apply(world, "1.1.0")
        self.assertEqual(world.run("packages", "release", "orders", check=False).returncode, 64)

    def test_a_deprecated_version_warns_and_goes_on(self):
        world = self.world
        trigger = world.deploy("orders", SET)
        world.run("packages", "deprecate", "orders@1.0.0", "--reason", "use 1.1")
        world.agent("srv-1")
        self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
        said = apply(world, "1.0.0", extra="variables: {}\ndescription: again\n").stderr
        self.assertIn("warning: Deployment 'orders': package 'orders@1.0.0' was deprecated by", said)
        self.assertIn("use 1.1", said)
        world.run("packages", "release", "orders@1.0.0")
        self.assertNotIn("deprecated", apply(world, "1.0.0").stderr)

    def test_a_decommissioned_version_starts_nothing_and_does_not_come_back(self):
        world = self.world
        trigger = world.deploy("orders", SET)
        publish(world, "1.1.0")
        uid = world.trigger(trigger)
        world.run("packages", "decommission", "orders@1.0.0", "--reason", "orders twice")
        answer = world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {}})
        self.assertEqual((answer.status, answer.json["type"]), (409, "urn:millwright:problem:decommissioned"))
        for word in ("orders@1.0.0", "was decommissioned by", "orders twice"):
            self.assertIn(word, answer.json["detail"])
        world.factory.kill()
        world.start_factory()
        world.agent("srv-1")
        why = world.run("why", uid).stdout
        self.assertIn("orders twice", why)
        self.assertIn("millwright deployments rollback orders --rebind-waiting", why)
        checked = world.run("deployments", "check", "orders", check=False)
        self.assertEqual(checked.returncode, 1)
        self.assertIn("orders twice", checked.stdout)
        self.assertIn("makes no jobs", apply(world, "1.0.0").stderr)  # it is there already: nothing comes back by that
        apply(world, "1.1.0")
        ran = world.ended(world.trigger(trigger))
        self.assertEqual((ran["state"], ran["package"]["version"]), ("successful", "1.1.0"))
        self.assertEqual(world.job(uid)["state"], "ready")  # an agent was free, and it did not start
        for more in ((), ("--force",)):
            refused = apply(world, "1.0.0", *more, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("was decommissioned by", refused.stderr)
        self.assertIn("was decommissioned by", world.run("packages", "release", "orders@1.0.0", check=False).stderr)
        refused = world.run("deployments", "rollback", "orders", "--to", "1.0.0", check=False)
        self.assertIn("was decommissioned by", refused.stderr)
        world.run("deployments", "rollback", "orders", "--to", "1.1.0", "--rebind-waiting")
        job = world.ended(uid)
        self.assertEqual((job["state"], job["package"]["version"]), ("successful", "1.1.0"))
        self.assertIn("rebound", [line["state"] for line in world.json("timeline", uid)["items"]])


class Rollback(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.trigger = self.world.deploy("orders", SET)
        publish(self.world, "1.1.0")
        apply(self.world, "1.1.0")

    def history(self):
        return [(m["what"], m.get("from", "").partition("@")[2], m["to"].partition("@")[2]) for m in self.world.json("deployments", "history", "orders")["items"]]

    def test_back_forward_and_a_stale_apply(self):
        world = self.world
        waiting = world.trigger(self.trigger)
        said = world.run("deployments", "rollback", "orders", "--why", "slow")
        self.assertIn("orders@1.1.0 → orders@1.0.0", said.stdout)
        self.assertIn("no agent", said.stderr)
        self.assertEqual(world.job(waiting)["package"]["version"], "1.1.0")
        self.assertEqual(world.job(world.trigger(self.trigger))["package"]["version"], "1.0.0")
        for more in ((), ("--dry-run",)):
            refused = apply(world, "1.1.0", *more, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("was rolled back to orders@1.0.0 by", refused.stderr)
            self.assertIn("slow", refused.stderr)
            self.assertIn("--force", refused.stderr)
        self.assertEqual(world.api("PUT", "/v1/deployments/orders", {"package": "orders@1.1.0", "environment": "default"}).status, 409)
        nothing = world.run("deployments", "rollback", "orders", check=False)  # not forward by accident
        self.assertNotEqual(nothing.returncode, 0)
        self.assertIn("no version before orders@1.0.0", nothing.stderr)
        world.run("deployments", "rollback", "orders", "--to", "1.1.0")
        self.assertEqual(self.history(), [("rolled_forward", "1.0.0", "1.1.0"), ("rolled_back", "1.1.0", "1.0.0"), ("applied", "1.0.0", "1.1.0"), ("applied", "", "1.0.0")])
        world.run("deployments", "rollback", "orders", "--to", "orders@1.0.0")
        apply(world, "1.1.0", "--force")
        apply(world, "1.0.0")  # nobody rolled that one back
        self.assertIn("never had orders@9.9.9; it had", world.run("deployments", "rollback", "orders", "--to", "9.9.9", check=False).stderr)
        self.assertIn("slow", world.run("deployments", "history", "orders").stdout)

    def test_settings_go_back_with_their_version(self):
        world = self.world
        apply(world, "1.1.0", extra="description: new settings\n")
        world.run("deployments", "rollback", "orders")
        self.assertNotIn("description", world.api("GET", "/v1/deployments/orders").json)
        world.run("deployments", "rollback", "orders", "--to", "1.1.0")
        self.assertEqual(world.api("GET", "/v1/deployments/orders").json["description"], "new settings")
        self.assertEqual(self.history()[2], ("settings", "1.1.0", "1.1.0"))

    def test_killed_around_a_rollback_nothing_is_half_done(self):
        world = self.world
        uids = [world.trigger(self.trigger) for _ in range(60)]
        seen, turn = set(), 0

        def rollback(to):
            try:
                world.api("POST", "/v1/deployments/orders/rollback", {"to": to, "rebindWaiting": True})
            except (OSError, http.client.HTTPException):
                pass   # killed meanwhile

        # Until a kill came before the change and another behind it.
        while seen != {True, False} and turn < 60:
            to = "1.0.0" if world.api("GET", "/v1/deployments/orders").json["package"].endswith("1.1.0") else "1.1.0"
            call = threading.Thread(target=rollback, args=(to,))
            call.start()
            time.sleep(0.001 * (turn % 20))
            world.factory.kill()
            call.join()
            world.start_factory()
            stands = world.api("GET", "/v1/deployments/orders").json["package"].partition("@")[2]
            versions = {world.job(uid)["package"]["version"] for uid in uids}
            self.assertEqual(versions, {stands}, f"turn {turn}: {stands} deployed, the waiting jobs have {versions}")
            last = world.json("deployments", "history", "orders")["items"][0]
            self.assertEqual(last["to"], f"orders@{stands}")
            lines = {sum(line["state"] == "rebound" for line in world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"]) for uid in uids}
            self.assertEqual(len(lines), 1, lines)
            seen.add(stands == to)
            turn += 1
        self.assertEqual(seen, {True, False})
        world.agent("srv-1", slots=4)
        for uid in uids:
            job = world.ended(uid)
            self.assertEqual((job["state"], job["package"]["version"]), ("successful", stands))


if __name__ == "__main__":
    unittest.main()
