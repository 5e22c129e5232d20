"""Runners that are started ahead of their jobs: ready for packages in use, each for one job, holding nothing of another."""
import os
import pathlib
import re
import signal
import unittest

from mill import Test, World, wait_for

SAYS = """
do:
  - answer: { set: { said: '${ .text }', also: '${ [ .text, "x" ] | join("-") }' } }
"""


def holds(pid, needle):
    """Whether the process has these bytes anywhere in its memory."""
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            if "r" not in rights or "[v" in line:
                continue
            try:
                memory.seek(int(begin, 16))
                if needle in memory.read(int(end, 16) - int(begin, 16)):
                    return True
            except OSError:
                continue
    return False


class Warm(Test):
    def begin(self, world, warm=None):
        world.start_factory()
        return world.agent(slots=2, warm=warm), world.deploy("says", SAYS)

    def ready(self, agent):
        return wait_for("a runner that waits for a job", lambda: agent.children("millwright-runner"), 10)

    def one_job(self, world, trigger, text="hello"):
        job = world.ended(world.trigger(trigger, {"text": text}))
        self.assertEqual((job["state"], job["output"]), ("successful", {"said": text, "also": f"{text}-x"}))

    def test_a_package_in_use_has_a_runner_ready_and_it_serves_one_job(self):
        with World() as world:
            agent, trigger = self.begin(world)
            self.assertEqual(agent.children("millwright-runner"), [])
            self.one_job(world, trigger, "needle-" + "of the first job")
            first = self.ready(agent)
            if os.getuid() == 0:
                self.assertEqual(pathlib.Path(f"/proc/{first[0]}/environ").read_bytes().count(b"MILL"), 0)
                self.assertTrue(holds(first[0], b"says"), "its package is not read: the search sees nothing")
                self.assertFalse(holds(first[0], b"needle-of the first job"))
            self.one_job(world, trigger)
            wait_for("the runner that served to be gone", lambda: not set(first) & set(agent.children("millwright-runner")), 10)
            self.ready(agent)
            self.assertEqual(agent.stop(), 0)
            for pid in first:
                self.assertFalse(pathlib.Path(f"/proc/{pid}").exists())

    def test_an_agent_that_is_killed_takes_along_what_waits_and_its_successor_makes_anew(self):
        with World() as world:
            agent, trigger = self.begin(world)
            self.one_job(world, trigger)
            before = self.ready(agent)
            inner = agent.children("millwright-agent")
            os.kill(inner[0], signal.SIGKILL)
            wait_for("those that waited to be gone", lambda: not set(before) & set(agent.children("millwright-runner")), 10)
            self.one_job(world, trigger)
            self.ready(agent)

    def test_a_runner_killed_while_it_waits_costs_no_job(self):
        with World() as world:
            agent, trigger = self.begin(world)
            self.one_job(world, trigger)
            for pid in self.ready(agent):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            self.one_job(world, trigger)

    def test_other_grants_are_another_runner(self):
        with World() as world:
            agent, trigger = self.begin(world)
            self.one_job(world, trigger)
            old = self.ready(agent)
            world.run("apply", "-f", world.write("limits.yaml", "kind: Deployment\nname: says\npackage: says@1.0.0\nenvironment: default\n"
                                                                 "permissions: { limits: { time: 77s } }\n"))
            self.one_job(world, trigger)
            self.assertTrue(set(old) & set(agent.children("millwright-runner")), "a runner with other limits was used")

    def test_warm_0_holds_none(self):
        with World() as world:
            agent, trigger = self.begin(world, warm=0)
            self.one_job(world, trigger)
            self.one_job(world, trigger)
            wait_for("the last runner to be gone", lambda: not agent.children("millwright-runner"), 10)


if __name__ == "__main__":
    unittest.main()
