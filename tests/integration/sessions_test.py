"""People's own agents join through the agent of their machine: who they are says the kernel, whether they may says an administrator."""
import os
import pathlib
import pwd
import shutil
import subprocess
import tempfile
import unittest

from mill import BIN, Test, World

PEOPLE = ("daemon", "games")   # users that every machine has; as root we can be them


@unittest.skipUnless(os.getuid() == 0, "only root can be two people")
class Sessions(Test):
    def setUp(self):
        super().setUp()
        self.door = pathlib.Path(tempfile.mkdtemp(prefix="millwright-door-", dir="/tmp"))
        os.chmod(self.door, 0o777)
        self.addCleanup(shutil.rmtree, self.door, ignore_errors=True)

    def machine(self, world, name="srv-1"):
        data = world.enrol(name)
        (data / "config.yaml").write_text(f"sessions: {self.door}/sessions\n")
        return world.start_agent(data)

    def join(self, user, *more, folder=None, check=True):
        person = pwd.getpwnam(user)
        home = self.door / (folder or user)
        done = subprocess.run([str(BIN / "millwright-agent"), "enrol", "--data", str(home), "--through-machine", "--socket", str(self.door / "sessions"), *more],
                              capture_output=True, text=True, timeout=60, user=person.pw_uid, group=person.pw_gid, extra_groups=[], env={"PATH": "/usr/bin:/bin", "HOME": str(self.door)})
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def test_two_people_get_agents_of_their_own_and_of_nobody_else(self):
        with World() as world:
            world.start_factory()
            self.machine(world)
            refused = self.join("daemon", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("millwright agents set srv-1 --sessions on", refused.stderr)
            world.run("agents", "set", "srv-1", "--sessions", "on")
            self.assertIn("enrolled as srv-1-daemon", self.join("daemon").stdout)
            self.assertIn("enrolled as srv-1-games", self.join("games").stdout)
            agents = {agent["name"]: agent for agent in world.json("agents")["items"]}
            for person in PEOPLE:
                agent = agents[f"srv-1-{person}"]
                self.assertEqual((agent["user"], agent["mode"], agent["approved"], agent["environment"]), (person, "attended", True, "default"))
            again = self.join("daemon", check=False)
            self.assertIn("is enrolled as agent 'srv-1-daemon'", again.stderr)
            # Another folder of the same person: the agent is the same, and its key is the new one.
            self.assertIn("enrolled as srv-1-daemon", self.join("daemon", folder="daemon-2").stdout)
            self.assertEqual(len(world.json("agents")["items"]), 3)
            rows = world.json("audit", "--action", "enrol")["items"]
            self.assertIn({"machine": "srv-1", "user": "games"}, [{key: row["detail"].get(key) for key in ("machine", "user")} for row in rows])
            # It is an agent like others.
            person = pwd.getpwnam("games")
            subject = subprocess.run([str(BIN / "millwright-agent"), "doctor", "--data", str(self.door / "games"), "--json"], capture_output=True, text=True, timeout=60,
                                     user=person.pw_uid, group=person.pw_gid, extra_groups=[], env={"PATH": "/usr/bin:/bin", "HOME": str(self.door)})
            self.assertIn("factory", subject.stdout)

    def test_nobody_is_another_person_nor_root(self):
        with World() as world:
            world.start_factory()
            self.machine(world)
            world.run("agents", "set", "srv-1", "--sessions", "on")
            # The request says another name; the kernel does not.
            code = ("import http.client, socket, json, sys\n"
                    "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
                    "body = json.dumps({'publicKey': 'A' * 43 + '=', 'factory': sys.argv[2], 'user': 'games', 'name': 'srv-1-games'})\n"
                    "s.sendall(f'POST /v1/sessions HTTP/1.1\\r\\nHost: x\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}'.encode())\n"
                    "out = b''\n"
                    "while True:\n    more = s.recv(65536)\n    if not more: break\n    out += more\n"
                    "print(out.decode())\n")
            person = pwd.getpwnam("daemon")
            said = subprocess.run(["python3", "-c", code, str(self.door / "sessions"), world.url], capture_output=True, text=True, user=person.pw_uid, group=person.pw_gid, extra_groups=[])
            self.assertIn("srv-1-daemon", said.stdout + said.stderr)
            self.assertNotIn("srv-1-games", said.stdout)
            root = self.join("root", check=False)
            self.assertNotEqual(root.returncode, 0)
            self.assertIn("root is no person", root.stderr)

    def test_without_a_machines_agent_or_when_that_was_ended_it_is_said_what_to_do(self):
        with World() as world:
            world.start_factory()
            nobody = self.join("daemon", check=False)
            self.assertIn("no agent of this machine lets people join", nobody.stderr)
            self.machine(world)
            world.run("agents", "set", "srv-1", "--sessions", "on")
            world.run("agents", "set", "srv-1", "--sessions", "off")
            self.assertIn("--sessions on", self.join("daemon", check=False).stderr)
            world.run("agents", "set", "srv-1", "--sessions", "on")
            world.run("agents", "set", "srv-1", "--revoke")
            refused = self.join("daemon", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("revoked", refused.stderr)

    def test_only_an_administrator_of_the_whole_factory_allows_it(self):
        with World() as world:
            world.start_factory()
            self.machine(world)
            token = world.api("POST", "/v1/tokens", {"kind": "user", "name": "dev", "role": "admin", "environments": ["default"]}).json["token"]
            self.assertEqual(world.api("PATCH", "/v1/agents/srv-1", {"sessions": True}, token=token).status, 403)


if __name__ == "__main__":
    unittest.main()
