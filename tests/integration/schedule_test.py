"""Triggers that fire by themselves, through the real programs: fired, shown, killed in between, told when not."""
import datetime
import time
import unittest

from mill import Test, World, wait_for

QUICK = "do:\n  - note: { set: { said: '${ .region }' } }\n"
SCHEDULE = """kind: Trigger
name: {name}
deployment: quick
type: schedule
input: {{ region: eu }}
schedule: {rule}
"""


class Schedules(Test):
    def world(self):
        world = World()
        world.__enter__()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        return world

    def begin(self, rule, name="often"):
        world = self.world()
        world.deploy("quick", QUICK)
        self.apply(world, rule, name)
        return world

    def apply(self, world, rule, name="often", check=True):
        return world.run("apply", "-f", world.write("schedule.yaml", SCHEDULE.format(name=name, rule=rule)), check=check)

    def firings(self, world, name="often"):
        return world.api("GET", f"/v1/triggers/{name}/firings").json["items"]

    def test_it_fires_runs_and_is_shown(self):
        world = self.begin("{ every: 2s }")
        world.agent()
        fired = wait_for("a firing", lambda: [f for f in self.firings(world) if f["outcome"] == "started"])
        job = world.ended(fired[-1]["job"])
        self.assertEqual((job["state"], job["output"], job["requestedBy"]), ("successful", {"said": "eu"}, "schedule often"))
        due = datetime.datetime.fromisoformat(fired[-1]["due"].replace("Z", "+00:00"))
        created = datetime.datetime.fromisoformat(job["createdAt"].replace("Z", "+00:00"))
        self.assertLess(abs((created - due).total_seconds()), 1.5)
        shown = world.run("triggers", "schedule", "often", "--count", "5").stdout
        self.assertIn("every 2s in UTC", shown)
        self.assertIn("started", shown)
        self.assertIn("next:", shown)
        plan = world.json("triggers", "schedule", "often", "--count", "5")
        self.assertEqual(len(plan["next"]), 5)
        self.assertTrue(plan["firings"])
        self.assertIn("it fires next at", world.run("why", "trigger/often").stdout)

    def test_a_kill_at_any_moment_loses_no_time_and_fires_none_twice(self):
        world = self.begin("{ every: 1s, overlap: allow-all, catchUp: 1h }")
        first = wait_for("a firing", lambda: self.firings(world))[-1]["due"]
        for pause in (0.1, 0.45, 0.8, 1.3, 0.2):
            time.sleep(pause)
            world.factory.kill()
            time.sleep(pause)
            world.start_factory()
        time.sleep(2.2)
        rows = self.firings(world)
        self.assertEqual({row["outcome"] for row in rows}, {"started"})
        dues = sorted(datetime.datetime.fromisoformat(row["due"].replace("Z", "+00:00")) for row in rows)
        self.assertEqual(len(dues), len(set(dues)))
        gaps = {(b - a).total_seconds() for a, b in zip(dues, dues[1:])}
        self.assertEqual(gaps, {1.0}, "a time was left out")
        self.assertEqual(rows[-1]["due"], first)
        jobs = world.api("GET", "/v1/jobs?trigger=often&limit=500").json["items"]
        self.assertLessEqual({row["job"] for row in rows}, {job["uid"] for job in jobs})
        self.assertLessEqual(len(jobs) - len(rows), 1)   # one more may have been fired in between

    def test_days_off_and_pauses_are_told(self):
        world = self.world()
        world.deploy("quick", QUICK)
        today = datetime.datetime.now(datetime.timezone.utc).strftime("%m-%d")
        tomorrow = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=1)).strftime("%m-%d")
        world.run("apply", "-f", world.write("calendar.yaml", f'kind: Calendar\nname: holidays\ndays: [ "{today}", "{tomorrow}" ]\n'))
        self.apply(world, "{ every: 1s, calendars: [ holidays ] }")
        row = wait_for("a firing", lambda: self.firings(world))[0]
        self.assertEqual(row["outcome"], "skipped")
        self.assertIn("is a day off in 'holidays'", row["why"])
        self.assertIn("skipped: ", world.run("triggers", "schedule", "often").stdout)
        refused = world.run("delete", "calendar", "holidays", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("Trigger 'often'", refused.stdout + refused.stderr)
        self.apply(world, "{ every: 1s }")
        world.run("triggers", "pause", "often", "--why", "moving house")
        wait_for("its word", lambda: any("paused: moving house" in row.get("why", "") for row in self.firings(world)))
        made = len(world.api("GET", "/v1/jobs?trigger=often&limit=500").json["items"])
        time.sleep(2.5)
        self.assertEqual(len(world.api("GET", "/v1/jobs?trigger=often&limit=500").json["items"]), made)

    def test_what_is_wrong_is_told_before_it_is_saved(self):
        world = self.world()
        called = world.deploy("quick", QUICK)
        for rule, words in (("{ cron: '0 6 * * *' }", "timezone"), ("{ cron: '0 25 * * *', timezone: UTC }", "hour"), ("{ cron: '0 6 * * *', timezone: Europe/Berln }", "Europe/Berlin"),
                            ("{ cron: '0 0 30 2 *', timezone: UTC }", "never fires"), ("{ every: 10ms }", "1s"), ("{ every: 1m, cron: '* * * * *', timezone: UTC }", "exactly one"),
                            ("{ every: 1m, overlap: maybe }", "buffer-one"), ("{ every: 1m, calendars: [ nowhere ] }", "calendar 'nowhere' is not there"), ("{ every: 1m, colour: red }", "colour"),
                            ("{ every: 1m, start: soon }", "2027-01-01T00:00:00Z")):
            done = self.apply(world, rule, check=False)
            self.assertNotEqual(done.returncode, 0, rule)
            self.assertIn(words, done.stdout + done.stderr, rule)
        done = world.run("triggers", "schedule", called, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("fires at no time of its own", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
