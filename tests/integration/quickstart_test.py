"""The README's first command, as a new user runs it (without installing and building again)."""
import json
import os
import subprocess
import unittest

from mill import BIN, SOURCE, Test, World


class Quickstart(Test):
    def test_once_exits_0_only_when_everything_was_seen(self):
        with World() as world:
            extra = world.receiver()
            report = world.folder / "seen.json"
            done = subprocess.run([SOURCE / "packaging/quickstart", "--once", "--no-install", "--bin", BIN, "--json", report, "--notify-url", extra.url + "/mine"],
                                  capture_output=True, text=True, timeout=180, cwd=world.folder, check=False,
                                  env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(world.folder)})
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            seen = json.loads(report.read_text())
            self.assertTrue(seen["passed"])
            self.assertGreaterEqual(len(seen["checks"]), 6)
            self.assertTrue(extra.at("/mine"), "the caller's own receiver was told, too")
            for word in ("ready", "assigned", "running", "successful", "delivered"):
                self.assertIn(word, done.stdout)
            self.assertNotRegex(done.stdout, r"mw_[a-z]+_[a-z0-9]{12}_[A-Za-z0-9_-]{40,}")

    def test_without_programs_it_says_so(self):
        with World() as world:
            done = subprocess.run([SOURCE / "packaging/quickstart", "--once", "--no-install", "--bin", world.folder], capture_output=True, text=True,
                                  timeout=60, check=False, env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "HOME": str(world.folder)})
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("millwright", done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
