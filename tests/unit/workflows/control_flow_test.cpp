#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

TEST_CASE("'then' goes to a task of the same list, forwards and backwards", "[workflows]")
{
    SECTION("forwards")
    {
        const Ran ran = run_flow(R"(
do:
  - a: { set: { n: 1 }, then: c }
  - b: { set: { n: 100 } }
  - c: { set: { n: '${ .n + 1 }' } }
)");
        CHECK(ran.words() == R"({"n":2})");
        CHECK(ran.order() == "a c");
    }
    SECTION("backwards, until a switch says otherwise")
    {
        const Ran ran = run_flow(R"(
do:
  - again: { set: { n: '${ .n + 1 }' } }
  - enough: { switch: [ { no: { when: '.n < 5', then: again } } ] }
  - last: { set: { n: '${ .n }', done: true } }
)", json(R"({"n":0})"));
        CHECK(ran.words() == R"({"n":5,"done":true})");
        CHECK(ran.count("again", "completed") == 5);
    }
    SECTION("end ends the workflow from within a nested list")
    {
        const Ran ran = run_flow(R"(
do:
  - outer: { do: [ { inner: { set: { n: 1 }, then: end } }, { not: { set: { n: 2 } } } ] }
  - after: { set: { n: 3 } }
)");
        CHECK(ran.words() == R"({"n":1})");
        CHECK(ran.count("after", "completed") == 0);
    }
    SECTION("exit leaves only its own list")
    {
        const Ran ran = run_flow(R"(
do:
  - outer: { do: [ { inner: { set: { n: 1 }, then: exit } }, { not: { set: { n: 2 } } } ] }
  - after: { set: { n: '${ .n + 10 }' } }
)");
        CHECK(ran.words() == R"({"n":11})");
    }
    SECTION("continue is the next task")
    {
        CHECK(run_flow("do: [ { a: { set: { n: 1 }, then: continue } }, { b: { set: { n: '${ .n + 1 }' } } } ]").words() == R"({"n":2})");
    }
}

TEST_CASE("switch takes the first case that holds", "[workflows]")
{
    const std::string flow = R"(
do:
  - choose:
      switch:
        - small: { when: '.n < 10', then: low }
        - medium: { when: '.n < 100', then: mid }
        - other: { then: high }
  - low: { set: { is: low }, then: end }
  - mid: { set: { is: mid }, then: end }
  - high: { set: { is: high } }
)";
    CHECK(run_flow(flow, json(R"({"n":5})")).words() == R"({"is":"low"})");
    CHECK(run_flow(flow, json(R"({"n":50})")).words() == R"({"is":"mid"})");
    CHECK(run_flow(flow, json(R"({"n":500})")).words() == R"({"is":"high"})");
}

TEST_CASE("a switch without a match goes where its own 'then' says, and hands its input on", "[workflows]")
{
    const Ran ran = run_flow("do: [ { s: { switch: [ { a: { when: .x, then: end } } ], then: last } }, { skip: { set: { n: 0 } } }, { last: { set: { got: '${ . }' } } } ]",
                             json(R"({"y":1})"));
    CHECK(ran.words() == R"({"got":{"y":1}})");
}

TEST_CASE("a matching case with 'continue' goes on although the switch's own 'then' says end", "[workflows]")
{
    CHECK(run_flow("do: [ { s: { switch: [ { a: { then: continue } } ], then: end } }, { b: { set: { n: 1 } } } ]").words() == R"({"n":1})");
}

TEST_CASE("for hands each iteration's output to the next", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - sum:
      for: { each: row, in: .rows, at: i }
      do:
        - add: { set: { rows: '${ .rows }', total: '${ (.total // 0) + $row.n * $i }' } }
  - last: { set: { total: '${ .total }' } }
)", json(R"({"rows":[{"n":5},{"n":6},{"n":7}]})"));
    CHECK(ran.words() == R"({"total":20})");
}

