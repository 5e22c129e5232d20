#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

CoreOptions rendering()
{
    CoreOptions options;
    options.renderer = [](const Notification& n) -> Result<Rendered> {
        if (n.notifier["broken"].as_bool()) return fail(Errc::invalid, "the template names .output.nothing, which has no value");
        return Rendered{.wanted = !n.notifier["never"].as_bool(),
                        .request = Json::object({{"delivery", n.delivery}, {"event", n.event}, {"state", n.job["job"]["state"]}, {"output", n.job["output"]},
                                                 {"conversation", n.job["invocationContext"]["conversationId"]}})};
    };
    return options;
}

std::vector<DeliveryRecord> claim(World& world, std::size_t limit = 10)
{
    auto out = await<std::vector<DeliveryRecord>>([&](auto done) { world.core().claim_deliveries(limit, done); });
    REQUIRE(out);
    return *out;
}

DeliveryRecord finish(World& world, const std::string& id, DeliveryOutcome::Verdict verdict, int status)
{
    DeliveryOutcome outcome;
    outcome.id = id;
    outcome.verdict = verdict;
    outcome.attempt.status = status;
    outcome.attempt.response = std::string(10'000, 'r');
    outcome.attempt.error = verdict == DeliveryOutcome::Verdict::delivered ? "" : "receiver answered 500";
    auto out = await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); });
    REQUIRE(out);
    return *out;
}

using Verdict = DeliveryOutcome::Verdict;

}  // namespace

TEST_CASE("what a schema says is for no eyes is told to nobody, and the job has it", "[core][deliveries][questions]")
{
    CoreOptions options;
    options.renderer = [](const Notification& n) -> Result<Rendered> { return Rendered{.wanted = true, .request = n.job["input"]}; };
    World world(options);
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "success"}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const Json input = Json::object({{"user", "anna"}, {"pin", "s3cret"}});
    const JobRecord job = world.run(input);
    const auto record = world.core().reader()->job(job.uid);
    REQUIRE(record);
    const Json secret = Json::object({{"type", "string"}, {"format", "password"}});
    REQUIRE(await<Nothing>([&](auto done) {
        world.core().put_package_inputs(record->package_digest, Json::object({{record->workflow, Json::object({{"properties", Json::object({{"pin", secret}})}})}}), done);
    }));
    const auto offer = parking.value().offers.at(0);
    CHECK(offer.input["pin"].as_string() == "s3cret");
    world.report(srv, offer.id, {world.state(1, JobState::running), world.state(2, JobState::successful)});
    const auto told = claim(world);
    REQUIRE(told.size() == 1);
    CHECK(told[0].request == Json::object({{"user", "anna"}, {"pin", "…"}}));
}

TEST_CASE("a job's end and its deliveries are one commit, rendered once", "[core][deliveries]")
{
    World world(rendering());
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", Json::array({"success", "failure"})}}));
    world.put("Notifier", "none", Json::object({{"trigger", "orders"}, {"on", Json::array({"success"})}, {"never", true}}));
    world.put("Notifier", "bad", Json::object({{"trigger", "orders"}, {"on", "all"}, {"broken", true}}));
    world.put("Notifier", "other", Json::object({{"trigger", "another"}, {"on", "all"}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    RunRequest request;
    request.context = Json::object({{"conversationId", "c 1"}});
    const auto job = world.run(Json::object(), request);
    std::uint64_t due = 0;
    const auto subscription = world.core().wakeups().subscribe(Wakeups::Topic::deliveries, [&](std::uint64_t) { ++due; });
    world.report(srv, parking.value().offers.at(0).id,
                 {world.state(1, JobState::running), world.state(2, JobState::successful, {}, Json::object({{"output", Json::object({{"reply", "hello"}})}}))});
    CHECK(due == 1);
    const auto all = world.core().reader()->deliveries({.job = job.uid, .notifier = {}, .state = {}, .cursor = {}, .limit = 50});
    REQUIRE(all);
    REQUIRE(all->items.size() == 3);   // bad: start and success, dead at once; chat: success
    const auto claimed = claim(world);
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].notifier == "chat");
    CHECK(claimed[0].event == "success");
    CHECK(claimed[0].request["state"].as_string() == "successful");
    CHECK(claimed[0].request["output"]["reply"].as_string() == "hello");
    CHECK(claimed[0].request["conversation"].as_string() == "c 1");
    CHECK(claimed[0].request["delivery"].as_string() == claimed[0].id);
    CHECK(claim(world).empty());   // claimed
    const auto dead = world.core().reader()->deliveries({.job = {}, .notifier = "bad", .state = DeliveryState::dead, .cursor = {}, .limit = 50});
    REQUIRE(dead);
    REQUIRE(dead->items.size() == 2);
    CHECK_THAT(dead->items[0].error, Catch::Contains(".output.nothing"));
}

TEST_CASE("a delivery is tried again with growing pauses, each attempt kept, then it is dead and can be resent", "[core][deliveries]")
{
    World world(rendering());
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "cancel"}}));
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    const auto id = claim(world).at(0).id;
    auto state = finish(world, id, Verdict::retry, 500);
    CHECK(state.state == DeliveryState::pending);
    REQUIRE(state.next_try);
    CHECK(*state.next_try > world.clock().now());
    CHECK(claim(world).empty());
    world.clock().advance(seconds(2));
    REQUIRE(claim(world).size() == 1);
    state = finish(world, id, Verdict::give_up, 404);
    CHECK(state.state == DeliveryState::dead);
    const auto kept = world.core().reader()->delivery(id);
    REQUIRE(kept);
    REQUIRE(kept->history.size() == 2);
    CHECK(kept->history[0].status == 500);
    CHECK(kept->history[0].response.size() == 4096);
    CHECK(kept->history[1].status == 404);
    CHECK(kept->history[1].number == 2);

    REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().resend(id, world.who, done); }));
    REQUIRE(claim(world).size() == 1);
    CHECK(finish(world, id, Verdict::delivered, 200).state == DeliveryState::delivered);
    world.clock().advance(std::chrono::hours(48));
    CHECK(claim(world).empty());
}

