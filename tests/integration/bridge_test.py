"""Commands and the network: a granted program reaches what is granted, through the broker, and nothing else."""
import http.server
import os
import signal
import ssl
import subprocess
import threading
import unittest

from mill import Test, World, wait_for

SCRIPT = """do:
  - use:
      run:
        script:
          language: python
          code: |
            import json, os, socket, ssl, subprocess, urllib.error, urllib.request
            said = {}
            def tried(name, what):
                try:
                    said[name] = what()
                except Exception as error:
                    said[name] = "error: " + str(error)
            def get(uri, **more):
                with urllib.request.urlopen(uri, timeout=20, **more) as answer:
                    return answer.read().decode()
            def refused(uri):
                try:
                    return get(uri)
                except urllib.error.HTTPError as error:
                    return f"{error.code} {error.read().decode()}"
            def direct(address, port):
                with socket.create_connection((address, port), timeout=5):
                    return "connected"
            def curl(*words):
                done = subprocess.run(["curl", "-sS", "--max-time", "20", *words], capture_output=True, text=True)
                return done.stdout if done.returncode == 0 else f"error {done.returncode}: {done.stderr}"
            plain, secure, other = os.environ["PLAIN"], os.environ["SECURE"], os.environ["OTHER"]
            tried("urllib", lambda: get(plain + "/urllib"))
            tried("post", lambda: get(plain + "/echo", data=b"a body"))
            tried("curl", lambda: curl(plain + "/curl"))
            tried("tls", lambda: get(secure + "/tls", context=ssl.create_default_context(cadata=os.environ["CA"])))
            with open("ca.pem", "w") as file:
                file.write(os.environ["CA"])
            tried("curl tls", lambda: curl("--cacert", "ca.pem", secure + "/curl-tls"))
            tried("other port", lambda: refused(other + "/x"))
            tried("other host", lambda: refused("http://tickets.example.com/x"))
            tried("private by name", lambda: refused("http://localhost:" + plain.rsplit(":", 1)[1] + "/x"))
            tried("metadata", lambda: refused("http://169.254.169.254/latest/meta-data"))
            tried("tunnel", lambda: curl("--proxytunnel", plain + "/x"))
            tried("direct", lambda: direct("127.0.0.1", int(plain.rsplit(":", 1)[1])))
            tried("out", lambda: direct("1.1.1.1", 53))
            tried("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM) and "made")
            tried("own server", lambda: socket.create_server(("127.0.0.1", 3128)) and "made")
            tried("authorities", lambda: str(os.path.isdir("/etc/ssl/certs")))
            print(json.dumps(said))
          environment: { PLAIN: '${ .plain }', SECURE: '${ .secure }', OTHER: '${ .other }', CA: '${ .ca }' }
  - read: { set: '${ fromjson }' }
"""


class Server:
    """Answers with the path, or with the body that came; keeps what was asked for."""

    def __init__(self, context=None):
        seen = self.seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                seen.append((self.path, dict(self.headers)))
                body = b"served " + self.path.encode()
                if self.command == "POST":
                    body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def authority(world):
    """A server's context, and the certificate that its clients trust."""
    key, certificate = world.folder / "key.pem", world.folder / "certificate.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context, certificate.read_text()


