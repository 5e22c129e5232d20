// Agents of people: what is bound to one, what its user says to jobs of others, what its desktop keeps from it, and whose an environment is.
#include <algorithm>

#include "tests/unit/factory_core/older_store.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;
using Consent = OfferAnswer::Consent;

namespace {

const Who anna{"user anna", {}};

/// An attended agent of `user` that asks before it runs what others want.
AgentRecord desk(World& world, const std::string& name = "pc-anna", const std::string& user = "anna", Json facts = Json::object({{"consent", true}}))
{
    const AgentRecord agent = world.agent(name, "prod", protocol::AgentMode::attended, std::move(facts));
    AgentPatch patch;
    patch.user = user;
    auto out = await<AgentRecord>([&](auto done) { world.core().set_agent(name, patch, world.who, done); });
    REQUIRE(out);
    return *out;
}

Result<Accepted> launch(World& world, const AgentRecord& agent, const std::string& id, const Who& who = anna)
{
    RunRequest request;
    request.trigger = "orders";
    request.input = Json::object();
    request.launch_agent = agent.id;
    request.launch = id;
    auto out = await<Accepted>([&](auto done) { world.core().accept_run(request, who, done); });
    world.core().flush();
    return out;
}

Parking say(World& world, const AgentRecord& agent, const protocol::AttemptId& id, Consent consent, std::uint32_t want = 1)
{
    return world.park(agent, want, {OfferAnswer{id, consent.word == Consent::Word::declined, "", consent}});
}

/// A poll that is answered at once: whatever it got is all there is.
std::vector<protocol::Offer> offers(World& world, const AgentRecord& agent, Json session = {})
{
    Poll poll{agent.id, 4, {}, {}};
    poll.wait = Milliseconds(0);
    poll.next = minutes(60);
    poll.session = std::move(session);
    auto out = await<PollAnswer>([&](auto done) { world.core().park(poll, done); });
    REQUIRE(out);
    return out->offers;
}

Json session(const char* state, const char* user = "anna") { return Json::object({{"state", state}, {"user", user}}); }

}  // namespace

TEST_CASE("what is started at an agent is for that agent alone, once for each id, over a restart", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}}));
    const AgentRecord pc = desk(world), second = desk(world, "pc-anna-2");
    const auto first = launch(world, pc, "L1");
    REQUIRE(first);
    CHECK(offers(world, second).empty());
    CHECK(world.why(first->job.uid).summary.find("bound to pc-anna, which") == 0);
    world.restart();
    CHECK(launch(world, pc, "L1")->job.uid == first->job.uid);
    CHECK(launch(world, pc, "L1")->repeated);
    CHECK(launch(world, second, "L1")->job.uid != first->job.uid);
    CHECK(launch(world, pc, "L1", {"user otto", {}}).error().code == Errc::denied);
    CHECK(offers(world, second).size() == 1);
    const auto got = offers(world, pc);
    REQUIRE(got.size() == 1);
    CHECK(got.front().id.job == first->job.uid);
    CHECK(got.front().launch == "L1");   // its agent knows that it is its own person's
    // Whose agent it is now has nothing to do with who started it.
    const auto late = launch(world, pc, "L2");
    AgentPatch patch;
    patch.user = "otto";
    REQUIRE(await<AgentRecord>([&](auto done) { world.core().set_agent("pc-anna", patch, world.who, done); }));
    CHECK(offers(world, pc).empty());
    CHECK(world.codes(late->job.uid).front() == "other_agent");
    // Nor has what he starts under an id that she used.
    const auto his = launch(world, pc, "L1", {"user otto", {}});
    REQUIRE(his);
    CHECK_FALSE(his->repeated);
    CHECK(his->job.uid != first->job.uid);
}

TEST_CASE("a file at her desk asks her like any other job, and so does its retry", "[core][person][files]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}}));
    const AgentRecord pc = desk(world);
    RunRequest request;
    request.agent = "pc-anna";
    const JobRecord job = world.run(Json::object(), request);
    CHECK(offers(world, pc, session("locked")).empty());
    CHECK(world.codes(job.uid) == std::vector<std::string>{"session_locked"});
    CHECK(offers(world, pc, session("presentation")).empty());
    Poll poll{pc.id, 1, {}, {}};
    poll.wait = Milliseconds(0);
    poll.session = session("active");
    const auto asked = await<PollAnswer>([&](auto done) { world.core().park(poll, done); });
    REQUIRE(asked);
    REQUIRE(asked->offers.size() == 1);
    CHECK(asked->consents.at(0).is_object());
    (void)say(world, pc, asked->offers.front().id, {Consent::Word::declined, "not_today", world.clock().now() + minutes(300)}, 0);
    CHECK(offers(world, pc).empty());
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    const auto again = await<Accepted>([&](auto done) { world.core().retry(job.uid, true, {"user otto", {}}, done); });
    REQUIRE(again);
    CHECK(offers(world, pc).empty());
    const auto codes = world.codes(again->job.uid);
    CHECK(std::find(codes.begin(), codes.end(), "consent_refused") != codes.end());
    world.pass(minutes(301));
    CHECK(offers(world, pc, session("locked")).empty());
    CHECK(offers(world, pc, session("active")).size() == 1);
}

