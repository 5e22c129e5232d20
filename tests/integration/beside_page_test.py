"""The person's page in a real Chromium, over its real server and a stand-in for the agent's socket: what a person sees and does there.

Pictures of every view, light and dark, go to build/beside; those of a test that failed, beside them. axe-core: see console_test.py.
"""
import datetime
import json
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import browser
from browser import HOSTILE
from mill import BIN, SOURCE, wait_for
from person_stand_in import PersonStandIn, launchable, person

PICTURES = SOURCE / "build/beside"
TRACES = "return [document.querySelectorAll('main script, main img, main iframe, a[href^=\"javascript:\"]').length, window.owned === undefined]"
# Where a secret must not be.
PLACES = "return [location.href, document.title, document.documentElement.outerHTML, JSON.stringify(history.state), JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.cookie].join('\\n')"


def later(minutes):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")


ORDER = {"type": "object", "required": ["order", "secret"], "properties": {
    "order": {"type": "integer", "title": "Order number", "description": "As it stands on the slip", "minimum": 1},
    "urgent": {"type": "boolean", "title": "Urgent"},
    "way": {"title": "Way", "oneOf": [{"const": "post", "title": "By post"}, {"const": "van", "title": "By our van"}], "default": "post"},
    "secret": {"type": "string", "title": "PIN", "format": "password", "minLength": 4}}}


PROGRAM = BIN.parent / "tests/companion_page_alone"


