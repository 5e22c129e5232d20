"""`millwright-agent policy test`: what a machine's policy says of a package before there is a job."""
import json
import pathlib
import subprocess
import tempfile
import unittest

from mill import BIN

ASKS = "name: reports\nversion: 1.0.0\npermissions: { network: [ 'https://a.example.com' ], files: { read: [ /srv ] } }\n"


class PolicyTest(unittest.TestCase):
    def judge(self, *arguments, policy="unsigned: true\npermissions: { network: [ 'https://*.example.com' ] }\n", input=""):
        with tempfile.TemporaryDirectory() as data:
            (pathlib.Path(data) / "policy.yaml").write_text(policy)
            (pathlib.Path(data) / "package.yaml").write_text(ASKS)
            return subprocess.run([BIN / "millwright-agent", "policy", *(word.replace("DATA", data) for word in arguments)], capture_output=True,
                                  text=True, input=input, timeout=20)

    def test_each_item_is_judged_and_77_says_that_something_is_withheld(self):
        done = self.judge("test", "DATA/package.yaml", "--data", "DATA")
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("admitted  network https://a.example.com\n", done.stdout)
        self.assertIn("WITHHELD  files.read /srv: ", done.stdout)
        self.assertEqual(self.judge("test", "DATA/package.yaml", "--data", "DATA", policy="unsigned: true\n").returncode, 0)

    def test_standard_input_and_json(self):
        done = self.judge("test", "-", "--data", "DATA", "--json", input=ASKS)
        self.assertEqual(done.returncode, 77, done.stderr)
        said = json.loads(done.stdout)
        self.assertEqual((said["package"], said["admitted"]), ("reports 1.0.0", False))
        self.assertEqual([item["item"] for item in said["items"] if not item["admitted"]], ["files.read /srv"])

    def test_wrong_use_says_what_is_right(self):
        for words, status, said in ((["test"], 64, "test FILE --data DIR"), (["tset", "x", "--data", "DATA"], 64, "test FILE --data DIR"),
                                    (["test", "x"], 64, "--data DIR"), (["test", "x", "--data", "DATA", "--josn"], 64, "--josn"),
                                    (["test", "DATA/none.yaml", "--data", "DATA"], 78, "none.yaml: No such file"),
                                    (["test", "-", "--data", "DATA"], 78, "'name'")):
            with self.subTest(words=words):
                done = self.judge(*words)
                self.assertEqual(done.returncode, status, done.stderr)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
