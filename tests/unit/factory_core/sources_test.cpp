// What notifiers hear of besides how jobs go, told once; and a notifier whose receiver does not work.
#include "factory/core/sources.h"
#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

namespace {

CoreOptions telling()
{
    CoreOptions options;
    options.renderer = [](const Notification& n) -> Result<Rendered> {
        if (n.notifier["broken"].as_bool()) return fail(Errc::invalid, "it has no value");
        return Rendered{.wanted = true, .request = Json::object({{"event", n.event}, {"document", n.job}})};
    };
    return options;
}

Json on(std::string_view event, std::string_view member, std::string_view span)
{
    return Json::array({Json::object({{std::string(event), Json::object({{std::string(member), Json(span)}})}})});
}

std::vector<DeliveryRecord> told(World& world, const std::string& notifier)
{
    world.core().flush();
    const auto found = world.core().reader()->deliveries({.job = {}, .notifier = notifier, .state = {}, .cursor = {}, .limit = 100});
    REQUIRE(found);
    return found->items;
}

std::vector<DeliveryRecord> claimed(World& world)
{
    auto out = await<std::vector<DeliveryRecord>>([&](auto done) { world.core().claim_deliveries(50, done); });
    REQUIRE(out);
    return *out;
}

DeliveryRecord came_of(World& world, const std::string& id, DeliveryOutcome::Verdict verdict)
{
    DeliveryOutcome outcome;
    outcome.id = id;
    outcome.verdict = verdict;
    outcome.attempt.status = verdict == DeliveryOutcome::Verdict::delivered ? 200 : 500;
    outcome.attempt.error = verdict == DeliveryOutcome::Verdict::delivered ? "" : "receiver answered 500";
    outcome.retry_after = Milliseconds(1);
    auto out = await<DeliveryRecord>([&](auto done) { world.core().delivery_done(outcome, done); });
    REQUIRE(out);
    return *out;
}

void close_poll(World& world, const AgentRecord& agent, const Parking& parking)
{
    world.core().unpark(agent.id, parking.ticket);
    world.pass(seconds(11));   // the gap that is given for the next poll
}

using Verdict = DeliveryOutcome::Verdict;

}  // namespace

TEST_CASE("a job that waits is told of once, with what it waits for", "[core][sources]")
{
    World world(telling());
    world.orders();
    world.put("Notifier", "late", Json::object({{"trigger", "orders"}, {"on", on("waiting", "for", "5m")}}));
    world.put("Notifier", "house", Json::object({{"environment", "prod"}, {"on", on("waiting", "for", "1h")}}));
    const auto job = world.run();
    world.pass(minutes(4));
    CHECK(told(world, "late").empty());
    world.pass(minutes(1));
    REQUIRE(told(world, "late").size() == 1);
    const DeliveryRecord first = told(world, "late").front();
    CHECK(first.event == "waiting");
    CHECK(first.job == job.uid);
    CHECK_THAT(first.request["document"]["why"]["text"].as_string(), Catch::Contains("waits for an agent of environment 'prod'") && Catch::Contains("millwright agents invite"));
    CHECK(first.request["document"]["why"]["waited"].as_string() == "5m");
    CHECK(first.request["document"]["job"]["state"].as_string() == "ready");
    world.pass(minutes(10));
    CHECK(told(world, "late").size() == 1);

    SECTION("a restart tells nothing twice, and forgets nothing that is still to come")
    {
        world.restart();
        world.pass(minutes(10));
        world.pass(minutes(10));
        CHECK(told(world, "late").size() == 1);
        CHECK(told(world, "house").empty());
        world.pass(minutes(30));
        CHECK(told(world, "house").size() == 1);
        world.restart();
        world.pass(minutes(30));
        CHECK(told(world, "house").size() == 1);
    }
    SECTION("one that was cancelled meanwhile does not wait any more")
    {
        REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
        world.pass(minutes(90));
        CHECK(told(world, "house").empty());
    }
    SECTION("a job that came back waits anew")
    {
        const auto srv = world.agent("srv-1");
        const auto parking = world.park(srv);
        REQUIRE(parking.answered());
        const auto id = parking.value().offers.at(0).id;
        (void)world.park(srv, 0, {{id, false, "it went away"}});
        world.pass(minutes(6));
        CHECK(told(world, "late").size() == 2);
        world.restart();
        world.pass(minutes(6));
        CHECK(told(world, "late").size() == 2);
    }
}

TEST_CASE("a job that starts in time is not told of", "[core][sources]")
{
    World world(telling());
    world.orders();
    world.put("Notifier", "late", Json::object({{"deployment", "order-status"}, {"on", on("waiting", "for", "5m")}}));
    (void)world.run();
    world.pass(minutes(2));
    const auto srv = world.agent("srv-1");
    REQUIRE(world.park(srv).answered());
    world.pass(minutes(10));
    CHECK(told(world, "late").empty());
}

