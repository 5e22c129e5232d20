// Whose $context it is, and whose variables: branches, sub-workflows, functions, loops and handlers.
#include "tests/unit/workflows/rules.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

namespace {

const std::string kChild = "document: { dsl: 1.0.3, namespace: test, name: child, version: 1.0.0 }\n";
const std::string kCallChild = "{ run: { workflow: { namespace: test, name: child, version: 1.0.0 } } }";

Ran with_child(const std::string& main, const std::string& child, const Json& input = Json::object(), const Answers& answers = {})
{
    return drive(lone(main, {{"child.yaml", kChild + child}}), input, answers);
}

}  // namespace

TEST_CASE("'do', 'for' and 'try' are no scopes of $context: what they export stays", "[workflows][rules]")
{
    const std::string keep = "[ { in: { set: { n: 1 }, export: { as: '$context + {kept: (($context.kept // 0) + 1)}' } } } ]";
    const auto after = [&](const std::string& task) { return run_flow("do: [ { a: { " + task + " } }, { b: { set: '${ $context }' } } ]").words(); };
    CHECK(after("do: " + keep) == R"({"kept":1})");
    CHECK(after("for: { in: '[1,2,3]' }, do: " + keep) == R"({"kept":3})");
    CHECK(after("try: " + keep + ", catch: {}") == R"({"kept":1})");
    CHECK(after("try: [ { no: { raise: { error: { type: t, status: 1 } } } } ], catch: { do: " + keep + " }") == R"({"kept":1})");
}

TEST_CASE("a function shares its caller's $context", "[workflows][rules]")
{
    CHECK(run_flow("use: { functions: { f: { set: { got: '${ $context.a }' }, export: { as: '$context + {f: 1}' } } } }\n"
                   "do: [ { a: { set: { n: 1 }, export: { as: '{a: 5}' } } }, { b: { call: f } }, { c: { set: '${ [., $context] }' } } ]").words() == R"([{"got":5},{"a":5,"f":1}])");
}

TEST_CASE("a sub-workflow begins with an empty $context and leaves its caller's alone, also in a loop", "[workflows][rules]")
{
    CHECK(with_child("do: [ { a: { set: { n: 1 }, export: { as: '{mine: 1}' } } }, { l: { for: { in: '[1,2]' }, do: [ { r: " + kCallChild + " } ] } }, { z: { set: '${ [., $context] }' } } ]",
                     "do: [ { one: { set: { seen: '${ $context }' }, export: { as: '{theirs: 1}' } } } ]").words() == R"([{"seen":{}},{"mine":1}])");
}

TEST_CASE("a sub-workflow has its own $workflow and its own raw input", "[workflows][rules]")
{
    CHECK(with_child("do: [ { a: { set: { n: 4 } } }, { r: " + kCallChild + " }, { z: { set: '${ [., $workflow.input, $workflow.definition.document.name] }' } } ]",
                     "input: { from: '{m: .n}' }\ndo: [ { one: { set: '${ [$workflow.input, ., $workflow.definition.document.name] }' } } ]", json(R"({"n":0})")).words() ==
          R"([[{"n":4},{"m":4},"child"],{"n":0},"flow"])");
}

TEST_CASE("each branch has its own $context, nested forks too, and the fork's stays as it was", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - begin: { set: { n: 1 }, export: { as: '{v: 0}' } }
  - both:
      fork:
        branches:
          - a:
              do:
                - set: { set: { n: 1 }, export: { as: '{v: 1}' } }
                - inner: { fork: { branches: [ { x: { set: '${ $context.v }', export: { as: '{v: 9}' } } }, { y: { do: [ { w: { wait: PT1S } }, { r: { set: '${ $context.v }' } } ] } } ] } }
                - after: { set: '${ . + [$context.v] }' }
          - b: { do: [ { w: { wait: PT5S } }, { r: { set: '${ $context.v }' } } ] }
  - last: { set: '${ [., $context.v] }' }
)").words() == "[[[1,1,1],0],0]");
}

TEST_CASE("each branch begins with the fork's transformed input and loop variables of its own moment", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - l:
      for: { each: x, in: '[1,2]', at: i }
      do:
        - f:
            input: { from: '{given: 7}' }
            fork: { branches: [ { a: { set: '${ [.given, $x, $i] }' } }, { b: { for: { each: x, in: '[50]' }, do: [ { s: { set: '${ $x + $i }' } } ] } } ] }
)").words() == "[[7,2,1],51]");
}

TEST_CASE("an inner loop hides the outer one's names and gives them back", "[workflows][rules]")
{
    CHECK(run_flow(R"y(
do:
  - outer:
      for: { each: x, in: '["a","b"]', at: i }
      do:
        - inner: { for: { each: y, in: '[10,20]', at: i }, do: [ { s: { set: { all: '${ (.all // []) + ["\($x)\($i)\($y)"] }' } } } ] }
        - after: { set: { all: '${ .all + ["\($x)\($i)"] }' } }
)y").words() == R"({"all":["a010","a120","a0","b010","b120","b1"]})");
}

TEST_CASE("a handler's variable hides a loop's and ends with the handler", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - l:
      for: { each: v, in: '[3]' }
      do:
        - t: { try: [ { no: { raise: { error: { type: t, status: 418 } } } } ], catch: { as: v, do: [ { h: { set: '${ [$v.status] }' } } ] } }
        - after: { set: '${ . + [$v] }' }
)").words() == "[418,3]");
}

