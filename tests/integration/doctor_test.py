"""`millwright-agent doctor`: each thing that is wrong is named by its code, with what mends it; the mending is tried."""
import json
import os
import shutil
import socket
import unittest

from mill import BIN, Program, Test, World, wait_for


class Doctor(Test):
    def look(self, world, data):
        done = world.command(BIN / "millwright-agent", "doctor", "--data", data, "--json", check=False)
        said = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if said["ok"] else 1)
        self.assertEqual(said["ok"], all(check["state"] != "error" for check in said["checks"]))
        for check in said["checks"]:
            self.assertIn(check["state"], ("ok", "warning", "error"))
            self.assertTrue(check["text"] and (check["state"] != "error" or check["fix"]) and not (check["state"] == "ok" and check["fix"]), check)
        return {check["check"]: check for check in said["checks"]}

    def assertFound(self, checks, code, state, words, fix):
        self.assertEqual(checks[code]["state"], state, checks[code])
        self.assertIn(words, checks[code]["text"])
        self.assertIn(fix, checks[code]["fix"])

    def test_a_machine_in_order_and_what_goes_wrong_with_it(self):
        with World() as world:
            world.start_factory()
            data = world.folder / "srv-1"
            self.assertFound(self.look(world, data), "folder", "error", "is no folder", f"millwright-agent enrol --data {data}")
            data.mkdir()
            if os.getuid() == 0:
                os.chown(data, 65534, 65534)
            self.assertFound(self.look(world, data), "identity", "error", "not enrolled", "millwright-agent enrol")
            data = world.enrol("srv-2")
            checks = self.look(world, data)
            self.assertFound(checks, "running", "warning", "no agent runs", f"millwright-agent run --data {data}")
            for code in ("programs", "sandbox", "interpreters", "folder", "disk", "settings", "policy", "credentials", "identity", "dns", "clock", "factory"):
                self.assertIn(checks[code]["state"], ("ok", "warning"), checks[code])
            self.assertEqual(checks["factory"]["state"], "ok")
            self.assertEqual(checks["key"], {"check": "key", "state": "ok", "text": "the factory gives a session for this agent's key", "fix": ""})
            self.assertIn("is the one this agent was enrolled at", checks["factory"]["text"])
            agent = world.start_agent(data)   # its counter goes on behind the one that proved the key
            checks = self.look(world, data)
            self.assertEqual(checks["running"]["state"], "ok")
            self.assertIn("the session answered last at", checks["key"]["text"])
            text = world.command(BIN / "millwright-agent", "doctor", "--data", data).stdout
            self.assertIn("ok       factory", text)

            (data / "policy.yaml").write_text("unsigned: perhaps\n")
            (data / "config.yaml").write_text("sltos: 3\n")
            checks = self.look(world, data)
            self.assertFound(checks, "settings", "error", "sltos", "mend the file")
            self.assertEqual(checks["policy"]["state"], "error")
            (data / "policy.yaml").write_text("unsigned: true\n")
            (data / "config.yaml").unlink()

            world.command(BIN / "millwright-agent", "pause", "--data", data, "--why", "lunch")
            checks = self.look(world, data)
            self.assertFound(checks, "running", "warning", "lunch", "millwright-agent resume")
            world.command(BIN / "millwright-agent", *checks["running"]["fix"].split()[1:])
            self.assertEqual(self.look(world, data)["running"]["state"], "ok")

            world.factory.kill()
            checks = self.look(world, data)
            self.assertFound(checks, "factory", "error", "cannot connect", "start it")
            wait_for("the agent to know", lambda: self.look(world, data)["running"]["state"] == "error")
            agent.kill()

    def test_a_name_that_nobody_knows_and_another_factory_at_the_address(self):
        with World() as world, World() as other:
            world.start_factory()
            data = world.enrol()
            place = next(data.glob("factories/*/agent.json"))
            known = place.read_text()
            place.write_text(known.replace("127.0.0.1", "factory.invalid"))
            self.assertFound(self.look(world, data), "dns", "error", "factory.invalid", "getent hosts factory.invalid")
            other.start_factory()
            place.write_text(known.replace(world.url, other.url))
            self.assertFound(self.look(world, data), "factory-key", "error", "", "another factory answers")
            with socket.create_server(("127.0.0.1", 0)) as deaf:   # takes connections and says nothing
                place.write_text(known.replace(world.url, f"http://127.0.0.1:{deaf.getsockname()[1]}"))
                self.assertEqual(self.look(world, data)["factory"]["state"], "error")
            place.write_text(known)
            (data / "config.yaml").write_text("proxy: http://127.0.0.1:9\n")
            self.assertFound(self.look(world, data), "factory", "error", "cannot connect", "proxy")


