#include <csignal>
#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

/// No file of this process grows any more, as on a full disk.
class FullDisk {
public:
    FullDisk()
    {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        rlimit none = before_;
        none.rlim_cur = 4096;
        setrlimit(RLIMIT_FSIZE, &none);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }

private:
    rlimit before_{};
};

}  // namespace

TEST_CASE("a full disk refuses what cannot be kept, loses nothing, and work goes on afterwards", "[core][faults]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv, 4);
    const auto first = world.run(Json::object({{"n", 1}}));
    const auto id = parking.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    const auto waiting = world.park(srv, 3);
    {
        const FullDisk full;
        const auto refused = world.try_run(Json::object({{"n", 2}}));
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::unavailable);
        const auto lost = await<std::vector<EventAnswer>>([&](auto done) {
            EventBatch batch{id, {}};
            batch.events.push_back({2, world.state(2, JobState::successful)});
            world.core().ingest(srv.id, {batch}, done);
        });
        REQUIRE_FALSE(lost);   // not acknowledged: the agent says it again
        CHECK(world.job(first.uid).state == JobState::running);
    }
    REQUIRE(waiting.answered());
    CHECK_FALSE(waiting.answer->value());   // parked polls are told to come again
    const auto again = world.park(srv, 3);
    CHECK(world.report(srv, id, {world.state(2, JobState::successful, {}, Json::object({{"output", 1}}))}).acknowledged == 2);
    CHECK(world.job(first.uid).state == JobState::successful);
    const auto second = world.try_run(Json::object({{"n", 3}}));
    REQUIRE(second);
    CHECK(again.value().offers.size() == 1);
    CHECK(world.core().reader()->jobs({})->items.size() == 2);
    CHECK(world.line_of(first.uid) == std::vector<std::string>{"ready", "assigned", "running", "successful"});
}

TEST_CASE("many threads at once: every key gives one job, every reader sees whole commits", "[core][faults]")
{
    World world;
    world.orders();
    std::atomic<int> made{0}, repeated{0}, wrong{0};
    {
        std::vector<std::jthread> callers;
        for (int caller = 0; caller < 4; ++caller)
            callers.emplace_back([&] {
                for (int i = 0; i < 50; ++i) {
                    RunRequest request;
                    request.trigger = "orders";
                    request.idempotency_key = "key-" + std::to_string(i);
                    request.body_sha256 = "same";
                    const auto out = await<Accepted>([&](auto done) { world.core().accept_run(request, world.who, done); });
                    if (!out) ++wrong;
                    else ++(out->repeated ? repeated : made);
                    const auto totals = world.core().reader()->totals();
                    const auto jobs = world.core().reader()->jobs({.state = {}, .trigger = "orders", .deployment = {}, .environment = {}, .agent = {}, .since = {}, .cursor = {}, .limit = 1000});
                    if (!totals || !jobs || jobs->items.size() < totals->ready) ++wrong;
                }
            });
    }
    CHECK(made == 50);
    CHECK(repeated == 150);
    CHECK(wrong == 0);
}

TEST_CASE("why among a thousand agents is quick", "[core][why]")
{
    World world;
    world.orders();
    const protocol::Token code = protocol::make_token("code");
    CodeRecord record;
    record.id = code.id;
    record.sha256 = platform::sha256(code.text);
    record.terms = Json::object({{"environment", "prod"}, {"approve", true}});
    record.uses_left = 1'000;
    record.expires = world.clock().now() + minutes(10);
    world.core().put_code(record, world.who, {});
    for (int i = 0; i < 1'000; ++i) {
        const std::string name = "srv-" + std::to_string(i);
        world.core().enrol({code.id, record.sha256, name, name, i % 2 ? protocol::AgentMode::attended : protocol::AgentMode::unattended, {}}, {});
    }
    const auto job = world.run();
    const auto begin = std::chrono::steady_clock::now();
    const auto why = world.why(job.uid);
    const auto took = std::chrono::steady_clock::now() - begin;
    CHECK(why.reasons.size() == 1'500);   // 1,000 not seen yet, 500 of them attended
    CHECK(took < std::chrono::seconds(2));   // far above what it takes (some 10 ms): it must not depend on the square
}

TEST_CASE("polls end with an answer when the factory stops", "[core][faults]")
{
    Parking parking;
    std::optional<Result<JobRecord>> waited;
    {
        World world;
        world.orders();
        const auto job = world.run();
        parking = world.park(world.agent("srv-1", "elsewhere"));
        world.core().when_final(job.uid, minutes(5), [&](Result<JobRecord> result) { waited = std::move(result); });
        world.core().flush();
    }
    REQUIRE(parking.answered());
    REQUIRE_FALSE(parking.answer->value());
    CHECK(parking.answer->value().error().code == Errc::unavailable);
    REQUIRE(waited);
    CHECK_FALSE(*waited);
}
