"""The faults of machines and networks, each struck while jobs run, and what must hold all the same: nothing is lost, no input is given twice."""
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
sys.path.insert(0, str(HERE))
from mill import NOBODY, Failure, Program, World, wait_for, BIN  # noqa: E402
from proxy import Proxy  # noqa: E402

FINAL = ("successful", "failed", "cancelled", "expired")
# Each job leaves a line when it has its input and one at its end: what was given twice stands there twice.
LEAVES = """
do:
  - begin: { run: { shell: { command: 'echo "begin $JOB" >> FILE', environment: { JOB: '${ .job }' } }, return: none } }
  - pause: { wait: { milliseconds: 300 } }
  - end: { run: { shell: { command: 'echo "end $JOB" >> FILE', environment: { JOB: '${ .job }' } }, return: none } }
"""
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


class Field:
    """A factory, a proxy before it, an agent, jobs that leave lines."""

    def __init__(self, world, slots=4, environment=None, data=None, direct=False):
        self.world, self.slots, self.environment = world, slots, environment
        world.start_factory()
        self.proxy = None if direct else Proxy(world.port)
        self.data = data or world.folder / "srv-1"
        self.marks = world.folder / "marks"
        self.marks.touch()
        os.chmod(self.marks, 0o666)
        code = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "forMs": 600000}).json["code"]
        url = world.url if direct else self.proxy.url
        world.command(BIN / "millwright-agent", "enrol", "--data", self.data, "--factory", url, "--code", code, "--name", "srv-1")
        (self.data / "policy.yaml").write_text("unsigned: true\n")
        (self.data / "config.yaml").write_text(f"slots: {slots}\n")
        self.agent = None
        self.start_agent()
        self.trigger = world.deploy("leaves", LEAVES.replace("FILE", str(self.marks)), permissions=f"permissions: {{ commands: [ sh ], files: {{ write: [ {self.marks} ] }} }}\n")
        self.jobs = []

    def start_agent(self):
        self.agent = Program(self.world, "agent-srv-1", [BIN / "millwright-agent", "run", "--data", self.data], "ready", environment=self.environment)

    def begin(self, count):
        """As a caller does it who repeats with its key until it is answered."""
        for number in range(len(self.jobs), len(self.jobs) + count):
            while True:
                try:
                    reply = self.world.api("POST", f"/v1/triggers/{self.trigger}/runs", {"input": {"job": f"j{number}"}}, headers={"Idempotency-Key": f"matrix-{number}"}, timeout=10)
                    if reply.status == 202:
                        break
                except (OSError, urllib.error.URLError):
                    pass
                time.sleep(0.1)
            self.jobs.append(reply.json["jobUid"])

    def pids(self, name):
        return self.agent.children(name)

    def close(self):
        if self.proxy:
            self.proxy.close()

    def outcome(self, seconds):
        """{jobs, started, ended, lost, twice, killed}; `lost` never ended, `killed` ended as failed or cancelled with a line left behind."""
        end = time.monotonic() + seconds
        states = {}
        while time.monotonic() < end and len(states) < len(self.jobs):
            for uid in self.jobs:
                if uid not in states:
                    try:
                        job = self.world.job(uid)
                    except (OSError, urllib.error.URLError):
                        continue
                    if job["state"] in FINAL:
                        states[uid] = job
            time.sleep(0.2)
        lines = self.marks.read_text().split("\n")
        begun = [line[6:] for line in lines if line.startswith("begin ")]
        finals = sum(len([i for i in self.world.api("GET", f"/v1/jobs/{uid}/timeline").json["items"] if i["state"] in FINAL]) for uid in states)
        done = {f"j{number}" for number, uid in enumerate(self.jobs) if uid in states and states[uid]["state"] == "successful"}
        ended = [line[4:] for line in lines if line.startswith("end ")]
        return {"jobs": len(self.jobs), "started": len(set(begun)), "ended": len(states), "lost": len(self.jobs) - len(states), "twice": len(begun) - len(set(begun)) + len(ended) - len(set(ended)),
                "finals": finals, "killed": len(set(begun) - done), "untrue": len(done - set(ended)),
                "stuck": [(uid, self.world.api("GET", f"/v1/jobs/{uid}/why").body.decode()[:400]) for uid in self.jobs if uid not in states][:2]}


