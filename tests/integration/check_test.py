"""`millwright check`: what it finds without running, and what `--fix` writes."""
import json
import os
import re
import unittest

from mill import NOBODY, SOURCE, Test, World

HEAD = "document: {{ dsl: 1.0.3, namespace: test, name: {0}, version: 1.0.0 }}\n"


class Check(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)

    def folder(self, name, package, workflow):
        folder = self.world.folder / name
        folder.mkdir()
        (folder / "package.yaml").write_text(f"name: {name}\nversion: 1.0.0\nworkflow: main.yaml\n{package}")
        (folder / "main.yaml").write_text(HEAD.format(name) + workflow)
        for path in (folder, folder / "package.yaml", folder / "main.yaml"):
            if os.getuid() == 0:
                os.chown(path, NOBODY, NOBODY)
        return folder

    def findings(self, path, *options):
        done = self.world.run("check", path, "--json", *options, check=False)
        return done.returncode, json.loads(done.stdout)[0]

    def test_each_finding_has_a_code_a_level_and_a_place(self):
        folder = self.folder("shop", "permissions: { system: [ usage ] }\n", "do:\n  - a: { set: { n: 1 }, then: end }\n  - b: { wait: PT1S }\n")
        status, found = self.findings(folder)
        self.assertEqual(status, 0)
        self.assertEqual([(f["code"], f["level"], f["file"], f["line"], f["column"]) for f in found["findings"]],
                         [("unreachable", "warning", "main.yaml", 4, 5), ("permission-unused", "warning", "package.yaml", 4, 26)])
        self.assertEqual(self.findings(folder, "--strict")[0], 65)
        text = self.world.run("check", folder).stdout
        self.assertIn("main.yaml:4:5: warning: task 'b' is never reached", text)
        self.assertIn("[unreachable]", text)

    def test_warnings_do_not_stop_pack_and_errors_do(self):
        folder = self.folder("shop", "permissions: { system: [ usage ] }\n", "do:\n  - a: { set: { n: 1 } }\n")
        self.world.run("pack", folder, "--output", self.world.folder / "shop.mwp")
        folder = self.folder("broken", "", "do:\n  - a: { for: { in: '5' }, do: [ { b: { wait: PT1S } } ] }\n")
        done = self.world.run("pack", folder, "--output", self.world.folder / "broken.mwp", check=False)
        self.assertEqual(done.returncode, 65)
        self.assertIn("'for.in' must give an array", done.stderr)

    def test_fix_writes_what_is_missing_and_keeps_the_rest(self):
        package = "# what the shop may do\nrepeatable: true   # twice is fine\n"
        workflow = "# asks the shop\ndo:\n  - ask:\n      call: http\n      with: { method: get, endpoint: 'https://h.test/x', headers: { k: '${ $secrets.shop.token }' } }\n  - look: { call: system.usage }\n"
        folder = self.folder("shop", package, workflow)
        done = self.world.run("check", folder, "--fix", check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn('+ permissions: { network: [ "https://h.test" ], system: [ usage ], credentials: [ shop ] }', done.stderr)
        text = (folder / "package.yaml").read_text()
        self.assertIn(package, text)
        self.assertIn("https://h.test", text)
        flow = (folder / "main.yaml").read_text()
        self.assertIn(workflow, flow)
        self.assertIn("secrets: [ shop ]", flow)
        self.assertEqual(self.findings(folder)[1]["findings"], [])
        again = self.world.run("check", folder, "--fix")
        self.assertIn("nothing to fix", again.stderr)
        self.assertEqual((folder / "package.yaml").read_text(), text)

    def test_fix_shows_what_it_would_write_when_it_cannot(self):
        folder = self.folder("shop", "", "do:\n  - look: { call: system.usage }\n")
        (folder / "package.yaml").chmod(0o444)
        before = (folder / "package.yaml").read_text()
        done = self.world.run("check", folder, "--fix", check=False)
        self.assertIn("+ permissions: { system: [ usage ] }", done.stderr)
        self.assertIn("package.yaml was not changed", done.stderr)
        self.assertEqual((folder / "package.yaml").read_text(), before)
        archive = self.world.folder / "shop.mwp"
        self.world.run("pack", folder, "--output", archive)
        done = self.world.run("check", archive, "--fix", check=False)
        self.assertIn("permissions.system: [ usage ]", done.stderr)
        self.assertIn("is an archive", done.stderr)

    def test_a_secret_in_clear_text_is_never_printed(self):
        folder = self.folder("shop", "", "do:\n  - a: { set: { password: correct-horse } }\n")
        for options in ((), ("--json",), ("--fix",)):
            done = self.world.run("check", folder, *options, check=False)
            self.assertIn("clear-secret", done.stdout)
            self.assertNotIn("correct-horse", done.stdout + done.stderr)
        self.assertIn("correct-horse", (folder / "main.yaml").read_text())  # only its author can say where the value goes

    def test_the_examples_of_the_documentation_are_clean(self):
        """Blocks that are a whole workflow or a whole package.yaml."""
        seen = 0
        for page in [SOURCE / "README.md", *sorted((SOURCE / "docs").glob("*.md"))]:
            for block in re.findall(r"(?:^    .*\n|^\s*\n)+", page.read_text(), re.M):
                text = "".join(line[4:] if line.startswith("    ") else "\n" for line in block.splitlines(keepends=True))
                for part in re.findall(r"^document:.*\n(?:(?:input|output|use|timeout|do|  ).*\n|- .*\n)+", text, re.M):
                    if "…" in part or "\ndo:" not in part:
                        continue
                    seen += 1
                    file = self.world.write(f"example{seen}.yaml", part)
                    done = self.world.run("check", file, "--strict", check=False)
                    self.assertEqual(done.returncode, 0, f"{page.name}:\n{part}\n{done.stdout}{done.stderr}")
        self.assertGreaterEqual(seen, 2)

    def test_a_new_package_is_clean(self):
        self.world.run("new", self.world.folder / "greeting")
        self.assertEqual(self.findings(self.world.folder / "greeting", "--strict"), (0, self.findings(self.world.folder / "greeting")[1]))
        self.assertEqual(self.findings(self.world.folder / "greeting")[1]["findings"], [])


class Schema(Test):
    def test_the_program_prints_both_schemas(self):
        with World() as world:
            for what, title in (("workflow", "Millwright workflow"), ("package", "Millwright package.yaml")):
                schema = json.loads(world.run("schema", what).stdout)
                self.assertEqual((schema["$schema"], schema["title"]), ("http://json-schema.org/draft-07/schema#", title))
            self.assertEqual(world.run("schema", "nothing", check=False).returncode, 64)


if __name__ == "__main__":
    unittest.main()
