#include "tests/unit/factory_core/world.h"

using namespace mill;
using namespace mill::factory;
using namespace mill::factory::test;

using Words = std::vector<std::string>;

TEST_CASE("a job accepted while an agent is free is assigned in the same commit", "[core]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv, 2);
    CHECK_FALSE(parking.answered());

    const auto accepted = world.try_run(Json::object({{"order", "4711"}}));
    REQUIRE(accepted);
    CHECK(accepted->job.state == JobState::assigned);
    CHECK(accepted->waiting_for.empty());
    REQUIRE(parking.value().offers.size() == 1);
    const auto& offer = parking.value().offers[0];
    CHECK(offer.id.job == accepted->job.uid);
    CHECK(offer.id.attempt == 1);
    CHECK(offer.input["order"].as_string() == "4711");
    CHECK(offer.package_digest == "sha256:" + [] {
        std::string hex;
        for (const unsigned char c : platform::sha256("bytes of order-status1.2.0")) hex += fmt::format("{:02x}", c);
        return hex;
    }());
    CHECK(offer.workflow == "main");
    CHECK(world.line_of(accepted->job.uid) == Words{"ready", "assigned"});
}

TEST_CASE("a job runs through its states and keeps output, steps and log", "[core]")
{
    World world;
    world.orders();
    const auto [srv, parking, job, id] = world.offered(Json::object({{"order", "1"}}));

    world.clock().advance(seconds(1));
    CHECK(world.report(srv, id, {world.state(1, JobState::running), World::line(2, "first")}).acknowledged == 2);
    CHECK(world.job(job.uid).state == JobState::running);
    protocol::Event step{3, world.clock().now(), protocol::EventKind::step, Json::object({{"task", "/do/0/a"}, {"name", "a"}, {"type", "set"}, {"state", "completed"}})};
    const auto answer = world.report(srv, id, {step, World::line(4, "second"), world.state(5, JobState::successful, Reason::completed, Json::object({{"output", Json::object({{"reply", "fine"}})}}))});
    CHECK(answer.acknowledged == 5);
    CHECK(answer.standing == Standing::final);

    const auto done = world.job(job.uid);
    CHECK(done.state == JobState::successful);
    CHECK(done.reason == Reason::completed);
    CHECK(done.output["reply"].as_string() == "fine");
    CHECK(done.started.has_value());
    CHECK(done.ended.has_value());
    CHECK(world.line_of(job.uid) == Words{"ready", "assigned", "running", "successful"});

    auto log = world.core().reader()->events(job.uid, protocol::EventKind::log, "", 1);
    REQUIRE(log);
    REQUIRE(log->items.size() == 1);
    CHECK(log->items[0].event.body["text"].as_string() == "first");
    log = world.core().reader()->events(job.uid, protocol::EventKind::log, log->next, 10);
    REQUIRE(log);
    REQUIRE(log->items.size() == 1);
    CHECK(log->items[0].event.body["text"].as_string() == "second");
    const std::string end = log->next;
    log = world.core().reader()->events(job.uid, protocol::EventKind::log, end, 10);
    REQUIRE(log);
    CHECK(log->items.empty());
    CHECK(log->next == end);
    const auto steps = world.core().reader()->events(job.uid, protocol::EventKind::step, "", 10);
    REQUIRE(steps);
    REQUIRE(steps->items.size() == 1);
    CHECK(steps->items[0].event.body["name"].as_string() == "a");
}

TEST_CASE("events are taken once, in order, and a hole is answered with what is expected", "[core]")
{
    World world;
    world.orders();
    const auto [srv, parking, job, id] = world.offered();

    CHECK(world.report(srv, id, {World::line(2, "too early")}).acknowledged == 0);
    CHECK(world.report(srv, id, {world.state(1, JobState::running), World::line(2, "a"), World::line(4, "hole before")}).acknowledged == 2);
    CHECK(world.report(srv, id, {world.state(1, JobState::running), World::line(2, "a"), World::line(3, "b")}).acknowledged == 3);
    const auto log = world.core().reader()->events(job.uid, protocol::EventKind::log, "", 10);
    REQUIRE(log);
    REQUIRE(log->items.size() == 2);
    CHECK(log->items[0].event.body["text"].as_string() == "a");
    CHECK(log->items[1].event.body["text"].as_string() == "b");
    CHECK(world.line_of(job.uid) == Words{"ready", "assigned", "running"});
}

