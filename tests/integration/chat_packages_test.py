"""What comes in and goes out, judged by others' code: Slack's own framework (@slack/bolt), the reference of Standard Webhooks, the SDK of CloudEvents
and Microsoft's of bots.

Needs the npm packages in the folder that MILL_NODE_MODULES names: `npm install --prefix FOLDER standardwebhooks @slack/bolt cloudevents botbuilder` and
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
import urllib.parse

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

    @unittest.skipUnless((pathlib.Path(MODULES) / "cloudevents").exists(), "cloudevents is not installed (npm)")
    def test_the_sdk_of_cloudevents_reads_what_notifiers_and_callbacks_send(self):
        receiver = self.world.receiver()
        self.world.agent()
        trigger = self.world.deploy("told", "do:\n  - answer: { set: { reply: grüße } }\n", trigger=f'callbacks: [ "{receiver.url}/back/*" ]\n', notifiers=f"""kind: Notifier
name: told
trigger: told-api
on: [ start, success ]
type: api
api: {{ url: "{receiver.url}/hook" }}
""")
        reply = self.world.api("POST", f"/v1/triggers/{trigger}/runs", {"input": {"order": 1}, "callbackUrl": receiver.url + "/back/1"})
        uid = reply.json["jobUid"]
        self.world.ended(uid)
        wait_for("all", lambda: len(receiver.at("/hook")) == 2 and receiver.at("/back/1"))
        sent = [*receiver.at("/hook"), *receiver.at("/back/1")]
        events = self.node("""
            const { HTTP } = require('cloudevents');
            const given = JSON.parse(require('fs').readFileSync(0));
            console.log(JSON.stringify(given.map(({ headers, body }) => {
                const event = HTTP.toEvent({ headers, body });
                event.validate();
                return { ...event.toJSON(), whole: HTTP.isEvent({ headers, body }) };
            })));
        """, [{"headers": {name.lower(): value for name, value in each["headers"].items()}, "body": each["body"].decode()} for each in sent])
        self.assertEqual([event["type"] for event in events], ["io.millwright.job.start", "io.millwright.job.success", "io.millwright.job.success"])
        for event in events:
            self.assertTrue(event["whole"])
            self.assertEqual((event["specversion"], event["subject"], event["data"]["job"]["uid"]), ("1.0", uid, uid))
        self.assertEqual(events[2]["data"]["output"], {"reply": "grüße"})
        self.assertEqual(len({event["id"] for event in events}), 3)

    @unittest.skipUnless((pathlib.Path(MODULES) / "botbuilder").exists(), "botbuilder is not installed (npm)")
    def test_the_bot_connector_gets_what_microsofts_own_client_would_send(self):
        receiver = self.world.receiver()
        receiver.answers["/oauth"] = lambda *_: (200, {"access_token": "tok-1", "expires_in": 3599})
        receiver.answers["/v3/"] = lambda path, headers, body: (200, {"id": "a1"})
        self.world.run("credentials", "set", "teams-app", "--kind", "oauth", "--json-file", "-", input=json.dumps({"tokenUrl": receiver.url + "/oauth", "clientId": "a", "clientSecret": "app-secret"}))
        self.world.agent()
        document = {"kind": "Notifier", "name": "told", "trigger": "told-api", "on": ["start", "success"], "type": "chat",
                    "chat": {"platform": "teams-bot", "progress": "edit", "conversation": "${ .invocationContext.conversationId }", "credentials": "teams-app", "serviceHosts": [receiver.url],
                             "messages": {"start": "Working", "success": {"title": "Done", "text": "${ .output.reply }", "buttons": [{"title": "Look", "url": "https://x.example/"}, {"title": "Again", "value": "again"}]}}}}
        trigger = self.world.deploy("told", "do:\n  - rest: { wait: { milliseconds: 1500 } }\n  - answer: { set: { reply: grüße } }\n", notifiers=json.dumps(document))
        conversation = "19:abc@thread.tacv2;messageid=148"
        self.world.ended(self.world.trigger(trigger, context={"conversationId": "19:abc@thread.tacv2:148", "replyTo": {"serviceUrl": receiver.url + "/"}}))
        wait_for("both", lambda: len(receiver.at("/v3/")) == 2)
        ours = list(receiver.at("/v3/"))
        self.node("""
            const { assertActivity } = require('botframework-schema');
            const { ConnectorClient } = require('botframework-connector');
            const { CardFactory, MessageFactory } = require('botbuilder');
            const given = JSON.parse(require('fs').readFileSync(0));
            for (const body of given.bodies) {
                // What a service adds before a bot may see it.
                assertActivity({ ...body, text: '', timestamp: new Date(), localTimezone: 'UTC', callerId: '', serviceUrl: given.url, listenFor: [], label: 'l', valueType: '', channelId: 'msteams',
                                 from: { id: '28:a', name: 'bot' }, conversation: { id: given.conversation, isGroup: true, conversationType: 'channel', name: 'c' }, recipient: { id: 'r', name: 'r' } });
                const same = MessageFactory.attachment(CardFactory.adaptiveCard(body.attachments[0].content));
                if (same.type !== body.type || same.attachments[0].contentType !== body.attachments[0].contentType) throw new Error('another form: ' + JSON.stringify(same));
            }
            const credentials = { signRequest: async (request) => { request.headers.set('authorization', 'Bearer tok-1'); return request; } };
            (async () => {
                const client = new ConnectorClient(credentials, { baseUri: given.url });
                await client.conversations.sendToConversation(given.conversation, given.bodies[0]);
                await client.conversations.updateActivity(given.conversation, 'a1', given.bodies[1]);
                console.log('true');
            })();
        """, {"bodies": [json.loads(each["body"]) for each in ours], "conversation": conversation, "url": receiver.url})
        theirs = receiver.at("/v3/")[2:]
        seen = lambda calls: [(each["method"], urllib.parse.unquote(each["path"]), each["headers"].get("authorization") or each["headers"].get("Authorization"), json.loads(each["body"])) for each in calls]
        self.assertEqual(seen(ours), seen(theirs))


if __name__ == "__main__":
    unittest.main()
