#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::workflows;
using mill::testing::json;

namespace {

/// "name state member=value …" of every record that says one of `members`.
std::string trace(const std::string& body, const Json& input, const std::vector<std::string>& members, const testing::Answers& answers = {})
{
    RunOptions options;
    options.trace = true;
    const auto ran = testing::run_flow(body, input, answers, options);
    INFO(ran.words());
    std::string out;
    for (const TaskChange& change : ran.changes) {
        std::string line;
        for (const std::string& member : members)
            if (const Json* value = change.detail.find(member)) line += " " + member + "=" + dump_json(*value);
        if (!line.empty()) out += change.name + " " + change.state + line + "\n";
    }
    return out;
}

struct Stepped {
    std::shared_ptr<Package> package;
    std::unique_ptr<Interpreter> flow;
    FakeClock clock;
    explicit Stepped(const std::string& body, const Json& input = Json::object()) : package(testing::lone(body))
    {
        INFO(testing::findings(*package));
        RunOptions options;
        options.input = input;
        auto made = make_interpreter(package, options);
        REQUIRE(made);
        flow = std::move(*made);
        flow->pause_before([](const Pause&) { return true; });
    }
    /// The name of the task that it stands before; "" when it is over.
    std::string next()
    {
        flow->go_on();
        for (int i = 0; i < 100 && flow->paused() == nullptr && (flow->phase() == Phase::pending || flow->phase() == Phase::running); ++i) {
            flow->advance(clock.now(), clock.steady());
            for (const auto& request : flow->take_requests()) flow->complete(request.id, Json());
        }
        return flow->paused() == nullptr ? "" : flow->paused()->name;
    }
    std::string look(std::string_view expression)
    {
        const auto out = flow->look(expression);
        return out ? dump_json(*out) : out.error().what;
    }
};

}  // namespace

TEST_CASE("a trace says which case was taken and where it jumps", "[workflows][watching]")
{
    CHECK(trace(R"(do:
  - choose: { switch: [ { small: { when: '${ .n < 10 }', then: exit } }, { big: { when: '${ .n >= 10 }', then: last } }, { none: { then: end } } ] }
  - between: { set: '${ 1 }' }
  - last: { set: '${ 2 }', then: end }
)", json(R"({"n":12})"), {"case", "then"}) == "choose completed case=\"big\" then=\"last\"\nlast completed then=\"end\"\n");
}

TEST_CASE("a trace says the number of a retry, its wait, and what was caught", "[workflows][watching]")
{
    CHECK(trace(R"(do:
  - guard:
      try: [ { fails: { raise: { error: { type: "https://x/y", status: 500 } } } } ]
      catch: { retry: { delay: { seconds: 2 }, limit: { attempt: { count: 2 } } }, do: [ { tell: { set: '${ 1 }' } } ] }
)", Json::object(), {"retry", "waitMs", "retries", "handled"}) ==
          "guard retried retry=1 waitMs=2000\nguard retried retry=2 waitMs=2000\nguard caught retries=2 handled=true\n");
}

TEST_CASE("a trace says what was skipped, each turn of a loop, and what was asked", "[workflows][watching]")
{
    CHECK(trace(R"(do:
  - never: { if: '${ .a }', set: '${ 1 }' }
  - each: { for: { in: '${ [5, 6] }' }, do: [ { say: { call: log, with: { text: hi } } } ] }
)", Json::object(), {"if", "index", "item", "effect", "with"}) == R"(never skipped if="${ .a }"
each iteration index=0 item=5
say asked effect="log" with={"text":"hi"}
each iteration index=1 item=6
say asked effect="log" with={"text":"hi"}
)");
}

TEST_CASE("without trace nothing of it is made", "[workflows][watching]")
{
    const auto ran = testing::run_flow("do:\n  - each: { for: { in: '${ [5] }' }, do: [ { a: { set: '${ 1 }' } } ] }\n");
    for (const TaskChange& change : ran.changes) {
        CHECK(change.detail.is_null());
        CHECK_FALSE(change.trace_only);
    }
}

TEST_CASE("a run stands still before each task and goes on when told", "[workflows][watching]")
{
    Stepped run("use: { functions: { f: { set: { y: 1 } } } }\ndo:\n  - a: { set: { x: 1 } }\n  - loop: { for: { in: '${ [7] }', each: n }, do: [ { b: { call: f } } ] }\n  - c: { set: '${ 2 }' }\n");
    CHECK(run.next() == "a");
    CHECK(run.next() == "loop");
    const std::size_t outside = run.flow->paused()->depth;
    CHECK(run.next() == "b");
    CHECK(run.flow->paused()->depth > outside);
    CHECK(run.look("$n") == "7");
    CHECK(run.flow->paused()->stack == std::vector<std::string>{"/do/1/loop", "/do/1/loop/do/0/b"});
    CHECK(run.next() == "f");
    CHECK(run.next() == "c");
    CHECK(run.flow->paused()->depth == outside);
    CHECK(run.next().empty());
    CHECK(run.flow->phase() == Phase::completed);
}

TEST_CASE("an expression is evaluated on the data where the run stands, or says in words why not", "[workflows][watching]")
{
    Stepped run("do:\n  - a: { set: { x: 1 }, export: { as: '{ seen: .x }' } }\n  - b: { input: { from: .x }, set: '${ 2 }' }\n", json(R"({"name":"Ada"})"));
    CHECK(run.look(".") == "the run does not stand still");
    REQUIRE(run.next() == "a");
    CHECK(run.look(".name") == "\"Ada\"");
    CHECK(run.look("${ .name | length }") == "3");
    REQUIRE(run.next() == "b");
    CHECK(run.look("[., $context, $input, $task.name]") == R"([{"x":1},{"seen":1},{"x":1},"b"])");
    CHECK(run.look(".x |") != "");
    CHECK_THAT(run.look(".x | nonsense(1)"), Catch::Contains("nonsense"));
    CHECK_THAT(run.look("$output"), Catch::Contains("$output is not available here"));
    CHECK_THAT(run.look(".x | .y"), Catch::Contains("Cannot index"));
    CHECK_THAT(run.look("[range(1e9)] | length"), Catch::Contains("longer than"));
    CHECK_THAT(run.look("env"), Catch::Contains("not available"));
    CHECK(run.next().empty());
}

TEST_CASE("cancelling a run that stands still ends it", "[workflows][watching]")
{
    Stepped run("do:\n  - a: { set: '${ 1 }' }\n");
    REQUIRE(run.next() == "a");
    run.flow->cancel("enough");
    CHECK(run.flow->paused() == nullptr);
    CHECK(run.flow->phase() == Phase::cancelled);
}
