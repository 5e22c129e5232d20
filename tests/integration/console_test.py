"""The console in a real Chromium, over a real factory and agent: what a person sees and does there.

Pictures of every view, light and dark, go to build/console; those of a test that failed, beside them. The check by axe-core needs
`npm install --prefix build/tools axe-core` and MILL_NODE_MODULES=build/tools/node_modules (tests/run does both), and skips without.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import time
import unittest
import urllib.parse

import browser
from browser import HOSTILE
from mill import SOURCE, Test, World, call, wait_for

PICTURES = SOURCE / "build/console"
REPLY = "do:\n  - note: { call: log, with: { text: 'asked about order 4711' } }\n  - answer: { set: { reply: 'Order 4711 is on its way' } }\n"
BROKEN = "do:\n  - note: { call: log, with: { text: 'the page looks odd', level: warning } }\n  - oops: { raise: { error: { type: 'https://errors.example/layout', status: 500, title: Broken, detail: 'the field order is not on the page' } } }\n"
SLOW = "do:\n  - nap: { wait: { seconds: 120 } }\n"
# Wrong when text that arrived became markup.
TRACES = "return [document.title, document.querySelectorAll('main script, main img, main iframe, a[href^=\"javascript:\"]').length, window.owned === undefined]"
# Where a token must not be.
PLACES = "return [location.href, document.title, document.documentElement.outerHTML, JSON.stringify(history.state), JSON.stringify(localStorage), document.cookie, [...document.querySelectorAll('input')].map(i => i.value).join()].join('\\n')"


@unittest.skipIf(browser.missing(), browser.missing() or "")
class Console(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        if self.world.api("GET", "/").status == 404:
            self.skipTest("these programs were built without the console (MILL_CONSOLE=OFF)")
        self.receiver = self.world.receiver()

    def open(self, **more):
        self.page = browser.Browser(**more)
        self.addCleanup(self.page.close)
        self.addCleanup(lambda: self.page.keep_if_failed(self, PICTURES))
        return self.page

    def sign_in(self, page, token=None, at="/"):
        page.go(self.world.url + at)
        page.find("#token")
        page.type("#token", token or self.world.token)
        page.press("enter")
        page.find("main h1", seconds=20)
        page.sees("Sign out", "header")

    def token(self, role):
        return self.world.api("POST", "/v1/tokens", {"kind": "user", "name": f"a-{role}", "role": role}).json

    def refusing(self, name="order-hook", trigger="order-api"):
        self.receiver.answers["/refuses"] = lambda *_: (404, {"message": "nobody here"})
        return f"kind: Notifier\nname: {name}\ntrigger: {trigger}\non: [ success ]\ntype: api\napi: {{ url: \"{self.receiver.url}/refuses\" }}"

    # --- signing in ------------------------------------------------------------------------------------------------

    def test_a_token_opens_the_page_asked_for_and_is_nowhere_to_be_found(self):
        self.world.agent()
        uid = self.world.trigger(self.world.deploy("order", REPLY))
        self.world.ended(uid)
        page = self.open()
        page.go(f"{self.world.url}/#/jobs/{uid}")
        page.find("#token")
        page.type("#token", "something else")
        page.press("enter")
        page.sees("A token begins with mw_")
        page.type("#token", self.world.token[:-4] + "aaaa")
        page.press("enter")
        page.sees("is wrong")            # the factory's own words,
        page.sees("unauthorized")        # with the code
        page.type("#token", self.world.token)
        page.press("enter")
        page.sees("it is successful (completed)")   # the page that was asked for before
        self.assertIn("successful", page.title())
        secret = self.world.token.rsplit("_", 1)[1]
        for _ in range(2):
            self.assertNotIn(secret, page.script(PLACES))
            page.go(self.world.url + "/#/agents")   # within the tab the session goes on
            page.sees("srv-1", "main")
        page.script("location.reload()")
        page.sees("srv-1", "main")
        self.assertNotIn(secret, json.dumps(page.complaints()))
        page.click("button", "Sign out")
        page.find("#token")
        self.assertNotIn(secret, page.script("return JSON.stringify(sessionStorage)"))
        page.script("location.reload()")
        page.find("#token")

    def test_another_tab_is_signed_in_with_it_and_out_with_it(self):
        page = self.open()
        self.sign_in(page)
        first = page.ask("GET", "/window")
        second = page.ask("POST", "/window/new", {"type": "tab"})["handle"]
        page.ask("POST", "/window", {"handle": second})
        page.go(self.world.url + "/#/triggers")
        page.sees("There is no trigger")
        page.click("button", "Sign out")
        page.ask("POST", "/window", {"handle": first})
        page.sees("You signed out in another tab")

    def test_a_token_that_is_ended_meanwhile_leads_to_the_door_with_a_sentence(self):
        page, ann = self.open(), self.token("viewer")
        self.sign_in(page, ann["token"])
        self.assertEqual(self.world.api("DELETE", f"/v1/tokens/{ann['id']}").status, 204)
        self.assertEqual(self.world.api("PUT", "/v1/environments/news", {}).status, 201)   # the stream ends instead of telling it
        page.sees("You were signed out: the token is no longer valid.", seconds=30)
        self.assertEqual(page.script("return sessionStorage.length"), 0)

    def test_only_what_the_role_may_do_is_offered(self):
        self.world.agent()
        trigger = self.world.deploy("order", REPLY, notifiers=self.refusing())
        self.world.ended(self.world.trigger(trigger))
        wait_for("the dead letter", lambda: self.world.api("GET", "/v1/deliveries?state=dead").json["items"])
        page = self.open()
        trigger_token = json.loads(self.world.run("triggers", "token", trigger, "--json").stdout)["token"]
        page.go(self.world.url)
        page.type("#token", trigger_token)
        page.press("enter")
        page.sees("The console needs one of the role viewer or above")
        self.sign_in(page, self.token("viewer")["token"])
        for view, shown in (("", "order-api"), ("agents/srv-1", "takes jobs"), ("triggers", "order-api"), (f"triggers/{trigger}", "curl"), ("deliveries", "nobody here")):
            page.go(f"{self.world.url}/#/{view}")
            page.sees(shown, "main")
            self.assertEqual(page.script("return [...document.querySelectorAll('main button')].map(b => b.textContent).filter(t => !/Copy|Show|Try/.test(t))"), [], view)
        page.click("button", "Sign out")
        self.sign_in(page, self.token("operator")["token"])
        page.find("main button", "Retry")

    def test_a_token_that_is_told_no_sums_sees_the_jobs_all_the_same(self):
        """As one of some environments, off loopback, where /metrics answers 401."""
        page = self.open()
        self.sign_in(page)
        page.sees("Successful", "main .tiles")
        page.command("Page.addScriptToEvaluateOnNewDocument", source="const real = fetch; window.fetch = (path, init) => path === 'metrics' ? Promise.resolve(new Response('{}', { status: 401 })) : real(path, init);")
        page.script("location.reload()")
        page.sees("Agents online", "main .tiles")
        page.sees("There is no job yet", "main")
        self.assertNotIn("Successful", page.text("main .tiles"))
        self.assertIn("Sign out", page.text("header"))

    # --- looking and doing -----------------------------------------------------------------------------------------

    def test_jobs_are_live_say_what_they_wait_for_and_can_be_cancelled_and_retried(self):
        world = self.world
        page = self.open()
        trigger, slow = world.deploy("order", REPLY), world.deploy("slow", SLOW)
        self.sign_in(page)
        page.sees("There is no job yet")
        page.sees("Live", "header")
        waiting = world.trigger(trigger)
        page.sees("no agent is in environment 'default'", "table")   # the reason in the row,
        page.sees("WHAT IS WAITED FOR")                               # and above all
        page.find("tbody button", "Cancel")
        page.script("document.querySelector('tbody button').focus()")
        focused = "return document.activeElement.getAttribute('aria-label')"
        before = page.script(focused)
        running = world.trigger(slow)
        page.find(f"a[href='#/jobs/{running}']")
        self.assertEqual(page.script(focused), before)                # a row came above; the focus stayed
        world.agent()
        page.sees("runs on srv-1", "table", 30)
        page.sees("completed", "table", 30)
        self.assertEqual(world.ended(waiting)["state"], "successful")

        page.click(f"a[href='#/jobs/{running}']")
        page.sees("srv-1 runs it since", "main")
        page.click("main .title button", "Cancel")
        page.sees("Cancel this job?", "dialog")
        page.press("escape")
        wait_for("no question", lambda: not page.script("return document.querySelector('dialog')"))
        self.assertEqual(world.job(running)["state"], "running")
        page.click("main .title button", "Cancel")
        page.type("dialog input[name=why]", HOSTILE[:60])
        page.click("dialog button", "Cancel")
        self.assertEqual(world.ended(running)["state"], "cancelled")
        page.sees("cancelled", "main h1")
        self.assertEqual(world.job(running)["cancel"]["why"], HOSTILE[:60])
        self.assertEqual(page.script(TRACES)[1:], [0, True])

        page.go(f"{world.url}/#/jobs/{waiting}")
        page.click("main .title button", "Retry")
        page.click("dialog button", "Retry")
        wait_for("the new job's page", lambda: waiting not in page.url() and "/jobs/" in page.url())
        again = page.url().rsplit("/", 1)[1]
        self.assertEqual(world.ended(again)["retryOf"], waiting)
        page.sees("it is successful", "main")
        page.sees("asked about order 4711", "main .records")
        # What comes too late is refused in the factory's words.
        page.go(f"{world.url}/#/jobs?state=running")
        page.sees("No job is like that")

    def test_a_failed_job_says_why_first_and_everything_that_was_said_in_the_order_of_time(self):
        world = self.world
        world.agent()
        trigger = world.deploy("broken", BROKEN, notifiers=f"kind: Notifier\nname: order-hook\ntrigger: broken-api\non: [ failure ]\ntype: api\napi: {{ url: \"{self.receiver.url}/refuses\" }}")
        self.receiver.answers["/refuses"] = lambda *_: (404, {"message": "nobody here"})
        uid = world.trigger(trigger)
        world.ended(uid)
        wait_for("the dead letter", lambda: world.api("GET", "/v1/deliveries?state=dead").json["items"])
        page = self.open()
        self.sign_in(page, at=f"/#/jobs/{uid}")
        page.sees("it is failed (error): Broken (the field order is not on the page)", "main .why")
        page.sees("404: nobody here", "main .records")
        records = page.text("main .records")
        order = ["waiting", "the page looks odd", "oops", "failed · error", "404: nobody here"]
        places = [records.index(each) for each in order]
        self.assertEqual(places, sorted(places), records)
        page.click("main .records ~ *, fieldset label", "Deliveries")
        wait_for("fewer records", lambda: "nobody here" not in page.text("main .records"))
        page.script("const s = document.querySelector('select[name=level]'); s.value = 'error'; s.dispatchEvent(new Event('change'))")
        wait_for("errors only", lambda: "the page looks odd" not in page.text("main .records"))
        self.assertIn("oops", page.text("main .records"))
        self.assertTrue(page.script("return [...document.querySelectorAll('.bar span')].every(s => s.getBoundingClientRect().width > 0) && document.querySelectorAll('.bar span').length >= 3"))
        link = json.loads(world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"][0]["attempts"][0]["request"]["body"])["data"]["links"]["job"]
        page.go(world.url + "/#/agents")
        page.go(link)                    # what a notification says leads here
        page.sees("Broken", "main .why")

    def test_a_notifier_is_tested_and_a_dead_letter_goes_out_again(self):
        world = self.world
        world.agent()
        world.ended(world.trigger(world.deploy("order", REPLY, notifiers=self.refusing())))
        page = self.open()
        self.sign_in(page, at="/#/deliveries?state=dead")
        page.sees("nobody here", "main")
        page.click("main button", "Test")
        page.sees("for real", "dialog")
        page.click("dialog button", "Test")
        page.sees("It was not accepted", "main")
        page.sees("404", "main .card")
        self.receiver.answers["/refuses"] = lambda *_: (200, {"thanks": HOSTILE})
        page.click("tbody button", "Resend")
        page.click("dialog button", "Resend")
        page.sees("It goes out again")
        wait_for("delivery", lambda: world.api("GET", "/v1/deliveries?state=delivered").json["items"])
        page.sees("No delivery is like that")       # it left the list of the dead by itself
        page.go(world.url + "/#/deliveries/" + world.api("GET", "/v1/deliveries").json["items"][0]["id"])
        page.sees("Attempt 2", "main")
        page.sees("document.title='owned'", "main")
        self.assertEqual(page.script(TRACES)[1:], [0, True])
        self.assertNotIn("owned", page.title())

    def test_triggers_are_shown_with_a_curl_that_runs_and_can_be_paused(self):
        world = self.world
        world.agent()
        trigger = world.deploy("order", REPLY)
        world.run("apply", "-f", world.write("nightly.yaml", "kind: Trigger\nname: nightly\ndeployment: order\ntype: schedule\nschedule: { cron: '0 6 * * mon-fri', timezone: Europe/Berlin }\n"))
        page = self.open()
        self.sign_in(page, at="/#/triggers/nightly")
        page.sees("06:00:00 +0", "main")
        page.go(world.url + "/#/triggers/" + trigger)
        page.sees("an agent of environment 'default' is free", "main")
        curl = next(each for each in page.script("return [...document.querySelectorAll('main pre')].map(p => p.textContent)") if each.startswith("curl"))
        token = json.loads(world.run("triggers", "token", trigger, "--json").stdout)["token"]
        done = subprocess.run(["bash", "-c", curl], env={"PATH": "/usr/bin:/bin", "TOKEN": token}, capture_output=True, text=True, timeout=30)
        self.assertEqual(world.ended(json.loads(done.stdout)["jobUid"])["state"], "successful")
        page.click("main .title button", "Pause")
        page.type("dialog input", "the shop is closed")
        page.click("dialog button", "Pause")
        page.sees("the shop is closed", "main .why")
        self.assertEqual(world.api("POST", f"/v1/triggers/{trigger}/runs", {}).status, 409)
        page.click("main .title button", "Resume")
        page.find("main .title button", "Pause")
        self.assertEqual(world.api("POST", f"/v1/triggers/{trigger}/runs", {}).status, 202)

    # --- when things break -----------------------------------------------------------------------------------------

    def test_a_factory_that_is_away_is_told_of_and_the_page_goes_on_when_it_is_back(self):
        world = self.world
        world.agent()
        trigger = world.deploy("order", REPLY)
        world.ended(world.trigger(trigger))
        page = self.open()
        self.sign_in(page)
        page.sees("completed", "table")
        world.factory.kill()
        page.sees("Not connected", "header")
        page.sees("The factory cannot be reached since", "main")
        page.sees("completed", "table")              # what there was stays to be read
        page.click("tbody button", "Retry")
        page.click("dialog button", "Retry")
        page.sees("The factory cannot be reached ·", ".said")
        world.start_factory()
        page.sees("Live", "header", 30)
        uid = world.trigger(trigger)
        page.find(f"a[href='#/jobs/{uid}']")
        world.ended(uid)
        page.go(f"{world.url}/#/jobs/{uid}")
        page.sees("is on its way", "main")

    def test_what_others_sent_is_text_however_it_looks(self):
        world = self.world
        world.agent()
        text = json.dumps(HOSTILE)
        trigger = world.deploy("hostile", f"input: {{ schema: {{ document: {{ type: object }} }} }}\ndo:\n  - note: {{ call: log, with: {{ text: {text} }} }}\n  - long: {{ call: log, with: {{ text: '${{ \"x\" * 60000 }}' }} }}\n"
                                          f"  - oops: {{ raise: {{ error: {{ type: 'javascript:alert(1)', status: 500, title: {text}, detail: {text} }} }} }}\n")
        uid = world.trigger(trigger, input={HOSTILE: HOSTILE, "much": "y" * 900_000}, context={"conversationId": HOSTILE})
        world.ended(uid)
        page = self.open()
        self.sign_in(page, at=f"/#/jobs/{uid}")
        page.sees("document.title='owned'", "main .why")
        page.sees("‹U+202E›gnp.exe‹U+2066›", "main .records")
        page.sees("more characters", "main")
        self.assertEqual(page.script(TRACES), [page.title(), 0, True])
        self.assertNotIn("owned", page.title())
        self.assertLess(page.script("return document.body.textContent.length"), 60_000)   # the rest is a click away
        page.click("section[aria-label=Input] button", "Show all")
        wait_for("all of it", lambda: page.script("return document.body.textContent.length") > 900_000)
        page.go(f"{world.url}/#/jobs")
        page.sees("failed", "table")
        page.go(f"{world.url}/#/jobs/{urllib.parse.quote(HOSTILE, safe='')}")
        page.sees("is not there", "main")
        page.go(f"{world.url}/#/nowhere/else/at/all")
        page.sees("There is no such page")
        self.assertEqual(page.script(TRACES)[1:], [0, True])
        refused = [each for each in page.complaints() if "Content Security Policy" in each["message"] or "Trusted" in each["message"]]
        self.assertEqual(refused, [])
        # And where something of that kind did get in, the policy would stop it.
        self.assertEqual(page.later("const done = arguments[0]; try { const d = document.createElement('div'); d.innerHTML = '<img src=x onerror=\"window.owned=1\">'; document.body.append(d); } catch (e) {} "
                                    "const s = document.createElement('style'); s.textContent = 'h1 { color: rgb(1, 2, 3) }'; document.head.append(s); setTimeout(() => done([window.owned === undefined, getComputedStyle(document.querySelector('h1')).color]), 300)")[0], True)
        self.assertTrue(page.complaints())

    def test_ten_thousand_jobs_stay_quick(self):
        world = self.world
        trigger = world.deploy("order", REPLY)
        starts = subprocess.run([sys.executable, "-c", """
