"""Who may do what: every route of the OpenAPI document with a token of each role, everywhere, in the environment meant and in another one."""
import http.client
import json
import unittest
from urllib.parse import urlsplit

from mill import Test, World, wait_for

ROLES = ["viewer", "operator", "developer", "admin"]
# By hand, so that a slip in the factory's table is not repeated here. What is needed, and where:
# here = in the environment of the thing named; everywhere = in all environments; somewhere = in one of them (what is shown, or changed, is looked at by itself).
TABLE = {
    "GET /v1/calendars": ("viewer", "somewhere"), "GET /v1/calendars/{name}": ("viewer", "somewhere"),
    "PUT /v1/calendars/{name}": ("developer", "everywhere"), "DELETE /v1/calendars/{name}": ("developer", "everywhere"),
    "GET /v1/environments": ("viewer", "somewhere"), "GET /v1/environments/{name}": ("viewer", "here"), "GET /v1/environments/{name}/why": ("viewer", "here"),
    "PUT /v1/environments/{name}": ("developer", "here"), "DELETE /v1/environments/{name}": ("developer", "here"),
    "GET /v1/holds": ("viewer", "somewhere"), "POST /v1/environments/{name}/release": ("operator", "here"), "POST /v1/environments/{name}/key": ("admin", "here"),
    "GET /v1/deployments": ("viewer", "somewhere"), "GET /v1/deployments/{name}": ("viewer", "here"), "GET /v1/deployments/{name}/why": ("viewer", "here"),
    "GET /v1/deployments/{name}/preflight": ("viewer", "here"), "GET /v1/deployments/{name}/history": ("viewer", "here"),
    "PUT /v1/deployments/{name}": ("developer", "here"), "DELETE /v1/deployments/{name}": ("developer", "here"), "POST /v1/deployments/{name}/rollback": ("developer", "here"),
    "GET /v1/triggers": ("viewer", "somewhere"), "GET /v1/triggers/{name}": ("viewer", "here"), "GET /v1/triggers/{name}/calls": ("viewer", "here"),
    "GET /v1/triggers/{name}/why": ("viewer", "here"), "GET /v1/triggers/{name}/schedule": ("viewer", "here"), "GET /v1/triggers/{name}/firings": ("viewer", "here"),
    "PUT /v1/triggers/{name}": ("developer", "here"), "DELETE /v1/triggers/{name}": ("developer", "here"),
    "POST /v1/triggers/{name}/pause": ("operator", "here"), "POST /v1/triggers/{name}/resume": ("operator", "here"),
    "GET /v1/triggers/{name}/tokens": ("admin", "here"), "POST /v1/triggers/{name}/token": ("admin", "here"), "POST /v1/triggers/{name}/runs": ("operator", "here"),
    "GET /v1/notifiers": ("viewer", "somewhere"), "GET /v1/notifiers/{name}": ("viewer", "here"), "GET /v1/notifiers/{name}/why": ("viewer", "here"),
    "PUT /v1/notifiers/{name}": ("developer", "here"), "DELETE /v1/notifiers/{name}": ("developer", "here"),
    "POST /v1/notifiers/{name}/resume": ("operator", "here"), "POST /v1/notifiers/{name}/test": ("operator", "here"),
    "GET /v1/packages": ("viewer", "somewhere"), "GET /v1/packages/{name}": ("viewer", "somewhere"), "GET /v1/packages/{name}/{version}": ("viewer", "somewhere"),
    "GET /v1/packages/{name}/{version}/archive": ("viewer", "somewhere"), "PUT /v1/packages/{name}/{version}": ("developer", "somewhere"),
    "PUT /v1/packages/{name}/{version}/state": ("developer", "everywhere"),
    "GET /v1/credentials": ("viewer", "somewhere"), "GET /v1/credentials/{name}": ("viewer", "here"), "PUT /v1/credentials/{name}": ("admin", "here"), "DELETE /v1/credentials/{name}": ("admin", "here"),
    "GET /v1/tokens": ("admin", "somewhere"), "POST /v1/tokens": ("admin", "somewhere"), "DELETE /v1/tokens/{id}": ("admin", "everywhere"), "POST /v1/tokens/{id}/rotate": ("admin", "somewhere"),
    "GET /v1/jobs": ("viewer", "somewhere"), "GET /v1/jobs/{uid}": ("viewer", "here"), "GET /v1/jobs/{uid}/timeline": ("viewer", "here"), "GET /v1/jobs/{uid}/why": ("viewer", "here"),
    "GET /v1/jobs/{uid}/log": ("viewer", "here"), "GET /v1/jobs/{uid}/steps": ("viewer", "here"), "GET /v1/jobs/{uid}/deliveries": ("viewer", "here"),
    "POST /v1/jobs/{uid}/deliveries/resend": ("operator", "here"), "POST /v1/jobs/{uid}/cancel": ("operator", "here"), "POST /v1/jobs/{uid}/retry": ("operator", "here"),
    "GET /v1/locks": ("viewer", "somewhere"),
    "GET /v1/why": ("viewer", "somewhere"), "GET /v1/deliveries": ("viewer", "somewhere"), "POST /v1/deliveries/resend": ("operator", "somewhere"),
    "GET /v1/deliveries/{id}": ("viewer", "here"), "POST /v1/deliveries/{id}/resend": ("operator", "here"),
    "GET /v1/agents": ("viewer", "somewhere"), "GET /v1/agents/{name}": ("viewer", "here"), "GET /v1/agents/{name}/log": ("viewer", "here"), "GET /v1/agents/{name}/doctor": ("viewer", "here"),
    "POST /v1/agents/{name}/doctor": ("operator", "here"), "POST /v1/agents/{name}/canary": ("operator", "here"), "PATCH /v1/agents/{name}": ("operator", "here"), "DELETE /v1/agents/{name}": ("admin", "here"),
    "POST /v1/agents/invitations": ("admin", "somewhere"), "GET /v1/agents/invitations": ("admin", "somewhere"), "GET /v1/agents/requests": ("admin", "everywhere"),
    "POST /v1/agents/requests/{code}/admit": ("admin", "everywhere"), "POST /v1/agents/requests/{code}/refuse": ("admin", "everywhere"),
    "GET /v1/publishers": ("viewer", "somewhere"), "GET /v1/publishers/{name}": ("viewer", "everywhere"),
    "PUT /v1/publishers/{name}": ("admin", "everywhere"), "DELETE /v1/publishers/{name}": ("admin", "everywhere"),
    "POST /v1/packages/{name}/{version}/signatures": ("developer", "somewhere"), "POST /v1/deployments/{name}/promote": ("developer", "here"),
    "GET /v1/metrics": ("viewer", "everywhere"), "POST /v1/metrics": ("operator", "everywhere"), "GET /v1/metrics/{name}": ("viewer", "everywhere"),
    "GET /v1/retention": ("viewer", "everywhere"),
    "GET /v1/questions": ("viewer", "somewhere"), "GET /v1/questions/{id}": ("viewer", "somewhere"), "POST /v1/questions/{id}/answer": ("viewer", "somewhere"),
    "GET /v1/events": ("viewer", "somewhere"), "GET /v1/audit": ("admin", "everywhere"), "GET /v1/audit/verify": ("admin", "everywhere"),
    "POST /v1/apply": ("developer", "somewhere"), "GET /v1/session": ("none", "somewhere"), "GET /v1/can": ("admin", "somewhere"),
}
PLACES = {"here": "red", "there": "blue"}
# Nobody's token is asked there, or one of another kind.
OTHERS = {"GET /healthz", "GET /readyz", "GET /metrics", "GET /v1/openapi.json", "POST /oauth/token", "POST /apitrigger/v1/triggers/{id}/run", "POST /runtime/v1/apiTriggers/{id}/runs",
          "POST /public/irpa/runtime/v1/apiTriggers/{id}/runs", "GET /", "GET /console/{file}", "POST /v1/hooks/{trigger}", "POST /v1/chat/{trigger}", "POST /v1/chat/{trigger}/{secret}"}
