"""Figures for others: over the API, on the command line, to Prometheus, and pushed to a receiver that is as strict as OTLP's specification."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from mill import Test, World, wait_for

WORK = "do:\n  - a: { set: { x: 1 } }\n"
POINT = {"attributes", "startTimeUnixNano", "timeUnixNano"}


class Strict:
    """opentelemetry-proto's ExportMetricsServiceRequest in its JSON form: known members only, 64-bit numbers as decimal texts, enums as numbers."""

    def __init__(self):
        self.seen = {}

    def members(self, value, allowed, needed=()):
        assert isinstance(value, dict), value
        assert set(value) <= set(allowed), set(value) - set(allowed)
        assert set(needed) <= set(value), (needed, value)

    def number(self, text):
        assert isinstance(text, str) and re.fullmatch(r"0|[1-9][0-9]*", text), text
        assert int(text) < 2**64
        return int(text)

    def attributes(self, values):
        keys = []
        for one in values:
            self.members(one, {"key", "value"}, {"key", "value"})
            assert one["key"], one
            self.members(one["value"], {"stringValue", "boolValue", "intValue", "doubleValue", "arrayValue", "kvlistValue", "bytesValue"})
            assert len(one["value"]) == 1
            keys.append(one["key"])
        assert len(keys) == len(set(keys)), keys
        return json.dumps(sorted((one["key"], one["value"]) for one in values) and sorted([one["key"], json.dumps(one["value"])] for one in values))

    def point(self, name, one, more):
        self.members(one, POINT | more | {"exemplars", "flags"}, {"timeUnixNano"})
        at = self.number(one["timeUnixNano"])
        assert at > 0
        if "startTimeUnixNano" in one:
            assert self.number(one["startTimeUnixNano"]) <= at, one
        return self.attributes(one.get("attributes", []))

    def cumulative(self, key, one, value):
        before = self.seen.get(key)
        if before and before[0] == one["startTimeUnixNano"]:
            assert value >= before[1], (key, before, value)
        self.seen[key] = (one["startTimeUnixNano"], value)

    def metric(self, metric):
        self.members(metric, {"name", "description", "unit", "gauge", "sum", "histogram", "exponentialHistogram", "summary", "metadata"}, {"name"})
        name = metric["name"]
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_.\-/]{0,254}", name), name
        assert metric.get("unit", "").isascii() and len(metric.get("unit", "")) <= 63
        kinds = {"gauge", "sum", "histogram", "exponentialHistogram", "summary"} & set(metric)
        assert len(kinds) == 1, kinds
        kind = kinds.pop()
        data = metric[kind]
        self.members(data, {"gauge": {"dataPoints"}, "sum": {"dataPoints", "aggregationTemporality", "isMonotonic"}, "histogram": {"dataPoints", "aggregationTemporality"}}[kind], {"dataPoints"})
        assert data["dataPoints"]
        if kind != "gauge":
            assert data["aggregationTemporality"] in (1, 2)
        streams = set()
        for one in data["dataPoints"]:
            if kind == "histogram":
                key = self.point(name, one, {"count", "sum", "min", "max", "bucketCounts", "explicitBounds"})
                count = self.number(one["count"])
                buckets, bounds = one.get("bucketCounts", []), one.get("explicitBounds", [])
                assert (not buckets and not bounds) or len(buckets) == len(bounds) + 1
                assert not buckets or sum(map(self.number, buckets)) == count
                assert one["min"] <= one["sum"] / count <= one["max"]
                self.cumulative((name, key), one, count)
            else:
                key = self.point(name, one, {"asInt", "asDouble"})
                assert ("asInt" in one) != ("asDouble" in one), one
                value = int(one["asInt"]) if "asInt" in one else one["asDouble"]
                assert not isinstance(one.get("asInt", ""), int)
                if kind == "sum":
                    assert data["isMonotonic"] is True and value >= 0 and "startTimeUnixNano" in one
                    self.cumulative((name, key), one, value)
            assert key not in streams, (name, key)
            streams.add(key)
        return name

    def request(self, body):
        value = json.loads(body)
        self.members(value, {"resourceMetrics"}, {"resourceMetrics"})
        names = {}
        for resource in value["resourceMetrics"]:
            self.members(resource, {"resource", "scopeMetrics", "schemaUrl"}, {"resource", "scopeMetrics"})
            self.members(resource["resource"], {"attributes", "droppedAttributesCount", "entityRefs"})
            self.attributes(resource["resource"]["attributes"])
            assert any(one["key"] == "service.name" for one in resource["resource"]["attributes"])
            for scope in resource["scopeMetrics"]:
                self.members(scope, {"scope", "metrics", "schemaUrl"}, {"metrics"})
                self.members(scope["scope"], {"name", "version", "attributes", "droppedAttributesCount"})
                for metric in scope["metrics"]:
                    name = self.metric(metric)
                    assert name not in names, name
                    names[name] = metric
        return names


