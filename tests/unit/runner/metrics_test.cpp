#include "agent/runner/metrics.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace mill;
using namespace mill::runner;

namespace {

struct MetricBench {
    FakeClock clock;
    std::vector<Json> events, to_agent;
    Reporter reporter{clock, [this](std::string text) { events.push_back((*parse_json(text))["event"]); }, [](auto) {}};
    Metrics metrics{clock, reporter, [this](std::string text) { to_agent.push_back(*parse_json(text)); }};
    protocol::Permissions grants;

    MetricBench() { grants.publish_metrics = grants.read_metrics = {"invoices.*"}; }
    void start(std::uint64_t id, std::string effect, Json with) { metrics.start({id, std::move(effect), std::move(with), "/do/0/x", {}}, grants); }
    Effects::Answer only()
    {
        auto answers = metrics.take();
        REQUIRE(answers.size() == 1);
        return std::move(answers.front());
    }
};

}  // namespace

TEST_CASE("a published figure is an event with its time, and nobody waits for it", "[runner][metrics]")
{
    MetricBench bench;
    bench.start(1, "metric.publish", Json::object({{"name", "invoices.open"}, {"value", 12}, {"unit", "{invoice}"}}));
    CHECK(bench.only().outcome);
    REQUIRE(bench.events.size() == 1);
    CHECK(bench.events[0]["kind"].as_string() == "metric");
    CHECK(bench.events[0]["sequence"].as_integer() == 2);
    CHECK(bench.events[0]["body"]["value"].as_number() == 12);
    CHECK(bench.events[0]["body"]["time"].as_string() == format_time(bench.clock.now()));
    CHECK(bench.to_agent.empty());
}

TEST_CASE("what is not granted, no metric, or a secret is neither published nor asked for", "[runner][metrics]")
{
    MetricBench bench;
    for (const char* effect : {"metric.publish", "metric.read"}) {
        bench.start(1, effect, Json::object({{"name", "salaries"}, {"value", 1}}));
        const auto refused = bench.only();
        REQUIRE_FALSE(refused.outcome);
        CHECK(refused.outcome.error().status == 403);
        CHECK_THAT(refused.outcome.error().detail, Catch::Contains("metrics: {"));
    }
    bench.start(2, "metric.publish", Json::object({{"name", "invoices.open"}, {"value", "many"}}));
    CHECK(bench.only().outcome.error().status == 400);
    bench.start(3, "metric.publish", Json::object({{"name", "invoices.open"}, {"value", 1}, {"dimensions", Json::object({{"who", workflows::secret_handle("erp", "password")}})}}));
    CHECK(bench.only().outcome.error().status == 403);
    CHECK(bench.events.empty());
    CHECK(bench.to_agent.empty());
}

TEST_CASE("a read is the agent's to answer, once, in time", "[runner][metrics]")
{
    MetricBench bench;
    const Json with = Json::object({{"name", "invoices.open"}, {"since", "7d"}});
    bench.start(5, "metric.read", with);
    REQUIRE(bench.to_agent.size() == 1);
    CHECK(bench.to_agent[0]["read"]["metric"] == with);
    CHECK_FALSE(bench.metrics.idle());
    bench.metrics.hear(Json::object({{"id", 5}, {"answer", Json::object({{"series", Json::array()}})}}));
    bench.metrics.hear(Json::object({{"id", 5}, {"answer", Json::object({{"series", Json::array()}})}}));
    CHECK(bench.only().outcome->contains("series"));

    bench.start(6, "metric.read", with);
    bench.metrics.hear(Json::object({{"id", 6}, {"error", Json::object({{"type", "communication"}, {"status", 503}, {"detail", "away"}})}}));
    const auto away = bench.only();
    CHECK(away.outcome.error().type == "https://serverlessworkflow.io/spec/1.0.0/errors/communication");
    CHECK(away.outcome.error().detail == "away");

    bench.start(7, "metric.read", with);
    REQUIRE(bench.metrics.next_deadline());
    bench.clock.advance(std::chrono::seconds(31));
    bench.metrics.expire(bench.clock.steady());
    CHECK(bench.only().outcome.error().status == 408);

    bench.start(8, "metric.read", with);
    bench.metrics.cancel(8);
    bench.metrics.hear(Json::object({{"id", 8}, {"answer", Json::object()}}));
    CHECK(bench.metrics.take().empty());
    CHECK(bench.metrics.idle());
}

TEST_CASE("a job that publishes without end is told to stop", "[runner][metrics]")
{
    MetricBench bench;
    for (int i = 0; i < 10'000; ++i) {
        bench.start(1, "metric.publish", Json::object({{"name", "invoices.open"}, {"value", i}}));
        REQUIRE(bench.only().outcome);
    }
    bench.start(1, "metric.publish", Json::object({{"name", "invoices.open"}, {"value", 0}}));
    CHECK(bench.only().outcome.error().status == 429);
    CHECK(bench.events.size() == 10'000);
}
