"""Counts the Catch2 cases behind each CTest entry: prints "NAME PASSED FAILED SKIPPED" a line. A case that warns "SKIP: why" is skipped."""
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
        passed, failed = int(ok.group(1)), 0
    elif replayed and good:
        passed, failed = 1, 0
    elif some:
        passed, failed = int(some.group(2) or 0), int(some.group(3))
    else:
        passed, failed = (1, 0) if good else (0, 1)
    skipped = min(passed, len(re.findall(r"^ +SKIP: ", block, flags=re.M)))
    print(name, passed - skipped, failed, skipped)
