"""`millwright-agent doctor`: each thing that is wrong is named by its code, with what mends it; the mending is tried."""
import json
import os
import socket
import unittest

from mill import BIN, Test, World, wait_for


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
            self.assertIn("is the one this agent was enrolled at", checks["factory"]["text"])
            agent = world.start_agent(data)
            self.assertEqual(self.look(world, data)["running"]["state"], "ok")
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


if __name__ == "__main__":
    unittest.main()
