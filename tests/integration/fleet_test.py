"""Ten machines join a factory by one invitation, as cloud-init or Ansible has them do it, and all of them work."""
import concurrent.futures
import os
import subprocess
import unittest

from mill import BIN, NOBODY, SOURCE, Test, World, user

JOIN = SOURCE / "packaging/fleet/join"


class Fleet(Test):
    def join(self, world, code, name, data, url=None):
        return subprocess.run([JOIN, "--factory", url or world.url, "--code-file", "-", "--data", data, "--name", name, "--no-start"], input=code, capture_output=True, text=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(world.folder), "MILLWRIGHT_AGENT": str(BIN / "millwright-agent")}, **user())

    def test_ten_machines_join_by_one_invitation_and_work(self):
        with World() as world:
            world.start_factory()
            code = world.json("agents", "invite", "--name", "srv-*", "--uses", "10", "--for", "30m", "--label", "site=berlin", "--approve")["code"]
            names = [f"srv-{number}" for number in range(10)]
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for name, done in zip(names, pool.map(lambda name: self.join(world, code, name, world.folder / name), names)):
                    self.assertEqual(done.returncode, 0, done.stderr)
                    self.assertIn(f"enrolled as {name}", done.stdout)
            for name in names:
                (world.folder / name / "policy.yaml").write_text("unsigned: true\n")
                world.start_agent(world.folder / name, slots=1)
            trigger = world.deploy("who", "\ndo:\n  - hold: { wait: PT2S }\n  - say: { set: { done: true } }\n")
            uids = [world.trigger(trigger) for _ in range(10)]
            self.assertEqual({world.ended(uid, 60)["agent"] for uid in uids}, set(names))
            # Once more is no harm, one more than the invitation allows is refused, and so is another name.
            again = self.join(world, code, names[0], world.folder / names[0])
            self.assertEqual((again.returncode, "already enrolled" in again.stdout), (0, True))
            for name in ("srv-10", "desk-1"):
                late = self.join(world, code, name, world.folder / name)
                self.assertEqual(late.returncode, 78, late.stderr)
                self.assertIn("millwright agents invite", late.stderr)

    def test_a_file_with_a_code_goes_when_it_was_used_and_stays_when_not(self):
        with World() as world:
            world.start_factory()
            code = world.json("agents", "invite", "--approve")["code"]
            file = world.write("code", code)
            if os.getuid() == 0:
                os.chown(file, NOBODY, NOBODY)
            run = lambda *more: world.command("/usr/bin/env", f"MILLWRIGHT_AGENT={BIN / 'millwright-agent'}", JOIN, "--code-file", file, "--data", world.folder / "a", "--no-start", *more, check=False)
            away = run("--factory", "http://127.0.0.1:9")
            self.assertEqual(away.returncode, 2, away.stderr)
            self.assertTrue(file.exists())
            self.assertEqual(run("--factory", world.url).returncode, 0)
            self.assertFalse(file.exists())
            self.assertEqual(world.command(JOIN, "--factory", world.url, check=False).returncode, 64)
            self.assertEqual(world.command(JOIN, "--factory", check=False).returncode, 64)


if __name__ == "__main__":
    unittest.main()