TEST_CASE("an event that cannot be taken becomes a tombstone and does not block the stream", "[core]")
{
    World world;
    world.orders();
    const auto [srv, parking, job, id] = world.offered();
    EventBatch batch{id, {}};
    batch.events.push_back({1, world.state(1, JobState::running)});
    batch.events.push_back({2, fail(Errc::invalid, "event: body is missing")});
    batch.events.push_back({3, world.state(3, JobState::expired, Reason::not_started)});
    batch.events.push_back({4, world.state(4, JobState::failed, Reason::error)});
    batch.events.push_back({5, world.state(5, JobState::successful, Reason::completed)});
    const auto answer = world.report_batch(srv, batch);
    CHECK(answer.acknowledged == 5);
    REQUIRE(answer.refused.size() == 3);
    CHECK(answer.refused[0].sequence == 2);
    CHECK(answer.refused[1].sequence == 3);
    CHECK(answer.refused[2].sequence == 5);
    CHECK(world.job(job.uid).state == JobState::failed);   // the first final cause
    const auto log = world.core().reader()->events(job.uid, protocol::EventKind::log, "", 10);
    REQUIRE(log);
    REQUIRE(log->items.size() == 3);
    CHECK(log->items[0].event.body["why"].as_string() == "event: body is missing");
}

TEST_CASE("the same idempotency key gives the same job, with another body a conflict", "[core]")
{
    World world;
    world.orders();
    RunRequest request;
    request.idempotency_key = "k1";
    request.body_sha256 = "aaa";
    const auto first = world.try_run(Json::object({{"n", 1}}), request);
    REQUIRE(first);
    const auto again = world.try_run(Json::object({{"n", 1}}), request);
    REQUIRE(again);
    CHECK(again->repeated);
    CHECK(again->job.uid == first->job.uid);
    request.body_sha256 = "bbb";
    const auto other = world.try_run(Json::object({{"n", 2}}), request);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == Errc::conflict);
    CHECK_THAT(other.error().what, Catch::Contains(first->job.uid));

    world.restart();
    request.body_sha256 = "aaa";
    const auto later = world.try_run(Json::object({{"n", 1}}), request);
    REQUIRE(later);
    CHECK(later->job.uid == first->job.uid);
    world.pass(std::chrono::hours(25));
    const auto next_day = world.try_run(Json::object({{"n", 1}}), request);
    REQUIRE(next_day);
    CHECK(next_day->job.uid != first->job.uid);
}

TEST_CASE("an unknown trigger, a paused one and one without package are refused, each by name", "[core]")
{
    World world;
    auto refused = world.try_run();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::not_found);
    world.put("Trigger", "orders", Json::object({{"deployment", "nothing"}}));
    refused = world.try_run();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::conflict);
    CHECK_THAT(refused.error().what, Catch::Contains("'nothing'"));
    world.orders(Json::object({{"paused", true}}));
    refused = world.try_run();
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().what, Catch::Contains("paused"));
}

TEST_CASE("jobs start by priority, then by age", "[core]")
{
    World world;
    world.orders(Json::object({{"priority", 10}}));
    RunRequest urgent;
    urgent.priority = 90;
    const auto first = world.run(), second = world.run(), third = world.run({}, urgent);
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv, 2);
    REQUIRE(parking.value().offers.size() == 2);
    Words got{parking.value().offers[0].id.job, parking.value().offers[1].id.job};
    CHECK(std::find(got.begin(), got.end(), third.uid) != got.end());
    CHECK(std::find(got.begin(), got.end(), first.uid) != got.end());
    CHECK(world.job(second.uid).state == JobState::ready);
}

TEST_CASE("a trigger's concurrency holds jobs back until one ends", "[core]")
{
    World world;
    world.orders(Json::object({{"concurrency", 1}}));
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv, 5);
    const auto first = world.run();
    const auto next_poll = world.park(srv, 4);
    const auto second = world.run();
    CHECK(world.job(second.uid).state == JobState::ready);
    CHECK(world.codes(second.uid).front() == "trigger_concurrency");
    world.report(srv, parking.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, JobState::successful)});
    CHECK(world.job(second.uid).state == JobState::assigned);
    REQUIRE(next_poll.value().offers.size() == 1);
    CHECK(next_poll.value().offers[0].id.job == second.uid);
    CHECK(world.job(first.uid).state == JobState::successful);
}