TEST_CASE("an agent that is away for long is told of once in each outage, and that it is back", "[core][sources]")
{
    World world(telling());
    Json events = on("offline", "for", "5m");
    events.push("online");
    world.put("Notifier", "machines", Json::object({{"agents", Json::array({"srv-*"})}, {"on", events}}));
    const auto srv = world.agent("srv-1");
    close_poll(world, srv, world.park(srv));
    world.pass(minutes(2));
    close_poll(world, srv, world.park(srv));   // it flaps
    world.pass(minutes(4));
    CHECK(told(world, "machines").empty());
    world.pass(minutes(2));
    REQUIRE(told(world, "machines").size() == 1);
    CHECK(told(world, "machines")[0].event == "offline");
    CHECK(told(world, "machines")[0].subject == "agent/srv-1");
    CHECK(told(world, "machines")[0].request["document"]["agent"]["name"].as_string() == "srv-1");
    world.pass(minutes(10));
    world.restart();
    world.pass(minutes(10));
    CHECK(told(world, "machines").size() == 1);
    const auto back = world.park(srv);
    REQUIRE(told(world, "machines").size() == 2);
    CHECK(told(world, "machines")[0].event == "online");
    close_poll(world, srv, back);
    world.pass(minutes(6));
    CHECK(told(world, "machines").size() == 3);   // another outage
}

TEST_CASE("an agent that was there when the factory went has a moment to come back", "[core][sources]")
{
    World world(telling());
    world.put("Notifier", "machines", Json::object({{"agents", Json::array({"*"})}, {"on", on("offline", "for", "5m")}}));
    const auto srv = world.agent("srv-1");
    (void)world.park(srv);
    world.pass(seconds(20));
    world.clock().advance(minutes(60));   // nobody was here
    world.restart();
    world.pass(seconds(30));
    CHECK(told(world, "machines").empty());
    (void)world.park(srv);
    world.pass(seconds(29));
    (void)world.park(srv);
    world.pass(minutes(1));
    CHECK(told(world, "machines").empty());
}

TEST_CASE("a dead letter is told of, but not that of who tells of dead letters", "[core][sources]")
{
    World world(telling());
    world.orders();
    world.put("Notifier", "broken", Json::object({{"trigger", "orders"}, {"on", "all"}, {"broken", true}}));
    world.put("Notifier", "post", Json::object({{"deliveries", Json::array({"*"})}, {"on", Json::array({"dead"})}}));
    world.put("Notifier", "second", Json::object({{"deliveries", Json::array({"*"})}, {"on", Json::array({"dead"})}, {"broken", true}}));
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    REQUIRE(told(world, "post").size() == 1);
    const Json document = told(world, "post")[0].request["document"];
    CHECK(document["delivery"]["notifier"].as_string() == "broken");
    CHECK(document["delivery"]["error"].as_string() == "it has no value");
    CHECK(document["job"]["uid"].as_string() == job.uid);
    CHECK(told(world, "second").size() == 1);   // dead itself, and nobody is told of that
    const auto due = claimed(world);
    REQUIRE(due.size() == 1);
    CHECK(came_of(world, due[0].id, Verdict::give_up).state == DeliveryState::dead);
    CHECK(told(world, "post").size() == 1);
    CHECK(claimed(world).empty());
}

TEST_CASE("a credential's end is told of before it comes", "[core][sources]")
{
    World world(telling());
    world.put("Notifier", "keys", Json::object({{"credentials", Json::array({"*"})}, {"on", on("expiring", "before", "1d")}}));
    const auto put = [&](Microseconds left) {
        const Json about = Json::object({{"kind", "bearer"}, {"environment", ""}, {"expires", format_time(world.clock().now() + left)}});
        REQUIRE(await<CredentialRecord>([&](auto done) { world.core().put_credential("erp", about, "sealed", world.who, done); }));
    };
    put(std::chrono::hours(48));
    world.pass(std::chrono::hours(23));
    CHECK(told(world, "keys").empty());
    world.pass(std::chrono::hours(2));
    REQUIRE(told(world, "keys").size() == 1);
    CHECK(told(world, "keys")[0].request["document"]["credential"]["name"].as_string() == "erp");
    world.restart();
    world.pass(minutes(5));
    CHECK(told(world, "keys").size() == 1);
    put(std::chrono::hours(72));   // renewed
    world.pass(std::chrono::hours(24));
    CHECK(told(world, "keys").size() == 1);
    world.pass(std::chrono::hours(25));
    CHECK(told(world, "keys").size() == 2);
}

