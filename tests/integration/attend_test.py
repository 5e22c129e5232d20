"""`millwright-agent attend` and `open`: the person's faces in a terminal, against an agent that is played by a script."""
import json
import os
import pathlib
import pty
import select
import subprocess
import tempfile
import shutil
import time
import unittest

from mill import BIN, NOBODY, Failure, user
from person_stand_in import PersonStandIn

FORM = {"type": "object", "required": ["order", "pin"], "properties": {"order": {"type": "string"}, "count": {"type": "integer", "maximum": 9}, "pin": {"type": "string", "format": "password"}}}
REPORT = {"trigger": "report", "title": "Report", "description": "All orders of a day", "environment": "default", "schema": FORM, "unavailable": "", "offline": True}
QUESTION = {"id": "q1", "kind": "ask", "text": "Which one?", "title": "Payout", "schema": {"enum": ["red", "green"]}, "deadline": None, "job": "j"}
CONSENT = {"id": "J 1 1", "title": "Invoices", "description": "", "asker": "user otto", "trigger": "t", "does": ["reads files in /srv/in"], "expectedMs": None, "until": "2099-01-01T00:00:00Z",
           "choices": ["now", "later", "not_today"]}
JOB = {"job": "0199-a", "title": "Books\x1b[2J", "trigger": "t", "for": "user otto", "mine": False, "state": "running", "progress": None, "step": "look-up"}