TEST_CASE("a ready job is cancelled at once, a running one when its agent says so, an ended one not at all", "[core]")
{
    World world;
    world.orders();
    const auto cancel = [&](const std::string& uid) { return await<JobRecord>([&](auto done) { world.core().cancel(uid, "not needed", {"anna", ""}, done); }); };
    const auto waiting = world.run();
    auto done = cancel(waiting.uid);
    REQUIRE(done);
    CHECK(done->state == JobState::cancelled);
    CHECK(done->reason == Reason::cancelled_by);
    CHECK(done->evidence["by"].as_string() == "anna");

    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto id = parking.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running)});
    const auto next = world.park(srv, 0);
    done = cancel(job.uid);
    world.core().flush();
    REQUIRE(done);
    CHECK(done->state == JobState::running);
    REQUIRE(done->cancel);
    CHECK(done->cancel->by == "anna");
    REQUIRE(next.value().cancels.size() == 1);
    CHECK(next.value().cancels[0].id == id);
    const auto third = world.park(srv, 0);
    CHECK_FALSE(third.answered());   // said once by polls …
    const auto renewed = await<std::vector<HeldAnswer>>([&](auto d) { world.core().renew(srv.id, {id}, d); });
    REQUIRE(renewed);
    REQUIRE(renewed->at(0).cancel);  // … and by each renewal
    CHECK(renewed->at(0).cancel->why == "not needed");
    CHECK_THAT(world.why(job.uid).summary, Catch::Contains("anna asked to cancel it"));
    world.report(srv, id, {world.state(2, JobState::cancelled, Reason::cancelled_by)});
    CHECK(world.job(job.uid).state == JobState::cancelled);
    done = cancel(job.uid);
    REQUIRE_FALSE(done);
    CHECK(done.error().code == Errc::conflict);
    CHECK_THAT(done.error().what, Catch::Contains("cancelled"));
}

TEST_CASE("an offer that was assigned and not yet sent is cancelled without asking the agent", "[core]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    // All three in one batch: the poll is gone before the offer could travel.
    std::optional<Result<Accepted>> accepted;
    world.core().accept_run({.trigger = "orders", .input = {}, .context = {}, .priority = {}, .expiration = {}, .idempotency_key = {}, .body_sha256 = {}}, world.who,
                            [&](Result<Accepted> result) { accepted = std::move(result); });
    world.core().unpark(srv.id, parking.ticket);
    world.core().flush();
    REQUIRE(accepted);
    REQUIRE(*accepted);
    const std::string uid = (*accepted)->job.uid;
    if (world.job(uid).state == JobState::assigned && !(parking.answered() && parking.answer->value())) {
        world.pass(seconds(2));   // offline: what was never sent goes back
        CHECK(world.job(uid).state == JobState::ready);
    }
}

TEST_CASE("retry makes a new job linked to the old one", "[core]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    RunRequest request;
    request.context = Json::object({{"conversationId", "c1"}});
    const auto job = world.run(Json::object({{"order", "9"}}), request);
    auto early = await<Accepted>([&](auto done) { world.core().retry(job.uid, false, world.who, done); });
    REQUIRE_FALSE(early);
    CHECK(early.error().code == Errc::conflict);
    world.report(srv, parking.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, JobState::failed, Reason::error)});
    const auto again = await<Accepted>([&](auto done) { world.core().retry(job.uid, false, world.who, done); });
    REQUIRE(again);
    CHECK(again->job.retry_of == job.uid);
    const auto fresh = world.job(again->job.uid);
    CHECK(fresh.input["order"].as_string() == "9");
    CHECK(fresh.context["conversationId"].as_string() == "c1");
    CHECK(world.job(job.uid).retried_by == fresh.uid);
}

TEST_CASE("a ready job expires to the second and says what it waited for", "[core]")
{
    World world;
    world.orders(Json::object({{"expiration", "60s"}}));
    const auto job = world.run();
    world.pass(seconds(59));
    CHECK(world.job(job.uid).state == JobState::ready);
    world.pass(seconds(1));
    const auto ended = world.job(job.uid);
    CHECK(ended.state == JobState::expired);
    CHECK(ended.reason == Reason::not_started);
    CHECK_THAT(ended.evidence["waitedFor"].as_string(), Catch::Contains("prod"));
}

TEST_CASE("whoever waits for the end of a job is called at the end, or when the time is over", "[core]")
{
    World world;
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    std::optional<Result<JobRecord>> first, second;
    world.core().when_final(job.uid, seconds(30), [&](Result<JobRecord> r) { first = std::move(r); });
    world.core().when_final(job.uid, seconds(5), [&](Result<JobRecord> r) { second = std::move(r); });
    world.pass(seconds(6));
    world.core().flush();
    REQUIRE(second);
    REQUIRE(*second);
    CHECK((*second)->state == JobState::assigned);
    CHECK_FALSE(first);
    world.report(srv, parking.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, JobState::successful, {}, Json::object({{"output", 42}}))});
    REQUIRE(first);
    REQUIRE(*first);
    CHECK((*first)->output.as_integer() == 42);
}

