// Figures that jobs publish: with their events, once, as far as it was granted.
#include <catch2/catch.hpp>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;
using protocol::JobState;

namespace {

protocol::Event figure(std::uint64_t sequence, WallTime time, const std::string& name, double value, const std::string& unit = "s")
{
    return {sequence, time, protocol::EventKind::metric, Json::object({{"name", name}, {"value", value}, {"unit", unit}, {"time", format_time(time)}})};
}

Json may_publish() { return *parse_json(R"({"permissions":{"metrics":{"publish":["stock.*"]}}})"); }

double total(World& world, const std::string& name, std::size_t count)
{
    const auto all = world.core().reader()->published(name);
    REQUIRE(all);
    if (all->empty()) return -1;
    const auto points = world.core().reader()->points(all->front().id, {0}, world.clock().now() + std::chrono::hours(1), 100);
    REQUIRE(points);
    CHECK(points->size() == count);
    double sum = 0;
    for (const PublishedPoint& point : *points) sum += point.value;
    return sum;
}

}  // namespace

TEST_CASE("a figure counts once however often it is said, and not of an attempt that is over", "[core][metrics]")
{
    World world;
    world.orders({}, {}, may_publish());
    const auto [srv, parking, job, id] = world.offered();
    const WallTime now = world.clock().now();
    const std::vector<protocol::Event> said{world.state(1, JobState::running), figure(2, now, "stock.level", 3), figure(3, now + std::chrono::milliseconds(1), "stock.level", 4)};
    CHECK(world.report(srv, id, said).acknowledged == 3);
    CHECK(world.report(srv, id, said).acknowledged == 3);
    CHECK(total(world, "stock.level", 2) == 7);
    CHECK(world.report(srv, id, {world.state(4, JobState::successful, protocol::Reason::completed)}).standing == Standing::final);
    CHECK(world.report(srv, id, {figure(5, now, "stock.late", 1)}).acknowledged == 5);
    CHECK(total(world, "stock.late", 0) == -1);
    world.restart();
    CHECK(total(world, "stock.level", 2) == 7);
}

TEST_CASE("what was not granted, or cannot be taken, is refused and said in the log", "[core][metrics]")
{
    World world;
    world.orders({}, {}, may_publish());
    const auto [srv, parking, job, id] = world.offered();
    const WallTime now = world.clock().now();
    const auto answer = world.report(srv, id, {world.state(1, JobState::running), figure(2, now, "salaries", 3), figure(3, now, "stock.level", 3), figure(4, now, "stock.level", 3, "EUR"),
                                               figure(5, now + std::chrono::hours(2), "stock.ahead", 1), figure(6, now - std::chrono::hours(24 * 40), "stock.old", 1), World::line(7, "goes on")});
    CHECK(answer.acknowledged == 7);
    REQUIRE(answer.refused.size() == 3);
    CHECK_THAT(answer.refused[0].why, Catch::Contains("may not be published"));
    CHECK_THAT(answer.refused[1].why, Catch::Contains("unit 's', not 'EUR'"));
    CHECK_THAT(answer.refused[2].why, Catch::Contains("30 days"));
    CHECK(total(world, "salaries", 0) == -1);
    CHECK(total(world, "stock.ahead", 1) == 1);   // its agent's clock is ahead: it is of now
}