class Metrics(Test):
    def test_published_values_are_series_by_time(self):
        with World() as world:
            world.start_factory()
            publish = lambda *values: world.api("POST", "/v1/metrics", {"metrics": list(values)})
            now = time.time()
            at = lambda ago: time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - ago))
            reply = publish(*({"name": "invoices.open", "value": 10 + i, "unit": "{invoice}", "dimensions": {"region": region, "kind": "b2b"}, "time": at(3600 * i)}
                              for i in range(3) for region in ("eu", "us")))
            self.assertEqual((reply.status, reply.json), (200, {"accepted": 6}))
            series = world.api("GET", "/v1/metrics/invoices.open?since=6h&step=1h&by=region&aggregation=sum").json
            self.assertEqual(series["unit"], "{invoice}")
            self.assertEqual([s["dimensions"] for s in series["series"]], [{"region": "eu"}, {"region": "us"}])
            self.assertEqual([p["value"] for p in series["series"][0]["points"]], [12, 11, 10])
            together = world.api("GET", "/v1/metrics/invoices.open?since=1d&step=1d&by=none&aggregation=max").json["series"]
            self.assertEqual(max(p["value"] for p in together[0]["points"]), 12)
            self.assertIn("invoices.open", world.run("metrics").stdout)
            shown = world.run("metrics", "invoices.open", "--since", "6h", "--by", "region").stdout
            self.assertIn("region=eu", shown)
            for wrong, said in (({"name": "1x", "value": 1}, "letter"), ({"name": "a", "value": "1"}, "number"), ({"name": "millwright.x", "value": 1}, "factory's own"),
                                ({"name": "a", "value": 1, "colour": 2}, "colour"), ({"name": "a", "value": 1, "dimensions": {"d": 5}}, "text"),
                                ({"name": "a", "value": 1, "time": at(-3600)}, "ahead"), ({"name": "a", "value": 1, "time": "2001-01-01T00:00:00Z"}, "30 days")):
                reply = publish({"name": "good", "value": 1}, wrong)
                self.assertEqual(reply.status, 400, wrong)
                self.assertIn(said, reply.json["detail"])
                self.assertIn("metrics[1]", reply.json["detail"])
            self.assertEqual(world.api("GET", "/v1/metrics/good").status, 404)   # none of a call with a mistake
            self.assertEqual(publish({"name": "invoices.open", "value": 1, "unit": "EUR"}).status, 409)
            for query in ("step=0s", "aggregation=median", "since=never", "since=1h&until=2h"):
                self.assertEqual(world.api("GET", f"/v1/metrics/invoices.open?{query}").status, 400, query)
            self.assertEqual(world.api("GET", "/v1/metrics/millwright.jobs.ended?by=colour").status, 400)
            reader = world.api("POST", "/v1/tokens", {"kind": "user", "name": "r", "role": "viewer"}).json["token"]
            self.assertEqual(world.api("POST", "/v1/metrics", {"metrics": [{"name": "a", "value": 1}]}, token=reader).status, 403)
            self.assertEqual(world.api("GET", "/v1/metrics", token=reader).status, 200)

    def test_jobs_are_counted_pushed_and_survive_a_kill(self):
        with World() as world:
            receiver = world.receiver()
            strict, names, problems = Strict(), {}, []

            def take(_path, headers, body):
                try:
                    assert headers["Content-Type"] == "application/json", headers
                    assert headers["Authorization"] == "Bearer s3cret-otlp", headers
                    names.clear()
                    names.update(strict.request(body))
                except (AssertionError, KeyError, ValueError, TypeError) as problem:
                    problems.append(repr(problem))
                    return 400, {"code": 3, "message": repr(problem)[:100]}
                return 200, {}

            receiver.answers["/v1/metrics"] = take
            world.config.write_text(f'egress: [ "http://127.0.0.1:*" ]\notlp: {{ url: "{receiver.url}/v1/metrics", credential: otlp, every: 1s }}\n')
            world.start_factory()
            world.run("credentials", "set", "otlp", "--kind", "bearer", "--json-file", "-", input=json.dumps({"token": "s3cret-otlp"}))
            agent = world.agent()
            trigger = world.deploy("work", WORK)
            for _ in range(3):
                self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            world.api("POST", "/v1/metrics", {"metrics": [{"name": "robots.happy", "value": 2.5, "dimensions": {"site": "berlin"}}]})
            count = lambda by="": sum(p["value"] for s in world.api("GET", f"/v1/metrics/millwright.jobs.ended?since=1h{by}").json["series"] for p in s["points"])
            self.assertEqual(count(), 3)
            world.factory.kill()   # counted with the job's end, so nothing is lost and nothing counted twice
            world.start_factory()
            self.assertEqual(count("&by=trigger,state"), 3)
            for name in ("run_time", "start_delay"):
                points = world.api("GET", f"/v1/metrics/millwright.jobs.{name}?since=1h&aggregation=count").json["series"][0]["points"]
                self.assertEqual(sum(p["value"] for p in points), 3)
            self.assertEqual(world.ended(world.trigger(trigger))["state"], "successful")
            wait_for("a push with the job", lambda: "millwright.jobs.ended" in names or None, 90)
            self.assertEqual(problems, [])
            self.assertEqual(names["robots.happy"]["gauge"]["dataPoints"][0]["asDouble"], 2.5)
            self.assertGreaterEqual(int(names["millwright.jobs.ended"]["sum"]["dataPoints"][0]["asInt"]), 1)
            self.assertNotIn("s3cret", world.factory.tail())
            agent.stop()

    def test_a_workflow_publishes_once_and_reads_what_is_its_own(self):
        with World() as world:
            world.start_factory()
            world.agent()
            asks = "permissions: { metrics: { publish: [ 'stock.*' ], read: [ 'stock.*', millwright.jobs.ended ] } }\n"
            work = """do:
  - say: { call: metric.publish, with: { name: stock.level, value: "${ .level }", unit: "{piece}", dimensions: { site: berlin } } }
  - before: { call: metric.read, with: { name: stock.level, since: 1h, step: 1h, by: [], aggregation: count } }
"""
            trigger = world.deploy("stock", work, permissions=asks)
            for level in (3, 4):
                self.assertEqual(world.ended(world.trigger(trigger, {"level": level}))["state"], "successful")
            series = lambda name="stock.level": world.api("GET", f"/v1/metrics/{name}?since=1h&step=1h&aggregation=sum&by=site").json
            self.assertEqual((series()["unit"], series()["series"][0]["dimensions"], series()["series"][0]["points"][0]["value"]), ("{piece}", {"site": "berlin"}, 7))
            again = world.ended(world.trigger(trigger, {"level": 5}))
            self.assertEqual(sum(point["count"] for point in again["output"]["series"][0]["points"]), 2)   # the one of this job is on its way

            # Jobs of its environment, and nobody else's.
            counted = world.deploy("count", "do:\n  - read: { call: metric.read, with: { name: millwright.jobs.ended, since: 1h, by: [ trigger ] } }\n", permissions=asks)
            told = world.ended(world.trigger(counted))["output"]
            self.assertEqual({tuple(one["dimensions"].values()): sum(p["value"] for p in one["points"]) for one in told["series"]}, {(trigger,): 3})
            world.run("agents", "set", "srv-1", "--approve-in", "default", "--approve-in", "other")
            elsewhere = world.deploy("elsewhere", "do:\n  - read: { call: metric.read, with: { name: millwright.jobs.ended, since: 1h } }\n", permissions=asks, environment="other")
            self.assertEqual(world.ended(world.trigger(elsewhere))["output"]["series"], [])

            # Not granted, another unit, and what no workflow may read.
            ungranted = world.deploy("ungranted", "do:\n  - say: { call: metric.publish, with: { name: \"${ \\\"sal\\\" + \\\"aries\\\" }\", value: 1 } }\n", permissions=asks)
            failed = world.ended(world.trigger(ungranted))
            self.assertEqual((failed["state"], failed["error"]["status"]), ("failed", 403))
            self.assertIn("metrics: { publish: [ salaries ] }", failed["error"]["detail"])
            unit = world.deploy("unit", "do:\n  - say: { call: metric.publish, with: { name: stock.level, value: 1, unit: EUR } }\n", permissions=asks)
            job = world.trigger(unit)
            self.assertEqual(world.ended(job)["state"], "successful")
            self.assertIn("has the unit '{piece}', not 'EUR'", world.run("logs", job).stdout)

    def test_figures_of_a_killed_agent_and_factory_arrive_once(self):
        with World() as world:
            world.start_factory()
            agent = world.agent()
            work = """do:
  - many:
      for: { each: n, in: "${ [range(20)] }" }
      do:
        - say: { call: metric.publish, with: { name: stock.moved, value: "${ $n }", dimensions: { n: "${ $n | tostring }" } } }
        - rest: { wait: { milliseconds: 100 } }
"""
            job = world.trigger(world.deploy("moved", work, permissions="permissions: { metrics: { publish: [ stock.moved ] } }\n"))
            wait_for("the job to begin", lambda: world.api("GET", "/v1/metrics/stock.moved").status == 200 or None)
            world.factory.kill()
            os.kill(agent.children("millwright-agent")[0], signal.SIGKILL)
            world.start_factory()
            self.assertEqual(world.ended(job)["state"], "successful")
            series = world.api("GET", "/v1/metrics/stock.moved?since=1h&step=1h&aggregation=count").json["series"]
            self.assertEqual({one["dimensions"]["n"]: sum(p["count"] for p in one["points"]) for one in series}, {str(n): 1 for n in range(20)})

    def test_run_prints_them_and_has_nothing_to_read(self):
        with World() as world:
            folder = world.package("local", "do:\n  - say: { call: metric.publish, with: { name: stock.level, value: 3, unit: s } }\n", "permissions: { metrics: { publish: [ stock.level ] } }\n")
            self.assertIn("metric stock.level = 3 s", world.run("run", folder, "--grant-asked").stderr)
            folder = world.package("reads", "do:\n  - read: { call: metric.read, with: { name: stock.level } }\n", "permissions: { metrics: { read: [ stock.level ] } }\n")
            done = world.run("run", folder, "--grant-asked", check=False)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no factory can be asked", done.stdout + done.stderr)
            checked = world.run("check", world.package("asks-none", "do:\n  - say: { call: metric.publish, with: { name: stock.level, value: 3 } }\n"), check=False)
            self.assertIn("metrics.publish stock.level", checked.stdout)

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
    def test_names_for_prometheus_are_as_its_own_checker_wants_them(self):
        with World() as world:
            world.start_factory()
            text = world.api("GET", "/metrics").body
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))


if __name__ == "__main__":
    unittest.main()
