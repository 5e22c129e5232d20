// Rights in the table, tokens that are lent, tags, limits, networks of triggers, prune.
#include <set>

#include <catch2/catch.hpp>
#include <fmt/format.h>

#include "factory/api/rights.h"
#include "factory/api/routes.h"
#include "platform/base/encode.h"
#include "tests/unit/factory_api/factory.h"

using namespace mill;
using namespace std::chrono_literals;
using mill::factory::About;
using mill::factory::Access;
using mill::factory::Area;
using mill::test::Answer;
using mill::test::Factory;
using Catch::Contains;

namespace {

std::string made(const Answer& answer)
{
    INFO(answer.text);
    REQUIRE(answer.status == 201);
    return answer.json["token"].as_string();
}

/// A clock that a test moves, beside the factory's own.
struct Moved {
    FakeClock clock;
    factory::ApiOptions options;
    explicit Moved(factory::Rates rates = {})
    {
        options.clock = &clock;
        options.rates = rates;
    }
};

std::string basic(std::string_view id, std::string_view secret) { return "Basic " + to_base64(fmt::format("{}:{}", id, secret)); }

const test::Headers kForm{{"content-type", "application/x-www-form-urlencoded"}};

}  // namespace

TEST_CASE("each route that a role opens stands in the table of rights", "[factory][access]")
{
    std::size_t of_roles = 0;
    for (const factory::Route& route : factory::routes()) {
        INFO(route.method << ' ' << route.pattern);
        const factory::Right right = factory::right_of(route);
        if (route.access == Access::viewer || route.access == Access::operate || route.access == Access::developer || route.access == Access::admin) {
            ++of_roles;
            CHECK(right.area != Area::none);
        }
        // A thing that is named is looked at; only what belongs to the factory, or to all, is not. A question's own handlers hide it elsewhere.
        if (route.pattern.find('{') != std::string_view::npos && right.about == About::list)
            CHECK((route.pattern.starts_with("/v1/packages/") || route.pattern.starts_with("/v1/tokens/") || route.pattern.starts_with("/v1/questions/")));
    }
    CHECK(of_roles > 70);
    const factory::Route unknown{"GET", "/v1/news", Access::viewer, nullptr, "", {}, 0};
    CHECK(factory::right_of(unknown).about == About::factory);   // whoever forgets a line opens nothing
    CHECK(factory::right_of(unknown).area == Area::none);
}

TEST_CASE("a role holds where it was given", "[factory][access]")
{
    using factory::Identity;
    using factory::Place;
    using factory::Role;
    const Identity here{.kind = "user", .id = "i", .subject = "s", .role = Role::operate, .environments = {"a", "b"}, .scopes = factory::Scopes::everything()};
    CHECK(here.has(Role::operate, {Place::Of::all, {"a"}}));
    CHECK(here.has(Role::viewer, {Place::Of::all, {"a", "b"}}));
    CHECK_FALSE(here.has(Role::viewer, {Place::Of::all, {"a", "c"}}));
    CHECK(here.has(Role::viewer, {Place::Of::any, {"a", "c"}}));
    CHECK_FALSE(here.has(Role::viewer, {Place::Of::any, {"c"}}));
    CHECK_FALSE(here.has(Role::developer, {Place::Of::all, {"a"}}));
    CHECK_FALSE(here.has(Role::viewer, {}));
    CHECK_FALSE(here.has(Role::viewer, {Place::Of::all, {}}));
    CHECK(here.has(Role::viewer, {Place::Of::anywhere, {}}));
    Identity everywhere = here;
    everywhere.environments.clear();
    CHECK(everywhere.has(Role::operate, {}));
    CHECK(everywhere.covers(here));
    CHECK_FALSE(here.covers(everywhere));
    Identity narrow = here;
    narrow.scopes = factory::Scopes::nothing();
    REQUIRE(narrow.scopes.add("jobs:read"));
    CHECK(here.covers(narrow));
    CHECK_FALSE(narrow.covers(here));
    CHECK(narrow.scopes.has(Area::jobs, false));
    CHECK_FALSE(narrow.scopes.has(Area::jobs, true));
    CHECK_FALSE(narrow.scopes.has(Area::none, false));
    CHECK(narrow.scopes.words() == std::vector<std::string>{"jobs:read"});
    for (const char* wrong : {"", "jobs:write", "job", "jobs:", "*", "jobs:read "}) CHECK_FALSE(narrow.scopes.add(wrong));
}

