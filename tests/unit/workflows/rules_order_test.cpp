// The order in which a task's frame is applied, proved by parts that would fail in another order.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

namespace {

/// A task whose parts from number `broken` on all fail: whichever is applied first shows in the fault.
std::string task_broken_from(int broken)
{
    const auto expression = [&](int number, const std::string& fine) { return broken <= number ? std::string("'error(\"no\")'") : fine; };
    const auto schema = [&](int number) { return std::string("{ document: { required: [ ") + (broken <= number ? "absent" : "n") + " ] } }"; };
    return "{ if: " + expression(1, ".n") + ", input: { schema: " + schema(2) + ", from: " + expression(3, "'{n: .n}'") + " }" +
           ", set: " + (broken <= 4 ? "'${ error(\"no\") }'" : "{ n: '${ .n }' }") +
           ", output: { as: " + expression(5, "'{n: .n}'") + ", schema: " + schema(6) + " }" +
           ", export: { as: " + expression(7, "'{n: .n}'") + ", schema: " + schema(8) + " }, then: last }";
}

}  // namespace

TEST_CASE("the parts of a task are applied as if, input.schema, input.from, run, output.as, output.schema, export.as, export.schema, then", "[workflows][rules]")
{
    const auto run = [](int broken) {
        return run_flow("do: [ { one: " + task_broken_from(broken) + " }, { skipped: { set: { n: 0 } } }, { last: { set: { end: '${ .n }' } } } ]", json(R"({"n":7})"));
    };
    const std::vector<std::string> first = {"place: /do/0/one/if ", "the input of the task", "place: /do/0/one/input/from ", "place: /do/0/one/set ",
                                            "place: /do/0/one/output/as ", "the output of the task", "place: /do/0/one/export/as ", "what the task exports"};
    for (int part = 1; part <= 8; ++part) {
        const Ran ran = run(part);
        INFO(part << ": " << ran.words());
        REQUIRE(ran.phase == Phase::faulted);
        CHECK_THAT(ran.fault.detail, Catch::Contains(first[static_cast<std::size_t>(part - 1)]));
        CHECK(ran.fault.instance == "/do/0/one");
        CHECK(ran.count("last", "completed") == 0);
    }
    CHECK(run(9).words() == R"({"end":7})");
}

TEST_CASE("the parts of a workflow are applied as input.schema, input.from, do, output.as, output.schema", "[workflows][rules]")
{
    const auto run = [](int broken) {
        const auto expression = [&](int number) { return broken <= number ? std::string("'error(\"no\")'") : std::string("'{n: .n}'"); };
        const auto schema = [&](int number) { return std::string("{ document: { required: [ ") + (broken <= number ? "absent" : "n") + " ] } }"; };
        return run_flow("input: { schema: " + schema(1) + ", from: " + expression(2) + " }\noutput: { as: " + expression(4) + ", schema: " + schema(5) +
                            " }\ndo: [ { one: { set: " + (broken <= 3 ? "'${ error(\"no\") }'" : "'${ {n: (.n + 1)} }'") + " } } ]",
                        json(R"({"n":1})"));
    };
    CHECK_THAT(run(1).fault.detail, Catch::Contains("the workflow's input does not fit"));
    CHECK_THAT(run(2).fault.detail, Catch::Contains("place: /input/from "));
    CHECK_THAT(run(3).fault.detail, Catch::Contains("place: /do/0/one/set "));
    CHECK_THAT(run(4).fault.detail, Catch::Contains("place: /output/as "));
    CHECK_THAT(run(5).fault.detail, Catch::Contains("the workflow's output does not fit"));
    CHECK(run(6).words() == R"({"n":2})");
    for (const int at_the_edge : {1, 2, 4, 5}) CHECK(run(at_the_edge).fault.instance == "/");
}

TEST_CASE("each schema sees the data of its moment", "[workflows][rules]")
{
    const auto flow = [](const std::string& frame) { return run_flow("do: [ { one: { " + frame + " } } ]", json(R"({"raw":1})")).words(); };
    const std::string run = "set: { made: 1 }, output: { as: '{shaped: .made}' }, export: { as: '{kept: .shaped}' }";
    CHECK(flow("input: { schema: { document: { required: [ raw ] } }, from: '{}' }, " + run) == R"({"shaped":1})");
    CHECK(flow("set: { made: 1 }, output: { as: '{shaped: .made}', schema: { document: { required: [ shaped ], not: { required: [ made ] } } } }") == R"({"shaped":1})");
    CHECK(flow("set: { made: 1 }, output: { as: '{shaped: .made}' }, export: { as: '{kept: .shaped}', schema: { document: { required: [ kept ], not: { required: [ shaped ] } } } }") ==
          R"({"shaped":1})");
}

