"""YAML that nobody should write, through `millwright check`: exit 65, one clear line with file, line and column, in little time and memory."""
import resource
import subprocess
import time
import unittest

from mill import BIN, Test, World

HEAD = b"document: { dsl: 1.0.3, namespace: t, name: flow, version: 1.0.0 }\n"
TASK = b"do: [ { a: { set: { x: 1 } } } ]\n"
CASES = {  # name: (bytes, where, words)
    "alias": (HEAD + b"do: [ { a: { set: { x: *y } } } ]\n", "2:24", "anchor is not defined"),
    "alias of itself": (b"a: &x { b: *x }\n" + HEAD + TASK, "1:4", "anchors"),
    "anchor": (HEAD + b"do: [ { a: { set: { x: &y 1 } } } ]\n", "2:24", "anchors"),
    "billion laughs": (b"a: &a [ 1, 1 ]\nb: &b [ *a, *a ]\nc: &c [ *b, *b ]\n" + HEAD + TASK, "1:4", "anchors"),
    "duplicate key": (HEAD + TASK + b"do: []\n", "3:1", "'do' stands here twice"),
    "duplicate key within a task": (HEAD + b"do: [ { a: { set: { x: 1, x: 2 } } } ]\n", "2:27", "'x' stands here twice"),
    "merge key": (HEAD + b"do:\n  - a:\n      <<: { set: { x: 1 } }\n", "4:7", "merge keys"),
    "custom tag": (HEAD + b"do: [ { a: { set: { x: !!python/name:os.system '' } } } ]\n", "2:24", "tags"),
    "second document": (HEAD + TASK + b"---\n" + HEAD + TASK, r"4:\d+", "second document"),
    "tab as indentation": (HEAD + b"do:\n\t- a: { set: { x: 1 } }\n", "3:2", "begins with a tab"),
    "tab in front of a key": (HEAD + b"do:\n  - a:\n\t set: { x: 1 }\n", r"4:\d+", "begins with a tab"),
    "NUL": (HEAD + b"do: [ { a: { set: { x: \"a\0b\" } } } ]\n", "2:26", r"control character \(U\+0000\)"),
    "escape character": (HEAD + b"do: [ { a: { set: { x: \x1b[2J } } } ]\n", "2:24", "control character"),
    "invalid UTF-8": (HEAD + b"do: [ { a: { set: { x: caf\xe9 } } } ]\n", "2:27", "UTF-8"),
    "overlong UTF-8": (HEAD + b"# \xc0\xaf\n" + TASK, "2:3", "UTF-8"),
    "UTF-16": ("document: {}".encode("utf-16"), "1:1", "UTF-16"),
    "10 MB": (HEAD + TASK + b"# filler\n" * 1_200_000, "1:1", "at most 1048576"),
    "nesting of 10,000": (HEAD + b"do: " + b"[" * 10_000 + b"]" * 10_000, r"2:\d+", "nested deeper than 64"),
    "nesting of 10,000 that is not closed": (HEAD + b"do: " + b"{a: " * 10_000, r"2:\d+", "nested deeper than 64"),
    "100,001 nodes": (HEAD + b"do: [ { a: { set: { x: [" + b"1," * 100_001 + b"] } } } ]\n", r"2:\d+", "more than 100000 nodes"),
    "a line of 900,000 characters that ends wrong": (HEAD + b"do: [ { a: { set: { x: '" + b"y" * 900_000 + b"' } } }\n", r"[23]:\d+", ""),
    "a key of 900,000 characters": (HEAD + TASK + b"k" * 900_000 + b": 1\n", r"3:\d+", ""),
    "a key that is a list": (HEAD + b"? [ do ]\n: 1\n", "2:3", "a key must be a string"),
    "a key that is a number": (HEAD + b"do: [ { a: { set: { x: 1 } } } ]\n1: 2\n", "3:1", "quote it"),
    "a number out of range": (HEAD + b"do: [ { a: { set: { x: 99999999999999999999 } } } ]\n", "2:24", "64 bits"),
    "not a number": (HEAD + b"do: [ { a: { set: { x: .nan } } } ]\n", "2:24", "no JSON form"),
    "a bracket that is not closed": (HEAD + b"do: [ { a: { set: { x: 1 } } }\n", r"[23]:\d+", ""),
    "empty": (b"", "1:1", ""),
    "a directive": (b"%YAML 9.9\n---\n" + HEAD + TASK, r"\d+:\d+", ""),
    "CRLF with a mistake": ((HEAD + b"do:\n  - a:\n      sett: { x: 1 }\n").replace(b"\n", b"\r\n"), "3:5", "none of call, do"),
    "BOM with a mistake": (b"\xef\xbb\xbf" + HEAD + b"do: [ { a: { sett: { x: 1 } } } ]\n", "2:9", "none of call, do"),
}


class HostileYaml(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__(None, None, None)

    def check(self, data):
        file = self.world.folder / "flow.yaml"
        file.write_bytes(data)
        return self.world.run("check", file, check=False, timeout=30)

    def test_each_is_refused_with_its_place(self):
        for name, (data, where, words) in CASES.items():
            with self.subTest(name):
                begin = time.monotonic()
                done = self.check(data)
                self.assertEqual(done.returncode, 65, done.stdout[-2000:] + done.stderr[-2000:])
                self.assertRegex(done.stdout, rf"(?m)^(?:\S*/)?flow\.yaml:{where}: [^\n]*{words}")
                self.assertLess(len(done.stdout) + len(done.stderr), 20_000, "a flood of words")
                self.assertLess(time.monotonic() - begin, 10)

    def test_what_is_only_unusual_is_taken(self):
        for name, data in {
            "CRLF": (HEAD + TASK).replace(b"\n", b"\r\n"),
            "BOM": b"\xef\xbb\xbf" + HEAD + TASK,
            "no newline at the end": (HEAD + TASK).rstrip(),
            "a tab behind a value": HEAD + b"do: [ { a: { set: { x: 1\t} } } ]\t\n",
            "comments and a document's end": b"# c\n---\n" + HEAD + TASK + b"...\n",
            "a line of 900,000 characters": HEAD + b"do: [ { a: { set: { x: '" + b"y" * 900_000 + b"' } } } ]\n",
            "a text beyond the basic plane": HEAD + "do: [ { a: { set: { x: '😀 é' } } } ]\n".encode(),
        }.items():
            with self.subTest(name):
                done = self.check(data)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_a_package_file_is_looked_at_as_closely(self):
        folder = self.world.package("hostile", TASK.decode())
        (folder / "package.yaml").write_bytes(b"name: hostile\nversion: &v 1.0.0\nworkflow: main.yaml\n")
        done = self.world.run("check", folder, check=False)
        self.assertEqual(done.returncode, 65)
        self.assertRegex(done.stdout, r"package\.yaml:2:10: .*anchors")

    def test_none_needs_much_memory(self):
        def bound():
            resource.setrlimit(resource.RLIMIT_DATA, (512 * 1024 * 1024, 512 * 1024 * 1024))
        for name in ("10 MB", "nesting of 10,000", "100,001 nodes", "billion laughs"):
            with self.subTest(name):
                file = self.world.folder / "flow.yaml"
                file.write_bytes(CASES[name][0])
                done = subprocess.run([str(BIN / "millwright"), "check", str(file)], capture_output=True, text=True, preexec_fn=bound, timeout=30)
                self.assertEqual(done.returncode, 65, done.stderr)


if __name__ == "__main__":
    unittest.main()