TEST_CASE("a bound job expires as its trigger says, and keeps its agent when a version is taken back", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}, {"expiration", "10m"}}));
    const AgentRecord pc = desk(world), second = desk(world, "pc-anna-2");
    const auto job = launch(world, pc, "L1");
    REQUIRE(job);
    world.package("order-status", Json::object(), "1.3.0");
    Json spec = world.core().reader()->document("Deployment", "order-status")->spec;
    spec.set("package", "order-status@1.3.0");
    VersionOrder order{.deployment = "order-status", .spec = spec, .generation = 1, .what = "rolled_forward", .why = "", .rebind_waiting = true};
    const auto moved = await<VersionMoved>([&](auto done) { world.core().move_deployment(order, world.who, done); });
    REQUIRE(moved);
    CHECK(moved->rebound == 1);
    CHECK(offers(world, second).empty());
    CHECK(world.job(job->job.uid).package_version == "1.3.0");
    world.pass(minutes(11));
    CHECK(world.job(job->job.uid).state == JobState::expired);
    CHECK(world.job(job->job.uid).evidence["waitedFor"].as_string().find("bound to pc-anna") == 0);
}

TEST_CASE("what its user declines goes to another agent at once, and is not asked there before its time, over a restart", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "any"}}));
    const AgentRecord pc = desk(world);
    const JobRecord job = world.run();
    const auto asked = world.park(pc).value();
    REQUIRE(asked.offers.size() == 1);
    CHECK(asked.consents.at(0)["asker"].as_string() == "admin");
    const protocol::AttemptId id = asked.offers.front().id;
    const auto held = say(world, pc, id, {Consent::Word::asking, "", world.clock().now() + minutes(2)}, 0);
    CHECK(world.why(job.uid).summary.find("anna is asked at pc-anna until") == 0);
    // An hour of thinking is no silence while its agent polls.
    const AgentRecord server = world.agent("srv-1");
    const auto parked = world.park(server);
    CHECK_FALSE(parked.answered());
    const WallTime until = world.clock().now() + minutes(300);
    (void)say(world, pc, id, {Consent::Word::declined, "not_today", until});
    REQUIRE(parked.answered());
    REQUIRE(parked.value().offers.size() == 1);
    CHECK(parked.value().consents.at(0).is_null());
    world.report(server, parked.value().offers.front().id, {world.state(1, JobState::running), world.state(2, JobState::successful, Reason::completed)});

    const JobRecord next = world.run();
    world.restart();
    CHECK(offers(world, pc).empty());
    const auto codes = world.codes(next.uid);
    CHECK(std::find(codes.begin(), codes.end(), "consent_refused") != codes.end());
    world.pass(minutes(299));
    CHECK(offers(world, pc).empty());
    world.pass(minutes(2));
    CHECK(offers(world, pc).size() == 1);
}

TEST_CASE("a refusal has a bound, is of its trigger, and of its user", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}}));
    world.put("Trigger", "other", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"runOn", "attended"}}));
    const AgentRecord pc = desk(world);
    (void)world.run();
    const auto id = world.park(pc).value().offers.at(0).id;
    (void)say(world, pc, id, {Consent::Word::declined, "not_today", world.clock().now() + minutes(60 * 24 * 365)}, 0);
    CHECK(offers(world, pc).empty());
    RunRequest other;
    other.trigger = "other";
    const JobRecord wanted = world.run(Json::object(), other);
    const auto got = offers(world, pc);
    REQUIRE(got.size() == 1);
    CHECK(got.front().id.job == wanted.uid);
    CHECK(launch(world, pc, "mine").has_value());
    CHECK(offers(world, pc).size() == 1);             // what she starts herself she does not decline
    world.pass(minutes(60 * 24 * 7 + 1));
    CHECK(offers(world, pc).size() == 1);             // a week at most
}

TEST_CASE("what somebody else wants at that desktop alone is asked about, too", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "any"}}));
    const AgentRecord pc = desk(world);
    RunRequest there;
    there.agent = "pc-anna";
    const JobRecord job = world.run(Json::object(), there);
    const auto asked = world.park(pc).value();
    REQUIRE(asked.offers.size() == 1);
    CHECK(asked.consents.at(0)["asker"].as_string() == "admin");
    CHECK(asked.offers.front().launch.empty());
    (void)say(world, pc, asked.offers.front().id, {Consent::Word::declined, "not_today", world.clock().now() + minutes(60)});
    CHECK(offers(world, pc).empty());
    const auto codes = world.codes(job.uid);
    CHECK(std::find(codes.begin(), codes.end(), "consent_refused") != codes.end());
}

