// Machines that ask to be admitted: codes, pace, limits, and that only the key that asked hears the answer.
#include <set>

#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "factory/agents/admissions.h"
#include "platform/base/encode.h"
#include "protocol/identity.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::factory::Admission;
using mill::factory::Admissions;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

namespace {

const std::string kDesk = "192.0.2.7";   // an administrator's


Admission wish_of(int number, const std::string& address = "192.0.2.1")
{
    Admission out;
    out.name = fmt::format("srv-{}", number);
    out.public_key = fmt::format("{:032}", number);
    out.address = address;
    return out;
}

/// A machine that asks by hand.
struct Asker {
    explicit Asker(Factory& the_factory, std::string the_name = "srv-1") : factory(the_factory), name(std::move(the_name)), key(platform::make_signing_key()) {}
    Answer ask(const platform::SigningKey* signer = nullptr)
    {
        const std::string text = to_base64(key.public_key);
        const auto signature = platform::sign((signer != nullptr ? *signer : key).private_key, protocol::admission_request(name, "unattended", "", text));
        return factory.call("POST", "/agent/v1/admission",
                            dump_json(Json::object({{"version", 1}, {"must", Json::array()}, {"name", name}, {"publicKey", text}, {"facts", Json::object()},
                                                    {"signature", to_base64(*signature)}, {"future", "ignored"}})));
    }
    Answer poll(const Json& asked)
    {
        const auto signature = platform::sign(key.private_key, protocol::admission_poll(asked["id"].as_string(), asked["challenge"].as_string()));
        return factory.call("POST", "/agent/v1/admission/poll", dump_json(Json::object({{"id", asked["id"]}, {"signature", to_base64(*signature)}})));
    }
    Factory& factory;
    std::string name;
    platform::SigningKey key;
};

}  // namespace

