// A factory whose store is an older one: nothing starts before its agents have said again what they did, and nothing runs twice.
#include "factory/core/restored.h"
#include "factory/store/copy.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

/// What was offered, as the agent's journal has it.
Json offer_of(const Parking& parking) { return protocol::to_json(parking.value().offers.at(0)); }

SessionAnswer session(World& world, const AgentRecord& agent, std::vector<protocol::AttemptId> held = {}, std::vector<SessionReport::Seen> seen = {}, bool able = true)
{
    SessionReport report;
    report.agent = agent.id;
    report.held = std::move(held);
    report.seen = std::move(seen);
    report.can_repeat = able;
    auto out = await<SessionAnswer>([&](auto done) { world.core().open_session(report, done); });
    world.core().flush();
    REQUIRE(out);
    return *out;
}

EventAnswer say_again(World& world, const AgentRecord& agent, const protocol::AttemptId& id, const Json& offer, std::vector<protocol::Event> events)
{
    EventBatch batch{id, {}, offer};
    for (auto& event : events) batch.events.push_back({event.sequence, std::move(event)});
    return world.report_batch(agent, std::move(batch));
}

void that_was_all(World& world, const AgentRecord& agent)
{
    REQUIRE(await<Nothing>([&](auto done) { world.core().reported_again(agent.id, done); }));
    world.core().flush();
}

Status release(World& world, const std::string& environment)
{
    auto out = await<Nothing>([&](auto done) { world.core().release(environment, world.who, done); });
    world.core().flush();
    return out ? Status() : fail(out.error());
}

/// The store of `world` as it is now, which another world opens after it was marked.
std::shared_ptr<Folder> backup(World& world)
{
    auto folder = std::make_shared<Folder>();
    world.core().flush();
    REQUIRE(copy_database(world.folder(), folder->path + "/factory.db"));
    return folder;
}

std::unique_ptr<World> restored(World& before, const std::shared_ptr<Folder>& folder)
{
    const WallTime known_to = before.clock().now();
    before.pass(minutes(1));
    REQUIRE(core::mark_restored(folder->path, known_to, before.clock()));
    auto time = std::make_shared<FakeClock>();
    time->advance(before.clock().now() - time->now() + minutes(1));
    return std::make_unique<World>(CoreOptions{}, folder, time);
}

}  // namespace

TEST_CASE("a restored store starts nothing until its agents have said again what they did, and takes that", "[core][restore]")
{
    World before;
    before.orders();
    const auto srv = before.agent("srv-1");
    const auto job = before.run(Json::object({{"order", 7}}));
    const auto copy = backup(before);   // the job is ready
    const auto first = before.park(srv);
    const auto id = first.value().offers.at(0).id;
    const Json offer = offer_of(first);
    before.report(srv, id, {before.state(1, JobState::running), World::line(2, "hello"), before.state(3, JobState::successful, {}, Json::object({{"output", Json::object({{"sum", 1}})}}))});
    const auto second_job = before.run();   // not in the copy at all
    const auto second = before.park(srv);
    const auto second_id = second.value().offers.at(0).id;
    before.report(srv, second_id, {before.state(1, JobState::running), World::line(2, "here")});

    const auto world = restored(before, copy);
    CHECK(world->core().epoch() > id.epoch);
    CHECK(session(*world, srv, {second_id}, {{second_id, 2}, {id, 3}}).report_again);
    auto parking = world->park(srv, 4);
    CHECK_FALSE(parking.answered());
    CHECK(world->codes(job.uid).front() == "awaits_reports");
    CHECK(world->why(job.uid).reasons.front().command == "millwright environments release prod");
    world->pass(minutes(30));   // neither does time: it is not lost
    CHECK(world->job(job.uid).state == JobState::ready);

    CHECK(say_again(*world, srv, id, offer, {world->state(1, JobState::running), world->state(3, JobState::successful, {}, Json::object({{"output", Json::object({{"sum", 1}})}}))}).acknowledged == 3);
    CHECK(world->job(job.uid).state == JobState::successful);
    CHECK(world->job(job.uid).output == Json::object({{"sum", 1}}));
    say_again(*world, srv, second_id, offer_of(second), {world->state(1, JobState::running), World::line(2, "here")});
    CHECK(world->job(second_job.uid).state == JobState::running);
    CHECK(world->job(second_job.uid).trigger == "orders");
    say_again(*world, srv, id, offer, {world->state(1, JobState::running)});   // once more: nothing changes
    CHECK(world->job(job.uid).state == JobState::successful);
    that_was_all(*world, srv);
    CHECK_FALSE(session(*world, srv, {second_id}).report_again);
    CHECK(world->report(srv, second_id, {world->state(3, JobState::successful)}).standing == Standing::final);
    CHECK(world->job(second_job.uid).state == JobState::successful);

    const auto fresh = world->run();
    parking = world->park(srv, 4);
    REQUIRE(parking.answered());
    REQUIRE(parking.value().offers.size() == 1);
    CHECK(parking.value().offers.at(0).id.job == fresh.uid);   // and neither of the two again
    CHECK(parking.value().offers.at(0).id.epoch == world->core().epoch());
    world->restart();
    CHECK_FALSE(session(*world, srv).report_again);   // said once is enough
}