TEST_CASE("for has the defaults item and index, may be empty, and needs an array", "[workflows]")
{
    CHECK(run_flow("do: [ { f: { for: { in: '[7,8]' }, do: [ { x: { set: '${ [$item, $index] }' } } ] } } ]").words() == "[8,1]");
    CHECK(run_flow("do: [ { f: { for: { in: .none }, do: [ { x: { set: 1 } } ] } } ]", json(R"({"none":[]})")).problem.find("set") != std::string::npos);
    CHECK(run_flow("do: [ { f: { for: { in: .none }, do: [ { x: { set: { n: 1 } } } ] } } ]", json(R"({"none":[]})")).words() == R"({"none":[]})");
    const Ran wrong = run_flow("do: [ { f: { for: { in: .n }, do: [ { x: { set: { n: 1 } } } ] } } ]", json(R"({"n":3})"));
    CHECK(wrong.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/expression");
    CHECK(wrong.fault.instance == "/do/0/f");
}

TEST_CASE("while ends the loop, exit in its body ends one iteration", "[workflows]")
{
    const Ran stopped = run_flow(R"(
do:
  - loop:
      for: { each: n, in: '[1,2,3,4,5]' }
      while: '(.sum // 0) < 3'
      do: [ { add: { set: { sum: '${ (.sum // 0) + $n }' } } } ]
)");
    CHECK(stopped.words() == R"({"sum":3})");
    const Ran exits = run_flow(R"(
do:
  - loop:
      for: { each: n, in: '[1,2,3]' }
      do:
        - odd: { switch: [ { even: { when: '$n == 2', then: exit } } ] }
        - add: { set: { all: '${ (.all // []) + [$n] }' } }
)");
    CHECK(exits.words() == R"({"all":[1,3]})");
}

TEST_CASE("loop variables end with their loop, and inner ones hide outer ones", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - outer:
      for: { each: x, in: '[1,2]' }
      do:
        - inner: { for: { each: x, in: '[10,20]' }, do: [ { add: { set: { all: '${ (.all // []) + [$x] }' } } } ] }
        - after: { set: { all: '${ .all + [$x] }' } }
)");
    CHECK(ran.words() == R"({"all":[10,20,1,10,20,2]})");
    CHECK_THAT(findings(*lone("do: [ { f: { for: { each: x, in: '[1]' }, do: [ { a: { set: { n: 1 } } } ] } }, { b: { set: { n: '${ $x }' } } } ]")),
               Catch::Contains("$x is not defined here"));
}

TEST_CASE("fork gives the branches' outputs in the order declared, whichever ends first", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - both:
      fork:
        branches:
          - slow: { do: [ { w: { wait: { seconds: 5 } } }, { s: { set: { is: slow } } } ] }
          - fast: { set: { is: fast } }
)");
    CHECK(ran.words() == R"([{"is":"slow"},{"is":"fast"}])");
    CHECK(ran.took == Milliseconds(5000));
}

TEST_CASE("a competing fork takes the first and cancels the others with their effects", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - race:
      fork:
        compete: true
        branches:
          - never: { call: http, with: { method: get, endpoint: http://x.test/ } }
          - slow: { do: [ { w: { wait: { seconds: 60 } } }, { s: { set: { is: slow } } } ] }
          - quick: { do: [ { q: { wait: { seconds: 1 } } }, { t: { set: { is: quick } } } ] }
)", Json::object(), [](const workflows::EffectRequest&) { return Answer{.result = {}, .fault = {}, .never = true}; });
    CHECK(ran.words() == R"({"is":"quick"})");
    CHECK(ran.took == Milliseconds(1000));
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.cancelled == std::vector<std::uint64_t>{ran.requests[0].id});
    CHECK(ran.count("slow", "cancelled") == 1);
    CHECK(ran.count("never", "cancelled") == 1);
    CHECK(ran.count("quick", "completed") == 1);
}

TEST_CASE("a branch sees the fork's $context and loop variables; what it exports stays in it", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - begin: { set: { n: 1 }, export: { as: '{base: .n}' } }
  - loop:
      for: { each: x, in: '[5]' }
      do:
        - both:
            fork:
              branches:
                - a: { do: [ { p: { set: { v: '${ $context.base + $x }' }, export: { as: '{base: 100}' } } }, { q: { set: '${ $context.base }' } } ] }
                - b: { do: [ { w: { wait: { seconds: 1 } } }, { r: { set: '${ $context.base }' } } ] }
  - last: { set: { got: '${ . }', context: '${ $context }' } }
)");
    CHECK(ran.words() == R"({"got":[100,1],"context":{"base":1}})");
}

