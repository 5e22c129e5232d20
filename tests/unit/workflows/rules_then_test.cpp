// `then` in each place: continue, exit, end, a name.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

namespace {

/// Two tasks, the second only reached when the first's `then` lets it.
std::string two(const std::string& then) { return "[ { one: { set: { at: one }, then: " + then + " } }, { two: { set: { at: two } } } ]"; }

/// The flow is followed by `after`, which shows what reached it.
std::string flow(const std::string& task, const std::string& use = "") { return use + "do: [ { x: { " + task + " } }, { after: { set: { got: '${ . }' } } } ]"; }

const std::string kNo = "[ { no: { raise: { error: { type: t, status: 418 } } } } ]";

}  // namespace

TEST_CASE("'continue', 'exit', 'end' and a name in a 'do'", "[workflows][rules]")
{
    CHECK(run_flow(flow("do: " + two("continue"))).words() == R"({"got":{"at":"two"}})");
    CHECK(run_flow(flow("do: " + two("exit"))).words() == R"({"got":{"at":"one"}})");
    CHECK(run_flow(flow("do: " + two("end"))).words() == R"({"at":"one"})");
    CHECK(run_flow(flow("do: [ { one: { set: { at: one }, then: three } }, { two: { set: { at: two } } }, { three: { set: { was: '${ .at }' } } } ]")).words() == R"({"got":{"was":"one"}})");
}

TEST_CASE("'exit' leaves one list and not the one around it", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { x: { do: [ { y: { do: " + two("exit") + " } }, { z: { set: { z: '${ .at }' } } } ] } }, { after: { set: { got: '${ . }' } } } ]").words() == R"({"got":{"z":"one"}})");
}

TEST_CASE("'exit' at the top is the workflow's end, with its output.as", "[workflows][rules]")
{
    CHECK(run_flow("output: { as: '{out: .at}' }\ndo: " + two("exit")).words() == R"({"out":"one"})");
}

TEST_CASE("'end' goes by the workflow's output.as and passes those of the tasks around it", "[workflows][rules]")
{
    CHECK(run_flow("output: { as: '{out: .at}' }\ndo: [ { x: { do: " + two("end") + ", output: { as: '{at: \"shaped\"}' }, export: { as: 'error(\"no\")' } } } ]").words() == R"({"out":"one"})");
    const Ran wrong = run_flow("output: { schema: { document: { required: [ absent ] } } }\ndo: [ { x: { do: " + two("end") + " } } ]");
    CHECK(kind_of(wrong.fault) == "validation");
}

TEST_CASE("an enclosing task's own 'then' holds after 'exit' within, and not after 'end'", "[workflows][rules]")
{
    const auto outer = [](const std::string& then) {
        return run_flow("do: [ { x: { do: " + two(then) + ", then: last } }, { between: { set: { n: 0 } } }, { last: { set: { last: '${ .at }' } } } ]").words();
    };
    CHECK(outer("exit") == R"({"last":"one"})");
    CHECK(outer("end") == R"({"at":"one"})");
}

TEST_CASE("in for.do 'exit' ends the iteration, 'end' the workflow, a name goes on in the iteration", "[workflows][rules]")
{
    const auto loop = [](const std::string& then) {
        return run_flow("do: [ { x: { for: { each: n, in: '[1,2,3]' }, do: [ { one: { set: { seen: '${ (.seen // []) + [$n] }' }, then: " + then +
                        " } }, { two: { set: { seen: '${ .seen + [\"two\"] }' } } }, { three: { set: { seen: '${ .seen + [\"three\"] }' } } } ] } }, { after: { set: { got: '${ .seen }' } } } ]").words();
    };
    CHECK(loop("exit") == R"({"got":[1,2,3]})");
    CHECK(loop("end") == R"({"seen":[1]})");
    CHECK(loop("three") == R"({"got":[1,"three",2,"three",3,"three"]})");
    CHECK(loop("continue") == R"({"got":[1,"two","three",2,"two","three",3,"two","three"]})");
}

TEST_CASE("a backward 'then' in for.do stays in its iteration", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - x:
      for: { each: n, in: '[2,3]' }
      do:
        - again: { set: { count: '${ (.count // 0) + 1 }', here: '${ (.here // 0) + 1 }' } }
        - enough: { switch: [ { no: { when: '.here < $n', then: again } } ] }
        - reset: { set: { count: '${ .count }' } }
)").words() == R"({"count":5})");
}

TEST_CASE("in a branch 'exit' and 'continue' end the branch and 'end' the workflow", "[workflows][rules]")
{
    const auto branches = [](const std::string& then) {
        return run_flow("do: [ { x: { fork: { branches: [ { a: { set: { a: 1 }, then: " + then + " } }, { b: { do: [ { w: { wait: PT1S } }, { s: { set: { b: 1 } } } ] } } ] } } }, { after: { set: { got: '${ . }' } } } ]").words();
    };
    CHECK(branches("exit") == R"({"got":[{"a":1},{"b":1}]})");
    CHECK(branches("continue") == R"({"got":[{"a":1},{"b":1}]})");
    CHECK(branches("end") == R"({"a":1})");
    CHECK(run_flow("do: [ { x: { fork: { branches: [ { a: { do: " + two("exit") + " } }, { b: { set: { b: 1 } } } ] } } } ]").words() == R"([{"at":"one"},{"b":1}])");
    CHECK(run_flow("do: [ { x: { fork: { branches: [ { a: { do: " + two("end") + " } }, { b: { wait: PT1H } } ] } } } ]").words() == R"({"at":"one"})");
}