class FromTheFactory(Test):
    def test_an_agent_examines_itself_for_its_factory_while_it_works(self):
        with World() as world:
            world.start_factory()
            data = world.enrol()
            agent = world.start_agent(data)
            report = world.json("doctor", "agent/srv-1")
            self.assertEqual((report["state"], report["report"]["ok"]), ("answered", True), report)
            checks = {each["check"]: each for each in report["report"]["checks"]}
            for code in ("programs", "sandbox", "disk", "settings", "policy", "identity", "key", "factory", "running", "interpreters", "screen"):
                self.assertIn(checks[code]["state"], ("ok", "warning"), checks[code])
            self.assertIn("the session answered last", checks["key"]["text"])
            (data / "config.yaml").write_text("sltos: 3\n")
            done = world.run("doctor", "agent/srv-1", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, r"error +settings +.*sltos")
            self.assertIn("sltos", world.run("agents", "show", "srv-1").stdout)
            agent.stop()
            wait_for("it to be away", lambda: not world.json("agents", "show", "srv-1")["online"])
            away = world.run("doctor", "agent/srv-1", check=False)
            self.assertNotEqual(away.returncode, 0)
            self.assertIn("srv-1 is offline since", away.stderr)
            trigger = world.deploy("waits", "\ndo:\n  - answer: { set: { done: true } }\n")
            uid = world.trigger(trigger)
            self.assertRegex(world.run("why", uid).stdout, r"srv-1's doctor found at .*sltos")
            self.assertEqual(world.run("doctor", "agent/nobody", check=False).returncode, world.run("agents", "show", "nobody", check=False).returncode)

    def test_of_two_factories_each_hears_of_itself_alone(self):
        with World() as one, World() as other:
            one.start_factory()
            other.start_factory()
            data = one.enrol("srv-1")
            code = other.api("POST", "/v1/agents/invitations", {"approve": True}).json["code"]
            one.command(BIN / "millwright-agent", "enrol", "--data", data, "--factory", other.url, "--code", code, "--name", "srv-b")
            one.start_agent(data)
            wait_for("both sessions", lambda: one.json("agents", "show", "srv-1")["online"] and other.json("agents", "show", "srv-b")["online"])
            for world, name, stranger in ((one, "srv-1", other), (other, "srv-b", one)):
                said = json.dumps(world.json("doctor", f"agent/{name}"))
                self.assertIn(world.url, said)
                self.assertNotIn(stranger.url, said)
                self.assertIn("the session answered last", said)

    def test_a_doctor_that_hangs_holds_nothing_and_is_named(self):
        with World() as world:
            world.start_factory()
            programs = world.folder / "programs"
            shutil.copytree(BIN, programs)
            # In the place of the program that the agent starts for it: the agent itself runs from another file.
            data = world.enrol()
            agent = Program(world, "agent-srv-1", [programs / "millwright-agent", "run", "--data", data], "ready")
            (programs / "millwright-agent").unlink()
            (programs / "millwright-agent").write_text("#!/bin/sh\necho 'not today' >&2\nexit 7\n")
            (programs / "millwright-agent").chmod(0o755)
            done = world.run("doctor", "agent/srv-1", check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("status 7", done.stderr)
            self.assertIn("not today", done.stderr)
            # One that does not end: the agent goes on working beside it.
            (programs / "millwright-agent").write_text("#!/bin/sh\nsleep 1000\n")
            world.api("POST", "/v1/agents/srv-1/doctor", {})
            trigger = world.deploy("quick", "\ndo:\n  - answer: { set: { done: true } }\n")
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            self.assertEqual(world.api("GET", "/v1/agents/srv-1/doctor").json["state"], "asked")
            self.assertEqual(agent.stop(), 0)


if __name__ == "__main__":
    unittest.main()
