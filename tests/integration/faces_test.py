"""The companion in a real desktop session: dunst shows its notices, xfce4-panel its icon, xdotool presses its key. The agent is played by a script."""
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from desktop import Desktop, connect_as, history
from mill import BIN, Program, World, call_socket, user, wait_for
from person_stand_in import PersonStandIn

CONSENT = {"id": "J 1 1", "title": "Invoices <b>& more</b>", "description": "Books <i>all</i> & sundry", "asker": "user otto", "trigger": "invoices", "expectedMs": 120000,
           "does": ["reads files in /srv/in"], "until": "2099-11-27T13:05:00Z", "choices": ["now", "later", "not_today"]}
APPROVAL = {"id": "q1", "kind": "approval", "text": "Pay 12?", "title": "Payout", "job": "j", "trigger": "payout", "schema": None, "deadline": None, "asked": "2026-11-27T13:00:00Z"}
CHOICE = {**APPROVAL, "id": "q2", "kind": "ask", "text": "Which one?", "schema": {"enum": ["red", "green"]}}
JOB = {"job": "0199-a", "title": "Invoices", "trigger": "invoices", "for": "user otto", "mine": False, "state": "running", "started": "2026-11-27T13:00:00Z", "progress": None, "step": ""}


class Notices(unittest.TestCase):
    def test_a_consent_and_questions_are_answered_in_the_notice(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["consents"] = [CONSENT]
            desktop.companion(data)
            wait_for("the consent's notice", lambda: desktop.notices() == 1)
            desktop.press("In ten minutes")
            chosen = wait_for("the choice", lambda: person.told("/v1/consents/J%201%201"))
            self.assertEqual(chosen, [{"choice": "later"}])
            person.say(consents=[], questions=[APPROVAL, CHOICE])
            wait_for("two questions", lambda: desktop.notices() == 2)
            desktop.press("green")
            self.assertEqual(wait_for("the answer", lambda: person.told("/v1/questions/q2"))[0], {"answer": "green", "comment": ""})
            person.say(questions=[APPROVAL])
            desktop.press("No")
            self.assertEqual(wait_for("the answer", lambda: person.told("/v1/questions/q1"))[0], {"answer": False, "comment": ""})
            # What came in the notices: the words as they are, no markup of others.
            shown = dict(history(desktop))
            title = "user otto asks to run “Invoices <b>& more</b>”"
            self.assertIn(title, shown)
            self.assertIn("Books &lt;i&gt;all&lt;/i&gt; &amp; sundry", shown[title])
            self.assertIn("• reads files in /srv/in", shown[title])
            faces = wait_for("what the agent heard of the faces", lambda: person.faces() and person.faces()["notifications"] and person.faces())
            self.assertNotIn("no notices", " ".join(faces["problems"]))

    def test_what_somebody_else_answered_goes_and_a_late_answer_is_told(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["questions"] = [APPROVAL]
            person.refusals["/v1/questions/q2"] = (409, {"detail": "otto was first: green, a moment ago"})
            desktop.companion(data)
            wait_for("the question", lambda: desktop.notices() == 1)
            person.say(questions=[])
            wait_for("it is closed", lambda: desktop.notices() == 0)
            person.say(questions=[CHOICE])
            wait_for("another one", lambda: desktop.notices() == 1)
            desktop.press("red")
            wait_for("the refusal", lambda: person.told("/v1/questions/q2"))
            wait_for("who was first", lambda: desktop.notices() == 1)
            person.say(questions=[])
            desktop.run("dunstctl", "close-all")
            self.assertIn(("This question is not open any more.", "otto was first: green, a moment ago"), wait_for("history", lambda: history(desktop)))

    def test_a_late_answer_is_told_in_the_persons_language(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["questions"] = [CHOICE]
            person.refusals["/v1/questions/q2"] = (409, {"code": "answered", "by": "otto", "detail": "otto was first: green, a moment ago"})
            desktop.companion(data, environment={"LANG": "de_DE.UTF-8"})
            wait_for("the question", lambda: desktop.notices() == 1)
            desktop.press("red")
            wait_for("who was first", lambda: person.told("/v1/questions/q2"))
            person.say(questions=[])
            wait_for("it is told", lambda: desktop.notices() == 1)
            desktop.run("dunstctl", "close-all")
            wait_for("it is told", lambda: ("Diese Frage ist nicht mehr offen.", "otto hat das schon beantwortet.") in history(desktop))

    def test_messages_and_the_ends_of_own_jobs_are_told_once(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["history"] = [{"job": "old", "title": "Old", "trigger": "t", "state": "failed", "mine": True, "ended": "2026-11-27T13:00:00Z"}]
            desktop.companion(data)
            wait_for("its first word", person.faces)
            person.say(tells=[{"id": "t1", "text": "Done by four", "title": "Report", "job": "j", "at": "2026-11-27T13:00:00Z"}])
            wait_for("the message", lambda: desktop.notices() == 1)
            desktop.run("dunstctl", "close-all")   # as a person clicks it away
            wait_for("it is seen", lambda: person.told("/v1/tells/t1"))
            person.say(tells=[], running=[{**JOB, "mine": True}])
            person.say(running=[], history=[{"job": JOB["job"], "title": "Invoices", "trigger": "t", "state": "failed", "error": {"detail": "no such file"}, "ended": "2026-11-27T13:05:00Z", "mine": True}])
            wait_for("the end", lambda: desktop.notices() == 1)
            person.say(paused={"until": None, "why": "", "by": "anna"})
            person.say(tells=[{"id": "t2", "text": "And that is all", "title": "Summary", "job": "j", "at": "2026-11-27T13:06:00Z"}])
            wait_for("what came last", lambda: desktop.notices() == 2)
            desktop.run("dunstctl", "close-all")
            wait_for("all of it", lambda: len(history(desktop)) >= 3)
            self.assertEqual(sorted(title for title, _ in history(desktop)), ["Invoices has failed", "Report", "Summary"])

    def test_a_server_of_notices_that_comes_late_or_again_is_told_what_is_open(self):
        with Desktop() as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["questions"] = [APPROVAL]
            desktop.companion(data)
            faces = wait_for("its word", person.faces)
            self.assertFalse(faces["notifications"])
            self.assertIn("no notices: nothing in this desktop shows them (org.freedesktop.Notifications)", faces["problems"])
            desktop.dunst()
            wait_for("the question", lambda: desktop.notices() == 1)
            wait_for("it is said", lambda: person.faces()["notifications"])
            desktop.end("dunst", signal.SIGKILL)
            wait_for("it is said", lambda: not person.faces()["notifications"])
            desktop.dunst()
            wait_for("the question again", lambda: desktop.notices() == 1)


class StopKey(unittest.TestCase):
    def press(self, desktop, keys="ctrl+alt+Pause"):
        desktop.run("xdotool", "key", keys)

    def ready(self, desktop, person):
        return wait_for("the key", lambda: person.faces() and person.faces()["stopKey"])

    def test_the_key_stops_everything_at_once_whatever_locks_are_on(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            self.assertEqual(self.ready(desktop, person), "Ctrl+Alt+Pause")
            for lock in (None, "Num_Lock", "Caps_Lock", "Scroll_Lock"):
                if lock:
                    desktop.run("xdotool", "key", lock)   # on, beside those before
                before = len(person.told("/v1/stop"))
                person.say(running=[JOB])
                desktop.keys("Control_L", "Alt_L", "Pause")
                stops = wait_for(f"the stop with {lock}", lambda: len(person.told("/v1/stop")) > before and person.told("/v1/stop"))
                self.assertEqual(stops[-1], {"way": "key"})
            wait_for("a notice of it", lambda: desktop.notices() == 1)
            desktop.run("dunstctl", "close-all")
            self.assertIn(("Everything was stopped", "1 job was stopped."), history(desktop))

    def test_other_keys_stop_nothing(self):
        with Desktop() as desktop:
            data = desktop.data(settings="stopKey: Super+F12\n")
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            self.assertEqual(self.ready(desktop, person), "Super+F12")
            for keys in ("ctrl+alt+Pause", "F12", "ctrl+F12", "super+shift+F12"):
                self.press(desktop, keys)
            self.press(desktop, "super+F12")   # heard in their order: the first stop is of this one, and the only one
            wait_for("the stop", lambda: person.told("/v1/stop"))
            self.assertEqual(person.told("/v1/stop"), [{"way": "key"}])

    def test_keys_that_another_program_has_are_said_and_taken_when_they_are_free(self):
        with Desktop() as desktop:
            desktop.dunst()
            first, second = desktop.data("first"), desktop.data("second")
            one, other = PersonStandIn(first / "person").start(), PersonStandIn(second / "person").start()
            desktop.companion(first, name="first-companion")
            self.ready(desktop, one)
            desktop.companion(second)
            faces = wait_for("its word", lambda: other.faces() and any("another program" in said for said in other.faces()["problems"]) and other.faces())
            self.assertIsNone(faces["stopKey"])
            self.assertIn("no stop key: Ctrl+Alt+Pause belongs to another program already", faces["problems"])
            wait_for("the person is told", lambda: desktop.notices() == 1)
            self.press(desktop)
            wait_for("the first one's stop", lambda: one.told("/v1/stop"))
            self.assertEqual(other.told("/v1/stop"), [])
            desktop.end("first-companion")
            wait_for("the keys are free", lambda: other.faces()["stopKey"] == "Ctrl+Alt+Pause", 30)
            self.press(desktop)
            wait_for("its stop", lambda: other.told("/v1/stop"))

    def test_a_stop_while_the_agent_is_being_started_again_is_not_lost(self):
        with Desktop() as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            self.ready(desktop, person)
            person.kill()
            self.press(desktop)
            wait_for("the key to be heard", lambda: "was pressed" in desktop.log("companion"))
            self.assertEqual(person.told("/v1/stop"), [])
            person.start()
            wait_for("the stop", lambda: person.told("/v1/stop"), 5)

    def test_without_a_message_bus_the_key_works_all_the_same(self):
        with Desktop(bus=False) as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            self.ready(desktop, person)
            self.assertIn("no notices and no icon: there is no message bus in this session", " ".join(person.faces()["problems"]))
            self.press(desktop)
            wait_for("the stop", lambda: person.told("/v1/stop"))

    def test_wayland_without_a_portal_is_said(self):
        with Desktop(display=False) as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data, environment={"WAYLAND_DISPLAY": "wayland-0"})
            faces = wait_for("its word", lambda: person.faces() and any("grants no keys" in said for said in person.faces()["problems"]) and person.faces())
            self.assertIsNone(faces["stopKey"])

    def test_wayland_with_a_portal_asks_it_for_the_key(self):
        with Desktop(display=False) as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            portal = pathlib.Path(__file__).with_name("shortcuts_portal.py")
            desktop.start("portal", "python3", portal)
            wait_for("the portal", lambda: "ready" in desktop.log("portal") or desktop.running["portal"].poll())
            if desktop.running["portal"].poll() == 77:
                desktop.running.pop("portal")
                self.skipTest("SKIP: python3-dbus and python3-gi are not installed")
            desktop.companion(data, environment={"WAYLAND_DISPLAY": "wayland-0"})
            self.assertEqual(self.ready(desktop, person), "Press Ctrl and Alt and Pause")
            self.assertIn("stop-everything: Stop everything CTRL+ALT+Pause", desktop.log("portal"))
            desktop.running["portal"].send_signal(signal.SIGUSR1)   # the person presses it
            self.assertEqual(wait_for("the stop", lambda: person.told("/v1/stop"))[0], {"way": "key"})
            desktop.end("portal", signal.SIGKILL)
            wait_for("it is said", lambda: person.faces()["stopKey"] is None)


class Tray(unittest.TestCase):
    def panel(self, desktop):
        if not pathlib.Path("/usr/bin/xfce4-panel").exists():
            self.skipTest("SKIP: xfce4-panel is not installed")
        folder = desktop.folder / "config/xfce4/xfconf/xfce-perchannel-xml"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "xfce4-panel.xml").write_text('<?xml version="1.0" encoding="UTF-8"?><channel name="xfce4-panel" version="1.0"><property name="configver" type="int" value="2"/>'
                                                '<property name="panels" type="array"><value type="int" value="1"/><property name="panel-1" type="empty">'
                                                '<property name="position" type="string" value="p=6;x=0;y=0"/><property name="length" type="uint" value="100"/><property name="size" type="uint" value="32"/>'
                                                '<property name="plugin-ids" type="array"><value type="int" value="1"/></property></property></property>'
                                                '<property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray">'
                                                '<property name="square-icons" type="bool" value="true"/></property></property></channel>')
        desktop.own()
        if "xfconfd" not in desktop.running:
            found = [path for path in ("/usr/lib/x86_64-linux-gnu/xfce4/xfconf/xfconfd", "/usr/lib/xfce4/xfconf/xfconfd") if pathlib.Path(path).exists()]
            if not found:
                self.skipTest("SKIP: xfconfd is not installed")
            desktop.start("xfconfd", found[0])
        desktop.start("panel", "xfce4-panel", "--disable-wm-check")
        wait_for("the panel", lambda: self.items(desktop) is not None, 30)

    def items(self, desktop):
        return desktop.property("org.kde.StatusNotifierWatcher", "/StatusNotifierWatcher", "org.kde.StatusNotifierWatcher", "RegisteredStatusNotifierItems")

    def bus_name(self, desktop):
        return wait_for("its icon", lambda: self.items(desktop) or None)[0].partition("/")[0]

    def layout(self, desktop, name):
        """The menu as rows (number, label, enabled), those below an item behind it."""
        rows = []

        def walk(item):
            number, properties, below = item
            if "label" in properties:
                rows.append((number, properties["label"]["data"], properties["enabled"]["data"]))
            for each in below:
                walk(each["data"])

        walk(desktop.call(name, "/Menu", "com.canonical.dbusmenu", "GetLayout", "0", "-1", "0", signature="iias")["data"][1])
        return rows

    def click(self, desktop, name, label, nth=0):
        number = [row[0] for row in self.layout(desktop, name) if row[1] == label][nth]
        desktop.call(name, "/Menu", "com.canonical.dbusmenu", "Event", str(number), "clicked", "s", "", "0", signature="isvu")

    def test_the_icon_is_in_a_real_panel_and_its_menu_does_what_it_says(self):
        with Desktop() as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            faces = wait_for("its word", person.faces)
            self.assertFalse(faces["tray"])
            self.assertIn("no icon: nothing in this desktop shows one (StatusNotifierItem)", faces["problems"])
            self.panel(desktop)
            name = self.bus_name(desktop)
            wait_for("it is said", lambda: person.faces()["tray"])
            status = lambda what="Status": desktop.property(name, "/StatusNotifierItem", "org.kde.StatusNotifierItem", what)
            self.assertEqual((status(), status("Title")), ("Active", "Millwright: nothing runs"))
            person.say(running=[JOB, {**JOB, "job": "0199-b", "title": "Report_2"}])
            wait_for("two jobs", lambda: status("Title") == "Millwright: 2 jobs run")
            rows = [row[1] for row in self.layout(desktop, name)]
            self.assertEqual(rows, ["Open Millwright", "Invoices, for user otto", "Open", "Stop", "Report__2, for user otto", "Open", "Stop", "Stop everything", "Pause", "For an hour",
                                    "Until tomorrow", "Until I go on"])
            self.click(desktop, name, "Stop", 1)
            self.assertEqual(wait_for("that one's stop", lambda: person.told("/v1/jobs/0199-b/cancel"))[0], {"why": ""})
            self.click(desktop, name, "Stop everything")
            self.assertEqual(wait_for("the stop", lambda: person.told("/v1/stop"))[0], {"way": "tray"})
            self.click(desktop, name, "For an hour")
            self.assertEqual(wait_for("the pause", lambda: person.told("/v1/pause"))[0], {"for": "1h"})
            person.say(running=[], questions=[APPROVAL], paused={"until": "2099-01-01T12:00:00Z", "why": "", "by": "anna"})
            wait_for("it asks", lambda: status() == "NeedsAttention")
            self.click(desktop, name, "Go on")
            wait_for("the end of the pause", lambda: person.told("/v1/resume"))
            # A panel that crashes and comes again has the icon again.
            desktop.end("panel", signal.SIGKILL)
            wait_for("it is said", lambda: not person.faces()["tray"])
            self.panel(desktop)
            self.assertEqual(self.bus_name(desktop), name)
            wait_for("it is said", lambda: person.faces()["tray"])

    def test_a_click_on_the_icon_opens_the_page(self):
        with Desktop() as desktop:
            desktop.browser()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            self.panel(desktop)
            desktop.companion(data)
            faces = wait_for("its word", lambda: person.faces() and person.faces()["tray"] and person.faces())
            name = self.bus_name(desktop)
            desktop.call(name, "/StatusNotifierItem", "org.kde.StatusNotifierItem", "Activate", "0", "0", signature="ii")
            if faces["page"] is None:
                self.skipTest("SKIP: a build without the page")
            opened = wait_for("the browser", lambda: (desktop.folder / "opened").exists() and (desktop.folder / "opened").read_text().strip(), 20)
            page = data / "companion-page.html"
            self.assertIn(str(page), opened)
            self.assertNotIn(faces["page"], opened)   # the link with its secret is in no list of processes
            self.assertIn(faces["page"] + "/", page.read_text())
            self.assertEqual(page.stat().st_mode & 0o777, 0o600)
            desktop.end("companion")
            self.assertFalse(page.exists())


class Life(unittest.TestCase):
    def test_one_alone_runs_and_after_a_kill_the_next_one_takes_over(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            person.said["questions"] = [APPROVAL]
            both = [desktop.start(f"c{i}", BIN / "millwright-companion", "--data", data) for i in range(2)]
            over = wait_for("one gives way", lambda: [one for one in both if one.poll() is not None])
            self.assertEqual([one.returncode for one in over], [0])
            left = both[0] if over[0] is both[1] else both[1]
            self.assertIn("one runs already", desktop.log("c0") + desktop.log("c1"))
            wait_for("the question", lambda: desktop.notices() >= 1)
            pid = wait_for("its word", person.faces)["pid"]
            self.assertEqual(pid, left.pid)
            left.kill()
            left.wait()
            desktop.companion(data)
            wait_for("the next one", lambda: person.faces()["pid"] not in (pid, None))
            wait_for("its key", lambda: person.faces()["stopKey"])
            desktop.press("Yes")
            wait_for("an answer", lambda: person.told("/v1/questions/q1"))

    def test_it_ends_with_its_session_and_leaves_nothing(self):
        for how in ("SIGTERM", "display", "bus"):
            with self.subTest(how), Desktop() as desktop:
                desktop.dunst()
                data = desktop.data()
                person = PersonStandIn(data / "person").start()
                person.said["questions"] = [APPROVAL]
                companion = desktop.companion(data)
                wait_for("the question", lambda: desktop.notices() == 1)
                wait_for("the key", lambda: person.faces()["stopKey"])
                self.assertTrue((data / "companion").exists())
                if how == "SIGTERM":
                    self.assertEqual(desktop.end("companion"), 0)
                    wait_for("no notice stays", lambda: desktop.notices() == 0)
                else:
                    desktop.end({"display": "x", "bus": "bus"}[how], signal.SIGKILL)
                    wait_for("it ends", lambda: companion.poll() is not None, 10)
                    self.assertEqual(companion.returncode, 0, desktop.log("companion"))
                self.assertFalse((data / "companion").exists())

    def test_the_agent_goes_and_comes_and_hears_of_the_faces_again(self):
        with Desktop() as desktop:
            desktop.dunst()
            data = desktop.data()
            person = PersonStandIn(data / "person")
            desktop.companion(data)   # before the agent
            away = lambda: desktop.log("companion").count("the agent is away")
            wait_for("it looked", away)
            person.start()
            wait_for("its word", person.faces, 10)
            wait_for("the key", lambda: person.faces()["stopKey"])
            for _ in range(2):
                missed = away()
                person.kill()
                wait_for("it is missed", lambda: away() > missed)
                before = len(person.told("/v1/faces"))
                person.start()
                wait_for("its word again", lambda: len(person.told("/v1/faces")) > before, 10)
            person.say(questions=[APPROVAL])
            wait_for("the question", lambda: desktop.notices() == 1)

    def test_another_user_gets_nowhere(self):
        if os.getuid() != 0:
            self.skipTest("SKIP: only root can be two users")
        with Desktop() as desktop:
            data = desktop.data()
            person = PersonStandIn(data / "person").start()
            desktop.companion(data)
            wait_for("its word", person.faces)
            # The folder is closed; and if it were open, the socket is.
            self.assertEqual((data / "companion").stat().st_mode & 0o777, 0o600)
            self.assertEqual(connect_as(12345, data / "companion"), 1)
            for path in (desktop.folder, data):
                path.chmod(0o755)
            self.assertEqual(connect_as(12345, data / "companion"), 1)
            # The other way round: a socket that another user put there is not spoken to.
            person.kill()
            impostor = PersonStandIn(data / "person")
            impostor.start()
            os.chown(impostor.path, 12345, 12345)
            os.chmod(impostor.path, 0o666)
            wait_for("it is said", lambda: "belongs to the user 12345" in desktop.log("companion"), 15)
            desktop.run("xdotool", "key", "ctrl+alt+Pause")
            wait_for("the key to be heard", lambda: "was pressed" in desktop.log("companion"))
            desktop.end("companion")
            self.assertEqual(impostor.asked, [])

    def test_what_it_refuses_to_start_with(self):
        with Desktop() as desktop:
            companion = BIN / "millwright-companion"
            refused = desktop.run(companion, "--data", desktop.data("a", settings="stopKey: Ctrl+Banana\n"), check=False)
            self.assertEqual(refused.returncode, 78)
            self.assertIn("config.yaml: stopKey: 'Ctrl+Banana' is no combination of keys", refused.stderr)
            self.assertEqual(desktop.run(companion, "--data", desktop.folder / "nowhere", check=False).returncode, 78)
            self.assertEqual(desktop.run(companion, "--dta", check=False).returncode, 64)
            nothing = desktop.run(companion, "--data", desktop.folder / "nowhere", "--autostart")
            self.assertEqual(nothing.stdout + nothing.stderr, "")
            self.assertEqual(desktop.run(companion, "--autostart", "--data", desktop.data("b", mode="unattended")).stdout, "")
            without = subprocess.run([companion, "--data", desktop.data("c")], env={"PATH": "/usr/bin:/bin", "HOME": str(desktop.folder)}, capture_output=True, text=True, timeout=20, check=False, **user())
            self.assertEqual(without.returncode, 78)
            self.assertIn("millwright-agent attend", without.stderr)


class WithTheAgent(unittest.TestCase):
    """The real agent, factory and a real job."""

    def running(self, data):
        """What runs; a consent that this factory asks for is given."""
        said = call_socket(data / "person", "/v1/person")[1]
        for consent in said["consents"]:
            call_socket(data / "person", f"/v1/consents/{consent['id']}", {"choice": "now"})
        return said["running"]

    def test_the_key_ends_a_real_job_and_the_agent_knows_of_its_face(self):
        with Desktop() as desktop, World() as world:
            desktop.dunst()
            world.start_factory()
            data = world.enrol("anna-pc", mode="attended")
            world.start_agent(data)
            trigger = world.deploy("long", "do:\n  - rest:\n      wait: PT10M\n", trigger="runOn: attended\n")
            desktop.companion(data)
            status = wait_for("the face in the status", lambda: (said := json.loads(world.command(BIN / "millwright-agent", "status", "--data", data, "--json", check=False).stdout))
                              and said.get("person", {}).get("faces") and said)
            face = status["person"]["faces"][0]
            self.assertEqual((face["kind"], face["pid"], face["stopKey"]), ("companion", desktop.running["companion"].pid, "Ctrl+Alt+Pause"))
            self.assertIn("no icon: nothing in this desktop shows one", world.command(BIN / "millwright-agent", "doctor", "--data", data, check=False).stdout)
            job = world.trigger(trigger)
            wait_for("the job runs", lambda: self.running(data), 40)
            pressed = desktop.keys("Control_L", "Alt_L", "Pause")
            ended = wait_for("its end", lambda: (said := world.job(job)) and said["state"] == "cancelled" and said)
            print(f"stop key to a cancelled job at the factory: {(time.monotonic() - pressed) * 1000:.0f} ms")
            self.assertEqual(ended["state"], "cancelled")
            wait_for("a notice of it", lambda: desktop.notices() >= 1)
            # The page's link: once, and by who owns the folder.
            link = world.command(BIN / "millwright-agent", "open", "--data", data, "--print").stdout.strip()
            self.assertRegex(link, r"^http://127\.0\.0\.1:\d+/\S+$")
            # Killed, it is missed; jobs are not.
            desktop.end("companion", signal.SIGKILL)
            refused = world.command(BIN / "millwright-agent", "open", "--data", data, check=False)
            self.assertEqual(refused.returncode, 3, refused.stderr)
            self.assertIn("no companion runs", world.command(BIN / "millwright-agent", "status", "--data", data, check=False).stdout)

    def test_an_agent_that_began_before_the_desktop_learns_where_it_is(self):
        with Desktop(cookie=True) as desktop, World() as world:
            world.start_factory()
            data = world.enrol("anna-pc", mode="attended")
            run = [BIN / "millwright-agent", "run", "--data", data]
            # As a user's systemd starts it with the login: the session's folder is there, its display is not.
            Program(world, "agent", run, "ready", {"XDG_RUNTIME_DIR": str(desktop.folder)})
            session = lambda: json.loads(world.command(BIN / "millwright-agent", "status", "--data", data, "--json", check=False).stdout)["person"]["session"]
            self.assertEqual(session()["display"], "none")
            desktop.companion(data)
            wait_for("the display", lambda: session()["display"] == "x11")
            with desktop.full_screen():
                wait_for("what is shown", lambda: session()["state"] == "presentation")
                wait_for("the factory knows it", lambda: world.api("GET", "/v1/agents/anna-pc").json["facts"]["session"]["state"] == "presentation")
            wait_for("its end", lambda: session()["state"] == "active")
            # From a terminal inside the session it is the same person's.
            run[-1] = world.enrol("second", mode="attended")
            refused = desktop.run(*run, check=False, environment={"XDG_SESSION_ID": "7"})
            self.assertEqual(refused.returncode, 78, refused.stderr)
            self.assertIn("an attended agent of this user runs already", refused.stderr)
            # The session ends, and the next one has another display.
            desktop.end("companion")
            desktop.end("x")
            wait_for("it is gone", lambda: session()["display"] == "none")

    def test_without_systemd_the_companion_starts_the_agent_and_ends_it_with_the_session(self):
        with Desktop() as desktop, World() as world:
            world.start_factory()
            data = world.enrol("anna-pc", mode="attended")
            there = lambda: world.command(BIN / "millwright-agent", "status", "--data", data, "--json", check=False).stdout
            desktop.companion(data, "--with-agent", "--autostart")
            wait_for("the agent", lambda: '"keeper"' in there())
            keeper = json.loads(there())["keeper"]
            # A companion that is killed leaves it to its jobs; the next one has it, and ends it.
            desktop.end("companion", signal.SIGKILL)
            desktop.companion(data, "--with-agent", name="companion-2")
            wait_for("it looked", lambda: "an agent runs with" in desktop.log("companion-2"))
            self.assertEqual(json.loads(there())["keeper"], keeper)
            self.assertEqual(desktop.end("companion-2"), 0)
            wait_for("its end", lambda: not pathlib.Path(f"/proc/{keeper}").exists() or "zombie" in pathlib.Path(f"/proc/{keeper}/status").read_text())
            self.assertEqual(there(), "")


if __name__ == "__main__":
    unittest.main()
