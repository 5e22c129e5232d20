"""The faults of machines and networks while jobs run (tests/faults/run has all of them and the table)."""
import pathlib
import sys
import unittest

from mill import SOURCE, Test

sys.path.insert(0, str(pathlib.Path(SOURCE) / "tests/faults"))
import matrix  # noqa: E402


class Faults(Test):
    pass


def case(name):
    def test(self):
        outcome, skipped = matrix.run(name, 10)
        if skipped:
            self.skipTest(skipped)
        self.assertEqual(matrix.wrong(outcome), [], outcome["log"])
        self.assertEqual(outcome["ended"], outcome["jobs"])
    return test


for name, scenario in matrix.SCENARIOS.items():
    if not scenario.get("long"):
        word = name.replace("+", "plus ").replace("-", "minus ")
        setattr(Faults, "test_" + "".join(c if c.isalnum() else "_" for c in word), case(name))

if __name__ == "__main__":
    unittest.main()
