"""Counts the Catch2 cases behind each CTest entry: prints "NAME PASSED FAILED" a line."""
import json
import re
import subprocess
import sys

build, log = sys.argv[1], sys.argv[2]
# Asking for the names writes LastTest.log anew: it is read first.
last = open(f"{build}/Testing/Temporary/LastTest.log", errors="replace").read()
verdicts = dict(re.findall(r"Test +#\d+: (\S+) \.+[* ]*(Passed|Failed|Timeout|Not Run|Exception|Subprocess)?", open(log, errors="replace").read()))
names = [t["name"] for t in json.loads(subprocess.check_output(["ctest", "--test-dir", build, "--show-only=json-v1"]))["tests"]]
for block in re.split(r"^\d+/\d+ Testing: ", last, flags=re.M)[1:]:
    name = block.splitlines()[0].strip()
    if name not in names:
        continue
    ok = re.search(r"All tests passed \(.*? in (\d+) test cases?\)", block)
    some = re.search(r"test cases: +(\d+) \| +(?:(\d+) passed \| +)?(\d+) failed", block)
    good = verdicts.get(name) == "Passed"
    replayed = re.search(r"replayed (\d+) inputs", block)
    if ok and good:
        print(name, ok.group(1), 0)
    elif replayed and good:
        print(name, 1, 0)
    elif some:
        print(name, some.group(2) or 0, some.group(3))
    else:
        print(name, 1 if good else 0, 0 if good else 1)
