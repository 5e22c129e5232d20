#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

TEST_CASE("set replaces the data and does not merge", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - one: { set: { a: 1, b: '${ .x }' } }
)", json(R"({"x":5,"y":6})"));
    CHECK(ran.words() == R"({"a":1,"b":5})");
}

TEST_CASE("set takes one expression as well as an object", "[workflows]")
{
    const Ran ran = run_flow("do: [ { one: { set: '${ .x + 1 }' } } ]", json(R"({"x":5})"));
    CHECK(ran.words() == "6");
}

TEST_CASE("each task's input is the previous task's output", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - one: { set: { n: '${ .n + 1 }' } }
  - two: { set: { n: '${ .n * 10 }' } }
)", json(R"({"n":1})"));
    CHECK(ran.words() == R"({"n":20})");
    CHECK(ran.order() == "one two");
}

TEST_CASE("the frame of a task is applied in its order", "[workflows]")
{
    SECTION("input.from makes the input, output.as sees the raw output and $input the transformed input")
    {
        const Ran ran = run_flow(R"(
do:
  - one:
      input: { from: '.user' }
      set: { name: '${ .name }', twice: '${ .n * 2 }' }
      output: { as: '{ raw: ., given: $input }' }
)", json(R"({"user":{"name":"Ada","n":4}})"));
        CHECK(ran.words() == R"({"raw":{"name":"Ada","twice":8},"given":{"name":"Ada","n":4}})");
    }
    SECTION("export.as sees the transformed output, as data and as $output, and replaces $context")
    {
        const Ran ran = run_flow(R"(
do:
  - one:
      set: { n: 1 }
      output: { as: '.n + 1' }
      export: { as: '$context + {seen: ., out: $output, in: $input.x}' }
  - two: { set: '${ $context }' }
)", json(R"({"x":"given"})"));
        CHECK(ran.words() == R"({"seen":2,"out":2,"in":"given"})");
    }
    SECTION("$context begins as an empty object")
    {
        CHECK(run_flow("do: [ { one: { set: { c: '${ $context }' } } } ]").words() == R"({"c":{}})");
    }
    SECTION("$task knows its name, its place, and its raw input and output")
    {
        const Ran ran = run_flow(R"(
do:
  - one:
      input: { from: '.a' }
      set: { n: '${ . }' }
      output: { as: '{name: $task.name, at: $task.reference, raw: $task.input, out: $task.output}' }
)", json(R"({"a":7})"));
        CHECK(ran.words() == R"({"name":"one","at":"/do/0/one","raw":{"a":7},"out":{"n":7}})");
    }
}

TEST_CASE("a task whose 'if' is false is skipped: its output is its raw input, and its 'then' does not hold", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - one: { if: .go, set: { n: 2 }, then: end }
  - two: { set: { got: '${ . }' } }
)", json(R"({"go":false})"));
    CHECK(ran.words() == R"({"got":{"go":false}})");
    CHECK(ran.count("one", "skipped") == 1);
    CHECK(ran.count("one", "completed") == 0);
    for (const Json& event : ran.events) CHECK(event["data"]["task"].as_string() != "/do/0/one");
}

TEST_CASE("'if' is evaluated on the raw input, before input.from", "[workflows]")
{
    CHECK(run_flow("do: [ { one: { if: .go, input: { from: .n }, set: '${ . }' } } ]", json(R"({"go":true,"n":3})")).words() == "3");
}

TEST_CASE("the workflow's own input.from and output.as frame the whole", "[workflows]")
{
    const Ran ran = run_flow(R"(
input: { from: '{ n: .deep.n, raw: $workflow.input }' }
output: { as: '{ result: .n, name: $workflow.definition.document.name }' }
do:
  - one: { set: { n: '${ .n + .raw.deep.n }' } }
)", json(R"({"deep":{"n":4}})"));
    CHECK(ran.words() == R"({"result":8,"name":"flow"})");
}

TEST_CASE("a schema that does not fit is a validation error with its place", "[workflows]")
{
    SECTION("of the workflow's input")
    {
        const Ran ran = run_flow(R"(
input: { schema: { document: { type: object, required: [ order ], properties: { order: { type: integer } } } } }
do: [ { one: { set: { ok: true } } } ]
)", json(R"({"order":"x"})"));
        REQUIRE(ran.phase == Phase::faulted);
        CHECK(ran.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/validation");
        CHECK(ran.fault.status == 400);
        CHECK_THAT(ran.fault.detail, Catch::Contains("/order"));
        CHECK(ran.fault.instance == "/");
    }
    SECTION("of a task's output and of what it exports")
    {
        const Ran output = run_flow("do: [ { one: { set: { n: 1 }, output: { schema: { document: { required: [ m ] } } } } } ]");
        CHECK(output.fault.instance == "/do/0/one");
        CHECK_THAT(output.fault.detail, Catch::Contains("output of the task"));
        const Ran exported = run_flow("do: [ { one: { set: { n: 1 }, export: { schema: { document: { required: [ m ] } } } } } ]");
        CHECK_THAT(exported.fault.detail, Catch::Contains("exports"));
    }
    SECTION("of a task's raw input, before input.from")
    {
        const Ran ran = run_flow("do: [ { one: { input: { schema: { document: { required: [ m ] } }, from: '{m: 1}' }, set: { n: 1 } } } ]");
        CHECK_THAT(ran.fault.detail, Catch::Contains("input of the task"));
    }
}

TEST_CASE("integers stay exact on plain paths and are refused where jq would bend them", "[workflows]")
{
    const Json big = json(R"({"id":9007199254740993})");
    CHECK(run_flow("do: [ { one: { set: { id: '${ .id }' } } } ]", big).words() == R"({"id":9007199254740993})");
    const Ran ran = run_flow("do: [ { one: { set: { id: '${ .id + 0 }' } } } ]", big);
    REQUIRE(ran.phase == Phase::faulted);
    CHECK_THAT(ran.fault.detail, Catch::Contains("9007199254740993"));
    CHECK(ran.fault.type == "https://serverlessworkflow.io/spec/1.0.0/errors/expression");
}

TEST_CASE("variables of a deployment are read as $runtime.metadata.variables", "[workflows]")
{
    workflows::RunOptions options;
    options.variables = json(R"({"limit":80})");
    CHECK(run_flow("do: [ { one: { set: { n: '${ $runtime.metadata.variables.limit }' } } } ]", {}, {}, options).words() == R"({"n":80})");
}
