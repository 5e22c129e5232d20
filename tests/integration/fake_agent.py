"""An agent of a few lines that speaks /agent/v1 to a real factory: what a real one would say too late, twice, or never can be said here."""
import base64
import json
import os
import subprocess
import time
import urllib.parse

from mill import call


def encoded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class FakeAgent:
    def __init__(self, world, name="pc-anna", user="anna", mode="attended", environment="default", approve_in=(), knows=("again", "person", "consent"), facts=None):
        self.world, self.name, self.mode, self.counter = world, name, mode, 0
        self.knows, self.facts = list(knows), facts if facts is not None else {"session": {"state": "active", "user": user}}
        self.key = world.folder / f"{name}.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", self.key], check=True, capture_output=True)
        public = subprocess.run(["openssl", "pkey", "-in", self.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
        terms = {"environment": environment, "approve": True, "name": name, "approveIn": list(approve_in)}
        if user:
            terms["user"] = user
        code = world.api("POST", "/v1/agents/invitations", terms).json["code"]
        reply = call("POST", world.url + "/agent/v1/enrol", {"version": 1, "code": code, "name": name, "mode": mode, "publicKey": base64.b64encode(public).decode()})
        assert reply.status == 201, reply.body
        self.id, self.audience = reply.json["agentId"], reply.json["tokenUrl"]
        self.open()

    def open(self):
        """A new token and a new session, as after a restart of the agent or the factory."""
        self.counter += 1
        claims = {"iss": self.id, "sub": self.id, "aud": self.audience, "iat": int(time.time()), "exp": int(time.time()) + 50, "jti": os.urandom(8).hex(), "ctr": self.counter}
        text = encoded(b'{"alg":"EdDSA","typ":"JWT"}') + "." + encoded(json.dumps(claims).encode())
        said, signed = self.key.with_suffix(".said"), self.key.with_suffix(".signed")
        said.write_text(text)
        subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.key, "-in", said, "-out", signed], check=True, capture_output=True)
        form = {"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": f"{text}.{encoded(signed.read_bytes())}"}
        reply = call("POST", self.world.url + "/agent/v1/token", urllib.parse.urlencode(form).encode(), headers={"Content-Type": "application/x-www-form-urlencoded"})
        assert reply.status == 200, reply.body
        self.token = reply.json["access_token"]
        reply = self.post("session", {"version": 1, "must": [], "challenge": base64.b64encode(os.urandom(32)).decode(), "mode": self.mode, "slots": 4, "facts": self.facts, "held": [],
                                      "knows": self.knows})
        assert reply.status == 200, reply.body
        self.session = reply.json
        return self.session

    def post(self, path, body, **more):
        return call("POST", f"{self.world.url}/agent/v1/{path}", body, self.token, **more)

    def poll(self, want=1, answers=(), wait=0, next=30_000, **more):
        """One poll; by default it is answered at once, and the agent counts as there for half a minute."""
        body = {"want": want, "answers": list(answers), "knows": ["doctor", "person"], "waitMs": wait, "nextMs": next, **more}
        reply = self.post("offers", body)
        assert reply.status == 200, reply.body
        return reply.json

    def offers(self, **more):
        return self.poll(**more)["offers"]

    @staticmethod
    def attempt(offer):
        return {member: offer[member] for member in ("job", "epoch", "attempt")}

    def says(self, offer, answer, **more):
        return self.poll(want=0, answers=[{**self.attempt(offer), "answer": answer, **more}])

    def report(self, offer, *states, first=1, **body):
        """States of the attempt, from sequence `first` on; `body` is of the last one."""
        events = [{"sequence": first + i, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "kind": "state", "body": {"state": state, **(body if i == len(states) - 1 else {})}}
                  for i, state in enumerate(states)]
        reply = self.post("events", {"attempts": [{**self.attempt(offer), "events": events}]})
        assert reply.status == 200, reply.body
        return reply.json["attempts"][0]

    def person(self):
        reply = self.post("person", {})
        assert reply.status == 200, reply.body
        return reply.json

    def launch(self, trigger, id=None, input=None):
        return self.post("person/launch", {"id": id or os.urandom(8).hex(), "trigger": trigger, "input": input or {}})
