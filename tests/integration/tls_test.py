"""TLS with a private authority: the right name is trusted, a wrong name and an unknown authority are refused, plain text off loopback too."""
import os
import ssl
import subprocess
import unittest

from mill import BIN, NOBODY, Program, Test, World


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def certificates(folder, name):
    """ca.pem and NAME.pem/.key whose subject alternative name is `name`."""
    if not (folder / "ca.pem").exists():
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=test authority",
                "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    kind = "IP" if name[0].isdigit() else "DNS"
    (folder / "ext").write_text(f"subjectAltName={kind}:{name}\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.csr")
    openssl("x509", "-req", "-in", folder / f"{name}.csr", "-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial", "-days", "2",
            "-extfile", folder / "ext", "-out", folder / f"{name}.pem")
    for file in folder.iterdir():
        if os.getuid() == 0 and file.is_file():
            os.chown(file, NOBODY, NOBODY)


class Tls(Test):
    def world(self, name):
        world = World()
        self.addCleanup(world.__exit__, None, None, None)
        certificates(world.folder, name)
        world.config.write_text(f'tls: {{ certificate: {world.folder}/{name}.pem, key: {world.folder}/{name}.key }}\negress: [ "http://127.0.0.1:*" ]\n')
        world.start_factory()
        self.assertTrue(world.url.startswith("https://"))
        return world

    def enrol(self, world, ca):
        context = ssl.create_default_context(cafile=world.folder / "ca.pem")
        context.check_hostname = False
        code = world.api("POST", "/v1/agents/invitations", {"environment": "default", "approve": True, "forMs": 600000}, context=context).json["code"]
        data = world.folder / "agent"
        world.write("agent.yaml", f"caFile: {ca}\n" if ca else "{}\n")
        done = world.command(BIN / "millwright-agent", "enrol", "--data", data, "--factory", world.url, "--code", code, "--name", "srv-1", "--config", world.folder / "agent.yaml", check=False)
        return done, data

    def test_an_agent_with_the_authority_enrols_and_runs(self):
        world = self.world("127.0.0.1")
        done, data = self.enrol(world, world.folder / "ca.pem")
        self.assertEqual(done.returncode, 0, done.stderr)
        (data / "policy.yaml").write_text("unsigned: true\n")
        Program(world, "agent", [BIN / "millwright-agent", "run", "--data", data, "--config", world.folder / "agent.yaml"], "ready")

    def test_without_the_authority_nothing_is_sent(self):
        world = self.world("127.0.0.1")
        done, data = self.enrol(world, None)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.lower(), "certificate|trusted|authority")
        self.assertFalse((data / "factories").exists() and any((data / "factories").iterdir()))

    def test_a_certificate_for_another_name_is_refused_by_name(self):
        world = self.world("factory.example.com")
        done, _ = self.enrol(world, world.folder / "ca.pem")
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr.lower(), "certificate|name")

    def test_plain_text_off_loopback_needs_saying_so(self):
        with World() as world:
            done = world.command(BIN / "millwright-factory", "--data", world.data, "--listen", "0.0.0.0:0", check=False, timeout=10)
            self.assertEqual(done.returncode, 78, done.stderr)
            self.assertIn("--insecure", done.stderr)


if __name__ == "__main__":
    unittest.main()