TEST_CASE("'end' in a branch of a branch ends everything", "[workflows][rules]")
{
    const Ran ran = run_flow(R"(
output: { as: '{out: .}' }
do:
  - x:
      fork:
        branches:
          - a: { fork: { branches: [ { p: { do: [ { w: { wait: PT1S } }, { s: { set: { p: 1 }, then: end } } ] } }, { q: { wait: PT1H } } ] } }
          - b: { wait: PT1H }
  - after: { set: { n: 0 } }
)");
    CHECK(ran.words() == R"({"out":{"p":1}})");
    CHECK(ran.took == Milliseconds(1000));
    CHECK(ran.count("q", "cancelled") == 1);
    CHECK(ran.count("b", "cancelled") == 1);
}

TEST_CASE("in a 'try' list 'exit' ends the list, 'end' the workflow, and neither is a fault", "[workflows][rules]")
{
    const std::string handler = ", catch: { do: [ { h: { set: { caught: true } } } ] }";
    CHECK(run_flow(flow("try: " + two("exit") + handler)).words() == R"({"got":{"at":"one"}})");
    CHECK(run_flow(flow("try: " + two("end") + handler)).words() == R"({"at":"one"})");
    CHECK(run_flow(flow("try: [ { one: { set: { n: 1 }, then: three } }, { two: { set: { n: 2 } } }, { three: { set: { was: '${ .n }' } } } ]" + handler)).words() == R"({"got":{"was":1}})");
}

TEST_CASE("in catch.do 'exit' ends the handler, 'end' the workflow, and a name stays in the handler", "[workflows][rules]")
{
    CHECK(run_flow(flow("try: " + kNo + ", catch: { do: " + two("exit") + " }")).words() == R"({"got":{"at":"one"}})");
    CHECK(run_flow(flow("try: " + kNo + ", catch: { do: " + two("end") + " }")).words() == R"({"at":"one"})");
    CHECK(run_flow(flow("try: " + kNo + ", catch: { do: [ { one: { set: { n: 1 }, then: three } }, { two: { set: { n: 2 } } }, { three: { set: { was: '${ .n }' } } } ] }")).words() ==
          R"({"got":{"was":1}})");
}

TEST_CASE("catch.then holds after a caught fault only; the try's own 'then' else", "[workflows][rules]")
{
    const auto run = [](const std::string& body, const std::string& catch_then) {
        return run_flow("do: [ { x: { try: " + body + ", catch: { do: [ { h: { set: { h: 1 } } } ]" + catch_then + " }, then: c } }, { a: { set: { at: a }, then: exit } },"
                        " { b: { set: { at: b }, then: exit } }, { c: { set: { at: c } } } ]").words();
    };
    const std::string fine = "[ { s: { set: { n: 1 } } } ]";
    CHECK(run(kNo, ", then: b") == R"({"at":"b"})");
    CHECK(run(fine, ", then: b") == R"({"at":"c"})");
    CHECK(run(kNo, "") == R"({"at":"c"})");
    CHECK(run(kNo, ", then: exit") == R"({"h":1})");
    CHECK(run(kNo, ", then: end") == R"({"h":1})");
    CHECK(run_flow("do: [ { x: { try: " + kNo + ", catch: { then: b } } }, { a: { set: { at: a } } }, { b: { set: { got: '${ . }' } } } ]", json(R"({"n":1})")).words() == R"({"got":{"n":1}})");
}

TEST_CASE("a switch's case goes on, leaves, ends or names", "[workflows][rules]")
{
    const auto run = [](const std::string& then) {
        return run_flow("do: [ { x: { do: [ { s: { switch: [ { c: { when: .n, then: " + then + " } } ], then: three } }, { two: { set: { at: two }, then: exit } }, { three: { set: { at: three } } },"
                        " { four: { set: { at: '${ \"four after \\(.at)\" }' } } } ] } }, { after: { set: { got: '${ . }' } } } ]", json(R"({"n":1})")).words();
    };
    CHECK(run("continue") == R"({"got":{"at":"two"}})");
    CHECK(run("exit") == R"({"got":{"n":1}})");
    CHECK(run("end") == R"({"n":1})");
    CHECK(run("four") == R"({"got":{"at":"four after null"}})");
}

