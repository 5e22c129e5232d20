#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

const std::string kSet = "{ a: { set: { n: 1 } } }";
std::string fail(int status = 503, const std::string& more = "") { return "raise: { error: { type: https://x.test/e, status: " + std::to_string(status) + more + " } }"; }

}  // namespace

TEST_CASE("a timeout may be named wherever a timeout stands", "[workflows][use]")
{
    const std::string use = "use: { timeouts: { short: { after: PT2S } } }\n";
    const auto ends = [&](const std::string& rest) { return drive(lone(use + rest)); };
    CHECK(ends("timeout: short\ndo: [ { w: { wait: PT1H } } ]").took == Milliseconds(2'000));
    CHECK(ends("do: [ { w: { wait: PT1H, timeout: short } } ]").fault.status == 408);
    CHECK(ends("do: [ { f: { for: { in: '[1]' }, do: [ { w: { wait: PT1H } } ], timeout: short } } ]").fault.instance == "/do/0/f");
    CHECK_THAT(findings(*lone("do: [ { w: { wait: PT1H, timeout: shrot } } ]")), Catch::Contains("flow.yaml:2:") && Catch::Contains("'shrot' is not declared in use.timeouts"));
    CHECK_THAT(findings(*lone("use: { timeouts: { a: { after: soon } } }\ndo: [ " + kSet + " ]")), Catch::Contains("'soon'"));
    CHECK_THAT(findings(*lone("use: { timeouts: { a: { before: PT1S } } }\ndo: [ " + kSet + " ]")), Catch::Contains("a timeout has no 'before'"));
    CHECK_THAT(findings(*lone("use: { timeouts: { a: PT1S } }\ndo: [ " + kSet + " ]")), Catch::Contains("a timeout is an object"));
}

TEST_CASE("errors and retry policies are checked where they are declared, used or not", "[workflows][use]")
{
    const auto words = [](const std::string& use) { return findings(*lone("use: { " + use + " }\ndo: [ " + kSet + " ]")); };
    CHECK(words("errors: { e: { type: https://x.test/e, status: 418, title: T, detail: D, instance: /x } }").empty());
    CHECK(words("errors: { e: { type: https://x.test/e, status: '${ .s }' } }").empty());
    CHECK_THAT(words("errors: { e: { type: https://x.test/e } }"), Catch::Contains("an error needs 'status'"));
    CHECK_THAT(words("errors: { e: { type: https://x.test/e, status: many } }"), Catch::Contains("'status' is a number"));
    CHECK_THAT(words("errors: { e: { type: 5, status: 5 } }"), Catch::Contains("'type' must be a string"));
    CHECK_THAT(words("errors: { e: { type: x, status: 5, code: 1 } }"), Catch::Contains("an error has no 'code'"));
    CHECK_THAT(words("retries: { r: { limits: {} } }"), Catch::Contains("'retry' has no 'limits'") && Catch::Contains("'limit'"));
    CHECK_THAT(words("retries: { r: { backoff: { constant: {}, linear: {} } } }"), Catch::Contains("exactly one"));
    CHECK_THAT(words("secrets: [ a, a ]"), Catch::Contains("declared twice"));
    CHECK_THAT(words("functions: { f: { sett: {} } }"), Catch::Contains("did you mean 'set'"));
    CHECK_THAT(findings(*lone("do: [ { r: { raise: { error: nowhere } } } ]")), Catch::Contains("'nowhere' is not declared in use.errors"));
    CHECK_THAT(findings(*lone("do: [ { t: { try: [ " + kSet + " ], catch: { retry: nowhere } } } ]")), Catch::Contains("'nowhere' is not declared in use.retries"));
}

TEST_CASE("the instance of an error is the task's own pointer, wherever it stands", "[workflows][errors]")
{
    const auto where = [](const std::string& flow) { return drive(lone(flow)).fault.instance; };
    CHECK(where("do: [ { a: { do: [ { b: { " + fail() + " } } ] } } ]") == "/do/0/a/do/0/b");
    CHECK(where("do: [ { a: { for: { in: '[1]' }, do: [ { b: { " + fail() + " } } ] } } ]") == "/do/0/a/do/0/b");
    CHECK(where("do: [ { a: { fork: { branches: [ { x: { wait: PT1S } }, { b: { " + fail() + " } } ] } } } ]") == "/do/0/a/fork/branches/1/b");
    CHECK(where("do: [ { a: { fork: { branches: [ { b: { do: [ { c: { " + fail() + " } } ] } } ] } } } ]") == "/do/0/a/fork/branches/0/b/do/0/c");
    CHECK(where("do: [ { a: { try: [ { b: { " + fail() + " } } ], catch: { errors: { with: { status: 1 } } } } } ]") == "/do/0/a/try/0/b");
    CHECK(where("do: [ { a: { try: [ { b: { " + fail() + " } } ], catch: { do: [ { c: { " + fail(500) + " } } ] } } } ]") == "/do/0/a/catch/do/0/c");
    CHECK(where("use: { functions: { f: { do: [ { b: { " + fail() + " } } ] } } }\ndo: [ { a: { call: f } } ]") == "/use/functions/f/do/0/b");
    CHECK(where("do: [ { 'a/b~c': { " + fail() + " } } ]") == "/do/0/a~1b~0c");
    CHECK(where("do: [ { a: { set: { x: '${ error(\"x\") }' } } } ]") == "/do/0/a");
    CHECK(where("do: [ { a: { wait: PT1H, timeout: { after: PT1S } } } ]") == "/do/0/a");
    CHECK(where("do: [ { a: { " + fail(503, ", instance: /mine") + " } } ]") == "/mine");
}

TEST_CASE("a filter of catch compares each member it names, detail in both spellings", "[workflows][errors]")
{
    const auto caught = [](const std::string& filter) {
        return drive(lone("do: [ { a: { try: [ { b: { " + fail(503, ", title: T, detail: D") + " } } ], catch: { errors: { with: " + filter + " }, do: [ { h: { set: { n: 1 } } } ] } } } ]")).phase ==
               Phase::completed;
    };
    for (const char* fits : {"{ type: https://x.test/e }", "{ status: 503 }", "{ title: T }", "{ detail: D }", "{ details: D }", "{ instance: /do/0/a/try/0/b }", "{ status: 503, title: T }", "{}"})
        CHECK(caught(fits));
    for (const char* other : {"{ type: https://x.test/f }", "{ status: 500 }", "{ title: U }", "{ detail: E }", "{ details: E }", "{ instance: /do/0/a }", "{ status: 503, title: U }"})
        CHECK_FALSE(caught(other));
}

TEST_CASE("a package that is kept starts any number of runs, one after the other and beside each other", "[workflows][expression]")
{
    const auto package = lone("do: [ { a: { set: { n: '${ .n + 1 }' } } }, { w: { wait: PT1S } }, { b: { set: { n: '${ .n * 2 }' } } } ]");
    CHECK(drive(package, json(R"({"n":1})")).words() == R"({"n":4})");
    CHECK(drive(package, json(R"({"n":2})")).words() == R"({"n":6})");
    const auto start = [&](int n) {
        workflows::RunOptions options;
        options.input = Json::object({{"n", n}});
        return std::move(*workflows::make_interpreter(package, options));
    };
    const auto one = start(1), two = start(2);
    FakeClock clock;
    for (int second = 0; second < 3; ++second, clock.advance(Milliseconds(1'000)))
        for (const auto& each : {one.get(), two.get()}) each->advance(clock.now(), clock.steady());
    CHECK(one->output() == json(R"({"n":4})"));
    CHECK(two->output() == json(R"({"n":6})"));
}

TEST_CASE("while and for together, in a fork, in a try that times out", "[workflows]")
{
    const Ran ran = drive(lone(R"(
do:
  - t:
      try:
        - f:
            fork:
              branches:
                - a: { for: { each: n, in: '[range(100)]' }, while: '$n < 3', do: [ { w: { wait: PT1S } } ] }
                - b: { wait: PT1H, timeout: { after: PT10S } }
      catch:
        errors: { with: { type: https://open-workflow-specification.org/spec/1.0.0/errors/timeout } }
        as: late
        do: [ { h: { set: { at: '${ $late.instance }' } } } ]
)"));
    CHECK(ran.words() == R"({"at":"/do/0/t/try/0/f/fork/branches/1/b"})");
    CHECK(ran.count("w", "completed") == 3);
    CHECK(ran.count("a", "completed") == 1);
    CHECK(ran.took == Milliseconds(10'000));
}
