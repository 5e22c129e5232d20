"""Signatures that come in and go out, judged by others' code: Slack's own framework (@slack/bolt) and the reference of Standard Webhooks.

Needs both npm packages in the folder that MILL_NODE_MODULES names: `npm install --prefix FOLDER standardwebhooks @slack/bolt` and
MILL_NODE_MODULES=FOLDER/node_modules. Skips without them.
"""
import base64
import hashlib
import hmac
import json
import os
import pathlib
import shutil
import subprocess
import time
import unittest

from mill import Test, World, call, wait_for

MODULES = os.environ.get("MILL_NODE_MODULES", "")
NODE = shutil.which("node")
SECRET = "8f742231b10e8888abcd99yyyzzz85a5"


@unittest.skipUnless(NODE and MODULES and (pathlib.Path(MODULES) / "@slack/bolt").exists() and (pathlib.Path(MODULES) / "standardwebhooks").exists(),
                     "standardwebhooks and @slack/bolt are not installed (npm)")
class ChatPackages(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()

    def node(self, program, given):
        done = subprocess.run([NODE, "-e", program], input=json.dumps(given), capture_output=True, text=True, timeout=60, cwd=pathlib.Path(MODULES).parent)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def credential(self, name, value):
        self.world.run("credentials", "set", name, "--kind", "hmac", "--json-file", "-", input=json.dumps(value))

    def test_the_factory_and_slacks_framework_take_and_refuse_the_same_calls(self):
        self.credential("signing", {"secret": SECRET})
        trigger = self.world.deploy("slack", "do:\n  - note: { set: { a: 1 } }\n", trigger='chat: { platform: slack, credentials: signing }\n')
        body = b"command=%2Forder&text=gr%C3%BC%C3%9Fe+4711&channel_id=C42&user_id=U1&trigger_id=1.2.3"

        def signed(secret=SECRET, ago=0, sent=body, version="v0"):
            stamp = str(int(time.time()) - ago)
            signature = f"{version}=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + sent, hashlib.sha256).hexdigest()
            return {"x-slack-request-timestamp": stamp, "x-slack-signature": signature}

        cases = {"right": signed(), "another secret": signed(secret="guessed"), "old": signed(ago=400), "another body": signed(sent=body + b"x"), "another version": signed(version="v1")}
        bolt = self.node("""
            const { isValidSlackRequest } = require('@slack/bolt/dist/receivers/verify-request');
            const given = JSON.parse(require('fs').readFileSync(0));
            console.log(JSON.stringify(Object.fromEntries(Object.entries(given.cases).map(([name, headers]) =>
                [name, isValidSlackRequest({ signingSecret: given.secret, body: given.body, headers })]))));
        """, {"secret": SECRET, "body": body.decode(), "cases": cases})
        ours = {name: call("POST", f"{self.world.url}/v1/chat/{trigger}", body, headers={"Content-Type": "application/x-www-form-urlencoded", **headers}).status == 200 for name, headers in cases.items()}
        self.assertEqual(ours, bolt)
        self.assertEqual([name for name, taken in ours.items() if taken], ["right"])

    def test_a_hook_takes_what_the_reference_of_standard_webhooks_signs(self):
        secret = "whsec_" + base64.b64encode(b"a key of twenty-four b..").decode()
        self.credential("signing", {"secret": secret})
        self.world.deploy("hooked", "do:\n  - note: { set: { a: 1 } }\n")
        self.world.run("apply", "-f", self.world.write("hook.yaml", "kind: Trigger\nname: hook\ndeployment: hooked\ntype: event\nevent: { webhook: { signature: standard-webhooks, credentials: signing } }\n"))
        body = '{"type":"order.paid","note":"grüße"}'
        headers = self.node("""
            const { Webhook } = require('standardwebhooks');
            const given = JSON.parse(require('fs').readFileSync(0));
            const now = new Date();
            console.log(JSON.stringify({ 'webhook-id': 'msg_1', 'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
                                         'webhook-signature': new Webhook(given.secret).sign('msg_1', now, given.body) }));
        """, {"secret": secret, "body": body})
        url = f"{self.world.url}/v1/hooks/hook"
        started = call("POST", url, body.encode(), headers=headers)
        self.assertEqual(started.status, 202, started.body)
        self.assertEqual(self.world.job(started.json["jobUid"])["input"], {"type": "order.paid", "note": "grüße"})
        self.assertEqual(call("POST", url, body.encode().replace(b"paid", b"sent"), headers=headers).status, 401)

    def test_the_reference_of_standard_webhooks_takes_what_a_notifier_sends(self):
        secret = "whsec_" + base64.b64encode(b"a key of twenty-four b..").decode()
        self.credential("signing", {"secret": secret})
        receiver = self.world.receiver()
        self.world.agent()
        trigger = self.world.deploy("told", "do:\n  - answer: { set: { reply: grüße } }\n", notifiers=f"""kind: Notifier
name: told
trigger: told-api
on: [ success ]
type: chat
chat: {{ platform: webhook, conversation: room-1, baseUrl: "{receiver.url}/hook", secret: signing, message: "${{ .output.reply }}" }}
""")
        self.world.ended(self.world.trigger(trigger))
        sent = wait_for("the message", lambda: receiver.at("/hook"))[0]
        verdict = self.node("""
            const { Webhook } = require('standardwebhooks');
            const given = JSON.parse(require('fs').readFileSync(0));
            const judge = (secret, body) => { try { return new Webhook(secret).verify(body, given.headers).text; } catch (error) { return error.name + ': ' + error.message; } };
            console.log(JSON.stringify([judge(given.secret, given.body), judge(given.secret, given.body + ' '), judge('whsec_' + Buffer.from('another').toString('base64'), given.body)]));
        """, {"secret": secret, "body": sent["body"].decode(), "headers": {name.lower(): value for name, value in sent["headers"].items()}})
        self.assertEqual(verdict[0], "grüße")
        for refused in verdict[1:]:
            self.assertIn("signature", refused.lower())


if __name__ == "__main__":
    unittest.main()
