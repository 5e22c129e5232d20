#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"
#include "workflows/activities/registry.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

/// A kind of session that only these tests have: shop.open, shop.visit, shop.close.
void add_shop()
{
    using Kind = workflows::SessionRole::Kind;
    const Json with = json(R"({"type":"object","properties":{"session":{"type":"string"},"n":{}},"additionalProperties":false})");
    for (const auto& [name, kind] : {std::pair{"open", Kind::opens}, std::pair{"visit", Kind::uses}, std::pair{"close", Kind::closes}})
        workflows::register_activity({std::string("shop.") + name, "for tests", std::string("shop.") + name, with, Json(), {}, Json::object({{"call", std::string("shop.") + name}}), {}, {kind, "shop"}});
}

/// "open shop-1, visit shop-1, session.close shop-1": what was asked outside, in order.
std::string asked(const Ran& ran)
{
    std::string out;
    for (const EffectRequest& request : ran.requests)
        out += (out.empty() ? "" : ", ") + (request.effect.starts_with("shop.") ? request.effect.substr(5) : request.effect == "session.close" ? "end" : request.effect) + " " +
               request.with["session"].as_string();
    return out;
}

Ran flow(const std::string& tasks, const Answers& answers = {})
{
    add_shop();
    return run_flow("do: [ " + tasks + " ]", Json::object(), answers);
}

const std::string kOpen = "{ o: { call: shop.open } }", kVisit = "{ v: { call: shop.visit } }", kFail = "{ x: { raise: { error: { type: https://x.test/e, status: 418 } } } }";

}  // namespace

TEST_CASE("a session is used without a name by what follows, and closed at the end of the workflow", "[workflows][sessions]")
{
    const Ran ran = flow(kOpen + ", " + kVisit);
    CHECK(ran.phase == Phase::completed);
    CHECK(asked(ran) == "open shop-1, visit shop-1, end shop-1");
    CHECK(ran.requests.back().with["kind"] == Json("shop"));
}

TEST_CASE("the innermost session is used, a name finds another, and an unknown one is refused", "[workflows][sessions]")
{
    CHECK(asked(flow("{ a: { call: shop.open, with: { session: one } } }, " + kOpen + ", " + kVisit + ", { w: { call: shop.visit, with: { session: one } } }")) ==
          "open shop-1, open shop-2, visit shop-2, visit shop-1, end shop-2, end shop-1");
    const Ran none = flow(kVisit);
    CHECK(none.phase == Phase::faulted);
    CHECK_THAT(none.fault.detail, Catch::Contains("no shop session is open here"));
    CHECK(none.fault.instance == "/do/0/v");
    CHECK_THAT(flow("{ a: { call: shop.open, with: { session: one } } }, { w: { call: shop.visit, with: { session: two } } }").fault.detail, Catch::Contains("'two'") && Catch::Contains("open: one"));
}

TEST_CASE("a session that was closed is not used again, with or without its name", "[workflows][sessions]")
{
    const std::string close = "{ c: { call: shop.close } }";
    CHECK(asked(flow(kOpen + ", " + close)) == "open shop-1, close shop-1");
    const Ran ran = flow(kOpen + ", " + close + ", " + kVisit);
    CHECK(ran.phase == Phase::faulted);
    CHECK_THAT(ran.fault.detail, Catch::Contains("no shop session is open here"));
    CHECK(asked(flow(kOpen + ", { p: { call: shop.open } }, " + close + ", " + kVisit)) == "open shop-1, open shop-2, close shop-2, visit shop-1, end shop-1");
    const Ran named = flow("{ a: { call: shop.open, with: { session: one } } }, { c: { call: shop.close, with: { session: one } } }, { v: { call: shop.visit, with: { session: one } } }");
    CHECK(named.phase == Phase::faulted);
    CHECK_THAT(named.fault.detail, Catch::Contains("'one'"));
}

TEST_CASE("do, try, functions and awaited workflows are no boundary", "[workflows][sessions]")
{
    CHECK(asked(flow("{ d: { do: [ " + kOpen + " ] } }, " + kVisit)) == "open shop-1, visit shop-1, end shop-1");
    CHECK(asked(flow("{ t: { try: [ " + kOpen + " ], catch: {} } }, " + kVisit)) == "open shop-1, visit shop-1, end shop-1");
    add_shop();
    CHECK(asked(run_flow("use: { functions: { f: { call: shop.open } } }\ndo: [ { c: { call: f } }, " + kVisit + " ]")) == "open shop-1, visit shop-1, end shop-1");
    CHECK(asked(drive(lone("do: [ { r: { run: { workflow: { namespace: test, name: other, version: 1.0.0 } } } }, " + kVisit + " ]",
                           {{"other.yaml", "document: { dsl: 1.0.3, namespace: test, name: other, version: 1.0.0 }\ndo: [ " + kOpen + " ]"}}))) == "open shop-1, visit shop-1, end shop-1");
}