TEST_CASE("a trigger pauses itself after so many failures in a row, and says why", "[core]")
{
    World world;
    world.orders(Json::object({{"stopAfterFailures", 2}}));
    const auto srv = world.agent("srv-1");
    const auto end = [&](JobState state) {
        const auto parking = world.park(srv);
        const auto job = world.run();
        world.clock().advance(seconds(1));
        world.report(srv, parking.value().offers.at(0).id, {world.state(1, JobState::running), world.state(2, state)});
        return job.uid;
    };
    end(JobState::failed);
    end(JobState::successful);
    end(JobState::failed);
    REQUIRE(world.core().reader()->document("Trigger", "orders")->spec["paused"].is_null());
    const auto last = end(JobState::failed);
    const auto paused = world.core().reader()->document("Trigger", "orders");
    CHECK(paused->spec["paused"].as_bool());
    CHECK_THAT(paused->spec["pausedWhy"].as_string(), Catch::Contains(last));
    const auto refused = world.try_run();
    REQUIRE_FALSE(refused);
    CHECK_THAT(refused.error().what, Catch::Contains("its last 2 jobs failed"));
    world.clock().advance(seconds(1));
    Json spec = paused->spec;
    spec.erase("paused");
    spec.erase("pausedWhy");
    world.put("Trigger", "orders", spec);
    end(JobState::failed);   // counted anew
    CHECK(world.core().reader()->document("Trigger", "orders")->spec["paused"].is_null());
}

TEST_CASE("a retry stays in the environment of its job, and the version of then does not pass by what is demanded since", "[core]")
{
    World world;
    world.orders();
    const auto job = world.run();
    REQUIRE(await<JobRecord>([&](auto done) { world.core().cancel(job.uid, "", world.who, done); }));
    const auto retry = [&](bool same_version) { return await<Accepted>([&](auto done) { world.core().retry(job.uid, same_version, world.who, done); }); };
    SECTION("elsewhere")
    {
        world.put("Deployment", "order-status", Json::object({{"package", "order-status@1.2.0"}, {"environment", "test"}, {"permissions", "as-requested"}}));
        const auto refused = retry(false);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == Errc::conflict);
        CHECK_THAT(refused.error().what, Catch::Contains("runs in environment 'test' now"));
    }
    SECTION("an approval")
    {
        world.put("Trigger", "orders", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"approval", Json::object({{"by", Json::array({"role:operator"})}, {"within", "1h"}})}}));
        const auto refused = retry(true);
        REQUIRE_FALSE(refused);
        CHECK_THAT(refused.error().what, Catch::Contains("another approval") && Catch::Contains("without sameVersion"));
        const auto asked = retry(false);
        REQUIRE(asked);
        CHECK_THAT(asked->waiting_for, Catch::Contains("waits for the approval"));
    }
    SECTION("a pause")
    {
        world.put("Trigger", "orders", Json::object({{"deployment", "order-status"}, {"type", "api"}, {"paused", true}}));
        CHECK_FALSE(retry(true));
    }
    SECTION("nothing of that") { CHECK(retry(true)); }
}

TEST_CASE("steps and logs beyond the quota are counted, the end is not among them", "[core]")
{
    CoreOptions options;
    options.record_quota = 2'000;
    World world(options);
    world.orders();
    const auto srv = world.agent("srv-1");
    const auto parking = world.park(srv);
    const auto job = world.run();
    const auto id = parking.value().offers.at(0).id;
    world.report(srv, id, {world.state(1, JobState::running), World::line(2, std::string(3'000, 'x'))});
    world.report(srv, id, {World::line(3, "too much"), World::line(4, "too much")});
    CHECK(world.report(srv, id, {World::line(5, "too much"), world.state(6, JobState::successful, {}, Json::object({{"output", "all"}}))}).acknowledged == 6);
    const auto log = world.core().reader()->events(job.uid, protocol::EventKind::log, "", 100);
    REQUIRE(log);
    REQUIRE(log->items.size() == 2);
    CHECK(log->items[1].event.kind == protocol::EventKind::gap);
    CHECK(log->items[1].event.body["lost"].as_integer() == 3);
    CHECK(world.job(job.uid).output.as_string() == "all");
}
