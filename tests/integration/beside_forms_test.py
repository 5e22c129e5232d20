"""Forms of the person's page, by the keyboard of a real Chromium: each file of tests/forms has a schema, what is typed, and what it makes or what is said of it.

keys: [[what has the focus, what is typed]]; <space>, <enter>, <tab>, <end>, <right> and <clear> are keys. gives: the input that arrives. says: {field: [mistakes]}, and nothing arrives.
"""
import json
import re
import unittest

import browser
from beside_page_test import BesidePage as Pages, SOURCE
from mill import wait_for
from person_stand_in import launchable

KEYS = {"space": [" "], "enter": ["\ue007"], "tab": ["\ue004"], "end": ["\ue010"], "right": ["\ue014"], "clear": ["\ue010", *["\ue003"] * 20]}
FOCUSED = """const e = document.activeElement; const name = l => (l.querySelector('span') || l).innerText;
    return [e.getAttribute('aria-label') || (e.labels && e.labels.length ? name(e.labels[0]) : e.innerText), e === document.body];"""
SAID = """const out = {}; for (const w of document.querySelectorAll('form .wrong')) if (w.children.length) {
    const f = w.closest('.field, fieldset'); out[(f.querySelector('label span, legend span') || f).innerText] = [...w.children].map(p => p.innerText); } return out;"""


@unittest.skipIf(browser.missing(), browser.missing() or "")
class Forms(Pages):
    def focus(self, name):
        seen = []
        for _ in range(60):
            self.page.press("tab")
            label, _ = self.page.script(FOCUSED)
            if label == name:
                return
            seen.append(label)
        self.fail(f"the key never came to {name!r}, only to {seen}")

    def type_keys(self, keys):
        for part in re.findall(r"<\w+>|[^<]+|<", keys):
            named = KEYS.get(part[1:-1])
            self.page.press(*(named or part))
            if named:   # what it made is there with the next frame
                self.page.later("requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(arguments[0])))")

    def one_case(self, name, case):
        page = self.page
        page.script("location.hash = '#/'")
        page.find(".tiles")
        before = len(self.agent.told("/v1/launch"))
        page.script("location.hash = arguments[0]", f"#/start/{name}")
        page.find("form button[type=submit]")
        wait_for("the headline", lambda: page.script("return document.activeElement.tagName") == "H1")
        for where, keys in case["keys"]:
            self.focus(where)
            self.type_keys(keys)
        self.focus("Start")                 # round by the navigation
        if page.script("return document.activeElement.tagName") == "A":
            self.focus("Start")
        page.press("enter")
        if "gives" in case:
            wait_for(f"the start; the page says:\n{page.text('main')}", lambda: len(self.agent.told("/v1/launch")) > before, 8)
            self.assertEqual(self.agent.told("/v1/launch")[-1]["input"], case["gives"])
            self.assertEqual(self.agent.raw[-1].count(b'"input"'), 1)
        else:
            wait_for(f"what is said; it is {page.script(SAID)}", lambda: page.script(SAID) == case["says"], 8)
            # Each is tied to its field, and the first has the focus.
            wait_for("the first to have the focus", lambda: page.script("const e = document.activeElement; return e.getAttribute('aria-invalid') === 'true' || e.tagName === 'LEGEND'"), 8)
            self.assertEqual(page.script("return [...document.querySelectorAll('[aria-invalid=true]')].filter(e => !(e.getAttribute('aria-describedby') || '').split(' ').some(i => i.endsWith('-wrong') && document.getElementById(i).innerText)).length"), 0)
            self.assertEqual(len(self.agent.told("/v1/launch")), before)

    def test_each_schema_makes_what_it_says(self):
        files = sorted((SOURCE / "tests/forms").glob("*.json"))
        self.assertGreaterEqual(len(files), 30)
        forms = {each.stem: json.loads(each.read_text()) for each in files}
        self.agent.say(launchable=[launchable(name, form["schema"]) for name, form in forms.items()])
        self.open()
        for name, form in forms.items():
            self.assertTrue(form["cases"], name)
            for i, case in enumerate(form["cases"]):
                with self.subTest(form=name, case=i):
                    self.one_case(name, case)
        self.assertEqual([each for each in self.page.complaints() if each["level"] == "SEVERE"], [])


for inherited in [name for name in dir(Pages) if name.startswith("test_")]:
    setattr(Forms, inherited, None)   # those are of the other file
del Pages

if __name__ == "__main__":
    unittest.main()
