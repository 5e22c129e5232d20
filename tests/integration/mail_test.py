"""Notifiers of type mail, through the real programs, to a real mail server with TLS."""
import asyncio
import email
import email.policy
import json
import ssl
import subprocess
import sys
import threading
import unittest

from mill import Test, World, wait_for

sys.path.append("/usr/lib/python3/dist-packages")   # Debian's python3-aiosmtpd, where another Python comes first
try:
    from aiosmtpd.smtp import SMTP, AuthResult
except ImportError:
    SMTP = None

REPLY = "do:\n  - answer: { set: { order: '4711', line: \"two\\nlines\", who: 'Grüße' } }\n"


class Post:
    """Keeps mail; says what `refusals` says to RCPT or DATA first."""

    def __init__(self):
        self.mails, self.refusals, self.logins = [], [], []

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.refusals:
            return self.refusals.pop(0)
        self.mails.append((envelope, session.ssl is not None))
        return "250 2.0.0 kept as 42"

    def authenticate(self, server, session, envelope, mechanism, data):
        self.logins.append((data.login, data.password))
        return AuthResult(success=(data.login, data.password) == (b"robot", b"pass-word-1"))


@unittest.skipIf(SMTP is None, "python3-aiosmtpd is missing")
class Mail(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        folder = self.world.folder
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                        "-keyout", folder / "mail.key", "-out", folder / "mail.pem"], check=True, capture_output=True)
        self.world.config.write_text(f'egress: [ "smtp://127.0.0.1:*", "smtps://127.0.0.1:*", "http://127.0.0.1:*" ]\nauthority: {folder}/mail.pem\n')
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "mail.pem", folder / "mail.key")
        self.post = Post()

    def server(self, tls=True, login=True):
        more = {"tls_context": self.context, "require_starttls": True} if tls else {}
        if login:
            more.update(authenticator=self.post.authenticate, auth_required=True, auth_require_tls=tls)
        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        self.addCleanup(loop.call_soon_threadsafe, loop.stop)
        made = loop.create_server(lambda: SMTP(self.post, hostname="mail.test", loop=loop, **more), "127.0.0.1", 0)
        return asyncio.run_coroutine_threadsafe(made, loop).result(10).sockets[0].getsockname()[1]

    def start(self):
        self.world.start_factory()
        self.world.agent()
        self.world.run("credentials", "set", "smtp", "--kind", "login", "--hosts", "127.0.0.1", "--json-file", "-", input=json.dumps({"username": "robot", "password": "pass-word-1"}))

    def told(self, mail, until, context=None):
        lines = "".join(f"  {line}\n" for line in mail.strip("\n").split("\n"))
        self.number = getattr(self, "number", 0) + 1
        trigger = self.world.deploy(f"reply{self.number}", REPLY, notifiers=f"kind: Notifier\nname: mail{self.number}\ntrigger: reply{self.number}-api\non: [ success ]\ntype: mail\nmail:\n{lines}")
        uid = self.world.trigger(trigger, context=context)
        self.world.ended(uid)
        found = wait_for("the delivery", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if until(d)])
        return uid, found[0]

    def test_a_mail_goes_by_starttls_with_a_login_and_says_what_it_should(self):
        port = self.server()
        self.start()
        uid, delivery = self.told(f"""
server: 127.0.0.1:{port}
credentials: smtp
from: "Mühlwerk <robots@example.com>"
to: [ "Ann Doe <ann@example.com>", "${{ .invocationContext.mail }}" ]
domains: [ example.com ]
cc: bob@example.com
subject: "Order ${{ .output.order }} for ${{ .output.who }}: ${{ .output.line }}"
text: "Good day ${{ .output.who }}\\n.\\n${{ .output.line }}"
html: "<p>${{ .output.who }} &amp; ${{ .invocationContext.mail }}</p>"
""", lambda d: d["state"] == "delivered", context={"mail": "eve@example.com"})
        envelope, encrypted = self.post.mails[0]
        self.assertTrue(encrypted)
        self.assertEqual(sorted(envelope.rcpt_tos), ["ann@example.com", "bob@example.com", "eve@example.com"])
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.assertEqual(mail["subject"], "Order 4711 for Grüße: two lines")
        self.assertEqual(str(mail["from"].addresses[0].display_name), "Mühlwerk")
        self.assertEqual(mail["message-id"], f"<{delivery['id']}@example.com>")
        self.assertEqual(mail["references"], f"<job.{uid}@example.com>")
        self.assertEqual(mail.get_body(("plain",)).get_content().splitlines(), ["Good day Grüße", ".", "two", "lines"])
        self.assertIn("Grüße &amp; eve@example.com", mail.get_body(("html",)).get_content())
        self.assertTrue(all(len(line) <= 998 for line in envelope.content.split(b"\r\n")))
        answer = delivery["attempts"][0]["response"]
        self.assertEqual((answer["status"], answer["body"]), (250, "250 2.0.0 kept as 42"))
        shown = json.dumps(self.world.api("GET", f"/v1/deliveries/{delivery['id']}").json)
        self.assertNotIn("pass-word-1", shown)
        self.assertIn("it works", self.world.run("notifiers", "test", "mail1", "--context", "-", input='{"mail": "eve@example.com"}').stdout)

    def test_a_passing_refusal_is_tried_again_and_a_lasting_one_is_not(self):
        port = self.server()
        self.start()
        self.post.refusals = ["451 4.3.0 later please"]
        plain = f"server: 127.0.0.1:{port}\ncredentials: smtp\nfrom: robots@example.com\nto: "
        _, delivery = self.told(plain + "ann@example.com", lambda d: d["state"] == "delivered")
        self.assertIn("451 4.3.0 later please", delivery["attempts"][0]["error"])
        self.assertEqual(len(delivery["attempts"]), 2)
        _, delivery = self.told(plain + "nobody@example.com", lambda d: d["state"] == "dead")
        self.assertEqual(delivery["attempts"][-1]["response"], {"status": 550, "body": "550 5.1.1 no such user"})
        self.assertEqual(len(delivery["attempts"]), 1)

    def test_nothing_is_sent_without_tls_and_a_recipient_outside_is_refused(self):
        port = self.server(tls=False, login=False)
        self.start()
        plain = f"server: 127.0.0.1:{port}\nfrom: robots@example.com\n"
        _, delivery = self.told(plain + "to: ann@example.com", lambda d: d["attempts"])
        self.assertIn("offers no TLS", delivery["error"])
        self.assertEqual(self.post.mails, [])
        _, delivery = self.told(plain + "tls: insecure\nto: ann@example.com", lambda d: d["state"] == "delivered")
        mail = email.message_from_bytes(self.post.mails[0][0].content, policy=email.policy.default)
        self.assertIn("reply2-api", mail["subject"])   # what it says when nobody wrote anything
        _, delivery = self.told(plain + 'tls: insecure\ndomains: example.com\nto: "${ .invocationContext.mail }"', lambda d: d["state"] == "dead", context={"mail": "eve@evil.example"})
        self.assertIn("not in the notifier's domains", delivery["error"])

    def test_a_certificate_that_is_not_trusted_is_refused(self):
        port = self.server()
        self.world.config.write_text('egress: [ "smtp://127.0.0.1:*" ]\n')
        self.start()
        _, delivery = self.told(f"server: 127.0.0.1:{port}\nfrom: robots@example.com\nto: ann@example.com", lambda d: d["attempts"])
        self.assertIn("TLS", delivery["error"])
        self.assertEqual((self.post.mails, self.post.logins), ([], []))

    def test_a_private_address_needs_a_rule(self):
        port = self.server()
        self.world.config.write_text('egress: [ "http://127.0.0.1:*" ]\n')
        self.start()
        _, delivery = self.told(f"server: 127.0.0.1:{port}\nfrom: robots@example.com\nto: ann@example.com", lambda d: d["attempts"])
        self.assertIn(f"smtp://127.0.0.1:{port}", delivery["error"])

    def test_a_mistake_is_told_when_it_is_saved(self):
        self.world.start_factory()
        self.world.deploy("reply", REPLY)
        text = ("kind: Notifier\nname: wrong\ntrigger: reply-api\non: [ success ]\ntype: mail\nmail: { server: 'smtp://x', from: \"a@example.com\\nBcc: b@example.com\", "
                "to: '${ .input.mail }', credentials: nothing }\n")
        said = self.world.run("apply", "-f", self.world.write("wrong.yaml", text), check=False).stderr
        for expected in ("no mail server", "line break", "domains"):
            self.assertIn(expected, said)


if __name__ == "__main__":
    unittest.main()