TEST_CASE("a token is swapped for one that lives for an hour and may do less", "[factory][oauth]")
{
    Moved moved;
    Factory factory(moved.options);
    factory.deploy();
    const Answer user = factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"tool","role":"operator","environments":["it-services"]})");
    const std::string token = made(user), id = user.json["id"].as_string();
    const auto ask = [&](std::string_view body, std::string_view authorization = {}) {
        test::Headers headers = kForm;
        if (!authorization.empty()) headers.emplace_back("authorization", authorization);
        return factory.call("POST", "/oauth/token", body, headers);
    };
    const Answer granted = ask("grant_type=client_credentials", basic(id, token));
    REQUIRE(granted.status == 200);
    const std::string access = granted.json["access_token"].as_string();
    CHECK(access != token);
    CHECK(granted.json["token_type"] == Json("Bearer"));
    CHECK(granted.json["expires_in"] == Json(3600));
    CHECK(granted.headers.at("Cache-Control") == "no-store");
    CHECK(factory.with_token(access, "GET", "/v1/session").json["role"] == Json("operator"));
    CHECK(factory.with_token(access, "GET", "/v1/jobs").status == 200);
    CHECK(factory.with_token(access, "GET", "/v1/audit").status == 403);

    SECTION("narrowed by scopes, and never widened")
    {
        const Answer narrow = ask(fmt::format("grant_type=client_credentials&client_id={}&client_secret={}&scope=jobs:read+runs", id, token));
        REQUIRE(narrow.status == 200);
        CHECK(narrow.json["scope"] == Json("runs jobs:read"));
        const std::string less = narrow.json["access_token"].as_string();
        CHECK(factory.with_token(less, "GET", "/v1/jobs").status == 200);
        CHECK(factory.with_token(less, "GET", "/v1/agents").status == 403);
        const std::string scoped = made(factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"s","role":"viewer","scopes":["jobs:read"]})"));
        const Answer wide = ask(fmt::format("grant_type=client_credentials&client_id=s&client_secret={}&scope=jobs", scoped));
        CHECK(wide.status == 400);
        CHECK(wide.json["error"] == Json("invalid_scope"));
    }
    SECTION("it ends: by time, with its token, and when one bit of it is another")
    {
        std::string forged = access;
        for (const std::size_t at : {std::size_t(24), std::size_t(33), std::size_t(39), access.size() - 1}) {
            forged = access;
            forged[at] = forged[at] == '0' ? '1' : '0';
            CHECK(factory.with_token(forged, "GET", "/v1/session").status == 401);
        }
        moved.clock.advance(59min);
        CHECK(factory.with_token(access, "GET", "/v1/session").status == 200);
        moved.clock.advance(2min);
        const Answer late = factory.with_token(access, "GET", "/v1/session");
        CHECK(late.status == 401);
        CHECK_THAT(late.detail(), Contains("expired"));
        const std::string again = ask("grant_type=client_credentials", basic(id, token)).json["access_token"].as_string();
        CHECK(factory.as_admin("DELETE", "/v1/tokens/" + id).status == 204);
        CHECK(factory.with_token(again, "GET", "/v1/session").status == 401);
    }
    SECTION("it is not lent again")
    {
        CHECK(ask("grant_type=client_credentials", basic(id, access)).json["error"] == Json("invalid_client"));
    }
    SECTION("it holds over a restart")
    {
        factory.restart();
        CHECK(factory.with_token(access, "GET", "/v1/session").status == 200);
    }
    SECTION("refusals are those of RFC 6749")
    {
        CHECK(ask("").json["error"] == Json("invalid_request"));
        CHECK(ask("grant_type=password").json["error"] == Json("unsupported_grant_type"));
        CHECK(ask("grant_type=client_credentials&scope=moon", basic(id, token)).json["error"] == Json("invalid_scope"));
        CHECK(ask("grant_type=client_credentials&client_id=x&client_secret=y", basic(id, token)).json["error"] == Json("invalid_request"));
        const Answer unknown = ask("grant_type=client_credentials", basic(id, "mw_user_aaaaaaaaaaaa_" + std::string(64, '0')));
        CHECK(unknown.status == 401);
        CHECK(unknown.json["error"] == Json("invalid_client"));
        CHECK(unknown.type == "application/json");
        CHECK(unknown.json["code"] == Json("oauth"));
        CHECK(unknown.headers.at("WWW-Authenticate").starts_with("Basic"));
        CHECK(ask("grant_type=client_credentials", basic("another", token)).status == 401);
    }
    CHECK_THAT(factory.as_admin("GET", "/v1/audit?action=use&kind=Token").text, Contains(id) && !Contains(token.substr(25)) && !Contains(access.substr(27)));
}

