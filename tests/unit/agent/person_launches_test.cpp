// What a person starts at the agent: kept while the factory is away, handed over once, known again when it is offered.
#include "agent/person/launches.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using agent::Launches;

TEST_CASE("what a person started is their own: once that job, and as it was offered first", "[launch]")
{
    TemporaryFolder folder;
    FakeClock clock;
    const std::string path = folder.path + "/launches.json";
    std::optional<Launches> launches;
    launches.emplace(path, clock);
    CHECK_FALSE(launches->is_own("a", "report", "job-1", "m1"));
    launches->expect({"a", "report", "Report", Json::object(), clock.now(), "anna"});
    if (GENERATE(true, false)) launches.emplace(path, clock);     // a restart between the start and the offer
    CHECK_FALSE(launches->is_own("", "other", "job-1", "m1"));
    CHECK_FALSE(launches->is_own("b", "report", "job-1", "m1"));
    CHECK_FALSE(launches->is_own("a", "other", "job-1", "m1"));
    CHECK(launches->is_own("a", "report", "job-1", "m1"));
    launches.emplace(path, clock);
    CHECK(launches->is_own("a", "report", "job-1", "m1"));        // its second attempt
    CHECK_FALSE(launches->is_own("a", "report", "job-1", "m2"));
    CHECK_FALSE(launches->is_own("a", "report", "job-2", "m1"));
    // A factory of before names no starts: what it said the job is counts.
    launches->expect({"c", "report", "Report", Json::object(), clock.now(), "anna"});
    launches->has("c", "job-9");
    CHECK_FALSE(launches->is_own("c", "report", "job-8", "m9"));
    CHECK_FALSE(launches->is_own("", "report", "job-8", "m9"));
    CHECK(launches->is_own("", "report", "job-9", "m9"));
    // It may offer it before it answers; what it refused it does not offer.
    launches->expect({"d", "report", "Report", Json::object(), clock.now(), "anna"});
    CHECK(launches->is_own("", "report", "job-10", "m9"));
    CHECK_FALSE(launches->is_own("", "report", "job-11", "m9"));
    launches->expect({"e", "report", "Report", Json::object(), clock.now(), "anna"});
    launches->forget("e");
    CHECK_FALSE(launches->is_own("", "report", "job-11", "m9"));
}

TEST_CASE("of what a person started no more is remembered than there is room for, whatever the file holds", "[launch]")
{
    TemporaryFolder folder;
    const FakeClock clock;
    Json mine = Json::array(), failed = Json::array();
    for (std::size_t i = 0; i < Launches::kRemembered + 5; ++i) mine.push("job-" + std::to_string(i));
    for (std::size_t i = 0; i < Launches::kShown + 5; ++i) failed.push(Json::object({{"id", std::to_string(i)}}));
    REQUIRE(platform::write_file(folder.path + "/launches.json", dump_json(Json::object({{"mine", std::move(mine)}, {"failed", std::move(failed)}})), 0600));
    const Launches launches(folder.path + "/launches.json", clock);
    CHECK_FALSE(launches.is_mine("job-4"));   // the oldest go
    CHECK(launches.is_mine("job-5"));
    CHECK(launches.failed().size() == Launches::kShown);
    CHECK(launches.failed()[std::size_t{0}]["id"] == Json("0"));
}

TEST_CASE("starts that wait for the factory outlive a restart, in order, each once", "[launch]")
{
    TemporaryFolder folder;
    FakeClock clock;
    const std::string path = folder.path + "/launches.json";
    std::optional<Launches> launches;
    launches.emplace(path, clock);
    const auto launch = [&](const std::string& id) { return agent::Launch{id, "report", "Report", Json::object({{"month", 3}}), clock.now(), "anna"}; };
    REQUIRE(launches->add(launch("a")));
    REQUIRE(launches->add(launch("b")));
    REQUIRE(launches->add(launch("a")));
    CHECK(launches->waiting().size() == 2);
    launches.emplace(path, clock);
    REQUIRE(launches->front("anna"));
    CHECK(launches->front("anna")->id == "a");
    CHECK(launches->front("anna")->input == Json::object({{"month", 3}}));
    launches->handed_over("a", "job-9");
    CHECK(launches->is_mine("job-9"));
    launches.emplace(path, clock);
    CHECK(launches->is_mine("job-9"));
    REQUIRE(launches->front("anna"));
    CHECK(launches->front("anna")->id == "b");
    SECTION("what the factory refuses is shown, with its reason and without its input")
    {
        launches->refused("b", "no such trigger");
        CHECK(launches->empty());
        launches.emplace(path, clock);
        const Json failed = launches->failed();
        REQUIRE(failed.size() == 1);
        CHECK(failed[std::size_t{0}]["reason"] == Json("no such trigger"));
        CHECK(platform::read_file(path, 1 << 20)->find("month") == std::string::npos);
    }
    SECTION("what nobody expects any more does not begin")
    {
        clock.advance(std::chrono::hours(24));
        CHECK_FALSE(launches->front("anna"));
        CHECK_THAT(launches->failed()[std::size_t{0}]["reason"].as_string(), Catch::Contains("away for more than"));
    }
    SECTION("whose agent it is not any more starts nothing there")
    {
        CHECK_FALSE(launches->front("otto"));
        CHECK(launches->empty());
        CHECK(launches->failed()[std::size_t{0}]["reason"] == Json("anna started it, and this is otto's agent now"));
        launches.emplace(path, clock);
        CHECK_FALSE(launches->front("anna"));
    }
    SECTION("there is an end to it")
    {
        for (std::size_t i = 1; i < Launches::kMost; ++i) REQUIRE(launches->add(launch("n" + std::to_string(i))));
        const auto full = launches->add(launch("one more"));
        REQUIRE_FALSE(full);
        CHECK(full.error().code == Errc::conflict);
    }
    SECTION("what cannot be written down does not wait")
    {
        Launches nowhere("/proc/nowhere/launches.json", clock);
        CHECK_FALSE(nowhere.add(launch("c")));
        CHECK(nowhere.empty());
    }
}
