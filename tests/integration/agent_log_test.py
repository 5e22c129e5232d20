"""The agent's own log at its factory: what it said, also while the factory was away, and its last word."""
import os
import signal
import unittest

from mill import Test, World, wait_for


class AgentLog(Test):
    def lines(self, world, name="srv-1", **query):
        more = "&".join(f"{key}={value}" for key, value in query.items())
        return world.api("GET", f"/v1/agents/{name}/log?limit=1000&{more}").json["items"]

    def has(self, world, text, count=1):
        return lambda: sum(text in line["text"] for line in self.lines(world)) >= count

    def test_what_an_agent_says_is_read_at_the_factory(self):
        with World() as world:
            world.start_factory()
            agent = world.agent()
            wait_for("the first lines", self.has(world, "subscribed at"))
            before = self.lines(world)
            self.assertTrue(any("started as process" in line["text"] for line in before), before)
            shown = world.run("logs", "agent/srv-1").stdout
            self.assertIn("link: subscribed at", shown)
            self.assertNotIn("subscribed", world.run("logs", "agent/srv-1", "--level", "warning").stdout)
            # A crash: the next process says how the last one ended.
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            wait_for("how it ended", self.has(world, "the process before this one ended: signal 9"))
            after = self.lines(world, after=before[-1]["sequence"])
            self.assertTrue(after and all(line["sequence"] > before[-1]["sequence"] for line in after))
            self.assertEqual(agent.stop(), 0)
            self.assertTrue(any("leaving: the agent is stopping" in line["text"] for line in self.lines(world)))
            nobody = world.run("logs", "agent/nobody", check=False)
            self.assertNotEqual(nobody.returncode, 0)
            self.assertIn("agent 'nobody' is not there", nobody.stderr)

    def test_lines_said_while_the_factory_is_away_arrive_later_once_each(self):
        with World() as world:
            world.start_factory()
            agent = world.agent()
            wait_for("the first lines", self.has(world, "subscribed at"))
            world.factory.kill()
            agent_pid = agent.children("millwright-agent")[0]
            wait_for("the agent to notice", lambda: "no work can be asked for" in agent.tail())
            os.kill(agent_pid, signal.SIGKILL)     # what it said is on the disk
            wait_for("another process", lambda: [pid for pid in agent.children("millwright-agent") if pid != agent_pid])
            wait_for("it to notice, too", lambda: agent.tail().count("no work can be asked for") >= 2)
            world.start_factory()
            wait_for("the lines of the outage", self.has(world, "no work can be asked for", 2))
            wait_for("those after it", self.has(world, "subscribed at", 2))
            lines = self.lines(world)
            self.assertEqual(len({line["sequence"] for line in lines}), len(lines))
            self.assertEqual([line["sequence"] for line in lines], sorted(line["sequence"] for line in lines))
            self.assertEqual(sum("no work can be asked for" in line["text"] for line in lines), 2, lines)

    def test_wrong_lines_and_wrong_questions_are_refused(self):
        with World() as world:
            world.start_factory()
            world.agent()
            self.assertEqual(world.api("GET", "/v1/agents/srv-1/log?after=soon").status, 400)
            self.assertEqual(world.api("GET", "/v1/agents/srv-1/log?limit=0").status, 400)
            self.assertEqual(world.api("POST", "/agent/v1/log", {"lines": []}).status, 401)   # a person's token is no agent's
            viewer = world.json("tokens", "create", "v", "--role", "viewer")["token"]
            self.assertEqual(world.api("GET", "/v1/agents/srv-1/log", token=viewer).status, 200)


if __name__ == "__main__":
    unittest.main()