# What stays as it is: a body that is refused once the caller is admitted, or nothing.
BODIES = {"PUT": b'{"unheard-of":1}', "PATCH": b'{"unheard-of":1}', "POST": b'{"unheard-of":1}'}
WITHOUT_BODY = {"POST /v1/environments/{name}/key", "POST /v1/triggers/{name}/token", "POST /v1/jobs/{uid}/deliveries/resend", "POST /v1/deliveries/{id}/resend", "POST /v1/notifiers/{name}/resume"}


class Access(Test):
    @classmethod
    def setUpClass(cls):
        cls.world = World()
        world = cls.world
        world.start_factory()
        cls.receiver = world.receiver()
        cls.things = {}
        for place in ("red", "blue"):   # "here" and "there"; no name is a part of another
            cls.furnish(place)
        world.api("PUT", "/v1/calendars/days-off", {"days": ["2027-01-01"]})
        cls.tokens = {"trigger": world.api("POST", f"/v1/triggers/{cls.things['red']['trigger']}/token").json["token"],
                      "env": world.api("POST", "/v1/environments/red/key").json["token"]}
        for role in ROLES:
            for where in ("everywhere", "here", "there"):
                body = {"kind": "user", "name": f"{role}-{where}", "role": role, **({} if where == "everywhere" else {"environments": [PLACES[where]]})}
                made = world.api("POST", "/v1/tokens", body)
                assert made.status == 201, made.body
                cls.tokens[role, where] = made.json["token"]
        cls.spare = world.api("POST", "/v1/tokens", {"kind": "user", "name": "spare", "role": "viewer"}).json["id"]

    @classmethod
    def tearDownClass(cls):
        cls.world.__exit__(None, None, None)

    @classmethod
    def furnish(cls, place):
        """An environment with one of everything."""
        world = cls.world
        world.api("PUT", f"/v1/environments/{place}", {"agents": [f"{place}-*"]})
        world.api("PUT", f"/v1/credentials/secret-{place}", {"kind": "bearer", "value": {"token": "a-secret-of-" + place}, "environment": place})
        notifier = (f"kind: Notifier\nname: tell-{place}\ntrigger: job-{place}-api\non: [ cancel ]\ntype: api\n"
                    f"api: {{ url: \"{cls.receiver.url}/hook\", authentication: bearer, credentials: secret-{place} }}\n")
        trigger = world.deploy(f"job-{place}", "do: [ { wait: { set: { a: 1 } } } ]\n", notifiers=notifier, environment=place)
        world.api("PUT", f"/v1/environments/{place}", {"agents": [f"{place}-*"]})
        world.enrol(f"{place}-1", environment=place)
        world.api("PATCH", f"/v1/agents/{place}-1", {"paused": True, "approvedIn": [place]})
        ended, waiting = world.trigger(trigger), world.trigger(trigger)
        world.api("POST", f"/v1/jobs/{ended}/cancel")
        delivery = wait_for("the delivery", lambda: world.api("GET", f"/v1/jobs/{ended}/deliveries").json["items"])[0]["id"]
        cls.things[place] = {"trigger": trigger, "deployment": f"job-{place}", "notifier": f"tell-{place}", "environment": place, "job": waiting, "ended": ended,
                             "delivery": delivery, "agent": f"{place}-1", "credential": f"secret-{place}"}

    def path_of(self, pattern, place="red"):
        things = self.things[place]
        kind = pattern.split("/")[2] if pattern.startswith("/v1/") else ""
        name = {"environments": "environment", "deployments": "deployment", "triggers": "trigger", "notifiers": "notifier", "agents": "agent", "credentials": "credential"}
        return (pattern.replace("{name}", things[name[kind]] if kind in name else "job-red" if kind == "packages" else "days-off").replace("{version}", "1.0.0").replace("{uid}", things["job"])
                .replace("{id}", self.spare if kind == "tokens" else things["delivery"]).replace("{code}", "BQKR-7TZM"))

    def status(self, method, path, token, body=None, headers=None):
        """Only the head is waited for: one of the calls is a stream."""
        address = urlsplit(self.world.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        connection.request(method, path, body, {"Authorization": f"Bearer {token}", **({"Content-Type": "application/json"} if body else {}), **(headers or {})})
        answer = connection.getresponse()
        text = answer.read() if answer.status >= 400 else b"{}"
        connection.close()
        return answer.status, json.loads(text or b"{}")

    def operations(self):
        document = self.world.api("GET", "/v1/openapi.json").json
        return [(method.upper(), path) for path, methods in document["paths"].items() for method in methods if not path.startswith("/agent/")]

    def test_every_route_with_every_role_here_there_and_everywhere(self):
        operations = self.operations()
        self.assertEqual({f"{m} {p}" for m, p in operations}, set(TABLE) | OTHERS, "a route without a line in this table, or a line without a route")
        checked = 0
        for method, pattern in sorted(operations, key=lambda each: each[0] == "DELETE"):
            name = f"{method} {pattern}"
            if name in OTHERS:
                continue
            needed, where = TABLE[name]
            for role in ROLES:
                for scope in ("there", "here", "everywhere"):
                    enough = needed == "none" or ROLES.index(role) >= ROLES.index(needed)
                    allowed = enough and (scope == "everywhere" or where == "somewhere" or (where == "here" and scope == "here"))
                    if method == "DELETE" and allowed and pattern in ("/v1/tokens/{id}", "/v1/agents/{name}"):
                        continue   # it would be gone: tests below
                    body = None if name in WITHOUT_BODY else BODIES.get(method)
                    status, answer = self.status(method, self.path_of(pattern), self.tokens[role, scope], body, {"If-Match": '"stale"'} if method == "DELETE" else None)
                    checked += 1
                    with self.subTest(call=name, role=role, scope=scope):
                        self.assertNotEqual(status, 401)
                        if allowed:
                            self.assertNotEqual(status, 403, answer)
                            continue
                        self.assertEqual(status, 403, answer)
                        self.assertEqual(answer["code"], "forbidden")
                        self.assertIn("admin", answer["ask"])
                        self.assertEqual(answer["needs"]["role"], needed)
                        if enough:
                            self.assertEqual(answer["needs"].get("environment"), "*" if where == "everywhere" else "red", answer)
        self.assertGreater(checked, 900)

    def test_a_triggers_token_and_an_environments_key_open_nothing_else(self):
        for method, pattern in self.operations():
            name = f"{method} {pattern}"
            if name in OTHERS or name in ("GET /v1/session", "POST /v1/triggers/{name}/runs", "GET /v1/jobs/{uid}"):
                continue
            for kind in ("trigger", "env"):
                status, answer = self.status(method, self.path_of(pattern), self.tokens[kind], BODIES.get(method))
                with self.subTest(call=name, kind=kind):
                    self.assertEqual(status, 403, answer)
        self.assertEqual(self.status("POST", f"/v1/triggers/{self.things['blue']['trigger']}/runs", self.tokens["env"], b"{}")[0], 403)
        self.assertEqual(self.status("GET", f"/v1/jobs/{self.things['red']['job']}", self.tokens["trigger"])[0], 403)   # another started it

    def test_lists_show_only_what_the_token_may_see(self):
        token = self.tokens["viewer", "there"]
        for path in ("/v1/environments", "/v1/deployments", "/v1/triggers", "/v1/notifiers", "/v1/credentials", "/v1/jobs", "/v1/deliveries", "/v1/agents", "/v1/why", "/v1/jobs?state=ready"):
            shown = self.world.api("GET", path, token=token)
            with self.subTest(path=path):
                self.assertEqual(shown.status, 200)
                text = shown.body.decode()
                self.assertIn("blue", text)
                for hidden in ("job-red", "secret-red", "red-1", '"name":"red"', self.things["red"]["job"], self.things["red"]["ended"], self.things["red"]["delivery"]):
                    self.assertNotIn(hidden, text)
        self.assertEqual(self.world.api("GET", "/v1/why", token=token).json["text"].split()[0], "1")
        page = self.world.api("GET", "/v1/jobs?limit=1", token=token).json   # a page is full although others' jobs lie between
        self.assertEqual(len(page["items"]), 1)
        self.assertEqual(len(self.world.api("GET", f"/v1/jobs?limit=1&cursor={page['next']}", token=token).json["items"]), 1)

    def test_the_stream_of_events_tells_only_what_the_token_may_see(self):
        address = urlsplit(self.world.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {self.tokens['viewer', 'there']}"})
        stream = connection.getresponse()
        hidden, shown = self.world.trigger(self.things["red"]["trigger"]), self.world.trigger(self.things["blue"]["trigger"])
        text = ""
        while shown not in text:
            text += stream.fp.readline().decode()
        self.assertNotIn(hidden, text)
        connection.close()

    def test_nobody_reaches_over_by_what_a_document_says(self):
        mine = self.tokens["developer", "there"]
        documents = {"deployment": {"kind": "Deployment", "name": "taken", "package": "job-red@1.0.0", "environment": "red"},
                     "trigger": {"kind": "Trigger", "name": "taken", "deployment": "job-red"},
                     "notifier": {"kind": "Notifier", "name": "taken", "trigger": self.things["red"]["trigger"], "on": ["success"], "type": "api", "api": {"url": self.receiver.url}},
                     "agents": {"kind": "Notifier", "name": "taken", "agents": "all", "on": ["offline"], "type": "api", "api": {"url": self.receiver.url}},
                     "environment": {"kind": "Environment", "name": "a-new-one"}, "calendar": {"kind": "Calendar", "name": "days-off", "days": ["2028-01-01"]},
                     "moved": {"kind": "Deployment", "name": "job-red", "package": "job-red@1.0.0", "environment": "blue"}}
        for what, document in documents.items():
            with self.subTest(what=what):
                plural = document["kind"].lower() + "s"
                self.assertEqual(self.world.api("PUT", f"/v1/{plural}/{document['name']}", document, token=mine).status, 403)
                self.assertEqual(self.world.api("POST", "/v1/apply", {"documents": [document]}, token=mine).status, 403)
        own = {"kind": "Deployment", "name": "own", "package": "job-red@1.0.0", "environment": "blue"}
        trigger = {"kind": "Trigger", "name": "own-api", "deployment": "own"}   # both are new
        self.assertEqual(self.world.api("POST", "/v1/apply", {"documents": [trigger, own]}, token=mine).status, 200)
        # Out of an environment, too, one needs to be there.
        self.assertEqual(self.world.api("PUT", "/v1/deployments/own", {**own, "environment": "red"}, token=mine).status, 403)
        self.assertEqual(self.world.api("PUT", "/v1/deployments/own", {**own, "description": "x"}, token=self.tokens["developer", "here"]).status, 403)

    def test_nobody_gives_or_ends_more_than_they_have(self):
        admin_here = self.tokens["admin", "here"]
        make = lambda body, token=admin_here: self.world.api("POST", "/v1/tokens", body, token=token)
        for body in ({"kind": "admin", "name": "x"}, {"kind": "user", "name": "x", "role": "viewer"}, {"kind": "user", "name": "x", "role": "viewer", "environments": ["red", "blue"]},
                     {"kind": "trigger", "trigger": self.things["blue"]["trigger"]}, {"kind": "env", "environment": "blue"}):
            self.assertEqual(make(body).status, 403, body)
        made = make({"kind": "user", "name": "assistant", "role": "operator", "environments": ["red"]})
        self.assertEqual(made.status, 201)
        listed = {item["id"] for item in self.world.api("GET", "/v1/tokens", token=admin_here).json["items"]}
        self.assertIn(made.json["id"], listed)
        self.assertNotIn(self.spare, listed)
        self.assertEqual(self.world.api("DELETE", f"/v1/tokens/{self.spare}", token=admin_here).status, 403)
        self.assertEqual(self.world.api("POST", f"/v1/tokens/{self.spare}/rotate", token=admin_here).status, 403)
        self.assertEqual(self.world.api("DELETE", f"/v1/tokens/{made.json['id']}", token=admin_here).status, 204)
        self.assertEqual(self.world.api("GET", "/v1/session", token=made.json["token"]).status, 401)
        # An agent is moved, approved and invited by whoever administers both sides.
        for patch in ({"environment": "blue"}, {"approvedIn": ["*"]}, {"approvedIn": ["red", "blue"]}):
            self.assertEqual(self.world.api("PATCH", "/v1/agents/red-1", patch, token=admin_here).status, 403, patch)
        self.assertEqual(self.world.api("POST", "/v1/agents/invitations", {"environment": "blue"}, token=admin_here).status, 403)
        self.assertEqual(self.world.api("POST", "/v1/agents/invitations", {"environment": "red", "approveIn": ["*"]}, token=admin_here).status, 403)
        self.assertEqual(self.world.api("POST", "/v1/agents/invitations", {"environment": "red"}, token=admin_here).status, 201)
        self.assertEqual(self.world.api("PUT", "/v1/credentials/new", {"kind": "bearer", "value": {"token": "abcdefgh"}}, token=admin_here).status, 403)

    def test_nothing_reaches_another_environment_by_a_detour(self):
        world, developer = self.world, self.tokens["developer", "there"]
        spy = {"deployment": "job-blue", "type": "event", "event": {"job": {"trigger": self.things["red"]["trigger"], "on": ["success"]}, "input": {"o": "${ .output }"}}}
        refused = world.api("PUT", "/v1/triggers/spy", spy, token=developer)
        self.assertEqual((refused.status, refused.json["needs"].get("environment")), (403, "red"), refused.body)
        self.assertIn("hearing of the ends", refused.json["detail"])
        applied = world.api("POST", "/v1/apply", {"documents": [{"kind": "Trigger", "name": "spy", **spy}]}, token=developer)
        self.assertEqual(applied.status, 403, applied.body)
        self.assertEqual(world.api("GET", "/v1/triggers/spy").status, 404)

    def test_tokens_end_with_what_they_are_for(self):
        world = self.world
        spec = {"deployment": "job-blue", "type": "api"}
        self.assertEqual(world.api("PUT", "/v1/triggers/short-lived", spec).status, 201)
        token = world.api("POST", "/v1/triggers/short-lived/token").json["token"]
        self.assertEqual(world.api("POST", "/v1/triggers/short-lived/runs", {}, token=token).status, 202)
        self.assertEqual(world.api("DELETE", "/v1/triggers/short-lived").status, 204)
        self.assertEqual(world.api("PUT", "/v1/triggers/short-lived", spec).status, 201)
        self.assertEqual(world.api("POST", "/v1/triggers/short-lived/runs", {}, token=token).status, 401)
        self.assertEqual(world.api("DELETE", "/v1/triggers/short-lived").status, 204)

    def test_who_says_whose_packages_count_is_an_administrator(self):
        world, developer = self.world, self.tokens["developer", "everywhere"]
        key = "MCowBQYDK2VwAyEA" + "A" * 43 + "="
        made = world.run("keys", "new", "acme", "--out", world.folder / "acme.key", check=False)
        key = next((word for line in made.stdout.splitlines() for word in line.split() if len(word) >= 43), key)
        put = world.api("PUT", "/v1/publishers/acme", {"keys": [key]})
        self.assertIn(put.status, (200, 201), put.body)
        self.assertEqual(world.api("DELETE", "/v1/publishers/acme", token=developer).status, 403)
        document = {"kind": "Publisher", "name": "acme", "keys": [key]}
        self.assertEqual(world.api("POST", "/v1/apply", {"documents": [document], "source": "mine"}, token=developer).status, 200)   # nothing of it changes
        pruned = world.api("POST", "/v1/apply", {"documents": [{"kind": "Calendar", "name": "mine", "days": ["2027-01-02"]}], "source": "mine", "prune": True, "force": True}, token=developer)
        self.assertEqual((pruned.status, pruned.json["needs"]["role"]), (403, "admin"), pruned.body)
        self.assertEqual(world.api("GET", "/v1/publishers/acme").status, 200)
        self.assertEqual(world.api("DELETE", "/v1/publishers/acme").status, 204)

    def test_scopes_narrow_a_token_and_what_it_makes(self):
        token = self.world.api("POST", "/v1/tokens", {"kind": "user", "name": "dashboard", "role": "admin", "scopes": ["jobs:read", "access"]}).json["token"]
        self.assertEqual(self.world.api("GET", "/v1/jobs", token=token).status, 200)
        refused = self.world.api("POST", f"/v1/jobs/{self.things['red']['job']}/cancel", token=token)
        self.assertEqual((refused.status, refused.json["needs"]), (403, {"scope": "jobs"}))
        self.assertEqual(self.world.api("GET", "/v1/agents", token=token).json["needs"], {"scope": "agents:read"})
        self.assertEqual(self.world.api("POST", "/v1/tokens", {"kind": "user", "name": "x", "role": "viewer"}, token=token).status, 403)
        self.assertEqual(self.world.api("POST", "/v1/tokens", {"kind": "user", "name": "x", "role": "viewer", "scopes": ["jobs:read"]}, token=token).status, 201)
        wrong = self.world.api("POST", "/v1/tokens", {"kind": "user", "name": "x", "role": "viewer", "scopes": ["everything"]})
        self.assertEqual(wrong.status, 400)
        self.assertIn("everything", wrong.json["detail"])

    def test_the_command_line_says_who_could_do_what(self):
        can = lambda *arguments: self.world.run("can", *arguments, check=False)
        trigger, job = self.things["red"]["trigger"], self.things["red"]["job"]
        for user, action, thing, may in (("operator-here", "run", f"trigger/{trigger}", True), ("viewer-here", "run", f"trigger/{trigger}", False), ("operator-there", "run", f"trigger/{trigger}", False),
                                         ("operator-here", "cancel", f"job/{job}", True), ("viewer-here", "read", f"job/{job}", True), ("viewer-there", "read", f"job/{job}", False),
                                         ("developer-everywhere", "write", "deployment/job-red", True), ("admin-here", "delete", "credential/secret-red", True), ("admin-here", "read", "audit", False),
                                         (trigger, "run", f"trigger/{trigger}", True), ("red", "run", f"trigger/{trigger}", True), ("red", "run", f"trigger/{self.things['blue']['trigger']}", False),
                                         (trigger, "read", "deployment/job-red", False), ("developer-there", "POST", "/v1/apply", True)):
            done = can(user, action, thing)
            with self.subTest(user=user, action=action, thing=thing):
                self.assertEqual(done.returncode, 0 if may else 77, done.stdout + done.stderr)
                self.assertIn("may" if may else "may not", done.stdout)
        self.assertIn("needs the role admin in all environments", can("admin-here", "read", "audit").stdout)
        for wrong in (("nobody", "read", "job/x"), ("spare", "dance", "job/x"), ("spare", "read", "moon/x")):
            self.assertNotEqual(can(*wrong).returncode, 0)

    def test_the_command_line_makes_rotates_and_ends_tokens(self):
        made = self.world.json("tokens", "create", "ci", "--role", "developer", "--environment", "red", "--scope", "jobs", "--expires", "90d")
        self.assertEqual((made["role"], made["environments"], made["scopes"]), ("developer", ["red"], ["jobs"]))
        self.assertTrue(made["expiresAt"])
        again = self.world.json("tokens", "rotate", made["id"], "--overlap", "1h")
        self.assertNotEqual(again["id"], made["id"])
        self.assertEqual((again["role"], again["environments"], again["scopes"]), ("developer", ["red"], ["jobs"]))
        both = [self.world.api("GET", "/v1/session", token=each["token"]) for each in (made, again)]
        self.assertEqual([answer.status for answer in both], [200, 200])
        self.assertEqual(both[1].json["environments"], ["red"])
        at_once = self.world.json("tokens", "rotate", again["id"], "--overlap", "0s")
        wait_for("the end of the old one", lambda: self.world.api("GET", "/v1/session", token=again["token"]).status == 401)
        self.world.run("tokens", "revoke", at_once["id"])
        self.assertEqual(self.world.api("GET", "/v1/session", token=at_once["token"]).status, 401)
        table = self.world.run("tokens").stdout
        self.assertIn("SCOPES", table)
        self.assertRegex(table, r"ci +developer +red +jobs")


if __name__ == "__main__":
    unittest.main()