TEST_CASE("export.schema without export.as looks at the output and leaves $context alone", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { a: { set: { n: 1 }, export: { as: '{kept: 1}' } } }, { b: { set: { m: 2 }, export: { schema: { document: { required: [ m ] } } } } },"
                   " { c: { set: '${ $context }' } } ]").words() == R"({"kept":1})");
}

TEST_CASE("export replaces $context and does not merge", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { a: { set: { n: 1 }, export: { as: '{a: 1}' } } }, { b: { set: { n: 1 }, export: { as: '{b: 2}' } } }, { c: { set: '${ $context }' } } ]").words() == R"({"b":2})");
    CHECK(run_flow("do: [ { a: { set: { n: 1 }, export: { as: '{a: 1}' } } }, { b: { set: { n: 1 }, export: { as: '$context + {b: 2}' } } }, { c: { set: '${ $context }' } } ]").words() ==
          R"({"a":1,"b":2})");
}

TEST_CASE("what a failing export wanted to keep is not kept", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - t:
      try: [ { a: { set: { n: 1 }, export: { as: '{bad: 1}', schema: { document: { required: [ good ] } } } } } ]
      catch: { do: [ { h: { set: '${ $context }' } } ] }
)").words() == "{}");
}

TEST_CASE("a skipped task checks no schema, shapes nothing and exports nothing", "[workflows][rules]")
{
    const Ran ran = run_flow(R"(
do:
  - a:
      if: 'false'
      input: { schema: { document: { required: [ absent ] } }, from: 'error("no")' }
      set: '${ error("no") }'
      output: { as: 'error("no")' }
      export: { as: 'error("no")' }
      timeout: { after: '${ error("no") }' }
      then: end
  - b: { set: { got: '${ . }', context: '${ $context }' } }
)", json(R"({"n":1})"));
    CHECK(ran.words() == R"({"got":{"n":1},"context":{}})");
    CHECK(ran.count("a", "skipped") == 1);
    CHECK(ran.count("a", "started") + ran.count("a", "completed") == 0);
}

TEST_CASE("'if' takes jq's truth and sees the raw input", "[workflows][rules]")
{
    const auto skipped = [](const std::string& condition, const std::string& data) {
        return run_flow("do: [ { a: { if: " + condition + ", input: { from: '{inner: true}' }, set: { ran: true } } } ]", json(data)).count("a", "skipped") == 1;
    };
    CHECK(skipped(".inner", R"({"n":0})"));
    CHECK_FALSE(skipped(".n", R"({"n":0})"));
    CHECK(skipped(".n", R"({"n":null})"));
    CHECK(skipped("false", "{}"));
    CHECK_FALSE(skipped("true", "{}"));
}

TEST_CASE("input.from and output.as may be objects with expressions in them", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { a: { input: { from: { x: '${ .n }', literal: .n } }, set: '${ . }', output: { as: { all: '${ . }', given: '${ $input.x }' } } } } ]", json(R"({"n":3})")).words() ==
          R"({"all":{"x":3,"literal":".n"},"given":3})");
}

TEST_CASE("the frame holds for every kind of task alike", "[workflows][rules]")
{
    for (const std::string body : {"do: [ { in: { set: { v: '${ .x }' } } } ]", "for: { in: '[1]' }, do: [ { in: { set: { v: '${ .x }' } } } ]",
                                   "try: [ { in: { set: { v: '${ .x }' } } } ], catch: {}", "set: { v: '${ .x }' }"}) {
        INFO(body);
        CHECK(run_flow("do: [ { a: { input: { from: '{x: .n}' }, " + body + ", output: { as: '.v + 1' }, export: { as: '{kept: .}' } } }, { b: { set: '${ [., $context.kept] }' } } ]",
                       json(R"({"n":3})")).words() == "[4,4]");
    }
    CHECK(run_flow("do: [ { a: { input: { from: '{x: .n}' }, fork: { branches: [ { in: { set: '${ .x }' } } ] }, output: { as: '.[0] + 1' } } } ]", json(R"({"n":3})")).words() == "4");
    CHECK(run_flow("do: [ { a: { input: { from: '{x: .n}' }, wait: PT1S, output: { as: '.x + 1' } } } ]", json(R"({"n":3})")).words() == "4");
    CHECK(run_flow("do: [ { a: { input: { from: '{x: .n}' }, switch: [ { c: { when: .x, then: continue } } ], output: { as: '.x + 1' } } } ]", json(R"({"n":3})")).words() == "4");
}

TEST_CASE("a task may go on to another only when its output and export are right", "[workflows][rules]")
{
    const Ran ran = run_flow("do: [ { a: { set: { n: 1 }, output: { schema: { document: { type: string } } }, then: c } }, { b: { set: { n: 2 } } }, { c: { set: { n: 3 } } } ]");
    CHECK(ran.phase == Phase::faulted);
    CHECK(ran.count("a", "faulted") == 1);
    CHECK(ran.count("c", "completed") == 0);
}
