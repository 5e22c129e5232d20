// Starts while the factory is away: by what terms an agent may, and what becomes of what it says it began.
#include <sqlite3.h>

#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;
using protocol::JobState;
using protocol::Reason;

namespace {

const std::string kUid = "019a0000-0000-7000-8000-0000000000aa";

AgentRecord desk(World& world, const std::string& name = "pc-anna", const std::string& user = "anna")
{
    const AgentRecord agent = world.agent(name, "prod", protocol::AgentMode::attended, Json::object({{"consent", true}}));
    AgentPatch patch;
    patch.user = user;
    auto out = await<AgentRecord>([&](auto done) { world.core().set_agent(name, patch, world.who, done); });
    REQUIRE(out);
    return *out;
}

Json offline(Json manifest = Json::object()) { return manifest.set("offline", true); }

/// A package that may begin while the factory is away, and what makes jobs of it.
void orders(World& world, Json trigger = Json::object(), Json deployment = Json::object(), Json manifest = offline())
{
    world.orders(trigger.set("runOn", "attended"), std::move(deployment), std::move(manifest));
}

/// The key of the newest binding, which an agent could know of a job that it had.
std::string newest_binding(const World& world)
{
    sqlite3* db = nullptr;
    REQUIRE(sqlite3_open_v2((world.folder() + "/factory.db").c_str(), &db, SQLITE_OPEN_READONLY, nullptr) == SQLITE_OK);
    sqlite3_stmt* rows = nullptr;
    REQUIRE(sqlite3_prepare_v2(db, "select key from bindings order by id desc limit 1", -1, &rows, nullptr) == SQLITE_OK);
    REQUIRE(sqlite3_step(rows) == SQLITE_ROW);
    const std::string out = reinterpret_cast<const char*>(sqlite3_column_text(rows, 0));
    sqlite3_finalize(rows);
    sqlite3_close(db);
    return out;
}

/// Null: not while the factory is away.
Json terms(World& world, const AgentRecord& agent)
{
    const auto out = await<OfflineTerms>([&](auto done) { world.core().offline_terms(agent.id, {"orders", "nothing"}, done); });
    REQUIRE(out);
    CHECK_FALSE(out->contains("nothing"));
    const auto found = out->find("orders");
    return found == out->end() ? Json() : found->second;
}

Result<Accepted> begun(World& world, const AgentRecord& agent, const std::string& by, const std::string& id = "L1", const std::string& uid = kUid, std::uint64_t epoch = 1,
                       Microseconds ago = minutes(20), const std::string& who = "user anna")
{
    RunRequest request;
    request.trigger = "orders";
    request.input = Json::object({{"order", 7}});
    request.launch_agent = agent.id;
    request.launch = id;
    request.begun = Begun{{uid, epoch, 1}, by, world.clock().now() - ago};
    auto out = await<Accepted>([&](auto done) { world.core().accept_run(request, {who, {}}, done); });
    world.core().flush();
    return out;
}

}  // namespace

TEST_CASE("terms are the offer without what is of one job, and hold nothing that the factory has to give", "[core][offline]")
{
    World world;
    orders(world, Json::object({{"input", Json::object({{"region", "eu"}})}}));
    const AgentRecord pc = desk(world);
    const Json given = terms(world, pc);
    REQUIRE(given.is_object());
    CHECK(given["package"]["name"] == Json("order-status"));
    CHECK(given["input"] == Json::object({{"region", "eu"}}));
    CHECK(given["epoch"].as_integer() == static_cast<std::int64_t>(world.core().epoch()));
    for (const char* own : {"job", "attempt", "attemptToken"}) CHECK_FALSE(given.contains(own));
    // The agent makes an offer of it, which has no token.
    Json offer = given;
    const auto parsed = protocol::parse_offer(offer.set("job", kUid).set("attempt", 1));
    REQUIRE(parsed);
    CHECK(parsed->attempt_token.empty());
    CHECK(parsed->terms == given["terms"].as_string());

    const auto refused = [&](Json trigger, Json deployment, Json manifest = offline()) {
        World other;
        orders(other, std::move(trigger), std::move(deployment), std::move(manifest));
        return terms(other, desk(other)).is_null();
    };
    CHECK(refused(Json::object({{"locks", Json::array({"erp"})}}), Json::object()));
    CHECK(refused(Json::object(), Json::object({{"locks", Json::array({"erp"})}})));
    CHECK(refused(Json::object({{"concurrency", 1}}), Json::object()));
    CHECK(refused(Json::object({{"approval", Json::object({{"by", Json::array({"user:otto"})}, {"within", "1h"}})}}), Json::object()));
    CHECK(refused(Json::object({{"paused", true}}), Json::object()));
    CHECK(refused(Json::object(), Json::object({{"labels", Json::object({{"gpu", "yes"}})}})));   // it could not run there
    CHECK(refused(Json::object(), Json::object(), Json::object()));   // its package does not say so
    const Json credentials = Json::object({{"offline", true}, {"permissions", Json::object({{"credentials", Json::array({"erp"})}})}});
    CHECK(refused(Json::object(), Json::object({{"credentials", Json::object({{"erp", "erp-prod"}})}}), credentials));
    CHECK_FALSE(refused(Json::object(), Json::object(), credentials));   // it is bound to none
}

