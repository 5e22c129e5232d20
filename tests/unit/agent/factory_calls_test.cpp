// What the agent says to a factory, against a real loopback server: enrolment, tokens, session, offers, events, leases, packages.
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "agent/enrol.h"
#include "agent/lease.h"
#include "agent/link.h"
#include "agent/packages.h"
#include "agent/uplink.h"
#include "tests/unit/agent/fake_factory.h"

using namespace mill;
using namespace std::chrono_literals;
using agent::Config;
using agent::Desk;
using agent::FactoryClient;
using agent::Journal;
using agent::Tokens;
using protocol::AttemptId;
using protocol::JobState;
using protocol::Reason;
using mill::test::FakeFactory;
using mill::test::TemporaryFolder;

namespace {

const AttemptId kJob{"0192-job", 1, 1};

Json offer_json(const AttemptId& id = kJob)
{
    protocol::Offer offer;
    offer.id = id;
    offer.package_name = "order-status";
    offer.package_version = "1.0.0";
    offer.package_digest = "sha256:" + std::string(64, 'a');
    offer.workflow = "main";
    offer.deployment = offer.trigger = "d";
    offer.environment = "default";
    offer.input = Json::object();
    offer.variables = Json::object();
    offer.credentials = Json::object();
    offer.attempt_token = "mw_attempt_1";
    return to_json(offer);
}

Json offers(Json::Array items) { return Json::object({{"offers", Json(std::move(items))}}); }

/// A link with what is around it; the test plays the runs.
struct World {
    TemporaryFolder folder;
    FakeFactory factory;
    Config config;
    agent::Identity identity = factory.enrolled(folder.path);
    agent::Policy policy;
    Tokens tokens{identity, config, system_clock()};
    FactoryClient client{identity, config, tokens}, other{identity, config, tokens};
    std::unique_ptr<Journal> journal;
    Desk desk{2, system_clock()};
    Mailbox<agent::Fetch> fetches;
    Mailbox<agent::Command> commands;
    std::atomic<int> subscribed = 0;
    std::unique_ptr<agent::Link> link;
    std::vector<std::jthread> threads;

    World()
    {
        policy.unsigned_packages = true;
        auto opened = Journal::open(folder.path + "/journal", system_clock());
        REQUIRE(opened);
        journal = std::move(*opened);
    }
    void start_link()
    {
        link = std::make_unique<agent::Link>(agent::Link::Parts{identity, policy, system_clock(), tokens, client, *journal, desk, fetches,
                                                                [this](agent::Command command) { commands.send(std::move(command)); },
                                                                [this](const agent::Terms&) { ++subscribed; }, Json::object({{"cpus", 2}})});
        desk.set_on_change([this] { link->nudge(); });
        threads.emplace_back([this](std::stop_token stop) { link->run(stop); });
    }
    template <class T>
    T command()
    {
        auto next = commands.receive_for(10s);
        REQUIRE(next);
        REQUIRE(std::holds_alternative<T>(*next));
        return std::get<T>(std::move(*next));
    }
    ~World()
    {
        desk.set_on_change({});
        threads.clear();
    }
};

}  // namespace

TEST_CASE("enrolment leaves key, counter, pinned key and a strict policy, closed to others", "[enrol]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    factory.on("/agent/v1/enrol", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        reply.status = 201;
        reply.body = dump_json(Json::object({{"agentId", "agent-7"}, {"name", "srv-9"}, {"factoryId", "f-1"}, {"factoryKey", to_base64(factory.key().public_key)},
                                             {"tokenUrl", factory.url() + "/agent/v1/token"}, {"environment", "default"}, {"approved", true}}));
        return true;
    });
    agent::EnrolOptions options{folder.path, {}, factory.url() + "/", "mw_code_x", "srv-9", protocol::AgentMode::attended, false};
    const auto enrolled = agent::enrol(options);
    REQUIRE(enrolled);
    const Json asked = factory.request("/agent/v1/enrol");
    CHECK(asked["code"] == Json("mw_code_x"));
    CHECK(asked["mode"] == Json("attended"));
    const std::string public_key = asked["publicKey"].as_string();
    const auto identity = agent::load_identity(folder.path, "f-1");
    REQUIRE(identity);
    CHECK(identity->agent_id == "agent-7");
    CHECK(identity->factory_url == factory.url());
    CHECK(identity->mode == protocol::AgentMode::attended);
    CHECK(platform::verify(*from_base64(public_key), "x", *platform::sign(identity->private_key, "x")));
    struct stat status {};
    REQUIRE(::stat((identity->folder + "/key").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    REQUIRE(::stat(identity->folder.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(platform::read_file(folder.path + "/policy.yaml", 10000)->find("unsigned: false") != std::string::npos);
    SECTION("and a second time at the same factory is a conflict that keeps the first")
    {
        const auto again = agent::enrol(options);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::conflict);
        CHECK(agent::load_identity(folder.path, "f-1")->agent_id == "agent-7");
    }
}

TEST_CASE("an enrolment whose answer was lost uses the same key with the same code", "[enrol]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    factory.on("/agent/v1/enrol", [](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        reply.status = 503;
        reply.body = "{}";
        return true;
    });
    agent::EnrolOptions options{folder.path, {}, factory.url(), "mw_code_x", "srv-9", protocol::AgentMode::unattended, false};
    CHECK_FALSE(agent::enrol(options));
    CHECK_FALSE(agent::enrol(options));
    options.code = "mw_code_y";
    CHECK_FALSE(agent::enrol(options));
    std::vector<std::string> keys;
    for (std::size_t i = 1; i <= factory.count("/agent/v1/enrol"); ++i)
        keys.push_back(factory.request("/agent/v1/enrol", i)["publicKey"].as_string());
    REQUIRE(keys.size() == 3);
    CHECK(keys[0] == keys[1]);
    CHECK(keys[1] != keys[2]);
}

