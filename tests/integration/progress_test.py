"""A chat's message about a job's start becomes the one about its end: Slack's chat.update, the bot connector's PUT. And the bot connector itself."""
import json
import unittest
import urllib.parse

from mill import FactoryTest, wait_for

# Slow enough that its start is told before its end.
SLOW = "do:\n  - rest: { wait: { milliseconds: 1500 } }\n  - answer: { set: { status: sent } }\n"


class Slack:
    """chat.postMessage and chat.update as Slack documents them."""

    def __init__(self, receiver):
        self.messages, self.posts, self.updates, self.refuse_update = {}, 0, 0, None
        receiver.answers["/api/chat.postMessage"] = self.post
        receiver.answers["/api/chat.update"] = self.update

    def post(self, path, headers, body):
        message = json.loads(body)
        if headers.get("Authorization") != "Bearer xoxb-1" or "ts" in message:
            return 200, {"ok": False, "error": "invalid_auth" if "ts" not in message else "invalid_arguments"}
        self.posts += 1
        ts = f"18.{self.posts}"
        self.messages[ts] = message
        return 200, {"ok": True, "channel": "C0FULLID", "ts": ts, "message": {"text": message["text"], "padding": "x" * 5000}}

    def update(self, path, headers, body):
        message = json.loads(body)
        if self.refuse_update:
            return 200, {"ok": False, "error": self.refuse_update}
        if message.get("channel") != "C0FULLID" or message.get("ts") not in self.messages:
            return 200, {"ok": False, "error": "message_not_found"}
        if "thread_ts" in message:
            return 200, {"ok": False, "error": "invalid_arguments"}
        self.updates += 1
        self.messages[message["ts"]] = message
        return 200, {"ok": True, "channel": "C0FULLID", "ts": message["ts"], "text": message["text"]}


