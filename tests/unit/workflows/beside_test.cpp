#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::EffectRequest;
using workflows::Phase;

namespace {

const std::string kOther = "document: { dsl: 1.0.3, namespace: test, name: other, version: 1.0.0 }\n";
std::string start(const std::string& more = "") { return "go: { run: { workflow: { namespace: test, name: other, version: 1.0.0" + more + " }, await: false } }"; }

Ran both(const std::string& flow, const std::string& other, const Answers& answers = {}, Milliseconds at_most = Milliseconds(100'000'000))
{
    return drive(lone("do: [ " + flow + " ]", {{"other.yaml", kOther + "do: [ " + other + " ]"}}), json(R"({"k":1})"), answers, {}, at_most);
}

}  // namespace

TEST_CASE("a workflow that is not waited for goes on beside: the task hands its input on at once", "[workflows][await]")
{
    const Ran ran = both("{ " + start() + " }, { after: { set: { got: '${ . }' } } }", "{ w: { wait: PT10S } }, { late: { set: { n: 1 } } }");
    CHECK(ran.words() == R"({"got":{"k":1}})");
    CHECK(ran.order() == "go after w late");
    CHECK(ran.took == Milliseconds(10'000));  // the run ends when all of it has ended
}

TEST_CASE("its fault is a line in the log, and the run completes", "[workflows][await]")
{
    const Ran ran = both("{ " + start() + " }, { w: { wait: PT1S } }", "{ x: { raise: { error: { type: https://x.test/e, status: 418, detail: broke } } } }");
    CHECK(ran.phase == Phase::completed);
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].effect == "log");
    CHECK(ran.requests[0].with["level"] == Json("warning"));
    CHECK_THAT(ran.requests[0].with["text"].as_string(), Catch::Contains("broke") && Catch::Contains("await: false"));
    CHECK(ran.count("x", "faulted") == 1);
    CHECK(ran.count("go", "faulted") == 0);
    int faulted = 0, completed = 0;
    for (const Json& event : ran.events) {
        faulted += event["type"] == Json("io.serverlessworkflow.workflow.faulted.v1") ? 1 : 0;
        completed += event["type"] == Json("io.serverlessworkflow.workflow.completed.v1") ? 1 : 0;
    }
    CHECK(faulted == 1);
    CHECK(completed == 1);
}

TEST_CASE("a fault or the cancelling of the parent ends what goes on beside it", "[workflows][await]")
{
    const Answers never = [](const EffectRequest&) { return Answer{.result = {}, .fault = {}, .never = true}; };
    const std::string call = "{ c: { call: http, with: { method: get, endpoint: 'http://x.test/' } } }";
    const Ran ran = both("{ " + start() + " }, { w: { wait: PT1S } }, { x: { raise: { error: { type: https://x.test/e, status: 418 } } } }", call, never);
    CHECK(ran.phase == Phase::faulted);
    CHECK(ran.fault.status == 418);
    CHECK(ran.cancelled.size() == 1);
    CHECK(ran.count("c", "cancelled") == 1);
    const Ran cancelled = both("{ " + start() + " }, { w: { wait: PT1S } }", call + ", { w: { wait: PT100H } }", never, Milliseconds(60'000));
    CHECK(cancelled.problem == "it waits for nothing");  // the main workflow has ended; nobody answers the call
    const Ran late = both("{ " + start() + " }", "{ w: { wait: PT100H } }", {}, Milliseconds(60'000));
    CHECK(late.phase == Phase::cancelled);
    CHECK(late.count("w", "cancelled") == 1);
}

TEST_CASE("end of the parent and of a branch leaves it alone; its own timeout holds", "[workflows][await]")
{
    CHECK(both("{ f: { fork: { branches: [ { b: { do: [ { " + start() + " }, { e: { set: { n: 1 }, then: end } } ] } }, { w: { wait: PT1H } } ] } } }", "{ late: { wait: PT5S } }").order() ==
          "go e b f late");
    const Ran ran = drive(lone("do: [ { " + start() + " } ]", {{"other.yaml", kOther + "timeout: { after: PT2S }\ndo: [ { w: { wait: PT1H } } ]"}}));
    CHECK(ran.phase == Phase::completed);
    CHECK(ran.took == Milliseconds(2'000));
}

TEST_CASE("it gets what 'input' says, evaluated where it was started", "[workflows][await]")
{
    const Ran ran = both("{ f: { for: { each: n, in: '[1, 2]' }, do: [ { " + start(", input: { n: '${ $n }' }") + " } ] } }", "{ l: { call: log, with: { text: '${ \"n\\(.n)\" }' } } }");
    CHECK(ran.phase == Phase::completed);
    REQUIRE(ran.requests.size() == 2);
    CHECK(ran.requests[0].with["text"] == Json("n1"));
    CHECK(ran.requests[1].with["text"] == Json("n2"));
}

TEST_CASE("a command that is not waited for is started, and its failure is logged", "[workflows][await]")
{
    const Answers fails = [](const EffectRequest& request) {
        if (request.effect == "log") return Answer{};
        return Answer{.result = json(R"({"stdout":"","stderr":"no","code":3})"), .fault = {}, .never = false, .after = Milliseconds(500)};
    };
    const Ran ran = run_flow("do: [ { s: { run: { shell: { command: 'false' }, await: false } } }, { a: { set: { k: '${ .k }' } } } ]", json(R"({"k":1})"), fails);
    CHECK(ran.words() == R"({"k":1})");
    CHECK(ran.took == Milliseconds(500));
    REQUIRE(ran.requests.size() == 2);
    CHECK(ran.requests[0].effect == "shell");
    CHECK_THAT(ran.requests[1].with["text"].as_string(), Catch::Contains("exit status 3"));
    const Ran script = run_flow("do: [ { s: { run: { script: { language: js, code: '1' }, await: false } } } ]", {}, [](const EffectRequest&) { return Answer{.result = json(R"({"stdout":"","stderr":"","code":0})"), .fault = {}}; });
    CHECK(script.phase == Phase::completed);
    CHECK(script.requests.size() == 1);
}

TEST_CASE("those that go on beside are bounded", "[workflows][await][slow]")
{
    const Ran ran = both("{ f: { for: { in: '[range(3000)]' }, do: [ { " + start() + " } ] } }", "{ w: { wait: PT1H } }");
    CHECK(ran.phase == Phase::faulted);
    CHECK_THAT(ran.fault.detail, Catch::Contains("2000 branches"));
}