TEST_CASE("enrolment errors say what to do", "[enrol]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    agent::EnrolOptions options{folder.path, {}, factory.url(), "mw_code_x", "srv-9", protocol::AgentMode::unattended, false};
    const auto answer = [&](int status, const std::string& detail) {
        factory.on("/agent/v1/enrol", [=](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.status = status;
            reply.body = dump_json(Json::object({{"type", "about:blank"}, {"detail", detail}}));
            return true;
        });
    };
    SECTION("a used code")
    {
        answer(403, "the code was used");
        CHECK_THAT(agent::enrol(options).error().what, Catch::Contains("used") && Catch::Contains("millwright agents invite"));
    }
    SECTION("a name that is taken")
    {
        answer(409, "there is an agent srv-9");
        CHECK_THAT(agent::enrol(options).error().what, Catch::Contains("srv-9") && Catch::Contains("--name"));
    }
    SECTION("no factory there")
    {
        options.factory = "http://127.0.0.1:1";
        const auto enrolled = agent::enrol(options);
        CHECK(enrolled.error().code == Errc::unavailable);
        CHECK_THAT(enrolled.error().what, Catch::Contains("127.0.0.1:1") && Catch::Contains("not reachable"));
    }
    SECTION("plain text to another machine")
    {
        options.factory = "http://factory.example.com";
        CHECK_THAT(agent::enrol(options).error().what, Catch::Contains("https") && Catch::Contains("--insecure"));
    }
}

TEST_CASE("each token costs one number of the durable counter, and a refused token is replaced", "[tokens]")
{
    World world;
    REQUIRE(world.tokens.get({}));
    REQUIRE(world.tokens.get({}));  // the same one
    auto answer = world.client.post("/agent/v1/leases", "{\"attempts\":[]}", 5s, {});
    CHECK(answer);
    world.tokens.refused(*world.tokens.get({}));
    CHECK(world.client.post("/agent/v1/leases", "{\"attempts\":[]}", 5s, {}));
    CHECK(world.factory.until([](auto& f) { return f.counters == std::vector<std::int64_t>{1, 2}; }));
    CHECK(agent::next_counter(world.identity).value() == 3);
}