TEST_CASE("a user code is eight letters and digits that nobody takes for another, however it is typed", "[admissions]")
{
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
        const std::string code = factory::make_user_code();
        CHECK(code.size() == 9);
        CHECK(code[4] == '-');
        CHECK(code.find_first_of("01IOio") == std::string::npos);
        CHECK(factory::normal_user_code(code) == code);
        seen.insert(code);
    }
    CHECK(seen.size() == 200);
    CHECK(factory::normal_user_code("bqkr 7tzm") == "BQKR-7TZM");
    CHECK(factory::normal_user_code("BQKR7TZM") == "BQKR-7TZM");
    for (const char* wrong : {"", "BQKR-7TZ", "BQKR-7TZMX", "BQKR-7TZ0", "BQKR-7TZ/", "BQKR_7TZM"}) CHECK(factory::normal_user_code(wrong).empty());
    CHECK(factory::normal_user_code(std::string(100'000, '-')).empty());
}

TEST_CASE("the same key waits once, under one code, for fifteen minutes", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    const auto first = admissions.ask(wish_of(1));
    REQUIRE(first);
    CHECK(admissions.ask(wish_of(1))->code == first->code);
    REQUIRE(admissions.waiting().size() == 1);
    clock.advance(Admissions::kLife - std::chrono::seconds(1));
    CHECK(admissions.by_code(first->code, kDesk));
    clock.advance(std::chrono::seconds(1));
    CHECK(admissions.by_code(first->code, kDesk).error().code == Errc::not_found);
    CHECK(admissions.poll(first->id).error().code == Errc::not_found);
    CHECK(admissions.waiting().empty());
}

TEST_CASE("what an administrator has read behind a code is what it admits", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    const auto first = admissions.ask(wish_of(1));
    for (int which = 0; which < 3; ++which) {
        Admission other = wish_of(1);
        if (which == 0) other.name = "srv-prod-1";
        if (which == 1) other.environment = "prod";
        if (which == 2) other.mode = protocol::AgentMode::attended;
        const auto second = admissions.ask(other);
        REQUIRE(second);
        CHECK(second->code != first->code);
        CHECK(admissions.waiting().size() == 1);
        CHECK(admissions.by_code(first->code, kDesk).error().code == Errc::not_found);
    }
}

TEST_CASE("one administrator decides, and what is decided makes room for others", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    const auto asked = admissions.ask(wish_of(1));
    REQUIRE(admissions.decide(asked->id));
    CHECK_FALSE(admissions.decide(asked->id));
    CHECK_THAT(admissions.by_code(asked->code, kDesk).error().what, Contains("somebody else decides"));
    CHECK(admissions.ask(wish_of(1))->code == asked->code);
    admissions.undecided(asked->id);   // the store failed
    REQUIRE(admissions.decide(asked->id));
    admissions.admitted(asked->id, "agent-1");
    CHECK_FALSE(admissions.decide(asked->id));
    int number = 1;
    for (std::size_t i = 0; i < 3 * Admissions::kPerAddress; ++i) {
        const auto one = admissions.ask(wish_of(++number));
        REQUIRE(one);
        REQUIRE(admissions.decide(one->id));
        admissions.refused(one->id, "no");
    }
    CHECK(admissions.find(asked->id)->state == Admission::State::admitted);
}

TEST_CASE("who polls too early is slowed down, and stays so", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    const auto asked = admissions.ask(wish_of(1));
    REQUIRE(admissions.poll(asked->id));
    CHECK(admissions.poll(asked->id).error().code == Errc::unavailable);
    CHECK(admissions.find(asked->id)->interval == Admissions::kInterval + Admissions::kSlower);
    const auto replayed = admissions.ask(wish_of(2));   // by somebody who captured one poll
    for (int i = 0; i < 100; ++i) (void)admissions.poll(replayed->id);
    CHECK(admissions.find(replayed->id)->interval == Admissions::kSlowest);
    clock.advance(Admissions::kInterval);
    CHECK_FALSE(admissions.poll(asked->id));
    clock.advance(Admissions::kInterval + 2 * Admissions::kSlower);
    CHECK(admissions.poll(asked->id));
}

TEST_CASE("requests are limited per address, per minute and over all", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    int number = 0;
    for (std::size_t i = 0; i < Admissions::kPerAddress; ++i) REQUIRE(admissions.ask(wish_of(++number)));
    CHECK_THAT(admissions.ask(wish_of(++number)).error().what, Contains("of this address"));
    clock.advance(std::chrono::minutes(2));
    CHECK_THAT(admissions.ask(wish_of(++number)).error().what, Contains("of this address"));   // they wait still
    for (std::size_t i = Admissions::kPerAddress; i < Admissions::kMost; ++i)
        REQUIRE(admissions.ask(wish_of(++number, fmt::format("198.51.100.{}", i / 10))));
    CHECK_THAT(admissions.ask(wish_of(++number, "203.0.113.1")).error().what, Contains("200 machines"));
    clock.advance(Admissions::kLife);
    CHECK(admissions.ask(wish_of(++number, "203.0.113.1")));
    for (std::size_t i = 0; i < Admissions::kAsksPerMinute; ++i) REQUIRE(admissions.knock("192.0.2.9"));
    CHECK(admissions.knock("192.0.2.9").error().code == Errc::unavailable);
    CHECK(admissions.knock("192.0.2.8"));
    clock.advance(std::chrono::seconds(61));
    CHECK(admissions.knock("192.0.2.9"));
}

TEST_CASE("codes are not guessed: after twenty wrong ones in a minute a right one is refused, too", "[admissions]")
{
    FakeClock clock;
    Admissions admissions(clock);
    const auto asked = admissions.ask(wish_of(1));
    for (std::size_t i = 0; i + 1 < Admissions::kGuessesPerMinute; ++i) CHECK(admissions.by_code(factory::make_user_code(), kDesk).error().code == Errc::not_found);
    CHECK(admissions.by_code(asked->code, kDesk));   // right ones are not counted
    CHECK(admissions.by_code("nonsense", kDesk).error().code == Errc::not_found);
    CHECK(admissions.by_code(asked->code, kDesk).error().code == Errc::unavailable);
    CHECK(admissions.by_code(asked->code, "192.0.2.8"));   // an administrator elsewhere does not have to wait
    for (std::size_t i = 1; i < Admissions::kGuessersMost; ++i) (void)admissions.by_code("nonsense", "198.51.100." + std::to_string(i));
    CHECK_THAT(admissions.by_code(asked->code, "203.0.113.1").error().what, Contains("try again in a minute"));   // so many guess together
    clock.advance(std::chrono::seconds(61));
    CHECK(admissions.by_code(asked->code, kDesk));
}

TEST_CASE("an admission is bound to the key that asked", "[factory][api][admissions]")
{
    Factory factory;
    factory.deploy();
    Asker asker(factory), thief(factory);
    CHECK(asker.ask(&thief.key).status == 403);
    const Answer asked = asker.ask();
    INFO(asked.text);
    REQUIRE(asked.status == 202);
    CHECK(asked.json["agentId"].is_null());
    const std::string code = asked.json["code"].as_string();
    CHECK(thief.poll(asked.json).status == 403);
    CHECK(asker.poll(asked.json).status == 202);
    const Answer listed = factory.as_admin("GET", "/v1/agents/requests");
    REQUIRE(listed.json["items"].size() == 1);
    CHECK_THAT(listed.text, !Contains(asked.json["challenge"].as_string()));
    CHECK(factory.call("GET", "/v1/agents/requests").status == 401);

    SECTION("admitted, it gets its identity, and again when the answer was lost")
    {
        const Answer admitted = factory.as_admin("POST", "/v1/agents/requests/" + code + "/admit", R"({"environment":"it-services","labels":{"site":"berlin"}})");
        INFO(admitted.text);
        REQUIRE(admitted.status == 200);
        CHECK(admitted.json["approved"] == Json(true));
        CHECK(thief.poll(asked.json).status == 403);
        const Answer again = asker.ask();
        REQUIRE(again.status == 200);
        CHECK(again.json["environment"] == Json("it-services"));
        CHECK(again.json["agentId"] == admitted.json["id"]);
        CHECK(factory.as_admin("POST", "/v1/agents/requests/" + code + "/admit").status == 409);
        CHECK_THAT(factory.as_admin("GET", "/v1/audit").text, Contains("\"admit\"") && Contains(code));
        thief.name = "srv-2";
        CHECK(thief.ask(&thief.key).status == 202);
        SECTION("and a frozen one is told so, not given it")
        {
            REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"frozen":true})").status == 200);
            CHECK(asker.ask().status == 403);
        }
    }
    SECTION("what the administrator says must hold")
    {
        const std::string path = "/v1/agents/requests/" + code + "/admit";
        CHECK(factory.as_admin("POST", path, R"({"environment":"nowhere"})").status == 409);
        CHECK(factory.as_admin("POST", path, R"({"name":"requests"})").status == 400);
        CHECK(factory.as_admin("POST", path, R"({"mood":"good"})").status == 400);
        CHECK(factory.as_admin("POST", "/v1/agents/requests/AAAA-AAAA/admit").status == 404);
    }
    SECTION("refused")
    {
        REQUIRE(factory.as_admin("POST", "/v1/agents/requests/" + code + "/refuse", R"({"why":"unknown"})").status == 204);
        CHECK(factory.as_admin("GET", "/v1/agents/requests").json["items"].empty());
        CHECK_THAT(factory.as_admin("GET", "/v1/audit").text, Contains("\"refuse\""));
    }
}

