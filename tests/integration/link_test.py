"""The agent's way to its factory: IPv6, a gateway that asks for a certificate, proxies, polling without a subscription."""
import base64
import os
import select
import socket
import ssl
import subprocess
import threading
import unittest

from mill import BIN, NOBODY, Program, Test, World, user
from tls_test import certificates, openssl

AGENT = BIN / "millwright-agent"
HELLO = "do:\n  - say:\n      set: { said: hello }\n"


class Proxy:
    """A small HTTP proxy that wants a user and a password: CONNECT, and whole addresses for plain text."""

    def __init__(self, password):
        self.expected = "Basic " + base64.b64encode(password.encode()).decode()
        self.seen, self.refused = [], 0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        with peer:
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    piece = peer.recv(65536)
                    if not piece:
                        return
                    head += piece
                head, rest = head.split(b"\r\n\r\n", 1)
                lines = head.decode().split("\r\n")
                method, target, _ = lines[0].split()
                headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in lines[1:]}
                if headers.get("proxy-authorization") != self.expected:
                    self.refused += 1
                    peer.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"x\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    return
                self.seen.append((method, target))
                where = target if method == "CONNECT" else target.split("/")[2]
                host, port = where.rsplit(":", 1)
                with socket.create_connection((host, int(port))) as upstream:
                    if method == "CONNECT":
                        peer.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    else:
                        path = "/" + target.split("/", 3)[3]
                        kept = [line for line in lines[1:] if not line.lower().startswith(("proxy-", "connection"))]
                        upstream.sendall("\r\n".join([f"{method} {path} HTTP/1.1", *kept, "Connection: close", "", ""]).encode() + rest)
                    self.relay(peer, upstream)
                return

    @staticmethod
    def relay(peer, upstream):
        while True:
            readable, _, _ = select.select([peer, upstream], [], [])
            for source in readable:
                try:
                    data = source.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                (upstream if source is peer else peer).sendall(data)

    def close(self):
        self.listening.close()


class Links(Test):
    def world(self):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        return world

    def enrol(self, world, config="", factory=None, check=True, code=None):
        data = world.folder / "srv-1"
        code = code or world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True}).json["code"]
        config = world.write("agent.yaml", config or "{}\n")
        done = world.command(AGENT, "enrol", "--data", data, "--factory", factory or world.url, "--code", code, "--name", "srv-1", "--config", config, check=check)
        if done.returncode == 0:
            (data / "policy.yaml").write_text("unsigned: true\n")
        return done, data

    def run_agent(self, world, data):
        return Program(world, "agent", [AGENT, "run", "--data", data, "--config", world.folder / "agent.yaml"], "ready")

    def runs_a_job(self, world):
        trigger = world.deploy("hello", HELLO)
        self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")

    def test_ipv6(self):
        world = self.world()
        try:
            with socket.create_server(("::1", 0), family=socket.AF_INET6):
                pass
        except OSError:
            self.skipTest("no IPv6 here")
        world.factory = Program(world, "factory", [BIN / "millwright-factory", "--data", world.data, "--listen", "[::1]:0", "--config", world.config], "listening on")
        world.url = world.factory.first.split()[-1]
        self.assertRegex(world.url, r"^http://\[::1\]:\d+$")
        world.token = (world.data / "admin-token").read_text().strip()
        _, data = self.enrol(world)
        self.run_agent(world, data)
        self.runs_a_job(world)

    def test_polling_without_a_subscription(self):
        world = self.world()
        world.start_factory()
        _, data = self.enrol(world, "subscribe: false\npollInterval: 1s\n")
        agent = self.run_agent(world, data)
        self.runs_a_job(world)
        self.assertEqual(world.json("agents")["items"][0]["state"], "online")
        agent.stop()
        (world.folder / "agent.yaml").write_text("pollInterval: 5s\n")
        done = world.command(AGENT, "rotate", "--data", data, "--config", world.folder / "agent.yaml", check=False)
        self.assertIn("subscribe: false", done.stderr)

    def test_a_proxy_with_a_password_in_plain_text_and_through_tls(self):
        world = self.world()
        proxy = Proxy("anna:pa ss")
        self.addCleanup(proxy.close)
        world.start_factory()
        done, _ = self.enrol(world, f"proxy: http://anna:wrong@{proxy.url}\n", check=False)
        self.assertEqual(done.returncode, 78, done.stderr)
        self.assertIn("407", done.stderr)
        self.assertNotIn("wrong", done.stderr)
        _, data = self.enrol(world, f"proxy: http://anna:pa%20ss@{proxy.url}\n")
        self.run_agent(world, data)
        self.runs_a_job(world)
        self.assertTrue(any(target.endswith("/agent/v1/offers") for _, target in proxy.seen), proxy.seen)

    def test_no_proxy_keeps_the_factory_direct(self):
        world = self.world()
        proxy = Proxy("anna:x")
        self.addCleanup(proxy.close)
        world.start_factory()
        code = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True}).json["code"]
        for exempt, expected in (("127.0.0.1", 0), ("", 78)):
            done = subprocess.run([str(AGENT), "enrol", "--data", str(world.folder / f"a{expected}"), "--factory", world.url, "--code", code, "--name", "a"], capture_output=True, text=True,
                                  timeout=60, env={"PATH": "/usr/bin:/bin", "HOME": str(world.folder), "http_proxy": f"http://{proxy.url}", "no_proxy": exempt}, **user())
            self.assertEqual(done.returncode, expected, done.stderr)
        self.assertGreater(proxy.refused, 0)

    def test_a_gateway_that_asks_for_a_client_certificate(self):
        world = self.world()
        certificates(world.folder, "127.0.0.1")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=srv-1", "-keyout", world.folder / "client.key", "-out", world.folder / "client.csr")
        openssl("x509", "-req", "-in", world.folder / "client.csr", "-CA", world.folder / "ca.pem", "-CAkey", world.folder / "ca.key", "-CAcreateserial", "-days", "2", "-out", world.folder / "client.pem")
        if os.getuid() == 0:
            os.chown(world.folder / "client.key", NOBODY, NOBODY)
        world.start_factory()
        gateway = self.gateway(world)
        common = f"caFile: {world.folder}/ca.pem\n"
        done, _ = self.enrol(world, common, factory=gateway, check=False)
        self.assertNotEqual(done.returncode, 0)
        done, data = self.enrol(world, common + f"clientCertificate: {world.folder}/client.pem\n", factory=gateway, check=False)
        self.assertIn("clientKey", done.stderr)
        done, data = self.enrol(world, common + f"clientCertificate: {world.folder}/client.pem\nclientKey: {world.folder}/client.key\n", factory=gateway)
        self.run_agent(world, data)
        self.runs_a_job(world)

    def gateway(self, world):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(world.folder / "127.0.0.1.pem", world.folder / "127.0.0.1.key")
        context.load_verify_locations(world.folder / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        context.maximum_version = ssl.TLSVersion.TLSv1_2   # the refusal comes within the handshake
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)

        def serve(peer):
            try:
                with context.wrap_socket(peer, server_side=True) as inner, socket.create_connection(("127.0.0.1", world.port)) as upstream:
                    def back():
                        try:
                            while data := upstream.recv(65536):
                                inner.sendall(data)
                            inner.close()
                        except OSError:
                            pass   # the agent went first
                    threading.Thread(target=back, daemon=True).start()
                    while data := inner.recv(65536):
                        upstream.sendall(data)
            except OSError:
                pass

        def accept():
            while True:
                try:
                    peer, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(peer,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"https://127.0.0.1:{listening.getsockname()[1]}"


if __name__ == "__main__":
    unittest.main()