TEST_CASE("an attempt is not lost while its user thinks", "[core][person]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}}), Json::object({{"offlineLimit", "2m"}}));
    const AgentRecord pc = desk(world);
    const JobRecord job = world.run();
    const auto id = world.park(pc).value().offers.at(0).id;
    (void)say(world, pc, id, {Consent::Word::asking, "", world.clock().now() + minutes(30)}, 0);
    for (int i = 0; i < 20; ++i) {
        world.pass(minutes(1));
        (void)world.park(pc, 0);
    }
    CHECK(world.job(job.uid).state == JobState::assigned);
    (void)say(world, pc, id, {Consent::Word::given, "now", {}}, 0);
    world.report(pc, id, {world.state(1, JobState::running)});
    (void)say(world, pc, id, {Consent::Word::given, "now", {}}, 0);
    const auto lines = world.line_of(job.uid);
    CHECK(std::count(lines.begin(), lines.end(), "consent_given") == 1);
    CHECK(world.core().reader()->person_jobs(pc.id, "anna", 20)->size() == 1);
    CHECK(world.core().reader()->person_jobs(pc.id, "otto", 20)->empty());
}

TEST_CASE("nobody's desktop, somebody else's and a locked one", "[core][person][dispatch]")
{
    World world;
    world.orders(Json::object({{"runOn", "attended"}}));
    const AgentRecord pc = desk(world);
    const JobRecord job = world.run();
    for (const auto& [state, code] : {std::pair{"none", "session_none"}, {"other_user", "session_other_user"}, {"locked", "session_locked"}, {"presentation", "session_presentation"}}) {
        CHECK(offers(world, pc, session(state, "otto")).empty());
        CHECK(world.codes(job.uid) == std::vector<std::string>{code});
    }
    const auto own = launch(world, pc, "L1");
    CHECK(offers(world, pc, session("none", "")).empty());
    CHECK(offers(world, pc, session("locked")).size() == 1);
    world.restart();
    CHECK(world.codes(job.uid).front() == "session_locked");
    CHECK(offers(world, pc, session("idle")).size() == 2);   // the one that she started is said again: nobody named it
}

TEST_CASE("an environment of one person, and agents named by theirs", "[core][person][dispatch]")
{
    World world;
    world.orders(Json::object({{"runOn", "any"}}));
    world.put("Environment", "prod", Json::object({{"access", "private"}, {"user", "anna"}}));
    const AgentRecord pc = desk(world), otto = desk(world, "pc-otto", "otto"), server = world.agent("srv-1");
    const JobRecord job = world.run();
    CHECK(offers(world, otto).empty());
    CHECK(offers(world, server).empty());
    CHECK(offers(world, pc).size() == 1);
    CHECK(world.job(job.uid).agent == "pc-anna");
    world.put("Environment", "prod", Json::object({{"agents", Json::array({"user:ot*"})}}));
    const JobRecord next = world.run();
    CHECK(offers(world, pc).empty());
    CHECK(offers(world, server).empty());
    const auto got = offers(world, otto);
    REQUIRE(got.size() == 1);
    CHECK(got.front().id.job == next.uid);
}

TEST_CASE("a poll says once that something is new for its user", "[core][person]")
{
    World world;
    world.orders();
    const AgentRecord pc = desk(world);
    const auto poll = [&] {
        Poll one{pc.id, 0, {}, {}};
        one.wait = Milliseconds(0);
        one.knows_person = true;
        return await<PollAnswer>([&](auto done) { world.core().park(one, done); })->person;
    };
    const auto fetch = [&] { return *await<std::uint64_t>([&](auto done) { world.core().person(pc.id, done); }); };
    const auto first = poll();
    CHECK(first > 0);
    CHECK(poll() == 0);
    world.pass(seconds(11));
    CHECK(poll() == first);   // nobody has fetched it: the answer may have been lost
    CHECK(fetch() == first);
    world.pass(seconds(11));
    CHECK(poll() == 0);
    world.put("Trigger", "night", Json::object({{"deployment", "order-status"}, {"type", "api"}}));
    CHECK(poll() == 0);
    world.put("Trigger", "desk", Json::object({{"deployment", "order-status"}, {"type", "attended"}, {"assignedTo", Json::array({"user:anna"})}}));
    CHECK(poll() > first);
    const auto last = fetch();
    world.restart();
    CHECK(poll() > last);
    const AgentRecord server = world.agent("srv-1");
    CHECK(await<std::uint64_t>([&](auto done) { world.core().person(server.id, done); }).error().code == Errc::denied);
}

TEST_CASE("a store of before opens: its agents are nobody's", "[core][person][store]")
{
    const auto folder = std::make_shared<Folder>();
    std::string job;
    {
        World world({}, folder);
        world.orders();
        (void)world.agent("srv-1");
        job = world.run().uid;
    }
    make_older(folder->path, 14);
    World world({}, folder);
    const auto agents = world.core().agents();
    REQUIRE(agents);
    CHECK(agents->front().user.empty());
    CHECK(offers(world, agents->front()).size() == 1);
    CHECK(world.job(job).state == JobState::assigned);
    CHECK(desk(world, "pc-anna").user == "anna");
}