TEST_CASE("what a restored store gave out and its agent no longer knows is not started again", "[core][restore]")
{
    World before;
    before.orders();
    auto offered = before.offered();
    const bool ran = GENERATE(false, true);
    if (ran) before.report(offered.agent, offered.id, {before.state(1, JobState::running)});
    const auto copy = backup(before);
    const auto world = restored(before, copy);
    CHECK(session(*world, offered.agent).report_again);
    that_was_all(*world, offered.agent);   // it says nothing of it
    const auto parking = world->park(offered.agent);
    if (!ran) {   // perhaps it never saw the offer
        REQUIRE(parking.answered());
        CHECK(parking.value().offers.at(0).id == offered.id);
        CHECK(world->job(offered.job.uid).state == JobState::assigned);
        world->park(offered.agent, 1, {{offered.id, false, "it is known here and does not run"}});   // it did
    }
    const auto job = world->job(offered.job.uid);
    CHECK(job.state == JobState::failed);
    CHECK(job.reason == Reason::outcome_unknown);
}

TEST_CASE("an agent that cannot say it again holds up its environment until that is released, and no other", "[core][restore]")
{
    World before;
    before.orders();
    const auto srv = before.agent("srv-1");
    before.agent("other-1", "test");
    const auto job = before.run();
    const auto copy = backup(before);
    const auto world = restored(before, copy);
    CHECK_FALSE(session(*world, srv, {}, {}, false).report_again);
    const auto parking = world->park(srv);
    CHECK_FALSE(parking.answered());
    const auto holds = await<std::vector<Hold>>([&](auto done) { world->core().holds(done); });
    REQUIRE(holds);
    REQUIRE_FALSE(holds->empty());
    CHECK(world->why(job.uid).summary.find("srv-1 cannot say it again") != std::string::npos);
    // Nothing of it may block its stream: of an attempt that nobody knows here it is told that this is over.
    CHECK(world->report(srv, {new_uid(), 1, 1}, {world->state(1, JobState::running)}).acknowledged == 1);
    CHECK(release(*world, "elsewhere").error().code == Errc::conflict);
    REQUIRE(release(*world, "prod"));
    REQUIRE(parking.answered());
    CHECK(parking.value().offers.size() == 1);
    world->restart();
    CHECK(release(*world, "prod").error().code == Errc::conflict);   // it stays released
}

TEST_CASE("a store that went back unnoticed is found out by an agent that was told more", "[core][restore]")
{
    World before;
    before.orders();
    auto offered = before.offered();
    before.report(offered.agent, offered.id, {before.state(1, JobState::running)});
    const auto copy = backup(before);   // put back by hand: nothing marks it
    before.report(offered.agent, offered.id, {World::line(2, "more")});
    World world({}, copy);
    const auto answer = session(world, offered.agent, {offered.id}, {{offered.id, 2}});
    CHECK(answer.report_again);
    CHECK(answer.epoch > offered.id.epoch);
    const auto rows = world.core().reader()->audit({}, 1);
    REQUIRE(rows);
    CHECK(rows->items.at(0).action == "went_back");
    CHECK(say_again(world, offered.agent, offered.id, offer_of(offered.parking), {world.state(1, JobState::running), World::line(2, "more")}).acknowledged == 2);
    that_was_all(world, offered.agent);
    CHECK(world.report(offered.agent, offered.id, {world.state(3, JobState::successful)}).standing == Standing::final);
}

TEST_CASE("an older agent's job goes on behind what the restored store has lost of it", "[core][restore]")
{
    World before;
    before.orders();
    auto offered = before.offered();
    before.report(offered.agent, offered.id, {before.state(1, JobState::running)});
    const auto copy = backup(before);
    before.report(offered.agent, offered.id, {World::line(2, "lost")});
    const auto world = restored(before, copy);
    session(*world, offered.agent, {offered.id}, {}, false);
    CHECK(world->report(offered.agent, offered.id, {world->state(3, JobState::successful)}).standing == Standing::final);
    CHECK(world->job(offered.job.uid).state == JobState::successful);
}

