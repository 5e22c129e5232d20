// What is done costs as much in a store that has many jobs as in one that has few: counted in steps of SQLite's machine, not in time.
#include <map>
#include <mutex>

#include <sqlite3.h>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

/// Sees every statement of every connection that is opened while it lives.
class Steps {
public:
    Steps()
    {
        current() = this;
        sqlite3_auto_extension(reinterpret_cast<void (*)()>(&Steps::opened));
    }
    ~Steps()
    {
        sqlite3_reset_auto_extension();
        current() = nullptr;
    }
    void count(bool on)
    {
        const std::scoped_lock lock(mutex_);
        on_ = on;
    }
    std::map<std::string, int> most()
    {
        const std::scoped_lock lock(mutex_);
        return most_;
    }

private:
    static Steps*& current()
    {
        static Steps* one = nullptr;
        return one;
    }
    static int opened(sqlite3* db, const char**, const sqlite3_api_routines*)
    {
        return sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, &Steps::ran, nullptr);
    }
    static int ran(unsigned, void*, void* statement, void*)
    {
        auto* one = static_cast<sqlite3_stmt*>(statement);
        const int steps = sqlite3_stmt_status(one, SQLITE_STMTSTATUS_VM_STEP, 1);
        Steps* self = current();
        if (self == nullptr) return 0;
        const std::scoped_lock lock(self->mutex_);
        if (self->on_) {
            int& most = self->most_[sqlite3_sql(one)];
            most = std::max(most, steps);
        }
        return 0;
    }
    std::mutex mutex_;
    bool on_ = false;
    std::map<std::string, int> most_;
};

/// All that happens every day, in a store with so many finished and waiting jobs.
std::map<std::string, int> day(std::size_t finished, std::size_t waiting)
{
    Steps steps;
    CoreOptions options;
    options.renderer = [](const Notification&) -> Result<Rendered> { return Rendered{.wanted = true, .request = Json::object({{"url", "https://example.com"}})}; };
    World world(options);
    world.orders();
    world.put("Trigger", "later", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"stopAfterFailures", 3}}));
    world.put("Deployment", "elsewhere", Json::object({{"package", "order-status@1.2.0"}, {"environment", "nowhere"}, {"permissions", "as-requested"}}));
    world.put("Trigger", "never", Json::object({{"deployment", "elsewhere"}, {"type", "api"}}));
    world.put("Notifier", "tell", Json::object({{"trigger", "orders"}, {"on", Json::array({"success"})}, {"type", "api"}}));
    const AgentRecord agent = world.agent("srv-1");
    const auto one = [&](JobState state, const std::string& trigger) {
        const Parking parking = world.park(agent);
        RunRequest request;
        request.trigger = trigger;
        request.idempotency_key = new_uid();
        const JobRecord job = world.run(Json::object({{"order", 1}}), request);
        const auto id = parking.value().offers.at(0).id;
        world.report(agent, id, {world.state(1, JobState::running), World::line(2, "looked up"),
                                 world.state(3, state, state == JobState::failed ? Reason::error : Reason::completed, Json::object({{"output", Json::object()}}))});
        const auto claimed = await<std::vector<DeliveryRecord>>([&](auto done) { world.core().claim_deliveries(16, done); });
        REQUIRE(claimed);
        for (const DeliveryRecord& delivery : *claimed) {
            DeliveryOutcome outcome;
            outcome.id = delivery.id;
            outcome.verdict = DeliveryOutcome::Verdict::delivered;
            outcome.attempt.status = 200;
            REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); }));
        }
        return job.uid;
    };
    RunRequest stuck;
    stuck.trigger = "never";
    stuck.expiration = std::chrono::hours(1'000);
    std::string first_stuck, last_stuck;
    for (std::size_t i = 0; i < waiting; ++i) (i == 0 ? first_stuck : last_stuck) = world.run(Json::object(), stuck).uid;
    for (std::size_t i = 0; i < finished; ++i) (void)one(i % 50 == 0 ? JobState::failed : JobState::successful, "orders");
    world.restart();

    DeliveryQuery pending;
    pending.state = DeliveryState::pending;
    REQUIRE(world.core().reader()->deliveries(pending)->items.empty());
    steps.count(true);
    const std::string uid = one(JobState::successful, "orders");
    (void)one(JobState::failed, "later");
    world.run(Json::object(), stuck);
    world.pass(seconds(1));
    (void)world.why(uid);
    (void)world.why(first_stuck);
    REQUIRE(await<Why>([&](auto done) { world.core().why_trigger("never", done); }));
    const auto reader = world.core().reader();
    REQUIRE(reader->job(uid));
    REQUIRE(reader->timeline(uid));
    REQUIRE(reader->events(uid, protocol::EventKind::log, "", 100));
    const auto last = reader->last_feed_sequence();
    REQUIRE(last);
    REQUIRE(reader->feed(*last - 10, 100));
    for (const std::string trigger : {"", "orders", "never"})
        for (const std::optional<JobState> state : {std::optional<JobState>(), std::optional(JobState::ready), std::optional(JobState::running)}) {
            JobQuery query;
            query.trigger = trigger;
            query.state = state;
            query.limit = 5;
            if (!(trigger == "orders" && state)) REQUIRE(reader->jobs(query));   // looks at jobs of others that are ready, up to a bound: below
        }
    JobQuery failed;
    failed.state = JobState::failed;
    failed.limit = 5;
    REQUIRE(reader->jobs(failed));
    DeliveryQuery dead;
    dead.state = DeliveryState::dead;
    REQUIRE(reader->deliveries(dead));
    DeliveryQuery newest;
    newest.limit = 5;
    REQUIRE(reader->deliveries(newest));
    REQUIRE(reader->audit("", 5));
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(last_stuck, "no need", world.who, done); }));
    steps.count(false);
    return steps.most();
}

}  // namespace

