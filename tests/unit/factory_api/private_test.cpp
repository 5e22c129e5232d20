// What is one person's: her environment, her agent, and what files there start.
#include <catch2/catch.hpp>

#include <fmt/format.h>

#include "factory/api/approvers.h"
#include "factory/api/limits.h"
#include "protocol/secret_fields.h"
#include "platform/base/encode.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using mill::test::Answer;
using mill::test::Factory;
using mill::test::HandAgent;
using mill::test::kFirst;
using Catch::Contains;

namespace {

/// it-services is anna's own; dora develops, too.
struct Private : Factory {
    std::string anna, dora, otto;
    Private()
    {
        deploy();
        anna = user("anna", "developer");
        dora = user("dora", "developer");
        otto = user("otto", "operator");
        environment(R"("access":"private","user":"anna")");
    }
    std::string user(const std::string& name, const std::string& role)
    {
        const Answer made = as_admin("POST", "/v1/tokens", fmt::format(R"({{"kind":"user","name":"{}","role":"{}"}})", name, role));
        REQUIRE(made.status == 201);
        return made.json["token"].as_string();
    }
    void environment(std::string_view more)
    {
        const Answer put = as_admin("PUT", "/v1/environments/it-services", fmt::format(R"({{"agents":["srv-*"],{}}})", more));
        INFO(put.text);
        REQUIRE(put.status == 200);
    }
};

/// An agent of anna's, and a trigger of files that appear there.
struct Inbox : Private {
    HandAgent agent{*this, "srv-anna", "attended"};
    Inbox()
    {
        agent.join();
        whose("anna");
        const Answer put = as_admin("PUT", "/v1/triggers/inbox", R"({"deployment":"order-status","type":"event","runOn":"any","event":{"file":{"agent":"srv-*","path":"/srv/in/*.csv"},"input":{"order":"1"}}})");
        INFO(put.text);
        REQUIRE(put.status == 201);
    }
    void whose(std::string_view user)
    {
        REQUIRE(as_admin("PATCH", "/v1/agents/srv-anna", fmt::format(R"({{"user":"{}"}})", user)).status == 200);
        const int next = ++agent.counter;
        agent.token = agent.ask_token(next, fmt::format("j-{}", next)).json["access_token"].as_string();   // its session ended with that
    }
    Answer report(int inode, std::string_view path = "/srv/in/a.csv")
    {
        return agent.say("files", fmt::format(R"({{"trigger":"inbox","path":"{}","inode":{},"size":1,"modified":"2026-01-01T00:00:00Z"}})", path, inode));
    }
};

}  // namespace

TEST_CASE("a private environment is stripped, moved and stilled by its user and administrators alone", "[factory][api][private]")
{
    Private factory;
    for (const auto& [method, path] : {std::pair{"DELETE", "/v1/triggers/order-status-api"}, {"DELETE", "/v1/deployments/order-status"}, {"DELETE", "/v1/environments/it-services"},
                                       {"POST", "/v1/triggers/order-status-api/pause"}, {"POST", "/v1/triggers/order-status-api/resume"}, {"POST", "/v1/deployments/order-status/rollback"},
                                       {"POST", "/v1/deployments/order-status/promote"}}) {
        const Answer refused = factory.with_token(factory.dora, method, path, std::string_view(method) == "POST" ? "{}" : "");
        INFO(path);
        CHECK(refused.status == 403);
        CHECK_THAT(refused.detail(), Contains("a token of anna, whose own environment 'it-services' is"));
    }
    CHECK(factory.with_token(factory.otto, "POST", "/v1/triggers/order-status-api/pause", "{}").status == 403);
    CHECK(factory.with_token(factory.anna, "POST", "/v1/triggers/order-status-api/pause", "{}").status == 200);
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/resume", "{}").status == 200);
    CHECK(factory.with_token(factory.anna, "POST", "/v1/deployments/order-status/promote", "{}").status == 409);   // hers, but there is no trial
    CHECK(factory.with_token(factory.anna, "DELETE", "/v1/triggers/order-status-api").status == 204);
    CHECK(factory.with_token(factory.anna, "DELETE", "/v1/deployments/order-status").status == 204);
}

TEST_CASE("an environment that credentials belong to is not deleted: made anew for everybody it would give them away", "[factory][api][private]")
{
    Private factory;
    REQUIRE(factory.as_admin("PUT", "/v1/credentials/shop", R"({"kind":"bearer","environment":"it-services","value":{"token":"s3cret"}})").status == 201);
    REQUIRE(factory.with_token(factory.anna, "DELETE", "/v1/triggers/order-status-api").status == 204);
    REQUIRE(factory.with_token(factory.anna, "DELETE", "/v1/deployments/order-status").status == 204);
    for (const std::string& who : {factory.anna, factory.admin}) {
        const Answer kept = factory.with_token(who, "DELETE", "/v1/environments/it-services");
        CHECK(kept.status == 409);
        CHECK_THAT(kept.detail(), Contains("1 credential belongs to Environment 'it-services'") && Contains("'shop'"));
    }
    REQUIRE(factory.as_admin("DELETE", "/v1/credentials/shop").status == 204);
    CHECK(factory.with_token(factory.anna, "DELETE", "/v1/environments/it-services").status == 204);
}

TEST_CASE("the mode of somebody's agent, which decides whether they are asked, is not an operator's", "[factory][api][private]")
{
    Inbox factory;
    const Answer refused = factory.with_token(factory.otto, "PATCH", "/v1/agents/srv-anna", R"({"mode":"unattended"})");
    CHECK(refused.status == 403);
    CHECK_THAT(refused.detail(), Contains("the role admin"));
    CHECK(factory.as_admin("GET", "/v1/agents/srv-anna").json["mode"] == Json("attended"));
    CHECK(factory.with_token(factory.otto, "PATCH", "/v1/agents/srv-anna", R"({"paused":true})").status == 200);
    CHECK(factory.as_admin("PATCH", "/v1/agents/srv-anna", R"({"mode":"unattended"})").status == 200);
    factory.whose("");
    CHECK(factory.with_token(factory.otto, "PATCH", "/v1/agents/srv-anna", R"({"mode":"attended"})").status == 200);
}

TEST_CASE("a file at its user's agent starts a job of her own environment", "[factory][api][private][files]")
{
    Inbox factory;
    const Answer started = factory.report(1);
    INFO(started.text);
    REQUIRE(started.status == 200);
    const Json job = factory.as_admin("GET", "/v1/jobs/" + started.json["job"].as_string()).json;
    CHECK(job["environment"] == Json("it-services"));
    CHECK(job["invocationContext"]["event"]["user"] == Json("anna"));
    factory.whose("otto");
    const Answer other = factory.report(2);
    CHECK(other.status == 403);
    CHECK_THAT(other.json["type"].as_string(), Contains("not_watched"));
}

TEST_CASE("files are reported as fast as a folder fills, and not without end", "[factory][api][files]")
{
    Inbox factory;
    CHECK(factory.report(1, "/srv/in/../secret/x.csv").status == 400);
    CHECK(factory.report(1, "/srv/in/a.txt").status == 400);
    CHECK(factory.report(7).status == 200);
    CHECK(factory.report(7).status == 200);   // the same file: one job
    CHECK(factory.as_admin("GET", "/v1/jobs?trigger=inbox").json["items"].size() == 1);
}

TEST_CASE("files of one agent and trigger have a rate of their own", "[factory][limits][files]")
{
    FakeClock clock(WallTime{1'800'000'000'000'000});
    factory::CallLimits limits(factory::Rates{}, clock);
    for (int i = 0; i < 1000; ++i) REQUIRE_FALSE(limits.file("a", "inbox"));
    CHECK(limits.file("a", "inbox"));
    CHECK_FALSE(limits.file("a", "other"));
    CHECK_FALSE(limits.file("b", "inbox"));
}

TEST_CASE("a machine's word that somebody is at it gives no role and no approval in other environments", "[factory][api][private][sessions]")
{
    Private factory;
    factory.environment(R"("access":"shared")");
    HandAgent machine(factory, "srv-1");
    machine.join();
    REQUIRE(factory.as_admin("PATCH", "/v1/agents/srv-1", R"({"sessions":true})").status == 200);
    HandAgent desk(factory, "srv-1-otto", "attended");
    const Answer joined = machine.say("sessions", dump_json(Json::object({{"user", "otto"}, {"publicKey", to_base64(desk.key.public_key)}, {"facts", Json::object()}})));
    INFO(joined.text);
    REQUIRE(joined.status == 201);
    desk.id = joined.json["agentId"].as_string();
    desk.token_url = joined.json["tokenUrl"].as_string();
    desk.token = desk.ask_token(1, "j-1").json["access_token"].as_string();

    // Jobs of two environments wait for the approval of somebody with a role, and of otto by name.
    REQUIRE(factory.as_admin("PUT", "/v1/environments/payroll", R"({"agents":["srv-*"]})").status == 201);
    REQUIRE(factory.as_admin("PUT", "/v1/deployments/pay", R"({"package":"order-status@1.2.0","environment":"payroll"})").status == 201);
    const auto ask = [&](const std::string& trigger, const std::string& deployment, const std::string& by) {
        const Answer put = factory.as_admin("PUT", "/v1/triggers/" + trigger, fmt::format(R"({{"deployment":"{}","approval":{{"by":["{}"]}}}})", deployment, by));
        INFO(put.text);
        REQUIRE(put.status == 201);
        const Answer started = factory.as_admin("POST", fmt::format("/v1/triggers/{}/runs", trigger), R"({"input":{"order":"1","region":"eu"}})");
        INFO(started.text);
        REQUIRE(started.status == 202);
        return factory.as_admin("GET", fmt::format("/v1/questions?job={}", started.json["jobUid"].as_string())).json["items"][kFirst]["id"].as_string();
    };
    const std::string role = ask("pay-role", "pay", "operator"), named = ask("pay-otto", "pay", "user:otto"), here = ask("here", "order-status", "operator");
    const auto answer = [&](const std::string& id) { return desk.say("person/answer", fmt::format(R"({{"question":"{}","answer":true}})", id)); };
    CHECK(answer(role).status == 403);
    const Answer elsewhere = answer(named);
    CHECK(elsewhere.status == 403);
    CHECK_THAT(elsewhere.detail(), Contains("joined through a machine of environment 'it-services'"));
    const Json seen = desk.say("person", "{}").json["questions"];
    REQUIRE(seen.size() == 1);
    CHECK(seen[kFirst]["id"] == Json(here));
    const Answer taken = answer(here);
    INFO(taken.text);
    CHECK(taken.status == 200);
    const Json row = factory.as_admin("GET", "/v1/audit?action=answer").json["items"][kFirst];
    CHECK(row["detail"]["agent"] == Json("srv-1-otto"));
    // With his token he may.
    CHECK(factory.with_token(factory.otto, "POST", fmt::format("/v1/questions/{}/answer", named), R"({"answer":true})").status == 200);
}

TEST_CASE("what a question is called stands in a command that people paste", "[factory][api][questions]")
{
    Inbox factory;
    for (const std::string& id : std::vector<std::string>{"$(reboot)", "a b", "", "-x", "a;b", std::string(65, 'a'), "a\\nb"}) {
        const Answer refused = factory.agent.say("ask", fmt::format(R"({{"question":"{}","job":"j","epoch":1,"attempt":1,"text":"?","kind":"ask","by":[]}})", id));
        INFO(id);
        CHECK(refused.status == 400);
        CHECK_THAT(refused.detail(), Contains("question"));
    }
    CHECK(factory.agent.say("ask", R"({"question":"6b1f-A0","job":"j","epoch":1,"attempt":1,"text":"?","kind":"ask","by":[]})").status != 400);   // no such attempt
}

TEST_CASE("what a schema says is for no eyes is not shown with a job, nor with a question", "[factory][api][questions]")
{
    Factory factory;
    factory.deploy("{ type: string, format: password }");
    HandAgent agent(factory, "srv-1");
    agent.join();
    const Answer started = factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"s3cret"}})");
    REQUIRE(started.status == 202);
    const Json offer = agent.poll(1).answer().json["offers"][kFirst];
    CHECK(offer["input"]["order"] == Json("s3cret"));
    const Answer shown = factory.as_admin("GET", "/v1/jobs/" + offer["job"].as_string());
    CHECK(shown.json["input"]["order"] == Json("…"));
    CHECK(shown.json["input"]["region"] == Json("eu"));
    CHECK_THAT(shown.text, !Contains("s3cret"));

    const std::string at = fmt::format(R"("job":"{}","epoch":{},"attempt":{})", offer["job"].as_string(), offer["epoch"].as_integer(), offer["attempt"].as_integer());
    const std::string ask = fmt::format(R"({{"question":"q-1",{},"text":"PIN?","kind":"ask","by":["role:admin"],"schema":{{"type":"object","properties":{{"pin":{{"writeOnly":true}}}}}},"atDeadline":{{"answer":{{"pin":"0000"}}}}}})", at);
    REQUIRE(agent.say("ask", ask).status == 200);
    const Answer answered = factory.as_admin("POST", "/v1/questions/q-1/answer", R"({"answer":{"pin":"1234","name":"anna"}})");
    INFO(answered.text);
    REQUIRE(answered.status == 200);
    for (const Answer& each : {answered, factory.as_admin("GET", "/v1/questions/q-1"), factory.as_admin("GET", "/v1/questions?state=answered")}) {
        CHECK_THAT(each.text, !Contains("1234") && !Contains("0000") && Contains("…"));
    }
    CHECK(factory.as_admin("GET", "/v1/questions/q-1").json["answer"]["name"] == Json("anna"));
    CHECK(agent.say("ask", ask).json["answer"]["pin"] == Json("1234"));
}

TEST_CASE("hidden is what a schema marks wherever it says so, and whatever it does not say plainly", "[factory][api]")
{
    using protocol::secret_places, protocol::texts_at, protocol::without_secrets;
    {   // where it is, and what stands there
        const Json schema = *parse_json(R"({"properties":{"p":{"format":"password"},"a/b~":{"items":{"properties":{"pin":{"writeOnly":true}}}},"all":{"writeOnly":true}}})");
        const Json value = *parse_json(R"({"p":"secret one","a/b~":[{"pin":4711,"n":1},{"n":2}],"all":{"x":["deep"],"y":"too"},"open":"seen"})");
        const auto places = secret_places(schema, value);
        CHECK(places == std::vector<std::string>{"/p", "/a~1b~0/0/pin", "/all"});
        CHECK(texts_at(value, places) == std::vector<std::string>{"secret one", "4711", "deep", "too"});
        CHECK(secret_places(Json(), value).empty());
        CHECK(protocol::has_secrets(schema));
        CHECK_FALSE(protocol::marks_secret(schema));
        CHECK_FALSE(protocol::has_secrets(*parse_json(R"({"type":"object","properties":{"format":{"type":"string","format":"date"}}})")));
        Json many = Json::array();
        for (int i = 0; i < 101; ++i) many.push(Json("x" + std::to_string(i)));
        const Json each = *parse_json(R"({"items":{"format":"password"}})");
        CHECK(secret_places(each, many) == std::vector<std::string>{""});
        CHECK(texts_at(many, {""}).size() == 101);
    }
    const auto hidden = [](std::string_view schema, std::string_view value) { return dump_json(without_secrets(*parse_json(schema), *parse_json(value))); };
    CHECK(hidden(R"({"format":"password"})", R"("x")") == R"("…")");
    CHECK(hidden(R"({"items":{"properties":{"p":{"writeOnly":true}}}})", R"([{"p":1,"q":2}])") == R"([{"p":"…","q":2}])");
    CHECK(hidden(R"({"$defs":{"login":{"properties":{"p":{"format":"password"}}}},"properties":{"a":{"$ref":"#/$defs/login"}}})", R"({"a":{"p":"x","u":"y"}})") == R"({"a":{"p":"…","u":"y"}})");
    CHECK(hidden(R"({"anyOf":[{"type":"null"},{"properties":{"p":{"format":"password"}}}]})", R"({"p":"x"})") == R"({"p":"…"})");
    CHECK(hidden(R"({"additionalProperties":{"writeOnly":true},"properties":{"u":{}}})", R"({"u":1,"v":2})") == R"({"u":1,"v":"…"})");
    CHECK(hidden(R"({"prefixItems":[{},{"format":"password"}]})", R"([1,2,3])") == R"([1,"…",3])");
    CHECK(hidden(R"({"$ref":"https://elsewhere.example/s.json"})", R"({"p":1})") == R"("…")");
    CHECK(hidden(R"({"anyOf":[{"$ref":"#"},{"$ref":"#"}]})", R"({"p":1})") == R"("…")");   // ends
    CHECK(hidden(R"({"properties":{"n":{"type":"number"}}})", R"({"n":1,"p":null})") == R"({"n":1,"p":null})");
    CHECK(hidden("null", R"({"n":1})") == R"({"n":1})");
}
