"""The packages that we ship, on real input: each deployed, triggered, and its work compared with what is really there."""
import hashlib
import json
import os
import pathlib
import tarfile
import unittest

from mill import NOBODY, SOURCE, Test, World

PACKAGES = SOURCE / "workflows/packages"


class Packages(Test):
    def setUp(self):
        super().setUp()
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)
        self.world.start_factory()
        self.world.agent("srv-1")

    def folder(self, name):
        path = self.world.folder / name
        path.mkdir()
        if os.getuid() == 0:
            os.chown(path, NOBODY, NOBODY)
        return path

    def run_package(self, name, variables, input):
        archive = self.world.folder / f"{name}.mwp"
        self.world.run("pack", PACKAGES / name, "--output", archive)
        self.world.run("publish", archive)
        self.world.run("apply", "-f", self.world.write("all.yaml", f"""kind: Environment
name: default
agents: [ "*" ]
---
kind: Deployment
name: {name}
package: {name}@1.0.0
environment: default
variables: {json.dumps(variables)}
permissions: as-requested
---
kind: Trigger
name: {name}
deployment: {name}
type: api
"""))
        return self.world.ended(self.world.trigger(name, input), 60)

    def test_systems_monitoring_tells_what_this_machine_tells(self):
        reports = self.folder("reports")
        job = self.run_package("systems-monitoring", {"reportFolder": str(reports), "maxMemoryPercent": 0}, {})
        self.assertEqual(job["state"], "successful", job)
        output = job["output"]
        total = int(next(l for l in open("/proc/meminfo") if l.startswith("MemTotal")).split()[1]) * 1024
        self.assertEqual(output["memory"]["total"], total)
        disk = os.statvfs("/")
        self.assertEqual(output["disks"][0]["path"], "/")
        self.assertAlmostEqual(output["disks"][0]["usedPercent"], 100 * (1 - disk.f_bavail / (disk.f_blocks - disk.f_bfree + disk.f_bavail)), delta=1.5)
        self.assertAlmostEqual(output["load"]["one"], os.getloadavg()[0], delta=2.0)
        self.assertEqual(output["status"], "attention")  # more than 0 % of memory is in use
        self.assertTrue(output["reply"])
        self.assertTrue(pathlib.Path(output["report"]).read_text())

    def test_systems_monitoring_is_content_below_its_thresholds(self):
        reports = self.folder("reports")
        job = self.run_package("systems-monitoring", {"reportFolder": str(reports), "maxMemoryPercent": 100, "maxDiskPercent": 100, "maxLoadPerCpu": 1000}, {})
        self.assertEqual((job["state"], job["output"]["status"], job["output"]["findings"]), ("successful", "ok", []), job)

    def test_service_desk_answers_from_what_the_ticket_system_says(self):
        desk = self.world.receiver()
        desk.answers["/orders/4711"] = lambda *_: (200, {"id": "4711", "status": "delivered"})
        desk.answers["/orders/"] = lambda *_: (404, {})
        job = self.run_package("service-desk", {"ticketsUrl": desk.url}, {"order": "4711"})
        self.assertEqual((job["state"], job["output"]["status"]), ("successful", "delivered"), job)
        self.assertIn("4711", job["output"]["reply"])
        unknown = self.world.ended(self.world.trigger("service-desk", {"order": "9"}))
        self.assertEqual((unknown["state"], unknown["output"]["status"]), ("successful", "unknown"), unknown)
        self.assertEqual([c["path"] for c in desk.calls], ["/orders/4711", "/orders/9"])

    def test_service_desk_may_not_call_another_host(self):
        allowed, other = self.world.receiver(), self.world.receiver()
        allowed.answers["/orders/"] = lambda *_: (302, {})
        folder = self.world.package("curious", f"do:\n  - a: {{ call: http, with: {{ method: get, endpoint: '{other.url}/x' }} }}\n",
                                    f"permissions: {{ network: [ '{allowed.url}' ] }}\n")
        del folder
        trigger = self.world.deploy("curious", f"do:\n  - a: {{ call: http, with: {{ method: get, endpoint: '{other.url}/x' }} }}\n",
                                    f"permissions: {{ network: [ '{allowed.url}' ] }}\n")
        job = self.world.ended(self.world.trigger(trigger))
        self.assertEqual((job["state"], job["error"]["status"]), ("failed", 403), job)
        self.assertEqual(other.calls, [])

    def test_backup_keeps_every_file_and_its_digest(self):
        source, target = self.folder("source"), self.folder("target")
        for number in range(20):
            (source / f"file-{number}.txt").write_text(f"content {number}\n" * 100)
        job = self.run_package("backup", {"source": str(source), "target": str(target)}, {})
        self.assertEqual(job["state"], "successful", job)
        output = job["output"]
        archive = pathlib.Path(output["archive"])
        self.assertEqual(output["size"], archive.stat().st_size)
        self.assertEqual(output["digest"].removeprefix("sha256:"), hashlib.sha256(archive.read_bytes()).hexdigest())
        with tarfile.open(archive) as tar:
            found = {pathlib.Path(m.name).name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}
        self.assertEqual(found, {p.name: p.read_bytes() for p in source.iterdir()})


if __name__ == "__main__":
    unittest.main()