TEST_CASE("a fault in a branch is the fork's: its siblings are cancelled", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - guarded:
      try:
        - both:
            fork:
              branches:
                - waits: { wait: { hours: 1 } }
                - fails: { do: [ { w: { wait: { seconds: 1 } } }, { no: { raise: { error: { type: https://x.test/no, status: 418 } } } } ] }
      catch: { as: e, do: [ { said: { set: { at: '${ $e.instance }' } } } ] }
)");
    CHECK(ran.words() == R"({"at":"/do/0/guarded/try/0/both/fork/branches/1/fails/do/1/no"})");
    CHECK(ran.count("waits", "cancelled") == 1);
    CHECK(ran.count("both", "faulted") == 1);
    CHECK(ran.took == Milliseconds(1000));
}

TEST_CASE("'end' in a branch ends the workflow and cancels the other branches", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - both:
      fork:
        branches:
          - waits: { wait: { hours: 1 } }
          - ends: { set: { n: 7 }, then: end }
  - after: { set: { n: 8 } }
)");
    CHECK(ran.words() == R"({"n":7})");
    CHECK(ran.took == Milliseconds(0));
    CHECK(ran.count("waits", "cancelled") == 1);
}

TEST_CASE("wait takes its time, in every spelling of a duration", "[workflows]")
{
    CHECK(run_flow("do: [ { w: { wait: { minutes: 1, seconds: 30 } } } ]").took == Milliseconds(90'000));
    CHECK(run_flow("do: [ { w: { wait: PT1M30S } } ]").took == Milliseconds(90'000));
    CHECK(run_flow("do: [ { w: { wait: '${ {seconds: .n} }' } } ]", json(R"({"n":7})")).took == Milliseconds(7'000));
    CHECK(run_flow("do: [ { w: { wait: { seconds: '${ .n }' } } } ]", json(R"({"n":7})")).took == Milliseconds(7'000));
    CHECK(run_flow("do: [ { w: { wait: PT1S } } ]", json(R"({"n":7})")).words() == R"({"n":7})");
    CHECK(run_flow("do: [ { w: { wait: '${ .n }' } } ]", json(R"({"n":-7})")).phase == Phase::faulted);
}

TEST_CASE("a function is called with its arguments, sees the context and none of the caller's variables", "[workflows]")
{
    const Ran ran = run_flow(R"(
use:
  functions:
    double: { set: { out: '${ .n * 2 }', base: '${ $context.base }' } }
    both: { do: [ { one: { call: double, with: { n: '${ .n }' } } } ] }
do:
  - begin: { set: { n: 4 }, export: { as: '{base: 1}' } }
  - loop: { for: { each: n, in: '[3]' }, do: [ { c: { call: both, with: { n: '${ $n + 1 }' } } } ] }
)");
    CHECK(ran.words() == R"({"out":8,"base":1})");
    CHECK_THAT(findings(*lone("use: { functions: { f: { set: { a: '${ $n }' } } } }\ndo: [ { l: { for: { each: n, in: '[3]' }, do: [ { c: { call: f } } ] } } ]")),
               Catch::Contains("$n is not defined here"));
}

TEST_CASE("a function that calls itself without end is a fault, not a crash", "[workflows]")
{
    const Ran ran = run_flow("use: { functions: { f: { do: [ { again: { call: f } } ] } } }\ndo: [ { go: { call: f } } ]");
    REQUIRE(ran.phase == Phase::faulted);
    CHECK_THAT(ran.fault.detail, Catch::Contains("deep"));
}

TEST_CASE("the number of steps is bounded, and no catch helps", "[workflows]")
{
    workflows::RunOptions options;
    options.max_steps = 50;
    const Ran ran = run_flow("do: [ { t: { try: [ { a: { set: { n: 1 } } }, { b: { set: { n: 1 }, then: a } } ], catch: { do: [ { c: { set: { n: 2 } } } ] } } } ]", {}, {}, options);
    REQUIRE(ran.phase == Phase::faulted);
    CHECK(ran.fault.title == "limit_steps");
    CHECK(ran.count("c", "completed") == 0);
}

TEST_CASE("run: workflow runs another workflow of the package with its own context", "[workflows]")
{
    const auto package = lone(R"(
document: { dsl: 1.0.3, namespace: test, name: flow, version: 1.0.0 }
do:
  - begin: { set: { n: 2 }, export: { as: '{mine: 1}' } }
  - sub: { run: { workflow: { namespace: test, name: child, version: 1.0.0, input: { n: '${ .n }' } } } }
  - last: { set: { got: '${ . }', context: '${ $context }' } }
)", {{"child.yaml", R"(
document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }
output: { as: '{ result: . }' }
do:
  - a: { set: { n: '${ .n * 5 }', context: '${ $context }', flow: '${ $workflow.definition.document.name }' }, export: { as: '{theirs: 1}' }, then: end }
  - b: { set: { n: 0 } }
)"}});
    CHECK(findings(*package).empty());
    CHECK(drive(package).words() == R"({"got":{"result":{"n":10,"context":{},"flow":"child"}},"context":{"mine":1}})");
}
