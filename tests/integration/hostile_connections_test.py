"""While hostile connections of every kind hang on and hammer, others are answered, and each of the hostile gets what it deserves."""
import os
import pathlib
import time
import unittest

from hostile_connections import ATTACKS, Parked, Slow, tls_context, tls_garbage
from mill import Test, World, call, wait_for
from tls_test import certificates

DUE = {"HugeHeader": {431}, "HugeBody": {413}, "Garbage": {400}, "Pipelined": {"in order"}, "HalfClosed": {200}, "Reset": {"gone"}}


class HostileConnections(Test):
    def descriptors(self, world):
        return len(os.listdir(f"/proc/{world.factory.process.pid}/fd"))

    def test_others_are_answered_while_they_hang_on_and_hammer(self):
        with World() as world:
            world.start_factory()
            job = world.trigger(world.deploy("quiet", "do: [ { one: { set: { a: 1 } } } ]\n"))
            before = self.descriptors(world)
            slow, parked = Slow(world.port, 200), Parked(world.port, world.token, job, 200)
            attacks = [kind(world.port, world.token) for kind in ATTACKS]
            for attack in attacks:
                attack.start()
            end, answered = time.monotonic() + 12, 0   # longer than a header may take
            while time.monotonic() < end:
                for method, path, expected in (("GET", "/v1/session", 200), ("PUT", "/v1/environments/e", None), ("GET", "/v1/jobs", 200)):
                    reply = world.api(method, path, {} if method == "PUT" else None, timeout=10)
                    self.assertIn(reply.status, (expected,) if expected else (200, 201))
                    answered += 1
                slow.drip()
                time.sleep(0.2)
            self.assertGreater(answered, 30)
            wait_for("the slow ones to be ended", lambda: (slow.drip(), not slow.links)[1], 10)
            self.assertEqual(set(slow.ended), {408}, slow.ended)
            for attack in attacks:
                attack.stop()
                with self.subTest(attack=type(attack).__name__):
                    # A peer that goes on sending may see its connection reset before it reads why.
                    got = set(attack.counts) - {"ConnectionResetError", "BrokenPipeError"}
                    self.assertEqual(got, DUE[type(attack).__name__], attack.counts)
            parked.close()
            wait_for("the connections to be given back", lambda: self.descriptors(world) <= before + 8, 30)
            self.assertIsNone(world.factory.process.poll())

    def test_noise_on_a_tls_port_ends_itself_only(self):
        with World() as world:
            certificates(world.folder, "own")
            world.config.write_text(f'tls: {{ certificate: {world.folder}/own.pem, key: {world.folder}/own.key }}\n')
            world.start_factory()
            self.assertEqual(sum(tls_garbage(world.port, 60).values()), 60)
            url = f"https://127.0.0.1:{world.port}"
            self.assertEqual(call("GET", url + "/healthz", context=tls_context()).status, 200)
            self.assertEqual(call("GET", url + "/v1/session", token=(pathlib.Path(world.data) / "admin-token").read_text().strip(), context=tls_context()).status, 200)


if __name__ == "__main__":
    unittest.main()