import http.client, sys, threading
host, port, path, token = sys.argv[1:]
def some():
    there = http.client.HTTPConnection(host, int(port))
    for _ in range(1250):
        there.request("POST", path, b"{}", {"Authorization": "Bearer " + token, "Content-Type": "application/json"})
        assert there.getresponse().read()
threads = [threading.Thread(target=some) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
""", "127.0.0.1", str(world.port), f"/v1/triggers/{trigger}/runs", world.token], timeout=240)
        self.assertEqual(starts.returncode, 0)
        page = self.open()
        self.sign_in(page)
        page.sees("10000", "main .tiles")
        page.sees("no agent is in environment 'default'", "table")
        self.assertLessEqual(page.script("return document.querySelectorAll('*').length"), 2500)
        seen = set()
        for _ in range(3):
            page.find("tbody tr")
            seen.update(page.script("return [...document.querySelectorAll('tbody a.uid')].map(a => a.title)"))
            page.click(".pages a", "Older")
            wait_for("the next page", lambda: not seen & set(page.script("return [...document.querySelectorAll('tbody a.uid')].map(a => a.title)")))
        self.assertEqual(len(seen), 150)
        page.click(".pages a", "Newest")
        newest = world.trigger(trigger)
        page.find(f"a[href='#/jobs/{newest}']")

    # --- for everybody ---------------------------------------------------------------------------------------------

    def furnished(self):
        """A factory with something in every view; where each view is."""
        world = self.world
        world.agent()
        trigger, broken, slow = world.deploy("order", REPLY, notifiers=self.refusing()), world.deploy("broken", BROKEN), world.deploy("slow", SLOW)
        lonely = world.deploy("lonely", REPLY, environment="far")
        world.run("apply", "-f", world.write("more.yaml", "kind: Environment\nname: far\nagents: [ 'nobody-*' ]\n---\nkind: Trigger\nname: nightly\ndeployment: order\ntype: schedule\nschedule: { cron: '0 6 * * mon-fri', timezone: Europe/Berlin }\n"))
        world.run("triggers", "pause", "broken-api", "--why", "its page was changed", check=False)
        jobs = [world.trigger(trigger) for _ in range(7)]
        world.api("POST", "/v1/triggers/broken-api/resume", {})
        failed = world.trigger(broken)
        for uid in [*jobs, failed]:
            world.ended(uid)
        world.api("POST", "/v1/triggers/broken-api/pause", {"why": "its page was changed"})
        waiting = world.trigger(lonely)
        world.trigger(slow)
        delivery = wait_for("a dead letter", lambda: world.api("GET", "/v1/deliveries?state=dead").json["items"])[0]["id"]
        return {"jobs": "jobs", "job-failed": f"jobs/{failed}", "job-successful": f"jobs/{jobs[0]}", "job-waiting": f"jobs/{waiting}", "agents": "agents", "agent": "agents/srv-1", "triggers": "triggers",
                "trigger": f"triggers/{trigger}", "schedule": "triggers/nightly", "deliveries": "deliveries", "delivery": f"deliveries/{delivery}", "deployments": "deployments", "deployment": "deployments/lonely", "nowhere": "nowhere"}

    def settle(self, page, address):
        page.script("location.hash = arguments[0]", "#/" + address)
        wait_for("the view", lambda: page.script("return location.hash === arguments[0] && !!document.querySelector('main h1') && !document.body.innerText.includes('Loading…')", "#/" + address))
        time.sleep(0.3)   # the next frame, for the picture

    def test_every_view_in_light_and_dark_large_and_small_has_no_barrier(self):
        views = self.furnished()
        page = self.open()
        shutil.rmtree(PICTURES, ignore_errors=True)
        found = []

        def look(name):
            for each in page.barriers():
                found.append((name, *each))

        page.go(self.world.url)
        page.find("#token")
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            look(f"sign-in {scheme}")
            page.picture(PICTURES / f"sign-in-{scheme}.png")
        self.sign_in(page)
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            for name, address in views.items():
                self.settle(page, address)
                look(f"{name} {scheme}")
                page.picture(PICTURES / f"{name}-{scheme}.png")
        self.settle(page, views["job-successful"])
        page.click("main .title button", "Retry")
        page.find("dialog[open]")
        look("question")
        page.picture(PICTURES / "question-dark.png")
        page.press("escape")
        page.scheme("light")
        for kind, (width, scale) in {"360 wide": (360, 1), "at 200 %": (680, 2)}.items():
            page.resize(width, 700, scale)
            for name, address in views.items():
                self.settle(page, address)
                wide = page.script("return document.documentElement.scrollWidth")
                self.assertLessEqual(wide, width, f"{name}, {kind}: scrolls sideways")
                if scale == 1:
                    if name in ("jobs", "job-failed", "agent", "trigger", "deliveries"):   # tables as cards, and what is between
                        look(f"{name} {kind}")
                    page.picture(PICTURES / f"{name}-small.png")
        self.assertEqual(found, [])
        severe = [each for each in page.complaints() if each["level"] == "SEVERE" and "404" not in each["message"]]
        self.assertEqual(severe, [])

    def test_it_can_be_used_without_a_mouse(self):
        self.world.agent()
        uid = self.world.trigger(self.world.deploy("slow", SLOW))
        page = self.open()
        self.sign_in(page)
        page.sees("runs on srv-1", "table")
        here = "const e = document.activeElement; return (e.getAttribute('aria-label') || e.textContent || e.tagName).trim().slice(0, 60)"

        def tab_to(text, most=40):
            seen = []
            for _ in range(most):
                page.press("tab")
                seen.append(page.script(here))
                if text in seen[-1]:
                    return
            self.fail(f"no way to {text!r} by Tab: {seen}")

        self.assertEqual(page.script("return document.activeElement.tagName"), "H1")   # a new page is read from its title
        page.script("document.activeElement.blur()")
        tab_to("Skip to the content")
        tab_to("Agents")
        page.press("enter")
        page.sees("takes jobs", "main")
        self.assertTrue(page.title().startswith("Agents"))
        page.script("history.back()")
        page.sees("runs on srv-1", "table")
        tab_to("Cancel: ")
        page.press("enter")
        page.find("dialog[open]")
        self.assertTrue(page.script("return document.querySelector('dialog').contains(document.activeElement)"))
        tab_to("Cancel", 4)
        page.press("enter")
        self.assertEqual(self.world.ended(uid)["state"], "cancelled")
        page.sees("cancelled", "table")

    def test_it_speaks_german_to_who_reads_it(self):
        page = self.open(language="de")
        self.sign_in_german(page)
        self.assertEqual(page.script("return document.documentElement.lang"), "de")
        for view, title in (("", "Aufträge"), ("agents", "Agenten"), ("triggers", "Auslöser"), ("deliveries", "Zustellungen"), ("deployments", "Bereitstellungen")):
            page.go(f"{self.world.url}/#/{view}")
            page.sees(title, "main h1")
            self.assertTrue(page.title().startswith(title))

    def sign_in_german(self, page):
        page.go(self.world.url)
        page.find("#token")
        page.type("#token", self.world.token)
        page.press("enter")
        page.sees("Abmelden", "header")


class Served(Test):
    """What needs no browser."""

    def test_the_sources_pass_the_strict_type_check(self):
        tsc = shutil.which("tsc", path="/usr/bin")
        if not tsc:
            self.skipTest("node-typescript is not installed (packaging/install-packages test)")
        done = subprocess.run([tsc, "-p", SOURCE / "studio/console"], capture_output=True, text=True, timeout=180, env={"PATH": "/usr/bin:/bin"})
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_factory_keeps_to_its_memory_and_serves_the_same_bytes_again_as_304(self):
        with World() as world:
            factory = world.start_factory()
            page = call("GET", world.url + "/")
            if page.status == 404:
                self.skipTest("these programs were built without the console (MILL_CONSOLE=OFF)")
            for _ in range(50):
                self.assertEqual(call("GET", world.url + "/console/console.js", headers={"Accept-Encoding": "gzip"}).status, 200)
            self.assertEqual(call("GET", world.url + "/", headers={"If-None-Match": page.headers["ETag"]}).status, 304)
            rollup = pathlib.Path(f"/proc/{factory.process.pid}/smaps_rollup").read_text()
            kib = int(next(line.split()[1] for line in rollup.splitlines() if line.startswith("Pss:")))
            self.assertLess(kib, 25 * 1024)

    def test_a_build_without_esbuild_says_what_to_do(self):
        build = SOURCE / "build/console-configure"
        shutil.rmtree(build, ignore_errors=True)
        try:
            wrong = subprocess.run(["cmake", "-S", SOURCE, "-B", build, "-DMILL_TESTS=OFF", "-DMILL_ESBUILD=MILL_ESBUILD-NOTFOUND", "-DCMAKE_PROGRAM_PATH=/nonexistent", "-DCMAKE_FIND_USE_SYSTEM_ENVIRONMENT_PATH=OFF",
                                    "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF", "-P", SOURCE / "studio/CMakeLists.txt"], capture_output=True, text=True, timeout=120)
        finally:
            shutil.rmtree(build, ignore_errors=True)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("apt-get install esbuild", " ".join(wrong.stderr.split()))
        self.assertIn("-DMILL_CONSOLE=OFF", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
