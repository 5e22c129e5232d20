"""Chat calls through the real programs: a person says something, a platform calls as its documentation says, the job runs on a real agent, and its answer
lands in the same conversation at a stand-in of the platform."""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time
import unittest
import urllib.parse

from mill import Test, World, call, wait_for

REPLY = """input: { schema: { document: { type: object, required: [ order ], properties: { order: { type: string, maxLength: 20 } } } } }
do:
  - answer: { set: { reply: '${ "Order \\(.order) is sent." }' } }
"""
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
TEAMS_KEY = b"thirty-two bytes that Teams made"


class ChatCalls(Test):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.world = World()
        cls.addClassCleanup(cls.world.__exit__, None, None, None)
        cls.world.start_factory()
        cls.world.agent()
        cls.receiver = cls.world.receiver()
        cls.credential("slack-signing", "hmac", {"secret": SLACK_SECRET})
        cls.credential("teams-signing", "hmac", {"secret": base64.b64encode(TEAMS_KEY).decode()})
        cls.credential("bot", "bearer", {"token": "xoxb-1"})
        cls.credential("flow", "webhook", {"url": f"{cls.receiver.url}/flow?sig=very-secret-sig"})
        cls.credential("cai", "sap-cai", {"tokenUrl": f"{cls.receiver.url}/oauth/token", "clientId": "id", "clientSecret": "a-client-secret", "botToken": "a-bot-token"})
        cls.receiver.answers["/oauth/token"] = lambda *_: (200, {"access_token": "oauth-1", "expires_in": 3600, "token_type": "bearer"})
        cls.receiver.answers["/connect/"] = lambda *_: (201, {"results": None, "message": "Messages successfully posted"})
        cls.receiver.answers["/api/chat.postMessage"] = lambda *_: (200, {"ok": True, "ts": "18.0"})

    @classmethod
    def credential(cls, name, kind, value):
        cls.world.run("credentials", "set", name, "--kind", kind, "--json-file", "-", input=json.dumps(value))

    def deploy(self, name, chat, notifier):
        """A trigger that takes chat calls, and a notifier into the conversation; the address and a token."""
        lines = "".join(f"  {line}\n" for line in notifier.strip().split("\n"))
        trigger = self.world.deploy(name, REPLY, trigger=f"chat: {json.dumps(chat)}\n",
                                    notifiers=f"kind: Notifier\nname: {name}-told\ntrigger: {name}-api\non: [ success ]\ntype: chat\nchat:\n{lines}  message: '${{ .output.reply }}'\n")
        return f"{self.world.url}/v1/chat/{trigger}", self.world.run("triggers", "token", trigger).stdout.strip()

    def landed(self, path, count=1):
        return wait_for(f"the answer at {path}", lambda: self.receiver.at(path) if len(self.receiver.at(path)) >= count else None)

    def slack(self, url, body, form=True, secret=SLACK_SECRET, ago=0):
        data = (urllib.parse.urlencode(body) if form else json.dumps(body)).encode()
        stamp = str(int(time.time()) - ago)
        signature = "v0=" + hmac.new(secret.encode(), f"v0:{stamp}:".encode() + data, hashlib.sha256).hexdigest()
        return call("POST", url, data, headers={"Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
                                                "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature})

    def jobs(self, name):
        return self.world.api("GET", f"/v1/jobs?trigger={name}-api").json["items"]

    def test_slack_a_slash_command_and_a_mention_in_a_thread(self):
        url, _ = self.deploy("slack", {"platform": "slack", "credentials": "slack-signing", "input": "${ {order: .text} }", "reply": "Looking for ${ .text }."},
                             f"platform: slack\nconversation: '${{ .invocationContext.conversationId }}'\ncredentials: bot\nbaseUrl: {self.receiver.url}")
        command = {"command": "/order", "text": "4711", "channel_id": "C42", "user_id": "U1", "user_name": "ada", "trigger_id": "13.7.a", "token": "old-verification"}
        answer = self.slack(url, command)
        self.assertEqual((answer.status, answer.json), (200, {"response_type": "ephemeral", "text": "Looking for 4711."}))
        sent = json.loads(self.landed("/api/chat.postMessage")[0]["body"])
        self.assertEqual((sent["channel"], sent["text"]), ("C42", "Order 4711 is sent."))
        self.assertNotIn("thread_ts", sent)

        self.assertEqual(self.slack(url, {"type": "url_verification", "challenge": "c-1"}, form=False).json, {"challenge": "c-1"})
        mention = {"type": "event_callback", "event_id": "Ev1", "event": {"type": "app_mention", "user": "U1", "text": "<@U9> 4712", "ts": "17.5", "channel": "C42"}}
        self.assertEqual(self.slack(url, mention, form=False).status, 200)
        self.assertEqual(self.slack(url, mention, form=False).status, 200)   # Slack sends again what it thinks was not heard
        sent = json.loads(self.landed("/api/chat.postMessage", 2)[1]["body"])
        self.assertEqual((sent["channel"], sent["thread_ts"], sent["text"]), ("C42", "17.5", "Order 4712 is sent."))
        self.assertEqual(len(self.jobs("slack")), 2)

        # Forged, old, another's: the same answer as where there is nothing, and no job.
        nothing = self.slack(self.world.url + "/v1/chat/nothing-here", command)
        for answer in (self.slack(url, command, secret="guessed"), self.slack(url, command, ago=400), call("POST", url, b"command=%2Fx", headers={"Content-Type": "application/x-www-form-urlencoded"})):
            self.assertEqual((answer.status, answer.body), (401, nothing.body))
        self.assertEqual(len(self.jobs("slack")), 2)
        # What is wrong with what was said, the person reads.
        long_one = self.slack(url, {**command, "text": "x" * 30, "trigger_id": "2"})
        self.assertEqual(long_one.status, 200)
        self.assertIn("/order", long_one.json["text"])
        shown = self.world.run("triggers", "show", "slack-api").stdout
        self.assertIn(url, shown)
        self.assertRegex(shown, r"refused +3 since")
        self.runs_as_it_stands(shown, {"SECRET": SLACK_SECRET}, "Looking for hello.")
        everything = self.world.factory.log.read_text() + shown + json.dumps(self.world.api("GET", "/v1/audit").json)
        for secret in (SLACK_SECRET, "old-verification", "guessed"):
            self.assertNotIn(secret, everything)

    def test_teams_an_outgoing_webhook(self):
        url, _ = self.deploy("teams", {"platform": "teams", "credentials": "teams-signing", "input": {"order": "${ .text }"}, "reply": "Looking, ${ .user.name }."},
                             "platform: teams\ncredentials: flow")

        def send(key=TEAMS_KEY, ago=0, **more):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - ago))
            data = json.dumps({"type": "message", "id": "148", "timestamp": stamp, "from": {"id": "29:1", "name": "Ada"}, "text": "<at>Mill</at>&nbsp;4713\n",
                               "conversation": {"id": "19:abc@thread.tacv2;messageid=147"}, **more}).encode()
            return call("POST", url, data, headers={"Authorization": "HMAC " + base64.b64encode(hmac.new(key, data, hashlib.sha256).digest()).decode()})

        self.assertEqual(send().json, {"type": "message", "text": "Looking, Ada."})
        card = json.loads(self.landed("/flow")[0]["body"])["attachments"][0]["content"]
        self.assertIn("Order 4713 is sent.", json.dumps(card))
        self.assertEqual(self.world.job(self.jobs("teams")[0]["uid"])["invocationContext"]["conversationId"], "19:abc@thread.tacv2:147")
        self.assertEqual([send(key=b"guessed").status, send(ago=400).status], [401, 401])
        self.assertEqual(send(conversation={}).status, 400)
        self.assertEqual(len(self.jobs("teams")), 1)
        self.runs_as_it_stands(self.world.run("triggers", "show", "teams-api").stdout, {"SECRET": base64.b64encode(TEAMS_KEY).decode()}, "Looking, .")

    def test_sap_conversational_ai(self):
        url, token = self.deploy("cai", {"platform": "sap-cai", "input": {"order": "${ .entities.order }"}},
                                 f"platform: sap-cai\nconversation: '${{ .invocationContext.conversationId }}'\ncredentials: cai\nbaseUrl: {self.receiver.url}")
        body = {"conversation": {"id": "c-9", "language": "en", "memory": {"seen": 1}, "skill": "orders"},
                "nlp": {"uuid": "n-1", "source": "where is 4714", "entities": {"order": [{"raw": "4714", "confidence": 0.9}]}}}
        basic = "Basic " + base64.b64encode(f"bot:{token}".encode()).decode()
        answer = call("POST", url, body, headers={"Authorization": basic})
        self.assertEqual((answer.status, answer.json), (200, {"replies": [{"type": "text", "content": "I am on it."}], "conversation": {"language": "en", "memory": {"seen": 1}}}))
        sent = self.landed("/connect/v1/conversations/c-9/messages")[0]
        self.assertEqual(json.loads(sent["body"]), {"messages": [{"type": "text", "content": "Order 4714 is sent."}]})
        self.assertEqual(call("POST", url, {**body, "conversation": {"id": "{{conversation_id}}"}}, token=token).status, 400)

    def test_rasa_botpress_and_any_program(self):
        conversation = "conversation: '${ .invocationContext.conversationId }'"
        url, token = self.deploy("rasa", {"platform": "rasa", "input": {"order": "${ .entities.order }"}}, f"platform: rasa\n{conversation}\nbaseUrl: {self.receiver.url}/rasa\ncredentials: bot")
        answer = call("POST", f"{url}/{token}", {"next_action": "action_order", "sender_id": "s-1", "version": "3.6", "domain": {},
                                                 "tracker": {"sender_id": "s-1", "slots": {}, "latest_message": {"text": "4715?", "message_id": "m", "entities": [{"entity": "order", "value": "4715"}]}}})
        self.assertEqual(answer.json, {"events": [], "responses": [{"text": "I am on it."}]})
        sent = self.landed("/rasa/conversations/s-1/trigger_intent")[0]
        self.assertEqual(json.loads(sent["body"])["entities"]["text"], "Order 4715 is sent.")

        url, token = self.deploy("botpress", {"platform": "botpress", "input": {"order": "${ .text }"}}, f"platform: botpress\n{conversation}\nbaseUrl: {self.receiver.url}/bp\ncredentials: bot\nbot: b-1\nuser: u-1")
        answer = call("POST", url, {"id": "m-1", "type": "text", "direction": "incoming", "conversationId": "conv_1", "userId": "user_1", "payload": {"text": "4716"}}, token=token)
        self.assertEqual(answer.json, {"type": "text", "payload": {"text": "I am on it."}})
        sent = json.loads(self.landed("/bp/v1/chat/messages")[0]["body"])
        self.assertEqual((sent["conversationId"], sent["payload"]["text"]), ("conv_1", "Order 4716 is sent."))

        url, token = self.deploy("room", {"platform": "webhook", "input": {"order": "${ .text }"}, "reply": "${ .job.uid }"}, f"platform: webhook\n{conversation}\nbaseUrl: {self.receiver.url}/room")
        answer = call("POST", url, {"conversation": "room-1", "text": "4717", "id": "e-1"}, token=token)
        self.assertEqual(answer.json["text"], answer.json["jobUid"])
        sent = json.loads(self.landed("/room")[0]["body"])
        self.assertEqual((sent["conversation"], sent["text"]), ("room-1", "Order 4717 is sent."))
        # The same again, and after a restart of the factory, is the same job.
        self.world.factory.kill()
        self.world.start_factory()
        self.assertEqual(call("POST", url, {"conversation": "room-1", "text": "4717", "id": "e-1"}, token=token).json["jobUid"], answer.json["jobUid"])
        # Bounds, in front of and behind the token.
        self.assertEqual(call("POST", url, b"x" * (1024 * 1024 + 1), token=token).status, 413)
        self.assertEqual(call("POST", url, b"{}", token=token, headers={"Content-Type": "text/plain"}).status, 415)
        self.assertEqual(call("POST", url, {"conversation": "room-1", "txt": "a typo"}, token=token).status, 400)
        refused = call("POST", f"{url}/{token[:-2]}xx", {"conversation": "room-1"})
        self.assertEqual(refused.status, 401)
        self.runs_as_it_stands(self.world.run("triggers", "show", "room-api").stdout, {"TOKEN": token}, '"jobUid":')
        log = "".join(program.log.read_text() for program in self.world.programs if program.name == "factory")
        self.assertNotIn(token.rsplit("_", 1)[1], log)
        self.assertNotIn(token.rsplit("_", 1)[1][:-2], log)

    def runs_as_it_stands(self, shown, environment, expected):
        """What `triggers show` prints last, in a shell."""
        example = shown.split("\n\n")[4].strip()
        done = subprocess.run(["bash", "-c", example], capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environment}, timeout=60)
        self.assertIn(expected, done.stdout, f"{example}\n{done.stderr}")


if __name__ == "__main__":
    unittest.main()