class Attend(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mw-att-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        if os.getuid() == 0:
            os.chown(self.folder, NOBODY, NOBODY)
        self.person = PersonStandIn(self.folder / "person").start()
        self.addCleanup(self.person.close)

    def run_agent(self, *arguments, typed="", language="C.UTF-8", check=None):
        done = subprocess.run([BIN / "millwright-agent", *arguments, "--data", self.folder], input=typed, capture_output=True, text=True, timeout=60, check=False,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": language}, **user())
        if check is not None:
            self.assertEqual(done.returncode, check, done.stdout + done.stderr)
        return done

    def test_all_of_it_is_one_document_for_programs(self):
        self.person.said["running"] = [JOB]
        said = json.loads(self.run_agent("attend", "--json", check=0).stdout)
        self.assertEqual(said["running"], [JOB])
        self.assertEqual(said["user"], "anna")

    def test_a_person_goes_through_it_by_numbers(self):
        self.person.say(running=[JOB], consents=[CONSENT], questions=[QUESTION], launchable=[REPORT], history=[{"job": "h", "title": "Old", "state": "failed", "reason": "task_failed",
                                                                                                                          "started": "2026-11-27T13:00:00Z", "ended": "x", "files": ["/srv/out/a.pdf"]}])
        done = self.run_agent("attend", typed="2\n3\n2\ngreen\n1\ny\nh\ns\np\nr\nq\n", check=0)
        for words in ("1  Books?[2J, for user otto", "2  user otto asks to run “Invoices”", "reads files in /srv/in", "3  Payout: Which one?", "4  Report (works offline)", "Step: look-up", "Old: failed (task_failed)",
                      "/srv/out/a.pdf", "1 job was stopped."):
            self.assertIn(words, done.stdout)
        self.assertNotIn("\x1b", done.stdout)
        self.assertEqual(self.person.asked,
                         [("/v1/consents/J%201%201", {"choice": "not_today"}), ("/v1/questions/q1", {"answer": "green", "comment": ""}), ("/v1/jobs/0199-a/cancel", {"why": ""}),
                          ("/v1/stop", {"way": "terminal"}), ("/v1/pause", {"for": "1h"}), ("/v1/resume", {})])

    def test_a_form_that_the_factory_refuses_is_corrected(self):
        self.person.said["launchable"] = [REPORT]
        self.person.refusals["/v1/launch"] = (400, {"detail": "the input does not fit", "mistakes": [{"path": "/order", "text": "there is no such order"}]})
        done = self.run_agent("attend", typed="1\ny\nA-1\n12\n3\ns3cret\ny\nA-2\n\n\nn\nq\n", check=0)
        self.assertIn("At most 9, please.", done.stdout)
        self.assertIn("/order: there is no such order", done.stdout)
        launches = self.person.told("/v1/launch")
        self.assertEqual([one["input"] for one in launches], [{"order": "A-1", "count": 3, "pin": "s3cret"}, {"order": "A-2", "count": 3, "pin": "s3cret"}])
        self.assertEqual(len({one["id"] for one in launches}), 1)   # however often: one start
        self.assertNotIn("s3cret", done.stdout + done.stderr)

    def test_it_speaks_german_and_ends_with_its_input(self):
        done = self.run_agent("attend", typed="", language="de_DE.UTF-8", check=0)
        self.assertIn("Es läuft nichts.", done.stdout)

    def test_why_something_was_not_done_is_said_in_the_persons_language(self):
        self.person.say(questions=[QUESTION], running=[JOB])
        self.person.refusals["/v1/questions/q1"] = (409, {"code": "answered", "by": "otto", "detail": "otto was first: red, a moment ago"})
        self.person.refusals["/v1/jobs/0199-a/cancel"] = (503, {"code": "factory_away", "detail": "the factory is away: connection refused"})
        self.person.refusals["/v1/pause"] = (418, {"code": "of_a_newer_agent", "detail": "only its own words"})
        said = self.run_agent("attend", typed="2\ngreen\n1\nj\np\nq\n", language="de_DE.UTF-8", check=0).stdout
        for words in ("otto hat das schon beantwortet.", "Die Factory ist gerade nicht erreichbar.", "only its own words"):
            self.assertIn(words, said)
        for words in ("otto was first", "connection refused"):
            self.assertNotIn(words, said)

    def test_a_password_is_not_shown_on_a_terminal(self):
        self.person.said["launchable"] = [REPORT]
        master, slave = pty.openpty()
        running = subprocess.Popen([BIN / "millwright-agent", "attend", "--data", self.folder], stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                                   env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), "LANG": "C.UTF-8"}, **user())
        os.close(slave)
        seen = b""

        def until(words):
            nonlocal seen
            end, start = time.monotonic() + 20, len(seen)
            while words not in seen[start:]:
                if time.monotonic() > end or not select.select([master], [], [], 20)[0]:
                    raise Failure(f"waited for {words}: {seen[start:]}")
                seen += os.read(master, 4096)

        for words, line in ((b"leave > ", "1"), (b"(y/n) ", "y"), (b"order: ", "A-1"), (b"count", ""), (b"pin: ", "s3cret"), (b"was started.", ""), (b"leave > ", "q")):
            until(words)
            os.write(master, line.encode() + b"\n")
        self.assertEqual(running.wait(20), 0)
        os.close(master)
        self.assertEqual(self.person.told("/v1/launch")[0]["input"], {"order": "A-1", "pin": "s3cret"})
        self.assertNotIn(b"s3cret", seen)

    def test_who_is_not_there_is_said(self):
        self.person.kill()
        (self.folder / "person").unlink()
        done = self.run_agent("attend", check=3)
        self.assertIn("no attended agent runs with the data folder", done.stderr)
        done = self.run_agent("open", check=3)
        self.assertIn("no companion runs with the data folder", done.stderr)
        self.assertIn("millwright-agent attend --data", done.stderr)

    def test_another_users_socket_is_not_trusted(self):
        if os.getuid() != 0:
            self.skipTest("SKIP: only root can be two users")
        os.chown(self.person.path, 12345, 12345)
        os.chmod(self.person.path, 0o666)
        done = self.run_agent("attend", "--json", check=78)
        self.assertIn("belongs to the user 12345", done.stderr)
        self.assertEqual(done.stdout, "")


if __name__ == "__main__":
    unittest.main()