TEST_CASE("a notifier that fails again and again is held, others are not, and one success ends it", "[core][deliveries]")
{
    CoreOptions options = telling();
    options.hold_after = 3;
    World world(options);
    const auto add = [&](const std::string& notifier) {
        const auto made = await<DeliveryRecord>([&](auto done) { world.core().add_test_delivery(notifier, Json::object({{"x", 1}}), world.who, done); });
        REQUIRE(made);
        return made->id;
    };
    world.put("Notifier", "watch", Json::object({{"deliveries", Json::array({"*"})}, {"on", Json::array({"held"})}}));
    for (int i = 0; i < 5; ++i) add("down");
    const auto all = claimed(world);
    REQUIRE(all.size() == 5);
    for (std::size_t i = 0; i < 2; ++i) (void)came_of(world, all[i].id, Verdict::retry);
    if (const auto so_far = world.core().reader()->notifier_state("down"); so_far) CHECK_FALSE(so_far->held_since);
    for (std::size_t i = 2; i < 5; ++i) (void)came_of(world, all[i].id, Verdict::retry);
    world.pass(seconds(1));
    const auto state = world.core().reader()->notifier_state("down");
    REQUIRE(state);
    REQUIRE(state->held_since);
    CHECK(state->pending == 5);
    CHECK(state->why == "receiver answered 500");
    REQUIRE(told(world, "watch").size() == 1);
    CHECK(told(world, "watch")[0].event == "held");
    const std::string other = add("up"), later = add("down");
    auto due = claimed(world);
    REQUIRE(due.size() == 2);   // what says that it is held, and another notifier's
    for (const auto& each : due) CHECK(each.notifier != "down");
    const auto held = world.core().reader()->delivery(later);
    REQUIRE(held->hold);
    CHECK(held->hold->next_probe.has_value());

    SECTION("one is tried now and then, with growing pauses, and not the same one each time")
    {
        world.pass(seconds(15));
        due = claimed(world);
        REQUIRE(due.size() == 1);
        const std::string first = due[0].id;
        CHECK(claimed(world).empty());
        (void)came_of(world, first, Verdict::retry);
        world.pass(seconds(15));   // longer than the first pause
        CHECK(claimed(world).empty());
        world.restart();   // held it stays
        world.pass(seconds(6));
        due = claimed(world);
        for (auto it = due.begin(); it != due.end();) it = it->notifier == "down" ? std::next(it) : due.erase(it);
        REQUIRE(due.size() == 1);
        CHECK(due[0].id != first);
        (void)came_of(world, due[0].id, Verdict::delivered);
        CHECK_FALSE(world.core().reader()->notifier_state("down")->held_since);
        std::size_t rest = 0;
        for (const auto& each : claimed(world)) rest += each.notifier == "down";
        CHECK(rest == 5);
    }
    SECTION("a change of the notifier tries it at once")
    {
        world.put("Notifier", "down", Json::object({{"trigger", "orders"}, {"on", "all"}}));
        CHECK(claimed(world).size() == 1);
    }
    SECTION("who sends one again does not wait")
    {
        REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().resend(later, world.who, done); }));
        due = claimed(world);
        REQUIRE(due.size() == 1);
        CHECK(due[0].id == later);
    }
    SECTION("resumed, all go out")
    {
        REQUIRE(await<NotifierState>([&](auto done) { world.core().resume_notifier("down", world.who, done); }));
        CHECK(claimed(world).size() == 6);
        CHECK_FALSE(await<NotifierState>([&](auto done) { world.core().resume_notifier("down", world.who, done); }));
    }
}

TEST_CASE("dead letters are sent again by what they have in common", "[core][deliveries]")
{
    World world(telling());
    for (const char* notifier : {"a", "a", "b"}) {
        REQUIRE(await<DeliveryRecord>([&](auto done) { world.core().add_test_delivery(notifier, Json::object({{"x", 1}}), world.who, done); }));
        (void)came_of(world, claimed(world).at(0).id, Verdict::give_up);
        world.clock().advance(minutes(1));
    }
    DeliveryQuery query;
    query.notifier = "a";
    query.state = DeliveryState::dead;
    query.since = world.clock().now() - minutes(2) - seconds(30);
    const auto again = [&](bool only_look) {
        auto out = await<Resent>([&](auto done) { world.core().resend_all(query, only_look, world.who, done); });
        REQUIRE(out);
        return *out;
    };
    CHECK(again(true).items.size() == 1);
    CHECK(claimed(world).empty());
    CHECK(again(false).items.size() == 1);
    CHECK(again(false).items.empty());   // they are not dead any more
    CHECK(claimed(world).size() == 1);
}

TEST_CASE("a job that names no trigger or deployment is no source of notifiers that name none either", "[core][notify]")
{
    Binding nameless;   // as an agent could say one again that it made up
    nameless.environment = "test";
    const auto of = [](const char* member, const char* name) { return Json::object({{member, name}, {"on", "all"}}); };
    CHECK_FALSE(core::is_source(of("trigger", "orders"), nameless));
    CHECK_FALSE(core::is_source(of("environment", "prod"), nameless));
    CHECK_FALSE(core::is_source(Json::object({{"agents", "*"}, {"on", "all"}}), nameless));
    CHECK(core::is_source(of("environment", "test"), nameless));
}