TEST_CASE("who has no valid token is slowed down, and nobody with one is", "[factory][limits]")
{
    Moved moved({.token = {5, 10}, .address = {1000, 1000}, .agents = {1000, 1000}, .failures = {1, 3}, .loopback = 1});
    Factory factory(moved.options);
    const auto wrong = [&] { return factory.with_token("mw_user_aaaaaaaaaaaa_" + std::string(64, '0'), "GET", "/v1/session"); };
    for (int i = 0; i < 3; ++i) CHECK(wrong().status == 401);
    const Answer refused = wrong();
    CHECK(refused.status == 429);
    CHECK(refused.json["code"] == Json("too_many"));
    CHECK(refused.headers.at("Retry-After") == "1");
    CHECK(factory.call("POST", "/oauth/token", "grant_type=client_credentials&client_id=a&client_secret=b", kForm).status == 429);
    CHECK(factory.as_admin("GET", "/v1/session").status == 200);
    factory.remote = "192.0.2.9";
    CHECK(wrong().status == 401);
    factory.remote = "127.0.0.1";
    moved.clock.advance(1s);
    CHECK(wrong().status == 401);

    for (int i = 0; i < 14; ++i) (void)factory.as_admin("GET", "/v1/session");
    const Answer often = factory.as_admin("GET", "/v1/session");
    CHECK(often.status == 429);
    CHECK_THAT(often.detail(), Contains("calls with token"));
    CHECK(factory.call("GET", "/healthz").status == 200);
    CHECK_THAT(factory.call("GET", "/metrics").text, Contains("millwright_http_limited_total 7"));
}

TEST_CASE("an address has a budget, its agents have their own", "[factory][limits]")
{
    Moved moved({.token = {1000, 1000}, .address = {1, 3}, .agents = {1, 5}, .failures = {100, 100}, .loopback = 1});
    Factory factory(moved.options);
    for (int i = 0; i < 3; ++i) CHECK(factory.call("GET", "/healthz").status == 200);
    CHECK(factory.call("GET", "/healthz").status == 429);
    for (int i = 0; i < 5; ++i) CHECK(factory.call("POST", "/agent/v1/offers", "{}").status == 401);
    CHECK(factory.call("POST", "/agent/v1/offers", "{}").status == 429);
    factory.remote = "192.0.2.9";
    CHECK(factory.call("GET", "/healthz").status == 200);
}

TEST_CASE("a trigger's token works from the networks that the trigger allows", "[factory][limits]")
{
    Factory factory;
    factory.deploy();
    const std::string token = factory.trigger_token();
    const auto put = [&](std::string_view allow) { return factory.as_admin("PUT", "/v1/triggers/order-status-api", fmt::format(R"({{"deployment":"order-status","allow":{}}})", allow)); };
    CHECK(put(R"(["192.0.2.0/24","2001:db8::/32"])").status == 200);
    const auto run = [&] { return factory.with_token(token, "POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})"); };
    const Answer refused = run();
    CHECK(refused.status == 403);
    CHECK(refused.json["code"] == Json("address"));
    CHECK_THAT(refused.detail(), Contains("127.0.0.1") && Contains("allow"));
    CHECK(factory.call("POST", "/apitrigger/v1/triggers/order-status-api/run", R"({"input":{"order":"1"}})", {{"irpa-trigger-token", token}}).status == 403);
    CHECK(factory.as_admin("POST", "/v1/triggers/order-status-api/runs", R"({"input":{"order":"1"}})").status == 202);   // a role holds from everywhere
    for (const char* address : {"192.0.2.77", "2001:db8::5", "::ffff:192.0.2.1"}) {
        factory.remote = address;
        CHECK(run().status == 202);
    }
    factory.remote = "2001:db9::5";
    CHECK(run().status == 403);
    factory.remote = "127.0.0.1";
    for (const char* wrong : {R"(["192.0.2.1/24"])", R"(["somewhere"])", "[]", "[1]"}) CHECK(put(wrong).status == 400);
}

TEST_CASE("a resource has a tag, and a stale one changes nothing", "[factory][etag]")
{
    Factory factory;
    factory.deploy();
    const Answer first = factory.as_admin("GET", "/v1/triggers/order-status-api");
    const std::string tag = first.headers.at("ETag");
    CHECK(factory.as_admin("GET", "/v1/triggers/order-status-api", "", {{"if-none-match", tag}}).status == 304);
    CHECK(factory.as_admin("GET", "/v1/triggers/order-status-api", "", {{"if-none-match", "\"x\", W/" + tag}}).status == 304);
    const std::string token = made(factory.as_admin("POST", "/v1/tokens", R"({"kind":"user","name":"anna","role":"developer"})"));
    const Answer changed = factory.with_token(token, "PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","priority":70})", {{"if-match", tag}});
    REQUIRE(changed.status == 200);
    CHECK(changed.headers.at("ETag") != tag);
    CHECK(factory.as_admin("GET", "/v1/triggers/order-status-api", "", {{"if-none-match", tag}}).status == 200);

    const Answer stale = factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status","priority":20})", {{"if-match", tag}});
    CHECK(stale.status == 412);
    CHECK(stale.json["code"] == Json("changed"));
    CHECK(stale.json["changedBy"] == Json("user anna"));
    CHECK(stale.json["etag"] == Json(changed.headers.at("ETag")));
    CHECK(dump_json(stale.json["differences"]) == R"([{"path":"/priority","from":70,"to":20}])");
    CHECK(factory.as_admin("DELETE", "/v1/triggers/order-status-api", "", {{"if-match", tag}}).status == 412);
    CHECK(factory.as_admin("PUT", "/v1/triggers/order-status-api", R"({"deployment":"order-status"})", {{"if-none-match", "*"}}).status == 412);
    CHECK(factory.as_admin("PUT", "/v1/environments/new", "{}", {{"if-match", "*"}}).status == 412);
    CHECK(factory.as_admin("PUT", "/v1/environments/new", "{}", {{"if-none-match", "*"}}).status == 201);
    CHECK(factory.as_admin("DELETE", "/v1/triggers/order-status-api", "", {{"if-match", changed.headers.at("ETag")}}).status == 204);
}

