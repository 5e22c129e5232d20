#include <set>

#include <catch2/catch.hpp>

#include "factory/api/api.h"
#include "factory/api/routes.h"
#include "factory/api/run_call.h"

using namespace mill;
using namespace mill::factory;
using Catch::Contains;

namespace {

Json json(std::string_view text)
{
    auto parsed = parse_json(text);
    REQUIRE(parsed);
    return *parsed;
}

}  // namespace

TEST_CASE("a placeholder that was sent as it stands is found wherever it is", "[factory][api]")
{
    CHECK(find_placeholder(json(R"("${invocation_context}")")) == "/");
    CHECK(find_placeholder(json(R"({"conversationId":"{{conversation_id}}"})")) == "/conversationId");
    CHECK(find_placeholder(json(R"({"a":[{"b":"${ output.order.id }"}]})")) == "/a/0/b");
    CHECK(find_placeholder(json(R"({"a":"${ .a + 1 }","b":"costs $5 {now}","c":"say ${x} twice","d":"${}","e":"{{}}"})")).empty());
}

TEST_CASE("the sample payload sent literally is refused with the explanation", "[factory][api]")
{
    const auto call = parse_run_call(json(R"({"invocationContext":"${invocation_context}","input":{}})"), true);
    REQUIRE_FALSE(call);
    CHECK(call.error().code == Errc::invalid);
    CHECK_THAT(call.error().what, Contains("/invocationContext") && Contains("${invocation_context}") && Contains("placeholder") && Contains("conversationId"));
    CHECK_THAT(parse_run_call(json(R"({"input":{"order":["x","${output.id}"]}})"), false).error().what, Contains("/input/order/1"));
}

TEST_CASE("a run call takes its two members and SAP's token, nothing else", "[factory][api]")
{
    const auto sap = parse_run_call(json(R"({"irpaTriggerToken":"mw_trigger_x","invocationContext":{"a":1}})"), true);
    REQUIRE(sap);
    CHECK(sap->token == "mw_trigger_x");
    CHECK(sap->context == json(R"({"a":1})"));
    CHECK(sap->input == json("{}"));
    CHECK_THAT(parse_run_call(json(R"({"irpaTriggerToken":"x"})"), false).error().what, Contains("'irpaTriggerToken' is not known here"));
    CHECK_THAT(parse_run_call(json(R"({"inputs":{},"input":3})"), true).error().what, Contains("'inputs' is not known here") && Contains("'input' must be an object"));
    CHECK_THAT(parse_run_call(json("[1]"), true).error().what, Contains("must be an object"));
}

TEST_CASE("the caller's input lies over the trigger's own", "[factory][api]")
{
    CHECK(protocol::merge_input(json(R"({"region":"eu","deep":{"a":1,"b":2},"list":[1]})"), json(R"({"deep":{"b":3},"list":[2],"order":"x"})")) ==
          json(R"({"region":"eu","deep":{"a":1,"b":3},"list":[2],"order":"x"})"));
    CHECK(protocol::merge_input(json(R"({"a":1})"), json("{}")) == json(R"({"a":1})"));
}

TEST_CASE("a sample has what the schema requires, with its own examples", "[factory][api]")
{
    const Json schema = json(R"({"type":"object","required":["order","count","kind","tags","who"],"properties":{"order":{"type":"string","examples":["4711"]},
        "count":{"type":"integer","minimum":3},"kind":{"enum":["a","b"]},"tags":{"type":"array","minItems":1,"items":{"type":"string"}},
        "who":{"type":"object","required":["name"],"properties":{"name":{"type":"string","default":"anna"}}},"extra":{"type":"string"}}})");
    CHECK(sample_of(schema) == json(R"({"order":"4711","count":3,"kind":"a","tags":["example"],"who":{"name":"anna"}})"));
    CHECK(sample_of(Json()) == Json("example"));
}

TEST_CASE("a path finds its route, its parameters and the methods it has", "[factory][api]")
{
    const auto job = match_route("GET", "/v1/jobs/a%2Fb/log");
    REQUIRE(job);
    REQUIRE(job->route != nullptr);
    CHECK(job->route->pattern == "/v1/jobs/{uid}/log");
    CHECK(job->path.at("uid") == "a/b");

    const auto wrong = match_route("DELETE", "/v1/jobs/1");
    REQUIRE(wrong);
    CHECK(wrong->route == nullptr);
    CHECK(wrong->allowed == std::vector<std::string_view>{"GET"});
    CHECK(match_route("GET", "/v1/nothing")->allowed.empty());
    CHECK(match_route("GET", "/v1/jobs/")->allowed.empty());
    CHECK(match_route("GET", "/")->route->pattern == "/");
    CHECK(match_route("GET", "//")->allowed.empty());
    CHECK(match_route("POST", "/v1/agents/invitations")->route->pattern == "/v1/agents/invitations");
    CHECK(match_route("PATCH", "/v1/agents/srv-1")->route->pattern == "/v1/agents/{name}");
    CHECK_FALSE(match_route("GET", "/v1/jobs/%zz"));
    CHECK_FALSE(match_route("GET", "/v1/jobs/a%00b"));
}

TEST_CASE("each path has the body limit of its route, an unknown one the smallest", "[factory][api]")
{
    CHECK(api_body_limit("PUT", "/v1/packages/a/1.0.0") == 256u * 1024 * 1024);
    CHECK(api_body_limit("POST", "/agent/v1/events") == 20u * 1024 * 1024);
    CHECK(api_body_limit("POST", "/v1/triggers/x/runs") == 1024u * 1024);
    CHECK(api_body_limit("POST", "/anything/else") == 64u * 1024);
}

TEST_CASE("no two routes have the same method and pattern", "[factory][api]")
{
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const Route& route : routes()) {
        INFO(route.method << " " << route.pattern);
        CHECK(seen.emplace(route.method, route.pattern).second);
        CHECK(route.handler != nullptr);
        CHECK_FALSE(route.summary.empty());
    }
}
