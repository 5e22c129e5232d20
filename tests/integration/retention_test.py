"""What is over goes after its time, also when the factory is killed in the middle of it; long values are files that belong to rows."""
import random
import sqlite3
import time
import unittest

from mill import BIN, Test, World, wait_for

KEEP = 'egress: [ "http://127.0.0.1:*" ]\n'
ECHO = "do:\n  - answer: { set: { answer: '${ .text }', n: 1 } }\n"


def query(data, sql):
    db = sqlite3.connect(f"file:{data / 'factory.db'}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


class Retention(Test):
    def accept(self, world, trigger, count, size):
        uids = []
        for number in range(count):
            reply = world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"text": "x" * size, "number": number}})
            self.assertEqual(reply.status, 202, reply.body)
            uids.append(reply.json["jobUid"])
            self.assertIn(world.api("POST", f"/v1/jobs/{uids[-1]}/cancel", {}).status, (200, 202))
        return uids

    def named(self, data):
        return {row[0] for row in query(data, "select name from files")}

    def files(self, data):
        return {f"{folder}/{path.name}" for folder in ("values", "logs") for path in (data / folder).glob("*")}

    def test_killed_in_the_middle_nothing_is_half_there_and_the_rest_goes_later(self):
        with World(KEEP + "retention: { jobs: { age: 6s }, every: 1s }\n") as world:
            world.start_factory()
            trigger = world.deploy("echo", ECHO)
            uids = self.accept(world, trigger, 120, 70_000)
            keep = world.trigger(trigger, {"text": "y" * 100_000})   # waits: it is never over
            self.assertGreater(len(self.files(world.data)), 20)   # a slow machine has removed some by now
            orphan = world.data / "values/0192f0c4-0000-7000-8000-000000000000.json"
            random.seed(7)
            for _ in range(8):
                time.sleep(0.3 + random.random() * 1.6)
                world.factory.kill()
                self.assertLessEqual(self.named(world.data) - self.files(world.data), set(), "a row without its file")
                left = {row[0] for row in query(world.data, "select uid from jobs")}
                for table in ("inputs", "outcomes", "attempts", "events"):
                    self.assertEqual(query(world.data, f"select count(*) from {table} where job not in (select id from jobs)"), [(0,)], table)
                self.assertEqual(query(world.data, "pragma integrity_check"), [("ok",)])
                self.assertIn(keep, left)
                orphan.write_text("of a process that was killed between file and row")
                world.start_factory()
            wait_for("all that is over to go", lambda: len(query(world.data, "select uid from jobs")) == 1 or None, 60)
            wait_for("files to go", lambda: self.files(world.data) == self.named(world.data) or None, 30)
            self.assertEqual(len(self.named(world.data)), 1)
            self.assertFalse(orphan.exists())
            self.assertEqual(world.job(keep)["input"]["text"], "y" * 100_000)
            for uid in uids:
                self.assertEqual(world.api("GET", f"/v1/jobs/{uid}").status, 404)
            wait_for("the run to be told", lambda: not world.api("GET", "/v1/retention").json["running"] or None)
            state = world.api("GET", "/v1/retention").json
            self.assertEqual(state["removed"]["jobs"], 120)
            rows = [row for row in world.api("GET", "/v1/audit?limit=1000").json["items"] if row["who"] == "retention"]
            self.assertEqual(sum(row["detail"].get("jobs", 0) for row in rows), 120)
            shown = world.run("retention").stdout
            self.assertIn("120", shown)
            self.assertIn("6s", shown)
            agent = world.agent()   # and what waited runs with the input that lay in its file
            self.assertEqual(world.ended(keep)["output"], {"answer": "y" * 100_000, "n": 1})
            agent.stop()

    def test_long_values_are_whole_through_agent_backup_and_restore(self):
        with World(KEEP) as world:
            world.start_factory()
            agent = world.agent()
            trigger = world.deploy("echo", ECHO)
            text = "".join(random.Random(1).choices("abcdefghij\"\\\n€", k=400_000))
            uid = world.trigger(trigger, {"text": text})
            job = world.ended(uid)
            self.assertEqual(job["state"], "successful", job)
            self.assertEqual(job["output"]["answer"], text)
            self.assertEqual(len(self.files(world.data)), 2)
            self.assertEqual(self.named(world.data), self.files(world.data))
            for path in (world.data / "values").glob("*"):
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)
            world.command(BIN / "millwright-factory", "backup", "--data", world.data, "--to", world.folder / "backup")
            self.assertIn("values/", (world.folder / "backup/manifest.json").read_text())
            agent.stop()
            world.factory.stop()
            world.data.rename(world.folder / "lost")
            world.command(BIN / "millwright-factory", "restore", "--from", world.folder / "backup", "--data", world.data)
            world.start_factory()
            self.assertEqual(world.job(uid)["output"]["answer"], text)
            broken = next((world.data / "values").glob("*"))
            broken.unlink()
            reply = world.api("GET", f"/v1/jobs/{uid}")
            self.assertEqual(reply.status, 500)
            self.assertIn(broken.name, reply.json["detail"])
            self.assertIn("backup", reply.json["detail"])


if __name__ == "__main__":
    unittest.main()
