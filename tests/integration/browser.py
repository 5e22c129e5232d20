"""A real Chromium, driven through the WebDriver protocol: one JSON call after the other, no library."""
import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from mill import SOURCE, Failure, wait_for

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
KEYS = {"tab": "\ue004", "enter": "\ue007", "escape": "\ue00c", "space": " "}


AXE = pathlib.Path(os.environ.get("MILL_NODE_MODULES", SOURCE / "build/tools/node_modules")) / "axe-core/axe.min.js"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"> javascript:alert(1) \u202egnp.exe\u2066 end"


def missing():
    """Why there is no browser to look through; nothing when there is."""
    return None if CHROMIUM and DRIVER else "chromium and chromium-driver are not installed (packaging/install-packages test)"


class Browser:
    def __init__(self, language="en", size=(1360, 900)):
        self.folder = tempfile.mkdtemp(prefix="millwright-browser-")
        self.log = open(os.path.join(self.folder, "driver.log"), "w+b")
        self.driver = subprocess.Popen([DRIVER, "--port=0"], stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True,
                                       env={"PATH": "/usr/bin:/bin", "HOME": self.folder, "LANGUAGE": language})
        try:
            port = wait_for("the driver", lambda: re.search(rb"successfully on port (\d+)", pathlib.Path(self.log.name).read_bytes()))[1].decode()
            self.base = f"http://127.0.0.1:{port}"
            arguments = ["--headless=new", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--no-proxy-server", "--disable-background-networking", "--hide-scrollbars",
                         f"--window-size={size[0]},{size[1]}", f"--user-data-dir={self.folder}/profile"]
            if os.getuid() == 0:
                arguments.append("--no-sandbox")  # Chromium's own refuses root
            answer = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:loggingPrefs": {"browser": "ALL"}, "goog:chromeOptions": {
                "binary": CHROMIUM, "args": arguments, "prefs": {"intl.accept_languages": language, "intl.selected_languages": language}}}}})
            self.session = f"/session/{answer['sessionId']}"
            self.resize(*size)
        except BaseException:
            self.close()
            raise

    def call(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, method=method, data=None if body is None else json.dumps(body).encode(), headers={"Content-Type": "application/json"})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=90) as answer:
                return json.loads(answer.read())["value"]
        except urllib.error.HTTPError as error:
            value = json.loads(error.read())["value"]
            raise Failure(f"browser: {value['error']}: {value['message'].splitlines()[0]}") from None

    def ask(self, method, path, body=None):
        return self.call(method, self.session + path, {} if body is None and method == "POST" else body)

    def close(self):
        try:
            if hasattr(self, "session"):
                self.ask("DELETE", "")
        except (Failure, OSError):
            pass
        self.driver.terminate()
        self.driver.wait(20)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # What a person does.
    def go(self, url):
        self.ask("POST", "/url", {"url": url})

    def find(self, css, text=None, seconds=15):
        """The first element that is shown, fits and, when `text` is said, contains it."""
        script = ("const [css, text] = arguments; for (const each of document.querySelectorAll(css)) if ((!text || each.textContent.includes(text) || (each.getAttribute('aria-label') || '').includes(text))"
                  " && each.getClientRects().length) return each; return null;")
        try:
            return wait_for(css, lambda: self.script(script, css, text), seconds)[ELEMENT]
        except Failure:
            raise Failure(f"no {css} with {text!r} after {seconds} s; the page says:\n{self.text()[:3000]}") from None

    def click(self, css, text=None):
        end = time.monotonic() + 10
        while True:  # what is live may be drawn anew between the look and the click
            try:
                return self.ask("POST", f"/element/{self.find(css, text)}/click")
            except Failure as failure:
                if "stale" not in str(failure) and "intercepted" not in str(failure) or time.monotonic() > end:
                    raise

    def type(self, css, text):
        self.ask("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, *names):
        keys = [KEYS.get(name, name) for name in names]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]}]})

    # What a person sees.
    def script(self, code, *arguments):
        return self.ask("POST", "/execute/sync", {"script": code, "args": list(arguments)})

    def later(self, code, *arguments):
        return self.ask("POST", "/execute/async", {"script": code, "args": list(arguments)})

    def text(self, css="body"):
        return self.script("return (document.querySelector(arguments[0]) || document.body).innerText", css)

    def title(self):
        return self.ask("GET", "/title")

    def url(self):
        return self.ask("GET", "/url")

    def sees(self, text, css="body", seconds=15):
        try:
            wait_for(text, lambda: text in self.text(css), seconds)
        except Failure:
            raise Failure(f"{text!r} was not seen in {seconds} s; the page says:\n{self.text(css)[:3000]}") from None

    def complaints(self):
        """What Chromium wrote to its console since the last time: errors, refused scripts, failed calls."""
        return self.ask("POST", "/se/log", {"type": "browser"})

    def command(self, name, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": name, "params": parameters})

    def resize(self, width, height, scale=1):
        self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)

    def scheme(self, name):
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name},
                                                                  {"name": "prefers-reduced-motion", "value": "reduce"}])  # a colour half-way there is nobody's

    def barriers(self):
        """What axe-core finds on the page as it is: [rule, places]. Without axe-core the test is skipped."""
        if not AXE.exists():
            raise unittest.SkipTest(f"{AXE} is not there: npm install --prefix build/tools axe-core")
        if not self.script("return typeof axe === 'object'"):
            self.script(AXE.read_text())
        return self.later("const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then(r => done(r.violations.map(v => [v.id, v.nodes.map(n => n.html.slice(0, 200) + ' ' + "
                          "(n.any[0] || n.all[0] || {}).message).slice(0, 3)])), e => done([['axe itself', [String(e)]]]))")

    def keep_if_failed(self, test, folder):
        """A picture of what a test that failed saw last; in a cleanup, where the test's own `success` says nothing."""
        result = test._outcome.result
        if any(each is test for each, _ in [*result.failures, *result.errors]):
            self.picture(folder / f"failed-{test.id().split('.')[-1]}.png")

    def picture(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]))
