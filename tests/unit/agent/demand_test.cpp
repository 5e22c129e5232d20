#include <catch2/catch.hpp>

#include "agent/demand.h"

using namespace mill;
using namespace std::chrono_literals;
using agent::Demand;
using Changes = std::vector<std::pair<std::string, std::size_t>>;

TEST_CASE("a request that was used of late has a runner held ready, for five minutes", "[agent][demand]")
{
    FakeClock clock;
    Demand demand(clock, 8);
    CHECK(demand.changes().empty());
    CHECK_FALSE(demand.next());
    demand.started("a");
    CHECK(demand.changes() == Changes{{"a", 1}});
    CHECK(demand.changes().empty());
    clock.advance(299s);
    CHECK(demand.changes().empty());
    REQUIRE(demand.next());
    CHECK(*demand.next() - clock.steady() == 1s);
    clock.advance(1s);
    CHECK(demand.changes() == Changes{{"a", 0}});
    CHECK_FALSE(demand.next());
}

TEST_CASE("jobs close behind each other have more, up to the most; a pause brings it back to one", "[agent][demand]")
{
    FakeClock clock;
    Demand demand(clock, 3);
    for (int i = 0; i < 7; ++i) demand.started("a");
    CHECK(demand.changes() == Changes{{"a", 2}});
    for (int i = 0; i < 20; ++i) demand.started("a");
    CHECK(demand.changes() == Changes{{"a", 3}});
    demand.started("b");
    CHECK(demand.changes() == Changes{{"b", 1}});
    clock.advance(10s);
    CHECK(*demand.next() <= clock.steady());
    CHECK(demand.changes() == Changes{{"a", 1}});
    CHECK(*demand.next() > clock.steady());  // nothing asks for a turn that changes nothing
}

TEST_CASE("nothing is held ready where nothing may be", "[agent][demand]")
{
    FakeClock clock;
    Demand demand(clock, 0);
    demand.started("a");
    CHECK(demand.changes().empty());
    CHECK_FALSE(demand.next());
}
