#include <catch2/catch.hpp>

#include "tests/support/workflow_run.h"

using namespace mill;
using namespace mill::testing;
using workflows::Phase;

namespace {

const std::string kBase = "https://serverlessworkflow.io/spec/1.0.0/errors/";

Answers flaky(int times, std::string type = "communication", int status = 503)
{
    auto left = std::make_shared<int>(times);
    return [left, type, status](const workflows::EffectRequest&) {
        Answer out;
        if (--*left >= 0) out.fault = workflows::Fault{type, "no", "", "", status};
        else out.result = json(R"({"status":200,"headers":{"content-type":"application/json"},"text":"{\"ok\":true}"})");
        return out;
    };
}

std::string guarded(const std::string& clause)
{
    return "do: [ { guarded: { try: [ { get: { call: http, with: { method: get, endpoint: http://x.test/ } } } ], catch: " + clause + " } } ]";
}

}  // namespace

TEST_CASE("raise faults the workflow with its error and the true pointer of the task", "[workflows]")
{
    const Ran ran = run_flow(R"y(
do:
  - outer: { do: [ { no: { raise: { error: { type: https://x.test/e, status: 418, title: Teapot, detail: '${ "n is \(.n)" }' } } } } ] }
)y", json(R"({"n":3})"));
    REQUIRE(ran.phase == Phase::faulted);
    CHECK(ran.words() == R"({"type":"https://x.test/e","status":418,"title":"Teapot","detail":"n is 3","instance":"/do/0/outer/do/0/no"})");
    CHECK(ran.count("no", "faulted") == 1);
    CHECK(ran.count("outer", "faulted") == 1);
}

TEST_CASE("raise may name an error of use.errors", "[workflows]")
{
    const Ran ran = run_flow("use: { errors: { gone: { type: https://x.test/gone, status: 410 } } }\ndo: [ { no: { raise: { error: gone } } } ]");
    CHECK(ran.fault.status == 410);
    CHECK_THAT(findings(*lone("do: [ { no: { raise: { error: gone } } } ]")), Catch::Contains("'gone' is not declared"));
}

TEST_CASE("catch takes a standard type in each of its spellings", "[workflows]")
{
    for (const std::string type : {"https://serverlessworkflow.io/spec/1.0.0/errors/communication", "https://serverlessworkflow.io/dsl/errors/types/communication",
                                   "https://open-workflow-specification.org/spec/1.0.0/errors/communication", "https://open-workflow-specification.org/dsl/errors/types/communication"}) {
        const Ran ran = run_flow(guarded("{ errors: { with: { type: '" + type + "' } }, do: [ { h: { set: { t: '${ $error.type }' } } } ] }"), {}, flaky(1));
        CHECK(ran.words() == "{\"t\":\"" + kBase + "communication\"}");
    }
    CHECK(run_flow(guarded("{ errors: { with: { type: https://x.test/communication } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).phase == Phase::faulted);
}

TEST_CASE("catch compares every member that it names", "[workflows]")
{
    CHECK(run_flow(guarded("{ errors: { with: { status: 503 } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).words() == R"({"n":1})");
    CHECK(run_flow(guarded("{ errors: { with: { status: 500 } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).fault.status == 503);
    CHECK(run_flow(guarded("{ errors: { with: { title: 'no' } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).words() == R"({"n":1})");
    CHECK(run_flow(guarded("{ errors: { with: { instance: /do/0/guarded/try/0/get } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).words() == R"({"n":1})");
    CHECK(run_flow(guarded("{ errors: { with: { instance: /do/0 } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).phase == Phase::faulted);
}

TEST_CASE("catch's when and exceptWhen see the error under its name", "[workflows]")
{
    CHECK(run_flow(guarded("{ as: e, when: '$e.status == 503', do: [ { h: { set: { n: '${ $e.status }' } } } ] }"), {}, flaky(1)).words() == R"({"n":503})");
    CHECK(run_flow(guarded("{ as: e, when: '$e.status == 404', do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).phase == Phase::faulted);
    CHECK(run_flow(guarded("{ exceptWhen: '$error.status == 503', do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).phase == Phase::faulted);
}

TEST_CASE("the handler begins with the try's input; without a handler the try's output is its input", "[workflows]")
{
    CHECK(run_flow(guarded("{ do: [ { h: { set: { got: '${ . }' } } } ] }"), json(R"({"a":1})"), flaky(1)).words() == R"({"got":{"a":1}})");
    CHECK(run_flow(guarded("{}"), json(R"({"a":1})"), flaky(1)).words() == R"({"a":1})");
    CHECK(run_flow(guarded("{}"), json(R"({"a":1})"), flaky(0)).words() == R"({"ok":true})");
}

TEST_CASE("a fault in the handler is not caught by the same try", "[workflows]")
{
    const Ran ran = run_flow(guarded("{ do: [ { h: { raise: { error: { type: https://x.test/h, status: 1 } } } } ] }"), {}, flaky(1));
    CHECK(ran.fault.type == "https://x.test/h");
    CHECK(ran.fault.instance == "/do/0/guarded/catch/do/0/h");
}

TEST_CASE("retry tries again: count is the number of retries", "[workflows]")
{
    const std::string policy = "{ retry: { delay: PT2S, limit: { attempt: { count: 3 } } } }";
    const Ran recovered = run_flow(guarded(policy), {}, flaky(3));
    CHECK(recovered.words() == R"({"ok":true})");
    CHECK(recovered.requests.size() == 4);
    CHECK(recovered.took == Milliseconds(6000));
    CHECK(recovered.count("guarded", "retried") == 3);
    const Ran exhausted = run_flow(guarded(policy), {}, flaky(4));
    REQUIRE(exhausted.phase == Phase::faulted);
    CHECK(exhausted.fault.status == 503);
    CHECK(exhausted.requests.size() == 4);
}

TEST_CASE("the handler runs when the retries are used up, and not before", "[workflows]")
{
    const Ran ran = run_flow(guarded("{ retry: { limit: { attempt: { count: 2 } } }, do: [ { h: { set: { gave: up } } } ] }"), {}, flaky(9));
    CHECK(ran.words() == R"({"gave":"up"})");
    CHECK(ran.requests.size() == 3);
    CHECK(ran.count("h", "completed") == 1);
}

TEST_CASE("each backoff grows as its name says", "[workflows]")
{
    const auto took = [](const std::string& backoff) {
        return run_flow(guarded("{ retry: { delay: PT1S, backoff: { " + backoff + ": {} }, limit: { attempt: { count: 3 } } } }"), {}, flaky(3)).took.count();
    };
    CHECK(took("constant") == 3000);
    CHECK(took("linear") == 1000 + 2000 + 3000);
    CHECK(took("exponential") == 1000 + 2000 + 4000);
}

TEST_CASE("jitter stays within its bounds and depends on the seed", "[workflows]")
{
    workflows::RunOptions options;
    std::set<std::int64_t> seen;
    for (options.seed = 1; options.seed < 6; ++options.seed) {
        const Ran ran = run_flow(guarded("{ retry: { delay: PT1S, jitter: { from: PT1S, to: PT2S }, limit: { attempt: { count: 1 } } } }"), {}, flaky(1), options);
        CHECK(ran.took >= Milliseconds(2000));
        CHECK(ran.took <= Milliseconds(3001));
        seen.insert(ran.took.count());
    }
    CHECK(seen.size() > 1);
}

TEST_CASE("a retry's limits: duration of all, duration of one attempt", "[workflows]")
{
    const Ran whole = run_flow(guarded("{ retry: { delay: PT10S, limit: { duration: PT25S } } }"), {}, flaky(99));
    CHECK(whole.requests.size() == 3);
    CHECK(whole.phase == Phase::faulted);
    const Ran attempt = run_flow(guarded("{ retry: { limit: { attempt: { count: 1, duration: PT5S } } } }"), {},
                                 [](const workflows::EffectRequest&) { return Answer{.result = {}, .fault = {}, .never = true}; });
    CHECK(attempt.requests.size() == 2);
    CHECK(attempt.cancelled.size() == 2);
    CHECK(attempt.took == Milliseconds(10'000));
    CHECK(attempt.fault.type == kBase + "timeout");
    CHECK(attempt.fault.instance == "/do/0/guarded");
}

TEST_CASE("a retry's own when and exceptWhen choose what is tried again; a named policy is the same", "[workflows]")
{
    CHECK(run_flow(guarded("{ retry: { when: '$error.status == 500', limit: { attempt: { count: 3 } } }, do: [ { h: { set: { n: 1 } } } ] }"), {}, flaky(1)).requests.size() == 1);
    CHECK(run_flow(guarded("{ retry: { exceptWhen: '$error.status == 500', limit: { attempt: { count: 3 } } } }"), {}, flaky(1)).requests.size() == 2);
    CHECK(run_flow("use: { retries: { twice: { limit: { attempt: { count: 2 } } } } }\n" + guarded("{ retry: twice }"), {}, flaky(2)).requests.size() == 3);
    CHECK_THAT(findings(*lone(guarded("{ retry: twice }"))), Catch::Contains("'twice' is not declared"));
}

TEST_CASE("a task's timeout cancels what it waits for and can be caught outside of the task", "[workflows]")
{
    const Ran ran = run_flow(R"(
do:
  - guarded:
      try:
        - slow: { timeout: { after: PT3S }, do: [ { inner: { wait: { hours: 1 } } } ] }
      catch: { errors: { with: { status: 408 } }, do: [ { h: { set: { at: '${ $error.instance }' } } } ] }
)");
    CHECK(ran.words() == R"({"at":"/do/0/guarded/try/0/slow"})");
    CHECK(ran.took == Milliseconds(3000));
    CHECK(ran.count("inner", "cancelled") == 1);
    CHECK(ran.count("slow", "faulted") == 1);
}

TEST_CASE("a try's own timeout is not caught by its own catch", "[workflows]")
{
    const Ran ran = run_flow("do: [ { t: { timeout: { after: PT1S }, try: [ { w: { wait: PT9S } } ], catch: { do: [ { h: { set: { n: 1 } } } ] } } } ]");
    CHECK(ran.phase == Phase::faulted);
    CHECK(ran.fault.instance == "/do/0/t");
}

TEST_CASE("a timeout reaches into a fork inside a try, and the effects learn what is left", "[workflows]")
{
    const Ran ran = run_flow(R"(
use: { timeouts: { short: { after: { seconds: 2 } } } }
do:
  - guarded:
      try:
        - both:
            timeout: short
            fork: { branches: [ { a: { call: http, with: { method: get, endpoint: http://x.test/ } } }, { b: { wait: PT1H } } ] }
      catch: { do: [ { h: { set: { caught: '${ $error.status }' } } } ] }
)", {}, [](const workflows::EffectRequest&) { return Answer{.result = {}, .fault = {}, .never = true}; });
    CHECK(ran.words() == R"({"caught":408})");
    REQUIRE(ran.requests.size() == 1);
    CHECK(ran.requests[0].timeout == Milliseconds(2000));
    CHECK(ran.cancelled.size() == 1);
}

TEST_CASE("the workflow's timeout ends the run", "[workflows]")
{
    const Ran ran = run_flow("timeout: { after: PT5S }\ndo: [ { w: { wait: PT1H } } ]");
    CHECK(ran.fault.type == kBase + "timeout");
    CHECK(ran.took == Milliseconds(5000));
}

TEST_CASE("cancelling a run cancels its tasks and effects", "[workflows]")
{
    const auto package = lone("do: [ { a: { call: http, with: { method: get, endpoint: http://x.test/ } } } ]");
    const Ran ran = drive(package, {}, [](const workflows::EffectRequest&) { return Answer{.result = {}, .fault = {}, .never = true}; });
    CHECK(ran.problem == "it waits for nothing");
    auto flow = workflows::make_interpreter(package, {});
    REQUIRE(flow);
    (*flow)->advance({}, {});
    (*flow)->cancel("enough");
    CHECK((*flow)->phase() == Phase::cancelled);
    CHECK((*flow)->take_cancellations().size() == 1);
    const auto changes = (*flow)->take_changes();
    CHECK(changes.back().state == "cancelled");
    CHECK((*flow)->take_cloud_events().back()["type"].as_string() == "io.serverlessworkflow.workflow.cancelled.v1");
}

TEST_CASE("an answer that comes after its task was cancelled changes nothing", "[workflows]")
{
    const auto package = lone("do: [ { a: { timeout: { after: PT1S }, call: http, with: { method: get, endpoint: http://x.test/ } } } ]");
    auto flow = workflows::make_interpreter(package, {});
    FakeClock clock;
    (*flow)->advance(clock.now(), clock.steady());
    const auto id = (*flow)->take_requests().at(0).id;
    clock.advance(Milliseconds(2000));
    (*flow)->advance(clock.now(), clock.steady());
    CHECK((*flow)->phase() == Phase::faulted);
    (*flow)->complete(id, json(R"({"status":200,"headers":{},"text":""})"));
    (*flow)->fail(id, {});
    (*flow)->advance(clock.now(), clock.steady());
    CHECK((*flow)->fault().status == 408);
}
