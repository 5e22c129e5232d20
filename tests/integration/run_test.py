"""`millwright run`: the same runner, sandbox and broker as on an agent, without a factory."""
import json
import unittest

from mill import Test, World


class Run(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)

    def run_it(self, workflow, *options, permissions="", input=None):
        folder = self.world.package("job", workflow, permissions)
        out = self.world.folder / "out.json"
        self.world.folder.chmod(0o777)
        arguments = ["run", folder, "--output", out, *options]
        if input is not None:
            arguments += ["--input", self.world.write("in.json", json.dumps(input))]
        done = self.world.run(*arguments, check=False)
        return done, json.loads(out.read_text()) if out.exists() else None

    def test_completed_is_0_and_the_output_is_written(self):
        done, output = self.run_it("do:\n  - a: { set: { twice: '${ .n * 2 }' } }\n", input={"n": 21})
        self.assertEqual((done.returncode, output), (0, {"twice": 42}), done.stderr)

    def test_a_fault_is_1_and_the_error_object_is_written(self):
        done, output = self.run_it("do:\n  - a: { set: { x: '${ error(\"no\") }' } }\n")
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(output["status"], 400)
        self.assertTrue(output["type"].endswith("/errors/expression"), output)
        self.assertEqual(output["instance"].split("/")[:4], ["", "do", "0", "a"])

    def test_asking_without_a_grant_is_77_and_prints_the_line_that_would_allow_it(self):
        done, _ = self.run_it("do:\n  - a: { run: { shell: { command: 'id' } } }\n", permissions="permissions: { commands: [ /bin/sh ] }\n")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("commands:", done.stdout + done.stderr)

    def test_a_command_runs_in_the_sandbox_not_as_root_and_sees_no_user(self):
        done, output = self.run_it("do:\n  - a: { run: { shell: { command: 'id -u; ls /home /root /etc/shadow 2>&1 | grep -v cannot | wc -l; hostname' } } }\n",
                                   "--grant-asked", permissions="permissions: { commands: [ /bin/sh ] }\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(str(output).split("\\n")[0], "0")

    def test_nothing_granted_means_no_file_no_network(self):
        for task in ("{ call: file.read, with: { path: /etc/hostname } }",
                     "{ call: http, with: { method: get, endpoint: 'http://127.0.0.1:9/' } }"):
            done, output = self.run_it(f"do:\n  - a: {task}\n", "--grant", self.world.write("none.yaml", "{}\n"))
            self.assertIn(done.returncode, (1, 77), done.stderr)
            if done.returncode == 1:
                self.assertEqual(output["status"], 403, output)

    def test_system_usage_matches_what_the_machine_says(self):
        done, output = self.run_it("do:\n  - a: { call: system.usage }\n", "--grant-asked", permissions="permissions: { system: [ usage ] }\n")
        self.assertEqual(done.returncode, 0, done.stderr)
        total = int(next(l for l in open("/proc/meminfo") if l.startswith("MemTotal")).split()[1]) * 1024
        self.assertEqual(output["memory"]["total"], total)
        one = float(open("/proc/loadavg").read().split()[0])
        self.assertAlmostEqual(output["load"]["one"], one, delta=1.5)

    def test_an_invalid_package_is_65_with_file_line_and_column(self):
        done, _ = self.run_it("do:\n  - a: { sett: { x: 1 } }\n")
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stdout + done.stderr, r"main\.yaml:3:\d+: ")

    def test_a_wrong_option_is_64(self):
        self.assertEqual(self.world.run("run", "--nonsense", check=False).returncode, 64)

    def status(self, *arguments, says):
        done = self.world.run(*arguments, check=False)
        self.assertIn(says, done.stderr + done.stdout, arguments)
        return done.returncode

    def test_a_path_that_is_not_there_or_cannot_be_used_is_64_and_nothing_runs(self):
        folder = self.world.package("job", "do:\n  - a: { set: { x: 1 } }\n")
        closed = self.world.write("closed.json", "{}")
        closed.chmod(0)   # belongs to root or to us: the programs do not run as root, but may be its owner
        for arguments in (["run", "/nonexistent"], ["check", "/nonexistent"], ["check", folder, "/nonexistent"], ["pack", "/nonexistent"],
                          ["deploy", "/nonexistent"], ["publish", "/nonexistent"], ["apply", "-f", "/nonexistent"], ["trigger", "t", "--input", "/nonexistent"],
                          ["credentials", "set", "c", "--kind", "hmac", "--json-file", "/nonexistent"],
                          *([["run", folder, option, "/nonexistent"] for option in ("--input", "--variables", "--secrets", "--grant")])):
            self.assertEqual(self.status(*arguments, says="/nonexistent: No such file"), 64, arguments)
        self.assertEqual(self.status("run", folder, "--input", closed, says="closed.json: Permission denied"), 64)
        self.assertEqual(self.status("run", folder, "--input", folder, says="is a folder"), 64)
        for option in ("--output", "--events"):
            self.assertEqual(self.status("run", folder, option, "/nonexistent/x", says="/nonexistent: No such file"), 64)
            self.assertEqual(self.status("run", folder, option, folder, says="is a folder"), 64)
            self.assertEqual(self.status("run", folder, option, "/etc/x", says="/etc: Permission denied"), 64)
        self.assertEqual(self.status("jobs", says="no factory is known"), 64)

    def test_wrong_content_is_65(self):
        folder = self.world.package("job", "do:\n  - a: { set: { x: 1 } }\n")
        empty = self.world.folder / "empty"
        empty.mkdir()
        broken = self.world.write("broken.json", '{"a": ')
        archive = self.world.write("broken.mwp", "no archive")
        for command in ("run", "check", "pack", "deploy"):
            self.assertEqual(self.status(command, empty, says="package.yaml"), 65, command)
            self.assertEqual(self.status(command, archive, says="not a package"), 65, command)
        for option in ("--input", "--variables", "--grant", "--secrets"):
            self.assertEqual(self.status("run", folder, option, broken, says="broken.json"), 65, option)
        self.assertEqual(self.status("apply", "-f", broken, says="broken.json"), 65)
        self.assertEqual(self.status("apply", "-f", empty, says="no .yaml file"), 65)

    def test_a_device_may_be_the_output(self):
        folder = self.world.package("job", "do:\n  - a: { set: { x: 1 } }\n")
        self.assertEqual(self.world.run("run", folder, "--output", "/dev/null", check=False).returncode, 0)


if __name__ == "__main__":
    unittest.main()