def line(mode, hold):
    """The line to the factory is bad for a while, in the middle of the jobs."""
    def strike(field, jobs):
        field.begin(jobs // 2)
        field.proxy.set(mode)
        field.begin(jobs - jobs // 2)
        time.sleep(hold)
        assert mode == "cut" or field.proxy.treated > 0, "no request met the fault"
        field.proxy.set("pass")
    return strike


def flapping(field, jobs):
    for _ in range(6):
        field.begin(max(1, jobs // 6))
        field.proxy.set(random.choice(["cut", "stall", "storm", "twice", "late"]))
        time.sleep(random.random())
        field.proxy.set("pass")
        time.sleep(random.random() * 0.5)


def kills(program, count):
    def strike(field, jobs):
        for strike_number in range(count):
            field.begin(max(1, jobs // count))
            time.sleep(random.random() * 0.4)
            if program == "factory":
                field.world.factory.kill()
                field.world.start_factory()
            elif program == "keeper":
                field.agent.kill()
                field.start_agent()
            else:
                for pid in field.pids(program):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass
    return strike


def random_kills(count):
    def strike(field, jobs):
        for number in range(count):
            if number * jobs // count >= len(field.jobs):
                field.begin(1)
            kills(random.choice(["millwright-agent"] * 4 + ["millwright-broker"] * 2 + ["factory"] * 2 + ["keeper"]), 1)(field, 0 if len(field.jobs) >= jobs else 1)
            time.sleep(random.random() * 0.2)
    return strike


def stopped(seconds):
    """SIGSTOP for longer than a lease is: the factory must not think that its jobs may start elsewhere."""
    def strike(field, jobs):
        field.begin(jobs // 2)
        time.sleep(0.5)
        pid = field.pids("millwright-agent")[0]
        os.kill(pid, signal.SIGSTOP)
        field.begin(jobs - jobs // 2)
        time.sleep(seconds)
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass
    return strike


def clock(hours):
    def strike(field, jobs):
        field.begin(jobs // 2)
        time.sleep(0.3)
        (field.world.folder / "faketime").write_text(f"{hours:+d}h\n")
        field.begin(jobs - jobs // 2)
        time.sleep(12)   # the agent looks at its clocks every ten seconds
        assert "the clock on the wall was set" in field.agent.log.read_text(errors="replace"), "the agent did not notice"
        (field.world.folder / "faketime").write_text("+0\n")
        field.begin(2)
    return strike


def agent_finds_it_read_only(field, mount):
    """The agent starts again on a disk that takes nothing any more. What is open for writing, or removed and still open, keeps a disk
    from it: so the agent is killed while its keeper is held, and once more where the keeper still held the folder of a run that had ended."""
    keeper = field.agent.process.pid
    for _ in range(10):
        os.kill(keeper, signal.SIGSTOP)
        try:
            for pid in field.pids("millwright-agent"):
                os.kill(pid, signal.SIGKILL)
            for _ in range(20):
                if subprocess.run(["mount", "-o", "remount,ro", mount], capture_output=True).returncode == 0:
                    return
                time.sleep(0.05)
        finally:
            os.kill(keeper, signal.SIGCONT)
        wait_for("the agent to be there again", lambda: field.pids("millwright-agent"))
        time.sleep(0.3)
    raise Failure("the disk does not become read-only: something keeps a file open")


def disk(action):
    def strike(field, jobs):
        field.begin(jobs // 2)
        mount = field.data
        ballast = mount / "ballast"
        if action == "full":
            with ballast.open("wb") as out:
                try:
                    while out.write(b"x" * 65536):
                        out.flush()
                except OSError:
                    pass
        else:
            agent_finds_it_read_only(field, mount)
        field.begin(jobs - jobs // 2)
        time.sleep(6)
        if action == "full":
            ballast.unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", mount], check=True)
    return strike


def outbox(field, jobs):
    """The power goes while reports wait, and takes the end of the journal along: what was promised to the factory stands before it."""
    field.begin(jobs)
    wait_for("half of them to begin", lambda: field.marks.read_text().count("begin") >= jobs // 2, 60)
    field.proxy.set("cut")
    wait_for("what runs to end", lambda: field.marks.read_text().count("begin") == field.marks.read_text().count("end"), 60)
    field.agent.kill()
    journal = next((field.data / "factories").glob("*/journal"))
    whole = journal.read_bytes()
    with journal.open("r+b") as file:   # what an fdatasync has not reached yet: at most the last record; torn in its middle
        file.truncate(len(whole) - random.randrange(1, 20))
    field.proxy.set("pass")
    field.start_agent()


def stalled(seconds):
    """The disk takes nothing and answers nothing; the leases must be renewed all the same."""
    def strike(field, jobs):
        field.begin(jobs // 2)
        time.sleep(0.5)
        subprocess.run(["fsfreeze", "-f", field.data], check=True)
        try:
            field.begin(jobs - jobs // 2)
            time.sleep(seconds)
        finally:
            subprocess.run(["fsfreeze", "-u", field.data], check=True)
    return strike


def saturated(seconds):
    """Every processor is busy, many times over."""
    def strike(field, jobs):
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(8 * (os.cpu_count() or 1))]
        try:
            field.begin(jobs)
            time.sleep(seconds)
        finally:
            for one in busy:
                one.kill()
                one.wait()
    return strike


def restored(field, jobs):
    """The factory's disk is lost, and a backup takes its place that knows nothing of half of the jobs' ends and starts."""
    world = field.world
    field.begin(jobs // 2)
    world.command(BIN / "millwright-factory", "backup", "--data", world.data, "--to", world.folder / "backup")
    field.begin(jobs - jobs // 2)
    wait_for("all of them to begin", lambda: field.marks.read_text().count("begin") == jobs, 60)   # what no agent was told of is lost
    world.factory.kill()
    world.data.rename(world.folder / "lost")
    world.command(BIN / "millwright-factory", "restore", "--from", world.folder / "backup", "--data", world.data)
    world.start_factory()
    wait_for("the agent to say again what the backup does not know", lambda: all(world.api("GET", f"/v1/jobs/{uid}").status == 200 for uid in field.jobs), 60)


SCENARIOS = {
    "network cut": dict(strike=line("cut", 3)),
    "half-open": dict(strike=line("stall", 4), seconds=150),
    "slow line": dict(strike=line("slow", 5), seconds=120),
    "late answers": dict(strike=line("late", 3)),
    "said twice": dict(strike=line("twice", 3)),
    "503 storm": dict(strike=line("storm", 5), seconds=150),
    "flapping": dict(strike=flapping, seconds=150),
    "agent killed": dict(strike=kills("millwright-agent", 5)),
    "broker killed": dict(strike=kills("millwright-broker", 5)),
    "keeper killed": dict(strike=kills("keeper", 3)),
    "factory killed": dict(strike=kills("factory", 5)),
    "factory restored from an older backup": dict(strike=restored, seconds=120),
    "random kills": dict(strike=random_kills(100), seconds=240, long=True),
    "power cut in the outbox": dict(strike=outbox, seconds=120),
    "agent stopped 75 s": dict(strike=stopped(75), seconds=180, long=True),
    "agent stopped 5 s": dict(strike=stopped(5)),
    "clock +1 h": dict(strike=clock(1), faketime=True),
    "clock -1 h": dict(strike=clock(-1), faketime=True),
    "disk stalled 10 s": dict(strike=stalled(10), disk=True, seconds=120),
    "disk stalled 90 s": dict(strike=stalled(90), disk=True, seconds=180, long=True),
    "processors saturated": dict(strike=saturated(15), seconds=180, long=True),
    "disk full": dict(strike=disk("full"), tmpfs=True, seconds=120),
    "disk read-only": dict(strike=disk("read-only"), tmpfs=True, seconds=120),
}


def run(name, jobs):
    """(outcome, why it was skipped)"""
    scenario = SCENARIOS[name]
    if (scenario.get("tmpfs") or scenario.get("disk")) and os.getuid() != 0:
        return None, "needs root to mount"
    if scenario.get("faketime") and not os.path.exists(FAKETIME):
        return None, "needs faketime"
    with World() as world:
        environment, data, mounted = None, None, False
        if scenario.get("faketime"):
            (world.folder / "faketime").write_text("+0\n")
            environment = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(world.folder / "faketime"), "FAKETIME_NO_CACHE": "1", "DONT_FAKE_MONOTONIC": "1",
                           "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        if scenario.get("tmpfs"):
            data = world.folder / "small"
            data.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=2m,uid={NOBODY},gid={NOBODY},mode=700", "tmpfs", data], check=True)
            mounted = True
        if scenario.get("disk"):
            image, data = world.folder / "image", world.folder / "disk"
            data.mkdir()
            with image.open("wb") as file:
                file.truncate(32 << 20)
            subprocess.run(["mkfs.ext4", "-q", image], check=True)
            if subprocess.run(["mount", "-o", "loop", image, data], capture_output=True).returncode != 0:
                return None, "no loop device can be mounted here"
            mounted = True
            os.chown(data, NOBODY, NOBODY)
        field = None
        try:
            field = Field(world, environment=environment, data=data)
            scenario["strike"](field, jobs)
            outcome = field.outcome(scenario.get("seconds", 60))
            outcome["log"] = field.agent.tail() if outcome["lost"] else ""
            return outcome, None
        finally:
            if field:
                field.close()
            if mounted:
                for program in reversed(world.programs):
                    program.stop()
                subprocess.run(["umount", "-l", data], check=False)


def wrong(outcome):
    """What may never be."""
    found = []
    if outcome["lost"]:
        found.append(f"{outcome['lost']} without an end: {outcome['stuck']}")
    if outcome["twice"]:
        found.append(f"{outcome['twice']} runners were given their input twice")
    if outcome["finals"] != outcome["ended"]:
        found.append(f"{outcome['finals']} ends of {outcome['ended']} jobs")
    if outcome["untrue"]:
        found.append(f"{outcome['untrue']} are said to be successful and left no line")
    return found
