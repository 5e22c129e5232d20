// Timeouts, and what is cancelled when branches lose, fault or end.
#include <algorithm>

#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

const Answers kNever = [](const EffectRequest&) { return never(); };
const std::string kCaught = "catch: { do: [ { h: { set: { status: '${ $error.status }', at: '${ $error.instance }' } } } ] }";

std::vector<std::uint64_t> ids(const Ran& ran)
{
    std::vector<std::uint64_t> out;
    for (const EffectRequest& request : ran.requests) out.push_back(request.id);
    return out;
}

std::vector<std::uint64_t> sorted(std::vector<std::uint64_t> all)
{
    std::sort(all.begin(), all.end());
    return all;
}

}  // namespace

TEST_CASE("each kind of task that takes time obeys its timeout, in its own name", "[workflows][rules]")
{
    for (const std::string body : {"wait: PT1H", "do: [ { i: { wait: PT1H } } ]", "for: { in: '[1,2]' }, do: [ { i: { wait: PT40M } } ]", "fork: { branches: [ { i: { wait: PT1H } } ] }",
                                   "try: [ { i: { wait: PT1H } } ], catch: {}", "call: http, with: { method: get, endpoint: http://x.test/ }", "call: f",
                                   "run: { shell: { command: sleep } }"}) {
        INFO(body);
        const Ran ran = run_flow("use: { functions: { f: { wait: PT1H } } }\ndo: [ { t: { try: [ { x: { timeout: { after: PT1M }, " + body + " } } ], " + kCaught + " } } ]", {}, kNever);
        CHECK(ran.words() == R"({"status":408,"at":"/do/0/t/try/0/x"})");
        CHECK(ran.took == Milliseconds(60'000));
        CHECK(sorted(ran.cancelled) == ids(ran));
        CHECK(ran.count("x", "faulted") == 1);
    }
}

TEST_CASE("a task that ends in time is not touched by its timeout later", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { a: { timeout: { after: PT10S }, wait: PT9S } }, { b: { wait: PT20S } }, { c: { set: { n: 1 } } } ]");
    CHECK(ran.words() == R"({"n":1})");
    CHECK(ran.took == Milliseconds(29'000));
}

TEST_CASE("the innermost of nested timeouts that is over first is the one that is raised; at the same moment the outer", "[workflows][rules]")
{
    const auto at = [](const std::string& outer, const std::string& inner) {
        return run_flow("do: [ { t: { try: [ { o: { timeout: { after: " + outer + " }, do: [ { i: { timeout: { after: " + inner + " }, wait: PT1H } } ] } } ], " + kCaught + " } } ]").output["at"].as_string();
    };
    CHECK(at("PT9S", "PT5S") == "/do/0/t/try/0/o/do/0/i");
    CHECK(at("PT5S", "PT9S") == "/do/0/t/try/0/o");
    CHECK(at("PT5S", "PT5S") == "/do/0/t/try/0/o");
}

TEST_CASE("a timeout inside of a timed task may be handled there, and the time goes on", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { o: { timeout: { after: PT10S }, do: [ { t: { try: [ { i: { timeout: { after: PT4S }, wait: PT1H } } ], catch: {} } }, { w: { wait: PT5S } }, { s: { set: { n: 1 } } } ] } } ]");
    CHECK(ran.words() == R"({"n":1})");
    CHECK(ran.took == Milliseconds(9'000));
    CHECK(run_flow("do: [ { o: { timeout: { after: PT10S }, do: [ { t: { try: [ { i: { timeout: { after: PT4S }, wait: PT1H } } ], catch: {} } }, { w: { wait: PT7S } } ] } } ]").took == Milliseconds(10'000));
}

TEST_CASE("a timeout within a branch is the branch's to handle; unhandled it is the fork's fault", "[workflows][rules]")
{
    const std::string slow = "{ timeout: { after: PT2S }, call: http, with: { method: get, endpoint: http://x.test/ } }";
    const Ran handled = run_flow("do: [ { f: { fork: { branches: [ { a: { try: [ { s: " + slow + " } ], catch: { do: [ { h: { set: { late: true } } } ] } } }, { b: { do: [ { w: { wait: PT5S } }, { s: { set: { n: 1 } } } ] } } ] } } } ]", {}, kNever);
    CHECK(handled.words() == R"([{"late":true},{"n":1}])");
    CHECK(handled.cancelled.size() == 1);
    const Ran raised = run_flow("do: [ { t: { try: [ { f: { fork: { branches: [ { a: " + slow + " }, { b: { wait: PT5S } } ] } } } ], " + kCaught + " } } ]", {}, kNever);
    CHECK(raised.words() == R"({"status":408,"at":"/do/0/t/try/0/f/fork/branches/0/a"})");
    CHECK(raised.took == Milliseconds(2'000));
    CHECK(raised.count("b", "cancelled") == 1);
}

TEST_CASE("a fork's timeout inside a try that retries: each attempt is timed anew", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { t: { try: [ { f: { timeout: { after: PT2S }, fork: { branches: [ { a: " + get("a") + " }, { b: " + get("b") + " } ] } } } ],"
                             " catch: { retry: { delay: PT1S, limit: { attempt: { count: 2 } } } } } } ]", {}, kNever);
    CHECK(kind_of(ran.fault) == "timeout");
    CHECK(ran.took == Milliseconds(2'000 * 3 + 1'000 * 2));
    CHECK(ran.requests.size() == 6);
    CHECK(sorted(ran.cancelled) == ids(ran));
}

TEST_CASE("the workflow's timeout is caught by nothing within it and cancels all that runs", "[workflows][rules]")
{
    const Ran ran = run_flow("timeout: { after: PT5S }\ndo: [ { t: { try: [ { f: { fork: { branches: [ { a: " + get() + " }, { b: { wait: PT1H } } ] } } } ], " + kCaught + " } } ]", {}, kNever);
    CHECK(ran.phase == Phase::faulted);
    CHECK(kind_of(ran.fault) == "timeout");
    CHECK(ran.fault.status == 408);
    CHECK(ran.fault.instance == "/");
    CHECK(ran.took == Milliseconds(5'000));
    CHECK(ran.cancelled == ids(ran));
    for (const std::string task : {"t", "f", "a", "b"}) CHECK(ran.count(task, "cancelled") == 1);
}

TEST_CASE("a sub-workflow's timeout can be caught by the task around its call", "[workflows][rules]")
{
    const auto package = lone("do: [ { t: { try: [ { r: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } } ], catch: { do: [ { h: { set: '${ $error.status }' } } ] } } } ]",
                              {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ntimeout: { after: PT3S }\ndo: [ { a: " + get() + " } ]"}});
    const Ran ran = drive(package, {}, kNever);
    CHECK(ran.words() == "408");
    CHECK(ran.took == Milliseconds(3'000));
    CHECK(ran.cancelled.size() == 1);
}

TEST_CASE("timeouts by name, by expression, and in every spelling of a duration", "[workflows][rules]")
{
    const auto took = [](const std::string& head, const std::string& timeout) {
        return run_flow(head + "do: [ { x: { timeout: " + timeout + ", input: { from: '{}' }, wait: PT1H } } ]", json(R"({"n":7})")).took.count();
    };
    CHECK(took("use: { timeouts: { short: { after: { seconds: 7 } } } }\n", "short") == 7'000);
    CHECK(took("", "{ after: { seconds: 5, milliseconds: 250 } }") == 5'250);
    CHECK(took("", "{ after: '${ {seconds: .n} }' }") == 7'000);
    CHECK(took("use: { timeouts: { short: { after: PT4S } } }\ntimeout: short\n", "{ after: PT1H }") == 4'000);
    CHECK(took("timeout: { after: '${ {seconds: $workflow.input.n} }' }\n", "{ after: PT1H }") == 7'000);
    CHECK_THAT(findings(*lone("do: [ { x: { timeout: short, wait: PT1H } } ]")), Catch::Contains("'short' is not declared in use.timeouts"));
}

TEST_CASE("an effect learns the nearest of all timeouts around it, and none where there is none", "[workflows][rules]")
{
    const auto told = [](const std::string& flow) { return run_flow(flow, {}, flaky(0)).requests.at(0).timeout; };
    CHECK(told("do: [ { a: " + get() + " } ]") == std::nullopt);
    CHECK(told("timeout: { after: PT9S }\ndo: [ { a: " + get() + " } ]") == Milliseconds(9'000));
    CHECK(told("timeout: { after: PT9S }\ndo: [ { w: { wait: PT2S } }, { a: { timeout: { after: PT8S }, do: [ { b: " + get() + " } ] } } ]") == Milliseconds(7'000));
    CHECK(told("timeout: { after: PT9S }\ndo: [ { a: { timeout: { after: PT3S }, fork: { branches: [ { b: { fork: { branches: [ { c: " + get() + " } ] } } } ] } } } ]") == Milliseconds(3'000));
}

TEST_CASE("what loses a competition is cancelled however deep it stands: effects, timers, sub-workflows", "[workflows][rules]")
{
    const auto package = lone(R"(
do:
  - race:
      fork:
        compete: true
        branches:
          - deep: { do: [ { l: { for: { in: '[1]' }, do: [ { t: { try: [ { f: { fork: { branches: [ { a: )" + get("a") + " }, { b: " + get("b") + R"( } ] } } } ], catch: { do: [ { h: { set: { wrong: 1 } } } ] } } } ] } } ] }
          - sub: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } }
          - late: { do: [ { w: { wait: PT9S } }, { s: { set: { is: late } } } ] }
          - quick: { do: [ { w: { wait: PT1S } }, { s: { set: { is: quick } } } ] }
  - after: { do: [ { w: { wait: PT20S } }, { s: { set: '${ . }' } } ] }
)", {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { c: " + get("c") + " } ]"}});
    const Ran ran = drive(package, {}, kNever);
    CHECK(ran.words() == R"({"is":"quick"})");
    CHECK(ran.took == Milliseconds(21'000));
    CHECK(ran.requests.size() == 3);
    CHECK(sorted(ran.cancelled) == ids(ran));
    for (const std::string task : {"deep", "l", "t", "f", "a", "b", "sub", "c", "late"}) {
        INFO(task);
        CHECK(ran.count(task, "cancelled") == 1);
        CHECK(ran.count(task, "completed") == 0);
    }
    CHECK(ran.count("h", "completed") == 0);
    CHECK_THAT(lifecycle(ran), Catch::Contains("workflow.cancelled"));
}

TEST_CASE("of a competition's branches that are done at once the first declared wins", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { f: { fork: { compete: true, branches: [ { a: { set: { is: a } } }, { b: { set: { is: b } } } ] } } } ]");
    CHECK(ran.words() == R"({"is":"a"})");
}

TEST_CASE("a fault in a branch is the fork's, in a competition too, and cancels the effects of its siblings", "[workflows][rules]")
{
    for (const std::string compete : {"true", "false"}) {
        const Ran ran = run_flow("do: [ { t: { try: [ { f: { fork: { compete: " + compete + ", branches: [ { a: " + get() + " }, { b: { do: [ { w: { wait: PT1S } }, { no: { raise: { error: { type: t, status: 418 } } } } ] } } ] } } } ], " +
                                 kCaught + " } } ]", {}, kNever);
        CHECK(ran.words() == R"({"status":418,"at":"/do/0/t/try/0/f/fork/branches/1/b/do/1/no"})");
        CHECK(ran.cancelled == ids(ran));
        CHECK(ran.count("a", "cancelled") == 1);
        CHECK(ran.count("f", "faulted") == 1);
    }
}

TEST_CASE("'end' in a branch cancels the effects of the others", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { f: { fork: { branches: [ { a: " + get() + " }, { b: { do: [ { w: { wait: PT1S } }, { s: { set: { n: 1 }, then: end } } ] } } ] } } } ]", {}, kNever);
    CHECK(ran.words() == R"({"n":1})");
    CHECK(ran.cancelled == ids(ran));
}

TEST_CASE("branches of an ordinary fork all run to their end, at the same time", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { f: { fork: { branches: [ { a: { wait: PT5S } }, { b: { wait: PT9S } }, { c: { wait: PT1S } } ] } } } ]", json(R"({"n":1})"));
    CHECK(ran.words() == R"([{"n":1},{"n":1},{"n":1}])");
    CHECK(ran.took == Milliseconds(9'000));
    CHECK(ran.order() == "c a b f");
    CHECK(ran.cancelled.empty());
}

TEST_CASE("the limit of steps cancels what other branches have asked for", "[workflows][rules]")
{
    workflows::RunOptions options;
    options.max_steps = 40;
    const Ran ran = run_flow("do: [ { t: { try: [ { f: { fork: { branches: [ { a: " + get() + " }, { b: { do: [ { x: { set: { n: 1 } } }, { y: { set: { n: 1 }, then: x } } ] } } ] } } } ], " + kCaught + " } } ]", {}, kNever, options);
    CHECK(ran.phase == Phase::faulted);
    CHECK(ran.fault.title == "limit_steps");
    CHECK(kind_of(ran.fault) == "runtime");
    CHECK(ran.cancelled == ids(ran));
    options.max_steps = 3;
    CHECK(run_flow("do: [ { a: { set: { n: 1 } } }, { b: { set: { n: 2 } } }, { c: { set: { n: 3 } } } ]", {}, {}, options).words() == R"({"n":3})");
    options.max_steps = 2;
    const std::string three = "{ a: { set: { n: 1 } } }, { b: { set: { n: 2 } } }, { c: { set: { n: 3 } } }";
    CHECK(run_flow("do: [ " + three + " ]", {}, {}, options).fault.title == "limit_steps");
    // Nothing comes after it that could reach the limit once more.
    for (const char* clause : {"{}", "{ errors: { with: { type: https://serverlessworkflow.io/spec/1.0.0/errors/runtime } } }", "{ retry: { limit: { attempt: { count: 2 } } } }"}) {
        const Ran caught = run_flow("do: [ { t: { try: [ " + three + " ], catch: " + clause + " } } ]", {}, {}, options);
        CHECK(caught.phase == Phase::faulted);
        CHECK(caught.fault.title == "limit_steps");
    }
}

TEST_CASE("cancelling a run reaches every branch and every effect", "[workflows][rules]")
{
    const Ran ran = drive(lone("do: [ { f: { fork: { branches: [ { a: " + get("a") + " }, { b: { do: [ { c: " + get("c") + " } ] } }, { w: { wait: P30D } } ] } } } ]"), {}, kNever, {}, Milliseconds(1'000));
    CHECK(ran.phase == Phase::cancelled);
    CHECK(sorted(ran.cancelled) == ids(ran));
    for (const std::string task : {"f", "a", "b", "c", "w"}) CHECK(ran.count(task, "cancelled") == 1);
    CHECK(ran.fault.detail == "the test's time is over");
}