TEST_CASE("apply prunes what its source no longer has, and nothing else", "[factory][prune]")
{
    Factory factory;
    factory.deploy();   // of no source
    const auto apply = [&](std::string_view names, std::string_view more) {
        std::string documents;
        for (const char name : names) documents += fmt::format(R"({}{{"kind":"Environment","name":"env-{}"}})", documents.empty() ? "" : ",", name);
        return factory.as_admin("POST", "/v1/apply", fmt::format(R"({{"documents":[{}]{}}})", documents, more));
    };
    const auto there = [&](char name) { return factory.as_admin("GET", fmt::format("/v1/environments/env-{}", name)).status == 200; };
    REQUIRE(apply("abc", R"(,"source":"team-1")").status == 200);
    REQUIRE(apply("x", R"(,"source":"team-2")").status == 200);
    CHECK(factory.as_admin("GET", "/v1/environments/env-a").json["status"]["source"] == Json("team-1"));
    const std::uint64_t generation = static_cast<std::uint64_t>(factory.as_admin("GET", "/v1/environments/env-a").json["status"]["generation"].as_integer());

    SECTION("a dry run shows it")
    {
        const Answer dry = apply("ab", R"(,"source":"team-1","prune":true,"dryRun":true)");
        CHECK(dry.status == 200);
        CHECK_THAT(dry.text, Contains(R"("name":"env-c","result":"deleted")"));
        CHECK(there('c'));
    }
    SECTION("and then it goes")
    {
        CHECK(apply("ab", R"(,"source":"team-1","prune":true)").status == 200);
        CHECK_FALSE(there('c'));
        CHECK((there('a') && there('b') && there('x')));
        CHECK(factory.as_admin("GET", "/v1/environments/it-services").status == 200);
        CHECK(factory.as_admin("GET", "/v1/environments/env-a").json["status"]["generation"] == Json(generation));
        CHECK_THAT(factory.as_admin("GET", "/v1/audit?action=delete").text, Contains("env-c"));
    }
    SECTION("never all of it by mistake")
    {
        CHECK(apply("", R"(,"source":"team-1","prune":true)").status == 400);
        const Answer other = apply("y", R"(,"source":"team-1","prune":true)");
        CHECK(other.status == 409);
        CHECK(other.json["code"] == Json("prune_all"));
        CHECK((there('a') && !there('y')));
        CHECK(apply("y", R"(,"source":"team-1","prune":true,"force":true)").status == 200);
        CHECK((!there('a') && !there('b') && !there('c') && there('y')));
    }
    SECTION("what others need stays, and nothing is written")
    {
        REQUIRE(factory.as_admin("POST", "/v1/apply", R"({"documents":[{"kind":"Deployment","name":"needs","package":"order-status@1.2.0","environment":"env-c"}]})").status == 200);
        const Answer needed = apply("abz", R"(,"source":"team-1","prune":true)");
        CHECK(needed.status == 409);
        CHECK(needed.json["code"] == Json("in_use"));
        CHECK_THAT(needed.detail(), Contains("Deployment 'needs'"));
        CHECK_FALSE(there('z'));
    }
    SECTION("of another source only when that is said")
    {
        CHECK(apply("x", R"(,"source":"team-1")").status == 409);
        CHECK(apply("x", R"(,"source":"team-1","force":true)").status == 200);
        CHECK(factory.as_admin("GET", "/v1/environments/env-x").json["status"]["source"] == Json("team-1"));
        CHECK(apply("x", "").status == 200);   // without a source it stays whose it is
        CHECK(factory.as_admin("GET", "/v1/environments/env-x").json["status"]["source"] == Json("team-1"));
    }
    CHECK(apply("a", R"(,"prune":true)").status == 400);
}
