"""The server of the person's page, asked by hand: who is let in, by what, and what goes through to the agent."""
import http.client
import json
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.parse

from beside_page_test import Beside, SOURCE
from mill import wait_for
from person_stand_in import launchable


class Sources(unittest.TestCase):
    def test_they_pass_the_strict_type_check(self):
        tsc = shutil.which("tsc", path="/usr/bin")
        if not tsc:
            self.skipTest("node-typescript is not installed (packaging/install-packages test)")
        done = subprocess.run([tsc, "-p", SOURCE / "studio/beside"], capture_output=True, text=True, timeout=180, env={"PATH": "/usr/bin:/bin"})
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_a_text_that_one_language_lacks_stops_the_build(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            texts = {language: json.loads((SOURCE / f"studio/beside/messages/{language}.json").read_text()) for language in ("en", "de")}

            def build(**changed):
                for language, all in texts.items():
                    (folder / f"{language}.json").write_text(json.dumps({key: text for key, text in {**all, **changed.get(language, {})}.items() if text is not None}))
                return subprocess.run(["cmake", f"-DOUTPUT={folder}/table.inc", f"-DENGLISH={folder}/en.json", f"-DGERMAN={folder}/de.json", "-P", SOURCE / "studio/catalogue.cmake"], capture_output=True, text=True, timeout=60)

            whole = build()
            self.assertEqual(whole.returncode, 0, whole.stderr)
            self.assertEqual((folder / "table.inc").read_text().count("R\"~("), 2 * len(texts["en"]))
            for changed in ({"de": {"consent.now": None}}, {"en": {"consent.now": None}}, {"de": {"more": "mehr"}}, {"de": {"consent.takes": "Dauert {zeit}."}}, {"en": {"Bad Key": "x"}, "de": {"Bad Key": "x"}}):
                self.assertNotEqual(build(**changed).returncode, 0, changed)


class Server(Beside):
    def ask(self, method, target, body=None, **headers):
        """Headers that are None are left out; the right ones are there else."""
        sent = {"Host": self.host, "Origin": self.url if method != "GET" else None, "X-Millwright": "1", "Content-Type": "application/json" if body is not None else None, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection = http.client.HTTPConnection("127.0.0.1", int(self.host.split(":")[1]), timeout=20)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                for each in value if isinstance(value, list) else [value]:
                    if each is not None:
                        connection.putheader(name, each)
            data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
            if data is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            answer.text = answer.read().decode()
            return answer
        finally:
            connection.close()

    def secret(self, **more):
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.link(**more)).fragment)["secret"][0]

    def enter(self, **headers):
        answer = self.ask("POST", "/session", {"secret": self.secret()}, **headers)
        self.assertEqual(answer.status, 200, answer.text)
        self.set_cookie = answer.getheader("Set-Cookie")
        return {"Cookie": self.set_cookie.split(";")[0], "X_Millwright": json.loads(answer.text)["key"]}

    def test_a_link_has_its_secret_behind_the_hash_only_and_says_where_to(self):
        link = urllib.parse.urlsplit(self.link("question", "q-1"))
        self.assertEqual((link.scheme, link.netloc, link.path, link.query), ("http", self.host, "/", ""))
        self.assertEqual(urllib.parse.parse_qs(link.fragment)["to"], ["question/q-1"])
        self.assertRegex(self.url, r"^http://127\.0\.0\.1:\d+$")
        self.assertIn("%2F", self.link("job", "../x&secret=y").split("to=")[1])

    def test_everything_that_is_said_has_the_headers_that_keep_it_safe(self):
        session = self.enter()
        for answer in (self.ask("GET", "/"), self.ask("GET", "/beside.js"), self.ask("GET", "/nothing"), self.ask("GET", "/api/v1/person"), self.ask("GET", "/api/v1/person", **session), self.ask("GET", "/", Host="evil.example")):
            policy = answer.getheader("Content-Security-Policy")
            for part in ("default-src 'none'", "script-src 'self'", "frame-ancestors 'none'", "form-action 'none'", "base-uri 'none'", "require-trusted-types-for 'script'"):
                self.assertIn(part, policy)
            self.assertNotIn("unsafe", policy)
            self.assertEqual([answer.getheader(name) for name in ("Cache-Control", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy")], ["no-store", "nosniff", "DENY", "no-referrer", "same-origin"])
            self.assertIsNone(answer.getheader("Access-Control-Allow-Origin"))
        self.assertIn("HttpOnly", self.set_cookie)
        self.assertIn("SameSite=Strict", self.set_cookie)
        self.assertNotIn("Domain", self.set_cookie)
        self.assertNotIn("Max-Age", self.set_cookie)

    def test_static_files_hold_nothing_and_all_else_wants_cookie_and_key(self):
        self.agent.say(launchable=[launchable("very-own")])
        for name in ("/", "/index.html", "/beside.js", "/beside.css", "/icon.svg"):
            answer = self.ask("GET", name, X_Millwright=None)
            self.assertEqual(answer.status, 200)
            self.assertNotIn("very-own", answer.text)
            self.assertNotIn("anna", answer.text.replace("anna@example.com", ""))
        self.assertLess(len(self.ask("GET", "/beside.js").text) + len(self.ask("GET", "/beside.css").text), 80 * 1024)
        session = self.enter()
        self.assertIn("very-own", self.ask("GET", "/api/v1/person", **session).text)
        for wrong in ({}, {"Cookie": session["Cookie"]}, {"X_Millwright": session["X_Millwright"]}, {**session, "X_Millwright": "1"}, {**session, "Cookie": session["Cookie"][:-1] + "~"}, {**session, "Cookie": "x=1"}, {**session, "X_Millwright": session["Cookie"].split("=")[1]}):
            for method, target in (("GET", "/api/v1/person"), ("GET", "/api/v1/changes?after=1"), ("GET", "/api/v1/faces"), ("POST", "/api/v1/stop")):
                answer = self.ask(method, target, {} if method == "POST" else None, **wrong)
                self.assertEqual(answer.status, 401, (wrong, target))
                self.assertNotIn("very-own", answer.text)
        self.assertEqual(self.agent.asked, [])

    def test_a_name_that_points_here_is_not_this_host(self):
        session = self.enter()
        port = self.host.split(":")[1]
        for host in ("evil.example", f"evil.example:{port}", "localhost", f"localhost:{port}", f"[::1]:{port}", "127.0.0.1", f"127.0.0.1:{int(port) + 1}", f"127.0.0.1.evil.example:{port}", "", [self.host, self.host], None):
            for method, target in (("GET", "/"), ("GET", "/api/v1/person"), ("POST", "/session")):
                self.assertIn(self.ask(method, target, {"secret": "x"} if method == "POST" else None, **{**session, "Host": host}).status, (400, 421), (host, target))

    def test_another_origin_can_say_nothing(self):
        session = self.enter()
        for wrong in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": None}, {"Origin": ""}, {"Origin": "http://127.0.0.1:1"}, {"Origin": self.url + "/"}, {"Origin": self.url.replace("127.0.0.1", "localhost")}, {"Origin": self.url.replace("http", "https")},
                      {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "none"}, {"X_Millwright": None}):
            self.assertEqual(self.ask("POST", "/api/v1/stop", {"way": "page"}, **{**session, **wrong}).status, 403, wrong)
            self.assertEqual(self.ask("POST", "/session", {"secret": self.secret()}, **wrong).status, 403, wrong)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", None):
            self.assertEqual(self.ask("POST", "/api/v1/stop", {"way": "page"}, **{**session, "Content_Type": kind}).status if kind else self.ask("POST", "/api/v1/stop", None, **session).status, 415, kind)
        self.assertEqual(self.ask("GET", "/api/v1/person", **{**session, "Origin": "http://evil.example"}).status, 403)
        self.assertEqual(self.ask("GET", "/api/v1/person", **{**session, "Sec_Fetch_Site": "same-site"}).status, 403)
        self.assertEqual(self.ask("OPTIONS", "/api/v1/stop", **{**session, "Origin": "http://evil.example", "Access_Control_Request_Method": "POST"}).status, 403)
        self.assertEqual(self.agent.asked, [])
        self.assertEqual(self.ask("POST", "/api/v1/stop", {"way": "page"}, **{**session, "Sec_Fetch_Site": "same-origin"}).status, 200)
        self.assertEqual(len(self.agent.asked), 1)

    def test_a_link_is_good_once_even_for_two_at_once(self):
        secret = self.secret()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.ask("POST", "/session", {"secret": secret}).status)) for _ in range(8)]
        [each.start() for each in threads]
        [each.join() for each in threads]
        self.assertEqual(sorted(answers), [200] + [403] * 7)
        self.assertEqual(self.ask("POST", "/session", {"secret": secret}).status, 403)

    def test_who_guesses_is_stopped_and_who_is_in_stays(self):
        session = self.enter()
        statuses = [self.ask("POST", "/session", {"secret": f"guess-{i}"}).status for i in range(13)]
        self.assertEqual(statuses, [403] * 10 + [429] * 3)
        self.assertEqual(self.ask("POST", "/session", {"secret": self.secret()}).status, 429)
        self.assertEqual(self.ask("GET", "/api/v1/person", **session).status, 200)
        self.log.flush()
        log = (self.folder / "page.log").read_text()
        self.assertIn("wrong links", log)
        self.assertNotIn("guess-", log)

    def test_wrong_words_are_refused(self):
        for body in (b"", b"{", b"[]", b"{}", b'{"secret": 1}', b'{"secret": {"a": "b"}}', b'{"secret": "' + b"x" * 2000 + b'"}'):
            self.assertEqual(self.ask("POST", "/session", body).status, 400, body)
        self.assertEqual(self.ask("GET", "/session").status, 405)
        self.assertEqual(self.ask("POST", "/", {}).status, 405)
        session = self.enter()
        self.assertEqual(self.ask("POST", "/api/v1/launch", b'{"x": "' + b"y" * 70_000 + b'"}', **session).status, 413)
        self.assertEqual(self.ask("POST", "/api/v1/faces", {}, **session).status, 404)
        self.assertEqual(self.ask("GET", "/api/v1/launch", **session).status, 405)
        self.assertEqual(self.ask("GET", "/api/v1/jobs/..%2Fperson", **session).status, 404)
        self.assertEqual(self.ask("GET", "/api//v1/person", **session).status, 404)
        self.assertEqual(self.agent.asked, [])

    def test_what_the_agent_answers_goes_through_as_it_is(self):
        session = self.enter()
        self.agent.refusals["/v1/launch"] = (400, {"detail": "no", "mistakes": [{"path": "/a", "text": "b"}]})
        answer = self.ask("POST", "/api/v1/launch", b'{"n": 9007199254740993}', **session)
        self.assertEqual((answer.status, json.loads(answer.text)), (400, {"detail": "no", "mistakes": [{"path": "/a", "text": "b"}]}))
        self.assertEqual(self.agent.raw[-1], b'{"n": 9007199254740993}')
        self.agent.close()
        answer = self.ask("POST", "/api/v1/launch", {}, **session)
        self.assertEqual(answer.status, 503)
        self.assertIn("the agent does not answer", json.loads(answer.text)["detail"])

    def test_a_change_is_told_to_all_who_wait_and_costs_nothing_meanwhile(self):
        session = self.enter()
        version = json.loads(self.ask("GET", "/api/v1/person", **session).text)["version"]
        wait_for("the server's own look", lambda: json.loads(self.ask("GET", "/api/v1/changes?after=999", **session).text)["version"] == version)
        told = []
        threads = [threading.Thread(target=lambda: told.append(json.loads(self.ask("GET", f"/api/v1/changes?after={version}", **session).text))) for _ in range(6)]
        [each.start() for each in threads]
        time.sleep(0.5)
        self.assertEqual(told, [])
        self.assertLessEqual(self.agent.parked, 2)          # one looks for all of them
        self.assertEqual(self.ask("GET", "/api/v1/person", **session).status, 200)   # and they are in nobody's way
        self.agent.say(tells=[])
        [each.join(15) for each in threads]
        self.assertEqual(told, [{"version": version + 1}] * 6)


if __name__ == "__main__":
    unittest.main()