class Progress(FactoryTest):
    def credential(self, name, kind, value):
        self.world.run("credentials", "set", name, "--kind", kind, "--json-file", "-", input=json.dumps(value))

    def deploy(self, chat, workflow=SLOW):
        document = {"kind": "Notifier", "name": "told", "trigger": "slow-api", "on": ["start", "success"], "type": "chat", "chat": chat}
        return self.world.deploy("slow", workflow, notifiers=json.dumps(document))

    def slack(self):
        self.credential("bot", "bearer", {"token": "xoxb-1"})
        slack = Slack(self.receiver)
        self.trigger = self.deploy({"platform": "slack", "progress": "edit", "conversation": "${ .invocationContext.conversationId }", "credentials": "bot", "baseUrl": self.receiver.url,
                                    "messages": {"start": {"title": "Working", "text": "on it"}, "success": "It is ${ .output.status }."}})
        return slack

    def delivered(self, uid, count=2):
        return wait_for("the deliveries", lambda: (lambda d: d if len(d) == count and all(each["state"] == "delivered" for each in d) else None)(self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]), 40)

    def test_slack_shows_one_message_that_changes_across_a_kill(self):
        slack = self.slack()
        self.world.agent()
        uid = self.world.trigger(self.trigger, context={"conversationId": "C42:17.5"})
        wait_for("the start", lambda: slack.posts)
        wait_for("its record", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if d["state"] == "delivered"])
        self.assertEqual(slack.messages["18.1"]["thread_ts"], "17.5")
        self.assertTrue(slack.messages["18.1"]["blocks"])
        self.world.factory.kill()
        self.world.start_factory()
        self.world.ended(uid)
        self.delivered(uid)
        self.assertEqual((slack.posts, slack.updates), (1, 1))
        self.assertEqual((slack.messages["18.1"]["text"], slack.messages["18.1"]["blocks"]), ("It is sent.", []))
        second = self.world.trigger(self.trigger, context={"conversationId": "C42:17.5"})   # another job has a message of its own
        self.world.ended(second)
        self.delivered(second)
        self.assertEqual((slack.posts, slack.updates), (2, 2))

    def test_a_message_that_slack_lets_not_be_edited_is_said_anew(self):
        slack = self.slack()
        slack.refuse_update = "edit_window_closed"
        self.world.agent()
        uid = self.world.trigger(self.trigger, context={"conversationId": "C42"})
        self.world.ended(uid)
        self.delivered(uid)
        self.assertEqual((slack.posts, slack.updates), (2, 0))
        self.assertEqual(slack.messages["18.2"]["text"], "It is sent.")

    def test_only_platforms_that_can_are_asked_to(self):
        self.world.deploy("slow", SLOW)
        document = {"kind": "Notifier", "name": "told", "trigger": "slow-api", "on": ["start"], "type": "chat",
                    "chat": {"platform": "rasa", "progress": "edit", "conversation": "c", "baseUrl": self.receiver.url, "message": "x"}}
        done = self.world.run("apply", "-f", self.world.write("told.json", json.dumps(document)), check=False)
        self.assertIn("edit is for slack and teams-bot", done.stderr)

    def test_the_bot_connector_gets_the_answer_where_the_call_came_from_and_nowhere_else(self):
        activities, asked = {}, []

        def token(path, headers, body):
            form = dict(urllib.parse.parse_qsl(body.decode()))
            asked.append(form)
            right = form == {"grant_type": "client_credentials", "client_id": "app-id", "client_secret": "app-secret", "scope": "https://api.botframework.com/.default"}
            return (200, {"token_type": "Bearer", "expires_in": 3599, "access_token": "tok-1"}) if right and "Authorization" not in headers else (400, {"error": "invalid_client", "error_description": "AADSTS7000215"})

        def connector(path, headers, body):
            parts = path.split("/")
            activity = json.loads(body)
            if headers.get("Authorization") != "Bearer tok-1":
                return 401, {"error": {"code": "Unauthorized"}}
            if parts[:4] != ["", "emea", "v3", "conversations"] or parts[5] != "activities" or urllib.parse.unquote(parts[4]) != "19:abc@thread.tacv2;messageid=148" or activity["type"] != "message":
                return 400, {"error": {"code": "BadSyntax", "message": path}}
            id = parts[6] if len(parts) > 6 else f"a{len(activities) + 1}"
            activities[id] = activity
            return (200 if len(parts) > 6 else 201), {"id": id}

        self.receiver.answers["/oauth"], self.receiver.answers["/emea/"] = token, connector
        self.credential("teams-app", "oauth", {"tokenUrl": self.receiver.url + "/oauth", "clientId": "app-id", "clientSecret": "app-secret"})
        self.world.agent()
        trigger = self.deploy({"platform": "teams-bot", "progress": "edit", "conversation": "${ .invocationContext.conversationId }", "credentials": "teams-app", "serviceHosts": [self.receiver.url],
                               "messages": {"start": "Working", "success": {"title": "Done", "text": "${ .output.status }"}}})
        replies = {"conversationId": "19:abc@thread.tacv2:148", "replyTo": {"conversation": "19:abc@thread.tacv2;messageid=148", "serviceUrl": self.receiver.url + "/emea/"}}
        uid = self.world.trigger(trigger, context=replies)
        self.world.ended(uid)
        self.delivered(uid)
        self.assertEqual(list(activities), ["a1"])
        card = activities["a1"]["attachments"][0]["content"]
        self.assertEqual([block["text"] for block in card["body"]], ["Done", "sent"])
        self.assertEqual(len(asked), 1)
        # A call that names another service does not get the bot's token there.
        elsewhere = self.world.receiver()
        uid = self.world.trigger(trigger, context={**replies, "replyTo": {"serviceUrl": elsewhere.url + "/emea/"}})
        self.world.ended(uid)
        dead = wait_for("the refusals", lambda: (lambda d: d if d and all(each["state"] == "dead" for each in d) else None)(self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]))
        self.assertIn("is not one of the notifier's serviceHosts", dead[0]["error"])
        self.assertEqual(elsewhere.calls, [])
        self.assertNotIn("app-secret", json.dumps(self.world.api("GET", "/v1/deliveries").json))


if __name__ == "__main__":
    unittest.main()