TEST_CASE("the link subscribes, takes an offer and asks for as many as it has slots", "[link]")
{
    World world;
    world.start_link();
    CHECK(world.factory.request("/agent/v1/offers")["want"] == Json(2));
    CHECK(world.subscribed == 1);
    CHECK(world.factory.request("/agent/v1/session")["facts"]["cpus"] == Json(2));
    world.factory.offer(offers({offer_json()}));
    const auto taken = world.command<agent::command::Take>();
    CHECK(taken.id == kJob);
    CHECK(taken.offer.find("order-status") != std::string::npos);
    auto fetch = world.fetches.receive_for(10s);
    REQUIRE(fetch);
    CHECK(fetch->offer.attempt_token == "mw_attempt_1");
    CHECK(world.factory.request("/agent/v1/offers", 2)["want"] == Json(1));
    SECTION("the same offer again is not taken twice")
    {
        world.factory.offer(offers({offer_json()}));
        world.factory.request("/agent/v1/offers", 3);
        CHECK_FALSE(world.commands.receive_for(50ms));
    }
    SECTION("an offer above the slots is answered busy, and a slot that gets free ends the poll that wants none")
    {
        world.factory.offer(offers({offer_json({"second", 1, 1}), offer_json({"third", 1, 1})}));
        const Json third = world.factory.request("/agent/v1/offers", 3);
        CHECK(third["want"] == Json(0));
        CHECK(third["answers"][std::size_t{0}]["job"] == Json("third"));
        CHECK(third["answers"][std::size_t{0}]["answer"] == Json("busy"));
        world.desk.release(kJob);
        CHECK(world.factory.request("/agent/v1/offers", 4)["want"] == Json(1));
    }
    SECTION("a cancel is passed on")
    {
        world.factory.offer(Json::object({{"cancels", Json::array({Json::object({{"job", kJob.job}, {"epoch", 1}, {"attempt", 1}, {"by", "anna"}, {"why", "no"}})})}}));
        CHECK(world.command<agent::command::Cancel>().by == "anna");
    }
}

TEST_CASE("an agent that can run nothing says why, and asks again when that is over", "[link]")
{
    World world;
    world.desk.rest(300ms, "the disk is full");
    world.start_link();
    const Json first = world.factory.request("/agent/v1/offers");
    CHECK(first["want"] == Json(0));
    CHECK(first["unable"] == Json("the disk is full"));
    const Json second = world.factory.request("/agent/v1/offers", 2);
    CHECK(second["want"] == Json(2));
    CHECK_FALSE(second.contains("unable"));
    SECTION("also for good")
    {
        world.desk.disable("no sandbox: no user namespaces");
        world.factory.offer(Json::object());
        CHECK(world.factory.request("/agent/v1/offers", 3)["unable"] == Json("no sandbox: no user namespaces"));
    }
    SECTION("and when it stops")
    {
        world.desk.close();
        CHECK(world.factory.request("/agent/v1/offers", 3)["unable"] == Json("the agent is stopping"));
    }
}

TEST_CASE("what the policy does not admit ends as refused, with the reason", "[link]")
{
    World world;
    world.policy.unsigned_packages = false;
    world.start_link();
    world.factory.offer(offers({offer_json()}));
    world.command<agent::command::Take>();
    const auto end = world.command<agent::command::End>();
    CHECK(end.cause.reason == Reason::refused);
    CHECK_THAT(end.cause.why, Catch::Contains("unsigned"));
}

TEST_CASE("an attempt that the journal knows is never started again", "[link]")
{
    World world;
    SECTION("reported to the end: answered not held")
    {
        REQUIRE(world.journal->take(kJob, "{}"));
        REQUIRE(world.journal->finish(kJob));
        world.start_link();
        world.factory.offer(offers({offer_json()}));
        CHECK(world.factory.request("/agent/v1/offers", 2)["answers"][std::size_t{0}]["answer"] == Json("not_held"));
    }
    SECTION("its report on the way: left to the report")
    {
        REQUIRE(world.journal->take(kJob, "{}"));
        REQUIRE(world.journal->start(kJob, protocol::state_event(1, {}, JobState::running), SteadyTime{1}));
        world.start_link();
        world.factory.offer(offers({offer_json()}));
        CHECK(world.factory.request("/agent/v1/offers", 2)["answers"].empty());
    }
    CHECK_FALSE(world.commands.receive_for(50ms));
}

TEST_CASE("a factory that cannot prove the pinned key gets no token and no poll", "[link]")
{
    World world;
    world.factory.until([](auto& f) { return !(f.wrong_key = platform::make_signing_key().private_key).empty(); });
    world.start_link();
    world.factory.request("/agent/v1/proof", 2);  // tried again after a while
    CHECK(world.subscribed == 0);
    CHECK(world.factory.count("/agent/v1/token") == 0);
    CHECK(world.factory.count("/agent/v1/session") == 0);
    CHECK(world.factory.count("/agent/v1/offers") == 0);
}

TEST_CASE("after a 401 the link makes a new token and a new session", "[link]")
{
    World world;
    world.start_link();
    world.factory.request("/agent/v1/offers");
    std::atomic<int> refusals = 1;
    world.factory.on("/agent/v1/offers", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        if (refusals-- <= 0) return false;
        reply.status = 401;
        reply.body = "{}";
        return true;
    });
    world.factory.offer(Json::object());
    world.factory.request("/agent/v1/session", 2);
    CHECK(world.factory.until([](auto& f) { return f.counters.size() == 2; }));
}

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