TEST_CASE("a request that is no request, or too large, is refused by its members", "[factory][api][admissions]")
{
    Factory factory;
    const Answer empty = factory.call("POST", "/agent/v1/admission", "{}");
    CHECK(empty.status == 400);
    CHECK_THAT(empty.detail(), Contains("name") && Contains("publicKey") && Contains("signature"));
    CHECK(factory.call("POST", "/agent/v1/admission", R"({"version":1,"must":["moon"]})").status == 426);
    CHECK(factory.call("POST", "/agent/v1/admission", "{\"facts\":\"" + std::string(70'000, 'x') + "\"}").status == 413);
    std::string deep = R"({"facts":)";
    for (int i = 0; i < 30; ++i) deep += "{\"a\":";
    CHECK(factory.call("POST", "/agent/v1/admission", deep + "1" + std::string(31, '}')).status == 413);
    CHECK(factory.call("POST", "/agent/v1/admission/poll", R"({"id":"x","signature":"AA=="})").status == 410);
}

TEST_CASE("an agent changes its key, proved by the old and the new one", "[factory][api][agents]")
{
    Factory factory;
    factory.deploy();
    test::HandAgent agent(factory, "srv-1");
    agent.join();
    const auto next = platform::make_signing_key();
    const std::string text = to_base64(next.public_key), said = protocol::key_change(agent.id, text);
    const auto change = [&](const platform::SigningKey& by_new, const platform::SigningKey& by_old) {
        return agent.say("key", dump_json(Json::object({{"publicKey", text}, {"signature", to_base64(*platform::sign(by_new.private_key, said))},
                                                        {"signatureBefore", to_base64(*platform::sign(by_old.private_key, said))}})));
    };
    CHECK(change(agent.key, agent.key).status == 403);
    CHECK(change(next, next).status == 403);
    CHECK(agent.ask_token(2, "j-2").status == 200);
    agent.token = agent.ask_token(3, "j-3").json["access_token"].as_string();
    const Answer changed = change(next, agent.key);
    INFO(changed.text);
    REQUIRE(changed.status == 200);
    CHECK(change(next, agent.key).status == 401);   // the sessions of the old key are over
    const Answer old = agent.ask_token(4, "j-4");
    CHECK(old.status == 401);
    CHECK_THAT(old.json["type"].as_string(), Contains("other_key"));
    const auto before = std::exchange(agent.key, next);
    const Answer fresh = agent.ask_token(5, "j-5");
    REQUIRE(fresh.status == 200);
    agent.token = fresh.json["access_token"].as_string();
    CHECK(change(next, before).status == 200);   // its answer was lost
    factory.restart();
    CHECK(agent.ask_token(6, "j-6").status == 200);
    CHECK_THAT(factory.as_admin("GET", "/v1/audit").text, Contains("rotate-key"));

    SECTION("revoked, no key opens anything, and the word cannot be taken back")
    {
        REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"revoked":true})").json["state"] == Json("revoked"));
        CHECK(agent.say("leases", R"({"attempts":[]})").status == 401);
        const Answer refused = agent.ask_token(7, "j-7");
        CHECK(refused.status == 403);
        CHECK_THAT(refused.text, Contains("revoked") && Contains("--take-over"));
        CHECK(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"revoked":false})").status == 400);
        CHECK(factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"srv-*","takeOver":true})").status == 400);
        const Answer plain = factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"srv-1"})");
        test::HandAgent again(factory, "srv-1");
        CHECK(again.enrol(plain.json["code"].as_string()).status == 409);
        const Answer invited = factory.as_admin("POST", "/v1/agents/invitations", R"({"name":"srv-1","takeOver":true})");
        const Answer taken = again.enrol(invited.json["code"].as_string());
        INFO(taken.text);
        REQUIRE(taken.status == 201);
        CHECK(taken.json["agentId"] == Json(agent.id));
        CHECK(taken.json["environment"] == Json("it-services"));
        again.id = agent.id;
        again.token_url = agent.token_url;
        CHECK(again.ask_token(1, "k-1").status == 200);   // the counter began again with the key
        CHECK(agent.ask_token(8, "j-8").status == 401);
    }
}
