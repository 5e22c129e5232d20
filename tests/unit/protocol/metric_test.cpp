#include "protocol/metric.h"

#include <catch2/catch.hpp>

#include "protocol/permissions.h"

using namespace mill;
using namespace mill::protocol;

namespace {
const WallTime kMetricNow = *parse_time("2026-11-27T12:00:00Z");
Json metric_json(const char* text) { return *parse_json(text); }
}  // namespace

TEST_CASE("a metric is read with its dimensions in order, and its time is now when none is said", "[metric]")
{
    const auto point = parse_metric(metric_json(R"({"name":"invoices.open","value":12.5,"unit":"{invoice}","dimensions":{"z":"1","a":"2"}})"), "m", kMetricNow);
    REQUIRE(point);
    CHECK(point->time == kMetricNow);
    CHECK(dump_json(point->dimensions) == R"({"a":"2","z":"1"})");
    const auto again = parse_metric(to_json(*point), "m", kMetricNow + std::chrono::hours(1));
    REQUIRE(again);
    CHECK(again->time == kMetricNow);
    CHECK(again->value == 12.5);
}

TEST_CASE("what is no metric is refused with every mistake", "[metric]")
{
    for (const char* text : {R"({"value":1})", R"({"name":"1x","value":1})", R"({"name":"millwright.jobs.ended","value":1})", R"({"name":"a","value":"1"})", R"({"name":"a","value":1,"dimensions":{"b":2}})",
                             R"({"name":"a","value":1,"dimensions":{"-":"2"}})", R"({"name":"a","value":1,"unit":"123456789012345678901"})", R"({"name":"a","value":1,"time":"2026-11-27T12:06:00Z"})",
                             R"({"name":"a","value":1,"time":"2026-10-01T12:00:00Z"})", R"({"name":"a","value":1,"colour":1})"}) {
        INFO(text);
        CHECK_FALSE(parse_metric(metric_json(text), "m", kMetricNow));
    }
    Json many = Json::object();
    for (int i = 0; i < 17; ++i) many.set("d" + std::to_string(i), "x");
    CHECK_FALSE(parse_metric(Json::object({{"name", "a"}, {"value", 1}, {"dimensions", many}}), "m", kMetricNow));
}

TEST_CASE("a rule covers its name, or what begins as it says", "[metric][permissions]")
{
    CHECK(admits_metric({"invoices.open"}, "invoices.open"));
    CHECK_FALSE(admits_metric({"invoices.open"}, "invoices.open.eu"));
    CHECK(admits_metric({"invoices.*"}, "invoices.open"));
    CHECK(admits_metric({"invoices.*"}, "invoices.o*"));        // the narrower rule
    CHECK_FALSE(admits_metric({"invoices.o*"}, "invoices.*"));
    CHECK(admits_metric({"*"}, "anything"));
    CHECK_FALSE(admits_metric({}, "anything"));
    const auto asked = parse_permissions(metric_json(R"({"metrics":{"publish":["invoices.*"],"read":["invoices.open","millwright.jobs.*"]}})"), "p");
    REQUIRE(asked);
    CHECK(dump_json(to_json(*asked)) == R"({"metrics":{"publish":["invoices.*"],"read":["invoices.open","millwright.jobs.*"]}})");
    const auto cap = parse_permissions(metric_json(R"({"metrics":{"read":["invoices.*"]}})"), "p");
    REQUIRE(cap);
    CHECK(missing(*asked, *cap) == std::vector<std::string>{"metrics.publish invoices.*", "metrics.read millwright.jobs.*"});
    CHECK(intersect(*asked, *cap).read_metrics == std::vector<std::string>{"invoices.open"});
    CHECK(intersect(*asked, *cap).publish_metrics.empty());
    CHECK_FALSE(parse_permissions(metric_json(R"({"metrics":{"publish":["in*s"]}})"), "p"));
    CHECK_FALSE(parse_permissions(metric_json(R"({"metrics":{"write":["a"]}})"), "p"));
}
