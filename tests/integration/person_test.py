"""Agents of people: what a person starts at her own, is asked, and says to jobs of others; environments of her own. A real factory, agents of a few lines."""
import datetime
import threading
import time
import unittest

from fake_agent import FakeAgent
from mill import Test, World, call, wait_for

GREET = """
input:
  schema:
    document:
      type: object
      required: [ order ]
      properties:
        order: { type: integer, title: Order number, minimum: 1 }
do:
  - say:
      set: { said: "${ .order }" }
"""
HELLO = "do:\n  - say:\n      set: { said: hello }\n"


def after(**more):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(**more)).strftime("%Y-%m-%dT%H:%M:%SZ")


class People(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()

    def kill_factory(self):
        self.world.factory.kill()
        self.world.start_factory()

    def token(self, name, role="operator", **more):
        return self.world.api("POST", "/v1/tokens", {"kind": "user", "name": name, "role": role, **more}).json["token"]

    def deploy(self, name="greet", workflow=GREET, **more):
        return self.world.deploy(name, workflow, **more)

    def apply(self, text, **more):
        return self.world.run("apply", "-f", self.world.write(f"d{time.monotonic_ns()}.yaml", text), **more)

    def attended(self, deployment="greet", who="user:anna", name=None, more=""):
        self.apply(f"kind: Trigger\nname: {name or deployment + '-desk'}\ndeployment: {deployment}\ntype: attended\nassignedTo: [ {who} ]\n{more}")
        return name or deployment + "-desk"

    def codes(self, job):
        return [reason["code"] for reason in self.why(job)["reasons"]]

    def why(self, job):
        return self.world.api("GET", f"/v1/jobs/{job}/why").json

    def timeline(self, job):
        return [row["state"] for row in self.world.api("GET", f"/v1/jobs/{job}/timeline").json["items"]]

    def state(self, job):
        return self.world.job(job)["state"]


class Whose(People):
    def test_an_administrator_says_whose_it_is_and_the_session_tells_it(self):
        agent = FakeAgent(self.world)
        self.assertEqual(agent.session["user"], "anna")
        self.assertEqual(self.world.api("GET", "/v1/agents/pc-anna").json["user"], "anna")
        self.assertIn(" anna ", self.world.run("agents").stdout)
        self.assertIn("the agent of otto", self.world.run("agents", "set", "pc-anna", "--user", "otto").stdout)
        self.assertEqual(agent.post("person", {}).status, 401)   # its session is over: the next one says whose it is
        self.assertEqual(agent.open()["user"], "otto")
        self.world.run("agents", "set", "pc-anna", "--no-user")
        self.assertNotIn("user", agent.open())
        changes = [row["detail"] for row in self.world.api("GET", "/v1/audit").json["items"] if row["action"] == "set" and row["kind"] == "Agent"]
        self.assertEqual([(c["userBefore"], c["user"]) for c in changes], [("otto", ""), ("anna", "otto")])

    def test_only_administrators_of_the_whole_factory_and_only_names(self):
        FakeAgent(self.world)
        local = self.token("lisa", "admin", environments=["default"])
        for method, path, body in (("PATCH", "/v1/agents/pc-anna", {"user": "lisa"}), ("PATCH", "/v1/agents/pc-anna", {"user": ""}), ("POST", "/v1/agents/invitations", {"user": "lisa"})):
            reply = self.world.api(method, path, body, token=local)
            self.assertEqual((reply.status, reply.json["needs"]), (403, {"role": "admin", "environment": "*"}), reply.body)
        # Whoever may take a name over in one environment does not get its person with it.
        code = self.world.api("POST", "/v1/agents/invitations", {"name": "pc-anna", "takeOver": True, "approve": True}, token=local).json
        self.assertNotIn("user", code)
        code = self.world.api("POST", "/v1/agents/invitations", {"name": "pc-anna", "takeOver": True, "approve": True}).json
        self.assertEqual(code["user"], "anna")
        for wrong in ("a b", "anna:x", "*", "-anna", "x" * 101):
            self.assertEqual(self.world.api("PATCH", "/v1/agents/pc-anna", {"user": wrong}).status, 400, wrong)
        self.assertNotEqual(self.world.run("agents", "set", "pc-anna", "--user", "a", "--no-user", check=False).returncode, 0)

    def test_an_agent_of_nobody_is_told_so(self):
        agent = FakeAgent(self.world, "srv-1", user="")
        for path in ("person", "person/launch", "person/answer", "person/cancel"):
            reply = agent.post(path, {"id": "1", "trigger": "x", "question": "x", "answer": True, "job": "x"})
            self.assertEqual((reply.status, reply.json["code"]), (403, "no_user"), reply.body)
            self.assertIn("millwright agents set srv-1 --user", reply.json["detail"])


class Launching(People):
    def test_what_she_may_start_with_its_schema_and_last_result(self):
        self.deploy()
        trigger = self.attended(more="title: Look an order up\ndescription: Asks the shop\n")
        self.attended(who="user:otto", name="not-hers")
        agent = FakeAgent(self.world)
        seen = agent.person()
        self.assertEqual((seen["user"], [item["trigger"] for item in seen["launchable"]]), ("anna", [trigger]))
        item = seen["launchable"][0]
        self.assertEqual((item["title"], item["description"], item["environment"], item["deployment"]), ("Look an order up", "Asks the shop", "default", "greet"))
        self.assertEqual(item["schema"]["properties"]["order"]["title"], "Order number")
        self.assertEqual((item["package"]["name"], item["package"]["version"], item["last"], item["paused"]), ("greet", "1.0.0", None, ""))
        started = agent.launch(trigger, input={"order": 7})
        self.assertEqual(started.status, 202, started.body)
        offer = agent.offers()[0]
        self.assertEqual((offer["job"], offer["input"]), (started.json["job"], {"order": 7}))
        self.assertNotIn("consent", offer)   # she started it here
        agent.report(offer, "running", "successful", reason="completed", output={"said": 7})
        seen = agent.person()
        self.assertEqual((seen["jobs"][0]["job"], seen["jobs"][0]["state"], seen["jobs"][0]["output"], seen["jobs"][0]["title"]), (offer["job"], "successful", {"said": 7}, "Look an order up"))
        self.assertEqual(seen["launchable"][0]["last"]["state"], "successful")
        self.assertEqual(self.world.job(offer["job"])["requestedBy"], "user anna")
        self.world.run("triggers", "pause", trigger, "--why", "the shop is closed")
        self.assertIn("the shop is closed", agent.person()["launchable"][0]["paused"])
        self.assertEqual(agent.launch(trigger, input={"order": 7}).status, 409)

    def test_a_job_bound_to_her_agent_waits_for_it_alone_over_restarts(self):
        self.deploy()
        trigger = self.attended()
        agent, other = FakeAgent(self.world), FakeAgent(self.world, "pc-anna-2")
        started = agent.launch(trigger, "L1", {"order": 1})
        job = started.json["job"]
        self.assertEqual(other.offers(), [])
        self.assertEqual(self.why(job)["text"], "bound to pc-anna, which has not been seen yet")
        self.kill_factory()
        agent.open()
        other.open()
        again = agent.launch(trigger, "L1", {"order": 1})
        self.assertEqual((again.status, again.json["job"]), (202, job))   # the same start is the same job
        self.assertNotEqual(agent.launch(trigger, "L2", {"order": 1}).json["job"], job)
        self.assertNotEqual(other.launch(trigger, "L1", {"order": 1}).json["job"], job)   # another agent's own id
        self.assertEqual(len(other.offers(want=4)), 1)
        agent.post("goodbye", {"why": "stopped"})
        self.assertIn("bound to pc-anna, which is offline since", self.why(job)["text"])
        self.world.run("triggers", "pause", trigger)   # whatever became of it since
        second = agent.launch(trigger, "L2").json["job"]
        self.assertEqual({offer["job"] for offer in agent.offers(want=4)}, {job, second})
        self.assertEqual(agent.launch("not there", "L1").json["job"], job)

    def test_twice_at_once_is_one_job(self):
        self.deploy()
        trigger = self.attended()
        agent = FakeAgent(self.world)
        jobs = []
        threads = [threading.Thread(target=lambda: jobs.append(agent.launch(trigger, "same", {"order": 1}).json["job"])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((len(jobs), len(set(jobs))), (8, 1))
        self.assertEqual(len(self.world.api("GET", "/v1/jobs").json["items"]), 1)

    def test_what_is_refused_says_why(self):
        self.deploy()
        trigger = self.attended()
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto")
        reply = agent.launch(trigger, input={"order": "x"})
        self.assertEqual(reply.status, 400)
        self.assertEqual((reply.json["code"], reply.json["mistakes"][0]["path"]), ("input", "/order"), reply.body)
        self.assertIn("type", reply.json["mistakes"][0]["text"])
        reply = otto.launch(trigger, input={"order": 1})
        self.assertEqual((reply.status, reply.json["code"]), (403, "not_assigned"))
        self.assertEqual(otto.person()["launchable"], [])
        self.assertEqual(agent.launch("greet-api", input={"order": 1}).status, 403)   # not attended
        self.assertEqual(agent.launch("nowhere").status, 404)
        self.assertEqual(agent.post("person/launch", {"id": "", "trigger": trigger}).status, 400)
        self.assertEqual(agent.post("person/launch", {"id": "x" * 101, "trigger": trigger}).status, 400)
        self.world.run("agents", "set", "pc-anna", "--label", "x=y")
        self.apply("kind: Environment\nname: default\nagents: [ pc-otto ]\n")
        reply = agent.launch(trigger, input={"order": 1})
        self.assertEqual(reply.status, 409, reply.body)
        self.assertIn("pc-anna is not in environment 'default'", reply.json["detail"])
        self.assertEqual(self.world.api("GET", "/v1/jobs").json["items"], [])

    def test_roles_are_hers_only_by_a_valid_token(self):
        self.deploy()
        self.attended(who="operator")
        agent = FakeAgent(self.world)
        self.assertEqual(agent.person()["launchable"], [])
        self.token("anna", "operator", environments=["default"])
        self.assertEqual(len(agent.person()["launchable"]), 1)
        for one in self.world.api("GET", "/v1/tokens").json["items"]:
            if one.get("name") == "anna":
                self.world.api("DELETE", f"/v1/tokens/{one['id']}")
        self.assertEqual(agent.person()["launchable"], [])

    def test_she_cancels_hers_and_nobody_elses(self):
        self.deploy()
        trigger = self.attended()
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto")
        job = agent.launch(trigger, input={"order": 1}).json["job"]
        reply = otto.post("person/cancel", {"job": job})
        self.assertEqual((reply.status, reply.json["code"]), (403, "not_own_job"))
        self.assertEqual(otto.post("person/cancel", {"job": "nothing"}).json["code"], "not_own_job")   # whether it exists is not said
        self.assertEqual(agent.post("person/cancel", {"job": job, "why": "wrong order"}).status, 200)
        ended = self.world.job(job)
        self.assertEqual((ended["state"], ended["evidence"]["by"], ended["evidence"]["why"]), ("cancelled", "user anna", "wrong order"))
        self.assertEqual(agent.post("person/cancel", {"job": job}).status, 409)
        # What another started and runs here is hers to stop, too.
        pushed = self.world.trigger("greet-api", {"order": 2}) if self.apply("kind: Trigger\nname: greet-api\ndeployment: greet\ntype: api\nrunOn: any\n") else None
        offer = agent.offers()[0]
        agent.report(offer, "running")
        self.assertEqual(offer["job"], pushed)
        self.assertEqual(agent.post("person/cancel", {"job": pushed}).status, 200)
        self.assertEqual([one["job"] for one in agent.poll(want=0)["cancels"]], [pushed])
        self.world.run("agents", "set", "pc-anna", "--user", "otto")   # what she did there is not his to see
        agent.open()
        self.assertEqual(agent.person()["jobs"], [])

    def test_a_retry_by_somebody_else_is_for_her_desk_and_asks_her(self):
        self.deploy()
        trigger = self.attended()
        agent = FakeAgent(self.world)
        job = agent.launch(trigger, input={"order": 1}).json["job"]
        agent.report(agent.offers()[0], "running", "failed", reason="error", error={"title": "it broke"})
        other = FakeAgent(self.world, "pc-anna-2")
        for same in (False, True):
            retry = self.world.api("POST", f"/v1/jobs/{job}/retry", {"sameVersion": same})
            self.assertEqual(retry.status, 202, retry.body)
            self.assertEqual(other.offers(), [])
            offer = agent.offers()[0]
            self.assertEqual((offer["job"], offer["consent"]["asker"]), (retry.json["jobUid"], "admin"))
            agent.report(offer, "running", "failed", reason="error", error={"title": "it broke"})

    def test_the_poll_says_once_that_something_is_new(self):
        self.deploy()
        agent = FakeAgent(self.world)
        version = agent.poll(want=0)["person"]
        self.assertEqual(agent.person()["version"], version)
        self.assertNotIn("person", agent.poll(want=0))
        trigger = self.attended()
        newer = agent.poll(want=0, wait=20_000)["person"]   # wakes a parked poll
        self.assertGreater(newer, version)
        self.assertNotIn("person", agent.poll(want=0))       # said; it has time to fetch
        agent.person()
        self.attended(name="also-hers")
        self.assertIn("person", agent.poll(want=0))
        agent.person()
        self.apply("kind: Trigger\nname: night\ndeployment: greet\ntype: schedule\nschedule: { cron: '0 3 * * *', timezone: UTC }\ninput: { order: 1 }\n")
        self.assertNotIn("person", agent.poll(want=0))       # nothing of hers
        agent.launch(trigger, input={"order": 1})
        self.assertIn("person", agent.poll(want=0))
        latest = agent.person()["version"]
        self.kill_factory()
        agent.open()
        self.assertGreater(agent.poll(want=0)["person"], latest)   # it only grows


class Answering(People):
    def asked(self, who="user:anna"):
        self.deploy()
        self.apply(f"kind: Trigger\nname: greet-api\ndeployment: greet\ntype: api\napproval: {{ by: [ {who} ], within: 1h }}\n")
        return self.world.trigger("greet-api", {"order": 1})

    def test_a_question_is_shown_and_answered_at_the_desk_and_the_first_answer_wins(self):
        job = self.asked("user:anna, operator")
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto")
        version = agent.poll(want=0)["person"]
        question = agent.person()["questions"][0]
        self.assertEqual((question["job"], question["kind"], question["trigger"]), (job, "approval", "greet-api"))
        self.assertEqual(otto.person()["questions"], [])
        reply = otto.post("person/answer", {"question": question["id"], "answer": True})
        self.assertEqual((reply.status, reply.json["code"]), (403, "not_asked"))
        reply = agent.post("person/answer", {"question": question["id"], "answer": "perhaps"})
        self.assertEqual(reply.status, 400, reply.body)
        self.assertEqual(set(reply.json["mistakes"][0]), {"path", "text"})
        self.assertEqual(agent.post("person/answer", {"question": "nothing", "answer": True}).status, 404)
        replies = []
        ways = [lambda: agent.post("person/answer", {"question": question["id"], "answer": True, "comment": "fine"}),
                lambda: self.world.api("POST", f"/v1/questions/{question['id']}/answer", {"answer": False}, token=self.token("otto"))]
        threads = [threading.Thread(target=lambda way=way: replies.append(way().status)) for way in ways]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(replies), [200, 409])
        self.assertEqual(agent.post("person/answer", {"question": question["id"], "answer": True}).status, 409)
        self.assertGreater(agent.poll(want=0)["person"], version)
        self.assertEqual(agent.person()["questions"], [])

    def test_the_answer_says_that_it_was_given_at_the_desktop(self):
        job = self.asked()
        agent = FakeAgent(self.world)
        question = agent.person()["questions"][0]["id"]
        self.assertEqual(agent.post("person/answer", {"question": question, "answer": True}).status, 200)
        answered = self.world.api("GET", f"/v1/questions/{question}").json
        self.assertEqual((answered["way"], answered["answeredBy"], answered["answer"]), ("desktop", "user anna", True))
        self.assertEqual(self.state(job), "ready")

    def test_nobody_approves_what_they_started_at_their_own_desk(self):
        self.deploy()
        trigger = self.attended(more="approval: { by: [ user:anna, user:otto ], within: 1h }\n")
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto")
        job = agent.launch(trigger, input={"order": 1}).json["job"]
        self.assertEqual(agent.person()["questions"], [])
        question = otto.person()["questions"][0]["id"]
        self.assertEqual(agent.post("person/answer", {"question": question, "answer": True}).json["code"], "own_request")
        self.assertEqual(otto.post("person/answer", {"question": question, "answer": True}).status, 200)
        self.assertEqual([offer["job"] for offer in agent.offers()], [job])


class Consent(People):
    def pushed(self, run_on="any"):
        self.deploy("tidy", HELLO)
        self.apply(f"kind: Trigger\nname: tidy-api\ndeployment: tidy\ntype: api\nrunOn: {run_on}\ntitle: Tidy up\n")
        return self.world.trigger("tidy-api")

    def test_the_offer_says_who_asks_and_the_person_is_asked(self):
        agent = FakeAgent(self.world)
        job = self.pushed()
        offer = agent.offers()[0]
        self.assertEqual(offer["consent"], {"asker": "admin", "trigger": "tidy-api", "title": "Tidy up", "description": "", "expectedMs": None})
        until = after(minutes=2)
        agent.says(offer, "asking", until=until)
        agent.says(offer, "asking", until=until)   # said twice is once
        self.assertEqual(self.state(job), "assigned")
        why = self.why(job)
        self.assertIn("anna is asked at pc-anna until", why["text"])
        self.assertIn("consent_asked", [reason["code"] for reason in why["reasons"]])
        self.kill_factory()
        agent.open()
        self.assertIn("consent_asked", self.codes(job))
        agent.says(offer, "consented", by="anna", choice="now")
        agent.report(offer, "running", "successful", reason="completed")
        agent.says(offer, "consented", by="anna", choice="now")   # heard again
        lines = self.timeline(job)
        self.assertEqual((lines.count("consent_asked"), lines.count("consent_given")), (1, 1), lines)
        self.assertIn("consent_given", self.codes(job))
        self.world.trigger("tidy-api")
        self.assertIsInstance(agent.offers()[0]["consent"]["expectedMs"], int)

    def test_not_today_gives_it_to_another_at_once_and_holds_over_a_restart(self):
        agent, server = FakeAgent(self.world), FakeAgent(self.world, "srv-1", user="", mode="unattended")
        job = self.pushed()
        offer = agent.offers()[0]
        agent.says(offer, "asking", until=after(minutes=2))
        got = []
        parked = threading.Thread(target=lambda: got.extend(server.offers(wait=20_000)))
        parked.start()
        time.sleep(0.5)
        self.assertEqual(got, [])
        agent.says(offer, "busy", consent={"choice": "not_today", "by": "otto", "until": after(hours=10)}, why="anna said: not today")
        parked.join(10)
        self.assertEqual([one["job"] for one in got], [job])
        self.assertNotIn("consent", got[0])
        server.report(got[0], "running", "successful", reason="completed")
        self.assertIn("consent_refused", self.timeline(job))
        waits = self.world.trigger("tidy-api")
        server.post("goodbye", {"why": "stopped"})
        self.kill_factory()
        agent.open()
        self.assertEqual(agent.offers(), [])
        why = self.why(waits)
        texts = {reason["code"]: reason["text"] for reason in why["reasons"]}
        self.assertIn("anna said 'not today' at pc-anna", texts["consent_refused"])   # who it was says the factory, not the agent's words
        self.assertIn("agent_offline", texts)
        self.world.run("agents", "set", "srv-1", "--pause")
        self.assertIn("nobody who could take it is asked again before", self.why(waits)["text"])
        # It is this trigger that she does not want: others are asked for as before.
        self.apply("kind: Trigger\nname: other\ndeployment: tidy\ntype: api\nrunOn: attended\n")
        other = self.world.trigger("other")
        self.assertEqual([one["job"] for one in agent.offers()], [other])

    def test_later_is_asked_again_when_its_time_has_come(self):
        agent = FakeAgent(self.world)
        job = self.pushed("attended")
        for choice, code in (("later", "consent_later"), ("none", "consent_none")):
            offer = agent.offers()[0]
            agent.says(offer, "asking", until=after(minutes=1))
            agent.says(offer, "busy", consent={"choice": choice, "by": "", "until": after(seconds=1)}, why="")
            self.assertEqual(self.state(job), "ready")
            self.assertEqual(agent.offers(), [])
            self.assertIn(code, self.codes(job))
            self.assertIn("nobody who could take it is asked again before", self.why(job)["text"])
            attempt = wait_for("the next time it is asked", agent.offers and (lambda: [one["attempt"] for one in agent.offers()]), 15)
            self.assertEqual(attempt, [offer["attempt"] + 1])
            agent.says({**offer, "attempt": attempt[0]}, "busy", why="slots")
            time.sleep(1.2)   # it rests for a second after that
        self.assertIn("consent_none", self.timeline(job))
        shown = self.world.run("why", job).stdout
        self.assertIn("did not answer", shown)

    def test_an_older_agent_and_one_of_nobody_get_it_as_before(self):
        for name, user, knows in (("old", "anna", ["again"]), ("nobody", "", ["again", "person", "consent"])):
            agent = FakeAgent(self.world, name, user=user, knows=knows, facts={})
            job = self.pushed("attended")
            offer = agent.offers()[0]
            self.assertEqual(offer["job"], job)
            self.assertNotIn("consent", offer)
            agent.report(offer, "running", "successful", reason="completed")
            agent.post("goodbye", {"why": "stopped"})

    def test_a_cancelled_job_is_not_asked_about_any_longer(self):
        agent = FakeAgent(self.world)
        job = self.pushed("attended")
        offer = agent.offers()[0]
        agent.says(offer, "asking", until=after(minutes=2))
        self.world.run("cancel", job)
        self.assertEqual([one["job"] for one in agent.poll(want=0)["cancels"]], [job])
        agent.says(offer, "busy", why="withdrawn")
        self.assertEqual(self.state(job), "cancelled")

    def test_words_of_another_agent_and_of_an_attempt_that_is_over_change_nothing(self):
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto")
        job = self.pushed("attended")
        offer = agent.offers()[0]
        otto.says(offer, "busy", consent={"choice": "not_today", "until": after(hours=10)})
        self.assertEqual(self.state(job), "assigned")
        agent.report(offer, "running")
        agent.says(offer, "busy", consent={"choice": "not_today", "until": after(hours=10)})
        self.assertEqual(self.state(job), "running")
        for wrong in ({"answer": "perhaps"}, {"answer": 5}):
            reply = agent.post("offers", {"want": 0, "waitMs": 0, "answers": [{**agent.attempt(offer), **wrong}]})
            self.assertEqual(reply.status, 400)
        agent.says(offer, "asking", until="soon")       # no time: ignored
        self.assertEqual(self.state(job), "running")


class Desktop(People):
    def test_the_state_of_her_desktop_decides_and_why_says_it(self):
        self.deploy("tidy", HELLO)
        self.apply("kind: Trigger\nname: tidy-api\ndeployment: tidy\ntype: api\nrunOn: attended\n")
        trigger = self.attended("tidy")
        agent = FakeAgent(self.world, facts={"session": {"state": "none", "user": ""}})
        job = self.world.trigger("tidy-api")
        for state, code, words in (("none", "session_none", "anna is not logged in at pc-anna"), ("other_user", "session_other_user", "otto is at the desktop of pc-anna, not anna"),
                                   ("locked", "session_locked", "screen is locked"), ("presentation", "session_presentation", "in a presentation")):
            self.assertEqual(agent.offers(session={"state": state, "user": "otto", "since": after()}), [], state)
            why = self.why(job)
            self.assertEqual([reason["code"] for reason in why["reasons"]], [code])
            self.assertIn(words, why["reasons"][0]["text"])
        own = agent.launch(trigger).json["job"]                  # who starts it need not be asked: only somebody has to be there
        agent.poll(want=0, session={"state": "other_user", "user": "otto"})
        self.assertEqual(agent.offers(), [])
        self.assertEqual([one["job"] for one in agent.offers(session={"state": "locked", "user": "anna"})], [own])
        got = []
        parked = threading.Thread(target=lambda: got.extend(agent.offers(session={"state": "active", "user": "anna"})))
        parked.start()
        parked.join(10)
        self.assertIn(job, [one["job"] for one in got])
        self.assertEqual(self.world.api("GET", "/v1/agents/pc-anna").json["facts"]["session"], {"state": "active", "user": "anna"})
        preflight = self.world.api("GET", "/v1/deployments/tidy/preflight").json
        self.assertEqual(preflight["counts"]["no"], 0)


class Own(People):
    def private(self):
        self.deploy("tidy", HELLO)
        self.apply("kind: Environment\nname: annas\naccess: private\nuser: anna\n---\nkind: Deployment\nname: mine\npackage: tidy@1.0.0\nenvironment: annas\npermissions: as-requested\n---\n"
                   "kind: Trigger\nname: mine-api\ndeployment: mine\ntype: api\nrunOn: any\n")

    def test_only_her_agents_run_there_and_only_she_and_administrators_start(self):
        self.private()
        agent = FakeAgent(self.world, approve_in=["annas"])
        otto = FakeAgent(self.world, "pc-otto", user="otto", environment="annas")
        server = FakeAgent(self.world, "srv-1", user="", mode="unattended", environment="annas")
        otto_token, anna_token = self.token("otto", "operator"), self.token("anna", "operator", environments=["annas"])
        started = self.world.api("POST", "/v1/triggers/mine-api/runs", {}, token=otto_token)
        self.assertEqual(started.status, 403, started.body)
        self.assertIn("anna, whose own environment 'annas' is", started.json["detail"])
        trigger_token = self.world.api("POST", "/v1/triggers/mine-api/token").json["token"]
        self.assertEqual(self.world.api("POST", "/v1/triggers/mine-api/runs", {}, token=trigger_token).status, 403)
        self.assertEqual(call("POST", self.world.url + "/apitrigger/v1/triggers/mine-api/run", {}, headers={"irpa-trigger-token": trigger_token}).status, 403)
        jobs = [self.world.api("POST", "/v1/triggers/mine-api/runs", {}, token=token).json["jobUid"] for token in (anna_token, None)]
        self.assertEqual((otto.offers(want=4), server.offers(want=4)), ([], []))
        self.assertEqual({offer["job"] for offer in agent.offers(want=4)}, set(jobs))
        waits = self.world.api("POST", "/v1/triggers/mine-api/runs", {}, token=anna_token).json["jobUid"]
        self.assertIn("private_environment", self.codes(waits))
        for offer in agent.offers(want=4):
            agent.report(offer, "running", "failed", reason="error")
        self.assertEqual(self.world.api("POST", f"/v1/jobs/{jobs[0]}/retry", {}, token=otto_token).status, 403)
        can = self.world.run("can", "otto", "POST", "/v1/triggers/mine-api/runs", check=False)
        self.assertIn("whose own environment", can.stdout + can.stderr)
        preflight = self.world.api("GET", "/v1/deployments/mine/preflight").json
        self.assertEqual(preflight["counts"]["now"] + preflight["counts"]["later"], 1)

    def test_only_administrators_say_whose_an_environment_is_and_its_jobs_are_not_started_round_about(self):
        self.private()
        developer = self.token("otto", "developer")
        for document in ({"kind": "Environment", "name": "annas", "access": "shared"}, {"kind": "Environment", "name": "annas", "access": "private", "user": "otto"},
                         {"kind": "Environment", "name": "default", "access": "private", "user": "otto", "agents": ["*"]},
                         {"kind": "Trigger", "name": "nightly", "deployment": "mine", "type": "schedule", "schedule": {"cron": "* * * * *", "timezone": "UTC"}},
                         {"kind": "Deployment", "name": "more", "package": "tidy@1.0.0", "environment": "annas"}):
            reply = self.world.api("POST", "/v1/apply", {"documents": [document]}, token=developer)
            self.assertEqual(reply.status, 403, (document, reply.body))
        path = {"kind": "Trigger", "deployment": "mine", "type": "api", "runOn": "any"}
        self.assertEqual(self.world.api("PUT", "/v1/triggers/mine-api", {**path, "priority": 3}, token=developer).status, 403)
        self.assertEqual(self.world.api("PUT", "/v1/triggers/mine-api", {**path, "priority": 3}, token=self.token("anna", "developer")).status, 200)

    def test_what_is_wrong_is_said(self):
        for text, words in (("access: private\n", "'user' is missing"), ("user: anna\n", "is for an environment of `access: private`"), ("access: secret\n", "shared"),
                            ("access: private\nuser: '*'\n", "must be one person's name"), ("agents: [ 'user:' ]\n", "user:NAME")):
            done = self.apply("kind: Environment\nname: e\n" + text, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(words, done.stderr)

    def test_agents_are_named_by_their_user_and_still_have_to_be_approved(self):
        self.deploy("tidy", HELLO, environment="test")
        self.apply("kind: Environment\nname: test\nagents: []\ngroups:\n  - name: desks\n    agents: [ 'user:an*' ]\n---\nkind: Trigger\nname: tidy-api\ndeployment: tidy\ntype: api\nrunOn: any\n")
        agent, otto = FakeAgent(self.world), FakeAgent(self.world, "pc-otto", user="otto", approve_in=["test"])
        nobody = FakeAgent(self.world, "srv-1", user="", approve_in=["test"])
        job = self.world.trigger("tidy-api")
        self.assertEqual((agent.offers(), otto.offers(), nobody.offers()), ([], [], []))
        self.assertIn("agent_not_approved", self.codes(job))
        self.world.run("agents", "set", "pc-anna", "--approve-in", "default", "--approve-in", "test")
        self.assertEqual([offer["job"] for offer in agent.offers()], [job])


if __name__ == "__main__":
    unittest.main()
