"""The agent's key sealed to its machine, with the real systemd-creds; as root, whose service it is."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from mill import BIN, Program, Test, World, wait_for

AGENT = BIN / "millwright-agent"
CREDS = pathlib.Path("/usr/bin/systemd-creds")


def why_not():
    if os.getuid() != 0:
        return "needs root, whom sealed keys are for"
    if not CREDS.exists():
        return "needs systemd-creds"
    tried = subprocess.run([CREDS, "encrypt", "--quiet", "--with-key=host", "--name=millwright-try", "-", "-"], input=b"x", capture_output=True, check=False)
    return "" if tried.returncode == 0 else f"systemd-creds: {tried.stderr.decode()}"


class Seal(Test):
    def setUp(self):
        super().setUp()
        if why := why_not():
            self.skipTest(why)
        self.above = pathlib.Path(tempfile.mkdtemp(prefix="millwright-seal-"))   # root's alone, as /var/lib/millwright is root's
        self.addCleanup(shutil.rmtree, self.above, True)
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        os.chmod(self.above, 0o755)
        self.data = self.above / "agent"
        code = self.world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True}).json["code"]
        self.say("enrol", "--factory", self.world.url, "--code", code, "--name", "srv-1")
        (self.data / "policy.yaml").write_text("unsigned: true\n")
        self.place = next((self.data / "factories").iterdir())
        self.key, self.note = self.place / "key", self.place / "key.sealed"
        self.sealed = self.above / "agent.sealed" / self.place.name
        self.trigger = self.world.deploy("hello", "do:\n  - say:\n      set: { said: hello }\n")

    def say(self, verb, *more, data=None, status=0):
        done = subprocess.run([AGENT, verb, "--data", data or self.data, *more], capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.above)})
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def start(self):
        return Program(self.world, "agent-sealed", [AGENT, "run", "--data", self.data], "ready", as_root=True)

    def works(self):
        self.assertEqual(self.world.ended(self.world.trigger(self.trigger))["state"], "successful")

    def everywhere(self, secret):
        found = []
        for path in self.above.rglob("*"):
            try:
                found += [str(path)] if path.is_file() and secret in path.read_bytes() else []
            except FileNotFoundError:   # the agent replaced it
                pass
        return found

    def test_a_sealed_key_is_in_no_file_and_the_agent_works_with_it_through_kills_and_rotation(self):
        secret = self.key.read_bytes().strip()
        before = self.world.api("GET", "/v1/agents/srv-1").json["fingerprint"]
        self.assertIn(f"{self.sealed}: sealed; no file in {self.place} holds the key", self.say("seal"))
        self.assertEqual(self.everywhere(secret), [])
        self.assertEqual(self.sealed.stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.sealed.parent.stat().st_mode & 0o777, 0o700)
        program = self.start()
        self.works()
        (agent,) = program.children("millwright-agent")
        os.kill(agent, 9)
        self.works()
        self.assertEqual(self.everywhere(secret), [])
        self.assertIn("the key is sealed to this machine", self.say("doctor"))
        program.stop()
        self.assertIn("has a new key", self.say("rotate"))
        second = self.key.read_bytes().strip()     # until the service seals it
        self.assertNotEqual(second, secret)
        program = self.start()
        wait_for("the new key is sealed", lambda: not self.key.exists())
        self.assertEqual(self.everywhere(second), [])
        self.works()
        program.stop()
        self.start()
        self.works()
        self.assertNotEqual(self.world.api("GET", "/v1/agents/srv-1").json["fingerprint"], before)

    def test_a_running_agent_takes_it_over_with_its_next_start(self):
        self.start()
        self.assertIn("goes with the agent's next start", self.say("seal"))
        self.assertTrue(self.key.exists())
        self.assertIn("stop the agent first", self.say("seal", "--undo", status=78))
        self.say("reload")
        wait_for("the file with the key is gone", lambda: not self.key.exists())
        self.works()

    def test_the_folder_alone_is_of_no_use(self):
        self.say("seal")
        copy = self.world.folder / "copy"
        shutil.copytree(self.data, copy)
        done = subprocess.run([AGENT, "run", "--data", copy], capture_output=True, text=True, timeout=60, check=False, env={"PATH": "/usr/bin:/bin"})
        self.assertEqual(done.returncode, 78)
        self.assertIn("the agent's key is sealed to this machine", done.stderr)
        self.assertIn("enrol this agent again", done.stderr)

    def test_a_damaged_seal_says_so_and_nothing_of_the_key(self):
        secret = self.key.read_text().strip()
        self.say("seal")
        whole = self.sealed.read_text()
        self.sealed.write_text(whole[:60] + ("A" if whole[60] != "A" else "B") + whole[61:])
        said = self.say("doctor", status=1)
        self.assertIn("systemd-creds: ", said)
        self.assertNotIn(secret, said)
        self.sealed.write_text(whole)
        self.start()
        self.works()

    def test_it_can_be_undone_and_done_again(self):
        secret = self.key.read_bytes()
        self.say("seal")
        self.say("seal")
        self.assertIn("a file of mode 600 holds the key", self.say("seal", "--undo"))
        self.assertEqual(self.key.read_bytes(), secret)
        self.assertEqual(self.key.stat().st_mode & 0o777, 0o600)
        program = self.start()
        self.works()
        self.assertTrue(self.key.exists(), "it was undone")
        program.stop()
        self.say("seal")
        self.assertFalse(self.key.exists())

    def test_a_folder_that_others_may_write_in_takes_no_seal(self):
        os.chmod(self.above, 0o777)
        self.assertIn("has to be a folder of root's that nobody else may write in", self.say("seal", status=78))
        self.assertTrue(self.key.exists())


if __name__ == "__main__":
    unittest.main()
