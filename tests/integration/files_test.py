"""Files that appear on an agent's machine start jobs: each once, when it is whole, whatever was down meanwhile."""
import os
import signal
import time
import unittest

from mill import NOBODY, Test, World, wait_for

SET = "do:\n  - a: { set: { path: \"${ .path }\", size: \"${ .size }\" } }\n"


class Inbox(World):
    """A factory, an agent that may watch a folder, and a trigger of its files."""

    def begin(self, settled="300ms", policy=True, more=""):
        self.inbox = self.folder / "in"
        self.inbox.mkdir()
        self.aside = self.folder / "aside"
        self.aside.mkdir()
        for folder in (self.inbox, self.aside):
            if os.getuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
        self.start_factory()
        self.agent_data = self.enrol("srv-1")
        if policy:
            (self.agent_data / "policy.yaml").write_text(f"unsigned: true\nwatch: [ \"{self.inbox}\" ]\n")
        self.agent_program = self.start_agent(self.agent_data, slots=8)
        self.deploy("files", SET)
        self.run("apply", "-f", self.write("inbox.yaml", f"""kind: Trigger
name: inbox
deployment: files
type: event
expiration: 24h
event:
  file: {{ agent: "srv-*", path: "{self.inbox}/*.csv", settled: {settled} }}
{more}"""))
        return self

    def jobs(self):
        items, cursor = [], ""
        while True:
            page = self.api("GET", f"/v1/jobs?trigger=inbox&limit=1000{cursor}").json
            items += page["items"]
            if "next" not in page:
                return items
            cursor = f"&cursor={page['next']}"

    def paths(self):
        return sorted(self.api("GET", f"/v1/jobs/{job['uid']}").json["input"]["path"].rsplit("/", 1)[1] for job in self.jobs())

    def put(self, name, text="x"):
        path = self.inbox / name
        path.write_text(text)
        return path

    def watches(self):
        agents = self.api("GET", "/v1/triggers/inbox/calls").json["watches"]["agents"]
        return agents[0] if agents else {}

    def is_watching(self):
        wait_for("the agent to watch", lambda: self.watches().get("watches"))


    def notes(self):
        """What the agent has written down of files that it saw and that have settled."""
        return "".join(path.read_text() for path in self.agent_data.glob("factories/*/files.journal"))

    def nothing_but(self, names):
        """No other job comes of what is there: the one of a file that was put there last is there."""
        self.put("zz-last.csv")
        wait_for("the last job", lambda: "zz-last.csv" in self.paths(), 60)
        return self.paths() == sorted([*names, "zz-last.csv"])