TEST_CASE("the pauses between tries double from a second to ten minutes, and a receiver may ask for longer ones", "[core][deliveries]")
{
    CoreOptions options = rendering();
    options.hold_after = 1'000;
    World world(options);
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "cancel"}}));
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    const auto fails = [&](std::optional<Milliseconds> asked) {
        const auto due = claim(world);
        REQUIRE(due.size() == 1);
        DeliveryOutcome outcome;
        outcome.id = due.at(0).id;
        outcome.verdict = Verdict::retry;
        outcome.attempt.status = 503;
        outcome.attempt.error = "receiver answered 503";
        outcome.retry_after = asked;
        const auto state = await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); });
        REQUIRE(state);
        const Microseconds pause = *state->next_try - world.clock().now();
        world.clock().advance(pause);
        return pause;
    };
    for (int tries = 1; tries <= 14; ++tries) {
        CAPTURE(tries);
        const Microseconds base = std::min<Microseconds>(minutes(10), seconds(1) * (1 << (tries - 1)));
        const Microseconds pause = fails({});
        CHECK(pause >= base * 4 / 5);
        CHECK(pause <= base * 6 / 5);
    }
    CHECK(fails(std::chrono::hours(1)) == std::chrono::hours(1));   // longer than its own: that counts
    CHECK(fails(Milliseconds(1)) >= minutes(8));                   // shorter: its own does
}

TEST_CASE("after its life a delivery that fails is dead", "[core][deliveries]")
{
    World world(rendering());
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "cancel"}}));
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    const auto id = claim(world).at(0).id;
    world.clock().advance(std::chrono::hours(24));
    CHECK(finish(world, id, Verdict::retry, 503).state == DeliveryState::dead);
}

TEST_CASE("deliveries of a job and notifier keep their order; a final one overtakes after a minute", "[core][deliveries]")
{
    World world(rendering());
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "all"}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto id = parking.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    const auto start = claim(world).at(0);
    CHECK(start.event == "start");
    world.report(srv, id, {world.state(2, JobState::successful)});
    CHECK(claim(world).empty());
    finish(world, start.id, Verdict::retry, 500);
    CHECK(claim(world).empty());   // the first is not due, the second waits for it
    world.clock().advance(seconds(59));
    const auto again = claim(world);
    REQUIRE(again.size() == 1);
    CHECK(again[0].id == start.id);
    world.clock().advance(seconds(1));
    const auto final = claim(world);
    REQUIRE(final.size() == 1);
    CHECK(final[0].event == "success");
    CHECK(final[0].overtook);
}

TEST_CASE("what was claimed when the factory died is due again", "[core][deliveries]")
{
    World world(rendering());
    world.orders();
    world.put("Notifier", "chat", Json::object({{"trigger", "orders"}, {"on", "cancel"}}));
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    REQUIRE(claim(world).size() == 1);
    world.restart();
    CHECK(claim(world).size() == 1);
}

TEST_CASE("a test delivery stands behind no job", "[core][deliveries]")
{
    World world(rendering());
    const auto made = await<DeliveryRecord>([&](auto done) { world.core().add_test_delivery("chat", Json::object({{"url", "http://x"}}), world.who, done); });
    REQUIRE(made);
    CHECK(made->job.empty());
    const auto claimed = claim(world);
    REQUIRE(claimed.size() == 1);
    CHECK(claimed[0].event == "test");
    CHECK(claimed[0].request["url"].as_string() == "http://x");
}