class Beside(unittest.TestCase):
    """A page's server over a stand-in, and no browser yet."""
    maxDiff = None

    def setUp(self):
        if not PROGRAM.exists():
            self.fail(f"no {PROGRAM}: build it first")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="millwright-page-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.agent = PersonStandIn(self.folder / "person").start()
        self.addCleanup(lambda: self.agent.close())
        self.log = (self.folder / "page.log").open("w+b")
        self.addCleanup(self.log.close)
        self.server = subprocess.Popen([PROGRAM, self.agent.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.addCleanup(self.end)
        first = self.server.stdout.readline().split()
        if not first:
            self.server.wait(20)
            said = pathlib.Path(self.log.name).read_text(errors="replace")
            if self.server.returncode == 1 and "MILL_CONSOLE=OFF" in said:
                self.skipTest("these programs were built without pages (MILL_CONSOLE=OFF)")
            self.fail(f"the page did not start: status {self.server.returncode}: {said}")
        self.url = first[1]
        self.host = self.url.removeprefix("http://")

    def end(self):
        try:
            self.server.stdin.close()
        except BrokenPipeError:
            pass
        self.server.wait(20)
        self.server.stdout.close()

    def link(self, what="launcher", id=""):
        self.server.stdin.write(f"{what} {id}\n")
        self.server.stdin.flush()
        return self.server.stdout.readline().strip()


@unittest.skipIf(browser.missing(), browser.missing() or "")
class BesidePage(Beside):
    def open(self, what="launcher", id="", **more):
        self.page = browser.Browser(**more)
        self.addCleanup(self.page.close)
        self.addCleanup(lambda: self.page.keep_if_failed(self, PICTURES))
        self.page.go(self.link(what, id))
        self.page.find("footer", seconds=20)
        return self.page

    def tab_to(self, text, most=60):
        """Only by the key, as somebody without a mouse goes."""
        for _ in range(most):
            self.page.press("tab")
            name = self.page.script("const e = document.activeElement; return [e.getAttribute('aria-label') || '', ...(e.labels ? [...e.labels].map(l => l.innerText) : []), e.textContent].join(' ')")
            if text in name:
                return
        self.fail(f"the key never came to {text!r}; the page says:\n{self.page.text()[:2000]}")

    def write(self, text):
        for letter in text:
            self.page.press(letter)

    # --- starting something ----------------------------------------------------------------------------------------

    def test_by_keyboard_alone_a_form_is_filled_in_corrected_and_sent_and_its_secret_is_nowhere_to_be_found(self):
        self.agent.say(launchable=[launchable("invoice", ORDER, title="Print an invoice", offline=True)])
        page = self.open()
        page.sees("works offline")
        self.tab_to("Start Print an invoice")
        page.press("enter")
        page.sees("As it stands on the slip")
        wait_for("the focus at the headline", lambda: page.script("return document.activeElement.tagName") == "H1")
        self.tab_to("Order number")
        self.write("0")
        self.tab_to("PIN")
        self.write("hunter2-secret"[:3])
        page.press("enter")
        page.sees("2 entries have to be corrected")
        wait_for("the focus at the first mistake", lambda: page.script("return document.activeElement.labels?.[0]?.innerText || ''").startswith("Order number"))
        self.assertEqual(page.script("const e = document.activeElement; return [e.getAttribute('aria-invalid'), e.getAttribute('aria-describedby').split(' ').map(i => document.getElementById(i).innerText)]"), ["true", ["As it stands on the slip", "At least 1, please."]])
        self.assertEqual(self.agent.asked, [])
        page.press(browser.KEYS.get("end", "\ue010"), "\ue003")      # End, Backspace
        self.write("4711")
        self.tab_to("Urgent")
        page.press("space")
        self.tab_to("PIN")
        page.press("\ue010")
        self.write("hunter2-secret"[3:])
        page.press("enter")
        page.sees("Print an invoice was started.", ".said")
        (sent,) = self.agent.told("/v1/launch")
        self.assertEqual((sent["trigger"], sent["input"]), ("invoice", {"order": 4711, "urgent": True, "way": "post", "secret": "hunter2-secret"}))
        self.assertRegex(sent["id"], r"^[0-9a-f]{8}-[0-9a-f-]{27}$")
        self.assertNotIn("hunter2-secret", page.script(PLACES))
        self.assertNotIn("hunter2-secret", json.dumps(page.complaints()))
        page.script("history.back()")
        page.sees("As it stands on the slip")
        self.assertEqual(page.script("return [...document.querySelectorAll('input')].map(i => i.value).join()"), ",on,")   # nothing of it came back
        self.log.flush()
        self.assertNotIn(b"hunter2", (self.folder / "page.log").read_bytes())

    def test_what_is_typed_is_masked_and_in_no_source_while_it_is_typed(self):
        self.agent.say(launchable=[launchable("invoice", ORDER)])
        page = self.open("launch", "invoice")
        secret = page.find("input[type=password]")
        self.assertEqual(page.script("return document.querySelector('input[type=password]').autocomplete"), "new-password")
        self.assertTrue(secret)
        page.type("input[type=password]", "hunter2-secret")
        self.agent.say(tells=[{"id": "t1", "text": "something new", "title": "x", "job": "", "at": later(0)}])   # drawn anew meanwhile
        wait_for("the news", lambda: "(1)" in page.title())
        self.assertEqual(page.script("return document.querySelector('input[type=password]').value"), "hunter2-secret")
        self.assertNotIn("hunter2-secret", page.script(PLACES))
        page.script("location.reload()")
        page.find("input[type=password]")
        self.assertEqual(page.script("return document.querySelector('input[type=password]').value"), "")

    def test_what_the_factory_finds_is_shown_at_its_field(self):
        self.agent.say(launchable=[launchable("invoice", ORDER)])
        self.agent.refusals["/v1/launch"] = (400, {"detail": "the input does not fit", "mistakes": [{"path": "/order", "text": "there is no order 9"}, {"path": "", "text": "the shop is closed"}]})
        page = self.open("launch", "invoice")
        page.type("input:not([type])", "9") if page.script("return !!document.querySelector('input:not([type])')") else page.type("form input[type=text]", "9")
        page.type("input[type=password]", "12345")
        page.press("enter")
        page.sees("there is no order 9", ".field .wrong")
        page.sees("the shop is closed", "form .summary")
        wait_for("the focus at it", lambda: page.script("return document.activeElement.labels?.[0]?.innerText || ''").startswith("Order number"))
        first = self.agent.told("/v1/launch")[0]["id"]
        del self.agent.refusals["/v1/launch"]
        page.press("1", "enter")
        page.sees("was started", ".said")
        self.assertNotEqual(self.agent.told("/v1/launch")[1]["id"], first)    # another wish

    def test_an_answer_that_was_lost_starts_it_once(self):
        self.agent.say(launchable=[launchable("sweep")])
        self.agent.refusals["/v1/launch"] = (503, {"detail": "the agent is busy"})
        page = self.open()
        page.click("button", "Start")
        page.sees("the agent is busy", ".said")
        self.agent.refusals.clear()
        page.click(".tiles button", "Start")
        page.sees("was started", ".said")
        first, second = self.agent.told("/v1/launch")
        self.assertEqual(first["id"], second["id"])
        page.click(".tiles button", "Start")
        wait_for("the third", lambda: len(self.agent.told("/v1/launch")) == 3)
        self.assertNotEqual(self.agent.told("/v1/launch")[2]["id"], first["id"])

    def test_what_cannot_start_says_why_and_what_is_away_starts_later(self):
        self.agent.say(launchable=[launchable("a", paused="the shop is closed"), launchable("b", unavailable="its package is not here"), launchable("c", offline=True)],
                       agent={"name": "anna-laptop", "factory": "https://factory.example", "state": "offline", "why": "no route", "mode": "attended"})
        page = self.open()
        page.sees("Paused: the shop is closed")
        page.sees("its package is not here")
        page.sees("Not connected: no route", ".banners")
        self.assertEqual(page.script("return [...document.querySelectorAll('.tiles button')].map(b => b.disabled)"), [True, True, False])
        page.click(".tiles button:not(:disabled)")
        page.sees("starts as soon as it can", ".said")
        self.agent.say(queued=[{"id": "w1", "trigger": "c", "title": "C", "asked": later(-1)}], agents=[self.agent.said["agent"], {"name": "second", "factory": "https://two.example", "state": "online", "why": ""}],
                       history=[{"id": "w0", "job": None, "trigger": "b", "title": "B", "state": "refused", "reason": "nobody is assigned", "started": None, "ended": later(-1), "text": "", "output": None, "error": None, "files": []}])
        page.sees("begins when the factory can be reached", ".rows")
        page.sees("second, for anna · Connected with https://two.example", "footer")
        page.click("nav a", "History")
        page.sees("nobody is assigned", "table")
        self.assertEqual(page.script("return document.querySelectorAll('td a').length"), 0)

    # --- what waits ------------------------------------------------------------------------------------------------

    def consent(self, id="c1", **more):
        return {"id": id, "title": "Nightly export", "description": "Copies the orders", "asker": "user otto", "trigger": "export", "does": ["reads files in /srv/exports", "asks https://crm.example"], "expectedMs": 240000, "until": later(10),
                "choices": ["now", "later", "not_today"], **more}

    def question(self, id="q1", **more):
        return {"id": id, "kind": "ask", "text": "How many boxes?", "mark": "#3fa9", "schema": {"type": "object", "required": ["boxes"], "properties": {"boxes": {"type": "integer", "title": "Boxes", "minimum": 1}}}, "deadline": later(4.5), "job": "j1", "trigger": "pack", "title": "Packing", "asked": later(-1), **more}

    def test_a_consent_says_who_asks_and_what_it_does_and_takes_each_of_three_answers(self):
        page = self.open()
        page.sees("Nothing waits for you")
        self.assertEqual(page.script("return document.activeElement.tagName"), "BODY")
        for choice, button, said in (("now", "Now", "Nightly export starts."), ("later", "In ten minutes", "asked again in ten minutes"), ("not_today", "Not today", "user otto is told")):
            self.agent.say(consents=[self.consent(f"c-{choice}")])
            page.sees("user otto asks to run “Nightly export” here.")
            page.sees("reads files in /srv/exports")
            page.sees("Takes about 4 min.")
            page.sees("1 thing waits for you", "h1")
            self.assertEqual(page.script("return document.querySelector('.unseen[role=status]').textContent"), "1 thing waits for you")
            self.assertTrue(page.title().startswith("(1)"))
            page.click(".need button", button)
            page.sees(said, ".said")
            wait_for(choice, lambda: self.agent.told(f"/v1/consents/c-{choice}") == [{"choice": choice}])
            page.sees("Nothing waits for you")
        self.agent.say(consents=[self.consent("late", deeds=[{"code": "network", "what": "*", "text": "speaks to any server"}, {"code": "credential", "what": "crm", "text": "?"}, {"code": "new", "what": "x", "text": "does something new"}])])
        page.sees("Speaks to any server\nSigns in with crm\ndoes something new")
        self.agent.refusals["/v1/consents/"] = (410, {"detail": "its time is over"})
        page.click(".need button", "Now")
        page.sees("That did not work: its time is over", ".said .bad")

    def test_questions_are_answered_by_a_form_or_by_yes_and_no(self):
        self.agent.say(questions=[self.question(), self.question("q2", kind="approval", text="Pay 400 €?", schema=None)])
        page = self.open("question", "q1")
        page.sees("How many boxes?")
        page.sees("4 min left")
        page.click("form button", "Send")
        page.sees("Please fill this in.")
        self.write("0")
        page.press("enter")
        page.sees("At least 1, please.")
        page.press("\ue003")
        self.write("12")
        page.type("#comment", "big ones")
        page.press("enter")
        page.sees("Your answer was sent.", ".said")
        self.assertEqual(self.agent.told("/v1/questions/q1"), [{"answer": {"boxes": 12}, "comment": "big ones"}])
        page.sees("Pay 400 €?")
        page.click(".need a", "Comment")
        page.type("#comment", "too dear")
        page.click("form button", "No")
        page.sees("Your answer was sent.", ".said")
        wait_for("the answer", lambda: self.agent.told("/v1/questions/q2") == [{"answer": False, "comment": "too dear"}])
        self.agent.say(questions=[self.question("q3", schema={"type": "boolean"}, text="Go on?")])
        page.click(".need button", "Yes")
        wait_for("the answer", lambda: self.agent.told("/v1/questions/q3") == [{"answer": True, "comment": ""}])
        self.agent.say(questions=[self.question("q4", schema={"oneOf": [{"const": "a", "title": "The first"}, {"const": "b", "title": "The second"}]}, text="Which?")])
        page.click(".need a", "Answer")
        page.script("const s = document.querySelector('form select'); s.value = '1'; s.dispatchEvent(new Event('change'))")
        self.agent.refusals["/v1/questions/"] = (409, {"detail": "user otto was first"})
        page.click("form button", "Send")
        page.sees("That did not work: user otto was first", ".said")
        self.assertEqual(self.agent.told("/v1/questions/q4"), [{"answer": "b", "comment": ""}])
        self.agent.say(questions=[])
        page.sees("This question is not open any more.", "h1")

    def test_everything_is_stopped_at_once_one_job_after_a_question_and_pauses_hold(self):
        job = {"job": "j1", "title": "Nightly export", "trigger": "export", "for": "user otto", "mine": False, "state": "running", "started": later(-3), "progress": {"percent": 50, "text": "half"}, "step": "look-up"}
        self.agent.say(running=[job, {**job, "job": "j2", "title": "Mine", "mine": True, "progress": None, "state": "waiting"}])
        page = self.open()
        page.sees("Step: look-up")
        page.sees("50 % · half")
        self.tab_to("Stop Nightly export")
        page.press("enter")
        page.sees("Stop this job?", "dialog")
        page.press("escape")
        wait_for("no question", lambda: not page.script("return document.querySelector('dialog')"))
        self.assertEqual(self.agent.asked, [])
        wait_for("the focus where it was", lambda: page.script("return document.activeElement.getAttribute('aria-label')") == "Stop Nightly export")
        page.press("enter")
        page.click("dialog button", "Yes, stop")
        page.sees("Nightly export is being stopped.", ".said")
        self.assertEqual(self.agent.told("/v1/jobs/j1/cancel"), [{"why": ""}])
        page.click("summary", "Pause")
        page.click("details button", "For an hour")
        page.sees("Paused until", ".banners")
        self.assertEqual(self.agent.told("/v1/pause"), [{"for": "1h"}])
        page.click("header button", "Go on")
        wait_for("no pause", lambda: "Paused" not in page.text(".banners"))
        page.click("header button", "Stop everything")
        page.sees("2 jobs were stopped. No new job starts for a minute.", ".said")
        self.assertEqual(self.agent.told("/v1/stop"), [{"way": "page"}])
        page.sees("Nothing runs.")

    def test_messages_are_seen_once_and_the_history_shows_results_files_and_log(self):
        past = {"job": "j9", "trigger": "export", "title": "Nightly export", "state": "failed", "reason": "error", "started": later(-9), "ended": later(-5), "text": "no room", "output": None, "error": {"title": "Disk full", "detail": "no room in /srv"}, "files": ["/home/anna/out.pdf"]}
        self.agent.jobs["j9"] = {**past, "log": [{"time": later(-6), "level": "warning", "text": "nearly full"}], "steps": [{"name": "copy", "state": "failed"}]}
        good = {**past, "job": "j8", "mine": True, "state": "successful", "error": None, "output": {"total": 12.5, "name": "Müller"}, "text": ""}
        self.agent.jobs["j8"] = {**good, "log": [], "steps": []}
        self.agent.say(history=[past, good], tells=[{"id": "t1", "text": "The export is done", "title": "Nightly export", "job": "j8", "at": later(-5)}], launchable=[launchable("export")])
        page = self.open()
        page.click(".need button", "Seen")
        page.sees("Nothing waits for you")
        self.assertEqual(self.agent.told("/v1/tells/t1"), [{}])
        page.click("nav a", "History")
        page.sees("/home/anna/out.pdf")
        page.sees("4 min", "table")
        self.assertEqual(page.text("table").count("started by you"), 1)
        page.click("td a", "Nightly export")
        page.sees("Disk full: no room in /srv")
        page.sees("nearly full", ".log")
        page.sees("copy failed")
        page.go(self.url + "/#/job/j8")
        page.sees("Müller", "dl")
        page.sees("It has said nothing.")
        page.go(self.url + "/#/job/none")
        page.sees("This job is not known here.", "h1")

    # --- for everybody ---------------------------------------------------------------------------------------------

    def test_german_by_the_browser_and_by_choice_and_the_choice_is_kept(self):
        self.agent.say(launchable=[launchable("invoice", ORDER, title="Rechnung")], consents=[self.consent()])
        page = self.open(language="de")
        page.sees("user otto möchte hier „Nightly export“ ausführen.")
        self.assertEqual(page.script("return document.documentElement.lang"), "de")
        page.click(".tiles a", "Ausfüllen")
        page.type("input[type=password]", "1234")
        page.type("form .field input[type=text]", "1.000")
        page.press("enter")
        page.sees("Heißt das 1000 oder 1?")
        page.script("const s = document.querySelector('header select'); s.value = 'en'; s.dispatchEvent(new Event('change'))")
        wait_for("no mistake: here it is one", lambda: "Heißt" not in page.text() and "Is that" not in page.text())
        self.assertEqual(page.script("return [document.documentElement.lang, document.querySelector('form .field input').value]"), ["en", "1.000"])
        page.script("location.reload()")
        page.sees("Environment: office")

    def furnish(self):
        """Something in every view; where each view is."""
        past = {"job": "j9", "trigger": "export", "title": "Nightly export", "state": "failed", "reason": "error", "started": later(-9), "ended": later(-5), "text": "no room", "output": {"a": {"b": 1}}, "error": "no room", "files": ["/home/anna/out.pdf"]}
        everything = {"type": "object", "required": ["order"], "properties": {**ORDER["properties"], "day": {"type": "string", "format": "date"}, "at": {"type": "string", "format": "date-time", "title": "At"}, "tags": {"type": "array", "uniqueItems": True, "items": {"enum": ["red", "green"]}},
                      "rows": {"type": "array", "title": "Rows", "minItems": 1, "items": {"type": "object", "properties": {"name": {"type": "string"}}}}, "to": {"type": "object", "title": "To", "properties": {"street": {"type": "string"}}}, "more": {"title": "More"}, "text": {"type": "string", "maxLength": 900}, "fixed": {"const": 7}}}
        everything["required"] += ["rows", "fixed"]
        everything["properties"]["rows"]["default"] = [{"name": "first"}]
        self.agent.jobs["j9"] = {**past, "log": [{"time": later(-6), "level": "error", "text": "full"}, {"time": later(-6), "level": "warning", "text": "nearly"}], "steps": [{"name": "copy", "state": "failed"}]}
        self.agent.say(consents=[self.consent()], questions=[self.question(), self.question("q2", kind="approval", schema=None, text="Pay?")], tells=[{"id": "t1", "text": "Done", "title": "Export", "job": "", "at": later(-1)}],
                       running=[{"job": "j1", "title": "Nightly export", "trigger": "export", "for": "user otto", "mine": False, "state": "running", "started": later(-3), "progress": {"percent": 50, "text": "half"}, "step": "look-up"}],
                       launchable=[launchable("invoice", everything, title="Print an invoice", offline=True, last={"job": "j9", "state": "failed", "reason": "", "ended": later(-100)}), launchable("closed", paused="the shop is closed"), launchable("sweep"), *[launchable(f"more{i}") for i in range(7)]],
                       history=[past, {**past, "job": "j8", "state": "successful"}, {**past, "job": "j7", "state": "cancelled"}, {**past, "job": "j6", "state": "expired"}, {**past, "job": "j5", "state": "assigned", "ended": None}],
                       paused={"until": later(60), "why": "lunch", "by": "anna"})
        return {"home": "", "start": "start/invoice", "question": "question/q1", "yes-no": "question/q2", "consent": "consent/c1", "history": "history", "job": "job/j9", "nowhere": "nowhere"}

    def test_why_something_was_not_done_is_said_in_german_too(self):
        self.agent.say(questions=[self.question(kind="approval", schema=None)], consents=[self.consent()])
        for target, refusal in (("/v1/questions/", (409, {"code": "answered", "by": "otto", "detail": "otto was first"})), ("/v1/consents/", (410, {"code": "expired", "detail": "its time is over"}))):
            self.agent.refusals[target] = refusal
        page = self.open(language="de")
        page.click(".need button", "Ja")
        page.sees("otto hat das schon beantwortet.", ".said")
        page.click(".need button", "Jetzt")
        page.sees("Die Zeit dafür ist vorbei", ".said")
        self.assertNotIn("its time is over", page.text())

    def test_every_view_in_light_and_dark_large_and_small_has_no_barrier(self):
        views = self.furnish()
        page = self.open()
        for old in PICTURES.glob("[!f]*.png"):
            old.unlink()
        found = []

        def look(name):
            for each in page.barriers():
                found.append((name, *each))

        def show(address):
            page.script("location.hash = arguments[0]", "#/" + address)
            wait_for("the view", lambda: page.script("return !!document.querySelector('main h1') && !document.body.innerText.includes('Loading…')"))
            time.sleep(0.3)   # the next frames

        for scheme in ("light", "dark"):
            page.scheme(scheme)
            for name, address in views.items():
                show(address)
                if name == "start":
                    page.click("form > .actions button")   # with its mistakes
                    page.sees("to be corrected")
                look(f"{name} {scheme}")
                page.picture(PICTURES / f"{name}-{scheme}.png")
        show("")
        page.click(".rows button", "Stop")
        page.find("dialog[open]")
        look("asked dark")
        page.press("escape")
        self.agent.say(paused=None)
        page.click("summary", "Pause")
        page.sees("Until tomorrow")
        look("pause dark")
        page.resize(360, 740)
        for name, address in views.items():
            show(address)
            look(f"{name} small")
            page.picture(PICTURES / f"{name}-small.png")
            self.assertLessEqual(page.script("return document.documentElement.scrollWidth"), 360, name)
        page.go(self.url + "/#/closed")
        page.script("sessionStorage.clear(); location.reload()")
        page.sees("This page needs a link")
        look("closed")
        self.assertEqual(found, [])
        self.assertEqual([each for each in page.complaints() if "favicon" not in each["message"] and "401" not in each["message"]], [])

    def test_what_others_sent_is_text_however_it_looks(self):
        self.agent.jobs["j1"] = {"job": "j1", "trigger": "x", "title": HOSTILE, "state": HOSTILE, "reason": HOSTILE, "started": HOSTILE, "ended": HOSTILE, "text": HOSTILE, "output": {HOSTILE: HOSTILE}, "error": HOSTILE, "files": [HOSTILE], "log": [{"time": HOSTILE, "level": HOSTILE, "text": HOSTILE}], "steps": [{"name": HOSTILE, "state": HOSTILE}]}
        schema = {"type": "object", "properties": {HOSTILE: {"type": "string", "title": HOSTILE, "description": HOSTILE, "default": HOSTILE}, "pick": {"enum": [HOSTILE]}, "__proto__": {"type": "string", "default": "x"}}}
        self.agent.say(launchable=[launchable("x", schema, title=HOSTILE, description=HOSTILE, paused="")], consents=[self.consent(title=HOSTILE, asker=HOSTILE, does=[HOSTILE])], questions=[self.question(text=HOSTILE, title=HOSTILE)],
                       tells=[{"id": "t1", "text": HOSTILE, "title": HOSTILE, "job": "", "at": HOSTILE}], history=[self.agent.jobs["j1"]])
        page = self.open()
        for address in ("", "start/x", "question/q1", "history", "job/j1"):
            page.go(f"{self.url}/#/{address}")
            page.sees("document.title='owned'", "main")
            page.sees("‹U+202E›gnp.exe‹U+2066›", "main")
            self.assertEqual(page.script(TRACES), [0, True])
            self.assertNotEqual(page.title(), "owned")
        page.go(f"{self.url}/#/start/x")
        page.click("form > .actions button")
        wait_for("the start", lambda: self.agent.told("/v1/launch"))
        self.assertEqual(self.agent.raw[-1].count(b"__proto__"), 1)
        self.assertEqual([each for each in page.complaints() if "Content Security Policy" in each["message"]], [])
        self.assertEqual(page.later("const done = arguments[0]; try { const d = document.createElement('div'); d.innerHTML = '<img src=x onerror=\"window.owned=1\">'; document.body.append(d); } catch (e) {} setTimeout(() => done(window.owned === undefined), 300)"), True)

    def test_no_text_gets_past_the_catalogue(self):
        """Whatever comes from the catalogue is put into ⟦⟧ and whatever the stand-in says into «»: no letter is outside of both."""
        views = self.furnish()
        told = {"title", "description", "text", "asker", "for", "why", "by", "name", "step", "environment", "factory", "user", "mark", "reason", "unavailable", "key", "version", "error", "trigger"}

        def marked(value, name=""):
            if isinstance(value, dict):
                return {key: marked(each, key) for key, each in value.items()}
            if isinstance(value, list):
                return [f"«{each}»" if name in ("does", "files") else marked(each, name) for each in value]
            return f"«{value}»" if isinstance(value, str) and value and name in told else value

        schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "title": "a"}, "b": {"type": "string", "format": "password", "title": "b"}, "c": {"type": "array", "title": "c", "items": {"type": "string"}, "default": ["1"]},
                  "d": {"enum": [1, 2], "title": "d"}, "e": {"title": "e"}, "f": {"type": "string", "format": "date-time", "title": "f"}, "g": {"type": "object", "title": "g", "properties": {"h": {"type": "boolean", "title": "h"}}}, "i": {"type": "null", "title": "i"}}}
        self.agent.jobs = {id: {**marked(job), "output": {"«a»": "«b»"}} for id, job in self.agent.jobs.items()}
        said = marked({**self.agent.said, "launchable": [{**launchable("invoice", schema, last={"job": "j9", "state": "failed", "reason": "", "ended": later(-1)}, offline=True), "trigger": "invoice"}, launchable("closed", paused="the shop")]})
        said["launchable"][0]["trigger"] = "invoice"
        self.agent.say(**said)
        page = self.open(language="de")
        page.command("Page.addScriptToEvaluateOnNewDocument", source="const real = String.prototype.replace; String.prototype.replace = function (what, by) { const out = real.call(this, what, by); return what instanceof RegExp && what.source === '\\\\{([a-z]+)\\\\}' ? '⟦' + out + '⟧' : out; };")
        page.go("about:blank")
        page.go(self.link())
        page.sees("⟦")
        rest = """const out = [document.title]; const walk = document.createTreeWalker(document.getElementById('page'), NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
            for (let n; n = walk.nextNode();) if (n.nodeType === 3) { if (!n.parentElement.closest('time')) out.push(n.data); } else for (const a of ['aria-label', 'title', 'placeholder', 'alt']) if (n.hasAttribute(a)) out.push(n.getAttribute(a)); return out;"""

        def look(name):
            texts = page.script(rest)
            self.assertTrue(any("⟦" in each for each in texts))
            for each in texts:
                left = re.sub(r"«[^«»]*»", "", each)
                while left != (left := re.sub(r"⟦[^⟦⟧]*⟧", "", left)):
                    pass
                self.assertNotRegex(left, r"[^\W\d_]", f"{name}: {each}")

        def show(name, address):
            page.script("location.hash = arguments[0]", "#/" + address)
            wait_for("the view", lambda: page.script("return !!document.querySelector('main h1')"))
            time.sleep(0.4)
            if name == "start":
                page.click("form > .actions button")
                time.sleep(0.3)
            look(name)

        for name, address in views.items():
            show(name, address)
        empty = marked({**person(), "session": {"state": "locked"}})
        self.agent.say(**{**empty, "agent": {**empty["agent"], "state": "offline"}, "queued": [{"id": "w", "trigger": "w", "title": "«w»", "asked": later(0)}]})
        for name, address in (("nothing", ""), ("no history", "history"), ("no question", "question/q1"), ("no consent", "consent/c1"), ("no start", "start/x"), ("no job", "job/x")):
            show(name, address)
        self.agent.say(queued=[])
        show("nothing at all", "")
        self.agent.close()
        page.sees("⟦", ".banners", 30)
        look("away")
        page.script("sessionStorage.clear(); location.reload()")
        page.find("[role=alert]")
        look("closed")

    # --- staying there ---------------------------------------------------------------------------------------------

    def test_the_page_goes_on_when_the_agent_was_away(self):
        self.agent.say(launchable=[launchable("sweep")])
        page = self.open()
        page.sees("Sweep")
        self.agent.close()
        page.sees("The agent does not answer", ".banners", 30)
        page.sees("Sweep")                                 # what there was stays to be read
        self.agent = PersonStandIn(self.agent.path).start()
        self.agent.say(launchable=[launchable("mop")])
        page.sees("Mop", seconds=30)
        wait_for("no banner", lambda: "does not answer" not in page.text(".banners"))

    def test_nothing_is_asked_while_nobody_looks_and_the_news_are_there_at_once_when_somebody_does(self):
        page = self.open()
        page.sees("Nothing runs.")
        first = page.ask("GET", "/window")
        other = page.ask("POST", "/window/new", {"type": "tab"})["handle"]
        page.ask("POST", "/window", {"handle": other})
        time.sleep(1)
        looks = self.agent.looks
        self.agent.say(consents=[self.consent()])
        time.sleep(3)
        self.assertEqual(self.agent.looks, looks)
        page.ask("POST", "/window", {"handle": first})
        page.sees("user otto asks to run", seconds=5)
        self.assertGreater(self.agent.looks, looks)

    def test_a_page_whose_program_ended_says_how_to_go_on(self):
        page = self.open()
        page.sees("Nothing runs.")
        self.server.kill()
        page.sees("The program behind this page does not answer.", ".banners", 30)
        page.sees("millwright-agent open", ".banners")

    def test_a_link_opens_the_page_once_and_leaves_the_address_at_once(self):
        page = self.open()
        used = self.link("history")
        page.go(used)
        page.sees("History", "h1")
        self.assertEqual(page.url(), self.url + "/#/history")
        self.assertNotIn("secret=", page.script(PLACES))
        page.script("history.back()")
        time.sleep(0.5)
        self.assertNotIn("secret=", page.url())
        page.script("history.forward()")
        page.sees("History", "h1")
        second = browser.Browser()
        self.addCleanup(second.close)
        second.go(used)
        second.sees("This link was used already")
        second.go(self.url + "/")
        second.sees("This page needs a link")
        self.assertNotIn("Nothing runs", second.text())
        # Another window of the same browser: both stay.
        first = page.ask("GET", "/window")
        other = page.ask("POST", "/window/new", {"type": "tab"})["handle"]
        page.ask("POST", "/window", {"handle": other})
        page.go(self.link())
        page.sees("Nothing runs.")
        page.ask("POST", "/window", {"handle": first})
        page.script("location.reload()")
        page.sees("History", "h1")

    def test_a_page_of_others_can_neither_frame_it_nor_speak_for_it(self):
        pages = {"/": "<!doctype html><title>other</title><body><iframe id=f></iframe>"}

        class Other(BaseHTTPRequestHandler):
            cookies = []

            def log_message(self, *_):
                pass

            def do_GET(self):
                Other.cookies.append(self.headers.get("Cookie") or "")
                data = pages.get(self.path, "").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        other = ThreadingHTTPServer(("127.0.0.1", 0), Other)
        threading.Thread(target=other.serve_forever, daemon=True).start()
        self.addCleanup(other.server_close)
        self.addCleanup(other.shutdown)
        self.agent.say(running=[{"job": "j1", "title": "Running", "trigger": "x", "for": "", "mine": True, "state": "running", "started": later(0), "progress": None, "step": ""}])
        page = self.open()
        page.sees("Running")
        page.go(f"http://127.0.0.1:{other.server_address[1]}/")
        # The same site to a browser: its cookies come along, which is why the cookie alone is good for nothing.
        self.assertIn("millwright-", "".join(Other.cookies))
        tried = page.later("""const [url, done] = arguments; const out = {};
            const frame = document.getElementById('f'); frame.onload = () => { try { out.frame = frame.contentDocument ? 'blank' : 'loaded or refused'; } catch (e) { out.frame = String(e); } };
            frame.src = url + '/';
            const ask = (name, init) => fetch(url + '/api/v1/stop', { method: 'POST', body: '{"way":"page"}', ...init }).then(r => out[name] = r.status, e => out[name] = 'refused');
            Promise.all([ask('plain', { mode: 'no-cors', credentials: 'include' }), ask('header', { credentials: 'include', headers: { 'X-Millwright': '1', 'Content-Type': 'application/json' } }),
                fetch(url + '/api/v1/person', { credentials: 'include' }).then(r => r.text()).then(t => out.read = t, () => out.read = 'refused')]).then(() => setTimeout(() => done(out), 500));""", self.url)
        self.assertEqual((tried["header"], tried["read"]), ("refused", "refused"))
        self.assertEqual(self.agent.asked, [])
        self.assertTrue(any("frame-ancestors" in each["message"] or "X-Frame-Options" in each["message"] for each in page.complaints()))


if __name__ == "__main__":
    unittest.main()