TEST_CASE("what an agent says again opens nothing to it: no credentials, no other environment's job, trigger or deployment", "[core][restore]")
{
    World before;
    before.orders();
    const auto srv = before.agent("srv-1"), other = before.agent("other-1", "test");
    const auto theirs = before.run();   // of prod, and `other-1` is none of its agents
    const auto world = restored(before, backup(before));
    REQUIRE(session(*world, other, {}, {}).report_again);
    REQUIRE(session(*world, srv, {}, {}).report_again);
    const auto forged = [&](const std::string& job, const std::string& environment, const std::string& deployment, const std::string& trigger) {
        protocol::Offer offer;
        offer.id = {job, 1, 7};
        offer.package_name = offer.package_version = "1.0.0";
        offer.package_digest = "sha256:" + std::string(64, 'a');
        offer.workflow = "main";
        offer.environment = environment;
        offer.deployment = deployment;
        offer.trigger = trigger;
        offer.input = offer.variables = Json::object();
        offer.credentials = Json::object({{"x", "the-banks"}});
        const auto token = protocol::make_token("attempt");
        offer.attempt_token = token.text;
        return std::pair(offer, token.text);
    };
    const auto say = [&](const AgentRecord& agent, const protocol::Offer& offer) { return say_again(*world, agent, offer.id, protocol::to_json(offer), {world->state(1, JobState::running)}); };

    const std::string own = new_uid();
    const auto [mine, token] = forged(own, "prod", "gone", "gone");   // of a deployment that the store does not know: that may be so
    say(srv, mine);
    CHECK(world->job(own).state == JobState::running);
    const auto access = world->core().attempt_access(token);
    REQUIRE(access);
    CHECK(access->credentials == Json::object());

    say(other, forged(theirs.uid, "test", "gone", "gone").first);
    CHECK(world->job(theirs.uid).state == JobState::ready);
    for (const auto& [deployment, trigger] : std::vector<std::pair<std::string, std::string>>{{"order-status", "gone"}, {"gone", "orders"}}) {
        const std::string uid = new_uid();
        say(other, forged(uid, "test", deployment, trigger).first);
        CHECK_FALSE(world->core().reader()->job(uid));
    }
}

TEST_CASE("a job that another one's end had started in what was lost is not started a second time", "[core][restore][followers]")
{
    World before;
    before.orders();
    before.put("Trigger", "after", Json::object({{"deployment", "order-status"}, {"type", "event"}, {"event", Json::object({{"job", Json::object({{"trigger", "orders"}, {"on", Json::array({"success"})}})}})}}));
    const auto srv = before.agent("srv-1");
    before.run();
    const auto copy = backup(before);   // the first job is ready
    const auto run_one = [&](const Parking& parking) {
        const auto id = parking.value().offers.at(0).id;
        before.report(srv, id, {before.state(1, JobState::running), before.state(2, JobState::successful)});
        return std::pair(id, offer_of(parking));
    };
    const auto [first, first_offer] = run_one(before.park(srv));
    const auto [second, second_offer] = run_one(before.park(srv));
    REQUIRE(before.job(second.job).trigger == "after");

    const bool in_order = GENERATE(true, false);
    const auto after = restored(before, copy);
    session(*after, srv);
    const auto events = [&] { return std::vector<protocol::Event>{before.state(1, JobState::running), before.state(2, JobState::successful)}; };
    if (!in_order) say_again(*after, srv, second, second_offer, events());
    say_again(*after, srv, first, first_offer, events());
    if (in_order) say_again(*after, srv, second, second_offer, events());
    that_was_all(*after, srv);
    JobQuery query;
    query.trigger = "after";
    const auto jobs = after->core().reader()->jobs(query);
    REQUIRE(jobs->items.size() == 1);
    CHECK(jobs->items[0].uid == second.job);
    CHECK(jobs->items[0].state == JobState::successful);
    const auto parking = after->park(srv);
    CHECK_FALSE(parking.answered());
}

TEST_CASE("a job that a restored store hears of only from its agent holds its locks all the same", "[core][restore][locks]")
{
    World before;
    before.orders(Json::object({{"locks", Json::array({"erp"})}}));
    const auto srv = before.agent("srv-1"), other = before.agent("srv-2");
    const auto copy = backup(before);
    const auto held = before.run();   // not in the copy
    const auto parking = before.park(srv);
    const auto id = parking.value().offers.at(0).id;
    const Json offer = offer_of(parking);
    before.report(srv, id, {before.state(1, JobState::running)});

    const auto world = restored(before, copy);
    session(*world, srv, {id}, {{id, 1}});
    session(*world, other);
    say_again(*world, srv, id, offer, {before.state(1, JobState::running)});
    that_was_all(*world, srv);
    that_was_all(*world, other);
    const auto second = world->park(other);
    const auto waits = world->run();
    REQUIRE_FALSE(second.answered());
    CHECK_THAT(world->why(waits.uid).summary, Catch::Contains("waits for lock erp, held by job " + held.uid));
    world->report(srv, id, {before.state(2, JobState::successful, Reason::completed)});
    REQUIRE(second.answered());
    CHECK(second.value().offers.at(0).id.job == waits.uid);
}
