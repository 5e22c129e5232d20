"""Who an agent is: admission without a code, invitations and their terms, rotation, revocation, and what the errors say; through the real programs."""
import json
import os
import signal
import socket
import subprocess
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mill import BIN, NOBODY, Program, Test, World, call, user, wait_for

AGENT = BIN / "millwright-agent"


def enrol(world, data, *more, check=False, timeout=60, factory=None):
    return world.command(AGENT, "enrol", "--data", data, "--factory", factory or world.url, *more, check=check, timeout=timeout)


def waiting(world, data, *more):
    """An enrolment that waits for its admission, and the code it shows."""
    program = Program(world, f"enrol-{data.name}", [AGENT, "enrol", "--data", data, "--factory", world.url, *more], "code ")
    program.code = program.first.split()[1]
    program.fingerprint = program.wait_line("fingerprint").split()[1]
    return program


def audit(world, action):
    return [row for row in world.api("GET", "/v1/audit").json["items"] if row["action"] == action]


def invite(world, **terms):
    reply = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, **terms})
    assert reply.status == 201, reply.body
    return reply.json["code"]


class Admission(Test):
    def world(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        return world

    def test_a_machine_is_admitted_by_its_code_and_works(self):
        world = self.world()
        data = world.folder / "srv-1"
        program = waiting(world, data, "--name", "srv-1")
        self.assertRegex(program.code, "^[A-HJ-NP-Z2-9]{4}-[A-HJ-NP-Z2-9]{4}$")
        listed = world.json("agents", "requests")["items"]
        self.assertEqual([(r["code"], r["name"], r["fingerprint"], r["address"]) for r in listed], [(program.code, "srv-1", program.fingerprint, "127.0.0.1")])
        self.assertIn("os", listed[0]["facts"])
        self.assertNotIn("challenge", listed[0])
        self.assertEqual(world.api("GET", "/v1/agents").json["items"], [])
        said = world.run("agents", "admit", program.code.lower().replace("-", ""), "--label", "site=berlin").stdout
        self.assertIn("srv-1 is an agent of environment default", said)
        self.assertIn(program.fingerprint, said)
        program.wait_line("enrolled as srv-1")
        self.assertEqual(program.process.wait(20), 0)
        agent = world.api("GET", "/v1/agents/srv-1").json
        self.assertTrue(agent["approved"])
        self.assertEqual(agent["labels"], {"site": "berlin"})
        self.assertEqual(agent["fingerprint"], program.fingerprint)
        self.assertEqual(audit(world, "admit")[0]["detail"]["code"], program.code)
        self.assertEqual(world.json("agents", "requests")["items"], [])
        (data / "policy.yaml").write_text("unsigned: true\n")
        world.start_agent(data)
        trigger = world.deploy("hello", "do:\n  - say:\n      set: { said: hello }\n")
        self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
        again = enrol(world, data)
        self.assertEqual(again.returncode, 78, again.stderr)   # the running agent has it
        self.assertIn("in use", again.stderr)

    def test_another_name_and_environment_are_the_administrators_choice(self):
        world = self.world()
        world.run("apply", "-f", world.write("e.yaml", 'kind: Environment\nname: night\nagents: [ "*" ]\n'))
        program = waiting(world, world.folder / "a", "--name", "srv-1", "--environment", "nowhere")
        refused = world.run("agents", "admit", program.code, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("environment 'nowhere' is not there", refused.stderr)
        world.run("agents", "admit", program.code, "--name", "night-7", "--environment", "night")
        program.wait_line("enrolled as night-7 in environment night")

    def test_a_refusal_says_why_and_gives_nothing(self):
        world = self.world()
        data = world.folder / "srv-1"
        program = waiting(world, data, "--name", "srv-1")
        world.run("agents", "refuse", program.code, "--why", "nobody knows this machine")
        self.assertEqual(program.process.wait(20), 78)
        self.assertIn("nobody knows this machine", program.tail())
        self.assertFalse((data / "factories").exists())
        self.assertEqual(audit(world, "refuse")[0]["detail"]["why"], "nobody knows this machine")
        self.assertEqual(world.run("agents", "admit", program.code, check=False).returncode, 1)

    def test_ctrl_c_is_clean_and_the_same_command_goes_on_with_the_same_key(self):
        world = self.world()
        data = world.folder / "srv-1"
        first = waiting(world, data, "--name", "srv-1")
        first.kill(signal.SIGINT)
        self.assertEqual(first.process.returncode, 130)
        self.assertIn("can still be admitted", first.tail())
        second = waiting(world, data, "--name", "srv-1")
        self.assertEqual((second.code, second.fingerprint), (first.code, first.fingerprint))
        second.kill()
        world.run("agents", "admit", first.code)   # while nobody waits
        third = enrol(world, data, "--name", "srv-1")
        self.assertEqual(third.returncode, 0, third.stderr)
        self.assertIn("enrolled as srv-1", third.stdout)
        self.assertEqual(world.api("GET", "/v1/agents/srv-1").json["fingerprint"], first.fingerprint)

    def test_a_factory_that_is_started_anew_is_asked_again(self):
        world = self.world()
        program = waiting(world, world.folder / "srv-1", "--name", "srv-1")
        world.factory.stop()
        world.start_factory()
        code = program.wait_line("code ", 60).split()[1]
        self.assertNotEqual(code, program.code)
        world.run("agents", "admit", code)
        program.wait_line("enrolled as srv-1")

    def test_who_saw_the_code_gets_nothing(self):
        world = self.world()
        program = waiting(world, world.folder / "srv-1", "--name", "srv-1")
        viewer = world.api("POST", "/v1/tokens", {"kind": "user", "name": "anna", "role": "operator"}).json["token"]
        for method, path in (("GET", ""), ("POST", f"/{program.code}/admit"), ("POST", f"/{program.code}/refuse")):
            reply = world.api(method, "/v1/agents/requests" + path, {} if method == "POST" else None, token=viewer)
            self.assertEqual(reply.status, 403, reply.body)
            self.assertIn("role admin", reply.json["detail"])
        for body in ({"id": program.code, "signature": "AAAA"}, {"id": "0192", "signature": "AA=="}):
            self.assertEqual(call("POST", world.url + "/agent/v1/admission/poll", body).status, 410)

    def test_a_taken_name_is_said_at_once(self):
        world = self.world()
        world.enrol("srv-1")
        done = enrol(world, world.folder / "other", "--name", "srv-1")
        self.assertEqual(done.returncode, 78)
        self.assertIn("there is an agent 'srv-1' already", done.stderr)
        self.assertIn("--revoke", done.stderr)


class Invitations(Test):
    def world(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        return world

    def test_label_pattern_uses_and_approval(self):
        world = self.world()
        made = world.json("agents", "invite", "--name", "desk-*", "--label", "site=berlin", "--label", "floor=2", "--uses", "2", "--for", "5m")
        self.assertEqual((made["name"], made["labels"], made["usesLeft"], made["approve"]), ("desk-*", {"site": "berlin", "floor": "2"}, 2, False))
        wrong = enrol(world, world.folder / "a", "--code", made["code"], "--name", "srv-1")
        self.assertEqual(wrong.returncode, 78)
        self.assertIn("names like 'desk-*', not 'srv-1'", wrong.stderr)
        self.assertIn("--name", wrong.stderr)
        first = enrol(world, world.folder / "a", "--code", made["code"], "--name", "desk-1")
        self.assertIn("millwright agents set desk-1 --approve", first.stdout)
        self.assertEqual(world.api("GET", "/v1/agents/desk-1").json["labels"], {"site": "berlin", "floor": "2"})
        self.assertEqual(world.api("GET", "/v1/agents/desk-1").json["state"], "unapproved")
        self.assertEqual(enrol(world, world.folder / "b", "--code", made["code"], "--name", "desk-2").returncode, 0)
        used = enrol(world, world.folder / "c", "--code", made["code"], "--name", "desk-3")
        self.assertEqual(used.returncode, 78)
        self.assertIn("used up", used.stderr)
        self.assertIn("administrator", used.stderr)
        self.assertEqual(used.stderr.count("agents invite"), 1, used.stderr)
        world.run("agents", "set", "desk-1", "--approve")
        approved = world.json("agents", "invite", "--approve")
        self.assertEqual(enrol(world, world.folder / "d", "--code", approved["code"], "--name", "x").returncode, 0)
        self.assertTrue(world.api("GET", "/v1/agents/x").json["approved"])

    def test_an_expired_a_foreign_and_a_mistyped_code(self):
        world = self.world()
        code = invite(world, forMs=1000)
        time.sleep(1.1)   # its whole life
        done = enrol(world, world.folder / "a", "--code", code, "--name", "a")
        self.assertEqual(done.returncode, 78)
        self.assertRegex(done.stderr, "was valid until 20.*administrator.*agents invite")
        foreign = enrol(world, world.folder / "a", "--code", "mw_code_abcdefghijkl_" + "0" * 64, "--name", "a")
        self.assertIn("not known here", foreign.stderr)
        typed = enrol(world, world.folder / "a", "--code", "mw_code_x", "--name", "a")
        self.assertIn("what `millwright agents invite` prints", typed.stderr)

    def test_a_take_over_needs_one_name(self):
        world = self.world()
        done = world.run("agents", "invite", "--name", "srv-*", "--take-over", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("one name", done.stderr)


class Revoked(Test):
    def world(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        return world

    def test_revoked_it_says_so_and_is_enrolled_again_in_place_with_its_reports(self):
        world = self.world()
        data = world.enrol("srv-1")
        agent = world.start_agent(data)
        trigger = world.deploy("slow", "do:\n  - rest:\n      wait: { seconds: 2 }\n")
        job = world.trigger(trigger)
        wait_for("the job to run", lambda: world.job(job)["state"] == "running")
        self.assertIn("revoked", world.run("agents", "set", "srv-1", "--revoke").stdout)
        wait_for("its log to say so", lambda: "was revoked by an administrator" in agent.tail(), 40)
        self.assertIn("millwright agents invite --name srv-1 --take-over", agent.tail())
        self.assertIn("millwright-agent enrol", agent.tail())
        self.assertEqual(world.json("agents")["items"][0]["state"], "revoked")
        waits = world.trigger(trigger)
        self.assertIn("srv-1 was revoked", world.run("why", waits).stdout)
        # The job ends there, and cannot be told.
        journal = next((data / "factories").iterdir()) / "journal"
        wait_for("the end of the job on the machine", lambda: b"successful" in journal.read_bytes(), 30)
        self.assertEqual(world.job(job)["state"], "running")
        agent.stop()
        again = enrol(world, data, "--code", invite(world))
        self.assertEqual(again.returncode, 78)
        self.assertIn("there is an agent 'srv-1' already", again.stderr)
        self.assertIn("--take-over", again.stderr)
        code = world.json("agents", "invite", "--name", "srv-1", "--take-over", "--approve")["code"]
        again = enrol(world, data, "--code", code)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertIn("reports that were not sent yet are kept", again.stdout)
        world.start_agent(data)
        self.assertEqual(world.ended(job)["state"], "successful")
        self.assertEqual(world.ended(waits)["state"], "successful")
        self.assertTrue(audit(world, "enrol")[0]["detail"]["takenOver"])

    def test_a_working_identity_is_left_alone(self):
        world = self.world()
        data = world.enrol("srv-1")
        before = world.api("GET", "/v1/agents/srv-1").json["fingerprint"]
        done = enrol(world, data, "--code", invite(world))
        self.assertEqual(done.returncode, 78)
        self.assertIn("there is nothing to do", done.stderr)
        self.assertEqual(world.api("GET", "/v1/agents/srv-1").json["fingerprint"], before)

    def test_deleted_it_is_enrolled_anew_in_place_without_a_code(self):
        world = self.world()
        data = world.enrol("srv-1")
        world.run("delete", "agent", "srv-1")
        program = waiting(world, data)
        self.assertEqual(world.json("agents", "requests")["items"][0]["name"], "srv-1")   # its name of before, not the host's
        world.run("agents", "admit", program.code)
        program.wait_line("replaced")
        world.start_agent(data)

    def test_a_copied_key_freezes_and_a_take_over_mends_it(self):
        world = self.world()
        data = world.enrol("srv-1")
        copy = world.folder / "copy"
        subprocess.run(["cp", "-a", str(data), str(copy)], check=True)
        first = world.start_agent(data)
        first.stop()
        second = subprocess.Popen([str(AGENT), "run", "--data", str(copy)], stdout=subprocess.DEVNULL, stderr=(world.folder / "copy.log").open("wb"),
                                  start_new_session=True, **user())
        try:
            wait_for("the copy to be told", lambda: "copied_key" in (world.folder / "copy.log").read_text(), 30)
        finally:
            second.terminate()
            second.wait(30)
        self.assertIn("agents set srv-1 --unfreeze", (world.folder / "copy.log").read_text())
        self.assertEqual(world.json("agents")["items"][0]["state"], "frozen")
        program = waiting(world, data)
        self.assertEqual(world.json("agents", "requests")["items"][0]["takes"], "frozen")
        refused = world.run("agents", "admit", program.code, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("already", refused.stderr)
        world.run("agents", "admit", program.code, "--take-over")
        program.wait_line("enrolled as srv-1")
        world.start_agent(data)
        wait_for("it to be online", lambda: world.json("agents")["items"][0]["state"] == "online")


class Rotation(Test):
    def world(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        world.start_factory()
        return world

    def fingerprint(self, world):
        return world.api("GET", "/v1/agents/srv-1").json["fingerprint"]

    def test_a_stopped_agent_gets_another_key(self):
        world = self.world()
        data = world.enrol("srv-1")
        before, old = self.fingerprint(world), next((data / "factories").iterdir())
        old_key = (old / "key").read_text()
        self.assertIn("has a new key", world.command(AGENT, "rotate", "--data", data).stdout)
        self.assertNotEqual(self.fingerprint(world), before)
        self.assertNotEqual((old / "key").read_text(), old_key)
        self.assertFalse((old / "key.next").exists())
        self.assertEqual(audit(world, "rotate-key")[0]["detail"]["keyBefore"], before)
        world.start_agent(data).stop()
        # The old key is of no use any more, and who has it has a copy.
        (old / "key").write_text(old_key)
        said = self.refused_as_copied(world, data)
        self.assertIn(before, said)

    def refused_as_copied(self, world, data):
        """What an agent with a replaced key is told; words that may have been on their way when the key was changed freeze nobody."""
        last = []

        def refused():
            done = world.command(AGENT, "rotate", "--data", data, check=False)
            self.assertEqual(done.returncode, 78, done.stderr)
            last.append(done.stderr)
            if "copied_key" not in done.stderr:
                self.assertIn("knows another key", done.stderr)
            return "copied_key" in done.stderr

        wait_for("the old key to be told from a late word", refused, 60)
        return last[-1]

    def test_a_thief_who_changes_the_key_first_is_noticed_by_the_owner(self):
        world = self.world()
        data = world.enrol("srv-1")
        owner = self.fingerprint(world)
        copy = world.folder / "copy"
        subprocess.run(["cp", "-a", str(data), str(copy)], check=True)
        world.command(AGENT, "rotate", "--data", copy)
        world.command(AGENT, "rotate", "--data", copy)   # with a session of the first one's new key
        said = self.refused_as_copied(world, data)
        thief = self.fingerprint(world)
        for text in (owner, thief, "agents invite --name srv-1 --take-over"):
            self.assertIn(text, said)
        self.assertEqual(world.json("agents")["items"][0]["state"], "frozen")
        [row] = audit(world, "freeze")
        self.assertEqual({k: row["detail"][k] for k in ("reason", "keyBefore", "key")}, {"reason": "copied_key", "keyBefore": owner, "key": thief})
        self.assertIn("unless it was you, do not unfreeze it", world.factory.tail())
        done = world.command(AGENT, "rotate", "--data", copy, check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        # The owner's machine is enrolled again; the thief's key is nobody's then, and freezes nothing.
        self.assertEqual(enrol(world, data, "--code", invite(world, name="srv-1", takeOver=True)).returncode, 0)
        done = world.command(AGENT, "rotate", "--data", copy, check=False)
        self.assertIn("knows another key", done.stderr)
        world.start_agent(data)
        wait_for("it to be online", lambda: world.json("agents")["items"][0]["state"] == "online")

    def test_a_change_that_was_cut_short_on_either_side_leaves_a_key_that_works(self):
        world = self.world()
        data = world.enrol("srv-1")
        folder = next((data / "factories").iterdir())
        old_key = (folder / "key").read_text()
        world.command(AGENT, "rotate", "--data", data)
        new_key = (folder / "key").read_text()
        changed = self.fingerprint(world)
        # The factory changed it, and the agent died before it heard.
        pair = json.dumps({"key": new_key.strip(), "publicKey": self.public_key(new_key)})
        (folder / "key").write_text(old_key)
        (folder / "key.next").write_text(pair)
        os.chmod(folder / "key.next", 0o600)
        if os.getuid() == 0:
            os.chown(folder / "key.next", NOBODY, NOBODY)
        agent = world.start_agent(data)
        self.assertIn("cut short before, is done", agent.tail())
        self.assertEqual((folder / "key").read_text(), new_key)
        self.assertFalse((folder / "key.next").exists())
        agent.stop()
        # The agent died before the factory heard: the key that was to follow is the one that follows.
        other = self.pair()
        (folder / "key.next").write_text(json.dumps({"key": other[0], "publicKey": other[1]}))
        os.chmod(folder / "key.next", 0o600)
        if os.getuid() == 0:
            os.chown(folder / "key.next", NOBODY, NOBODY)
        world.start_agent(data).stop()
        self.assertEqual(self.fingerprint(world), changed)
        world.command(AGENT, "rotate", "--data", data)
        self.assertEqual((folder / "key").read_text().strip(), other[0])

    def pair(self):
        import base64
        der = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-outform", "DER"], check=True, capture_output=True).stdout
        key = base64.b64encode(der[-32:]).decode()
        return key, self.public_key(key)

    def public_key(self, key):
        import base64
        der = bytes.fromhex("302e020100300506032b657004220420") + base64.b64decode(key)
        public = subprocess.run(["openssl", "pkey", "-inform", "DER", "-pubout", "-outform", "DER"], input=der, check=True, capture_output=True).stdout
        return base64.b64encode(public[-32:]).decode()

    def test_an_old_key_is_changed_by_the_running_agent_and_jobs_go_on(self):
        world = self.world()
        data = world.enrol("srv-1")
        before = self.fingerprint(world)
        folder = next((data / "factories").iterdir())
        long_ago = time.time() - 91 * 86400
        os.utime(folder / "key", (long_ago, long_ago))
        (data / "config.yaml").write_text("keyMaxAge: 90d\n")
        world.start_agent(data)
        self.assertNotEqual(self.fingerprint(world), before)
        trigger = world.deploy("hello", "do:\n  - say:\n      set: { said: hello }\n")
        self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
        done = world.command(AGENT, "rotate", "--data", data, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("an agent runs there", done.stderr)
        self.assertIn("keyMaxAge", done.stderr)


class Answering(BaseHTTPRequestHandler):
    """Whatever is asked, `answer` is said."""
    protocol_version = "HTTP/1.1"
    status, headers_out, body = 200, {}, b""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response_only(self.status)
        for name, value in self.headers_out.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_CONNECT = do_POST

    def log_message(self, *_):
        pass


class Errors(Test):
    def serve(self, status, body=b"", **headers):
        handler = type("Answer", (Answering,), {"status": status, "body": body, "headers_out": {k.replace("_", "-"): v for k, v in headers.items()}})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"

    def refused(self, url, *more, config=None):
        with World() as world:
            if config:
                more += ("--config", world.write("agent.yaml", config))
            done = enrol(world, world.folder / "a", "--code", "mw_code_abcdefghijkl_" + "0" * 64, "--name", "a", *more, factory=url)
            self.assertNotEqual(done.returncode, 0)
            return done.stderr

    def test_another_kind_of_server(self):
        for status, body in ((404, b"<html>nothing here</html>"), (200, b"<html>welcome</html>"), (301, b""), (200, b'{"hello":"you"}')):
            said = self.refused(self.serve(status, body))
            self.assertRegex(said, "is no Millwright factory|not with an identity", (status, body))

    def test_a_clock_that_is_far_off_is_said_with_its_amount(self):
        said = self.refused(self.serve(403, b'{"type":"about:blank","detail":"no"}', Date="Sun, 22 Nov 2020 14:09:36 GMT"))
        self.assertRegex(said, r"clock is \d+ s ahead of the factory's")

    def test_a_proxy_that_wants_a_password(self):
        proxy = self.serve(407, b"who are you", Proxy_Authenticate='Basic realm="x"')
        for url in ("http://factory.example.com:7460", "https://factory.example.com:7460"):
            said = self.refused(url, "--insecure", config=f"proxy: {proxy}\n")
            self.assertIn("proxy: http://USER:PASSWORD@HOST:PORT", said, url)

    def test_nothing_there(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            said = self.refused(f"http://127.0.0.1:{free.getsockname()[1]}")
        self.assertIn("is not reachable", said)


if __name__ == "__main__":
    unittest.main()
