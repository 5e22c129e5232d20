"""Figures for others: over the API, on the command line, to Prometheus, and pushed to a receiver that is as strict as OTLP's specification."""
import json
import re
import shutil
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

    @unittest.skipUnless(shutil.which("promtool"), "promtool is not installed (Debian: prometheus)")
    def test_names_for_prometheus_are_as_its_own_checker_wants_them(self):
        with World() as world:
            world.start_factory()
            text = world.api("GET", "/metrics").body
            checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
            self.assertEqual((checked.returncode, checked.stdout, checked.stderr), (0, b"", b""))


if __name__ == "__main__":
    unittest.main()
