// Enrolment and tokens, against a real loopback server.
#include <sys/stat.h>

#include <atomic>
#include <future>

#include "agent/enrol.h"
#include "agent/self/log_copy.h"
#include "agent/self/own_log.h"
#include "tests/unit/agent/agent_world.h"

using namespace mill;
using namespace mill::test;
using World = AgentWorld;

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
    CHECK(platform::verify(*from_base64(public_key), "x", *platform::sign(identity->private_key.get(), "x")));
    struct stat status {};
    REQUIRE(::stat((identity->folder + "/key").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    REQUIRE(::stat(identity->folder.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    CHECK(platform::read_file(folder.path + "/policy.yaml", 10000)->find("unsigned: false") != std::string::npos);
    const auto token = [&](int code, const Json& body) {
        factory.on("/agent/v1/token", [=](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.status = code;
            reply.body = dump_json(body);
            return true;
        });
    };
    SECTION("an identity that the factory refuses for good is replaced, and what was not reported stays")
    {
        for (const char* name : {"revoked", "copied_key", "unknown_agent", "other_key"}) {
            token(403, Json::object({{"type", std::string("urn:millwright:problem:") + name}, {"detail", "no"}}));
            REQUIRE(platform::write_file(identity->folder + "/journal", "reports", 0600));
            REQUIRE(platform::write_file(identity->folder + "/counter", "7\n", 0600));
            const auto again = agent::enrol(options);
            INFO(name);
            REQUIRE(again);
            CHECK(again->again);
            const auto now = agent::load_identity(folder.path, "f-1");
            CHECK(now->private_key.get() != identity->private_key.get());
            CHECK(platform::read_file(identity->folder + "/journal", 100).value() == "reports");
            CHECK(agent::next_counter(*now).value() > 7);
        }
    }
    SECTION("a factory that only does not answer leaves all as it is")
    {
        token(503, Json::object({{"detail", "later"}}));
        const auto again = agent::enrol(options);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::unavailable);
        CHECK(agent::load_identity(folder.path, "f-1")->private_key.get() == identity->private_key.get());
    }
    SECTION("a replacement that was cut short is finished at the next start")
    {
        const auto next = platform::make_signing_key();
        const Json whole = Json::object({{"key", to_base64(next.private_key)}, {"factoryKey", to_base64(std::string(32, 'f'))},
                                         {"about", *parse_json(*platform::read_file(identity->folder + "/agent.json", 10000))}});
        REQUIRE(platform::write_file(identity->folder + "/identity.next", dump_json(whole), 0600));
        const auto now = agent::load_identity(folder.path, "f-1");
        REQUIRE(now);
        CHECK(now->private_key.get() == next.private_key);
        CHECK(now->factory_key == std::string(32, 'f'));
        CHECK_FALSE(platform::exists(identity->folder + "/identity.next"));
    }
    SECTION("and a second time at the same factory is a conflict that keeps the first")
    {
        token(200, Json::object({{"access_token", "mw_agent_1"}, {"expires_in", 3600}}));
        const auto again = agent::enrol(options);
        REQUIRE_FALSE(again);
        CHECK(again.error().code == Errc::conflict);
        CHECK(agent::load_identity(folder.path, "f-1")->agent_id == "agent-7");
    }
}

TEST_CASE("an agent becomes what its invitation says, unless it is told what it is to be", "[enrol]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    Json answer = Json::object({{"agentId", "agent-7"}, {"name", "srv-9"}, {"factoryId", "f-1"}, {"factoryKey", to_base64(factory.key().public_key)},
                                {"tokenUrl", factory.url() + "/agent/v1/token"}, {"environment", "default"}, {"approved", true}});
    factory.on("/agent/v1/enrol", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        reply.status = 201;
        reply.body = dump_json(answer);
        return true;
    });
    agent::EnrolOptions options;
    options.data_folder = folder.path;
    options.factory = factory.url();
    options.code = "mw_code_x";
    options.name = "srv-9";
    SECTION("by the invitation")
    {
        answer.set("mode", "attended");
        const auto enrolled = agent::enrol(options);
        REQUIRE(enrolled);
        CHECK_FALSE(factory.request("/agent/v1/enrol").contains("mode"));
        CHECK(enrolled->identity.mode == protocol::AgentMode::attended);
        CHECK(agent::load_identity(folder.path, "f-1")->mode == protocol::AgentMode::attended);
    }
    SECTION("an older factory says none")
    {
        const auto enrolled = agent::enrol(options);
        REQUIRE(enrolled);
        CHECK(enrolled->identity.mode == protocol::AgentMode::unattended);
    }
    SECTION("by its command line")
    {
        options.mode = protocol::AgentMode::attended;
        answer.set("mode", "unattended");   // a factory of before does not refuse it
        const auto enrolled = agent::enrol(options);
        REQUIRE(enrolled);
        CHECK(factory.request("/agent/v1/enrol")["mode"] == Json("attended"));
        CHECK(enrolled->identity.mode == protocol::AgentMode::attended);
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

TEST_CASE("a renewal that hangs holds up nobody while the token holds, and each for its own time after that", "[tokens]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    const auto identity = factory.enrolled(folder.path);
    std::promise<void> entered, go_on;
    const auto released = go_on.get_future().share();
    std::atomic<int> asked = 0;
    factory.on("/agent/v1/token", [&, released](const factory::HttpCall&, const Json&, factory::HttpReply&) {
        if (++asked == 2) {
            entered.set_value();
            released.wait();
        }
        return false;
    });
    const Config config;
    FakeClock clock(system_clock().now());
    Tokens tokens(identity, config, clock);
    const auto first = tokens.get({});
    REQUIRE(first);
    clock.advance(std::chrono::minutes(50));
    CHECK(tokens.get({}) == *first);   // and wakes the renewal
    REQUIRE(entered.get_future().wait_for(15s) == std::future_status::ready);
    CHECK(tokens.get({}, nullptr, 0ms) == *first);
    clock.advance(std::chrono::minutes(10));
    const auto none = tokens.get({}, nullptr, 20ms);
    REQUIRE_FALSE(none);
    CHECK(none.error().code == Errc::timeout);
    std::stop_source stopped;
    stopped.request_stop();
    CHECK(tokens.get(stopped.get_token()).error().code == Errc::cancelled);
    auto waits = std::async(std::launch::async, [&] { return tokens.get({}); });
    go_on.set_value();
    const auto second = waits.get();
    REQUIRE(second);
    CHECK(*second != *first);
    CHECK(tokens.get({}) == *second);
    CHECK(asked == 2);
}

TEST_CASE("a renewal that fails leaves the token that holds, and is not asked for again at once", "[tokens]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    const auto identity = factory.enrolled(folder.path);
    std::atomic<bool> away = false;
    factory.on("/agent/v1/proof", [&](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
        if (!away) return false;
        reply.status = 503;
        reply.body = "{}";
        return true;
    });
    const Config config;
    FakeClock clock(system_clock().now());
    Tokens tokens(identity, config, clock);
    const auto first = tokens.get({});
    REQUIRE(first);
    away = true;
    clock.advance(std::chrono::minutes(50));
    CHECK(tokens.get({}) == *first);
    (void)factory.request("/agent/v1/proof", 2);
    CHECK(tokens.get({}) == *first);
    away = false;
    tokens.refused(*first);
    const auto second = tokens.get({});   // whichever outcome it meets, the next one is a token
    const auto third = second ? second : tokens.get({});
    REQUIRE(third);
    CHECK(*third != *first);
}

TEST_CASE("a Retry-After is kept as seconds and as a time, the latter by the factory's clock; back-offs stay under half a minute", "[link]")
{
    FakeFactory factory;
    const auto client = platform::make_http_client({});
    const auto asked = [&](const std::string& after) {
        factory.on("/later", [after](const factory::HttpCall&, const Json&, factory::HttpReply& reply) {
            reply.status = 503;
            reply.headers = {{"Retry-After", after}};
            reply.body = "{}";
            return true;
        });
        platform::HttpRequest request;
        request.method = "POST";
        request.uri = factory.url() + "/later";
        request.body = "{}";
        agent::Refusal refusal;
        CHECK_FALSE(agent::call(*client, request, {}, &refusal));
        REQUIRE(refusal.date);
        return refusal.retry_after;
    };
    CHECK(asked("7") == 7000ms);
    CHECK(asked("Sun, 22 Nov 2020 14:09:36 GMT") == 0ms);   // over by now
    CHECK(asked("Sun, 22 Nov 2099 14:09:36 GMT") == 3'600'000ms);
    CHECK(asked("soon") == std::nullopt);
    agent::Backoff backoff;
    agent::Refusal refusal;
    refusal.retry_after = 7000ms;
    CHECK(backoff.next(refusal) >= 7000ms);
    for (int i = 0; i < 100; ++i) CHECK(backoff.next() <= 30'000ms);
}

TEST_CASE("a machine whose clock is off gets a token all the same: its assertion lives by the factory's clock", "[tokens]")
{
    TemporaryFolder folder;
    FakeFactory factory;
    const auto identity = factory.enrolled(folder.path);
    Mailbox<std::string> assertions;
    factory.on("/agent/v1/token", [&](const factory::HttpCall& call, const Json&, factory::HttpReply&) {
        assertions.send(*percent_decode(call.body.substr(call.body.find("client_assertion=") + 17)));
        return false;
    });
    const Config config;
    const FakeClock behind(WallTime{1'000'000'000'000'000});   // 2001
    auto own = agent::OwnLog::open(folder.path + "/own", behind).value(), others = agent::OwnLog::open(folder.path + "/others", behind).value();
    {
        log::set_level(log::Level::warning);
        const agent::LogCopy copy({{identity.factory_id, own.get(), {}}, {"another", others.get(), {}}});
        Tokens tokens(identity, config, behind);
        REQUIRE(tokens.get({}));
        log::set_level(log::Level::error);
    }
    REQUIRE(own->pending(10).size() == 1);   // by the thread of the token: of this factory
    CHECK_THAT(own->pending(10)[0].text, Catch::Contains("behind the factory's"));
    CHECK(others->pending(10).empty());
    const auto assertion = assertions.receive_for(1s);
    REQUIRE(assertion);
    const std::int64_t expires = (*parse_json(*platform::jwt_claims_unverified(*assertion)))["exp"].as_integer();
    const std::int64_t now = system_clock().now().microseconds / 1'000'000;
    CHECK(expires > now + 30);
    CHECK(expires < now + 80);
    CHECK_THAT(agent::clock_words(-90), Catch::Contains("90 s behind"));
    CHECK_THAT(agent::clock_words(90), Catch::Contains("90 s ahead of"));
}
