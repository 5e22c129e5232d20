// Triggers that fire by themselves: each time once, whatever happens in between.
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

constexpr const char* kStart = "2026-11-27T10:00:30Z";

struct Scheduled : World {
    Scheduled() : World({}, {}, std::make_shared<FakeClock>(parse_time(kStart).value())) { World::orders(); }
    void schedule(const std::string& rule, Json more = Json::object())
    {
        more.set("deployment", "order-status").set("type", "schedule").set("schedule", *parse_json(rule));
        trigger = put("Trigger", "nightly", std::move(more));
    }
    /// "10:01 started", the newest first, without the seconds.
    std::vector<std::string> history(bool reasons = false)
    {
        core().flush();
        std::vector<std::string> out;
        const auto rows = core().reader()->firings(trigger.uid, 0, 100);
        REQUIRE(rows);
        for (const FiringRecord& row : *rows)
            out.push_back(fmt::format("{} {}{}", format_time(row.due).substr(11, 5), name(row.outcome), reasons && !row.why.empty() ? ": " + row.why : ""));
        return out;
    }
    std::size_t jobs()
    {
        JobQuery query;
        query.trigger = "nightly";
        return core().reader()->jobs(query)->items.size();
    }
    JobRecord newest()
    {
        JobQuery query;
        query.trigger = "nightly";
        const auto found = core().reader()->jobs(query);
        REQUIRE_FALSE(found->items.empty());
        return *core().reader()->job(found->items.front().uid);
    }
    void end(const std::string& uid)
    {
        REQUIRE(await<JobRecord>([&](auto done) { core().cancel(uid, "test", who, done); }));
    }
    Document trigger;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a schedule fires at its time, once, with its input and a word of its time", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"cron":"* * * * *","timezone":"Europe/Berlin","overlap":"allow-all"})", Json::object({{"input", Json::object({{"region", "eu"}})}, {"priority", 70}}));
    world.pass(seconds(29));
    CHECK(world.jobs() == 0);
    world.pass(seconds(1));
    REQUIRE(world.jobs() == 1);
    const JobRecord job = world.newest();
    CHECK(job.input["region"].as_string() == "eu");
    CHECK(job.requested_by == "schedule nightly");
    CHECK(job.priority == 70);
    CHECK(job.context["schedule"]["due"].as_string() == "2026-11-27T11:01:00+01:00");
    world.pass(seconds(1));
    CHECK(world.jobs() == 1);
    world.pass(seconds(59));
    CHECK(world.history() == Lines{"10:02 started", "10:01 started"});
}

TEST_CASE("through restarts, also in the moment that it fires, no time is fired twice", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"every":"1m","overlap":"allow-all"})");
    for (int i = 0; i < 5; ++i) {
        world.pass(seconds(30));
        world.restart();
        world.core().run_timers();
        world.restart();
        world.core().run_timers();
        world.pass(seconds(30));
        world.restart();
    }
    CHECK(world.history() == Lines{"10:05 started", "10:04 started", "10:03 started", "10:02 started", "10:01 started"});
    CHECK(world.jobs() == 5);
    // The clock on the wall is set back: what was fired is not fired again.
    world.clock().advance(-Microseconds(seconds(180)));
    world.core().run_timers();
    CHECK(world.jobs() == 5);
}

TEST_CASE("what was missed while nobody was here: made up for within catchUp, told beyond it", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"every":"10m","catchUp":"25m","overlap":"allow-all"})");
    world.pass(seconds(1));
    world.clock().advance(minutes(120));
    world.restart();
    world.core().run_timers();
    const auto lines = world.history(true);
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "12:00 started");
    CHECK(lines[1] == "11:50 started");
    CHECK(lines[2] == "11:40 started");
    CHECK_THAT(lines[3], Catch::StartsWith("11:30 missed: ") && Catch::Contains("25m") && Catch::Contains("9 times, from 2026-11-27T10:10:00+00:00 to 2026-11-27T11:30:00+00:00"));
}

TEST_CASE("years of a schedule of each second cost a moment when nobody was here", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"every":"1s","catchUp":"5s","overlap":"allow-all"})");
    world.pass(seconds(1));
    world.clock().advance(std::chrono::hours(24 * 400));
    world.core().run_timers();
    CHECK(world.jobs() == 6);   // one of before, and of the last five seconds
    const auto lines = world.history(true);
    REQUIRE(lines.size() == 7);
    CHECK_THAT(lines[5], Catch::Contains("missed: ") && Catch::Contains("more than 20000 times"));
}