TEST_CASE("switch hands its transformed input on, shaped by its output.as", "[workflows][rules]")
{
    CHECK(run_flow(flow("input: { from: .a }, switch: [ { c: { when: '. == 1', then: continue } } ]"), json(R"({"a":1})")).words() == R"({"got":1})");
    CHECK(run_flow(flow("switch: [ { c: { when: 'false', then: end } } ], output: { as: '{shaped: .a}' }"), json(R"({"a":1})")).words() == R"({"got":{"shaped":1}})");
}

TEST_CASE("a case without 'when' always holds; conditions behind the first match are not evaluated", "[workflows][rules]")
{
    CHECK(run_flow("do: [ { s: { switch: [ { a: { when: 'false', then: end } }, { b: { then: last } } ] } }, { no: { set: { n: 1 } } }, { last: { set: { n: 2 } } } ]").words() == R"({"n":2})");
    CHECK(run_flow("do: [ { s: { switch: [ { a: { when: 'true', then: last } }, { b: { when: 'error(\"no\")', then: end } } ] } }, { last: { set: { n: 2 } } } ]").words() == R"({"n":2})");
}

TEST_CASE("in a function 'exit' and 'continue' end the function and 'end' the workflow", "[workflows][rules]")
{
    const auto called = [](const std::string& then) { return run_flow(flow("call: f", "use: { functions: { f: { set: { f: 1 }, then: " + then + " } } }\n")).words(); };
    CHECK(called("exit") == R"({"got":{"f":1}})");
    CHECK(called("continue") == R"({"got":{"f":1}})");
    CHECK(called("end") == R"({"f":1})");
    CHECK(run_flow(flow("call: f", "use: { functions: { f: { do: " + two("exit") + " } } }\n")).words() == R"({"got":{"at":"one"}})");
    CHECK(run_flow(flow("call: f", "use: { functions: { f: { do: " + two("end") + " } } }\n")).words() == R"({"at":"one"})");
    CHECK_THAT(findings(*lone("use: { functions: { f: { set: { n: 1 }, then: other } } }\ndo: [ { other: { call: f } } ]")), Catch::Contains("a function has no 'then' to another task"));
}

TEST_CASE("a call's own 'then' holds after its function's 'exit'", "[workflows][rules]")
{
    CHECK(run_flow("use: { functions: { f: { set: { f: 1 }, then: exit } } }\ndo: [ { c: { call: f, then: last } }, { no: { set: { n: 1 } } }, { last: { set: { got: '${ . }' } } } ]").words() == R"({"got":{"f":1}})");
}

TEST_CASE("a skipped function gives back what it was given", "[workflows][rules]")
{
    CHECK(run_flow(flow("call: f, with: { n: 1 }", "use: { functions: { f: { if: 'false', set: { f: 1 }, then: end } } }\n")).words() == R"({"got":{"n":1}})");
}

TEST_CASE("in a sub-workflow 'end' and 'exit' end the sub-workflow only", "[workflows][rules]")
{
    for (const std::string then : {"end", "exit"}) {
        const auto package = lone("do: [ { x: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } }, { after: { set: { got: '${ . }' } } } ]",
                                  {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\noutput: { as: '{out: .}' }\ndo: [ { y: { do: " + two(then) + " } }, { z: { set: { z: '${ .at }' } } } ]"}});
        CHECK(drive(package).words() == (then == "end" ? R"({"got":{"out":{"at":"one"}}})" : R"({"got":{"out":{"z":"one"}}})"));
    }
}

TEST_CASE("'end' in a branch of a sub-workflow ends the sub-workflow only", "[workflows][rules]")
{
    const auto package = lone("do: [ { x: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } }, { after: { set: { got: '${ . }' } } } ]",
                              {{"child.yaml", "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\ndo: [ { f: { fork: { branches: [ { a: { set: { a: 1 }, then: end } }, { b: { wait: PT1H } } ] } } }, { z: { set: { z: 1 } } } ]"}});
    CHECK(drive(package).words() == R"({"got":{"a":1}})");
}

TEST_CASE("a name is looked for in its own list only", "[workflows][rules]")
{
    const auto refused = [](const std::string& task) { return findings(*lone("do: [ { x: { " + task + " } }, { after: { set: { n: 1 } } } ]")); };
    const std::string inner = "[ { y: { set: { n: 1 }, then: after } } ]";
    for (const std::string& task : {"do: " + inner, "for: { in: '[1]' }, do: " + inner, "try: " + inner + ", catch: {}", "try: [ { z: { set: { n: 1 } } } ], catch: { do: " + inner + " }",
                                   "fork: { branches: " + inner + " }"}) {
        INFO(task);
        CHECK_THAT(refused(task), Catch::Contains("'then' names 'after'"));
    }
    CHECK_THAT(refused("try: [ { z: { set: { n: 1 } } } ], catch: { then: z }"), Catch::Contains("'then' names 'z'"));
    CHECK_THAT(refused("fork: { branches: [ { a: { set: { n: 1 }, then: b } }, { b: { set: { n: 1 } } } ] }"), Catch::Contains("'then' names 'b'"));
    CHECK(refused("try: [ { z: { set: { n: 1 } } } ], catch: { then: after }").empty());
}