class Bridge(Test):
    def test_commands_reach_what_is_granted_and_nothing_else(self):
        with World() as world:
            context, ca = authority(world)
            with Server() as plain, Server(context) as secure, Server() as other:
                world.start_factory()
                world.agent("srv-1")
                asks = (f'permissions: {{ commands: [ python3 ], network: [ "http://127.0.0.1:{plain.port}", "https://127.0.0.1:{secure.port}" ] }}\n')
                trigger = world.deploy("reach", SCRIPT, asks)
                where = {"plain": f"http://127.0.0.1:{plain.port}", "secure": f"https://127.0.0.1:{secure.port}", "other": f"http://127.0.0.1:{other.port}", "ca": ca}
                job = world.ended(world.trigger(trigger, where), 60)
                self.assertEqual(job["state"], "successful", job)
                said = job["output"]
                self.assertEqual([said[name] for name in ("urllib", "post", "curl", "tls", "curl tls")],
                                 ["served /urllib", "a body", "served /curl", "served /tls", "served /curl-tls"], said)
                for name, line in (("other port", f'network: [ "http://127.0.0.1:{other.port}" ]'), ("other host", 'network: [ "http://tickets.example.com" ]'),
                                   ("private by name", f'network: [ "http://localhost:{plain.port}" ]'), ("metadata", 'network: [ "http://169.254.169.254" ]')):
                    self.assertTrue(said[name].startswith("403 "), (name, said))
                    self.assertIn(line, said[name])
                self.assertIn("response 403", said["tunnel"])   # http:// is granted, not a tunnel
                # With Landlock's rules for ports nothing but the proxy's is even tried, and none is listened at.
                self.assertRegex(said["direct"], "refused|denied")
                self.assertRegex(said["out"], "unreachable|denied")
                self.assertIn("not permitted", said["datagram"])
                self.assertRegex(said["own server"], "in use|denied")
                self.assertEqual(other.seen, [])
                self.assertEqual([path for path, _ in plain.seen], ["/urllib", "/echo", "/curl"])
                for _, headers in plain.seen:
                    self.assertNotIn("proxy", " ".join(headers).lower())
                log = world.api("GET", f"/v1/jobs/{job['uid']}/log").body.decode()
                self.assertIn("a command was refused the network: network access to http://tickets.example.com is not granted", log)
                self.assertIn("connections, sent", "".join(program.tail() for program in world.programs))

                # The same without network: no proxy is named, and no kind of socket but local ones is made.
                trigger = world.deploy("alone", """do:
  - use:
      run:
        script:
          language: python
          code: |
            import os, socket
            try:
                socket.socket()
                print("made")
            except PermissionError:
                print("none", os.environ.get("https_proxy"))
""", "permissions: { commands: [ python3 ] }\n")
                self.assertEqual(world.ended(world.trigger(trigger))["output"], "none None\n")

    def test_a_tunnel_that_is_open_ends_with_the_job(self):
        with World() as world, Server() as server:
            world.start_factory()
            world.agent("srv-1", warm=1)
            trigger = world.deploy("hold", """do:
  - use:
      timeout: { after: PT2S }
      run:
        script:
          language: python
          code: |
            import os, socket, time
            end = socket.create_connection(("127.0.0.1", 3128))
            end.sendall(f"CONNECT {os.environ['TO']} HTTP/1.1\\r\\n\\r\\n".encode())
            assert b" 200 " in end.recv(100)
            time.sleep(60)
          environment: { TO: '${ .to }' }
""", f'permissions: {{ commands: [ python3 ], network: [ "127.0.0.1:{server.port}" ] }}\n')
            for _ in range(3):   # the later ones in runners that waited
                job = world.ended(world.trigger(trigger, {"to": f"127.0.0.1:{server.port}"}))
                self.assertEqual((job["state"], job["error"]["status"]), ("failed", 408), job)
            # The broker lives on, and the next job has its network.
            flow = SCRIPT.replace('said = {}', 'said = {}; print(json.dumps({"urllib": urllib.request.urlopen(os.environ["PLAIN"] + "/again").read().decode()})); raise SystemExit')
            trigger = world.deploy("again", flow, f'permissions: {{ commands: [ python3 ], network: [ "http://127.0.0.1:{server.port}" ] }}\n')
            job = world.ended(world.trigger(trigger, {"plain": f"http://127.0.0.1:{server.port}", "secure": "", "other": "", "ca": ""}))
            self.assertEqual(job["output"], {"urllib": "served /again"}, job)

    def test_a_new_broker_is_given_the_listener_too(self):
        with World() as world, Server() as server:
            world.start_factory()
            agent = world.agent("srv-1")
            trigger = world.deploy("wait", """do:
  - use:
      run:
        script:
          language: python
          code: |
            import os, time, urllib.request
            def get(path):
                return urllib.request.urlopen(os.environ["TO"] + path, timeout=20).read().decode()
            get("/first")
            while not os.path.exists(os.environ["FLAG"] + "/killed"):
                time.sleep(0.05)
            for _ in range(400):
                try:
                    print(get("/second"))
                    break
                except OSError:
                    time.sleep(0.05)
          environment: { TO: '${ .to }', FLAG: '${ .flag }' }
""", f'permissions: {{ commands: [ python3 ], files: {{ read: [ {world.folder}/flag ] }}, network: [ "http://127.0.0.1:{server.port}" ] }}\n')
            flag = world.folder / "flag"
            flag.mkdir()
            flag.chmod(0o755)
            uid = world.trigger(trigger, {"to": f"http://127.0.0.1:{server.port}", "flag": str(flag)})
            wait_for("the first request", lambda: server.seen)
            brokers = agent.children("millwright-broker")
            self.assertEqual(len(brokers), 1)
            os.kill(brokers[0], signal.SIGKILL)
            (flag / "killed").write_text("")
            job = world.ended(uid, 60)
            self.assertEqual((job["state"], job["output"]), ("successful", "served /second\n"), job)


if __name__ == "__main__":
    unittest.main()
