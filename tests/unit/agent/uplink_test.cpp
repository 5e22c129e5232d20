// What is reported and fetched: events, leases, packages.
#include "agent/lease.h"
#include "agent/packages.h"
#include "agent/uplink.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using World = AgentWorld;

TEST_CASE("the uplink sends all events in order and the journal forgets what is acknowledged", "[uplink]")
{
    World world;
    for (const char* job : {"job-a", "job-b"}) {
        const AttemptId id{job, 1, 1};
        REQUIRE(world.journal->take(id, "{}"));
        REQUIRE(world.journal->start(id, protocol::state_event(1, {}, JobState::running), SteadyTime{1}));
        for (std::uint64_t i = 2; i < 50; ++i)
            REQUIRE(world.journal->add(id, {i, WallTime{1}, protocol::EventKind::log, Json::object({{"level", "info"}, {"text", "line"}})}));
        REQUIRE(world.journal->add(id, protocol::state_event(50, {}, JobState::successful, Reason::completed)));
    }
    REQUIRE(world.journal->sync());
    std::atomic<int> outages = 3;
    world.factory.on("/agent/v1/events", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        if (outages-- <= 0) return false;
        reply.status = 503;
        reply.body = "{}";
        return true;
    });
    std::atomic<int> stale = 0;
    agent::Uplink uplink(*world.journal, world.other, [&](const AttemptId&, const std::string&) { ++stale; });
    world.threads.emplace_back([&](std::stop_token stop) { uplink.run(stop); });
    CHECK(world.journal->wait_empty(15s));
    CHECK(world.factory.until([](auto& f) { return f.events["job-a"].size() == 50 && f.events["job-b"].size() == 50; }));
    CHECK(stale == 0);
    CHECK(world.journal->knows({"job-a", 1, 1}));
    CHECK(world.journal->held().empty());
    world.threads.clear();
}

TEST_CASE("the uplink says which attempts are stale, and still sends them to their end", "[uplink]")
{
    World world;
    REQUIRE(world.journal->start(kJob, protocol::state_event(1, {}, JobState::running), SteadyTime{1}));
    REQUIRE(world.journal->sync());
    world.factory.on("/agent/v1/events", [&](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
        Json item = Json::object({{"job", kJob.job}, {"epoch", 1}, {"attempt", 1}, {"standing", "stale"}});
        item.set("acknowledged", body["attempts"][std::size_t{0}]["events"].size());
        item.set("refused", Json::array({Json::object({{"sequence", 1}, {"why", "late"}})}));
        reply.body = dump_json(Json::object({{"attempts", Json::array({item})}}));
        return true;
    });
    Mailbox<std::string> stale;
    agent::Uplink uplink(*world.journal, world.other, [&](const AttemptId& id, const std::string& standing) { stale.send(id.job + " " + standing); });
    world.threads.emplace_back([&](std::stop_token stop) { uplink.run(stop); });
    CHECK(stale.receive_for(10s).value() == "0192-job stale");
    CHECK(world.journal->wait_empty(10s));
    world.threads.clear();
}

TEST_CASE("leases are renewed only while something is held, and pass on cancels, lease ends and lost standing", "[lease]")
{
    World world;
    world.factory.on("/agent/v1/leases", [&](const factory::HttpCall&, const Json& body, factory::HttpReply& reply) {
        Json::Array attempts;
        for (Json item : body["attempts"].as_array()) {
            const std::string job = item["job"].as_string();
            item.set("standing", job == "stale" ? "stale" : "current");
            if (job == "cancelled") item.set("cancel", Json::object({{"by", "anna"}, {"why", "no"}}));
            attempts.push_back(item);
        }
        reply.body = dump_json(Json::object({{"attempts", Json(std::move(attempts))}}));
        return true;
    });
    agent::Lease lease(world.desk, world.other, system_clock(), [&](agent::Command command) { world.commands.send(std::move(command)); });
    lease.set_period(30ms);
    world.threads.emplace_back([&](std::stop_token stop) { lease.run(stop); });
    CHECK_FALSE(world.commands.receive_for(100ms));
    CHECK(world.factory.count("/agent/v1/leases") == 0);
    SECTION("stale")
    {
        world.desk.keep({{"stale", 1, 1}, false, 60s});
        CHECK(world.command<agent::command::Drop>().id.job == "stale");
    }
    SECTION("cancelled")
    {
        world.desk.keep({{"cancelled", 1, 1}, false, 60s});
        CHECK(world.command<agent::command::Cancel>().by == "anna");
    }
    SECTION("repeatable: its own end of the lease is before the factory's")
    {
        const SteadyTime before = system_clock().steady();
        world.desk.keep({{"repeatable", 1, 1}, true, 60s});
        const auto said = world.command<agent::command::Lease>();
        CHECK(said.end >= before + 40s);
        CHECK(said.end < system_clock().steady() + 60s);
    }
    world.threads.clear();
}

TEST_CASE("a package is fetched once, and never used when its bytes do not match its digest", "[packages]")
{
    World world;
    const std::string bytes = "the package's bytes";
    const std::string hex = to_hex(platform::sha256(bytes));
    auto offer = *protocol::parse_offer(offer_json());
    offer.package_digest = "sha256:" + hex;
    const auto serve = [&](const std::string& served) {
        world.factory.on("/agent/v1/packages/sha256:" + hex, [served](const factory::HttpCall& call, const Json&, factory::HttpReply& reply) {
            if (call.header("authorization") != "Bearer mw_attempt_1") reply.status = 401;
            reply.body = served;
            reply.content_type = "application/octet-stream";
            return true;
        });
    };
    serve(bytes);
    agent::Packages packages(world.folder.path, world.identity, world.config);
    SECTION("right bytes")
    {
        const auto path = packages.get(offer, {});
        REQUIRE(path);
        CHECK(platform::read_file(*path, 1000).value() == bytes);
        REQUIRE(packages.get(offer, {}));
        CHECK(world.factory.count("/agent/v1/packages/sha256:" + hex) == 1);
        SECTION("damaged on this disk: fetched again")
        {
            REQUIRE(platform::write_file(*path, "the package's bytez"));
            REQUIRE(packages.get(offer, {}));
            CHECK(platform::read_file(*path, 1000).value() == bytes);
        }
    }
    SECTION("wrong bytes")
    {
        serve("other bytes");
        const auto path = packages.get(offer, {});
        REQUIRE_FALSE(path);
        CHECK(path.error().code == Errc::corrupt);
        CHECK_THAT(path.error().what, Catch::Contains("order-status 1.0.0") && Catch::Contains(hex));
        CHECK(std::filesystem::is_empty(world.folder.path + "/packages"));
    }
    SECTION("a digest that is a path")
    {
        offer.package_digest = "sha256:../../etc/passwd";
        CHECK(packages.get(offer, {}).error().code == Errc::invalid);
    }
}
