#include <catch2/catch.hpp>

#include "factory/notify/otlp.h"
#include "tests/unit/factory_core/world.h"
#include "tests/unit/factory_notify/receiver.h"

using namespace mill;
using namespace mill::factory;
using namespace std::chrono_literals;
using mill::factory::test::World;
using mill::test::Receiver;

namespace {

/// The one point of the metric, or null.
Json only_point(const Json& request, std::string_view name)
{
    for (const Json& metric : request["resourceMetrics"].as_array().at(0)["scopeMetrics"].as_array().at(0)["metrics"].as_array()) {
        if (metric["name"].as_string() != name) continue;
        for (const char* kind : {"sum", "gauge", "histogram"})
            if (metric[kind].is_object() && metric[kind]["dataPoints"].as_array().size() == 1) return metric[kind]["dataPoints"].as_array().front();
    }
    return {};
}

std::string attribute(const Json& point, std::string_view key)
{
    for (const Json& one : point["attributes"].as_array())
        if (one["key"].as_string() == key) return one["value"]["stringValue"].as_string();
    return "";
}

void run_one(World& world, const AgentRecord& agent, Microseconds waits, Microseconds runs)
{
    const auto job = world.run();
    world.clock().advance(waits);
    const auto parking = world.park(agent);
    const auto id = parking.value().offers.at(0).id;
    world.report(agent, id, {world.state(1, protocol::JobState::running)});
    world.clock().advance(runs);
    world.report(agent, id, {world.state(2, protocol::JobState::successful, protocol::Reason::completed)});
}

}  // namespace

TEST_CASE("sums begin with the process, only grow, and take each minute in once it is over", "[otlp]")
{
    World world;
    world.orders();
    const auto agent = world.agent("srv-1");
    OtlpFigures figures("f-1", world.clock().now());
    run_one(world, agent, 2s, 3s);
    const auto early = figures.take(world.core(), world.clock().now());
    REQUIRE(early);
    CHECK(only_point(*early, "millwright.jobs.ended").is_null());
    world.pass(60s);
    const auto first = figures.take(world.core(), world.clock().now());
    REQUIRE(first);
    const Json one = only_point(*first, "millwright.jobs.ended");
    CHECK(one["asInt"].as_string() == "1");
    CHECK(attribute(one, "trigger") == "orders");
    CHECK(attribute(one, "state") == "successful");
    const Json delay = only_point(*first, "millwright.jobs.start_delay");
    CHECK(delay["count"].as_string() == "1");
    CHECK(delay["sum"].as_number() == Approx(2));
    run_one(world, agent, 4s, 1s);
    world.pass(60s);
    const auto second = figures.take(world.core(), world.clock().now());
    REQUIRE(second);
    const Json two = only_point(*second, "millwright.jobs.ended");
    CHECK(two["asInt"].as_string() == "2");
    CHECK(two["startTimeUnixNano"] == one["startTimeUnixNano"]);
    CHECK(two["timeUnixNano"].as_string() > one["timeUnixNano"].as_string());
    const Json runs = only_point(*second, "millwright.jobs.run_time");
    CHECK(runs["min"].as_number() == Approx(1));
    CHECK(runs["max"].as_number() == Approx(3));
    const auto again = figures.take(world.core(), world.clock().now());
    REQUIRE(again);
    CHECK(only_point(*again, "millwright.jobs.ended")["asInt"].as_string() == "2");
}

TEST_CASE("what a receiver of figures answers is read as the specification means it", "[otlp]")
{
    const auto answer = [](int status, std::string body) {
        platform::HttpResponse response;
        response.status = status;
        response.body = std::move(body);
        return read_otlp_answer(response);
    };
    CHECK(answer(200, "{}").problem.empty());
    CHECK(answer(200, R"({"partialSuccess":{}})").problem.empty());
    CHECK_THAT(answer(200, R"({"partialSuccess":{"rejectedDataPoints":"3","errorMessage":"too old"}})").problem, Catch::Contains("refused 3 values: too old"));
    CHECK_THAT(answer(200, R"({"partialSuccess":{"errorMessage":"slow down"}})").problem, Catch::Contains("slow down"));
    for (const int status : {429, 502, 503, 504}) CHECK(answer(status, "").again);
    for (const int status : {400, 401, 404, 500}) CHECK_FALSE(answer(status, R"({"code":3,"message":"bad"})").again);
    CHECK_THAT(answer(400, R"({"code":3,"message":"bad"})").problem, Catch::Contains("400: bad"));
    CHECK(read_otlp_answer(fail(Errc::unavailable, "no answer")).again);
}

TEST_CASE("a push goes through the one way out with its credential, and nowhere the credential may not go", "[otlp]")
{
    World world;
    Receiver receiver;
    receiver.answer("/v1/metrics", 200, "{}");
    Egress egress(*EgressRules::parse({"http://127.0.0.1:*"}));
    Credential credential{.name = "otlp", .kind = "bearer", .values = Json::object({{"token", "s3cret"}}), .hosts = {}};
    const auto source = [&](const std::string&) -> Result<Credential> { return credential; };
    SECTION("with it")
    {
        const auto push = start_otlp_push({.url = receiver.url("/v1/metrics"), .credential = "otlp", .every = 20ms, .instance = "f-1"}, world.core(), egress, source, system_clock());
        REQUIRE(receiver.wait_calls("/v1/metrics", 2));
        CHECK(receiver.calls("/v1/metrics").front().header("authorization") == "Bearer s3cret");
        CHECK(receiver.calls("/v1/metrics").front().header("content-type") == "application/json");
    }
    SECTION("not elsewhere")
    {
        credential.hosts = {"https://collector.example.com"};
        const auto push = start_otlp_push({.url = receiver.url("/v1/metrics"), .credential = "otlp", .every = 10ms, .instance = "f-1"}, world.core(), egress, source, system_clock());
        CHECK_FALSE(receiver.wait_calls("/v1/metrics", 1, 300ms));
    }
}
