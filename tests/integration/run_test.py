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


if __name__ == "__main__":
    unittest.main()
