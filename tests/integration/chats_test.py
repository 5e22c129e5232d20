"""Chat notifiers through the real programs, to stand-ins that check what they get as strictly as the platforms' documentation says."""
import base64
import hashlib
import hmac
import json
import unittest

from mill import Test, World, wait_for

REPLY = "do:\n  - answer: { set: { order: '4711', status: sent } }\n"
MESSAGE = """
  title: "Order ${ .output.order }"
  text: "is ${ .output.status }"
  buttons: [ { title: Look, url: "https://x.example/o" } ]
"""


class Chats(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.world.__enter__()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.world.agent()
        self.receiver = self.world.receiver()

    def credential(self, name, kind, value):
        self.world.run("credentials", "set", name, "--kind", kind, "--json-file", "-", input=json.dumps(value))

    def told(self, chat, until=lambda d: d["state"] == "delivered"):
        """Runs a job whose notifier is `chat`; the delivery, when it is in the state that is waited for."""
        self.number = getattr(self, "number", 0) + 1
        name = f"reply{self.number}"
        lines = "".join(f"  {line}\n" for line in chat.strip("\n").split("\n"))
        trigger = self.world.deploy(name, REPLY, notifiers=f"kind: Notifier\nname: told{self.number}\ntrigger: {name}-api\non: [ success ]\ntype: chat\nchat:\n{lines}")
        uid = self.world.trigger(trigger, context={"conversationId": "C42:17.5"})
        self.world.ended(uid)
        return wait_for("the delivery", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if until(d)])[0]

    def test_slack_gets_blocks_in_a_thread_and_its_refusals_are_told(self):
        self.credential("bot", "bearer", {"token": "xoxb-1"})
        answers = [{"ok": False, "error": "internal_error"}, {"ok": True, "channel": "C42", "ts": "18.0"}]

        def slack(path, headers, body):
            message = json.loads(body)
            if headers.get("Authorization") != "Bearer xoxb-1":
                return 200, {"ok": False, "error": "invalid_auth"}
            if not headers.get("Content-Type", "").startswith("application/json") or not message.get("text"):
                return 200, {"ok": False, "error": "no_text"}
            if any(block["type"] not in ("section", "actions", "image") for block in message.get("blocks", [])):
                return 200, {"ok": False, "error": "invalid_blocks"}
            return 200, answers.pop(0)

        self.receiver.answers["/api/chat.postMessage"] = slack
        delivery = self.told(f"platform: slack\nconversation: '${{ .invocationContext.conversationId }}'\ncredentials: bot\nbaseUrl: {self.receiver.url}\nmessage:{MESSAGE}")
        sent = json.loads(self.receiver.at("/api/chat.postMessage")[-1]["body"])
        self.assertEqual((sent["channel"], sent["thread_ts"], sent["text"]), ("C42", "17.5", "Order 4711\nis sent\nLook: https://x.example/o"))
        self.assertEqual([block["type"] for block in sent["blocks"]], ["section", "actions"])
        tries = self.world.api("GET", f"/v1/deliveries/{delivery['id']}").json["attempts"]
        self.assertIn("internal_error", tries[0]["error"])
        self.assertEqual(tries[0]["response"]["status"], 200)
        self.assertNotIn("xoxb-1", json.dumps(tries))

    def test_slacks_final_refusal_ends_the_delivery_with_its_reason(self):
        self.credential("bot", "bearer", {"token": "xoxb-1"})
        self.receiver.answers["/api/chat.postMessage"] = lambda *_: (200, {"ok": False, "error": "channel_not_found"})
        delivery = self.told(f"platform: slack\nconversation: C42\ncredentials: bot\nbaseUrl: {self.receiver.url}\nmessage: hi", until=lambda d: d["state"] not in ("pending", "delivered"))
        self.assertIn("channel_not_found", delivery["error"])
        self.assertEqual(len(self.receiver.at("/api/chat.postMessage")), 1)

    def test_a_teams_workflow_gets_a_card_and_its_address_is_shown_nowhere(self):
        self.credential("flow", "webhook", {"url": f"{self.receiver.url}/workflows/1?sig=very-secret-sig"})
        self.receiver.answers["/workflows/1"] = lambda path, headers, body: (202, {}) if path.endswith("?sig=very-secret-sig") and json.loads(body)["attachments"] else (400, {})
        delivery = self.told(f"platform: teams\ncredentials: flow\nmessage:{MESSAGE}")
        card = json.loads(self.receiver.at("/workflows/1")[0]["body"])["attachments"][0]
        self.assertEqual((card["contentType"], card["content"]["type"]), ("application/vnd.microsoft.card.adaptive", "AdaptiveCard"))
        self.assertNotIn("very-secret-sig", json.dumps(self.world.api("GET", f"/v1/deliveries/{delivery['id']}").json))
        self.assertNotIn("very-secret-sig", self.world.run("credentials").stdout)

    def test_a_webhook_is_signed_and_rasa_and_botpress_get_theirs(self):
        self.credential("signing", "hmac", {"secret": "whsec_" + base64.b64encode(b"key").decode()})
        self.credential("bot", "bearer", {"token": "a-token"})
        self.told(f"platform: webhook\nconversation: room-1\nbaseUrl: {self.receiver.url}/hook\nsecret: signing\nmessage: hi")
        call = self.receiver.at("/hook")[0]
        headers = {name.lower(): value for name, value in call["headers"].items()}
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + call["body"]
        self.assertEqual(headers["webhook-signature"], "v1," + base64.b64encode(hmac.new(b"key", signed, hashlib.sha256).digest()).decode())
        self.assertEqual(json.loads(call["body"])["conversation"], "room-1")
        self.told(f"platform: rasa\nconversation: room-1\nbaseUrl: {self.receiver.url}/rasa\ncredentials: bot\nmessage: hi")
        self.assertEqual(self.receiver.at("/rasa")[0]["path"], "/rasa/conversations/room-1/trigger_intent?output_channel=latest&token=a-token")
        self.told(f"platform: botpress\nconversation: room-1\nbaseUrl: {self.receiver.url}/bp\ncredentials: bot\nbot: b-1\nuser: u-1\nmessage: hi")
        call = self.receiver.at("/bp")[0]
        self.assertEqual({name.lower(): value for name, value in call["headers"].items()}["x-bot-id"], "b-1")
        self.assertEqual(json.loads(call["body"])["payload"], {"text": "hi"})


if __name__ == "__main__":
    unittest.main()
