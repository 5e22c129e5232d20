#include <algorithm>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

Result<Nothing> publish(World& world, std::vector<MetricPoint> points)
{
    return await<Nothing>([&](auto done) { world.core().publish(points, done); });
}

MetricPoint point(World& world, const std::string& name, double value, Json dimensions = Json::object(), const std::string& unit = "")
{
    return {.name = name, .unit = unit, .dimensions = std::move(dimensions), .time = world.clock().now(), .value = value};
}

std::vector<JobMinute> counted(World& world)
{
    auto out = world.core().reader()->job_minutes({0}, world.clock().now() + std::chrono::hours(24), 1'000);
    REQUIRE(out);
    return *out;
}

}  // namespace

TEST_CASE("every end of a job is counted once, with how long it waited and ran", "[metrics]")
{
    World world;
    world.orders();
    const auto offered = world.offered();
    world.report(offered.agent, offered.id, {world.state(1, JobState::running)});
    world.clock().advance(seconds(5));
    const auto end = world.state(2, JobState::failed, Reason::error);
    world.report(offered.agent, offered.id, {end});
    world.report(offered.agent, offered.id, {end});   // said again
    const JobRecord waiting = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(waiting.uid, "no need", world.who, done); }));
    world.restart();
    const auto found = counted(world);
    REQUIRE(found.size() == 2);
    const auto failed = std::find_if(found.begin(), found.end(), [](const JobMinute& m) { return m.state == "failed"; });
    REQUIRE(failed != found.end());
    CHECK(failed->jobs == 1);
    CHECK(failed->started == 1);
    CHECK(failed->reason == "error");
    CHECK(failed->trigger == "orders");
    CHECK(failed->environment == "prod");
    CHECK(failed->run.max == Approx(5));
    const auto cancelled = std::find_if(found.begin(), found.end(), [](const JobMinute& m) { return m.state == "cancelled"; });
    REQUIRE(cancelled != found.end());
    CHECK(cancelled->jobs == 1);
    CHECK(cancelled->started == 0);   // it has no times that could be the shortest
}

TEST_CASE("published values are all taken or none, and one time has one value", "[metrics]")
{
    World world;
    REQUIRE(publish(world, {point(world, "invoices.open", 4, Json::object({{"region", "eu"}}), "{invoice}"), point(world, "invoices.open", 7, Json::object({{"region", "us"}}), "{invoice}")}));
    REQUIRE(publish(world, {point(world, "invoices.open", 5, Json::object({{"region", "eu"}}), "{invoice}")}));   // corrects itself
    auto all = world.core().reader()->published("invoices.open");
    REQUIRE(all);
    REQUIRE(all->size() == 2);
    CHECK(all->front().value == 5);
    const auto refused = publish(world, {point(world, "other", 1), point(world, "invoices.open", 1, Json::object({{"region", "eu"}}), "EUR")});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::conflict);
    CHECK_THAT(refused.error().what, Catch::Contains("{invoice}") && Catch::Contains("EUR"));
    CHECK(world.core().reader()->published("other")->empty());
}

TEST_CASE("the number of series is bounded, and the error says what to do", "[metrics]")
{
    World world;
    std::vector<MetricPoint> many;
    for (std::size_t i = 0; i < kSeriesOfName; ++i) many.push_back(point(world, "by.customer", 1, Json::object({{"customer", std::to_string(i)}})));
    REQUIRE(publish(world, many));
    const auto refused = publish(world, {point(world, "by.customer", 1, Json::object({{"customer", "one more"}}))});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::too_large);
    CHECK_THAT(refused.error().what, Catch::Contains("1000 series of one name") && Catch::Contains("fewer values"));
    REQUIRE(publish(world, {point(world, "by.customer", 2, Json::object({{"customer", "7"}}))}));   // those that are there go on
}
