"""run_programs.py REPORT [--at-once N]: the tests of whole programs (tests/integration/*_test.py), a process for each file, N files at a
time (as many as there are processors, and two more: most of their time they wait). What each says stands in REPORT, file after file.
Prints "PASSED FAILED SKIPPED" as its last line, and before it what failed and which files took longest."""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOM = pathlib.Path(__file__).resolve().parents[1] / "integration"
# These measure what takes long, or need all of the machine: one after the other, when nothing else runs.
ALONE = ("hostile_connections_test", "fleet_test", "warm_test", "person_times_test")
LONGEST = 1_800   # seconds, of one file
# The longest first, so that none is left over at the end.
LONG = ("console_test", "fault_matrix_test", "deb_test", "beside_page_test", "faults_test", "ask_test", "control_test", "identity_test", "files_test", "beside_forms_test",
        "beside_test", "offline_test", "quickstart_test")

options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
options.add_argument("report")
options.add_argument("--at-once", type=int, default=(os.cpu_count() or 1) + 2)
options = options.parse_args()


def run(name):
    begin = time.monotonic()
    with tempfile.TemporaryFile("w+", errors="replace") as said:   # a file: nobody waits for what a test left running
        try:
            status = subprocess.run([sys.executable, "-m", "unittest", "-v", name], cwd=ROOM, stdout=said, stderr=subprocess.STDOUT, timeout=LONGEST).returncode
        except subprocess.TimeoutExpired:
            status = f"not over after {LONGEST} s, and ended"
        said.seek(0)
        text = said.read()
    total = re.findall(r"^Ran (\d+) tests?", text, re.M)
    bad = len(re.findall(r"^(?:FAIL|ERROR): ", text, re.M))
    skipped = re.findall(r"^(?:OK|FAILED) \(.*?skipped=(\d+)", text, re.M)
    total, skipped = int(total[-1]) if total else 0, int(skipped[-1]) if skipped else 0
    if status != 0 and bad == 0 and total > 0 or not total:   # it never came to its tests, or not to their end
        bad = max(bad, 1)
        text += f"\n{name}: {status}\n"
    return name, max(0, total - bad - skipped), bad, skipped, time.monotonic() - begin, text


names = sorted((path.stem for path in ROOM.glob("*_test.py")), key=lambda name: (LONG.index(name) if name in LONG else len(LONG), name))
outcomes = []
with open(options.report, "w") as report:
    def keep(outcome):
        outcomes.append(outcome)
        report.write(f"== {outcome[0]}: {outcome[1]} passed, {outcome[2]} failed, {outcome[3]} skipped, {outcome[4]:.0f} s\n{outcome[5]}\n")
        report.flush()
    with concurrent.futures.ThreadPoolExecutor(max(1, options.at_once)) as pool:
        for future in concurrent.futures.as_completed([pool.submit(run, name) for name in names if name not in ALONE]):
            keep(future.result())
    for name in ALONE:
        keep(run(name))

for name, _, bad, _, _, text in outcomes:
    if bad:
        start = re.search(r"^={70}$", text, re.M)
        print(f"{name}:\n" + "\n".join(text[start.start() if start else 0:].splitlines()[-120:]))
for name, _, _, _, _, text in outcomes:
    for why in re.findall(r"skipped (['\"].*)$", text, re.M):
        print(f"   {name} skipped {why}")
slowest = sorted(outcomes, key=lambda outcome: -outcome[4])[:6]
print("   longest: " + ", ".join(f"{name} {seconds:.0f} s" for name, _, _, _, seconds, _ in slowest))
print(*(sum(outcome[i] for outcome in outcomes) for i in (1, 2, 3)))