TEST_CASE("an iteration, a branch and a workflow beside close what they opened", "[workflows][sessions]")
{
    CHECK(asked(flow("{ f: { for: { in: '[1, 2]' }, do: [ " + kOpen + ", " + kVisit + " ] } }")) == "open shop-1, visit shop-1, end shop-1, open shop-2, visit shop-2, end shop-2");
    CHECK(asked(flow(kOpen + ", { f: { for: { in: '[1, 2]' }, do: [ " + kVisit + " ] } }")) == "open shop-1, visit shop-1, visit shop-1, end shop-1");
    CHECK_THAT(flow("{ f: { for: { in: '[1]' }, do: [ " + kOpen + " ] } }, " + kVisit).fault.detail, Catch::Contains("no shop session"));
    CHECK(asked(flow(kOpen + ", { f: { fork: { branches: [ { b: { do: [ " + kOpen + ", " + kVisit + " ] } } ] } } }, " + kVisit)) ==
          "open shop-1, open shop-2, visit shop-2, end shop-2, visit shop-1, end shop-1");
    CHECK(asked(flow(kOpen + ", { f: { fork: { branches: [ { b: { call: shop.visit } } ] } } }")) == "open shop-1, visit shop-1, end shop-1");
}

TEST_CASE("a failed attempt closes what it opened, and nothing else", "[workflows][sessions]")
{
    int tries = 0;
    const Answers flaky = [&](const EffectRequest& request) {
        if (request.effect == "shop.visit" && ++tries == 1) return Answer{.result = {}, .fault = workflows::Fault{"https://x.test/e", "", "", "", 503}};
        return Answer{};
    };
    CHECK(asked(flow(kOpen + ", { t: { try: [ " + kOpen + ", " + kVisit + " ], catch: { retry: { limit: { attempt: { count: 2 } } } } } }, { w: { call: shop.visit } }", flaky)) ==
          "open shop-1, open shop-2, visit shop-2, end shop-2, open shop-3, visit shop-3, visit shop-3, end shop-3, end shop-1");
    CHECK(asked(flow(kOpen + ", { t: { try: [ " + kOpen + ", " + kFail + " ], catch: { do: [ " + kVisit + " ] } } }")) == "open shop-1, open shop-2, end shop-2, visit shop-1, end shop-1");
}

TEST_CASE("faults, timeouts, cancelling and losing a race close sessions, too", "[workflows][sessions]")
{
    CHECK(asked(flow(kOpen + ", " + kFail)) == "open shop-1, end shop-1");
    const Answers stuck = [](const EffectRequest& request) { return Answer{.result = {}, .fault = {}, .never = request.effect == "shop.visit"}; };
    CHECK(asked(flow("{ f: { for: { in: '[1]' }, do: [ " + kOpen + ", " + kVisit + " ], timeout: { after: PT1S } } }", stuck)) == "open shop-1, visit shop-1, end shop-1");
    CHECK(asked(flow("{ f: { fork: { compete: true, branches: [ { a: { do: [ " + kOpen + ", { w: { wait: PT1H } } ] } }, { b: { wait: PT1S } } ] } } }, { z: { set: { n: 1 } } }")) == "open shop-1, end shop-1");
    add_shop();
    const Ran cancelled = drive(lone("do: [ " + kOpen + ", { w: { wait: PT1H } } ]"), {}, {}, {}, Milliseconds(1'000));
    CHECK(cancelled.phase == Phase::cancelled);
    CHECK(asked(cancelled) == "open shop-1, end shop-1");
}

TEST_CASE("one that did not open is not closed; one of which nobody knows is", "[workflows][sessions]")
{
    const Answers refuses = [](const EffectRequest& request) {
        if (request.effect == "shop.open") return Answer{.result = {}, .fault = workflows::Fault{"https://x.test/e", "", "", "", 503}};
        return Answer{};
    };
    CHECK(asked(flow("{ t: { try: [ " + kOpen + " ], catch: {} } }", refuses)) == "open shop-1");
    const Answers silent = [](const EffectRequest& request) { return Answer{.result = {}, .fault = {}, .never = request.effect == "shop.open"}; };
    CHECK(asked(flow("{ t: { try: [ { o: { call: shop.open, timeout: { after: PT1S } } } ], catch: {} } }", silent)) == "open shop-1, end shop-1");
    CHECK(asked(flow(kOpen + ", { c: { call: shop.close } }, { n: { set: { k: 1 } } }")) == "open shop-1, close shop-1");
}
