"""Jobs that try what they must not, through the real programs: factory, agent, keeper, broker, sandbox. Each try has a control that succeeds."""
import json
import os
import pathlib
import pwd
import re
import unittest

from mill import BIN, NOBODY, Program, World, wait_for

LOOK = """do:
  - look:
      run:
        script:
          language: python
          code: |
%s
"""


def script(text):
    return LOOK % "\n".join(" " * 12 + line for line in text.strip().splitlines())


def status_of(pid):
    return dict(re.findall(r"^(\w+):\s*(.*)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M))


class OwnFolderTest(unittest.TestCase):
    """Where all programs share one user, a grant above the agent's folder must not show its key, journal and policy."""

    @classmethod
    def setUpClass(cls):
        cls.world = World()
        cls.world.__enter__()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.world.start_factory()
        cls.world.agent("srv-1", warm=0)
        cls.own = cls.world.folder / "srv-1"
        cls.beside = cls.world.write("beside/note.txt", "beside")
        if os.getuid() == 0:
            for path in (cls.world.folder, *cls.world.folder.rglob("*")):
                os.chown(path, NOBODY, NOBODY)
        cls.grant = f'permissions: {{ files: {{ read: [ "{cls.world.folder}" ], write: [ "{cls.world.folder}" ] }}, commands: [ python3 ] }}\n'

    def run_job(self, name, workflow, permissions=None):
        return self.world.ended(self.world.trigger(self.world.deploy(name, workflow, permissions or self.grant)))

    def test_the_broker_reads_lists_writes_and_packs_nothing_of_it(self):
        policy = self.own / "policy.yaml"
        self.assertTrue(policy.exists())
        for name, call in (("read", f'call: file.read, with: {{ path: "{policy}" }}'),
                           ("list", f'call: file.list, with: {{ path: "{self.own}" }}'),
                           ("write", f'call: file.write, with: {{ path: "{self.own}/new", content: x }}'),
                           ("replace", f'call: file.write, with: {{ path: "{policy}", content: "unsigned: true", mode: replace }}'),
                           ("pack", f'call: archive.create, with: {{ source: "{self.own}", target: "{self.world.folder}/beside/a.zip" }}'),
                           ("pack-above", f'call: archive.create, with: {{ source: "{self.world.folder}", target: "{self.world.folder}/beside/a.zip" }}')):
            with self.subTest(name):
                job = self.run_job(f"own-{name}", f"do:\n  - try: {{ {call} }}\n")
                self.assertEqual((job["state"], job["error"]["status"]), ("failed", 403), job)
                if name != "pack-above":  # that one may meet another folder that is not the broker's first
                    self.assertIn("Millwright's own", job["error"]["detail"])
        self.assertFalse((self.own / "new").exists())
        self.assertFalse((self.world.folder / "beside/a.zip").exists())
        job = self.run_job("own-control", f'do:\n  - try: {{ call: file.read, with: {{ path: "{self.beside}" }} }}\n')
        self.assertEqual((job["state"], job["output"]["content"]), ("successful", "beside"), job)

    def test_a_listing_of_what_is_above_leaves_it_out(self):
        job = self.run_job("own-above", f'do:\n  - try: {{ call: file.list, with: {{ path: "{self.world.folder}", recursive: true, pattern: "*.*" }} }}\n')
        self.assertEqual(job["state"], "successful", job)
        paths = [entry["path"] for entry in job["output"]["entries"]]
        self.assertIn(str(self.beside), paths)
        self.assertEqual([path for path in paths if path.startswith(f"{self.own}/")], [])

    def test_a_command_sees_an_empty_folder_in_its_place(self):
        job = self.run_job("own-command", script(f"""
import os, json
def attempt(act):
    try: return act()
    except OSError as error: return type(error).__name__
print(json.dumps(dict(
    beside=attempt(lambda: open('{self.beside}').read()),
    listed=attempt(lambda: os.listdir('{self.own}')),
    policy=attempt(lambda: open('{self.own}/policy.yaml').read()),
    moved=attempt(lambda: os.rename('{self.own}', '{self.own}-away')),
    opened=attempt(lambda: os.chmod('{self.own}', 0o700)))))
"""))
        self.assertEqual(job["state"], "successful", job)
        seen = json.loads(job["output"])
        self.assertEqual((seen["beside"], seen["policy"]), ("beside", "PermissionError"))
        self.assertIn(seen["listed"], ([], "PermissionError"))
        self.assertEqual(seen["moved"], "OSError", "a place where something is mounted does not move")
        self.assertTrue((self.own / "policy.yaml").exists())

    def test_a_grant_of_it_is_refused_and_says_why(self):
        job = self.run_job("own-grant", script("print(1)"), f'permissions: {{ files: {{ read: [ "{self.own}" ] }}, commands: [ python3 ] }}\n')
        self.assertEqual((job["state"], job["reason"]), ("failed", "refused"), job)
        self.assertIn("Millwright's own", json.dumps(job))

    def test_neither_its_runner_nor_the_first_process_of_the_sandbox_is_signalled(self):
        landlock = self.world.api("GET", "/v1/agents/srv-1").json["facts"]["isolation"]["landlock"]
        if landlock < 6:
            self.skipTest(f"Landlock ABI {landlock}, signals are kept apart from 6 on")
        job = self.run_job("signals", script("""
import os
for pid in (os.getpid(), os.getppid(), 1):
    try:
        os.kill(pid, 0)
        print('reached')
    except PermissionError:
        print('refused')
"""))
        self.assertEqual((job["state"], job["output"].split()), ("successful", ["reached", "refused", "refused"]), job)


class ProcessesTest(unittest.TestCase):
    """What the programs themselves may still do, should one be taken over."""

    def test_the_broker_is_filtered_and_leaves_no_way_to_its_memory(self):
        with World() as world:
            world.start_factory()
            agent = world.agent("srv-1", warm=0)
            uid = world.trigger(world.deploy("one", script("print(1)"), "permissions: { commands: [ python3 ] }\n"))
            self.assertEqual(world.ended(uid)["state"], "successful")
            [broker] = agent.children("millwright-broker")
            seen = status_of(broker)
            self.assertEqual((seen["Seccomp"], seen["NoNewPrivs"]), ("2", "1"))
            self.assertEqual(os.stat(f"/proc/{broker}/mem").st_uid, 0, "its memory is nobody's but root's")
            facts = world.api("GET", "/v1/agents/srv-1").json["facts"]["isolation"]
            self.assertEqual(facts["services"], "shared")
            self.assertIn(facts["proc"], ("own", "none"))
            self.assertIn(facts["nesting"], ("kernel", "filter"))

    @unittest.skipUnless(os.getuid() == 0, "root's own mode")
    def test_started_as_root_the_keeper_keeps_six_capabilities_and_gives_nobody_more(self):
        with World() as world:
            world.start_factory()
            data = world.enrol("srv-1")
            agent = Program(world, "agent-root", [BIN / "millwright-agent", "run", "--data", data], "ready", as_root=True)
            uid = world.trigger(world.deploy("one", script("import os; print(os.getuid())"), "permissions: { commands: [ python3 ] }\n"))
            job = world.ended(uid)
            self.assertEqual(job["state"], "successful", job)
            self.assertNotEqual(job["output"].strip(), "0")
            # chown, dac_override, fowner, kill, setgid, setuid
            few = sum(1 << number for number in (0, 1, 3, 5, 6, 7))
            for name, pids in (("keeper", [agent.process.pid]), ("agent", agent.children("millwright-agent")), ("broker", agent.children("millwright-broker"))):
                self.assertTrue(pids, name)
                for pid in pids:
                    seen = status_of(pid)
                    for capabilities in ("CapEff", "CapPrm", "CapBnd"):
                        self.assertEqual(int(seen[capabilities], 16) & ~few, 0, f"{name}: {capabilities} {seen[capabilities]}")
            facts = wait_for("its facts", lambda: world.api("GET", "/v1/agents/srv-1").json["facts"].get("isolation"))
            if facts["services"] == "root":
                self.assertIn("run as root", agent.tail())
            self.assertEqual(facts["uid"], "separate")

            # An environment's own user, when the machine's policy has it.
            uid_of = {name: pwd.getpwnam(name).pw_uid for name in ("games", "daemon")}
            environment = "kind: Environment\nname: %s\nagents: [ '*' ]\nrunAs: %s\n"
            whoami = script("import os; print(os.getuid(), os.getgroups())")

            def run_in(name, user):
                trigger = world.deploy(f"who-{name}", whoami, "permissions: { commands: [ python3 ] }\n", environment=name)
                world.run("apply", "-f", world.write(f"{name}-environment.yaml", environment % (name, user)))
                world.run("agents", "set", "srv-1", "--approve-in", "default", "--approve-in", name)
                return world.ended(world.trigger(trigger))

            job = run_in("sales", "games")
            self.assertEqual((job["state"], job["reason"]), ("failed", "refused"), job)
            self.assertEqual(job["evidence"]["withheld"], [{"item": "user games", "by": "policy.yaml: runAs"}])
            agent.stop()
            (data / "policy.yaml").write_text("unsigned: true\nrunAs: [ games, millwright*, no-such, root ]\n")
            agent = Program(world, "agent-root", [BIN / "millwright-agent", "run", "--data", data], "ready", as_root=True)
            job = run_in("sales", "games")
            self.assertEqual((job["state"], job["output"].split()[0]), ("successful", str(uid_of["games"])), job)
            self.assertNotEqual(world.ended(uid)["output"].strip(), str(uid_of["games"]))
            for name, user, why in (("none", "no-such", "no such user"), ("own", "millwright", "user of Millwright itself")):
                if user == "millwright" and facts["services"] == "root":
                    continue  # no such user here
                job = run_in(name, user)
                self.assertEqual((job["state"], job["reason"]), ("failed", "refused"), job)
                self.assertIn(why, json.dumps(job))
            for user, why in (("games", "sales"), ("root", "not root"), ("a b", "user's name")):
                done = world.run("apply", "-f", world.write("other.yaml", environment % ("other", f"'{user}'")), check=False)
                self.assertNotEqual(done.returncode, 0, user)
                self.assertIn(why, done.stderr + done.stdout)


if __name__ == "__main__":
    unittest.main()