TEST_CASE("what began at an agent is its job, as it was, once", "[core][offline]")
{
    World world;
    orders(world);
    const AgentRecord pc = desk(world);
    const std::string by = terms(world, pc)["terms"].as_string();
    const WallTime asked = world.clock().now() - minutes(20);
    const auto first = begun(world, pc, by);
    REQUIRE(first);
    CHECK(first->job.uid == kUid);
    CHECK(first->job.state == JobState::assigned);
    const auto again = begun(world, pc, by);
    REQUIRE(again);
    CHECK((again->repeated && again->job.uid == kUid));
    CHECK(begun(world, pc, by, "L2").error().code == Errc::conflict);   // another start with this job
    // Nobody is offered it, and what its agent says of it counts, over a restart, too.
    CHECK_FALSE(world.park(pc, 4).answered());
    world.restart();
    const protocol::AttemptId id{kUid, 1, 1};
    CHECK(world.report(pc, id, {world.state(1, JobState::running)}).standing == Standing::current);
    const auto answer = world.report(pc, id, {world.state(2, JobState::successful, Reason::completed, Json::object({{"output", Json::object({{"x", 1}})}}))});
    CHECK(answer.standing == Standing::final);
    const JobRecord job = world.job(kUid);
    CHECK(job.state == JobState::successful);
    CHECK(job.created == asked);
    CHECK(job.requested_by == "user anna");
    CHECK(job.agent == "pc-anna");
    CHECK(job.input == Json::object({{"order", 7}}));
    CHECK(world.line_of(kUid) == std::vector<std::string>{"ready", "assigned", "running", "successful"});
    const auto own = world.core().reader()->is_person_job(pc.id, "anna", kUid);
    CHECK(own.value_or(false));
    CHECK(begun(world, pc, by)->repeated);   // said again after its end
}

TEST_CASE("it is taken whatever became of trigger and package, and only by the terms that this agent had for this person", "[core][offline]")
{
    World world;
    orders(world);
    const AgentRecord pc = desk(world), other = desk(world, "pc-anna-2");
    const std::string by = terms(world, pc)["terms"].as_string(), elsewhere = terms(world, other)["terms"].as_string();
    CHECK(begun(world, pc, elsewhere).error().code == Errc::denied);
    CHECK(begun(world, pc, "no terms at all").error().code == Errc::conflict);
    CHECK(begun(world, pc, by, "L1", kUid, 99).error().code == Errc::conflict);   // of a store that is newer than this one
    CHECK(begun(world, pc, by, "L1", kUid, 1, minutes(1), "user otto").error().code == Errc::denied);
    CHECK_FALSE(world.core().reader()->job(kUid));
    // The clock of the agent's machine may be wrong.
    const auto future = begun(world, pc, by, "L-f", "019a0000-0000-7000-8000-0000000000ab", 1, -minutes(60 * 24 * 365));
    REQUIRE(future);
    CHECK(future->job.created == world.clock().now());
    const auto past = begun(world, pc, by, "L-p", "019a0000-0000-7000-8000-0000000000ac", 1, minutes(60 * 24 * 365));
    REQUIRE(past);
    CHECK(past->job.created == world.clock().now() - minutes(60 * 24 * 30));
    orders(world, Json::object({{"paused", true}}));
    CHECK(terms(world, pc).is_null());
    CHECK(begun(world, pc, by));
    // It is otto's agent now.
    AgentPatch patch;
    patch.user = "otto";
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("pc-anna", patch, world.who, done); }));
    CHECK(begun(world, pc, by, "L3", "019a0000-0000-7000-8000-0000000000ad", 1, minutes(1), "user otto").error().code == Errc::denied);
}

TEST_CASE("terms outlast a restart of the factory", "[core][offline]")
{
    World world;
    orders(world);
    const AgentRecord pc = desk(world);
    const std::string by = terms(world, pc)["terms"].as_string();
    world.restart();   // bindings are in the store
    CHECK(begun(world, pc, by));
}

TEST_CASE("what an administrator changed since the terms were given counts", "[core][offline]")
{
    const auto refused = [](const std::function<void(World&, const AgentRecord&)>& change) {
        World world;
        orders(world);
        const AgentRecord pc = desk(world);
        const std::string by = terms(world, pc)["terms"].as_string();
        change(world, pc);
        const auto out = begun(world, pc, by);
            CHECK(world.core().reader()->job(kUid).has_value() == out.has_value());
        return out ? std::string() : out.error().what;
    };
    CHECK(refused([](World&, const AgentRecord&) {}).empty());
    CHECK(refused([](World& world, const AgentRecord&) { orders(world, Json::object({{"locks", Json::array({"erp"})}})); }).find("has a limit, a lock") != std::string::npos);
    CHECK(refused([](World& world, const AgentRecord&) { orders(world, Json::object({{"approval", Json::object({{"by", Json::array({"user:otto"})}, {"within", "1h"}})}})); }).find("an approval") != std::string::npos);
    CHECK(refused([](World& world, const AgentRecord&) {
              AgentPatch patch;
              patch.approved = false;
              REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("pc-anna", patch, world.who, done); }));
          }).find("approv") != std::string::npos);
}

TEST_CASE("no approval, no lock, no limit and no package that does not say so is passed over by the terms of another job", "[core][offline]")
{
    const Json none = Json::object();   // then its package does not say that it may
    for (const Json& rule : {none, Json::object({{"approval", Json::object({{"by", Json::array({"user:otto"})}, {"within", "1h"}})}}), Json::object({{"locks", Json::array({"erp"})}}), Json::object({{"concurrency", 1}})}) {
        World world;
        orders(world, rule, Json::object(), rule == none ? Json::object() : offline());
        const AgentRecord pc = desk(world);
        RunRequest request;
        request.trigger = "orders";
        request.input = Json::object();
        request.launch_agent = pc.id;
        request.launch = "L0";
        REQUIRE(await<Accepted>([&](auto done) { world.core().accept_run(request, {"user anna", {}}, done); }));
        world.core().flush();
        CHECK(begun(world, pc, newest_binding(world)).error().code == Errc::denied);
        CHECK_FALSE(world.core().reader()->job(kUid));
    }
}
