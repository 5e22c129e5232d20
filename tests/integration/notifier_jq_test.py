"""Notifiers whose templates are jq: compiled when saved, evaluated in a sandbox behind the transaction, stored before they are sent."""
import json
import pathlib
import sqlite3
import unittest

from mill import FactoryTest, NOBODY, wait_for

ITEMS = "do:\n  - answer: { set: { items: [ { id: a, n: 1 }, { id: ü, n: 2 } ], secretish: swordfish } }\n"


class Jq(FactoryTest):
    def notifier(self, name, api, when=None, on="[ success ]"):
        document = {"kind": "Notifier", "name": name, "trigger": "items-api", "on": ["success"] if on == "[ success ]" else on, "type": "api", "api": {"url": f"{self.receiver.url}/hook", **api}}
        if when:
            document["when"] = when
        return self.world.run("apply", "-f", self.world.write(f"{name}.json", json.dumps(document)), check=False)

    def deliveries(self, uid, count=1):
        return wait_for("the deliveries", lambda: (lambda found: found if len(found) >= count and all(d["state"] != "pending" for d in found) else None)(
            self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"]), 30)

    def test_a_body_of_jq_is_evaluated_and_what_was_sent_is_shown(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        done = self.notifier("told", {"body": {"ids": '${ .output.items | map(.id) | join(", ") }', "first": "${ .output.items[0] }", "sum": "${ [.output.items[].n] | add }", "none": "${ .output.items[7].id // null }"},
                                      "headers": {"X-Count": "${ .output.items | length }"}}, when="${ .output.items | length > 1 }")
        self.assertEqual(done.returncode, 0, done.stderr)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        delivery = self.deliveries(uid)[0]
        self.assertEqual(delivery["state"], "delivered", delivery)
        sent = self.receiver.at("/hook")[0]
        self.assertEqual(json.loads(sent["body"]), {"ids": "a, ü", "first": {"id": "a", "n": 1}, "sum": 3, "none": None})
        self.assertEqual(sent["headers"]["X-Count"], "2")
        shown = self.world.api("GET", f"/v1/deliveries/{delivery['id']}").json["attempts"][0]["request"]
        self.assertIn("a, ü", shown["body"])
        tried = self.world.json("notifiers", "test", "told", check=False)   # its sample has no items
        self.assertIn("ok", tried)

    def test_a_condition_that_says_no_leaves_no_delivery_but_a_line(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        self.assertEqual(self.notifier("told", {}, when="${ .output.items | length > 5 }").returncode, 0)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        wait_for("its end", lambda: self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] == [])
        feed = sqlite3.connect(f"file:{self.world.data}/factory.db?mode=ro", uri=True)
        told = feed.execute("select what, reason from feed where kind = 'delivery' order by sequence").fetchall()
        feed.close()
        self.assertEqual(told, [("pending", None), ("dropped", "its `when` says no")])
        self.assertEqual(self.receiver.at("/hook"), [])

    def test_what_does_not_compile_is_refused_with_place_expression_and_jqs_words(self):
        self.world.deploy("items", ITEMS)
        done = self.notifier("bad", {"body": {"x": "${ .output.items | nosuch }"}, "headers": {"X": "${ .output | | .a }"}})
        self.assertNotEqual(done.returncode, 0)
        for words in ("Notifier 'bad'", "api.body", "`.output.items | nosuch`", "nosuch/0 is not defined", "api.headers", "nothing was changed"):
            self.assertIn(words, done.stderr)
        put = self.world.api("PUT", "/v1/notifiers/bad", {"trigger": "items-api", "on": ["success"], "type": "api", "api": {"url": "https://x.example/", "body": "${ nosuch | . }"}})
        self.assertEqual(put.status, 400)
        self.assertIn("nosuch/0 is not defined", put.json["detail"])
        self.assertEqual(self.world.api("GET", "/v1/notifiers/bad").status, 404)
        typo = self.notifier("bad", {"body": "${ .outptu.reply }"})   # a plain path is checked as ever
        self.assertIn("there is no such member", typo.stderr)

    def test_an_expression_that_fails_makes_a_dead_letter_that_says_so_and_goes_out_once_the_notifier_is_mended(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        self.assertEqual(self.notifier("told", {"body": {"x": "${ .output.secretish + 5 }"}}).returncode, 0)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        delivery = self.deliveries(uid)[0]
        self.assertEqual(delivery["state"], "dead")
        for words in ("api.body", "`.output.secretish + 5`", "cannot be added"):
            self.assertIn(words, delivery["error"])
        self.assertNotIn("swordfish", json.dumps(delivery))
        self.assertEqual(self.notifier("told", {"body": {"x": '${ .output.secretish + "!" }'}}).returncode, 0)
        self.world.run("deliveries", "resend", delivery["id"])
        wait_for("it", lambda: self.receiver.at("/hook"))
        self.assertEqual(json.loads(self.receiver.at("/hook")[0]["body"]), {"x": "swordfish!"})

    def test_an_endless_one_and_a_greedy_one_cost_only_themselves(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        self.assertEqual(self.notifier("endless", {"body": "${ def f: f; f }"}).returncode, 0)
        self.assertEqual(self.notifier("greedy", {"body": "${ [range(1e9)] | length }"}).returncode, 0)
        self.assertEqual(self.notifier("plain", {"body": "${ .output.items[0].id }"}).returncode, 0)
        self.assertEqual(self.notifier("good", {"body": "${ .output.items | length }"}).returncode, 0)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        by = {d["notifier"]: d for d in self.deliveries(uid, 4)}
        self.assertEqual({name: d["state"] for name, d in by.items()}, {"endless": "dead", "greedy": "dead", "plain": "delivered", "good": "delivered"}, by)
        self.assertIn("longer than 1s", by["endless"]["error"])
        self.assertRegex(by["greedy"]["error"], "memory|longer than 1s")
        self.assertEqual(self.world.factory.process.poll(), None)

    def test_killed_before_it_is_rendered_it_is_rendered_and_sent_after_the_start(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        # The expression takes long enough to be interrupted, and less than it may.
        self.assertEqual(self.notifier("slow", {"body": {"n": "${ reduce range(900000) as $i (0; . + 1) }"}}).returncode, 0)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        self.world.factory.kill()
        store = sqlite3.connect(f"file:{self.world.data}/factory.db?mode=ro", uri=True) if (pathlib.Path(self.world.data) / "factory.db").exists() else None
        if store:
            kinds = [json.loads(row[0])["kind"] for row in store.execute("select request from deliveries")]
            self.assertIn(kinds[0], ("unrendered", "api"))
            store.close()
        self.world.start_factory()
        delivery = self.deliveries(uid)[0]
        self.assertEqual(delivery["state"], "delivered", delivery)
        bodies = [json.loads(call["body"]) for call in self.receiver.at("/hook")]
        self.assertEqual(bodies[0], {"n": 900000})
        self.assertLessEqual(len({call["headers"]["Webhook-Id"] for call in self.receiver.at("/hook")}) if "Webhook-Id" in self.receiver.at("/hook")[0]["headers"] else 1, 1)

    def test_the_order_of_a_job_and_a_notifier_stays(self):
        self.world.agent()
        trigger = self.world.deploy("items", "do:\n  - one: { wait: { milliseconds: 300 } }\n  - answer: { set: { items: [] } }\n")
        self.assertEqual(self.notifier("both", {"body": {"e": "${ .event + \"\" }"}}, on=["start", "success"]).returncode, 0)
        for uid in [self.world.trigger(trigger) for _ in range(3)]:
            self.world.ended(uid)
            self.assertEqual([d["state"] for d in self.deliveries(uid, 2)], ["delivered"] * 2)
        events = [json.loads(call["body"])["e"] for call in self.receiver.at("/hook")]
        self.assertEqual(sorted(events), ["start"] * 3 + ["success"] * 3)
        self.assertEqual(events[0], "start")

    def test_without_a_sandbox_nothing_is_saved_unchecked_and_what_waits_goes_out_later(self):
        self.world.agent()
        trigger = self.world.deploy("items", ITEMS)
        self.assertEqual(self.notifier("told", {"body": "${ .output.items | length }"}).returncode, 0)
        # A factory whose runner is not there: the same store, another folder of programs.
        import os, shutil
        from mill import BIN, Program
        self.world.factory.stop()
        bare = self.world.folder / "bare"
        bare.mkdir()
        shutil.copy(BIN / "millwright-factory", bare)
        if os.getuid() == 0:
            os.chown(bare, NOBODY, NOBODY)
        self.world.factory = Program(self.world, "factory", [bare / "millwright-factory", "--data", self.world.data, "--listen", f"127.0.0.1:{self.world.port}", "--config", self.world.config], "listening on")
        refused = self.notifier("more", {"body": "${ .output.items | first }"})
        self.assertIn("millwright-runner is missing", refused.stderr)
        self.assertIn("nothing is taken unchecked", refused.stderr)
        uid = self.world.trigger(trigger)
        self.world.ended(uid)
        waiting = wait_for("the reason", lambda: [d for d in self.world.api("GET", f"/v1/jobs/{uid}/deliveries").json["items"] if d.get("error")])[0]
        self.assertEqual(waiting["state"], "pending")
        self.assertIn("millwright-runner is missing", waiting["error"])
        shutil.copy(BIN / "millwright-runner", bare)
        self.assertEqual(self.deliveries(uid)[0]["state"], "delivered")


if __name__ == "__main__":
    unittest.main()