TEST_CASE("no statement of the daily work costs more because a store has more jobs", "[store][scale]")
{
    const auto few = day(40, 600), many = day(400, 1'500);
    for (const auto& [sql, steps] : many) {
        // A count of what waits is one of the index alone: a job is a few steps there.
        const int allowed = sql.find("count(*)") != std::string::npos ? 40'000 : 400;
        const auto known = few.find(sql);
        INFO(sql);
        CHECK(steps <= (known == few.end() ? 0 : known->second * 3 / 2) + allowed);
    }
    CHECK(many.size() > 40);   // it does see them
}

TEST_CASE("a page of jobs is made of a bounded number of rows, and says where to go on", "[store][scale]")
{
    World world;
    world.orders();
    world.put("Deployment", "elsewhere", Json::object({{"package", "order-status@1.2.0"}, {"environment", "nowhere"}, {"permissions", "as-requested"}}));
    world.put("Trigger", "rare", Json::object({{"deployment", "elsewhere"}, {"type", "api"}}));
    RunRequest rare;
    rare.trigger = "rare";
    const std::string uid = world.run(Json::object(), rare).uid;
    RunRequest usual;
    usual.trigger = "orders";
    for (int i = 0; i < 20'005; ++i) world.core().accept_run(usual, world.who, {});
    world.core().flush();

    JobQuery query;
    query.environment = "nowhere";
    query.limit = 5;
    const auto first = world.core().reader()->jobs(query);
    REQUIRE(first);
    CHECK(first->items.empty());
    REQUIRE_FALSE(first->next.empty());
    query.cursor = first->next;
    const auto second = world.core().reader()->jobs(query);
    REQUIRE(second);
    REQUIRE(second->items.size() == 1);
    CHECK(second->items.front().uid == uid);
    CHECK(second->next.empty());

    query = {};
    query.state = JobState::ready;
    query.oldest_first = true;
    query.limit = 1;
    const auto oldest = world.core().reader()->jobs(query);
    REQUIRE(oldest);
    REQUIRE(oldest->items.size() == 1);
    CHECK(oldest->items.front().uid == uid);
    const auto waiting = world.core().reader()->waiting();
    REQUIRE(waiting);
    REQUIRE(waiting->size() == 2);
    CHECK(waiting->front().trigger == "orders");
    CHECK(waiting->front().jobs == 20'005);
    CHECK(waiting->back().oldest == uid);
}
