"""A notifier that shows a client certificate, to a real TLS server that demands one."""
import http.server
import json
import os
import ssl
import subprocess
import threading
import unittest

from mill import Test, World, wait_for

EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def openssl(*arguments):
    return subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True).stdout


def authority(folder, name):
    openssl("req", "-x509", *EC, "-days", "3", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem")


def signed(folder, ca, name, extension, days=3, more=()):
    (folder / "ext").write_text(extension)
    openssl("req", *EC, "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / f"{ca}.pem", "-CAkey", folder / f"{ca}.key", "-CAcreateserial", "-days", days, *more, "-extfile", folder / "ext", "-out", folder / f"{name}.pem")
    return {"certificate": (folder / f"{name}.pem").read_text(), "key": (folder / f"{name}.key").read_text()}


class Server:
    """Takes who shows a certificate of `clients`, and nobody else."""

    def __init__(self, folder, clients):
        self.calls = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                subject = dict(pair[0] for pair in self.connection.getpeercert()["subject"])
                server.calls.append({"subject": subject["commonName"], "body": body, "headers": dict(self.headers)})
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        context.load_verify_locations(folder / f"{clients}.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ClientCertificate(Test):
    def setUp(self):
        super().setUp()
        self.world = World(config='egress: [ "https://127.0.0.1:*", "http://127.0.0.1:*" ]\ndeliveries: { holdAfter: 50 }\n')
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        folder = self.folder = self.world.folder
        for name in ("servers", "clients", "strangers"):
            authority(folder, name)
        signed(folder, "servers", "server", "subjectAltName=IP:127.0.0.1\n")
        self.ours = {**signed(folder, "clients", "robot", "extendedKeyUsage=clientAuth\n"), "authority": (folder / "servers.pem").read_text()}
        self.server = Server(folder, "clients")
        self.addCleanup(self.server.close)
        self.world.start_factory()

    def set(self, name, value, *more, kind="certificate", check=True):
        return self.world.run("credentials", "set", name, "--kind", kind, "--json-file", "-", *more, input=json.dumps(value), check=check)

    def told(self, api, until):
        self.count = getattr(self, "count", 0) + 1
        name = f"n{self.count}"
        document = {"kind": "Notifier", "name": name, "deployment": "reply", "on": ["success"], "type": "api", "api": {"url": self.server.url + "/hook", **api}}
        self.world.run("apply", "-f", self.world.write(f"{name}.json", json.dumps(document)))
        uid = self.world.trigger("reply-api")
        self.world.ended(uid)
        return wait_for("the delivery", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if d["notifier"] == name and until(d)])[0]

    def test_it_is_shown_alone_and_beside_a_token_and_says_who_it_is_when_it_is_refused(self):
        self.world.agent()
        self.world.deploy("reply", "do:\n  - answer: { set: { a: 1 } }\n")
        self.set("ours", self.ours)
        self.set("token", {"token": "tok-123456"}, kind="bearer")
        self.told({"authentication": "certificate", "credentials": "ours"}, lambda d: d["state"] == "delivered")
        self.assertEqual(self.server.calls[-1]["subject"], "robot")
        self.told({"authentication": "bearer", "credentials": "token", "certificate": "ours"}, lambda d: d["state"] == "delivered")
        self.assertIn(("robot", "Bearer tok-123456"), [(each["subject"], each["headers"].get("Authorization")) for each in self.server.calls])   # the first notifier hears of this job, too
        # Of another authority: the server refuses it.
        stranger = {**signed(self.folder, "strangers", "stranger", "extendedKeyUsage=clientAuth\n"), "authority": self.ours["authority"]}
        self.set("stranger", stranger)
        refused = self.told({"authentication": "certificate", "credentials": "stranger"}, lambda d: d["tries"])
        self.assertEqual(refused["state"], "pending")
        for words in ("client certificate of credential 'stranger'", "CN = stranger"):
            self.assertIn(words, refused["error"])
        # None at all, where the server's own authority is known: it says what is missing.
        self.world.factory.stop()
        self.world.config.write_text(self.world.config.read_text() + f"authority: {self.folder}/servers.pem\n")
        self.world.start_factory()
        none = self.told({}, lambda d: d["tries"])
        self.assertIn("authentication: certificate", none["error"])
        self.assertEqual({each["subject"] for each in self.server.calls}, {"robot"})   # of those before, which hear of each job
        # A wrong key is never in a record or a log.
        self.assertNotIn(self.ours["key"].split("\n")[1], self.world.factory.tail() + json.dumps(self.world.api("GET", "/v1/deliveries").json))

    def test_what_does_not_fit_is_refused_when_it_is_stored(self):
        other = signed(self.folder, "clients", "other", "extendedKeyUsage=clientAuth\n")
        for value, words in (({"certificate": self.ours["certificate"], "key": other["key"]}, "'key' does not belong to 'certificate'"), ({"certificate": "x", "key": other["key"]}, "'certificate' is not"),
                             ({"certificate": self.ours["certificate"]}, "lacks 'key'")):
            done = self.set("bad", value, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)
            self.assertNotIn("PRIVATE", done.stderr)
        (self.folder / "ext").write_text("")
        old = signed(self.folder, "clients", "old", "", days=0)
        done = self.set("bad", old, check=False)
        self.assertIn("has expired on", done.stderr)
        for name in ("robot.pem", "robot.key", "servers.pem"):
            os.chmod(self.folder / name, 0o644)   # the command line is another user's here
        self.world.run("credentials", "set", "ours", "--kind", "certificate", "--certificate", "robot.pem", "--key", "robot.key", "--authority", "servers.pem")
        mixed = self.world.run("credentials", "set", "ours", "--kind", "login", "--certificate", "robot.pem", check=False)
        self.assertIn("are the values of --kind certificate", mixed.stderr)
        shown = {each["name"]: each for each in self.world.api("GET", "/v1/credentials").json["items"]}["ours"]
        end = openssl("x509", "-in", self.folder / "robot.pem", "-noout", "-enddate").decode().strip().split("=")[1]
        self.assertIn(end.split()[3], shown["expires"])
        self.assertNotIn("PRIVATE", json.dumps(shown))

    def test_its_end_is_told_before_it_comes(self):
        receiver = self.world.receiver()
        self.world.run("apply", "-f", self.world.write("ends.json", json.dumps({"kind": "Notifier", "name": "ends", "credentials": "all", "on": [{"expiring": {"before": "14d"}}], "type": "api", "api": {"url": receiver.url + "/ends"}})))
        self.set("ours", self.ours)
        wait_for("the notice", lambda: receiver.at("/ends"))
        event = json.loads(receiver.at("/ends")[0]["body"])
        self.assertEqual((event["data"]["credential"]["name"], event["data"]["credential"]["kind"]), ("ours", "certificate"))

    def test_a_notifier_names_one_that_is_there_and_of_that_kind_over_https_only(self):
        self.world.deploy("reply", "do:\n  - answer: { set: { a: 1 } }\n")
        self.set("token", {"token": "tok-123456"}, kind="bearer")
        for api, words in (({"authentication": "certificate", "credentials": "nosuch"}, "credential 'nosuch' is not there (millwright credentials set nosuch --kind certificate)"),
                           ({"certificate": "token"}, "must be of kind certificate"), ({"url": "http://127.0.0.1:1/", "certificate": "token"}, "must begin with https://"),
                           ({"authentication": "certificate"}, "'credentials' is missing"), ({"authentication": "certificate", "credentials": "token", "certificate": "token"}, "stands beside")):
            document = {"kind": "Notifier", "name": "n", "deployment": "reply", "on": ["success"], "type": "api", "api": {"url": self.server.url + "/hook", **api}}
            done = self.world.run("apply", "-f", self.world.write("n.json", json.dumps(document)), check=False)
            self.assertIn(words, done.stderr, api)


if __name__ == "__main__":
    unittest.main()