TEST_CASE("a loop in a handler still sees the error, and a handler in a loop the loop's variable", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - l:
      for: { each: v, in: '[3]' }
      do:
        - t:
            try: [ { no: { raise: { error: { type: t, status: 418 } } } } ]
            catch: { do: [ { again: { for: { each: w, in: '[1,2]' }, do: [ { h: { set: { sum: '${ (.sum // 0) + $error.status + $v + $w }' } } } ] } } ] }
)").words() == R"({"sum":845})");
}

TEST_CASE("an error under a name of its own leaves the surrounding handler's $error as it is", "[workflows][rules]")
{
    CHECK(run_flow(R"(
do:
  - outer:
      try: [ { no: { raise: { error: { type: t, status: 400 } } } } ]
      catch:
        do:
          - inner:
              try: [ { no: { raise: { error: { type: t, status: 500 } } } } ]
              catch: { as: e, when: '$error.status == 400', do: [ { h: { set: '${ [$error.status, $e.status] }' } } ] }
          - after: { set: '${ . + [$error.status] }' }
)").words() == "[400,500,400]");
}

TEST_CASE("a shared retry policy's $error ends with the policy", "[workflows][rules]")
{
    CHECK(run_flow(R"(
use: { retries: { once: { when: '$error.status == 500', limit: { attempt: { count: 1 } } } } }
do:
  - outer:
      try: [ { no: { raise: { error: { type: t, status: 400 } } } } ]
      catch:
        do:
          - inner: { try: [ { no: { raise: { error: { type: t, status: 500 } } } } ], catch: { as: e, retry: once, do: [ { h: { set: '${ [$error.status, $e.status] }' } } ] } }
)").words() == "[400,500]");
}

TEST_CASE("a shared retry policy sees the error as $error whatever the catch calls it", "[workflows][rules]")
{
    const Ran ran = run_flow("use: { retries: { busy: { when: '$error.status == 503', limit: { attempt: { count: 2 } } } } }\n"
                             "do: [ { t: { try: [ { g: " + get() + " } ], catch: { as: e, retry: busy } } } ]", {}, flaky(2));
    CHECK(ran.words() == R"({"ok":true})");
    CHECK(ran.requests.size() == 3);
}

TEST_CASE("a failed try leaves nothing of its loops' variables behind", "[workflows][rules]")
{
    const Ran ran = run_flow(R"(
do:
  - l:
      for: { each: x, in: '[1]' }
      do:
        - t:
            try: [ { inner: { for: { each: x, in: '[7]' }, do: [ { no: { raise: { error: { type: t, status: 1 } } } } ] } } ]
            catch: { retry: { limit: { attempt: { count: 2 } } }, do: [ { h: { set: '${ $x }' } } ] }
)");
    CHECK(ran.words() == "1");
    CHECK(ran.count("t", "retried") == 2);
}

TEST_CASE("a function sees no variable of its caller and its caller none of the function's", "[workflows][rules]")
{
    CHECK(run_flow("use: { functions: { f: { for: { each: x, in: '[50]' }, do: [ { s: { set: '${ $x }' } } ] } } }\n"
                   "do: [ { l: { for: { each: x, in: '[1]' }, do: [ { c: { call: f } }, { s: { set: '${ [., $x] }' } } ] } } ]").words() == "[50,1]");
}

TEST_CASE("a function gets what 'with' says, or else the task's transformed input", "[workflows][rules]")
{
    const std::string use = "use: { functions: { f: { set: { got: '${ . }' } } } }\n";
    CHECK(run_flow(use + "do: [ { c: { call: f, with: { n: '${ .a + 1 }' } } } ]", json(R"({"a":1})")).words() == R"({"got":{"n":2}})");
    CHECK(run_flow(use + "do: [ { c: { input: { from: .a }, call: f } } ]", json(R"({"a":1})")).words() == R"({"got":1})");
    CHECK(run_flow(use + "do: [ { c: { call: f, with: {} } } ]", json(R"({"a":1})")).words() == R"({"got":{}})");
    CHECK(run_flow(use + "do: [ { c: { call: f, output: { as: .got.a } } } ]", json(R"({"a":1})")).words() == "1");
}

TEST_CASE("a sub-workflow gets what 'input' says, or else the task's transformed input; 'latest' is the package's", "[workflows][rules]")
{
    const std::string body = "do: [ { one: { set: { got: '${ . }' } } } ]";
    const auto run = [&](const std::string& more, const std::string& version = "1.0.0") {
        return with_child("do: [ { c: { input: { from: '{x: .a}' }, run: { workflow: { namespace: test, name: child, version: " + version + more + " } } } } ]", body, json(R"({"a":1})"));
    };
    CHECK(run("").words() == R"({"got":{"x":1}})");
    CHECK(run(", input: { y: '${ .x + 1 }' }").words() == R"({"got":{"y":2}})");
    CHECK(run("", "latest").words() == R"({"got":{"x":1}})");
    const Ran other = run("", "2.0.0");
    CHECK(kind_of(other.fault) == "configuration");
    CHECK_THAT(other.fault.detail, Catch::Contains("test/child/2.0.0"));
}

TEST_CASE("a sub-workflow that nobody waits for gets its input, and the task's output is its transformed input", "[workflows][rules]")
{
    const Ran ran = with_child("do: [ { c: { input: { from: '{x: .a}' }, run: { await: false, workflow: { namespace: test, name: child, version: 1.0.0, input: { y: '${ .x + 1 }' } } } } }, { after: { set: { got: '${ . }' } } } ]",
                               "do: [ { l: { call: log, with: { text: '${ \"y is \\(.y)\" }' } } } ]", json(R"({"a":1})"));
    CHECK(ran.words() == R"({"got":{"x":1}})");
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].with["text"] == Json("y is 2"));
}
