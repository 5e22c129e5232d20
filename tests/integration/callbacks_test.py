"""A caller of a trigger names the address that is told of the end of its job, from the trigger's list."""
import base64
import hashlib
import hmac
import json
import unittest

from mill import FactoryTest, wait_for

SECRET = "whsec_" + base64.b64encode(b"a key of twenty-four b..").decode()


class Callbacks(FactoryTest):
    def setUp(self):
        super().setUp()
        self.world.run("credentials", "set", "signing", "--kind", "hmac", "--json-file", "-", input=json.dumps({"secret": SECRET}))
        self.trigger = self.world.deploy("reply", "do:\n  - answer: { set: { reply: hi } }\n",
                                         trigger=f'callbacks: [ "{self.receiver.url}/hooks/*", "https://tickets.example.com/done" ]\ncallbackSecret: signing\n')

    def call(self, url, key=None, **more):
        return self.world.api("POST", f"/v1/triggers/{self.trigger}/runs", {"input": {}, "callbackUrl": url, **more}, headers={"Idempotency-Key": key} if key else None)

    def test_the_end_is_told_once_signed_and_stands_among_the_jobs_deliveries(self):
        self.world.agent()
        reply = self.call(self.receiver.url + "/hooks/42?x=1", key="k1")
        self.assertEqual(reply.status, 202, reply.body)
        again = self.call(self.receiver.url + "/hooks/42?x=1", key="k1")
        self.assertEqual(again.json["jobUid"], reply.json["jobUid"])
        self.assertEqual(self.call(self.receiver.url + "/hooks/43", key="k1").status, 422)   # another address is another call
        uid = reply.json["jobUid"]
        self.world.ended(uid)
        delivery = wait_for("the delivery", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if d["state"] == "delivered"])[0]
        self.assertEqual((delivery["notifier"], delivery["on"]), ("callback/reply-api", "success"))
        sent = self.receiver.at("/hooks/42?x=1")
        self.assertEqual(len(sent), 1)
        event, headers = json.loads(sent[0]["body"]), {name.lower(): value for name, value in sent[0]["headers"].items()}
        self.assertEqual((event["type"], event["subject"], event["data"]["output"]), ("io.millwright.job.success", uid, {"reply": "hi"}))
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + sent[0]["body"]
        self.assertEqual(headers["webhook-signature"], "v1," + base64.b64encode(hmac.new(base64.b64decode(SECRET[6:]), signed, hashlib.sha256).digest()).decode())
        self.assertIn("callback/reply-api", self.world.run("deliveries", uid).stdout)

    def test_an_address_that_the_trigger_does_not_allow_is_refused_before_a_job_is_made(self):
        for url in ("http://127.0.0.1:1/hooks/42", self.receiver.url + "/other", self.receiver.url + "/hooks/../admin", self.receiver.url + "/hooks/%2e%2e/admin", self.receiver.url.replace("127.0.0.1", "127.0.0.1.example.com") + "/hooks/1",
                    "https://tickets.example.com/done2", "https://tickets.example.com:444/done", "ftp://tickets.example.com/done", self.receiver.url.replace("http://", "http://me@") + "/hooks/1", self.receiver.url + "/hooks/${ .output.reply }", "nonsense"):
            reply = self.call(url)
            self.assertEqual((reply.status, reply.json["type"].rsplit("/", 1)[-1] if "type" in reply.json else ""), (400, reply.json["type"].rsplit("/", 1)[-1]), url)
            self.assertIn("callbackUrl", reply.json["detail"], url)
        self.assertEqual(self.world.api("GET", "/v1/jobs").json["items"], [])
        plain = self.world.deploy("plain", "do:\n  - answer: { set: { a: 1 } }\n")
        refused = self.world.api("POST", f"/v1/triggers/{plain}/runs", {"callbackUrl": "https://tickets.example.com/done"})
        self.assertIn("has no 'callbacks'", refused.json["detail"])

    def test_it_survives_a_kill_between_call_and_end_and_one_that_fails_holds_up_no_other(self):
        self.receiver.answers["/hooks/bad"] = lambda *_: (500, {"message": "no"})
        uids = [self.call(self.receiver.url + "/hooks/bad").json["jobUid"] for _ in range(7)]
        good = self.call(self.receiver.url + "/hooks/good").json["jobUid"]
        self.world.factory.kill()
        self.world.start_factory()
        self.world.agent()
        for uid in [*uids, good]:
            self.world.ended(uid)
        wait_for("the good one", lambda: self.receiver.at("/hooks/good"))
        wait_for("all of the others", lambda: len({json.loads(c["body"])["subject"] for c in self.receiver.at("/hooks/bad")}) == 7)
        late = self.call(self.receiver.url + "/hooks/late").json["jobUid"]
        self.world.ended(late)
        wait_for("one after them", lambda: self.receiver.at("/hooks/late"))
        self.assertEqual(len(self.receiver.at("/hooks/good")), 1)

    def test_documents_that_would_let_a_caller_choose_the_host_are_refused(self):
        for line, words in (('callbacks: [ "https://*.example.com/x" ]', "in its path only"), ('callbacks: [ "https://*/x" ]', "in its path only"), ('callbacks: [ "example.com/x" ]', "callbacks"),
                            ('callbackSecret: signing', "of no use without"), ('callbacks: [ "https://example.com/x" ]\ncallbackSecret: nosuch', "'nosuch' is not there")):
            text = f"kind: Trigger\nname: other\ndeployment: reply\ntype: api\n{line}\n"
            done = self.world.run("apply", "-f", self.world.write("other.yaml", text), check=False)
            self.assertNotEqual(done.returncode, 0, line)
            self.assertIn(words, done.stderr, line)
        refused = self.world.api("DELETE", "/v1/credentials/signing")
        self.assertIn("Trigger 'reply-api'", refused.json["detail"])


if __name__ == "__main__":
    unittest.main()