class Files(Test):
    def test_a_file_that_is_written_or_renamed_into_the_folder_is_one_job_with_its_facts(self):
        with Inbox() as world:
            world.begin()
            world.is_watching()
            world.put("a.csv", "12345")
            (world.inbox / "ignored.txt").write_text("x")
            (world.aside / "b.csv").write_text("y")
            os.rename(world.aside / "b.csv", world.inbox / "b.csv")
            wait_for("two jobs", lambda: len(world.jobs()) == 2)
            done = [world.ended(job["uid"]) for job in world.jobs()]
            self.assertEqual(sorted(job["output"]["size"] for job in done), [1, 5])
            self.assertEqual({job["agent"] for job in done}, {"srv-1"})
            first = next(job for job in done if job["input"]["path"].endswith("a.csv"))
            self.assertEqual(first["input"]["agent"], "srv-1")
            self.assertEqual(first["invocationContext"]["event"]["file"]["size"], 5)
            self.assertTrue(world.nothing_but(["a.csv", "b.csv"]))
            world.put("a.csv", "written anew")   # another file
            wait_for("the fourth job", lambda: len(world.jobs()) == 4)

    def test_a_file_that_is_still_being_written_waits(self):
        with Inbox() as world:
            world.begin(settled="1s")
            world.is_watching()
            with open(world.inbox / "slow.csv", "w") as out:
                for _ in range(12):
                    out.write("more\n")
                    out.flush()
                    time.sleep(0.25)
                    self.assertEqual(world.jobs(), [])
            wait_for("its job", lambda: world.jobs())
            self.assertEqual(world.api("GET", f"/v1/jobs/{world.jobs()[0]['uid']}").json["input"]["size"], 60)

    def test_a_thousand_at_once_are_a_thousand_jobs(self):
        with Inbox() as world:
            world.begin()
            world.is_watching()
            for number in range(1000):
                world.put(f"{number:04}.csv")
            wait_for("1000 jobs", lambda: len(world.jobs()) >= 1000, 120)
            self.assertTrue(world.nothing_but([f"{number:04}.csv" for number in range(1000)]))

    def test_what_comes_while_the_agent_or_the_factory_is_down_is_one_job_too(self):
        with Inbox() as world:
            world.begin()
            world.is_watching()
            world.agent_program.stop()
            world.put("agent-away.csv")
            world.start_agent(world.agent_data)
            wait_for("the file of the agent's absence", lambda: world.paths() == ["agent-away.csv"])
            world.factory.kill(signal.SIGKILL)
            gone = world.put("gone-again.csv")
            wait_for("the agent to have noted it", lambda: "gone-again.csv" in world.notes())
            gone.unlink()     # and reported all the same
            world.put("factory-away.csv")
            world.start_factory()
            wait_for("the files of the factory's absence", lambda: world.paths() == ["agent-away.csv", "factory-away.csv", "gone-again.csv"], 60)

    def test_nothing_is_lost_or_doubled_when_all_programs_are_killed_again_and_again(self):
        with Inbox() as world:
            world.begin(settled="100ms")
            world.is_watching()
            agent = world.agent_program
            names = []
            for round_number in range(4):
                for number in range(25):
                    names.append(f"{round_number}-{number:02}.csv")
                    world.put(names[-1])
                time.sleep(0.3 + 0.15 * round_number)
                for program in agent.children("millwright-agent"):
                    os.kill(program, signal.SIGKILL)   # the keeper starts it again
                if round_number % 2:
                    world.factory.kill(signal.SIGKILL)
                    world.start_factory()
            wait_for("all jobs", lambda: len(world.jobs()) >= len(names), 90)
            self.assertTrue(world.nothing_but(names))

    def test_what_is_wrong_is_shown_with_the_trigger(self):
        with Inbox() as world:
            world.begin(policy=False)
            wait_for("the policy in the trigger", lambda: "is not in 'watch' of this machine's policy.yaml" in world.watches().get("problem", ""))
            self.assertIn("srv-1: ", world.run("triggers", "show", "inbox").stdout)
            world.put("a.csv")
            time.sleep(1)
            self.assertEqual(world.jobs(), [])
            (world.agent_data / "policy.yaml").write_text(f"unsigned: true\nwatch: [ \"{world.folder}\" ]\n")
            world.agent_program.stop()
            world.inbox.rename(world.folder / "renamed")
            world.start_agent(world.agent_data)
            wait_for("the missing folder in the trigger", lambda: "does not exist" in world.watches().get("problem", ""))
            (world.folder / "renamed").rename(world.inbox)
            wait_for("the job of the file that was there", lambda: world.paths() == ["a.csv"], 60)

    def test_a_paused_trigger_gets_its_files_when_it_is_resumed(self):
        with Inbox() as world:
            world.begin()
            world.is_watching()
            world.run("triggers", "pause", "inbox")
            world.put("a.csv")
            time.sleep(2)   # nothing says that it is left alone
            self.assertEqual(world.jobs(), [])
            world.run("triggers", "resume", "inbox")
            wait_for("its job", lambda: world.paths() == ["a.csv"], 60)

    def test_what_is_wrong_in_the_document_is_said(self):
        with World() as world:
            world.start_factory()
            world.deploy("files", SET)
            for file, words in (('{ agent: "srv-*", path: "in/*.csv" }', "must be an absolute path"), ('{ path: "/srv/in/*" }', "'group' (of the environment): exactly one"),
                                ('{ agent: a, path: "/srv/*/x" }', "before its last part"), ('{ agent: a, path: "/srv/../x" }', "'..'"),
                                ('{ agent: a, path: "/srv/in/x", settled: 2d }', "from 100ms to 1h"), ('{ agent: a, path: "/srv/in/x", wrong: 1 }', "wrong")):
                path = world.write("t.yaml", f"kind: Trigger\nname: inbox\ndeployment: files\ntype: event\nevent:\n  file: {file}\n")
                refused = world.run("apply", "-f", path, check=False)
                self.assertNotEqual(refused.returncode, 0, file)
                self.assertIn(words, refused.stderr)


if __name__ == "__main__":
    unittest.main()
