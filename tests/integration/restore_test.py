"""A factory is backed up while it works, loses its data, and goes on from the backup: nothing runs twice, and what its agents know is there again."""
import json
import os
import unittest

from mill import BIN, Test, World, wait_for

MARKS = """
do:
  - begin: { run: { shell: { command: 'echo "begin $JOB" >> FILE', environment: { JOB: '${ .job }' } }, return: none } }
  - pause: { wait: { seconds: PAUSE } }
  - end: { run: { shell: { command: 'echo "end $JOB" >> FILE', environment: { JOB: '${ .job }' } }, return: none } }
  - answer: { set: { done: true } }
"""


class Restore(Test):
    def deploy(self, world, marks, name, pause):
        workflow = MARKS.replace("FILE", str(marks)).replace("PAUSE", str(pause))
        return world.deploy(name, workflow, permissions=f"permissions: {{ commands: [ sh ], files: {{ write: [ {marks} ] }} }}\n")

    def marks(self, world):
        marks = world.folder / "marks"
        marks.touch()
        os.chmod(marks, 0o666)
        return marks

    def backup(self, world, name="backup", **more):
        return world.command(BIN / "millwright-factory", "backup", "--data", world.data, "--to", world.folder / name, **more)

    def restore(self, world, name="backup", **more):
        return world.command(BIN / "millwright-factory", "restore", "--from", world.folder / name, "--data", world.data, **more)

    def test_what_ran_after_the_backup_is_there_again_and_nothing_runs_twice(self):
        with World() as world:
            world.start_factory()
            agent = world.agent(slots=4)
            marks = self.marks(world)
            quick, slow = self.deploy(world, marks, "quick", 0), self.deploy(world, marks, "slow", 12)
            before = world.trigger(quick, {"job": "a"})
            world.ended(before)
            self.assertIn("vault's key is not part of it", self.backup(world).stdout)
            self.assertEqual(os.stat(world.folder / "backup").st_mode & 0o777, 0o700)
            after = [world.trigger(quick, {"job": name}) for name in ("b", "c")]
            ends = {uid: world.ended(uid) for uid in after}
            runs = world.trigger(slow, {"job": "d"})
            wait_for("it to begin", lambda: "begin d" in marks.read_text())
            world.factory.kill()
            world.data.rename(world.folder / "lost")
            self.restore(world)
            world.start_factory()
            for uid, end in ends.items():
                job = wait_for("the agent to say it again", lambda uid=uid: (lambda reply: reply.status == 200 and reply.json["state"] == "successful" and reply.json)(world.api("GET", f"/v1/jobs/{uid}")))
                self.assertEqual((job["output"], job["trigger"], job["agent"]), (end["output"], end["trigger"], "srv-1"))
                self.assertEqual(len([row for row in world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"] if row["state"] == "successful"]), 1)
            self.assertEqual(world.job(before)["state"], "successful")
            self.assertEqual(world.ended(runs, 60)["state"], "successful")
            fresh = world.trigger(quick, {"job": "e"})
            self.assertEqual(world.ended(fresh)["state"], "successful")
            lines = sorted(marks.read_text().split("\n")[:-1])
            self.assertEqual(lines, sorted(f"{what} {name}" for what in ("begin", "end") for name in "abcde"))
            actions = [row["action"] for row in world.api("GET", "/v1/audit?limit=200").json["items"]]
            self.assertIn("restore", actions)
            self.assertIn("hold_over", actions)
            self.assertIn("it was told again of", agent.log.read_text())

    def test_an_environment_whose_agent_is_away_waits_until_it_is_released(self):
        with World() as world:
            world.start_factory()
            agent = world.agent()
            marks = self.marks(world)
            quick = self.deploy(world, marks, "quick", 0)
            self.backup(world)
            agent.stop()
            world.factory.stop()
            world.data.rename(world.folder / "lost")
            self.restore(world)
            world.start_factory()
            world.enrol("srv-2")
            world.start_agent(world.folder / "srv-2")
            job = world.trigger(quick, {"job": "a"})
            self.assertIn("awaited from srv-1", world.job(job)["waitingFor"])
            why = world.run("why", job).stdout
            self.assertIn("millwright environments release default", why)
            self.assertEqual(world.job(job)["state"], "ready")
            (hold,) = world.api("GET", "/v1/holds").json["items"]
            self.assertEqual((hold["environment"], hold["agents"]), ("default", ["srv-1"]))
            for said in (world.run("doctor", check=False).stdout, (lambda done: done.stdout + done.stderr)(world.run("agents"))):
                self.assertIn("nothing starts and nothing is delivered in environment 'default'", said)
                self.assertIn("millwright environments release default", said)
            world.run("environments", "release", "default")
            self.assertEqual(world.ended(job)["state"], "successful")
            self.assertEqual(world.api("GET", "/v1/holds").json["items"], [])
            self.assertEqual(world.run("environments", "release", "default", check=False).returncode != 0, True)

    def test_only_a_whole_backup_is_restored_and_only_into_an_empty_folder(self):
        with World() as world:
            world.start_factory()
            self.backup(world)
            self.assertIn("is there already", self.backup(world, check=False).stderr)
            refused = self.restore(world, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("not empty", refused.stderr)
            world.factory.stop()
            world.data.rename(world.folder / "lost")
            manifest = json.loads((world.folder / "backup" / "manifest.json").read_text())
            for file in manifest["files"]:
                self.assertEqual(os.stat(world.folder / "backup" / file["name"]).st_mode & 0o777, 0o600, file["name"])
            self.assertFalse([file for file in manifest["files"] if file["name"].endswith(".key")])
            with (world.folder / "backup" / "factory.db").open("r+b") as database:
                database.seek(5000)
                database.write(b"X")
            refused = self.restore(world, check=False)
            self.assertIn("is not what was backed up", refused.stderr)
            self.assertFalse(world.data.exists())
            (world.folder / "backup" / "manifest.json").unlink()
            self.assertIn("no whole backup", self.restore(world, check=False).stderr)
            self.assertIn("no factory has run", self.backup(world, "other", check=False).stderr)


if __name__ == "__main__":
    unittest.main()
