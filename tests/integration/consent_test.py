"""A job of somebody else beside a person, with nothing played: factory, agent, companion, a desktop that shows its notices, and a mouse."""
import datetime
import json
import unittest

from desktop import Desktop, history
from mill import BIN, Program, Test, World, wait_for

SUM = """
input: { schema: { document: { type: object, properties: { month: { type: integer } } } } }
do:
  - answer: { set: { month: "${ .month }" } }
"""
WITHIN = 20   # seconds that the agent asks


class Consent(Test):
    def setUp(self):
        super().setUp()
        self.world, self.desktop = World(), Desktop()
        for each in (self.world, self.desktop):
            each.__enter__()
            self.addCleanup(each.__exit__, None, None, None)
        world, desktop = self.world, self.desktop
        world.start_factory()
        world.deploy("report", SUM, "permissions: { files: { read: [ \"/srv/exports\" ] } }\n")
        for choice in ("now", "later", "not-today", "ignored"):   # what is said holds for all jobs of a trigger
            world.run("apply", "-f", world.write("trigger.yaml", f"kind: Trigger\nname: {choice}\ntitle: Report of {choice}\ndescription: Sums a month up\ndeployment: report\ntype: api\nrunOn: attended\n"))
        self.otto = world.api("POST", "/v1/tokens", {"kind": "user", "name": "otto", "role": "operator"}).json["token"]
        code = world.run("agents", "invite", "--mode", "attended", "--user", "anna", "--name", "pc-anna", "--approve").stdout.split()[0]
        data = self.data = world.folder / "pc-anna"
        world.command(BIN / "millwright-agent", "enrol", "--data", data, "--factory", world.url, "--name", "pc-anna", "--code", code)   # attended, as the invitation says
        (data / "policy.yaml").write_text(f"unsigned: true\nconsent: {{ within: {WITHIN}s }}\n")
        desktop.dunst()
        self.agent = Program(world, "agent", [BIN / "millwright-agent", "run", "--data", data], "ready", desktop.environment)
        desktop.companion(data)
        faces = lambda: json.loads(world.command(BIN / "millwright-agent", "status", "--data", data, "--json", check=False).stdout)["person"]["faces"]
        wait_for("the companion's word at the agent", lambda: any(face["kind"] == "companion" and face["notifications"] for face in faces()))

    def push(self, trigger):
        """As otto's program does it; shown to anna."""
        before = self.desktop.notices()
        reply = self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"month": 5}}, token=self.otto)
        self.assertEqual(reply.status, 202, reply.body)
        wait_for("the notice", lambda: self.desktop.notices() == before + 1)
        self.assertIn("anna is asked at pc-anna until", self.why(reply.json["jobUid"]))
        return reply.json["jobUid"]

    def why(self, job):
        return self.world.run("why", job).stdout

    def given_back(self, job, code):
        """Waits until the job is ready again because of what was said; (what `millwright why` says, what the timeline keeps of it)."""
        wait_for(code, lambda: code in [reason["code"] for reason in self.world.json("why", job)["reasons"]], WITHIN + 20)
        self.assertEqual(self.world.job(job)["state"], "ready")
        rows = [row for row in self.world.json("timeline", job)["items"] if row["state"] == code]
        self.assertEqual(len(rows), 1, rows)
        wait_for("the notice to go", lambda: self.desktop.notices() == 0)
        return self.why(job), rows[0]

    def test_now_later_not_today_and_no_answer(self):
        world, desktop = self.world, self.desktop

        ran = self.push("now")
        self.assertEqual(world.job(ran)["state"], "assigned")
        desktop.click("Now")
        done = world.ended(ran)
        self.assertEqual((done["state"], done["output"]), ("successful", {"month": 5}))
        self.assertIn("anna let it run at pc-anna", self.why(ran))
        self.assertEqual([label for label in ("Now", "In ten minutes", "Not today") if label in (desktop.folder / "offered").read_text()], ["Now", "In ten minutes", "Not today"])
        self.assertIn(("user otto asks to run “Report of now”", "Sums a month up\n• reads files in /srv/exports"), [(title, body.rpartition("\n")[0]) for title, body in history(desktop)])

        later = self.push("later")
        desktop.press("In ten minutes")
        why, row = self.given_back(later, "consent_later")
        self.assertIn("anna said 'later' at pc-anna", why)
        self.assertEqual(row["detail"]["why"], "anna said: in ten minutes")
        self.assertAlmostEqual(seconds(row["detail"]["until"]) - seconds(row["time"]), 600, delta=5)

        refused = self.push("not-today")
        desktop.click("Not today")
        why, row = self.given_back(refused, "consent_refused")
        self.assertIn("anna said 'not today' at pc-anna", why)
        here = datetime.datetime.fromtimestamp(seconds(row["detail"]["until"]))
        self.assertEqual((here.hour, here.minute, here.date()), (0, 0, (datetime.datetime.fromtimestamp(seconds(row["time"])) + datetime.timedelta(days=1)).date()))

        ignored = self.push("ignored")
        why, row = self.given_back(ignored, "consent_none")
        self.assertIn("anna was asked at pc-anna and did not answer", why)
        self.assertEqual((row["detail"]["by"], row["detail"]["choice"]), ("", "none"))
        asked = next(each for each in world.json("timeline", ignored)["items"] if each["state"] == "consent_asked")
        self.assertGreaterEqual(seconds(row["time"]), seconds(asked["detail"]["until"]))   # not a moment before the time that she was given

        # What was said holds: nobody is asked about the next job of that trigger, and `why` without a job sums up.
        again = world.api("POST", "/v1/triggers/not-today/runs", {"input": {}}, token=self.otto).json["jobUid"]
        self.assertIn("anna said 'not today' at pc-anna", self.why(again))
        self.assertEqual((world.job(again)["state"], desktop.notices()), ("ready", 0))
        self.assertIn("4 jobs wait", world.run("why").stdout)
        for uid in (later, refused, ignored, again):
            world.run("cancel", uid)


def seconds(time):
    return datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    unittest.main()