TEST_CASE("overlap: what happens while a job of before has not ended", "[core][schedule]")
{
    Scheduled world;
    const auto policy = [&](const char* overlap) {
        world.schedule(fmt::format(R"({{"every":"1m","overlap":"{}"}})", overlap));
        world.pass(seconds(60));
        REQUIRE(world.jobs() == 1);
    };
    SECTION("skip")
    {
        policy("skip");
        world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:02 skipped", "10:01 started"});
        CHECK_THAT(world.history(true)[0], Catch::Contains(world.newest().uid) && Catch::Contains("overlap: skip"));
        world.end(world.newest().uid);
        world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:03 started", "10:02 skipped", "10:01 started"});
    }
    SECTION("buffer-one")
    {
        policy("buffer-one");
        world.pass(seconds(60));
        world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:03 skipped", "10:02 waiting", "10:01 started"});
        world.restart();  // it waits on disk
        world.end(world.newest().uid);
        world.pass(seconds(1));
        CHECK(world.history() == Lines{"10:03 skipped", "10:02 started", "10:01 started"});
        CHECK(world.jobs() == 2);
    }
    SECTION("buffer-all")
    {
        policy("buffer-all");
        for (int i = 0; i < 3; ++i) world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:04 waiting", "10:03 waiting", "10:02 waiting", "10:01 started"});
        for (int i = 0; i < 3; ++i) {
            world.end(world.newest().uid);
            world.pass(seconds(1));
        }
        CHECK(world.history() == Lines{"10:04 started", "10:03 started", "10:02 started", "10:01 started"});
    }
    SECTION("cancel-other")
    {
        policy("cancel-other");
        const std::string first = world.newest().uid;
        world.pass(seconds(60));
        CHECK(world.core().reader()->job(first)->state == JobState::cancelled);   // no agent had it
        world.pass(seconds(1));
        CHECK(world.history() == Lines{"10:02 started", "10:01 started"});
    }
    SECTION("cancel-other waits for an agent that has to end it first")
    {
        const auto agent = world.agent("srv-1");
        const auto parking = world.park(agent);
        world.put("Environment", "prod", Json::object({{"agents", Json::array({"srv-*"})}}));
        policy("cancel-other");
        const std::string first = world.newest().uid;
        world.pass(seconds(60));
        CHECK(world.core().reader()->job(first)->cancel.has_value());
        CHECK(world.history() == Lines{"10:02 waiting", "10:01 started"});
    }
    SECTION("terminate-other")
    {
        policy("terminate-other");
        world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:02 started", "10:01 started"});
    }
    SECTION("allow-all")
    {
        policy("allow-all");
        world.pass(seconds(60));
        CHECK(world.history() == Lines{"10:02 started", "10:01 started"});
        CHECK(world.newest().state == JobState::ready);
    }
}

TEST_CASE("paused, on a day off, without its deployment: why it did not fire", "[core][schedule]")
{
    Scheduled world;
    world.put("Calendar", "holidays", Json::object({{"days", Json::array({"11-27"})}, {"weekdays", Json::array()}}));
    world.schedule(R"({"every":"1m","timezone":"UTC","calendars":["holidays"]})");
    world.pass(seconds(60));
    CHECK_THAT(world.history(true)[0], Catch::Contains("skipped: 2026-11-27 is a day off in 'holidays' (11-27)"));
    const auto removed = await<Nothing>([&](auto done) { world.core().delete_document("Calendar", "holidays", world.who, done); });
    REQUIRE_FALSE(removed);
    CHECK_THAT(removed.error().what, Catch::Contains("Trigger 'nightly'"));

    world.put("Calendar", "holidays", Json::object({{"days", Json::array()}, {"weekdays", Json::array()}}));   // a change counts at once
    world.pass(seconds(60));
    CHECK(world.history()[0] == "10:02 started");

    world.schedule(R"({"every":"1m","timezone":"UTC","overlap":"allow-all"})", Json::object({{"paused", true}, {"pausedWhy", "moving house"}}));
    world.pass(seconds(60));
    CHECK_THAT(world.history(true)[0], Catch::Contains("10:03 skipped: the trigger is paused: moving house"));

    world.schedule(R"({"every":"1m","timezone":"UTC","overlap":"allow-all"})", Json::object({{"workflow", "main"}}));
    world.put("Deployment", "order-status", Json::object({{"package", "order-status@9.9.9"}, {"environment", "prod"}, {"permissions", "as-requested"}}));
    world.pass(seconds(60));
    CHECK_THAT(world.history(true)[0], Catch::Contains("10:04 failed: ") && Catch::Contains("order-status@9.9.9"));
}

TEST_CASE("a new rule counts from when it was written, the same rule goes on", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"cron":"0 3 * * *","timezone":"UTC"})");
    world.pass(minutes(5));
    world.schedule(R"({"every":"1m","overlap":"allow-all"})");
    world.pass(seconds(1));
    CHECK(world.jobs() == 0);   // and not those of the five minutes before
    world.clock().advance(seconds(59));
    // What was due is decided before another document changes what follows.
    world.schedule(R"({"every":"1m","overlap":"allow-all"})", Json::object({{"priority", 10}}));
    CHECK(world.history() == Lines{"10:06 started"});
    CHECK(world.newest().priority == 50);
    world.restart();
    world.pass(seconds(60));
    CHECK(world.history() == Lines{"10:07 started", "10:06 started"});
    CHECK(world.newest().priority == 10);
}

TEST_CASE("why says when a schedule fires next; a deleted trigger leaves nothing behind", "[core][schedule]")
{
    Scheduled world;
    world.schedule(R"({"cron":"30 6 * * mon-fri","timezone":"Europe/Berlin"})");
    const auto why = await<Why>([&](auto done) { world.core().why_trigger("nightly", done); });
    REQUIRE(why);
    const auto reason = std::find_if(why->reasons.begin(), why->reasons.end(), [](const WhyReason& one) { return one.code == "schedule"; });
    REQUIRE(reason != why->reasons.end());
    CHECK(reason->text == "it fires next at 2026-11-30T06:30:00+01:00");
    world.schedule(R"({"every":"1m"})");
    world.pass(seconds(60));
    CHECK(world.history().size() == 1);
    REQUIRE(await<Nothing>([&](auto done) { world.core().delete_document("Trigger", "nightly", world.who, done); }));
    world.pass(seconds(60));
    CHECK(world.history().empty());
}
