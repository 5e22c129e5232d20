"""The audit log through the real programs: what is in it, and that a change behind the factory's back is found, online and in a folder or backup."""
import json
import os
import re
import shutil
import sqlite3
import unittest

from mill import BIN, NOBODY, Test, World, wait_for

SECRETS = ["a-bearer-value-7781", "hunter2-very-secret"]


class Audit(Test):
    def head(self, world, *more):
        verdict = world.json("audit", "verify", *more)
        self.assertTrue(verdict["ok"], verdict)
        return verdict["head"]

    def verify(self, world, folder, *more):
        """Of a folder, by the command line, which has the factory's own program read it."""
        done = world.run("audit", "verify", "--data", folder, "--json", *more, check=False)
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def change(self, world, name, sql):
        """A copy of the data folder with a change in its database."""
        copy = world.folder / name
        shutil.copytree(world.data, copy)
        with sqlite3.connect(copy / "factory.db") as database:
            self.assertGreater(database.execute(sql).rowcount, 0)
        database.close()
        if os.getuid() == 0:
            for folder, _, files in os.walk(copy):
                for each in (folder, *(os.path.join(folder, file) for file in files)):
                    os.chown(each, NOBODY, NOBODY)
        return copy

    def test_changes_and_uses_are_in_it_and_no_secret_is(self):
        with World() as world:
            world.start_factory()
            receiver = world.receiver()
            world.run("credentials", "set", "hook", "--kind", "bearer", "--json-file", "-", input=json.dumps({"token": SECRETS[0]}))
            world.run("credentials", "set", "erp", "--kind", "login", "--json-file", "-", input=json.dumps({"username": "u", "password": SECRETS[1]}))
            notifier = f'kind: Notifier\nname: tell\ntrigger: orders-api\non: [ success ]\ntype: api\napi: {{ url: "{receiver.url}/hook", authentication: bearer, credentials: hook }}\n'
            folder = world.package("orders", "use: { secrets: [ erp ] }\ndo:\n  - ask: { call: http, with: { method: get, endpoint: { uri: '" + receiver.url + "/orders', authentication: { basic: { use: erp } } } } }\n",
                                   permissions=f"permissions: {{ network: [ '{receiver.url}' ], credentials: [ erp ] }}\ncredentials: {{ erp: {{ kind: login }} }}\n")
            archive = world.folder / "orders.mwp"
            world.run("pack", folder, "--output", archive)
            world.run("publish", archive)
            world.run("apply", "-f", world.write("orders.yaml", "kind: Deployment\nname: orders\npackage: orders@1.0.0\nenvironment: default\npermissions: as-requested\ncredentials: { erp: erp }\n---\n"
                                                              "kind: Trigger\nname: orders-api\ndeployment: orders\n---\n" + notifier))
            world.agent()
            uid = world.trigger("orders-api")
            self.assertEqual(world.ended(uid)["state"], "successful", world.api("GET", f"/v1/jobs/{uid}/why").body)
            used = wait_for("the uses", lambda: (lambda items: items if len({i["subject"] for i in items}) == 2 else None)(world.api("GET", "/v1/audit?action=use&kind=Credential").json["items"]))
            by = {item["subject"]: item for item in used}
            self.assertEqual((by["erp"]["who"], by["erp"]["detail"]["job"], by["erp"]["detail"]["as"]), ("agent srv-1", uid, "erp"))
            self.assertEqual(by["hook"]["who"], "factory")
            self.assertEqual(world.api("GET", f"/v1/deliveries/{by['hook']['detail']['delivery']}").json["job"], uid)
            everything = world.api("GET", "/v1/audit?limit=1000").body.decode()
            for secret in (*SECRETS, world.token):
                self.assertNotIn(secret, everything)
            shown = world.run("audit", "--what", "Credential/erp", "--since", "1h").stdout
            self.assertRegex(shown, r"agent srv-1 +use +Credential/erp")
            self.assertNotIn("Trigger", shown)
            self.assertEqual(len(world.json("audit", "--what", "Trigger/orders-api", "--who", "admin")["items"]), 1)
            self.assertIn("nothing that fits", world.run("audit", "--who", "nobody").stderr)
            page = world.json("audit", "--limit", "2")
            self.assertLess(world.json("audit", "--limit", "2", "--cursor", page["next"])["items"][0]["id"], page["items"][-1]["id"])

    def test_whatever_is_changed_is_found_and_the_first_wrong_row_is_named(self):
        with World() as world:
            world.start_factory()
            for name in "abcdefgh":
                world.api("PUT", f"/v1/environments/env-{name}", {})
            early = self.head(world)
            for name in "ijk":
                world.api("PUT", f"/v1/environments/env-{name}", {})
            head = self.head(world)
            self.assertNotEqual(early, head)
            self.assertEqual(self.head(world, "--head", early), head)   # one of long ago is in it still
            world.factory.kill()
            self.assertEqual(self.verify(world, world.data, "--head", head)[0], 0)
            rows = self.verify(world, world.data)[1]["rows"]
            cases = {"a byte": ("update audit set subject = 'env-B' where subject = 'env-b'", 1), "a row gone": ("delete from audit where id = 5", 6), "the first gone": ("delete from audit where id = 1", 2)}
            for name, (sql, wrong) in cases.items():
                with self.subTest(name):
                    status, verdict = self.verify(world, self.change(world, name.replace(" ", "-"), sql))
                    self.assertEqual((status, verdict["ok"]), (65, False), verdict)
                    self.assertGreaterEqual(verdict["wrong"]["id"], wrong)
                    if name != "a byte":
                        self.assertEqual(verdict["wrong"]["id"], wrong)
                    self.assertIn(f"row {verdict['wrong']['id']}", verdict["wrong"]["text"])
            cut = self.change(world, "cut", f"delete from audit where id > {rows - 2}")
            self.assertEqual(self.verify(world, cut)[0], 0)
            status, verdict = self.verify(world, cut, "--head", head)
            self.assertEqual((status, verdict["wrong"]["id"]), (65, rows - 1))
            self.assertEqual(self.verify(world, cut, "--head", early)[0], 0)
            # The same folder under a factory: online it is found, too, and stays found.
            byte = world.folder / "a-byte"
            shutil.rmtree(world.data)
            byte.rename(world.data)
            world.start_factory()
            world.api("PUT", "/v1/environments/later", {})
            done = world.run("audit", "verify", check=False)
            self.assertEqual(done.returncode, 65)
            self.assertIn("the audit log was changed: row", done.stdout)
            self.assertEqual(world.api("GET", "/v1/audit/verify?head=x").status, 400)
            for arguments in (["--data", world.folder / "nowhere"], ["--data", world.data, "--head", "zz"]):
                self.assertNotEqual(world.run("audit", "verify", *arguments, check=False).returncode, 0)

    def test_the_chain_goes_on_through_backup_and_restore(self):
        with World() as world:
            world.start_factory()
            world.api("PUT", "/v1/environments/before", {})
            head = self.head(world)
            backup = world.folder / "backup"
            world.command(BIN / "millwright-factory", "backup", "--data", world.data, "--to", backup)
            said = world.command(BIN / "millwright-factory", "audit", "--data", backup, "--head", head).stdout
            self.assertTrue(re.search(rf"the audit log holds: \d+ rows .* {head}", said), said)
            world.api("PUT", "/v1/environments/after", {})
            late = self.head(world)
            world.factory.stop()
            shutil.rmtree(world.data)
            world.command(BIN / "millwright-factory", "restore", "--from", backup, "--data", world.data)
            world.start_factory()
            self.head(world, "--head", head)
            restored = world.api("GET", "/v1/audit?action=restore").json["items"]
            self.assertEqual(len(restored), 1)
            done = world.run("audit", "verify", "--head", late, check=False)   # what was lost with the restore is not there: it says so
            self.assertEqual(done.returncode, 65)
            self.assertIn("restored from a backup", done.stdout)


if __name__ == "__main__":
    unittest.main()
